"""Records what the commands of the collectors print on a real system, in a chroot.

    python -m tests.host.record bullseye=/srv/bullseye bookworm=/srv/bookworm …

Needs root. A recording's first line is the command, the next one its exit status, then
follows what it printed: standard error of a failure, else standard output.
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from mailwitness.evidence.missing import Missing
from mailwitness.host import command, dovecot, postfix, system

RECORDED = Path(__file__).parent / "recorded"
CONFIGURATION = RECORDED / "configuration"


@dataclass(frozen=True)
class Recorder:
    """Stands in for `command.run`, runs what a collector asks for in a chroot, and keeps it."""

    root: Path
    option: Sequence[str]  # of every command, after its name
    folder: Path

    def __call__(self, argv: Sequence[str]) -> str | Missing:
        inside = ["/usr/sbin/chroot", str(self.root), argv[0], *self.option, *argv[1:]]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/"}
        done = subprocess.run(inside, env=environment, capture_output=True, check=False, cwd="/")
        self.folder.mkdir(parents=True, exist_ok=True)
        number = len(list(self.folder.iterdir()))
        printed = done.stderr if done.returncode else done.stdout
        (self.folder / f"{number:02}-{argv[0]}.txt").write_bytes(
            f"{shlex.join(argv)}\n{done.returncode}\n".encode() + printed
        )
        text = printed.decode("utf-8", "backslashreplace")
        return Missing(text) if done.returncode else text


def record(collect: Callable[[], object], recorder: Recorder) -> None:
    """What this collector asks for."""
    with mock.patch.object(command, "run", recorder):
        collect()


def main(releases: Sequence[str]) -> None:
    for release in releases:
        name, _, path = release.partition("=")
        root, folder = Path(path), RECORDED / name
        shutil.rmtree(folder, ignore_errors=True)
        given = root / "tmp" / "configuration"
        shutil.copytree(CONFIGURATION, given, dirs_exist_ok=True)
        try:
            record(system.software, Recorder(root, (), folder / "software"))
            record(postfix.postfix, Recorder(root, (), folder / "postfix-as-packaged"))
            option = ("-c", "/tmp/configuration/postfix")  # noqa: S108
            record(postfix.postfix, Recorder(root, option, folder / "postfix"))
            generation = "24" if name == "trixie" else "23"
            record(dovecot.dovecot, Recorder(root, (), folder / "dovecot-as-packaged"))
            for ours, kind in (("dovecot", "dovecot"), ("dovecot-without-tls", "notls")):
                file = f"/tmp/configuration/{kind}{generation}/dovecot.conf"  # noqa: S108
                record(dovecot.dovecot, Recorder(root, ("-c", file), folder / ours))
        finally:
            shutil.rmtree(given)


if __name__ == "__main__":
    main(sys.argv[1:])
