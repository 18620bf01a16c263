"""Runs the agent on a host in one round trip, shipping it where it is not there yet."""

from __future__ import annotations

import gc
import json
import shlex
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from mailwitness import zipapp
from mailwitness.evidence import folder
from mailwitness.evidence.codec import decode, prepare
from mailwitness.evidence.host import HostEvidence
from mailwitness.evidence.run import PlannedHost
from mailwitness.inventory.plan import EVIDENCE
from mailwitness.transport import errand

# Ansible loads this before it forks a process for each host: made here it is made once.
for kind in (HostEvidence, PlannedHost):
    prepare(kind)


class _Late(BaseException):
    """The time is over; connection plugins would take an Exception for a reason to try again."""


class ActionModule(ActionBase):
    """Leaves a file for each host that it was about, evidence or the reason why there is none."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"command"})

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Failed where the agent did not answer; unreachable as Ansible has it."""
        # The process ends with this task; looking for cycles copies memory that it shares.
        gc.disable()
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        output = _output(variables)
        self._evidence = output / EVIDENCE
        self._host = variables["inventory_hostname"]
        self._probing = self._task.args["command"] == "probe"
        about = self._about()
        seconds = 0 if self._probing else int(self._of_role(variables, "timeout"))
        try:
            agent = zipapp.read(output / zipapp.NAME)
            with _limit(seconds):
                answer, result["changed"] = errand.run(
                    self._shell,
                    self._call(about, variables),
                    agent,
                    _python(variables),
                    check_mode=bool(self._task.check_mode),
                )
            problems = list(
                errand.keep_probes(self._evidence, self._host, about, answer)
                if self._probing
                else errand.keep_inspection(self._evidence, self._host, answer)
            )
        except AnsibleConnectionFailure as error:
            self._fail("unreachable", str(error), about)
            raise
        except _Late:
            reason = f"no answer within {seconds} s"
            self._fail("failed", reason, about)
            raise AnsibleActionFail(reason) from None
        except BaseException as error:  # a time limit of Ansible's is no Exception
            self._fail("failed", f"{type(error).__name__}: {error}", about)
            raise
        if problems:
            result["failed"] = True
            result["msg"] = "; ".join(problems)
        return result

    def _about(self) -> list[PlannedHost]:
        """The planned hosts that it is about; of a big fleet the others are not even decoded."""
        plan = json.loads(folder.read(folder.run_file(self._evidence)))
        return [
            decode(PlannedHost, host)
            for host in plan["hosts"]
            if self._probing or host["name"] == self._host
        ]

    def _call(self, about: list[PlannedHost], variables: dict[str, Any]) -> errand.Call:
        if self._probing:
            return errand.probe_call(self._host, about, accounts={})
        sudo = boolean(self._of_role(variables, "sudo"))
        return errand.inspect_call(about[0], sudo=sudo)

    def _of_role(self, variables: dict[str, Any], name: str) -> Any:
        """A variable of the role."""
        # In the task it would be a template, and to compile one for each host takes longer than to
        # look through the evidence; this one is compiled where the inventory has a template.
        return self._templar.template(variables[f"mailwitness_{name}"])

    def _shell(self, script: str, data: bytes) -> errand.Answer:
        # Data on standard input, if only a line end, keeps Ansible from asking for a terminal,
        # which would mix the two outputs and change line ends.
        answer = self._low_level_execute_command(f"/bin/sh -c {shlex.quote(script)}", in_data=data)
        return errand.Answer(
            answer["rc"], str(answer.get("stdout") or ""), str(answer.get("stderr") or "")
        )

    def _fail(self, kind: Any, reason: str, about: Iterable[PlannedHost]) -> None:
        for host in about:
            path = (
                folder.probe_file(self._evidence, host.name, self._host)
                if self._probing
                else folder.host_file(self._evidence, host.name)
            )
            errand.keep_failure(path, host.name, kind, reason)


def _output(variables: dict[str, Any]) -> Path:
    """The folder of the run, as the plan has registered it."""
    if "mailwitness__run" not in variables:
        raise AnsibleActionFail("mailwitness__run is not there: the plan of the role comes first.")
    return Path(variables["mailwitness__run"]["output"])


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    """Ends by an exception what takes longer; 0: a limit of Ansible's own is left as it is."""

    def late(*_: object) -> NoReturn:
        raise _Late

    if not seconds:
        yield
        return
    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _python(variables: dict[str, Any]) -> str | None:
    """The host's own, where the inventory names it."""
    given = variables.get("ansible_python_interpreter")
    return None if not given or str(given).startswith("auto") else str(given)
