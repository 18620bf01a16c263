"""The direct transport: a run over many hosts, each with a deadline, without Ansible's cost."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mailwitness.evidence import folder
from mailwitness.evidence.run import CONTROLLER, PlannedHost, Run
from mailwitness.inventory.plan import Variables
from mailwitness.inventory.way import Way, way
from mailwitness.transport import errand
from mailwitness.transport.here import probe_from_here
from mailwitness.transport.ssh import LateError, UnreachableError, connected
from mailwitness.zipapp import Zipapp


@dataclass(frozen=True)
class Errands:
    """What all hosts have in common."""

    evidence: Path
    agent: Zipapp
    seconds: float  # that a host has, from the first packet to the last
    at_once: int  # hosts


@dataclass(frozen=True)
class Stop:
    """A host to go to."""

    name: str
    way: Way
    python: str | None
    sudo: bool  # the agent asks it for single commands


def stop(name: str, its: Variables) -> Stop:
    """The host, by its variables."""
    python = its.get("ansible_python_interpreter")
    automatic = not python or str(python).startswith("auto")
    sudo = str(its.get("mailwitness_sudo") or "").lower() in ("true", "yes", "1")
    return Stop(name, way(name, its), None if automatic else str(python), sudo)


def collect(
    run: Run,
    stops: Mapping[str, Stop],
    accounts: Mapping[str, Any],
    errands: Errands,
    done: Callable[[], None],
) -> None:
    """Leave the evidence of every host and vantage of the run, or why there is none.

    `done` is told of each host that has been looked at from inside, and of each vantage that has
    looked, from any thread. The controller looks last: what it takes then takes nobody's time.
    """
    with ThreadPoolExecutor(max_workers=errands.at_once) as pool:
        waiting = [
            pool.submit(_look_from, stops[vantage], run.hosts, errands)
            for vantage in run.vantages
            if vantage != CONTROLLER
        ]
        if run.inside:
            waiting += (
                pool.submit(_look_inside, stops[host.name], host, errands) for host in run.hosts
            )
        for each in as_completed(waiting):
            each.result()
            done()
    if CONTROLLER in run.vantages:
        probe_from_here(errands.evidence, run.hosts, accounts)
        done()


def _look_inside(its: Stop, host: PlannedHost, errands: Errands) -> None:
    answer = _answer(its, errand.inspect_call(host, sudo=its.sudo), errands, errands.seconds)
    if isinstance(answer, Lost):
        path = folder.host_file(errands.evidence, host.name)
        errand.keep_failure(path, host.name, answer.kind, answer.reason)
    else:
        list(errand.keep_inspection(errands.evidence, host.name, answer))


def _look_from(its: Stop, hosts: Sequence[PlannedHost], errands: Errands) -> None:
    call = errand.probe_call(its.name, hosts, {})
    answer = _answer(its, call, errands, errands.seconds * len(hosts))
    if isinstance(answer, Lost):
        for host in hosts:
            path = folder.probe_file(errands.evidence, host.name, its.name)
            errand.keep_failure(path, host.name, answer.kind, answer.reason)
    else:
        list(errand.keep_probes(errands.evidence, its.name, hosts, answer))


@dataclass(frozen=True)
class Lost:
    """Why a host gave no answer."""

    kind: Literal["unreachable", "failed"]
    reason: str


def _answer(its: Stop, call: errand.Call, errands: Errands, seconds: float) -> errand.Answer | Lost:
    try:
        with connected(its.way, seconds) as connection:
            answer, _ = errand.run(connection.shell, call, errands.agent, its.python)
            return answer
    except UnreachableError as error:
        return Lost("unreachable", str(error))
    except LateError:
        return Lost("failed", f"no answer within {seconds:g} s")
    except Exception as error:  # noqa: BLE001 - one host's trouble is not that of the others
        return Lost("failed", f"{type(error).__name__}: {error}")
