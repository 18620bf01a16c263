"""The agent's errand on one host: run it where it is, ship it where it is not, keep the answer."""

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from mailwitness.evidence import folder
from mailwitness.evidence.codec import EvidenceError, loads
from mailwitness.evidence.host import HostEvidence
from mailwitness.evidence.moment import now
from mailwitness.evidence.probe import ProbeEvidence
from mailwitness.evidence.run import Failure, PlannedHost
from mailwitness.zipapp import Zipapp

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


@dataclass(frozen=True)
class Answer:
    """What a command on a host ended with."""

    status: int
    stdout: str
    stderr: str


# Runs a script by the host's /bin/sh, as the user who is to read the configuration, with bytes on
# its standard input.
Shell = Callable[[str, bytes], Answer]


@dataclass(frozen=True)
class Call:
    """What the agent is to do: its arguments, and what it reads."""

    command: str
    data: bytes = field(default=b"\n", repr=False)  # may hold an account; never empty


def inspect_call(host: PlannedHost, *, sudo: bool) -> Call:
    """Look at the host itself; `sudo`: the agent asks it for single commands."""
    arguments = ["--host", host.name, "--address", host.address]
    if sudo:
        arguments.append("--sudo")
    for name in host.names:
        arguments += ["--name", name]
    for port in host.ports:
        arguments += ["--port", str(port)]
    return Call(shlex.join(["inspect", *arguments]))


def probe_call(vantage: str, hosts: Iterable[PlannedHost], accounts: Mapping[str, Any]) -> Call:
    """Look at the hosts from a vantage; on standard input, where no process list shows accounts."""
    lines = "".join(
        json.dumps(
            {
                "host": host.name,
                "target": host.address,
                "names": host.names,
                "ports": host.ports,
                "account": accounts.get(host.name),
            }
        )
        + "\n"
        for host in hosts
    )
    return Call(shlex.join(["probe", "--vantage", vantage]), lines.encode("ascii"))


def run(
    shell: Shell, call: Call, agent: Zipapp, python: str | None, *, check_mode: bool = False
) -> tuple[Answer, bool]:
    """The agent's answer, and whether it was installed (or would be, in check mode).

    `python`: the host's interpreter; None: whichever of the usual ones is there.
    """
    candidates = [shlex.quote(python)] if python else _PYTHONS
    find_python = _FIND_PYTHON.format(candidates=" ".join(candidates))
    start = _RUN_IF_SAME.format(sha256=agent.sha256, absent=_ABSENT, command=call.command)
    answer = shell(find_python + _FIND_AGENT + start, call.data)
    if answer.status != _ABSENT:
        return answer, False
    if check_mode:
        installed = shell(_INSTALL_FOR_ONE_RUN, agent.content)
        path = PurePosixPath(installed.stdout.strip())
        script = find_python + _RUN_AND_REMOVE.format(
            path=shlex.quote(str(path)),
            folder=shlex.quote(str(path.parent)),
            command=call.command,
        )
    else:
        installed = shell(_FIND_AGENT + _INSTALL, agent.content)
        script = find_python + _FIND_AGENT + start
    if installed.status != 0:
        return installed, False
    return shell(script, call.data), True


def keep_inspection(evidence: Path, host: str, answer: Answer) -> Iterator[str]:
    """Write what the agent said of its host; what went wrong, if anything did."""
    try:
        document = loads(answer.stdout, HostEvidence, Failure)
    except EvidenceError as error:
        document = Failure(host, "failed", _why(answer, error), now())
    path = folder.host_file(evidence, host)
    if isinstance(document, Failure):
        keep_failure(path, host, document.kind, document.reason, document.at)
        yield document.reason
    elif answer.stdout.isascii():  # as agents write it
        folder.put(path, answer.stdout)
    else:
        folder.write(path, document)


def keep_probes(
    evidence: Path, vantage: str, hosts: Iterable[PlannedHost], answer: Answer
) -> Iterator[str]:
    """Write what a vantage saw of the hosts; what went wrong, if anything did."""
    missing = {host.name for host in hosts}
    problem = _why(answer, None)
    for line in answer.stdout.splitlines():
        try:
            seen = loads(line, ProbeEvidence, Failure)
        except EvidenceError as error:
            problem = _why(answer, error)
            break
        if isinstance(seen, Failure):
            problem = seen.reason
        elif seen.host in missing:
            missing.remove(seen.host)
            folder.write(folder.probe_file(evidence, seen.host, vantage), seen)
    if missing:
        yield problem
    for host in missing:
        failure = Failure(host, "failed", problem, now())
        folder.write(folder.probe_file(evidence, host, vantage), failure)


def keep_failure(
    path: Path, host: str, kind: Literal["unreachable", "failed"], reason: str, at: str = ""
) -> None:
    """Write why there is no evidence in `path`."""
    folder.write(path, Failure(host, kind, reason, at or now()))


def _why(answer: Answer, error: EvidenceError | None) -> str:
    """What went wrong, in the words of the host where it said something."""
    said = answer.stderr.strip().splitlines()
    last = said[-1][:300] if said else "it said nothing"
    if answer.status != 0:
        return f"the agent ended with status {answer.status}: {last}"
    return f"the agent's answer is no evidence: {error or 'a host is not in it'} ({last})"
