"""Records what the commands of the collectors print on a real system, in a chroot.

    python -m tests.host.record bullseye=/srv/bullseye bookworm=/srv/bookworm …

Needs root. A recording's first line is the command, the next one its exit status, then
follows what it printed: standard error of a failure, else standard output.
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mailwitness.host import dovecot, postfix

RECORDED = Path(__file__).parent / "recorded"
CONFIGURATION = RECORDED / "configuration"

DOVECOT: tuple[Sequence[str], ...] = (
    ("doveconf", "service/imap-login", "service/pop3-login", "service/submission-login"),
    ("doveconf", "-n"),
    ("doveconf", "protocols"),
    *(
        (
            *("doveconf", "-f", f"protocol={protocol}"),
            *(*dovecot.SETTINGS, *dovecot.FILTERED_SETTINGS),
        )
        for protocol in ("imap", "pop3", "submission")
    ),
)
POSTFIX: tuple[Sequence[str], ...] = (
    ("postconf", "-x", *postfix.PARAMETERS),
    ("postconf", "-h", "config_directory"),
    ("postconf", "-F"),
    ("postconf", "-Px"),
)
SOFTWARE: tuple[Sequence[str], ...] = (
    ("dovecot", "--version"),
    ("postconf", "-dh", "mail_version"),
    ("openssl", "version"),
    ("dpkg-query", "-W", "-f", "${Version}", "dovecot-core"),
    ("dpkg-query", "-W", "-f", "${Version}", "postfix"),
    ("dpkg-query", "-W", "-f", "${Version}", "openssl"),
)


def record(root: Path, argv: Sequence[str], option: Sequence[str], folder: Path) -> None:
    command = ["/usr/sbin/chroot", str(root), argv[0], *option, *argv[1:]]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/"}
    done = subprocess.run(command, env=environment, capture_output=True, check=False, cwd="/")
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.iterdir()))
    printed = done.stderr if done.returncode else done.stdout
    (folder / f"{number}-{argv[0]}.txt").write_bytes(
        f"{shlex.join(argv)}\n{done.returncode}\n".encode() + printed
    )


def main(releases: Sequence[str]) -> None:
    for release in releases:
        name, _, path = release.partition("=")
        root, folder = Path(path), RECORDED / name
        shutil.rmtree(folder, ignore_errors=True)
        given = root / "tmp" / "configuration"
        shutil.copytree(CONFIGURATION, given, dirs_exist_ok=True)
        try:
            for argv in SOFTWARE:
                record(root, argv, (), folder / "software")
            for argv in POSTFIX:
                record(root, argv, (), folder / "postfix-as-packaged")
                record(root, argv, ("-c", "/tmp/configuration/postfix"), folder / "postfix")  # noqa: S108
            generation = "24" if name == "trixie" else "23"
            for argv in DOVECOT:
                record(root, argv, (), folder / "dovecot-as-packaged")
                for ours, kind in (("dovecot", "dovecot"), ("dovecot-without-tls", "notls")):
                    file = f"/tmp/configuration/{kind}{generation}/dovecot.conf"  # noqa: S108
                    record(root, argv, ("-c", file), folder / ours)
        finally:
            shutil.rmtree(given)


if __name__ == "__main__":
    main(sys.argv[1:])
