"""The TLS library that each daemon loads, and what the system's configuration makes of it."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Optional, Union

import mailwitness
from mailwitness.evidence.codec import EvidenceError, decode, encode
from mailwitness.evidence.host import TlsLibrary
from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host.configuration import described
from mailwitness.host.processes import PROC, everyone

CipherText = tuple[str, Optional[int]]  # a list of ciphers, and the security level set before it

# The processes that shake hands, by the names that the kernel has for them.
_PROCESSES = {
    "dovecot": ("imap-login", "pop3-login", "submission-lo"),
    "postfix": ("smtpd", "tlsproxy", "postscreen"),
}
# What those processes load the library by, where none of them runs now.
_FILES = {
    "dovecot": (
        "/usr/lib/dovecot/modules/libssl_iostream_openssl.so",  # Debian
        "/usr/lib64/dovecot/libssl_iostream_openssl.so",  # RHEL
        "/usr/lib/dovecot/libssl_iostream_openssl.so",
        "/usr/local/lib/dovecot/libssl_iostream_openssl.so",
    ),
    "postfix": (
        "/usr/lib/postfix/sbin/smtpd",  # Debian
        "/usr/libexec/postfix/smtpd",  # RHEL
    ),
}
_MAPPED = re.compile(r"(?P<path>/\S*/libssl\.so\S*)(?P<gone> \(deleted\))?$", re.MULTILINE)
_LINKED = re.compile(r"libssl\.so\S* => (?P<path>/\S+)")
_BOOTSTRAP = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from mailwitness.host.tls_context import main; main()"
)


def tls_library(
    product: str, lists: Iterable[CipherText], environment: Mapping[str, str]
) -> Union[TlsLibrary, Missing]:
    """That of the daemon, asked about each list.

    Args:
        product: "dovecot" or "postfix".
        lists: the lists of ciphers that its listeners use.
        environment: what the daemon's processes are given that the library reads.
    """
    found = _loaded(_PROCESSES[product]) or _linked(_FILES[product])
    if isinstance(found, Missing):
        return found
    path, source = found
    asked = json.dumps(sorted(set(lists), key=repr))
    # Where this package lies: a folder, or the archive that was shipped.
    home = str(Path(mailwitness.__file__).parents[1])
    argv = (sys.executable, "-I", "-S", "-c", _BOOTSTRAP, home, path, asked)
    printed = command.run(argv, environment=environment)
    if isinstance(printed, Missing):
        return Missing(f"{path} could not be asked: {printed.reason[-300:]}")
    try:
        answer = json.loads(printed)
        directory = answer.pop("directory").partition('"')[2].rstrip('"')
        configuration = environment.get("OPENSSL_CONF", f"{directory}/openssl.cnf")
        answer |= {
            "path": path,
            "source": source,
            "configuration": encode(described(Path(configuration))),
        }
        library: TlsLibrary = decode(TlsLibrary, answer, path)
    except (ValueError, AttributeError, TypeError, EvidenceError) as error:
        return Missing(f"{path}: its answer cannot be read: {error}")
    return library


def environment_of(import_environment: str, master: Optional[int]) -> dict[str, str]:
    """What a daemon's processes are given of what the library reads; nothing else is looked at.

    Both products hand on what their `import_environment` lists: a name, whose value is that of
    the master process, or name=value.
    """
    for word in import_environment.replace(",", " ").split():
        name, given, value = word.partition("=")
        if name == "OPENSSL_CONF" and given and "%{" not in value:
            return {name: value}
        if name == "OPENSSL_CONF" and master is not None:
            return _own_environment(master)
    return {}


def _own_environment(pid: int) -> dict[str, str]:
    with contextlib.suppress(OSError):
        for entry in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == b"OPENSSL_CONF":
                return {"OPENSSL_CONF": os.fsdecode(value)}
    return {}


def _loaded(names: Sequence[str]) -> Union[tuple[str, str], Missing, None]:
    """From a running process of that name in this PID namespace; None: there is none."""
    own = _namespace("self")
    for process in everyone():
        if process.name not in names:
            continue
        folder = PROC / str(process.pid)
        try:
            if _namespace(str(process.pid)) != own:
                continue
            match = _MAPPED.search((folder / "maps").read_text("utf-8", "backslashreplace"))
        except OSError:  # it has ended, or is not ours to look into
            continue
        said = f"{process.name}, pid {process.pid}"
        if match and match["gone"]:
            return Missing(
                f"{said}, has {match['path']} loaded, which was replaced since: restart the daemon"
            )
        if match:
            return match["path"], f"loaded by {said}"
    return None


def _namespace(pid: str) -> str:
    return os.readlink(PROC / pid / "ns/pid")  # noqa: PTH115


def _linked(files: Sequence[str]) -> Union[tuple[str, str], Missing]:
    """From what the linker finds for the program that loads it."""
    for file in files:
        if Path(file).exists():
            printed = command.run(("ldd", file))
            if isinstance(printed, Missing):
                return printed
            match = _LINKED.search(printed)
            if match:
                return match["path"], f"ldd {file}"
    return Missing(f"no process has a libssl loaded, and none is linked to {' or '.join(files)}")
