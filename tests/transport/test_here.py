"""The look from the controller."""

import socket
from pathlib import Path

from mailwitness.evidence import folder
from mailwitness.evidence.codec import loads
from mailwitness.evidence.probe import ProbeEvidence
from mailwitness.evidence.run import CONTROLLER, PlannedHost
from mailwitness.transport.here import probe_from_here


def test_what_is_seen_of_each_host_lies_in_its_folder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # and nobody listens there any more
    hosts = [
        PlannedHost(name, "127.0.0.1", (), (), (port,), (), None, (), ()) for name in ("a", "b")
    ]
    probe_from_here(tmp_path, hosts, {})
    for host in hosts:
        path = folder.probe_file(tmp_path, host.name, CONTROLLER)
        seen = loads(folder.read(path), ProbeEvidence)
        assert (seen.host, seen.vantage) == (host.name, CONTROLLER)
        assert isinstance(seen.observations, tuple)
        (observation,) = seen.observations
        assert (observation.port, observation.reach.state) == (port, "refused")
