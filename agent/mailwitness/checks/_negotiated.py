"""What the checks of cipher suites and key exchange share."""

from collections.abc import Iterable

from mailwitness.evidence.probe import Enumerated, Negotiation, Session
from mailwitness.policy.outcome import known


def negotiated(session: Session) -> Negotiation | None:
    """Nothing where no version is accepted; out of the check where it was not asked for."""
    found = known(session.negotiation)
    if not found.suites:
        for answer in session.versions:
            known(answer.accepted)
        return None
    return found


def in_versions(found: Iterable[Enumerated]) -> dict[str, list[str]]:
    """Names to the versions in which they are accepted."""
    versions: dict[str, list[str]] = {}
    for one in found:
        for name in one.names:
            versions.setdefault(name, []).append(one.version)
    return versions


def nothing_more(*enumerations: Iterable[Enumerated]) -> None:
    """Out of the check where there may be more than was found."""
    for enumeration in enumerations:
        for one in enumeration:
            known(one.rest)
