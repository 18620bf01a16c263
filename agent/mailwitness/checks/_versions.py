"""What a failure says of versions, for the checks whose remedy would clear it."""

from collections.abc import Iterator

from mailwitness.correlate.endpoint import Configured
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import VERSIONS
from mailwitness.policy.check import Case
from mailwitness.policy.outcome import Verdict
from mailwitness.resolver.offer import Offer

NEWEST = VERSIONS[-1]  # no policy asks for more


def named_in(verdict: Verdict) -> frozenset[str]:
    """The versions that its witnesses tell of: "TLSv1.1: …"."""
    words = {witness.says.partition(":")[0] for witness in verdict.witnesses}
    return frozenset(words.intersection(VERSIONS))


def offers(setting: Configured) -> Iterator[Offer]:
    """To all clients, whatever block is theirs."""
    yield setting.offer
    yield from (scope.offer for scope in setting.scopes)


def accepted_by_itself(case: Case) -> frozenset[str]:
    """Versions that the host's own handshake got: what a proxy before it adds is not among them."""
    return frozenset(
        version
        for look in case.endpoint.looks("running")
        if not isinstance(look.session, Missing)
        for version in look.session.accepted_versions
    )
