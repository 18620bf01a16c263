"""What the host says is closed cannot be reached."""

from mailwitness.correlate.vantage import decision
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.verdict import Answer
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
    open_to = [
        (vantage, seen)
        for vantage, seen in case.endpoint.observations()
        if seen.reach.state == "open"
    ]
    if not open_to:
        return not_applicable("no vantage can connect")
    said: list[Witness] = []
    unknown: list[str] = []
    for vantage, seen in open_to:
        decided = decision(seen, known(case.endpoint.filtered))
        if isinstance(decided, Missing):
            unknown.append(f"{vantage}: {decided.reason}")
        elif decided.by_daemon:
            continue  # to connect proves nothing of what it does then
        elif decided.share.answer is Answer.UNDECIDED:
            unknown.append(f"{vantage}: {decided.doubt}")
        elif decided.share.answer is Answer.BLOCKED:
            where = f"{decided.way.address} over {decided.way.interface}"
            by = f"{decided.of} is not admitted: {decided.share.decided_by}"
            said += (
                Witness("filtered", where, by),
                Witness("outside", f"{vantage} to {seen.address}", "connected"),
            )
    if said:
        return failed("the host says that it keeps a vantage out, and that vantage connects", said)
    if unknown:
        raise NotKnownError("; ".join(unknown))
    return passed("the host admits every vantage that connects")


CHECK = Check(
    id="unexpected-exposure",
    title="A port that the host says is closed can be reached",
    severity=Severity.HIGH,
    relay_severity=Severity.HIGH,
    rationale="The host's packet filter and listeners keep a vantage out, and it connects: "
    "something answers in the host's place or hides its clients' addresses, or the filter is not "
    "what it seems.",
    references=("RFC 7288",),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    views=("outside", "filtered"),
    remedies=(
        Remedy(
            "",
            "",
            "Find what answers: on the host, tcpdump tcp port PORT while a vantage connects.\n"
            "Where nothing arrives, a proxy or an address translation in front of it answers;\n"
            "where it comes from another address than the vantage's, a router translates that,\n"
            "and the host cannot tell its clients apart: filter there, or have it keep them.",
        ),
    ),
)
