"""A run with all its hosts, from its folder; a bad file costs its own host a witness, no more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import orjson

from mailwitness.correlate.host import Host, Witnesses, correlate
from mailwitness.evidence import folder as evidence_folder
from mailwitness.evidence.codec import EvidenceError, document, loads
from mailwitness.evidence.host import HostEvidence
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import ProbeEvidence
from mailwitness.evidence.run import Allowlist, Failure, PlannedHost, Run

_D = TypeVar("_D", HostEvidence, ProbeEvidence)

_OUTSIDE_ONLY = Missing("no access to the host")


class FleetError(Exception):
    """The run as a whole cannot be read."""


@dataclass(frozen=True)
class Fleet:
    """A run and its hosts; the evidence of a host is read when it is asked for, and not kept."""

    folder: Path  # of the evidence
    run: Run

    @property
    def hosts(self) -> Iterator[Host]:
        """All of them, one at a time, in the order of the plan."""
        return map(self.host, self.run.hosts)

    def host(self, plan: PlannedHost) -> Host:
        """One of the run's."""
        inside: HostEvidence | Failure | Missing = _OUTSIDE_ONLY
        if self.run.inside:
            file = evidence_folder.host_file(self.folder, plan.name)
            inside = _of_host(file, plan.name, HostEvidence)
        outside = tuple(
            (
                vantage,
                _of_host(
                    evidence_folder.probe_file(self.folder, plan.name, vantage),
                    plan.name,
                    ProbeEvidence,
                ),
            )
            for vantage in self.run.vantages
        )
        return correlate(plan, Witnesses(inside, outside), self.run.started_at)


def read(
    folder: Path, allowlists: Sequence[Allowlist] | None = None, ports: Sequence[int] = ()
) -> Fleet:
    """The run in `folder`.

    Args:
        folder: where its evidence lies.
        allowlists: what to judge in place of its own.
        ports: to look at beside its own.

    Raises:
        FleetError: the plan is not there or not readable; hosts' files never raise.
    """
    path = evidence_folder.run_file(folder)
    try:
        run = loads(evidence_folder.read(path), Run)
    except FileNotFoundError:
        raise FleetError(f"{path}: not there; is {folder} the evidence folder of a run?") from None
    except (OSError, EvidenceError) as error:
        raise FleetError(f"{path}: {error}") from None
    hosts = (
        plan._replace(
            allowlists=plan.allowlists if allowlists is None else tuple(allowlists),
            ports=tuple(dict.fromkeys((*plan.ports, *ports))),
        )
        for plan in run.hosts
    )
    return Fleet(folder, replace(run, hosts=tuple(hosts)))


def _of_host(path: Path, host: str, kind: type[_D]) -> _D | Failure:
    """A host's document; what is wrong with it becomes the failure that stands for it."""
    try:
        found = _document(evidence_folder.read(path), kind)
    except FileNotFoundError:
        problem = "not there: the host's part of the run left no evidence"
    except OSError as error:
        problem = error.strerror or str(error)
    except EvidenceError as error:
        problem = str(error)
    else:
        if found.host == host:
            return found
        problem = f"is evidence of {found.host!a}, not of this host"
    return Failure(host, "failed", f"{path}: {problem}", "")


def _document(content: bytes, kind: type[_D]) -> _D | Failure:
    """By the fast parser; what does not fit after it, the strict one has the say on."""
    try:
        return document(orjson.loads(content), kind, Failure)
    except ValueError:
        return loads(content, kind, Failure)
