"""Asks every check of every subject, and turns whatever comes of it into findings."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from mailwitness.correlate.endpoint import RELAY_PORT, Configured, Endpoint, Look, View
from mailwitness.correlate.host import Host
from mailwitness.evidence.host import PostfixService
from mailwitness.evidence.missing import Missing
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import NotKnownError, Outcome, Severity, Verdict, Witness
from mailwitness.policy.profile import Profile
from mailwitness.policy.waiver import State, Waiver

_DAEMONS = ("dovecot", "postfix")
# To come by a member of an enumeration is slow, and a host has hundreds of verdicts.
_FAIL = Outcome.FAIL
# What of the verdicts on conversations counts: of all, and then of the strongest view.
_ANYWHERE = (Outcome.ERROR, _FAIL)
_BY_THE_STRONGEST = (Outcome.NOT_ASSESSED, Outcome.PASS, Outcome.NOT_APPLICABLE)
# How the reason begins of a check that had no conversation to judge.
NO_CONNECTION = "no connection came about: "


class Finding(NamedTuple):
    """A verdict with its subject, and the policies that lead to it (none: asked always)."""

    check: Check
    severity: Severity
    endpoint: Endpoint | None
    verdict: Verdict
    policies: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    waiver: Waiver | None = None  # in force
    in_baseline: bool = False
    causes: tuple[tuple[str, str | None], ...] = ()  # the failures that it follows from

    @property
    def outcome(self) -> Outcome:
        """The verdict's, or what a waiver or the baseline makes of a failure."""
        said = self.verdict.outcome
        if said is not _FAIL:
            return said
        if self.waiver:
            return Outcome.WAIVED
        return Outcome.ACCEPTED if self.in_baseline else said


class Question(NamedTuple):
    """A check, and those that ask for it."""

    check: Check
    profiles: tuple[Profile, ...]
    policies: tuple[str, ...]  # their ids


class Questions(NamedTuple):
    """What some policies ask: of a host, of its port 25, and of its other ports."""

    of_host: tuple[Question, ...]
    of_relay: tuple[Question, ...]
    of_endpoint: tuple[Question, ...]


def questions(profiles: Sequence[Profile], checks: Iterable[Check]) -> Questions:
    """Hosts that are judged by the same policies are asked the same."""
    every = tuple(checks)
    of_host = [check for check in every if check.scope is Scope.HOST]
    of_endpoint = [check for check in every if check.scope in (Scope.ENDPOINT, Scope.LOOK)]
    return Questions(
        tuple(_asked(of_host, profiles, relay=False)),
        tuple(_asked(of_endpoint, profiles, relay=True)),
        tuple(_asked(of_endpoint, profiles, relay=False)),
    )


def _asked(
    checks: Iterable[Check], profiles: Sequence[Profile], *, relay: bool
) -> Iterator[Question]:
    for check in checks:
        asking = tuple(each for each in profiles if each.paragraph(check.id, relay=relay))
        # Numbers of a policy are needed where a check goes by them.
        if asking or (check.always and not check.criteria):
            yield Question(check, asking, tuple(each.id for each in asking))


def judge(host: Host, asked: Questions) -> tuple[Finding, ...]:
    """All findings of one host, passes included, the worst first."""
    findings: list[Finding] = []
    for endpoint in _subjects(host):
        case = Case(host, None, endpoint)
        for question in _of_subject(endpoint, asked):
            findings += _findings(case, endpoint, question)
    return tuple(sorted(findings, key=_worst_first))


def _of_subject(endpoint: Endpoint | None, asked: Questions) -> tuple[Question, ...]:
    if endpoint is None:
        return asked.of_host
    return asked.of_relay if endpoint.port == RELAY_PORT else asked.of_endpoint


def judge_waivers(
    waivers: Sequence[tuple[Waiver, State]], checks: Iterable[Check]
) -> tuple[Finding, ...]:
    """What the checks of waivers say of those that name a host."""
    found = []
    for check in checks:
        if check.scope is Scope.WAIVERS:
            verdict = _ask(check, Case(None, waivers=tuple(waivers)))
            remedies = check.remedies if verdict.outcome is Outcome.FAIL else ()
            found.append(Finding(check, check.severity, None, verdict, (), remedies))
    return tuple(found)


_PLACES = {outcome: place for place, outcome in enumerate(Outcome)}


def worst_first(outcome: Outcome, severity: Severity, port: int, check: str) -> tuple[object, ...]:
    """What findings are sorted by; `port` is 0 where it is about the host."""
    return _PLACES[outcome], severity.rank, port, check


def _worst_first(finding: Finding) -> tuple[object, ...]:
    port = finding.endpoint.port if finding.endpoint else 0
    return worst_first(finding.outcome, finding.severity, port, finding.check.id)


def _subjects(host: Host) -> Iterator[Endpoint | None]:
    """None: the host itself."""
    yield None
    if host.status != "unreachable":
        yield from (endpoint for endpoint in host.endpoints if endpoint.in_service)


def _findings(case: Case, endpoint: Endpoint | None, question: Question) -> Iterator[Finding]:
    """One for each different verdict; policies that agree share theirs."""
    check = question.check
    if not check.criteria:
        # Without numbers of a policy it says the same by all of them.
        yield _finding(case, endpoint, check, _verdict(case, check), question.policies)
        return
    verdicts: dict[Verdict, list[str]] = {}
    for profile in question.profiles:
        verdicts.setdefault(_verdict(case.by(profile), check), []).append(profile.id)
    for verdict, policies in verdicts.items():
        yield _finding(case, endpoint, check, verdict, tuple(policies))


