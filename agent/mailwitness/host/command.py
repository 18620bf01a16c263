"""The one way to run a command on the host: time and output bounded, no shell, C locale."""

import contextlib
import contextvars
import math
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional, Union

from mailwitness.evidence.missing import Missing
from mailwitness.host import privileged

# Not the login's own PATH: what runs here as root must be the system's.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

TIMEOUT_SECONDS = 10.0
# An nft ruleset with a country list of 100,000 elements prints some ten megabytes.
MAX_OUTPUT_BYTES = 32 * 1024 * 1024
_MAX_LABEL = 100
_REAP_SECONDS = 1.0


@dataclass(frozen=True)
class NotInstalled(Missing):
    """The program is on none of the system's paths: known, not merely unread."""


@dataclass(frozen=True)
class NoEnd(Missing):
    """The program did not end in time."""


@dataclass
class Session:
    """What the commands of one run of the agent share."""

    ends: float = math.inf  # time.monotonic(); what would begin later is not run
    sudo: bool = False  # whether sudo is asked for those of `privileged.COMMANDS`
    hung: set[str] = field(default_factory=set)  # programs that had no end: not waited for twice
    seconds: dict[str, float] = field(default_factory=dict)  # what each command line took


_current: "contextvars.ContextVar[Optional[Session]]" = contextvars.ContextVar(
    "session", default=None
)


@contextlib.contextmanager
def session(seconds: float, *, sudo: bool = False) -> Iterator[Session]:
    """A run of the agent, whose commands may take so many seconds together."""
    its = Session(time.monotonic() + seconds, sudo)
    token = _current.set(its)
    try:
        yield its
    finally:
        _current.reset(token)


def may_use_sudo() -> bool:
    """Whether sudo is asked for what needs root."""
    return os.geteuid() != 0 and (_current.get() or Session()).sudo


def find(program: str) -> Optional[str]:
    """The absolute path of a program of the system, or None."""
    return shutil.which(program, path=PATH)


def run(
    argv: Sequence[str],
    timeout: float = TIMEOUT_SECONDS,
    max_output: int = MAX_OUTPUT_BYTES,
    environment: Optional[Mapping[str, str]] = None,
    answers: Collection[int] = (0,),
) -> Union[str, Missing]:
    """What the command prints, or why there is none: every failure is a `Missing` with a reason.

    `environment` comes beside PATH, LC_ALL and HOME, which are always the same.

    Bytes that are not UTF-8 come as backslash escapes. The command is ended, with all it
    started, when its time or its output is over the limit. An exit status that is not among
    `answers` is a failure, and so is one other than 0 where nothing was printed.
    """
    program = find(argv[0])
    if program is None:
        return NotInstalled(f"{argv[0]}: not installed")
    its = _current.get() or Session()
    lacks_root = os.geteuid() != 0 and privileged.needs_root(argv)
    sudo = ("sudo", "-n", "--") if lacks_root and its.sudo else ()
    label = _label((*sudo, *argv))
    begun = time.monotonic()
    if argv[0] in its.hung:
        return Missing(f"{label}: not run, since {argv[0]} did not end before")
    if begun >= its.ends:
        return Missing(f"{label}: not run, since the time of the whole run is used up")
    timeout = min(timeout, its.ends - begun)
    variables = {**(environment or {}), "PATH": PATH, "LC_ALL": "C", "HOME": "/"}
    answer = _run((*sudo, program, *argv[1:]), label, timeout, max_output, answers, variables)
    taken = time.monotonic() - begun
    its.seconds[label] = its.seconds.get(label, 0.0) + taken
    if isinstance(answer, NoEnd):
        its.hung.add(argv[0])
    if isinstance(answer, Missing) and lacks_root:
        return Missing(f"{answer.reason}; {privileged.how(program, argv)}")
    return answer


def _label(argv: Sequence[str]) -> str:
    """The command for people: without the values of settings, which may be secret, and not long."""
    words = (
        f"{word.partition('=')[0]}=…" if before == "-o" else word
        for before, word in zip(("", *argv), argv)
    )
    line = " ".join(words)
    return line if len(line) <= _MAX_LABEL else f"{line[:_MAX_LABEL]}…"


def _run(  # noqa: PLR0913, PLR0917 - what `run` was asked for
    argv: Sequence[str],
    label: str,
    timeout: float,
    max_output: int,
    answers: Collection[int],
    environment: Mapping[str, str],
) -> Union[str, Missing]:
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return Missing(f"{label}: {error.strerror}")
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        out, err, problem = _read(process, timeout, max_output)
        if problem is not None:
            _kill(process, by_sudo=argv[0] == "sudo")
            return type(problem)(f"{label}: {problem.reason}")
    if process.returncode not in answers or (process.returncode != 0 and not out):
        lines = err.decode("utf-8", "backslashreplace").strip().splitlines()
        said = lines[-1][:300] if lines else "nothing said"
        return Missing(f"{label}: exit status {process.returncode}: {said}")
    return out.decode("utf-8", "backslashreplace")


def _read(
    process: "subprocess.Popen[bytes]", timeout: float, max_output: int
) -> tuple[bytes, bytes, Optional[Missing]]:
    deadline = time.monotonic() + timeout
    received = {"out": bytearray(), "err": bytearray()}
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, "out")  # type: ignore[arg-type]
        selector.register(process.stderr, selectors.EVENT_READ, "err")  # type: ignore[arg-type]
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return b"", b"", NoEnd(f"no end within {timeout:.3g} s")
            for key, _ in selector.select(left):
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                received[key.data] += chunk
            if sum(map(len, received.values())) > max_output:
                return b"", b"", Missing(f"more than {max_output} bytes of output")
    try:
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return b"", b"", NoEnd(f"no end within {timeout:.3g} s")
    return bytes(received["out"]), bytes(received["err"]), None


def _kill(process: "subprocess.Popen[bytes]", *, by_sudo: bool) -> None:
    # start_new_session made it the leader of a group of its own; it is not reaped yet. What
    # sudo started is root's: sudo passes SIGTERM on, and ends what does not heed it by
    # command_timeout of sudoers(5). Killed itself, it would leave the command running.
    with contextlib.suppress(ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM if by_sudo else signal.SIGKILL)
        process.wait(_REAP_SECONDS)
