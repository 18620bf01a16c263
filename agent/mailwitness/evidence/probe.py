"""What a client gets from a mail port: the evidence of a probe, from wherever it looked."""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Optional, Union, get_args

from mailwitness.evidence.codec import Document, Port
from mailwitness.evidence.missing import Missing

Protocol = Literal["imap", "pop3", "smtp"]
TlsMode = Literal["implicit", "starttls"]
ReachState = Literal["open", "refused", "filtered", "reset", "unreachable", "error"]
VersionName = Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
VERSIONS: tuple[VersionName, ...] = get_args(VersionName)  # the oldest first
StarttlsState = Literal["ready", "not-offered", "refused", "unknown"]
Order = Literal["server", "client"]
Trusted = Literal["chain", "fingerprint"]


class Reach(NamedTuple):
    """Whether a connection came about. `filtered`: nothing came back within the time limit.

    `source_address` is the vantage's own end of the connection, or of the attempt. Behind a
    router that translates addresses the host sees another one.
    """

    state: ReachState
    detail: str
    milliseconds: float
    source_address: Union[str, Missing]


class Capabilities(NamedTuple):
    """What the server says it can do, as it said it.

    `lines`: the words of an IMAP CAPABILITY, or one line each of SMTP EHLO or POP3 CAPA,
    without their status codes.
    """

    lines: tuple[str, ...]

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The SASL mechanisms offered here and now, upper case, sorted.

        IMAP says ``AUTH=PLAIN`` (RFC 9051), SMTP ``AUTH PLAIN LOGIN`` (RFC 4954; the old
        ``AUTH=`` too), POP3 ``SASL PLAIN`` (RFC 5034).
        """
        found: set[str] = set()
        for line in self.lines:
            words = line.upper().replace("AUTH=", "AUTH ").split()
            if words and words[0] in ("AUTH", "SASL"):
                found.update(words[1:])
        return tuple(sorted(found))

    def says(self, word: str) -> bool:
        """Whether a line begins with `word`, in any case."""
        return any(line.upper().split()[:1] == [word.upper()] for line in self.lines)


class Starttls(NamedTuple):
    """How the upgrade went: `refused` holds the server's answer, `unknown` why it is not known."""

    state: StarttlsState
    detail: str


class VersionAnswer(NamedTuple):
    """One protocol version, asked for by a hello that offers nothing else (RFC 8446 §4.1.2).

    `proof` is the server's own answer: the version and suite of its ServerHello, its alert,
    or its closing of the connection where a control handshake on that endpoint worked.
    """

    version: VersionName
    accepted: Union[bool, Missing]
    proof: str


class ServedChain(NamedTuple):
    """The certificates served for one server name, PEM, the leaf apart (it always comes first)."""

    server_name: Optional[str]  # None: the hello named no server
    leaf: Union[str, Missing]
    intermediates: Union[tuple[str, ...], Missing]


class Enumerated(NamedTuple):
    """Everything of one kind that a server takes, found by taking its choice off the offer.

    `names` are accepted for certain, in the order of choice, as IANA names them; a number
    without a name is written as such. `rest` is the server's own refusal of all others, or why
    that is not known: then there may be more. `order` is whose preference decides.
    """

    version: VersionName
    names: tuple[str, ...]
    rest: Union[str, Missing]
    order: Union[Order, Missing, None]  # None: there was nothing to choose between


class Prime(NamedTuple):
    """The size of a Diffie-Hellman prime, and the suites that it was used with, sorted."""

    bits: int
    suites: tuple[str, ...]


class Negotiation(NamedTuple):
    """What can be agreed on beside the version, without a server name."""

    suites: tuple[Enumerated, ...]  # for each accepted version
    # Key exchange: elliptic curves by the newest of the versions up to 1.2, and for 1.3 all kinds.
    groups: tuple[Enumerated, ...]
    signatures: tuple[Enumerated, ...]  # under the key exchange of TLS 1.2; 1.3 encrypts them
    primes: tuple[Prime, ...]  # of DH without negotiated groups, the smallest first


