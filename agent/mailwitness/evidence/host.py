"""What a mail host says of itself: the evidence of the agent's `inspect`."""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Optional, Union

from mailwitness.evidence.codec import Document, Port
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, VersionName


class Timing(NamedTuple):
    """What one collector took: wall-clock seconds, and those of each command that it ran."""

    collector: str
    seconds: float
    commands: dict[str, float]  # by command line; long ones are cut


class AgentRun(NamedTuple):
    """The run that made this evidence."""

    version: str
    python: str
    uid: int
    started_at: str  # UTC, ISO 8601 with Z
    seconds: float
    timings: tuple[Timing, ...]  # the slowest collector first


class System(NamedTuple):
    """The operating system, from os-release(5) and uname(2)."""

    hostname: Union[str, Missing]
    os_id: Union[str, Missing]
    os_version: Union[str, Missing]
    kernel: Union[str, Missing]


class Software(NamedTuple):
    """An installed program: the version it states, and the package manager's version of it."""

    product: str
    version: Union[str, Missing]
    package: Union[str, Missing]


class Assignment(NamedTuple):
    """Where a file gives a setting of those that are collected; its value is the daemon's to say.

    `block`: the headers around it, outermost first; of a master.cf the service alone, as
    ``submission/inet``.
    """

    name: str
    file: str
    line: int
    block: tuple[str, ...]


class ConfigurationFile(NamedTuple):
    """A file that a daemon reads its settings from."""

    path: str
    modified_at: Union[str, Missing]


class Configuration(NamedTuple):
    """The files behind the settings, in the order in which they are read."""

    files: tuple[ConfigurationFile, ...]
    assignments: Union[tuple[Assignment, ...], Missing]


class Daemon(NamedTuple):
    """A running master process. `read_at`: when it last read its configuration."""

    pid: int
    started_at: Union[str, Missing]
    read_at: Union[str, Missing]


class PostfixService(NamedTuple):
    """One line of master.cf that listens on the network, with its own settings."""

    name: str  # as in master.cf: "submission", "10.0.0.1:2525"
    port: Union[Port, Missing]  # Missing: a name that /etc/services does not know
    address: Optional[str]  # None: wherever inet_interfaces says
    program: str  # "smtpd", "postscreen"
    # What its -o settings, and what refers to them, make other than the main ones; of postscreen
    # those of the smtpd that it passes clients on to, and of tlsproxy what begins with tlsproxy_.
    overrides: dict[str, str]


class ServerName(NamedTuple):
    """An entry of tls_server_sni_maps; one that begins with a dot is for all names below it.

    `certificates`: PEM, the first one of each chain.
    """

    name: str  # lower case
    certificates: Union[tuple[str, ...], Missing]


class ClientRule(NamedTuple):
    """An entry of an access table. `action`: its first word, or "" for what no action looks like.

    `pattern` is an address, a part of one, or in a cidr table what stands at the line's beginning.
    """

    pattern: str
    action: str


class ClientTable(NamedTuple):
    """What an access table of Postfix says of addresses, in its own order."""

    rules: tuple[ClientRule, ...]
    others: int  # how many entries have other keys, as names


class Postfix(NamedTuple):
    """The effective settings of an instance, as postconf(1) gives them."""

    config_directory: str
    settings: dict[str, str]  # effective and $-expanded; no secret is among the names asked for
    services: tuple[PostfixService, ...]
    # By the value of tls_server_sni_maps that some service has.
    server_names: dict[str, Union[tuple[ServerName, ...], Missing]]
    # By `type:path`, as the settings name them that say which clients may come.
    client_tables: dict[str, Union[ClientTable, Missing]]
    configuration: Configuration
    daemon: Union[Daemon, Missing, None]  # None: it does not run


class PostfixInstance(NamedTuple):
    """An instance of postmulti(1) beside the default one."""

    name: Optional[str]  # None: it has none
    config_directory: str
    enabled: bool  # started with the others
    postfix: Union[Postfix, Missing, None]  # None: it is not started


