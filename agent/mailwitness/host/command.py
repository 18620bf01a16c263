"""The one way to run a command on the host: time and output bounded, no shell, C locale."""

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, Union

from mailwitness.evidence.missing import Missing

# Not the login's own PATH: what runs here as root must be the system's.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

TIMEOUT_SECONDS = 10.0
# An nft ruleset with a country list of 100,000 elements prints some ten megabytes.
MAX_OUTPUT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class NotInstalled(Missing):
    """The program is on none of the system's paths: known, not merely unread."""


def find(program: str) -> Optional[str]:
    """The absolute path of a program of the system, or None."""
    return shutil.which(program, path=PATH)


def run(
    argv: Sequence[str],
    timeout: float = TIMEOUT_SECONDS,
    max_output: int = MAX_OUTPUT_BYTES,
    environment: Optional[Mapping[str, str]] = None,
) -> Union[str, Missing]:
    """What the command prints, or why there is none: every failure is a `Missing` with a reason.

    `environment` comes beside PATH, LC_ALL and HOME, which are always the same.

    Bytes that are not UTF-8 come as backslash escapes. The command is ended, with all it
    started, when its time or its output is over the limit.
    """
    program = find(argv[0])
    if program is None:
        return NotInstalled(f"{argv[0]}: not installed")
    label = " ".join(argv)
    try:
        process = subprocess.Popen(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**(environment or {}), "PATH": PATH, "LC_ALL": "C", "HOME": "/"},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return Missing(f"{label}: {error.strerror}")
    with process:
        out, err, problem = _read(process, timeout, max_output)
        if problem is not None:
            _kill(process)
            return Missing(f"{label}: {problem}")
    if process.returncode != 0:
        lines = err.decode("utf-8", "backslashreplace").strip().splitlines()
        said = lines[-1][:300] if lines else "nothing said"
        return Missing(f"{label}: exit status {process.returncode}: {said}")
    return out.decode("utf-8", "backslashreplace")


def _read(
    process: "subprocess.Popen[bytes]", timeout: float, max_output: int
) -> tuple[bytes, bytes, Optional[str]]:
    deadline = time.monotonic() + timeout
    received = {"out": bytearray(), "err": bytearray()}
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, "out")  # type: ignore[arg-type]
        selector.register(process.stderr, selectors.EVENT_READ, "err")  # type: ignore[arg-type]
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return b"", b"", f"no end within {timeout:g} s"
            for key, _ in selector.select(left):
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                received[key.data] += chunk
            if sum(map(len, received.values())) > max_output:
                return b"", b"", f"more than {max_output} bytes of output"
    try:
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return b"", b"", f"no end within {timeout:g} s"
    return bytes(received["out"]), bytes(received["err"]), None


def _kill(process: "subprocess.Popen[bytes]") -> None:
    # start_new_session made it the leader of a group of its own; it is not reaped yet.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
