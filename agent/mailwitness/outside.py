"""The outside view alone: from the words of a command line or a file to the hosts to look at."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.resolver
from dns.rdtypes.ANY.MX import MX

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.names import client_names
from mailwitness.evidence.run import PlannedHost
from mailwitness.evidence.services import DEFAULT_PORTS
from mailwitness.probe.targets import parse

_MX = "mx:"
_RELAY = 25
_LOOK_UP = 15.0  # seconds for one domain, all its name servers together


class TargetError(Exception):
    """A word that is no target; the message says which, and what to write."""


@dataclass(frozen=True)
class Given:
    """What is told of all targets alike."""

    names: tuple[str, ...]  # that clients use; empty: each target's own
    ports: tuple[int, ...]  # empty: those of a target, or the usual ones
    trust_store: str | None  # PEM of further CAs


@dataclass
class Planned:
    """The hosts to look at, and the domains whose hosts are not known, with the reason."""

    hosts: list[PlannedHost] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)


def read_file(path: Path) -> list[str]:
    """The targets of a file: one a line, ``#`` begins a comment.

    Raises:
        TargetError: it cannot be read.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TargetError(f"{path}: not a text in UTF-8") from None
    return [word for line in lines if (word := line.partition("#")[0].strip())]


def plan(words: Iterable[str], given: Given) -> Planned:
    """A host for each name or address, with all ports that were named of it.

    ``mx:example.com`` stands for the mail servers of a domain, on the port by which mail comes to
    them. A domain that has none, or cannot be looked up, is a row all the same.

    Raises:
        TargetError: a word is no target.
    """
    ports: dict[str, list[int]] = {}
    planned = Planned()
    for word in words:
        for host, port in _targets(word, planned):
            its = ports.setdefault(host, [])
            its += given.ports or ((port,) if port else DEFAULT_PORTS)
    for host in planned.unknown:
        ports.setdefault(host, [_RELAY])
    planned.hosts += (
        PlannedHost(
            name=host,
            address=host,
            groups=(),
            names=given.names or client_names((host,)),
            ports=tuple(dict.fromkeys(its)),
            policies=(),
            trust_store=given.trust_store,
            allowlists=(),
            contacts=(),
        )
        for host, its in ports.items()
    )
    return planned


def _targets(word: str, planned: Planned) -> Iterator[tuple[str, int | None]]:
    if word.startswith(_MX):
        domain = word.removeprefix(_MX)
        servers = mail_servers(domain)
        if isinstance(servers, Missing):
            planned.unknown[domain] = servers.reason
        else:
            yield from ((server, _RELAY) for server in servers)
        return
    try:
        yield parse(word)
    except ValueError as error:
        raise TargetError(str(error)) from None


def mail_servers(domain: str) -> tuple[str, ...] | Missing:
    """Where mail for the domain goes, the most preferred first (RFC 5321 §5.1)."""
    try:
        answer = dns.resolver.resolve(domain, "MX", lifetime=_LOOK_UP)
    except dns.resolver.NoAnswer:
        return (domain,)  # which then takes its mail itself, by the same paragraph
    except dns.resolver.NXDOMAIN:
        return Missing(f"there is no domain {domain}")
    except (dns.exception.DNSException, ValueError) as error:
        return Missing(f"the mail servers of {domain} cannot be looked up: {error}")
    records = sorted(
        (record.preference, record.exchange.to_text(omit_final_dot=True))
        for record in answer
        if isinstance(record, MX)
    )
    if [name for _, name in records] == ["."]:
        return Missing(f"{domain} takes no mail: its MX is null (RFC 7505)")
    return tuple(dict.fromkeys(name for _, name in records))
