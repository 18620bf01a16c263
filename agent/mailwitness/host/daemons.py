"""When a daemon's master process was started, and when it last read its configuration."""

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Union

from mailwitness.evidence.host import Daemon
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import stamp
from mailwitness.host.processes import PROC, named


def dovecot_daemon(base_directory: str) -> Union[Daemon, Missing, None]:
    """Dovecot makes the sockets of its services anew whenever it reads its configuration."""
    master = _master(Path(base_directory, "master.pid"), "dovecot")
    if not isinstance(master, Daemon):
        return master
    socket = Path(base_directory, "config")
    try:
        moment = datetime.datetime.fromtimestamp(int(socket.stat().st_mtime), datetime.timezone.utc)
    except OSError as error:
        return replace(master, read_at=Missing(f"{socket}: {error.strerror}"))
    return replace(master, read_at=stamp(moment))


def postfix_daemon(queue_directory: str) -> Union[Daemon, Missing, None]:
    """master(8) ends the queue manager and starts another whenever it reads master.cf."""
    master = _master(Path(queue_directory, "pid/master.pid"), "master")
    if not isinstance(master, Daemon):
        return master
    try:
        # CONFIG_PROC_CHILDREN: of every distribution's kernel.
        children = Path(PROC, f"{master.pid}/task/{master.pid}/children").read_text("ascii").split()
    except OSError as error:
        return replace(master, read_at=Missing(f"the children of master: {error.strerror}"))
    for child in map(named, map(int, children)):
        if not isinstance(child, Missing) and child.name == "qmgr":
            return replace(master, read_at=child.started_at)
    return replace(master, read_at=Missing("its queue manager does not run"))


def _master(file: Path, name: str) -> Union[Daemon, Missing, None]:
    """The running process that `file` tells of; None: it does not run."""
    try:
        with file.open(encoding="ascii", errors="replace") as opened:
            text = opened.read(64).strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        return Missing(f"{file}: {error.strerror}")
    if not text.isdigit():
        return Missing(f"{file}: holds no number")
    found = named(int(text))
    if isinstance(found, Missing) or found.name != name:
        return None
    return Daemon(int(text), found.started_at, Missing("not looked for yet"))
