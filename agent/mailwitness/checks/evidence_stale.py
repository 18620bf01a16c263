"""What the witnesses say is of this run, and not of an earlier one."""

import datetime
from collections.abc import Iterator

from mailwitness.correlate.endpoint import View
from mailwitness.correlate.host import Host
from mailwitness.evidence.missing import Missing
from mailwitness.policy.check import Case, Check, Scope
from mailwitness.policy.outcome import Severity, Verdict, Witness, failed, not_applicable, passed

# A day is the usual pace of periodic audits: what is further from the beginning of its run belongs
# to another one. An hour before it is more than clocks of a kept network differ.
_LATE = datetime.timedelta(days=1)
_EARLY = datetime.timedelta(hours=1)


def _judge(case: Case) -> Verdict:
    documents = list(_documents(case.host))
    if not documents:
        return not_applicable("there is no evidence of the host")
    began = datetime.datetime.fromisoformat(case.host.run_began)
    stale = [
        Witness(view, source, f"dated {moment}, in a run that began {case.host.run_began}")
        for view, source, moment in documents
        if not -_EARLY <= datetime.datetime.fromisoformat(moment) - began <= _LATE
    ]
    if stale:
        return failed("of another time than the run: left over, or a clock is wrong", stale)
    return passed("all evidence is of the time of the run")


def _documents(host: Host) -> Iterator[tuple[View, str, str]]:
    """View, source and date of each."""
    if not isinstance(host.inside, Missing):
        yield "running", "the agent on the host", host.inside.agent.started_at
    for vantage, seen in host.probes:
        if not isinstance(seen, Missing):
            yield "outside", vantage, seen.started_at


CHECK = Check(
    id="evidence-stale",
    title="The evidence is not of this run",
    severity=Severity.MEDIUM,
    rationale="What is judged may have changed long since, and the report would not show it. "
    "Where it is the host's clock that is wrong, it takes certificates for valid that are not.",
    references=("RFC 5280 §4.1.2.5",),
    scope=Scope.HOST,
    judge=_judge,
    always=True,
)
