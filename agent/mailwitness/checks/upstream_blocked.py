"""What the host itself admits reaches it from outside."""

from collections.abc import Iterator

from mailwitness.checks._availability import (
    AVAILABILITY,
    for_want_of_a_connection,
    nobody_gets_through,
)
from mailwitness.correlate.endpoint import Endpoint
from mailwitness.correlate.filtered import all_admitted, shares
from mailwitness.evidence.probe import Observation
from mailwitness.firewall.verdict import Answer
from mailwitness.policy.check import Case, Check, Explains, Remedy, Scope
from mailwitness.policy.outcome import (
    NotKnownError,
    Outcome,
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
    if not known(endpoint.running).sockets:
        return not_applicable("nothing listens")
    lost = list(_lost(endpoint))
    if not lost:
        for sighting in endpoint.outside:
            known(sighting.observation)
        return passed("every vantage gets an answer")
    filtered = known(endpoint.filtered)
    said: list[Witness] = []
    for vantage, seen in lost:
        way = known(filtered.way_to(seen.address))
        if all_admitted(shares(way)):
            words = "every source is admitted"
            said += (
                Witness("filtered", f"{way.address} over {way.interface}", words),
                Witness(
                    "outside", f"{vantage} to {seen.address}", f"no answer: {seen.reach.detail}"
                ),
            )
        elif any(share.answer is not Answer.BLOCKED for share in shares(way)):
            raise NotKnownError(
                f"from which address {vantage} connects is not known, and some are kept out"
            )
    if said:
        return failed("something in front of the host drops what the host admits", said)
    return passed("the host itself keeps everyone out")


def _lost(endpoint: Endpoint) -> Iterator[tuple[str, Observation]]:
    for vantage, seen in endpoint.observations():
        if seen.reach.state in ("filtered", "unreachable"):
            yield vantage, seen


CHECK = Check(
    id="upstream-blocked",
    title="The host admits the connection, and it does not get there",
    severity=Severity.MEDIUM,
    rationale="The daemon listens and the host's own packet filter lets everyone in, yet a "
    "vantage gets no answer: another filter stands between them.",
    references=("RFC 7288",),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    explains=(
        Explains(AVAILABILITY, when=nobody_gets_through),
        Explains((), Outcome.NOT_ASSESSED, when=for_want_of_a_connection),
    ),
    views=("outside", "filtered"),
    remedies=(
        Remedy(
            "",
            "",
            "Ask for the port at what stands in front: the provider's firewall or security group,\n"
            "a router. On the host, tcpdump tcp port PORT shows whether the SYN arrives.",
        ),
    ),
)
