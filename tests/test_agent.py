"""The agent's command line: what it is given wrong costs an exit status, never a traceback."""

import io
import json

import pytest

from mailwitness import agent
from tests.probe.scripted import serving


@pytest.mark.parametrize("stdin", ["nonsense", '{"host": "mail1"}', "[" * 100_000, "\x00"])
def test_malformed_targets_are_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stdin: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin + "\n"))
    assert agent.main(["probe"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("mailwitness-agent.pyz: line 1: ")
    assert len(said.err.splitlines()) == 1


def test_a_target_with_a_port_from_an_address_of_ones_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(lambda _: None) as server:
        target = f"127.0.0.1:{server.port}"
        assert agent.main(["probe", target, "--source-address", "127.0.0.9"]) == 0
    (seen,) = json.loads(capsys.readouterr().out)["observations"]
    assert (seen["port"], seen["reach"]["source_address"]) == (server.port, "127.0.0.9")


def test_ports_of_one_host_are_one_look_at_it(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(lambda _: None) as one, serving(lambda _: None) as other:
        targets = [f"127.0.0.1:{port}" for port in (one.port, other.port, one.port)]
        assert agent.main(["probe", *targets, "--source-address", "127.0.0.9"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["host"], found["target"]) == ("127.0.0.1", "127.0.0.1")
    assert [seen["port"] for seen in found["observations"]] == [one.port, other.port]
