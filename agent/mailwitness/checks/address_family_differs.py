"""Every address of a host answers alike, IPv4 and IPv6."""

from collections.abc import Iterator
from itertools import combinations

from mailwitness.checks._served import leaf_without_name
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, Session
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import (
    NotKnownError,
    Severity,
    Verdict,
    Witness,
    failed,
    known,
    not_applicable,
    passed,
)


def _judge(case: Case) -> Verdict:
    by_vantage: dict[str, list[Observation]] = {}
    for vantage, seen in case.endpoint.observations():
        by_vantage.setdefault(vantage, []).append(seen)
    if all(len(seen) < 2 for seen in by_vantage.values()):  # noqa: PLR2004
        for sighting in case.endpoint.outside:
            known(sighting.observation)
        return not_applicable("the probe looked at one address alone")
    said: dict[Witness, None] = {}
    unknown: list[str] = []
    for vantage, observations in by_vantage.items():
        for one, other in combinations(observations, 2):
            differing = _reach(one, other) or _answers(one, other)
            if isinstance(differing, Missing):
                unknown.append(f"{vantage}: {differing.reason}")
                continue
            for seen, words in zip((one, other), differing, strict=True):
                for word in words:
                    said[Witness("outside", f"{vantage} to {seen.address}", word)] = None
    if said:
        return failed("clients get something else by one address than by another", said)
    if unknown:
        raise NotKnownError("; ".join(unknown))
    return passed("every address answers alike")


_Differing = tuple[list[str], list[str]]  # what the one says, and what the other


def _reach(one: Observation, other: Observation) -> _Differing | Missing | None:
    """None: both are open, and there is more to compare."""
    states = (one.reach.state, other.reach.state)
    if states == ("open", "open"):
        return None
    for seen in (one, other):
        if isinstance(seen.reach.source_address, Missing):
            return Missing(f"{seen.address}: {seen.reach.detail}, from this vantage at least")
    if "open" not in states:
        return [], []
    return [f"{states[0]} ({one.reach.detail})"], [f"{states[1]} ({other.reach.detail})"]


def _answers(one: Observation, other: Observation) -> _Differing | Missing:
    if isinstance(one.session, Missing):
        return Missing(f"{one.address}: {one.session.reason}")
    if isinstance(other.session, Missing):
        return Missing(f"{other.address}: {other.session.reason}")
    pairs = list(_pairs(one.session, other.session))
    differing = [pair for pair in pairs if not isinstance(pair, Missing) and pair[0] != pair[1]]
    if differing:
        return [mine for mine, _ in differing], [theirs for _, theirs in differing]
    for pair in pairs:
        if isinstance(pair, Missing):
            return pair
    return [], []


def _pairs(one: Session, other: Session) -> Iterator[tuple[str, str] | Missing]:
    """The same thing of both, in words that differ only where the things do."""
    yield _offer(one), _offer(other)
    if not (one.offers_tls and other.offers_tls):
        return
    for answer in one.versions:
        there = other.accepts(answer.version)
        if isinstance(answer.accepted, Missing):
            yield answer.accepted
        elif isinstance(there, Missing):
            yield there
        else:
            here = _version(answer.version, accepted=answer.accepted)
            yield here, _version(answer.version, accepted=there)
    yield _both(_certificate(one), _certificate(other))
    yield _both(_mechanisms(one), _mechanisms(other))


def _both(one: str | Missing, other: str | Missing) -> tuple[str, str] | Missing:
    if isinstance(one, Missing):
        return one
    return other if isinstance(other, Missing) else (one, other)


def _offer(session: Session) -> str:
    return "TLS is offered" if session.offers_tls else "TLS is not offered"


def _version(version: str, *, accepted: bool) -> str:
    return f"{version} is {'accepted' if accepted else 'refused'}"


def _certificate(session: Session) -> str | Missing:
    leaf = leaf_without_name(session)
    if isinstance(leaf, Missing):
        return leaf
    return f"certificate {leaf.subject}, SHA-256 {leaf.fingerprint[:16]}…"


def _mechanisms(session: Session) -> str | Missing:
    inside = session.inside_tls
    if isinstance(inside, Missing):
        return inside
    return f"logins inside TLS: {' '.join(inside.mechanisms) or 'none'}"


CHECK = Check(
    id="address-family-differs",
    title="Addresses of the host answer differently",
    severity=Severity.MEDIUM,
    relay_severity=Severity.LOW,
    rationale="A client takes whichever address it is given, IPv6 first where it has it: what is "
    "right at one address alone works for some clients and fails for others, or leaves a way "
    "in that nobody looks after.",
    references=("RFC 8305 §1", "RFC 7381 §2.4.3"),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    views=("outside",),
    remedies=(
        Remedy(
            "dovecot",
            "",
            "Listen on both: listen = *, ::\nThen: doveadm reload, and the same rules in the "
            "packet filter for ip and ip6.",
        ),
        Remedy(
            "postfix",
            "",
            "Listen on both: postconf -e inet_protocols=all inet_interfaces=all && "
            "systemctl restart postfix, and the same rules in the packet filter for ip and ip6.",
        ),
        Remedy(
            "",
            "",
            "Where the second address is another machine's, take it out of the DNS or set that "
            "machine up alike.",
        ),
    ),
)