def _finding(
    case: Case,
    endpoint: Endpoint | None,
    check: Check,
    verdict: Verdict,
    policies: tuple[str, ...],
) -> Finding:
    relay = endpoint is not None and endpoint.port == RELAY_PORT
    severity = verdict.severity or (check.relay_severity if relay else check.severity)
    remedies = _remedies(case, endpoint, check) if verdict.outcome is _FAIL else ()
    return Finding(check, severity, endpoint, verdict, policies, remedies)


def _remedies(case: Case, endpoint: Endpoint | None, check: Check) -> tuple[Remedy, ...]:
    advice = () if check.advise is None else check.advise(case)
    fitting = (remedy for remedy in check.remedies if remedy.fits(case.host.software))
    return tuple(_of_port((*advice, *fitting), endpoint))


def _of_port(remedies: Iterable[Remedy], endpoint: Endpoint | None) -> Iterator[Remedy]:
    """Those for the daemon that is configured for this port, where one is known."""
    setting = endpoint.configured if endpoint else None
    for remedy in remedies:
        if not isinstance(setting, Configured) or remedy.product not in _DAEMONS:
            yield remedy  # for any product, or by the tool that writes the packet filter
        elif remedy.product == setting.product:
            yield _of_listener(remedy, setting)


def _of_listener(remedy: Remedy, setting: Configured) -> Remedy:
    """With the service of Postfix, and the instance where it is not the default one."""
    if isinstance(setting.listener, PostfixService):
        remedy = remedy.of_service(setting.listener.name)
    if setting.instance:  # postconf(1) and postfix(1) go by it where they are told no folder
        here = f"export MAIL_CONFIG={shlex.quote(setting.instance)}\n"
        remedy = replace(remedy, text=here + remedy.text)
    return remedy


def _verdict(case: Case, check: Check) -> Verdict:
    if case.host.status == "unreachable" and not check.always:
        return Verdict(Outcome.NOT_ASSESSED, "nothing of the host answers")
    if check.scope is Scope.LOOK:
        return _of_looks(case, check)
    return _ask(check, case)


def _ask(check: Check, case: Case) -> Verdict:
    try:
        return check.judge(case)
    except NotKnownError as unknown:
        return Verdict(Outcome.NOT_ASSESSED, str(unknown))
    except Exception as error:  # noqa: BLE001 - a check that breaks must show, not stop the others
        return Verdict(Outcome.ERROR, f"the check broke: {type(error).__name__}: {error}")


def _of_looks(case: Case, check: Check) -> Verdict:
    """One verdict of many: a failure anywhere fails; else the strongest view decides.

    Views stand in the order of their strength. What a weaker one cannot tell does not take
    away what a stronger one has seen.
    """
    everywhere: list[Verdict] = []
    strongest: list[Verdict] = []
    for view in check.views:
        said = _of_view(case, check, view)
        strongest = strongest or said
        everywhere += said
    for outcomes, verdicts in ((_ANYWHERE, everywhere), (_BY_THE_STRONGEST, strongest)):
        found = {verdict.outcome for verdict in verdicts}
        for outcome in outcomes:
            if outcome in found:
                return _merged([verdict for verdict in verdicts if verdict.outcome is outcome])
    return Verdict(Outcome.NOT_ASSESSED, _why_no_look(case.endpoint))


def _of_view(case: Case, check: Check, view: View) -> list[Verdict]:
    """Of each conversation; where vantages were told the same, what one of them is told."""
    different, each = case.endpoint.hearing(view, dated=check.dated)
    verdicts = [_ask(check, case.of(look)) for look in different]
    if len(different) == len(each):
        return verdicts
    return [_said_by(look, verdicts[place], different[place]) for look, place in each]


def _said_by(look: Look, verdict: Verdict, first: Look) -> Verdict:
    """The same of another conversation."""
    if not verdict.witnesses or look.source == first.source:
        return verdict
    witnesses = (
        Witness(witness.view, look.source, witness.says)
        if witness.source == first.source
        else witness
        for witness in verdict.witnesses
    )
    return Verdict(verdict.outcome, verdict.detail, tuple(witnesses), verdict.severity)


def _merged(verdicts: Sequence[Verdict]) -> Verdict:
    first = verdicts[0]
    if not first.witnesses and verdicts.count(first) == len(verdicts):
        return first
    details = dict.fromkeys(verdict.detail for verdict in verdicts)
    witnesses = dict.fromkeys(witness for verdict in verdicts for witness in verdict.witnesses)
    severities = [verdict.severity for verdict in verdicts if verdict.severity]
    # One without a severity of its own has the check's, which is the worst of a graded one.
    severity = severities[0] if len(severities) == len(verdicts) else None
    return Verdict(first.outcome, "; ".join(details), tuple(witnesses), severity)


def _why_no_look(endpoint: Endpoint) -> str:
    reasons = dict.fromkeys(
        f"{seen.vantage}: {seen.observation.reason}"
        if isinstance(seen.observation, Missing)
        else f"{seen.vantage}: {seen.observation.reach.state}"
        for seen in endpoint.outside
    )
    return NO_CONNECTION + ("; ".join(reasons) or "nobody looked from outside")
