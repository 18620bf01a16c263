"""What the two checks of availability share: can a client outside have this protocol over TLS?"""

from collections.abc import Iterable

from mailwitness.correlate.endpoint import Endpoint
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, Session
from mailwitness.policy.check import Case
from mailwitness.policy.engine import NO_CONNECTION
from mailwitness.policy.outcome import (
    NotKnownError,
    Verdict,
    Witness,
    failed,
    known,
    passed,
)

IMAP_PORTS = (993, 143)
SUBMISSION_PORTS = (465, 587)
AVAILABILITY = ("imap-available", "smtp-submission-available")


def nobody_gets_through(case: Case, _: Verdict) -> bool:
    """Whether every vantage that looked at the endpoint found it shut."""
    seen = [seen.reach.state for _, seen in case.endpoint.observations()]
    return bool(seen) and "open" not in seen


def for_want_of_a_connection(case: Case, other: Verdict) -> bool:
    """Whether there was no conversation to judge, since nobody gets through."""
    return nobody_gets_through(case, other) and other.detail.startswith(NO_CONNECTION)


def available(case: Case, what: str, ports: Iterable[int]) -> Verdict:
    """Passes where some vantage has a TLS conversation on one of `ports`."""
    endpoints = [endpoint for endpoint in case.host.endpoints if endpoint.port in ports]
    if not endpoints:
        raise NotKnownError(f"mailwitness_ports names no port of {what}")
    served, refused, unknown = [], [], []
    for endpoint in endpoints:
        for vantage, seen in endpoint.observations():
            witness = Witness("outside", f"{vantage} to {seen.address}", _says(endpoint, seen))
            if seen.reach.state != "open":
                refused.append(witness)
            elif isinstance(seen.session, Missing):
                unknown.append(f"{endpoint.id}: {seen.session.reason}")
            elif seen.session.accepted_versions:
                served.append(witness)
            elif _unsettled(seen.session):
                unknown.append(f"{endpoint.id}: {_says(endpoint, seen)}")
            else:
                refused.append(witness)
    if served:
        return passed(f"{what} is served over TLS", served)
    if unknown:
        raise NotKnownError("; ".join(unknown))
    for endpoint in endpoints:
        for seen_from in endpoint.outside:
            known(seen_from.observation)
    return failed(f"no vantage can have {what} over TLS", refused)


def _unsettled(session: Session) -> bool:
    """Whether it is open if TLS can be had."""
    upgrade = session.starttls
    return (upgrade is not None and upgrade.state == "unknown") or any(
        isinstance(answer.accepted, Missing) for answer in session.versions
    )


def _says(endpoint: Endpoint, seen: Observation) -> str:
    if seen.reach.state != "open" or isinstance(seen.session, Missing):
        return f"{endpoint.id} {seen.reach.state} ({seen.reach.detail})"
    versions = " ".join(seen.session.accepted_versions)
    upgrade = seen.session.starttls
    return f"{endpoint.id} open, " + (
        versions or (f"STARTTLS {upgrade.state} {upgrade.detail}".strip() if upgrade else "no TLS")
    )
