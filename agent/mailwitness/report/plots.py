"""The numbers behind the drawings: versions over the fleet, expiries, coverage of allowlists."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from mailwitness.evidence import probe
from mailwitness.policy.outcome import Severity

Json = dict[str, Any]

VERSIONS = probe.VERSIONS[1:]  # SSL 2.0 has no column: it is a finding wherever it is left
OUTDATED = frozenset(VERSIONS[:3])  # RFC 7568, RFC 8996
_RUNS = 60  # of the trend
_WEEKS = 2  # one bar of the timeline
_BARS = 27  # a year, and all that is later


@dataclass(frozen=True)
class Offer:
    """A version and on how many hosts some port offers it, none does, or it is not known."""

    version: str
    offered: int
    refused: int
    unknown: int

    @property
    def outdated(self) -> bool:
        return self.version in OUTDATED


@dataclass(frozen=True)
class Expiry:
    """A certificate that is served, and the ports where."""

    sha256: str
    not_after: str
    subject: str
    days: int  # from the evidence on; negative: expired
    places: tuple[tuple[str, str], ...]  # host, endpoint


@dataclass(frozen=True)
class Bar:
    """A run of the trend: failed findings from the most severe level up, as parts from 0 to 1."""

    day: str
    total: int
    parts: tuple[tuple[str, float, float], ...]  # level, where it begins, how high it is


@dataclass(frozen=True)
class Stretch:
    """A part of an address bar, from 0 to 1."""

    start: float
    width: float
    answer: str  # "missing" or "unknown"; what no stretch covers is admitted
    cidr: str


def versions(report: Json) -> list[Offer]:
    """One entry a version; only hosts that somebody shook hands with count as refusing."""
    found = []
    for version in VERSIONS:
        said = [_offers(host, version) for host in report["hosts"]]
        found.append(Offer(version, said.count(True), said.count(False), said.count(None)))
    return found


def _offers(host: Json, version: str) -> bool | None:
    answers = [
        answer["accepted"]
        for endpoint in host["endpoints"]
        for session in sessions(endpoint)
        for answer in session["versions"]
        if answer["version"] == version
    ]
    if any(answer is True for answer in answers):
        return True
    return False if answers and all(answer is False for answer in answers) else None


def sessions(endpoint: Json) -> Iterator[Json]:
    """All conversations with a port that came to a session, from outside and on the host."""
    seen = [*endpoint["outside"], endpoint["running"].get("handshake", {})]
    for each in seen:
        session = each.get("session", {"missing": ""})
        if "missing" not in session:
            yield session


def expiries(report: Json) -> list[Expiry]:
    """Every certificate that is served, the soonest first; days are counted from the evidence."""
    at: dict[str, dict[tuple[str, str], None]] = {}
    leaves: dict[str, Json] = {}
    for host in report["hosts"]:
        for endpoint in host["endpoints"]:
            for session in sessions(endpoint):
                for chain in session["certificates"]:
                    leaf = chain["leaf"]
                    if "missing" not in leaf:
                        leaves[leaf["sha256"]] = leaf
                        at.setdefault(leaf["sha256"], {})[host["name"], endpoint["id"]] = None
    now = _moment(report["collected_at"])
    found = [
        Expiry(
            digest,
            leaf["not_after"],
            leaf["subject"],
            (_moment(leaf["not_after"]) - now).days,
            tuple(at[digest]),
        )
        for digest, leaf in leaves.items()
    ]
    return sorted(found, key=lambda each: (each.not_after, each.subject))


def timeline(expiring: Sequence[Expiry]) -> list[int]:
    """How many expire: have, in each two weeks of the year to come, later."""
    bars = [0] * (_BARS + 1)
    for each in expiring:
        number = 0 if each.days < 0 else min(1 + each.days // (7 * _WEEKS), _BARS)
        bars[number] += 1
    return bars


def trend(before: Sequence[Json], report: Json) -> list[Bar]:
    """The runs before, of which no hosts are needed, and this one; none where it is the first."""
    runs = [*before, report][-_RUNS:]
    counts = [run["summary"]["by_severity"] for run in runs]
    most = max((sum(count.values()) for count in counts), default=0) or 1
    found = []
    for run, count in zip(runs, counts, strict=True):
        parts, height = [], 0.0
        for level in Severity:
            if count[level.value]:
                parts.append((level.value, height, count[level.value] / most))
                height += count[level.value] / most
        found.append(Bar(run["collected_at"][:10], sum(count.values()), tuple(parts)))
    return found if len(found) > 1 else []


def coverage(entry: Json) -> list[Stretch]:
    """An allowlist of report.json as a bar: its networks side by side, each as wide as the others.

    To scale, one IPv6 network would leave no room for all the rest.
    """
    found: list[Stretch] = []
    listed = [ip_network(cidr) for cidr in entry["cidrs"]]
    for answer in ("missing", "unknown"):
        for cidr in entry[answer]:
            found += _stretches(listed, ip_network(cidr), answer)
    return found


def _stretches(
    listed: Sequence[IPv4Network | IPv6Network], part: IPv4Network | IPv6Network, answer: str
) -> Iterator[Stretch]:
    for number, whole in enumerate(listed):
        if whole.version != part.version or not whole.overlaps(part):
            continue
        first = max(int(whole[0]), int(part[0]))
        last = min(int(whole[-1]), int(part[-1]))
        start = (first - int(whole[0])) / whole.num_addresses
        width = (last - first + 1) / whole.num_addresses
        yield Stretch((number + start) / len(listed), width / len(listed), answer, str(part))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
