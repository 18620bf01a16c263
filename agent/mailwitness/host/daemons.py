"""When a daemon's master process was started, and when it last read its configuration."""

from pathlib import Path
from typing import Optional, Union

from mailwitness.evidence.host import Daemon
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import since_1970
from mailwitness.host import files
from mailwitness.host.processes import Named, everyone, named

_MAX_BYTES = 64  # a number


def dovecot_daemon(base_directory: str) -> Union[Daemon, Missing, None]:
    """Dovecot makes the sockets of its services anew whenever it reads its configuration."""
    master = _master(Path(base_directory, "master.pid"), "dovecot")
    if not isinstance(master, Daemon):
        return master
    socket = Path(base_directory, "config")
    try:
        return master._replace(read_at=since_1970(socket.stat().st_mtime))
    except OSError as error:
        return master._replace(read_at=Missing(f"{socket}: {error.strerror}"))


def postfix_daemon(queue_directory: str) -> Union[Daemon, Missing, None]:
    """master(8) ends the queue manager and starts another whenever it reads master.cf."""
    master = _master(Path(queue_directory, "pid/master.pid"), "master")
    if not isinstance(master, Daemon):
        return master
    for process in everyone():
        if process.parent == master.pid and process.name == "qmgr":
            return master._replace(read_at=process.started_at)
    return master._replace(read_at=Missing("its queue manager does not run"))


def _master(file: Path, name: str) -> Union[Daemon, Missing, None]:
    """The running process that `file` tells of; None: it does not run."""
    told = files.read(file, _MAX_BYTES)
    if isinstance(told, files.NotThere):
        return None
    if isinstance(told, Missing):
        return _only_one(name) or told
    text = told.text.strip()
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
