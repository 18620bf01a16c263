"""What keeps a client out after the packet filter let it in: the daemons' own access rules."""

import re
from collections.abc import Iterator

from mailwitness.correlate import dovecot_access, postfix_access
from mailwitness.correlate.endpoint import RELAY_PORT, Configured
from mailwitness.correlate.filtered import Gate
from mailwitness.correlate.networks import networks
from mailwitness.evidence.host import DovecotListener, HostEvidence, Jail
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.addresses import EVERYTHING, NOTHING, IntervalSet

# Jails whose bans are meant for mail clients, as fail2ban and its users name them.
_MAIL_JAIL = re.compile(
    r"dovecot|postfix|imap|pop3|smtp|sasl|mail|recidive|submission", re.IGNORECASE
)


def gates(inside: HostEvidence, port: int, setting: Configured | Missing | None) -> Iterator[Gate]:
    """All gates of a port; `setting`: what is configured there, None: another program has it."""
    for family in (4, 6):
        if isinstance(setting, Missing):
            said = f"the access rules of the daemon: {setting.reason}"
            yield Gate.of_service(family, EVERYTHING, said, surely=False)
        elif setting is not None:
            yield from _of_daemon(family, inside, port, setting)
        yield from _bans(family, inside)


def _of_daemon(family: int, inside: HostEvidence, port: int, setting: Configured) -> Iterator[Gate]:
    listener, settings = setting.listener, setting.settings
    if isinstance(listener, DovecotListener):
        access = inside.access_control
        yield from dovecot_access.kept_out(family, listener, settings, access)
        if not listener.haproxy:  # whose clients are those that the proxy names
            protocol = listener.service.removesuffix("-login")
            yield from dovecot_access.no_login(family, protocol, inside.dovecot)
        return
    yield from postfix_access.kept_out(family, listener, settings, setting.client_tables)
    by_dovecot = settings.get("smtpd_sasl_type") == "dovecot"
    if port != RELAY_PORT and by_dovecot and settings.get("smtpd_sasl_auth_enable") == "yes":
        yield from dovecot_access.no_login(family, "smtp", inside.dovecot)


def _bans(family: int, inside: HostEvidence) -> Iterator[Gate]:
    """Where a ban is not seen in the packet filter, it may be kept by other means."""
    for jail in _mail_jails(inside):
        if banned := networks(family, jail.banned):
            said = f"fail2ban's jail {jail.name} bans it by means not seen here"
            yield Gate.of_service(family, banned, said, surely=False)


def mail_bans(
    inside: HostEvidence, family: int, among: IntervalSet
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The jails meant for mail that ban some of these addresses, and the bans as they stand.

    fail2ban lifts a ban of a network as a whole or not at all.
    """
    for jail in _mail_jails(inside):
        hit = tuple(
            ban for ban in jail.banned if (networks(family, [ban]) or NOTHING).overlaps(among)
        )
        if hit:
            yield jail.name, hit


def _mail_jails(inside: HostEvidence) -> Iterator[Jail]:
    jails = inside.access_control.fail2ban
    for jail in () if jails is None or isinstance(jails, Missing) else jails:
        if _MAIL_JAIL.search(jail.name):
            yield jail