class Features(NamedTuple):
    """What goes with a handshake, without a server name, by the newest version up to 1.2.

    None: that version has no such thing, or there is none (1.3 alone is accepted, and encrypts
    or has done away with all of them).
    """

    secure_renegotiation: Union[bool, Missing, None]  # RFC 5746
    compression: Union[bool, Missing, None]  # RFC 3749
    session_tickets: Union[bool, Missing, None]  # RFC 5077
    extended_master_secret: Union[bool, Missing, None]  # RFC 7627
    encrypt_then_mac: Union[bool, Missing, None]  # RFC 7366; None: no CBC suite is accepted
    ocsp_stapling: Union[bool, Missing, None]  # RFC 6066 §8
    client_certificate: Union[bool, Missing, None]  # asked for
    fallback_scsv: Union[bool, Missing, None]  # RFC 7507; None: one version alone is accepted


class Injection(NamedTuple):
    """Whether a command sent in clear right behind STARTTLS was answered inside TLS."""

    accepted: Union[bool, Missing]
    proof: str


class Session(NamedTuple):
    """What a connected client was told."""

    greeting: Union[str, Missing]
    before_tls: Union[Capabilities, Missing, None]  # None: TLS from the first byte
    starttls: Optional[Starttls]  # None: TLS from the first byte
    inside_tls: Union[Capabilities, Missing]
    versions: tuple[VersionAnswer, ...]
    chains: tuple[ServedChain, ...]  # for each name, one of each type of key
    # Missing, all three, where only versions and chains were asked for.
    negotiation: Union[Negotiation, Missing]
    features: Union[Features, Missing]
    injection: Union[Injection, Missing, None]  # None: TLS from the first byte

    @property
    def offers_tls(self) -> bool:
        """TLS from the first byte, or an offer of STARTTLS, whatever comes of it."""
        return self.starttls is None or self.starttls.state != "not-offered"

    @property
    def accepted_versions(self) -> tuple[str, ...]:
        """The versions that are known to be accepted, in the order asked."""
        return tuple(answer.version for answer in self.versions if answer.accepted is True)

    def accepts(self, version: str) -> Union[bool, Missing]:
        """The answer for one version; `Missing` where it was not asked or not answered."""
        for answer in self.versions:
            if answer.version == version:
                return answer.accepted
        return Missing(f"{version} was not asked for")


class LoginStep(NamedTuple):
    """A command, and what was answered: codes alone, for a server may say back what it heard."""

    command: str  # "AUTHENTICATE PLAIN", "SELECT INBOX"
    accepted: bool
    answer: str  # "NO [AUTHENTICATIONFAILED]", "235 2.7.0"


class Login(NamedTuple):
    """A real login with a test account, whose name and password are nowhere in the evidence.

    `trusted_by`: a chain to a trusted CA for `server_name`, or an exception for this certificate.
    """

    server_name: str
    trusted_by: Trusted
    steps: tuple[LoginStep, ...]  # the login, and where it was accepted one command after it


class Observation(NamedTuple):
    """One look at one port of one address."""

    address: str
    port: Port
    protocol: Protocol
    tls: TlsMode
    observed_at: str  # UTC, ISO 8601 with Z
    reach: Reach
    session: Union[Session, Missing]
    turned_away: int  # connections that the server did not want: too many for it, or too fast
    login: Union[Login, Missing, None]  # None: no account was given for this port


@dataclass(frozen=True)
class ProbeEvidence(Document):
    """Everything that one vantage saw of one host."""

    SCHEMA: ClassVar[str] = "mailwitness/probe/1"

    tool_version: str
    host: str  # the inventory name
    vantage: str
    target: str  # the name or address that was looked up
    names: tuple[str, ...]  # server names that were asked for by SNI
    started_at: str  # UTC, ISO 8601 with Z
    seconds: float
    observations: Union[tuple[Observation, ...], Missing]  # Missing: the name did not resolve
