"""The operating system and the programs that matter to mail, with their versions."""

import platform
import re
import socket
from pathlib import Path
from typing import Union

from mailwitness.evidence.host import Software, System
from mailwitness.evidence.missing import Missing
from mailwitness.host import command, files

# product: the command that states its version, the packages it comes in (Debian's, then RPM's).
_PRODUCTS = {
    "dovecot": (("dovecot", "--version"), ("dovecot-core", "dovecot")),
    "postfix": (("postconf", "-dh", "mail_version"), ("postfix",)),
    "openssl": (("openssl", "version"), ("openssl",)),
}
_MAX_BYTES = 64 * 1024
_VERSION = re.compile(r"\d+\.\d+[\w.]*")


def system() -> System:
    """What os-release(5) and uname(2) say."""
    release = _os_release()
    return System(
        hostname=socket.gethostname(),
        os_id=_of_release(release, "ID"),
        os_version=_of_release(release, "VERSION_ID"),
        kernel=platform.release(),
    )


def software() -> tuple[Software, ...]:
    """The products of `_PRODUCTS` that are installed."""
    found = []
    for product, (version_command, packages) in _PRODUCTS.items():
        answer = command.run(version_command)
        if isinstance(answer, command.NotInstalled):
            continue
        found.append(Software(product, _version_in(answer), _package_version(packages)))
    return tuple(found)


def _version_in(answer: Union[str, Missing]) -> Union[str, Missing]:
    if isinstance(answer, Missing):
        return answer
    match = _VERSION.search(answer)
    return match.group() if match else Missing(f"no version in {answer[:80]!r}")


def _package_version(names: tuple[str, ...]) -> Union[str, Missing]:
    if command.find("dpkg-query"):
        return command.run(("dpkg-query", "-W", "-f", "${Version}", names[0]))
    if command.find("rpm"):
        return command.run(("rpm", "-q", "--qf", "%{EVR}", names[-1]))
    return Missing("no package manager that is known: neither dpkg-query nor rpm")


def _os_release() -> Union[dict[str, str], Missing]:
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        found = files.read(path, _MAX_BYTES)
        if isinstance(found, files.NotThere):
            continue
        if isinstance(found, Missing):
            return found
        pairs = (line.partition("=") for line in found.text.splitlines() if "=" in line)
        return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
    return Missing("/etc/os-release: not there")


def _of_release(release: Union[dict[str, str], Missing], key: str) -> Union[str, Missing]:
    if isinstance(release, Missing):
        return release
    return release.get(key, Missing(f"os-release has no {key}"))
