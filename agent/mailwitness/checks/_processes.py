"""Whose program holds a listening socket."""

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
    *folders, name = known(process.executable).removesuffix(" (deleted)").split("/")
    if name in _MANAGERS:
        raise NotKnownError(f"{name} holds the socket for a service that it starts on demand")
    if name == "dovecot":
        return "dovecot"
    return "postfix" if name == "master" and "postfix" in folders else None
