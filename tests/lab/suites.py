"""The base file system of each Debian release, made once and kept."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.lab.command import run
from tests.lab.errors import LabError

SUITES = {"bullseye": "Debian 11", "bookworm": "Debian 12", "trixie": "Debian 13"}
PACKAGES = (
    "ca-certificates",
    "dbus",
    "dovecot-imapd",
    "dovecot-pop3d",
    "iproute2",
    "ipset",
    "iptables",
    "nftables",
    "openssh-server",
    "openssl",
    "postfix",
    "python3",
    "stunnel4",
    "sudo",
    "systemd",
    "systemd-sysv",
)
# For single hosts to install, since their mere presence changes what an audit says; each with
# what it needs in /opt/packages/<name>/.
LAID_UP = (
    "cron",
    "cyrus-imapd",
    "exim4-daemon-light",
    "fail2ban",
    "firewalld",
    "haproxy",
    "nginx",
    "postfix-pcre",
    "python3-systemd",
    "python3-venv",
    "ufw",
)
# Runs in the new file system. Units that have no meaning in a container would count as failed.
_RECIPE = """\
set -e
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
apt-get update -q
apt-get install -q -y --no-install-recommends {packages}
apt-get clean
for package in {laid_up}; do
    apt-get install -q -y --no-install-recommends --download-only $package
    mkdir -p /opt/packages/$package
    mv /var/cache/apt/archives/*.deb /opt/packages/$package
done
rm /usr/sbin/policy-rc.d
rm -f /etc/ssh/ssh_host_*
systemctl disable stunnel4.service apt-daily.timer apt-daily-upgrade.timer
systemctl mask getty.target console-getty.service systemd-logind.service systemd-resolved.service
apt-get clean
rm -rf /var/lib/apt/lists/*
"""
_TRUST = "/etc/apt/borrowed.crt"
_CA_FILE = re.compile(r'CaInfo\s+"([^"]+)"', re.IGNORECASE)
_MIRROR = "http://deb.debian.org/debian"


def cache() -> Path:
    """Where the base file systems are kept."""
    return Path(os.environ.get("MAILWITNESS_LAB_CACHE", "/var/cache/mailwitness-lab"))


def base(suite: str) -> Path:
    """The root of `suite`'s file system; made, in about a minute, where it is not there yet.

    Raises:
        LabError: it cannot be made; the message names the log.
    """
    stamp = hashlib.sha256(repr((suite, PACKAGES, LAID_UP, _RECIPE)).encode()).hexdigest()[:12]
    root = cache() / f"{suite}-{stamp}"
    if root.is_dir():
        return root
    print(f"base {suite} ({SUITES[suite]}): making it, about a minute", flush=True)
    cache().mkdir(parents=True, exist_ok=True)
    unfinished = cache() / f".{suite}-{stamp}-{os.getpid()}"
    log = cache() / f"{suite}.log"
    try:
        _make(suite, unfinished, log)
        unfinished.rename(root)
    except subprocess.CalledProcessError as error:
        raise LabError(f"base {suite}: {error.cmd[0]} failed; see {log}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    mounts = Path("/proc/self/mounts").read_text()
    for old in cache().glob(f"{suite}-*"):
        if old != root and f"lowerdir={old}," not in mounts:  # another checkout's hosts may be up
            shutil.rmtree(old)
    return root


def lay_over(lower: Path, folder: Path) -> Path:
    """The root of a file system of its own over that one, mounted in a new or empty `folder`.

    Raises:
        LabError: the layers cannot be mounted.
    """
    upper, work, root = (folder / part for part in ("upper", "work", "root"))
    for part in (upper, work, root):
        part.mkdir(parents=True)
    layers = f"lowerdir={lower},upperdir={upper},workdir={work}"
    run("mount", "-t", "overlay", "-o", layers, "overlay", root)
    return root


def _make(suite: str, root: Path, log: Path) -> None:
    with log.open("wb") as output:

        def run(*argv: str) -> None:
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

        run("debootstrap", "--variant=minbase", suite, str(root), _mirror())
        borrowed = list(_borrow(root))
        recipe = _RECIPE.format(packages=" ".join(PACKAGES), laid_up=" ".join(LAID_UP))
        run("chroot", str(root), "/bin/sh", "-c", recipe)
        for file in borrowed:
            file.unlink()


def _mirror() -> str:
    """The archive that this machine itself installs Debian from."""
    found = (
        uri for text in _sources() for uri in re.findall(r"https?://\S+/debian/?(?=\s|$)", text)
    )
    return next(found, _MIRROR)


def _sources() -> Iterator[str]:
    for file in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")):
        if file.is_file():
            yield "\n".join(
                line for line in file.read_text().splitlines() if not line.startswith("#")
            )


def _borrow(root: Path) -> Iterator[Path]:
    """What apt needs to reach the archive as this machine does: names, proxies, trust.

    Trust goes into a file of its own: the system's bundle would keep what is written into it.
    """
    yield Path(shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf"))
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    trust = bundle.read_text() if bundle.exists() else ""
    settings = {"00borrowed": f'Acquire::https::CaInfo "{_TRUST}";\n'} if trust else {}
    for file in Path("/etc/apt/apt.conf.d").iterdir():
        text = file.read_text(errors="replace")
        if re.search(r"Acquire::\S*(Proxy|CaInfo)", text, re.IGNORECASE):
            for path in re.findall(_CA_FILE, text):
                trust += Path(path).read_text()
            settings[file.name] = re.sub(_CA_FILE, f'CaInfo "{_TRUST}"', text)
    files = {f"/etc/apt/apt.conf.d/{name}": text for name, text in settings.items()}
    for path, text in (files | {_TRUST: trust}).items():
        there = root / path.lstrip("/")
        there.write_text(text)
        yield there
