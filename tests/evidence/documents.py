"""One document of each schema, with every kind of field in it."""

from mailwitness.evidence.codec import Document
from mailwitness.evidence.host import (
    AccessControl,
    AgentRun,
    CertificateFile,
    Dovecot,
    DovecotListener,
    HostEvidence,
    Interface,
    Jail,
    ListeningSocket,
    Network,
    PacketFilter,
    Postfix,
    PostfixService,
    Process,
    ReversePath,
    Route,
    Software,
    System,
)
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import (
    Capabilities,
    Observation,
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
    reach=Reach("open", "connected", 1.5),
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
    ),
)
IMPLICIT = Observation(
    address="192.0.2.1",
    port=65535,
    protocol="smtp",
    tls="implicit",
    observed_at="2024-01-01T00:00:00Z",
    reach=Reach("open", "connected", 0.0),
    session=Session(
        greeting=Missing("no handshake"),
        before_tls=None,
        starttls=None,
        inside_tls=Capabilities(()),
        versions=(),
        chains=(),
    ),
)
CLOSED = Observation(
    address="192.0.2.1",
    port=1,
    protocol="pop3",
    tls="implicit",
    observed_at="2024-01-01T00:00:00Z",
    reach=Reach("refused", "connection refused", 0.1),
    session=Missing("no connection: connection refused"),
)
PROCESS = Process(42, "master", "/usr/lib/postfix/sbin/master", "2024-01-01T00:00:00Z")

HOST = HostEvidence(
    host="mail1",
    agent=AgentRun("0.1.0", "3.9.2", 0, "2024-01-01T00:00:00Z", 1.25),
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
    ),
    dovecot=Dovecot(
        listeners=(DovecotListener("imap-login", "imaps", 993, ("*", "::"), ssl=True),),
        settings={"imap": {"ssl": "required"}, "pop3": {}},
        certificates_by_name=("/etc/a.pem",),
    ),
    sockets=(ListeningSocket("::", 25, PROCESS), ListeningSocket("0.0.0.0", 143, DENIED)),
    certificates=(
        CertificateFile("/etc/a.pem", "2024-01-01T00:00:00Z", (PEM,)),
        CertificateFile("/etc/b.pem", DENIED, DENIED),
    ),
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
    agent=AgentRun("0.1.0", "3.13.0", 1000, "2024-01-01T00:00:00Z", 0.0),
    system=System("web1", "debian", "13", "6.12.0"),
    software=(),
    postfix=None,
    dovecot=DENIED,
    sockets=DENIED,
    certificates=(),
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
        ),
        PlannedHost("mail2", "mail2", (), (), (), (), None, ()),
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
