"""A client outside gets what the daemon on the host gives."""

from collections.abc import Iterator

from mailwitness.checks._served import leaf_without_name
from mailwitness.correlate.endpoint import Look
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Session
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import (
    Severity,
    Verdict,
    Witness,
    failed,
    known,
    not_applicable,
    passed,
)


def _judge(case: Case) -> Verdict:
    endpoint = case.endpoint
    outside = endpoint.looks("outside")
    if not outside:
        for seen in endpoint.outside:
            known(seen.observation)
        return not_applicable("no vantage can connect")
    running = known(endpoint.running)
    own_observation = known(running.observation)
    if own_observation.reach.state != "open":
        return not_applicable("the host itself cannot connect")
    own = known(own_observation.session)
    witnesses: list[Witness] = []
    for look in outside:
        witnesses += _differences(own, known(look.session), look)
    if witnesses:
        return failed(
            "something between the daemon and its clients answers in its place", witnesses
        )
    return passed("outside and inside agree on versions, certificate and STARTTLS")


def _differences(own: Session, theirs: Session, look: Look) -> Iterator[Witness]:
    """A pair of witnesses for each thing in which the two differ."""
    if own.offers_tls != theirs.offers_tls:
        words = {True: "TLS is offered", False: "TLS is not offered"}
        yield from _pair(words[own.offers_tls], words[theirs.offers_tls], look)
    if not (own.offers_tls and theirs.offers_tls):
        return
    inside_leaf, outside_leaf = known(leaf_without_name(own)), known(leaf_without_name(theirs))
    if inside_leaf.fingerprint != outside_leaf.fingerprint:
        yield from _pair(
            f"certificate {inside_leaf.subject}, SHA-256 {inside_leaf.fingerprint[:16]}…",
            f"certificate {outside_leaf.subject}, SHA-256 {outside_leaf.fingerprint[:16]}…",
            look,
        )
    for answer in own.versions:
        there = theirs.accepts(answer.version)
        if isinstance(answer.accepted, Missing) or isinstance(there, Missing):
            continue
        if answer.accepted != there:
            words = {True: f"{answer.version} is accepted", False: f"{answer.version} is refused"}
            yield from _pair(words[answer.accepted], words[there], look)


def _pair(inside: str, outside: str, look: Look) -> Iterator[Witness]:
    yield Witness("running", "the host's own handshake", inside)
    yield Witness("outside", look.source, outside)


CHECK = Check(
    id="outside-differs",
    title="Clients outside get something else than the daemon gives",
    severity=Severity.MEDIUM,
    rationale="A proxy, a redirection or a gateway ends TLS before the daemon does: whatever is "
    "configured on the daemon is not what clients get, and must be put right where they end.",
    references=("RFC 7457 §2.1", "RFC 3207 §6"),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    relay_severity=Severity.MEDIUM,
    remedies=(
        Remedy(
            "",
            "",
            "Find what answers: nft list ruleset (redirect, dnat), a load balancer or a mail "
            "gateway in front. Set TLS there, or take it out of the way.",
        ),
    ),
)
