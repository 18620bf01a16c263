"""What the host says is closed cannot be reached."""

from mailwitness.correlate.filtered import shares
from mailwitness.firewall.verdict import Answer, Layer
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
    open_to = [
        (vantage, seen)
        for vantage, seen in case.endpoint.observations()
        if seen.reach.state == "open"
    ]
    if not open_to:
        return not_applicable("no vantage can connect")
    filtered = known(case.endpoint.filtered)
    said: list[Witness] = []
    for vantage, seen in open_to:
        way = known(filtered.way_to(seen.address))
        found = list(shares(way))
        # A daemon's own access rules answer first and refuse then: to connect proves nothing.
        if all(
            share.answer is Answer.BLOCKED and share.decided_by.layer is not Layer.SERVICE
            for share in found
        ):
            where = f"{way.address} over {way.interface}"
            by = "; ".join(dict.fromkeys(str(share.decided_by) for share in found))
            said += (
                Witness("filtered", where, f"nobody is admitted: {by}"),
                Witness("outside", f"{vantage} to {seen.address}", "connected"),
            )
    if said:
        return failed("the host says that nobody can connect, and a vantage did", said)
    return passed("where a vantage connects, the host's filter admits somebody")


CHECK = Check(
    id="unexpected-exposure",
    title="A port that the host says is closed can be reached",
    severity=Severity.HIGH,
    relay_severity=Severity.HIGH,
    rationale="The host's packet filter and listeners say that nobody can connect, and a vantage "
    "does: something answers in the host's place, or the filter is not what it seems.",
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
            "Where nothing arrives, a proxy or an address translation in front of it answers.",
        ),
    ),
)
