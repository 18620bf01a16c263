"""What the checks of certificates share: the certificates that one conversation showed."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mailwitness.correlate.certificate import Certificate, parse
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import ServedChain, Session
from mailwitness.policy.check import Case
from mailwitness.policy.outcome import NotKnownError, known

# What renews automatically does so when a third of the lifetime is left, and retries; half of
# that unused says that it does not work. An administrator who renews by hand wants a fortnight.
_SHARE_LEFT = 1 / 6
_LONGEST_NOTICE = datetime.timedelta(days=14)


@dataclass(frozen=True)
class Served:
    """A leaf and the server names that brought it; None stands for naming none."""

    leaf: Certificate
    chain: ServedChain
    server_names: tuple[str | None, ...]

    @property
    def where(self) -> str:
        """For a witness: which certificate this is, and for whom."""
        names = ", ".join(name or "no server name" for name in self.server_names)
        return f"{self.leaf.subject}, SHA-256 {self.leaf.fingerprint[:16]}…, served for {names}"

    def intermediates(self) -> Iterator[Certificate]:
        """Out of the check where one cannot be read."""
        for pem in known(self.chain.intermediates):
            yield known(parse(pem))


def served(session: Session) -> tuple[Served, ...]:
    """The different leaves of a conversation; none where no TLS is offered.

    Out of the check where a chain is not known.
    """
    if not session.offers_tls:
        return ()
    if not session.chains:
        raise NotKnownError("no certificate was seen")
    return _different(session.chains)


@lru_cache(maxsize=256)  # of a host, whose certificates many checks ask for
def _different(chains: tuple[ServedChain, ...]) -> tuple[Served, ...]:
    found: dict[tuple[str, object], Served] = {}
    for chain in chains:
        leaf = known(parse(known(chain.leaf)))
        # The same leaf with other intermediates is another chain.
        key = (leaf.fingerprint, chain.intermediates)
        before = found.get(key)
        names = (*(before.server_names if before else ()), chain.server_name)
        found[key] = Served(leaf, chain, names)
    return tuple(found.values())


def moment(case: Case) -> datetime.datetime:
    """When the conversation took place: evidence is judged as of its own time."""
    return datetime.datetime.fromisoformat(case.look.observed_at)


def expires_soon(leaf: Certificate, now: datetime.datetime) -> bool:
    """Whether it has expired, or should have been renewed by `now`."""
    lifetime = leaf.not_after - leaf.not_before
    return leaf.not_after - now < min(lifetime * _SHARE_LEFT, _LONGEST_NOTICE)


def leaf_without_name(session: Session) -> Certificate | Missing:
    """The leaf for a client that names no server."""
    for chain in session.chains:
        if chain.server_name is None:
            return chain.leaf if isinstance(chain.leaf, Missing) else parse(chain.leaf)
    return Missing("no handshake without a server name")
