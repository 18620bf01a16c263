"""Records what the agent and a client see of daemons that the lab does not have.

    python -m tests.resolver.recorded older=/srv/older crypto-policies

`older` wants the root of a Debian 11 with Dovecot 2.2.36.4 and Postfix 3.4.29 built from their
sources (--prefix=/usr --sysconfdir=/etc --localstatedir=/var --with-ssl; daemon_directory
/usr/lib/postfix/sbin). `crypto-policies` is the lab's Debian 12 with the openssl.cnf of
RHEL 9, and what its policy DEFAULT makes for OpenSSL but for the section of Red Hat's own patches.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mailwitness import zipapp
from mailwitness.evidence.codec import dumps
from tests.lab import suites
from tests.lab.certificates import Authority
from tests.resolver.cell import cell
from tests.resolver.configurations import NAME, certificate_of
from tests.resolver.trials import START, inspect, looks

HERE = Path(__file__).parent / "recorded"
CONFIGURATION = HERE / "configuration"


def record(name: str, base: Path) -> None:
    """The evidence goes to `recorded/<name>/`."""
    with tempfile.TemporaryDirectory(prefix="mailwitness-recorded-") as scratch:
        folder = Path(scratch)
        agent = folder / "agent.pyz"
        agent.write_bytes(zipapp.build().content)
        files = {"/agent.pyz": agent.read_bytes(), **_certificate(folder)}
        for file in (CONFIGURATION / name).rglob("*"):
            if file.is_file():
                files[f"/{file.relative_to(CONFIGURATION / name)}"] = file.read_bytes()
        with cell(base, folder / "cell", files) as host:
            host.run("/bin/sh", "-c", START)
            inside, outside = inspect(host), list(looks(host, agent))
    shutil.rmtree(HERE / name, ignore_errors=True)
    (HERE / name).mkdir(parents=True)
    (HERE / name / "host.json").write_text(dumps(inside))
    for evidence in outside:
        (HERE / name / f"probe-{evidence.target}.json").write_text(dumps(evidence))


def _certificate(folder: Path) -> dict[str, bytes]:
    paths = ("/etc/ssl/mail/rsa.pem", "/etc/ssl/mail/rsa-key.pem")
    wanted = certificate_of(NAME.partition(".")[0], "rsa", *paths)
    Authority.at(folder / "ca").issue(wanted, folder)
    return {path: (folder / path.lstrip("/")).read_bytes() for path in paths}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME[=ROOT]")
    for each in parser.parse_args(arguments).names:
        name, _, root = each.partition("=")
        record(name, Path(root) if root else suites.base("bookworm"))


if __name__ == "__main__":
    main()
