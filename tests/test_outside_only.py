"""Hosts that are looked at from outside alone, and not found."""

import json
from pathlib import Path

import pytest

from mailwitness import cli


@pytest.mark.parametrize(
    ("target", "reason"), [("a..b", "does not resolve"), ("127.0.0.1", "no access to the host")]
)
def test_a_host_without_an_answer_is_a_row(tmp_path: Path, target: str, reason: str) -> None:
    argv = ["probe", target, "--port", "1", "--output", str(tmp_path), "--fail-on", "never"]
    assert cli.main(argv) == cli.OK
    (host,) = json.loads((tmp_path / "report.json").read_text())["hosts"]
    assert reason in host["reason"]
    failed = {f["check"] for f in host["findings"] if f["outcome"] == "fail"}
    assert (
        ("host-unreachable" in failed)
        == (host["status"] == "unreachable")
        == (target != "127.0.0.1")
    )
