"""When a daemon's master process was started, and when it last read its configuration."""

import datetime
from pathlib import Path
from typing import Union

from mailwitness.evidence.host import Daemon
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import stamp
from mailwitness.host.sockets import process

_PROC = Path("/proc")


def dovecot_daemon(base_directory: str) -> Union[Daemon, Missing, None]:
    """Dovecot makes the sockets of its services anew whenever it reads its configuration."""
    pid = _pid(Path(base_directory, "master.pid"), "dovecot")
    if not isinstance(pid, int):
        return pid
    socket = Path(base_directory, "config")
    try:
        moment = datetime.datetime.fromtimestamp(int(socket.stat().st_mtime), datetime.timezone.utc)
    except OSError as error:
        return Daemon(pid, process(pid).started_at, Missing(f"{socket}: {error.strerror}"))
    return Daemon(pid, process(pid).started_at, stamp(moment))


def postfix_daemon(queue_directory: str) -> Union[Daemon, Missing, None]:
    """master(8) ends the queue manager and starts another whenever it reads master.cf."""
    pid = _pid(Path(queue_directory, "pid/master.pid"), "master")
    if not isinstance(pid, int):
        return pid
    try:
        # CONFIG_PROC_CHILDREN: of every distribution's kernel.
        children = Path(_PROC, str(pid), "task", str(pid), "children").read_text("ascii").split()
    except OSError as error:
        unread = Missing(f"the children of process {pid}: {error.strerror}")
        return Daemon(pid, process(pid).started_at, unread)
    for child in map(process, map(int, children)):
        if child.name == "qmgr":
            return Daemon(pid, process(pid).started_at, child.started_at)
    return Daemon(pid, process(pid).started_at, Missing("its queue manager does not run"))


def _pid(file: Path, name: str) -> Union[int, Missing, None]:
    """Of the running process that `file` tells of; None: it does not run."""
    try:
        with file.open(encoding="ascii", errors="replace") as opened:
            text = opened.read(64).strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        return Missing(f"{file}: {error.strerror}")
    if not text.isdigit():
        return Missing(f"{file}: holds no number")
    running = process(int(text))
    return running.pid if running.name == name else None
