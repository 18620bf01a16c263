"""The lab's use of this machine's own tools."""

import os
import shlex
import subprocess
from pathlib import Path

from tests.lab.errors import LabError

# What a command in a host finds; this machine's own variables mean nothing there.
HOST_ENVIRONMENT = {
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


def run(*argv: str | Path) -> None:
    """Run a command that must succeed.

    Raises:
        LabError: it did not; the message has its words.
    """
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode != 0:
        command = shlex.join(str(word) for word in argv)
        raise LabError(f"{command}: {done.stderr.strip() or f'exit status {done.returncode}'}")
