"""One document of each schema, with every kind of field in it."""

from mailwitness.evidence.codec import Document
from mailwitness.evidence.host import (
    AccessControl,
    AgentRun,
    Assignment,
    CertificateFile,
    CipherList,
    ClientRule,
    ClientTable,
    Configuration,
    ConfigurationFile,
    Daemon,
    Dovecot,
    DovecotListener,
    DovecotScope,
    HostEvidence,
    Interface,
    Jail,
    KeyFile,
    LibraryDefaults,
    ListeningSocket,
    Network,
    NetworkNamespace,
    PacketFilter,
    Passdb,
    Postfix,
    PostfixInstance,
    PostfixService,
    Process,
    ReversePath,
    Route,
    ServerName,
    Software,
    Suite,
    System,
    Timing,
    TlsLibrary,
    VersionSuites,
)
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import (
    Capabilities,
    Enumerated,
    Features,
    Injection,
    Login,
    LoginStep,
    Negotiation,
    Observation,
    Prime,
    ProbeEvidence,
    Reach,
    ServedChain,
    Session,
    Starttls,
    VersionAnswer,
)
from mailwitness.evidence.run import Allowlist, Failure, PlannedHost, Run

PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
DENIED = Missing("not permitted")

STARTTLS = Observation(
    address="2001:db8::1",
    port=143,
    protocol="imap",
    tls="starttls",
    observed_at="2024-02-29T23:59:59Z",
    reach=Reach("open", "connected", 1.5, "198.51.100.7"),
    session=Session(
        greeting='* OK "ready" \\ é\u2028\x00<b>',
        before_tls=Capabilities(("IMAP4rev1", "STARTTLS", "AUTH=PLAIN")),
        starttls=Starttls("ready", "a2 OK begin"),
        inside_tls=DENIED,
        versions=(
            VersionAnswer("TLSv1.2", accepted=True, proof="ServerHello TLSv1.2, suite 0xc02f"),
            VersionAnswer("SSLv3", accepted=False, proof="alert 70 protocol_version"),
            VersionAnswer("TLSv1.3", accepted=Missing("connection reset"), proof=""),
        ),
        chains=(
            ServedChain(None, PEM, (PEM, PEM)),
            ServedChain("mail.example.com", PEM, DENIED),
            ServedChain("other.example.com", DENIED, DENIED),
        ),
        negotiation=Negotiation(
            suites=(
                Enumerated(
                    "TLSv1.2",
                    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "0xfafa"),
                    "alert 40 handshake_failure",
                    "server",
                ),
                Enumerated("TLSv1.3", ("TLS_AES_128_GCM_SHA256",), DENIED, None),
            ),
            groups=(Enumerated("TLSv1.3", ("x25519", "secp256r1"), DENIED, DENIED),),
            signatures=(),
            primes=(Prime(1024, ("TLS_DHE_RSA_WITH_AES_128_CBC_SHA",)), Prime(2048, ())),
        ),
        features=Features(
            secure_renegotiation=True,
            compression=False,
            session_tickets=None,
            extended_master_secret=DENIED,
            encrypt_then_mac=None,
            ocsp_stapling=DENIED,
            client_certificate=False,
            fallback_scsv=True,
        ),
        injection=Injection(accepted=False, proof="a3 OK bye"),
    ),
    turned_away=0,
    login=Login(
        "mail.example.com", "chain", (LoginStep("AUTH PLAIN", accepted=True, answer="235 2.7.0"),)
    ),
)
IMPLICIT = Observation(
    address="192.0.2.1",
    port=65535,
    protocol="smtp",
    tls="implicit",
    observed_at="2024-01-01T00:00:00Z",
    reach=Reach("open", "connected", 0.0, "192.0.2.1"),
    session=Session(
        greeting=Missing("no handshake"),
        before_tls=None,
        starttls=None,
        inside_tls=Capabilities(()),
        versions=(),
        chains=(),
        negotiation=DENIED,
        features=DENIED,
        injection=None,
    ),
    turned_away=0,
    login=Missing("no mechanism in common"),
)
CLOSED = Observation(
    address="192.0.2.1",
    port=1,
    protocol="pop3",
    tls="implicit",
    observed_at="2024-01-01T00:00:00Z",
    reach=Reach("refused", "connection refused", 0.1, Missing("no way")),
    session=Missing("no connection: connection refused"),
    turned_away=3,
    login=None,
)
PROCESS = Process(
    42,
    "master",
    "/usr/lib/postfix/sbin/master",
    "2024-01-01T00:00:00Z",
    True,  # noqa: FBT003
    "/",
    None,
)
TIMING = Timing("postfix", 1.0, {"postconf": 0.9})

