"""Whether a client with a profile's requirements could use a host: the one line read first."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailwitness.correlate.endpoint import RELAY_PORT
from mailwitness.correlate.host import Host
from mailwitness.evidence.probe import Protocol
from mailwitness.policy.engine import Finding
from mailwitness.policy.outcome import Outcome
from mailwitness.policy.profile import Profile


class Answer(StrEnum):
    """From the best to the worst."""

    ELIGIBLE = "eligible"
    WITH_EXCEPTION = "eligible-with-exception"
    UNKNOWN = "unknown"
    NOT_ELIGIBLE = "not-eligible"


@dataclass(frozen=True)
class Eligible:
    """The answer for one policy, and the checks it hangs on."""

    policy: str
    answer: Answer
    because: tuple[str, ...]


# A mailbox client needs one port of each: one to read by, one to submit to.
_NEEDED: tuple[tuple[Protocol, str], ...] = (
    ("imap", "imap-available"),
    ("smtp", "smtp-submission-available"),
)


def eligibility(
    host: Host, profiles: Sequence[Profile], findings: Sequence[Finding]
) -> tuple[Eligible, ...]:
    """One answer for each profile that has requirements of a client."""
    return tuple(_overall(host, profile, findings) for profile in profiles if profile.eligibility)


def _overall(host: Host, profile: Profile, findings: Sequence[Finding]) -> Eligible:
    parts = [
        _of_protocol(host, profile, protocol, available, findings)
        for protocol, available in _NEEDED
    ]
    answer = max((answer for answer, _ in parts), key=list(Answer).index)
    because = dict.fromkeys(
        check for part, checks in parts if part is not Answer.ELIGIBLE for check in checks
    )
    return Eligible(profile.id, answer, tuple(because))


def _of_protocol(
    host: Host,
    profile: Profile,
    protocol: Protocol,
    available: str,
    findings: Sequence[Finding],
) -> tuple[Answer, list[str]]:
    """The answer of the best port that speaks `protocol`."""
    assert profile.eligibility is not None
    whole = _of_checks([f for f in findings if f.check.id == available], (available,), ())
    if whole[0] is not Answer.ELIGIBLE:
        return whole
    ports = [
        endpoint.port
        for endpoint in host.endpoints
        if endpoint.protocol == protocol
        and endpoint.port != RELAY_PORT
        and endpoint.in_service
        and endpoint.tls != "none"
    ]
    answers = [
        _of_checks(
            [
                finding
                for finding in findings
                if finding.endpoint
                and finding.endpoint.port == port
                and profile.id in finding.policies
            ],
            profile.eligibility.needs,
            profile.eligibility.exceptions,
        )
        for port in ports
    ]
    return min(answers, key=lambda found: list(Answer).index(found[0]))


def _of_checks(
    findings: Sequence[Finding], needs: Sequence[str], exceptions: Sequence[str]
) -> tuple[Answer, list[str]]:
    outcomes = {finding.check.id: finding.outcome for finding in findings}
    failed = [check for check in needs if outcomes.get(check) is Outcome.FAIL]
    if failed:
        return Answer.NOT_ELIGIBLE, failed
    settled = (Outcome.PASS, Outcome.NOT_APPLICABLE, Outcome.FAIL)
    unknown = [check for check in (*needs, *exceptions) if outcomes.get(check) not in settled]
    if unknown:
        return Answer.UNKNOWN, unknown
    excused = [check for check in exceptions if outcomes[check] is Outcome.FAIL]
    return (Answer.WITH_EXCEPTION, excused) if excused else (Answer.ELIGIBLE, [])
