"""What the host itself admits reaches it from outside."""

from mailwitness.checks._availability import (
    AVAILABILITY,
    for_want_of_a_connection,
    nobody_gets_through,
)
from mailwitness.correlate.vantage import decision
from mailwitness.evidence.missing import Missing
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

# A port that is refused listens on the host, so somebody else refuses it.
_NOT_CONNECTED = ("filtered", "unreachable", "refused", "reset")


def _judge(case: Case) -> Verdict:
    endpoint = case.endpoint
    if not known(endpoint.running).sockets:
        return not_applicable("nothing listens")
    lost = [
        (vantage, seen)
        for vantage, seen in endpoint.observations()
        if seen.reach.state in _NOT_CONNECTED
    ]
    said: list[Witness] = []
    unknown: list[str] = []
    for vantage, seen in lost:
        decided = decision(seen, known(endpoint.filtered))
        if isinstance(decided, Missing):
            unknown.append(f"{vantage}: {decided.reason}")
        elif decided.share.answer is Answer.UNDECIDED:
            unknown.append(f"{vantage}: {decided.doubt}")
        elif decided.share.answer is Answer.ADMITTED:
            where = f"{decided.way.address} over {decided.way.interface}"
            by = f"{decided.of} is admitted by {decided.share.decided_by}"
            nothing = f"no connection: {seen.reach.detail}"
            said += (
                Witness("filtered", where, by),
                Witness("outside", f"{vantage} to {seen.address}", nothing),
            )
    if said:
        return failed("something in front of the host stops what the host admits", said)
    if unknown:
        raise NotKnownError("; ".join(unknown))
    for sighting in endpoint.outside:
        known(sighting.observation)
    if lost:
        return passed("the host itself keeps out whoever gets no connection")
    return passed("every vantage gets an answer")


CHECK = Check(
    id="upstream-blocked",
    title="The host admits the connection, and it does not get there",
    severity=Severity.MEDIUM,
    rationale="The daemon listens and the host's own packet filter lets the vantage in, yet it "
    "gets no connection: another filter stands between them.",
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
