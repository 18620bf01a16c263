"""What keeps clients away beside the packet filter: fail2ban's bans, hosts.allow and hosts.deny."""

import ipaddress
import re
from pathlib import Path
from typing import Union

from mailwitness.evidence.host import AccessControl, Jail
from mailwitness.evidence.missing import Missing
from mailwitness.host import command, files

_ETC = Path("/etc")
# The names by which mail daemons ask hosts_access(5), and the wildcard for every daemon.
_DAEMON = re.compile(r"\b(ALL|dovecot|imaps?|imap-login|pop3s?|pop3-login|smtpd?|postfix)\b")
_COLON = re.compile(r":(?![^\[\]]*\])")
_MAX_BYTES = 1 << 20
_MAX_JAILS = 100


def access_control() -> AccessControl:
    """All of it; fail2ban's socket needs root."""
    return AccessControl(
        fail2ban=_fail2ban(),
        hosts_allow=_rules(_ETC / "hosts.allow"),
        hosts_deny=_rules(_ETC / "hosts.deny"),
        dovecot_access_sockets=_dovecot_access_sockets(),
    )


def _fail2ban() -> Union[tuple[Jail, ...], Missing, None]:
    """`banned` came with 0.11; `status` has been there always."""
    answer = command.run(("fail2ban-client", "status"))
    if isinstance(answer, command.NotInstalled):
        return None
    if isinstance(answer, Missing):
        return answer
    names = re.findall(r"[\w.-]+", _after("Jail list:", answer))
    jails = []
    for name in names[:_MAX_JAILS]:
        status = command.run(("fail2ban-client", "status", name))
        if isinstance(status, Missing):
            return status
        words = _after("Banned IP list:", status).split()
        jails.append(Jail(name, tuple(filter(_is_network, words))))
    if len(names) > _MAX_JAILS:
        return Missing(f"fail2ban has more than {_MAX_JAILS} jails")
    return tuple(jails)


def _after(label: str, text: str) -> str:
    """What stands on the line after the label."""
    return next((line.partition(label)[2] for line in text.splitlines() if label in line), "")


def _is_network(word: str) -> bool:
    try:
        ipaddress.ip_network(word, strict=False)
    except ValueError:
        return False
    return True


def _rules(file: Path) -> Union[tuple[str, ...], Missing, None]:
    """The rules for mail daemons alone; hosts_access(5): a backslash continues a line."""
    found = files.read(file, _MAX_BYTES)
    if isinstance(found, Missing):
        return None if isinstance(found, files.NotThere) else found
    lines = (line.strip() for line in found.text.replace("\\\n", " ").splitlines())
    return tuple(
        _without_commands(line)
        for line in lines
        if not line.startswith("#") and _DAEMON.search(line.partition(":")[0])
    )


def _without_commands(line: str) -> str:
    """Daemons, clients, and of hosts_options(5) the keywords alone: commands may hold anything."""
    # Colons in brackets are those of an IPv6 address.
    daemons, clients, *options = [*_COLON.split(line), ""]
    keywords = [option.split()[0] for option in options if option.split()]
    return ":".join((daemons, clients, *keywords))


def _dovecot_access_sockets() -> Union[str, Missing, None]:
    """Only with login_access_sockets = tcpwrap does Dovecot ask hosts.allow; 2.4 has it no more."""
    answer = command.run(("doveconf", "-h", "login_access_sockets"))
    if isinstance(answer, command.NotInstalled):
        return None
    if isinstance(answer, Missing):
        return "" if "nknown setting" in answer.reason else answer
    return answer.strip()
