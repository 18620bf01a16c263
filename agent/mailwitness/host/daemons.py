"""When a daemon's master process was started, and when it last read its configuration."""

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Optional, Union

from mailwitness.evidence.host import Daemon
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import stamp
from mailwitness.host.processes import Named, everyone, named


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
    for process in everyone():
        if process.parent == master.pid and process.name == "qmgr":
            return replace(master, read_at=process.started_at)
    return replace(master, read_at=Missing("its queue manager does not run"))


def _master(file: Path, name: str) -> Union[Daemon, Missing, None]:
    """The running process that `file` tells of; None: it does not run."""
    try:
        with file.open(encoding="ascii", errors="replace") as opened:
            text = opened.read(64).strip()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        return _only_one(name) or Missing(f"{file}: {error.strerror}")
    except OSError as error:
        return Missing(f"{file}: {error.strerror}")
    if not text.isdigit():
        return Missing(f"{file}: holds no number")
    found = named(int(text))
    if isinstance(found, Missing) or found.name != name:
        return None
    return _daemon(found)


def _only_one(name: str) -> Optional[Daemon]:
    """For who may not read the file: the process of that name that init is the parent of."""
    found = [process for process in everyone() if (process.name, process.parent) == (name, 1)]
    return _daemon(found[0]) if len(found) == 1 else None


def _daemon(master: Named) -> Daemon:
    return Daemon(master.pid, master.started_at, Missing("not looked for yet"))
