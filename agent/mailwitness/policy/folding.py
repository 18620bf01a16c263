"""One cause is one finding: what follows from a failure is folded under it, with its root named."""

from collections.abc import Iterable, Sequence

from mailwitness.correlate.host import Host
from mailwitness.policy.check import Case, Scope
from mailwitness.policy.engine import Finding
from mailwitness.policy.outcome import Outcome

Place = tuple[str, str | None]  # a check and the endpoint that it fails at


def fold(host: Host, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings of a host, each with its roots; a root is as severe as the worst of its own.

    What a check's failure explains stands in the check (`explains`). A failure that is waived or
    in the baseline explains nothing: it is not shown to those who would look for the cause there.
    """
    failures = [finding for finding in findings if finding.outcome is Outcome.FAIL]
    explaining = {
        outcome: [
            failure
            for failure in failures
            if any(one.outcome is outcome for one in failure.check.explains)
        ]
        for outcome in Outcome
    }
    direct = {
        place(finding): causes
        for finding in findings
        if (roots := explaining[finding.outcome]) and (causes := _causes(host, finding, roots))
    }
    if not direct:
        return tuple(findings)
    folded = [
        finding._replace(causes=_roots(where, direct))
        if (where := place(finding)) in direct
        else finding
        for finding in findings
    ]
    following = [each for each in folded if each.causes and each.outcome is Outcome.FAIL]
    return tuple(_as_severe_as_its_own(finding, following) for finding in folded)


def place(finding: Finding) -> Place:
    """Which check, and where."""
    return finding.check.id, finding.endpoint.id if finding.endpoint else None


def _causes(host: Host, finding: Finding, explaining: Sequence[Finding]) -> tuple[Place, ...]:
    found = [root for root in explaining if _explains(host, root, finding)]
    about = finding.check.ports
    if about and any(root.endpoint for root in found):
        # Of a host, by several ports: while one of them has no cause, they are not the cause.
        open_to = {
            endpoint.port
            for endpoint in host.endpoints
            if endpoint.port in about and endpoint.in_service
        }
        if open_to - {root.endpoint.port for root in found if root.endpoint}:
            found = [root for root in found if root.endpoint is None]
    return tuple(dict.fromkeys(map(place, found)))


def _explains(host: Host, root: Finding, other: Finding) -> bool:
    if place(root) == place(other) or not _near(root, other):
        return False
    case = Case(host, None, root.endpoint)
    return any(
        one.outcome is other.outcome
        and (not one.checks or other.check.id in one.checks)
        and (one.when is None or one.when(case, other.verdict))
        for one in root.check.explains
    )


def _near(root: Finding, other: Finding) -> bool:
    """A failure of the host explains anything of it, one of a port what is of that port."""
    if root.check.scope is Scope.HOST:
        return True
    assert root.endpoint is not None
    if other.endpoint is None:
        return root.endpoint.port in other.check.ports
    return other.endpoint.port == root.endpoint.port


def _roots(start: Place, direct: dict[Place, tuple[Place, ...]]) -> tuple[Place, ...]:
    """Those that have no cause of their own; nothing where causes go round in a circle."""
    seen, left = {start}, list(direct.get(start, ()))
    roots: dict[Place, None] = {}
    while left:
        one = left.pop(0)
        if one == start:
            return ()
        if one in seen:
            continue
        seen.add(one)
        if one in direct:
            left += direct[one]
        else:
            roots[one] = None
    return tuple(roots)


def _as_severe_as_its_own(root: Finding, following: Iterable[Finding]) -> Finding:
    if root.causes or root.outcome is not Outcome.FAIL:
        return root
    where = place(root)
    own = [finding.severity for finding in following if where in finding.causes]
    return root._replace(severity=min((root.severity, *own), key=lambda one: one.rank))