class DovecotListener(NamedTuple):
    """One inet_listener of a login service that is switched on."""

    service: str  # "imap-login"
    name: str  # "imaps"
    port: Port
    addresses: tuple[str, ...]
    ssl: bool  # TLS from the first byte
    haproxy: bool  # speaks the PROXY protocol alone


class DovecotScope(NamedTuple):
    """The effective settings inside filter blocks; a filter that is None is not applied."""

    protocol: str  # "imap"
    local: Optional[str]  # the host's own network or address, as the block's header has it
    remote: Optional[str]  # the client's
    local_name: Optional[str]  # the server name of SNI
    settings: Union[dict[str, str], Missing]


class Passdb(NamedTuple):
    """A database of passwords; they are asked in their order until one knows the user.

    The nets are values of allow_nets, from where users may log in; None: from anywhere.
    """

    driver: str  # "passwd-file"
    protocol: Optional[str]  # "imap"; None: of all
    every_nets: Optional[str]  # of every user, beside others that the user may have
    usual_nets: Optional[str]  # of users who have none of their own
    own_nets: Union[bool, Missing]  # whether some have


class Dovecot(NamedTuple):
    """The effective settings, as doveconf(1) gives them."""

    listeners: tuple[DovecotListener, ...]
    main: dict[str, str]  # outside all blocks
    settings: dict[str, dict[str, str]]  # by protocol ("imap"), the filters of no client applied
    scopes: tuple[DovecotScope, ...]  # what filter blocks make of them
    passdbs: Union[tuple[Passdb, ...], Missing]  # those that are asked for passwords of users
    dh_bits: dict[str, Union[int, Missing]]  # by file of DH parameters that some setting names
    configuration: Configuration
    daemon: Union[Daemon, Missing, None]  # None: it does not run


class KeyFile(NamedTuple):
    """What is told of a private key: whose it is, and whether it belongs to its certificate."""

    path: str
    certificate: str  # the file of its certificate; the same one for a file that holds both
    owner: Union[str, Missing]  # a user's name, or the number of one without
    mode: Union[str, Missing]  # octal: "600"
    matches: Union[bool, Missing]


class Suite(NamedTuple):
    """A cipher suite, in the words of SSL_CIPHER_description(3)."""

    name: str  # OpenSSL's: "ECDHE-RSA-AES256-GCM-SHA384"
    number: int  # of the IANA registry
    key_exchange: str  # "ECDH"
    authentication: str  # "RSA"
    encryption: str  # "AESGCM(256)"
    mac: str  # "AEAD"


class VersionSuites(NamedTuple):
    """The names of the suites that a list admits with a version, in the library's order.

    None of them: the security level lets none pass, or the library has not the version.
    """

    version: VersionName
    names: tuple[str, ...]


class CipherList(NamedTuple):
    """A list of ciphers as the library reads it."""

    text: str
    asked_level: Optional[int]  # set before the list is; None: the system's own
    security_level: int  # in the end: the list itself may name one
    suites: Union[tuple[VersionSuites, ...], Missing]


class LibraryDefaults(NamedTuple):
    """What a new context holds before a daemon sets anything. None: no bound."""

    minimum: Optional[VersionName]
    maximum: Optional[VersionName]
    security_level: int
    switched_off: tuple[VersionName, ...]  # versions, by Options or Protocol


class TlsLibrary(NamedTuple):
    """The TLS library of a daemon, and what the system's configuration makes of it."""

    path: str
    source: str  # how it is known: a process that has it loaded, or the linker
    version: str
    configuration: ConfigurationFile  # openssl.cnf
    built_in: LibraryDefaults
    defaults: LibraryDefaults  # with the configuration
    suites: tuple[Suite, ...]
    cipher_lists: tuple[CipherList, ...]


class Process(NamedTuple):
    """A running process. `started_at` is to the second."""

    pid: int
    name: str
    executable: Union[str, Missing]
    started_at: Union[str, Missing]
    own_root: Union[bool, Missing]  # whether its root directory is the host's: no container, chroot
    cgroup: Union[str, Missing]  # its service or container: "/system.slice/dovecot.service"
    forwards_to: Optional[str]  # where a container engine's proxy leads to: "172.17.0.2:993"


