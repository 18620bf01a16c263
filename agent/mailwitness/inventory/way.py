"""How to log in to a host: Ansible's variables of it, and what ssh_config has to add."""

import getpass
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from mailwitness.inventory.plan import InventoryError, Variables

_TRUE = frozenset(("true", "yes", "on", "1", "y", "t"))
# Of OpenSSH's options those that say where keys are and which way to take; the others that occur
# in inventories only make ssh faster or more patient, which is nothing to paramiko.
_OBEYED = frozenset(("userknownhostsfile", "proxyjump", "identityfile", "port", "user"))
_NEEDLESS = frozenset(
    (
        *("controlmaster", "controlpersist", "controlpath", "compression", "batchmode"),
        *("connecttimeout", "serveraliveinterval", "serveralivecountmax", "loglevel"),
        *("preferredauthentications", "passwordauthentication", "kbdinteractiveauthentication"),
        *("gssapiauthentication", "pubkeyauthentication", "identitiesonly", "forwardagent"),
    )
)


@dataclass(frozen=True)
class Way:
    """How to get to a host, and who to be there."""

    host: str
    port: int
    user: str
    password: str | None = field(default=None, repr=False)
    keys: tuple[str, ...] = ()
    known_hosts: tuple[str, ...] = ()
    jump: "Way | None" = None
    sudo: bool = False
    sudo_password: str | None = field(default=None, repr=False)


def way(name: str, its: Variables, configuration: Path | None = None) -> Way:
    """From Ansible's variables of the host, and what ssh_config has to add.

    Raises:
        InventoryError: it asks for what this transport does not do.
    """
    connection = str(its.get("ansible_connection") or "ssh")
    if connection.rpartition(".")[2] not in ("ssh", "smart", "paramiko", "paramiko_ssh"):
        raise InventoryError(
            name, f"ansible_connection: {connection} is not SSH; audit it by the playbook"
        )
    sudo = str(its.get("ansible_become") or "").lower() in _TRUE
    method = str(its.get("ansible_become_method") or "sudo").rpartition(".")[2]
    whom = str(its.get("ansible_become_user") or "root")
    if sudo and (method, whom) != ("sudo", "root"):
        raise InventoryError(
            name, f"ansible_become: {method} to {whom} is not done here, sudo to root is"
        )
    try:
        options = _options(its)
    except ValueError as error:
        raise InventoryError(name, error) from None
    port = its.get("ansible_port")
    if port and not str(port).isdecimal():
        raise InventoryError(name, f"ansible_port: {port!a} is no port number")
    config = _ssh_config(configuration or Path("~/.ssh/config").expanduser())
    return _way(
        str(its.get("ansible_host") or name),
        config,
        options,
        port=port,
        user=its.get("ansible_user"),
        key=its.get("ansible_ssh_private_key_file") or its.get("ansible_private_key_file"),
        password=_first(its, "ansible_password", "ansible_ssh_password", "ansible_ssh_pass"),
        sudo=sudo,
        sudo_password=_first(
            its, "ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"
        ),
    )


def _way(host: str, config: paramiko.SSHConfig, options: dict[str, str], **given: Any) -> Way:
    found = config.lookup(host)
    jump = options.get("proxyjump") or found.get("proxyjump")
    keys = [given.get("key"), options.get("identityfile"), *found.get("identityfile", ())]
    known = options.get("userknownhostsfile") or found.get("userknownhostsfile") or ""
    return Way(
        host=found.get("hostname", host),
        port=int(given.get("port") or options.get("port") or found.get("port") or 22),
        user=str(
            given.get("user") or options.get("user") or found.get("user") or getpass.getuser()
        ),
        password=given.get("password"),
        keys=tuple(str(Path(str(key)).expanduser()) for key in keys if key),
        known_hosts=tuple(known.split()),
        jump=None if not jump or jump == "none" else _jump(jump, config, known, given.get("key")),
        sudo=bool(given.get("sudo")),
        sudo_password=given.get("sudo_password"),
    )


def _jump(text: str, config: paramiko.SSHConfig, known: str, key: object) -> Way:
    """The last of several hops is reached by way of those before it; the host's key opens all."""
    before, _, last = text.rpartition(",")
    user, _, place = last.removeprefix("ssh://").rpartition("@")
    host, _, port = place.partition(":")
    options = {"userknownhostsfile": known}
    if before:
        options["proxyjump"] = before
    return _way(host, config, options, user=user, port=port, key=key)


def _options(its: Variables) -> dict[str, str]:
    """Of ansible_ssh_common_args and ansible_ssh_extra_args, names in lower case."""
    found: dict[str, str] = {}
    for variable in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        words = iter(shlex.split(str(its.get(variable) or "")))
        for word in words:
            name, value = _option(word, words)
            if name == "stricthostkeychecking":
                if value.lower() not in ("yes", "accept-new", "ask"):
                    raise ValueError(f"{variable}: {name}={value}: host keys are checked here")
            elif name in _OBEYED:
                found[name] = value
            elif name not in _NEEDLESS:
                raise ValueError(
                    f"{variable}: {word} {value} is not known here; say it in ~/.ssh/config, or "
                    "audit by the playbook"
                )
    return found


def _option(word: str, words: Iterator[str]) -> tuple[str, str]:
    short = {"-J": "proxyjump", "-i": "identityfile", "-p": "port", "-l": "user"}
    if word in short:
        return short[word], next(words, "")
    if word.startswith("-o"):
        text = word[2:] or next(words, "")
        name, _, value = re.sub(r"\s*=\s*|\s+", "=", text.strip(), count=1).partition("=")
        return name.lower(), value
    return "", ""


def _ssh_config(file: Path) -> paramiko.SSHConfig:
    try:
        return paramiko.SSHConfig.from_path(str(file))
    except OSError:
        return paramiko.SSHConfig()


def _first(its: Variables, *names: str) -> str | None:
    given = next((its[name] for name in names if its.get(name)), None)
    return None if given is None else str(given)
