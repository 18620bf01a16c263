"""Answers the collectors from recordings of real commands (made by `record.py`)."""

import shlex
from collections.abc import Sequence

from mailwitness.evidence.missing import Missing
from mailwitness.host.command import MAX_OUTPUT_BYTES, TIMEOUT_SECONDS
from tests.host.record import RECORDED

RELEASES = ("bullseye", "bookworm", "trixie")
CANARY = "CANARY"


class Replay:
    """Stands for `mailwitness.host.command.run`; an argv that was not recorded fails the test."""

    def __init__(self, *folders: str) -> None:
        self.answers: dict[tuple[str, ...], str | Missing] = {}
        for folder in folders:
            for path in sorted((RECORDED / folder).iterdir()):
                argv, status, printed = path.read_text("utf-8").split("\n", 2)
                said = Missing(f"{argv}: exit status {status}: {printed[:300]}")
                self.answers[tuple(shlex.split(argv))] = printed if status == "0" else said

    def __call__(
        self,
        argv: Sequence[str],
        timeout: float = TIMEOUT_SECONDS,  # noqa: ARG002 - the signature that it stands for
        max_output: int = MAX_OUTPUT_BYTES,  # noqa: ARG002
    ) -> "str | Missing":
        return self.answers[tuple(argv)]
