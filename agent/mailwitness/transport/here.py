"""The look from this machine, by the process that asks for it: no agent, no answer to decode."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mailwitness.evidence import folder
from mailwitness.evidence.run import CONTROLLER, PlannedHost
from mailwitness.probe.run import probe
from mailwitness.probe.targets import read_targets
from mailwitness.transport.errand import probe_call


def probe_from_here(
    evidence: Path, hosts: Iterable[PlannedHost], accounts: Mapping[str, Any]
) -> None:
    """Leave what the controller sees of the hosts."""
    targets = probe_call(CONTROLLER, hosts, accounts).data.decode().splitlines()
    for seen in probe(read_targets(targets), CONTROLLER):
        folder.write(folder.probe_file(evidence, seen.host, CONTROLLER), seen)