LIBRARY = TlsLibrary(
    path="/usr/lib/libssl.so.3",
    source="ldd /usr/lib/dovecot/imap-login",
    version="OpenSSL 3.0.20 7 Apr 2026",
    configuration=ConfigurationFile("/usr/lib/ssl/openssl.cnf", DENIED),
    built_in=LibraryDefaults(None, None, 2, ()),
    defaults=LibraryDefaults("TLSv1.2", "TLSv1.3", 1, ("TLSv1",)),
    suites=(Suite("AES128-SHA", 0x2F, "RSA", "RSA", "AES(128)", "SHA1"),),
    cipher_lists=(
        CipherList("HIGH", None, 1, (VersionSuites("TLSv1.2", ("AES128-SHA",)),)),
        CipherList("nothing", 0, 0, DENIED),
    ),
)

HOST = HostEvidence(
    host="mail1",
    agent=AgentRun("0.1.0", "3.9.2", 0, "2024-01-01T00:00:00Z", 1.25, (TIMING,)),
    system=System("mail1", "debian", DENIED, "6.1.0"),
    software=(Software("dovecot", "2.3.13", "1:2.3.13"), Software("postfix", DENIED, DENIED)),
    postfix=Postfix(
        config_directory="/etc/postfix",
        settings={"smtpd_tls_security_level": "may", "mynetworks": ""},
        services=(
            PostfixService("smtp", 25, None, "smtpd", {}),
            PostfixService(
                "[::1]:nope", DENIED, "::1", "postscreen", {"smtpd_tls_auth_only": "no"}
            ),
        ),
        server_names={
            "sni": (
                ServerName("a.example.com", (PEM,)),
                ServerName(".b.example", DENIED),
            ),
            "ldap": DENIED,
        },
        client_tables={
            "cidr": ClientTable((ClientRule("192.0.2.0/24", "REJECT"),), 0),
            "pcre": DENIED,
        },
        configuration=Configuration(
            (ConfigurationFile("/etc/postfix/main.cf", "2024-01-01T00:00:00Z"),),
            (Assignment("smtpd_tls_auth_only", "/etc/postfix/main.cf", 7, ("smtp/inet",)),),
        ),
        daemon=Daemon(42, "2024-01-01T00:00:00Z", DENIED),
    ),
    dovecot=Dovecot(
        listeners=(
            DovecotListener("imap-login", "imaps", 993, ("*", "::"), ssl=True, haproxy=False),
        ),
        main={"ssl": "yes"},
        settings={"imap": {"ssl": "required"}, "pop3": {}},
        scopes=(
            DovecotScope("imap", "192.0.2.0/24", None, None, {"ssl": "yes"}),
            DovecotScope("imap", None, "192.0.2.7", "mail.example.com", DENIED),
        ),
        passdbs=(
            Passdb("passwd-file", None, None, "192.0.2.0/24", own_nets=True),
            Passdb("sql", "imap", "192.0.2.0/24", None, DENIED),
        ),
        dh_bits={"dh": 2048, "other": DENIED},
        configuration=Configuration((), DENIED),
        daemon=None,
    ),
    postfix_instances=(PostfixInstance(None, "/etc/postfix-out", enabled=True, postfix=DENIED),),
    namespaces=(NetworkNamespace(7, ("172.17.0.2",), (ListeningSocket("::", 993, PROCESS),)),),
    sockets=(ListeningSocket("::", 25, PROCESS), ListeningSocket("0.0.0.0", 143, DENIED)),
    certificates=(
        CertificateFile("/etc/a.pem", "2024-01-01T00:00:00Z", (PEM,)),
        CertificateFile("/etc/b.pem", DENIED, DENIED),
    ),
    keys=(
        KeyFile("/etc/a-key.pem", "/etc/a.pem", "root", "600", matches=True),
        KeyFile("/etc/b-key.pem", "/etc/b.pem", DENIED, DENIED, DENIED),
    ),
    postfix_library=DENIED,
    dovecot_library=LIBRARY,
    packet_filter=PacketFilter(
        nft='{"nftables": []}',
        iptables=None,
        ip6tables=DENIED,
        iptables_legacy="*filter\nCOMMIT\n",
        ip6tables_legacy=None,
        ipset=None,
    ),
    running=(STARTTLS, IMPLICIT),
    network=Network(
        interfaces=(Interface("eth0", ("192.0.2.1/24", "2001:db8::1/64")),),
        routes=(Route("4", "default", ("eth0", "eth1"), "unicast"),),
        forwards=False,
        forwards_ipv6=DENIED,
        reverse_path=(ReversePath("eth0", 2),),
    ),
    access_control=AccessControl((Jail("dovecot", ("192.0.2.7",)),), ("ALL: ALL",), None, ""),
)
BARE_HOST = HostEvidence(
    host="web1",
    agent=AgentRun("0.1.0", "3.13.0", 1000, "2024-01-01T00:00:00Z", 0.0, ()),
    system=System("web1", "debian", "13", "6.12.0"),
    software=(),
    postfix=None,
    postfix_instances=None,
    dovecot=DENIED,
    sockets=DENIED,
    namespaces=DENIED,
    certificates=DENIED,
    keys=DENIED,
    postfix_library=DENIED,
    dovecot_library=LIBRARY,
    packet_filter=PacketFilter(DENIED, DENIED, DENIED, DENIED, DENIED, DENIED),
    running=DENIED,
    network=Network(DENIED, DENIED, DENIED, DENIED, DENIED),
    access_control=AccessControl(DENIED, DENIED, DENIED, DENIED),
)
PROBE = ProbeEvidence(
    tool_version="0.1.0",
    host="mail1",
    vantage="outside",
    target="mail.example.com",
    names=("mail.example.com", "mail.example.org"),
    started_at="2024-01-01T00:00:00Z",
    seconds=3.5,
    observations=(STARTTLS, IMPLICIT, CLOSED),
)
UNRESOLVED = ProbeEvidence(
    tool_version="0.1.0",
    host="mail2",
    vantage="outside",
    target="nowhere",
    names=(),
    started_at="2024-01-01T00:00:00Z",
    seconds=0.0,
    observations=Missing("nowhere does not resolve"),
)
LIST = Allowlist(
    "vendor",
    (993,),
    ("192.0.2.0/24", "2001:db8::/32"),
    exclusive=True,
    source=None,
    retrieved_at="2024-01-01",
)
RUN = Run(
    started_at="2024-01-01T00:00:00Z",
    note="recorded on a Thursday, not live",
    inside=True,
    vantages=("controller", "outside"),
    hosts=(
        PlannedHost(
            "mail1",
            "192.0.2.1",
            ("mail",),
            ("mail.example.com",),
            (25, 993),
            ("strict",),
            PEM,
            (LIST,),
            ("postmaster@example.com",),
        ),
        PlannedHost("mail2", "mail2", (), (), (), (), None, (), ()),
    ),
)
EMPTY_RUN = Run("2024-01-01T00:00:00Z", None, inside=False, vantages=(), hosts=())
FAILURE = Failure("mail1", "unreachable", "ssh: no route", "2024-01-01T00:00:00Z")

DOCUMENTS: dict[str, Document] = {
    "host": HOST,
    "bare host": BARE_HOST,
    "probe": PROBE,
    "unresolved probe": UNRESOLVED,
    "run": RUN,
    "empty run": EMPTY_RUN,
    "failure": FAILURE,
}
