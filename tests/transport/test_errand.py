"""What is kept of the agent's answers."""

import json
from pathlib import Path

import pytest

from mailwitness.evidence import folder
from mailwitness.evidence.codec import loads
from mailwitness.evidence.host import HostEvidence
from mailwitness.evidence.run import Failure
from mailwitness.transport.errand import Answer, keep_inspection
from tests.lab.audit import RECORDED

GOOD = (RECORDED / "good" / "host.json").read_text()


def kept(evidence: Path, said: str) -> tuple[str, list[str]]:
    problems = list(keep_inspection(evidence, "good", Answer(0, said, "")))
    return folder.host_file(evidence, "good").read_text("ascii"), problems


def test_evidence_lies_there_as_the_agent_wrote_it(tmp_path: Path) -> None:
    assert kept(tmp_path, GOOD) == (GOOD, [])


def test_what_is_not_ascii_is_escaped(tmp_path: Path) -> None:
    raw = json.loads(GOOD)
    raw["agent"]["version"] = "\x9b31m"
    text, problems = kept(tmp_path, json.dumps(raw, ensure_ascii=False))
    assert problems == []
    assert r"\u009b31m" in text
    assert loads(text, HostEvidence).agent.version == "\x9b31m"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (GOOD[:-9], "the agent's answer is no evidence: $: not JSON"),
        (GOOD.replace('"uid":', '"gid":'), "the agent's answer is no evidence: $.agent: uid"),
        (
            '{"schema":"mailwitness/failure/1","host":"","kind":"failed","reason":"old","at":""}',
            "old",
        ),
    ],
)
def test_what_is_no_evidence_is_a_failure_in_its_place(
    tmp_path: Path, said: str, problem: str
) -> None:
    text, problems = kept(tmp_path, said)
    assert problems[0].startswith(problem)
    failure = loads(text, Failure)
    assert (failure.host, failure.reason) == ("good", problems[0])
    assert failure.at
