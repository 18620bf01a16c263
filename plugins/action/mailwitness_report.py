"""Judges the evidence of the run, shows the summary, and ends the play by what was found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from mailwitness.inventory.plan import EVIDENCE


class ActionModule(ActionBase):
    """Runs `mailwitness judge` on the control node: the playbook and the command never differ."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"output", "fail_on", "baseline", "store"})

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Failed where the command's exit status is not 0; `rc` is that status."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        output = Path(arguments["output"])
        command = [sys.executable, "-m", "mailwitness.cli", "judge", str(output / EVIDENCE)]
        command += ["--output", str(output), "--fail-on", arguments["fail_on"]]
        if arguments.get("baseline"):
            command += ["--baseline", arguments["baseline"]]
        environment = dict(os.environ)
        if arguments.get("store"):
            command.append("--save")
            # A URL may hold a password, which a command line shows to every local user.
            environment["MAILWITNESS_STORE"] = arguments["store"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        self._display.display(f"\n{done.stdout}")
        result["rc"] = done.returncode
        result["report"] = str(output / "index.html")
        if done.returncode != 0:
            result["failed"] = True
            result["msg"] = _MEANING.get(done.returncode) or done.stderr.strip()
        return result


_MEANING = {
    1: "The report is written; there are failed findings at or above mailwitness_fail_on.",
    3: "The report is written; some hosts could not be audited.",
}