class ListeningSocket(NamedTuple):
    """A TCP socket in state LISTEN."""

    address: str
    port: Port
    process: Union[Process, Missing]


class NetworkNamespace(NamedTuple):
    """A network namespace beside the host's own, as containers have, in which something listens."""

    inode: int
    addresses: Union[tuple[str, ...], Missing]  # its own; without loopback's
    sockets: tuple[ListeningSocket, ...]


class CertificateFile(NamedTuple):
    """A file that a daemon's setting names: its certificates, PEM, in their order; never a key."""

    path: str
    modified_at: Union[str, Missing]
    certificates: Union[tuple[str, ...], Missing]


class PacketFilter(NamedTuple):
    """The packet filters in force, verbatim. None: the kernel holds none of that kind."""

    nft: Union[str, Missing]  # nft -j list ruleset
    iptables: Union[str, Missing, None]  # iptables-save of the nft back end
    ip6tables: Union[str, Missing, None]
    iptables_legacy: Union[str, Missing, None]
    ip6tables_legacy: Union[str, Missing, None]
    ipset: Union[str, Missing, None]


class Interface(NamedTuple):
    """A network device that is up, and its addresses with their prefix, in the kernel's order."""

    name: str
    addresses: tuple[str, ...]  # "192.0.2.10/24"


class Route(NamedTuple):
    """A route of the main table. Several devices: packets take one or the other."""

    family: Literal["4", "6"]
    destination: str  # a network, an address, or "default"
    devices: tuple[str, ...]
    type: str  # "unicast", "blackhole", …: ip-route(8)


class ReversePath(NamedTuple):
    """The effective rp_filter of IPv4 on a device: 0 off, 1 strict, 2 loose (ip-sysctl)."""

    device: str
    setting: int


class Network(NamedTuple):
    """What the kernel does with packets beside filtering them."""

    interfaces: Union[tuple[Interface, ...], Missing]
    routes: Union[tuple[Route, ...], Missing]  # Missing, too, where policy routing is in use
    forwards: Union[bool, Missing]  # IPv4: net.ipv4.ip_forward
    forwards_ipv6: Union[bool, Missing]  # net.ipv6.conf.all.forwarding; False: no IPv6
    reverse_path: Union[tuple[ReversePath, ...], Missing]


class Jail(NamedTuple):
    """A jail of fail2ban and whom it bans now."""

    name: str
    banned: tuple[str, ...]


class AccessControl(NamedTuple):
    """What else keeps clients away from mail daemons. None: not installed, or not there."""

    fail2ban: Union[tuple[Jail, ...], Missing, None]
    # The rules of hosts_access(5) that name a mail daemon or ALL, and who asks for them.
    hosts_allow: Union[tuple[str, ...], Missing, None]
    hosts_deny: Union[tuple[str, ...], Missing, None]
    dovecot_access_sockets: Union[str, Missing, None]  # login_access_sockets; None: no Dovecot


@dataclass(frozen=True)
class HostEvidence(Document):
    """Everything that one run of the agent learnt. None: looked for, and not installed."""

    SCHEMA: ClassVar[str] = "mailwitness/host/1"

    host: str  # the inventory name
    agent: AgentRun
    system: System
    software: Union[tuple[Software, ...], Missing]
    postfix: Union[Postfix, Missing, None]
    postfix_instances: Union[tuple[PostfixInstance, ...], Missing, None]
    dovecot: Union[Dovecot, Missing, None]
    sockets: Union[tuple[ListeningSocket, ...], Missing]  # of the host's own network namespace
    namespaces: Union[tuple[NetworkNamespace, ...], Missing]
    certificates: Union[tuple[CertificateFile, ...], Missing]
    keys: Union[tuple[KeyFile, ...], Missing]
    postfix_library: Union[TlsLibrary, Missing, None]  # None: there is no Postfix
    dovecot_library: Union[TlsLibrary, Missing, None]
    packet_filter: PacketFilter
    running: Union[tuple[Observation, ...], Missing]  # the host's own handshakes with its listeners
    network: Network
    access_control: AccessControl
