"""Runs the agent on a host in one round trip, shipping it where it is not there yet."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from mailwitness.evidence import folder
from mailwitness.evidence.codec import EvidenceError, loads
from mailwitness.evidence.host import HostEvidence
from mailwitness.evidence.moment import now
from mailwitness.evidence.probe import ProbeEvidence
from mailwitness.evidence.run import CONTROLLER, Failure, PlannedHost, Run
from mailwitness.probe.login import fingerprint

_ABSENT = 99  # the agent is not on the host, or another one is

_FIND_PYTHON = """\
for p in {candidates}; do command -v "$p" >/dev/null 2>&1 && break; p=; done
[ -n "$p" ] || {{ echo 'no Python 3 on this host: set ansible_python_interpreter' >&2; exit 98; }}
"""
# Root's agent lies where root alone may write; any other user's in a folder of their own.
_FIND_AGENT = """\
d=/var/lib/mailwitness
[ "$(id -u)" = 0 ] || d=${XDG_CACHE_HOME:-$HOME/.cache}/mailwitness
f=$d/mailwitness-agent.pyz
"""
_RUN_IF_SAME = """\
echo "{sha256}  $f" | sha256sum -c >/dev/null 2>&1 || exit {absent}
exec "$p" "$f" {command}
"""
# The agent comes on standard input.
_INSTALL = """\
umask 077
mkdir -p "$d" && cat >"$f.$$" && chmod 700 "$f.$$" && mv "$f.$$" "$f"
"""
# In check mode nothing may stay on the host: the agent lies in a folder of its own for one run.
_INSTALL_FOR_ONE_RUN = """\
umask 077
d=$(mktemp -d) && f=$d/mailwitness-agent.pyz && cat >"$f" && echo "$f"
"""
_RUN_AND_REMOVE = """\
"$p" {path} {command}
rc=$?
rm -r {folder}
exit $rc
"""
_PYTHONS = ("python3", "/usr/libexec/platform-python", *(f"python3.{n}" for n in range(14, 8, -1)))


class ActionModule(ActionBase):
    """Leaves a file for each host that it was about, evidence or the reason why there is none."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(
        {"command", "zipapp", "sha256", "evidence", "vantage", "python", "sudo"}
    )

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Failed where the agent did not answer; unreachable as Ansible has it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        self._evidence = Path(self._task.args["evidence"])
        self._host = self._task.args.get("vantage") or variables["inventory_hostname"]
        plan = loads(folder.read(folder.run_file(self._evidence)), Run)
        probing = self._task.args["command"] == "probe"
        about = [host for host in plan.hosts if probing or host.name == self._host]
        try:
            if probing:
                accounts = _accounts(about, variables) if self._host == CONTROLLER else {}
                answer, changed = self._call(*_probe_call(self._host, about, accounts), variables)
                problems = list(self._keep_probes(answer, about))
            else:
                answer, changed = self._call(self._inspect_call(about[0]), b"\n", variables)
                problems = list(self._keep_host(answer))
        except AnsibleConnectionFailure as error:
            self._fail("unreachable", str(error), about)
            raise
        except BaseException as error:  # a task's time limit is no Exception
            self._fail("failed", f"{type(error).__name__}: {error}", about)
            raise
        result["changed"] = changed
        if problems:
            result["failed"] = True
            result["msg"] = "; ".join(problems)
        return result

    def _inspect_call(self, host: PlannedHost) -> str:
        arguments = ["--host", host.name, "--address", host.address]
        if boolean(self._task.args.get("sudo", False)):
            arguments.append("--sudo")
        for name in host.names:
            arguments += ["--name", name]
        for port in host.ports:
            arguments += ["--port", str(port)]
        return shlex.join(["inspect", *arguments])

    def _call(
        self, command: str, data: bytes, variables: dict[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """The agent's answer, and whether it was installed (or would be, in check mode)."""
        find_python = _FIND_PYTHON.format(candidates=" ".join(self._pythons(variables)))
        run = _RUN_IF_SAME.format(sha256=self._task.args["sha256"], absent=_ABSENT, command=command)
        # Data on standard input, if only a line end, keeps Ansible from asking for a terminal,
        # which would mix the two outputs and change line ends.
        answer = self._shell(find_python + _FIND_AGENT + run, data)
        if answer["rc"] != _ABSENT:
            return answer, False
        zipapp = Path(self._task.args["zipapp"]).read_bytes()
        if self._task.check_mode:
            installed = self._shell(_INSTALL_FOR_ONE_RUN, zipapp)
            path = PurePosixPath(_stdout(installed).strip())
            run = _RUN_AND_REMOVE.format(
                path=shlex.quote(str(path)), folder=shlex.quote(str(path.parent)), command=command
            )
            script = find_python + run
        else:
            installed = self._shell(_FIND_AGENT + _INSTALL, zipapp)
            script = find_python + _FIND_AGENT + run
        if installed["rc"] != 0:
            return installed, False
        return self._shell(script, data), True

    def _pythons(self, variables: dict[str, Any]) -> Iterator[str]:
        """The interpreter that is given, or whichever of the usual ones is there."""
        given = self._task.args.get("python") or variables.get("ansible_python_interpreter")
        if given and not str(given).startswith("auto"):
            yield shlex.quote(str(given))
        else:
            yield from _PYTHONS

    def _shell(self, script: str, data: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = self._low_level_execute_command(
            f"/bin/sh -c {shlex.quote(script)}", in_data=data
        )
        return answer

    def _keep_host(self, answer: dict[str, Any]) -> Iterator[str]:
        path = folder.host_file(self._evidence, self._host)
        try:
            document = loads(_stdout(answer), HostEvidence, Failure)
        except EvidenceError as error:
            reason = _why(answer, error)
            document = Failure(self._host, "failed", reason, now())
        if isinstance(document, Failure):
            document = Failure(self._host, document.kind, document.reason, document.at or now())
            yield document.reason
        folder.write(path, document)

    def _keep_probes(self, answer: dict[str, Any], about: Iterable[PlannedHost]) -> Iterator[str]:
        missing = {host.name for host in about}
        problem = _why(answer, None)
        for line in _stdout(answer).splitlines():
            try:
                seen = loads(line, ProbeEvidence, Failure)
            except EvidenceError as error:
                problem = _why(answer, error)
                break
            if isinstance(seen, Failure):
                problem = seen.reason
            elif seen.host in missing:
                missing.remove(seen.host)
                folder.write(folder.probe_file(self._evidence, seen.host, self._host), seen)
        if missing:
            yield problem
            self._fail("failed", problem, [host for host in about if host.name in missing])

    def _fail(self, kind: Any, reason: str, about: Iterable[PlannedHost]) -> None:
        for host in about:
            failure = Failure(host.name, kind, reason, now())
            if self._task.args["command"] == "probe":
                path = folder.probe_file(self._evidence, host.name, self._host)
            else:
                path = folder.host_file(self._evidence, host.name)
            folder.write(path, failure)


def _probe_call(
    vantage: str, hosts: Iterable[PlannedHost], accounts: Mapping[str, Any]
) -> tuple[str, bytes]:
    """The command, and what it reads: on standard input, where no process list shows accounts."""
    targets = [
        {
            "host": host.name,
            "target": host.address,
            "names": host.names,
            "ports": host.ports,
            "account": accounts.get(host.name),
        }
        for host in hosts
    ]
    lines = "".join(json.dumps(target) + "\n" for target in targets)
    return shlex.join(["probe", "--vantage", vantage]), lines.encode("ascii")


def _accounts(hosts: Iterable[PlannedHost], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Of each host the inventory's test account, which is on no page and in no message."""
    found = {}
    for host in hosts:
        its = variables["hostvars"][host.name].get("mailwitness_login")
        if not its:
            continue
        wrong = f"Inventory of {host.name}: mailwitness_login: "
        try:
            certificates = [fingerprint(str(each)) for each in its.get("certificates") or ()]
            user, password = str(its["user"]), str(its["password"])
        except (AttributeError, KeyError, TypeError):
            expected = "user and password are expected, and certificates as a list"
            raise AnsibleActionFail(wrong + expected) from None
        except ValueError as error:
            raise AnsibleActionFail(wrong + str(error)) from None
        found[host.name] = {
            "user": user,
            "password": password,
            "certificates": certificates,
            "trust_store": host.trust_store,
        }
    return found


def _stdout(answer: dict[str, Any]) -> str:
    return str(answer.get("stdout") or "")


def _why(answer: dict[str, Any], error: EvidenceError | None) -> str:
    """What went wrong, in the words of the host where it said something."""
    said = str(answer.get("stderr") or "").strip().splitlines()
    last = said[-1][:300] if said else "it said nothing"
    if answer["rc"] != 0:
        return f"the agent ended with status {answer['rc']}: {last}"
    return f"the agent's answer is no evidence: {error or 'a host is not in it'} ({last})"
