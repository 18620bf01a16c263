"""What an audit set out to do, and what kept it from doing so."""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Optional

from mailwitness.evidence.codec import Document, Port

CONTROLLER = "controller"  # the vantage that is always there


class Allowlist(NamedTuple):
    """Addresses that must reach the host, as an outside service publishes them."""

    name: str
    ports: tuple[Port, ...]
    cidrs: tuple[str, ...]  # networks without host bits, of both families
    exclusive: bool  # nobody outside the lists of these ports may be admitted
    source: Optional[str]  # where it was published
    retrieved_at: Optional[str]  # a date, or a moment


class PlannedHost(NamedTuple):
    """A host to audit, as the inventory describes it."""

    name: str  # the inventory name
    address: str
    groups: tuple[str, ...]  # of the inventory, that it is in
    names: tuple[str, ...]  # what clients call it; empty: the inventory does not say
    ports: tuple[Port, ...]
    policies: tuple[str, ...]  # empty: the default ones
    trust_store: Optional[str]  # PEM of further CAs that clients trust
    allowlists: tuple[Allowlist, ...]
    contacts: tuple[str, ...]  # mail addresses of who is told of changes


@dataclass(frozen=True)
class Run(Document):
    """The plan of a run. A host in it without evidence is a failed row, never a missing one."""

    SCHEMA: ClassVar[str] = "mailwitness/run/1"

    started_at: str  # UTC, ISO 8601 with Z
    note: Optional[str]  # shown on every report: "recorded on …, not live"
    inside: bool  # whether the agent was to run on the hosts
    vantages: tuple[str, ...]
    hosts: tuple[PlannedHost, ...]


@dataclass(frozen=True)
class Failure(Document):
    """Stands in the place of evidence that could not be had."""

    SCHEMA: ClassVar[str] = "mailwitness/failure/1"

    host: str
    kind: Literal["unreachable", "failed"]
    reason: str
    at: str  # UTC, ISO 8601 with Z
