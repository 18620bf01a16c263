"""What keeps a client out after the packet filter let it in: the daemons' own access rules."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailwitness.correlate.access_table import access_table, split
from mailwitness.correlate.hosts_access import refused
from mailwitness.evidence.host import HostEvidence, Jail
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.addresses import EVERYTHING, NOTHING, IntervalSet, parse_network, union
from mailwitness.firewall.verdict import Answer, Decider, Layer

# Jails whose bans are meant for mail clients, as fail2ban and its users name them.
_MAIL_JAIL = re.compile(
    r"dovecot|postfix|imap|pop3|smtp|sasl|mail|recidive|submission", re.IGNORECASE
)
# postconf(5): what lets some clients in early and keeps nobody out.
_ONLY_PERMITS = frozenset(
    {"permit_inet_interfaces", "permit_tls_all_clientcerts", "permit_tls_clientcerts"}
)
_BEHAVIOUR = frozenset({"reject_unauth_pipelining"})  # of what a client does, not who it is


@dataclass(frozen=True)
class Gate:
    """Sources of one family that a named layer blocks, or may block."""

    family: int
    sources: IntervalSet
    answer: Answer
    reason: str  # empty unless undecided
    decider: Decider


def gates(
    inside: HostEvidence,
    product: str | None,
    settings: Mapping[str, str],
    protocol: str | None = None,
) -> Iterator[Gate]:
    """All gates of a port that this product serves with these settings; None: not known which."""
    for family in (4, 6):
        if product == "postfix":
            yield from _client_restrictions(family, settings)
        elif product == "dovecot":
            yield from _tcp_wrappers(family, inside, protocol)
        yield from _bans(family, inside)


def _client_restrictions(family: int, settings: Mapping[str, str]) -> Iterator[Gate]:
    """postconf(5), smtpd_client_restrictions: asked in order, until one permits or rejects."""
    name = "smtpd_client_restrictions"
    text = settings.get(name)
    if text is None:
        yield _undecided(family, EVERYTHING, f"Postfix's {name} is not known")
        return
    rest = EVERYTHING  # whom no restriction has let in or kept out yet
    words = iter(split(text))
    for word in words:
        if word == "permit" or (
            # Whoever logs in is let in from anywhere.
            word == "permit_sasl_authenticated" and settings.get("smtpd_sasl_auth_enable") == "yes"
        ):
            return
        if word in _ONLY_PERMITS or word in _BEHAVIOUR or word == "permit_sasl_authenticated":
            continue
        said = f"Postfix's {name}: {word}"
        if word == "permit_mynetworks":
            own = _networks(family, settings.get("mynetworks"))
            if own is None:
                yield _undecided(family, EVERYTHING, "Postfix's mynetworks names a table")
                return
            rest -= own
            continue
        if word == "reject":
            yield Gate(family, rest, Answer.BLOCKED, "", Decider(Layer.SERVICE, said))
            return
        table = word
        if word == "check_client_access":
            table = next(words, "")
            said = f"Postfix's {name}: {word} {table}"
        access = access_table(table, family) if ":" in table else None
        if access is None:
            yield _undecided(family, rest, f"{said} hangs on what is not in the evidence")
            return
        kept_out = rest & access.rejected
        yield Gate(family, kept_out, Answer.BLOCKED, "", Decider(Layer.SERVICE, said))
        yield _undecided(family, rest & access.unsure, f"{said} may fit or not")
        rest -= access.rejected | access.permitted | access.unsure


def _networks(family: int, text: str | None) -> IntervalSet | None:
    """Mynetworks of one family; None where an entry is no plain network."""
    found = []
    for word in (text or "").replace(",", " ").split():
        try:
            its_family, members = parse_network(word.replace("[", "").replace("]", ""))
        except ValueError:
            return None
        if its_family == family:
            found.append(members)
    return None if text is None else union(found)


def _tcp_wrappers(family: int, inside: HostEvidence, protocol: str | None) -> Iterator[Gate]:
    """Only where Dovecot, before 2.4, was told to ask hosts_access(5): for "imap" or "pop3"."""
    access = inside.access_control
    asks, allow, deny = access.dovecot_access_sockets, access.hosts_allow, access.hosts_deny
    if not asks:
        return
    if isinstance(allow, Missing) or isinstance(deny, Missing):
        yield _undecided(family, EVERYTHING, "Dovecot asks hosts.allow and hosts.deny, not read")
        return
    for found in refused(family, protocol, allow or (), deny or ()):
        said = f"Dovecot (login_access_sockets) asks {found.rule}"
        if isinstance(asks, Missing):
            yield _undecided(family, found.sources, f"{said}, perhaps: {asks.reason}")
        elif not found.surely:
            yield _undecided(family, found.sources, said)
        else:
            yield Gate(family, found.sources, Answer.BLOCKED, "", Decider(Layer.SERVICE, said))


def _bans(family: int, inside: HostEvidence) -> Iterator[Gate]:
    """Where a ban is not seen in the packet filter, it may be kept by other means."""
    for jail in _mail_jails(inside):
        if banned := _networks(family, " ".join(jail.banned)):
            reason = f"fail2ban's jail {jail.name} bans it by means not seen here"
            yield _undecided(family, banned, reason)


def mail_bans(
    inside: HostEvidence, family: int, among: IntervalSet
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The jails meant for mail that ban some of these addresses, and the bans as they stand.

    fail2ban lifts a ban of a network as a whole or not at all.
    """
    for jail in _mail_jails(inside):
        hit = tuple(
            ban for ban in jail.banned if (_networks(family, ban) or NOTHING).overlaps(among)
        )
        if hit:
            yield jail.name, hit


def _mail_jails(inside: HostEvidence) -> Iterator[Jail]:
    jails = inside.access_control.fail2ban
    for jail in jails if isinstance(jails, tuple) else ():
        if _MAIL_JAIL.search(jail.name):
            yield jail


def _undecided(family: int, sources: IntervalSet, reason: str) -> Gate:
    return Gate(family, sources, Answer.UNDECIDED, reason, Decider(Layer.SERVICE, reason))
