"""Whose program holds a listening socket."""

from pathlib import PurePosixPath

from mailwitness.evidence.host import Process
from mailwitness.policy.outcome import NotKnownError, known

# A service manager that holds a socket hands it on to whatever it starts for it.
_MANAGERS = frozenset({"systemd", "init", "inetd", "xinetd"})


def product(process: Process) -> str | None:
    """By the path of the program: a process can give itself any name.

    In a container or a chroot it is another Dovecot or Postfix than the one whose settings
    were read. Who may not look into a process does not know its program either.
    """
    if process.own_root is False:
        return None
    path = PurePosixPath(known(process.executable).removesuffix(" (deleted)"))
    if path.name in _MANAGERS:
        raise NotKnownError(f"{path.name} holds the socket for a service that it starts on demand")
    if path.name == "dovecot":
        return "dovecot"
    return "postfix" if path.name == "master" and "postfix" in path.parts else None
