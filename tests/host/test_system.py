import platform
import socket

import pytest

from mailwitness.evidence.host import Software
from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host.system import software, system
from tests.host.replay import Replay


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        (
            "bullseye",
            (
                Software("dovecot", "2.3.13", "1:2.3.13+dfsg1-2+deb11u1"),
                Software("postfix", "3.5.25", "3.5.25-0+deb11u1"),
                Software("openssl", "1.1.1w", "1.1.1w-0+deb11u1"),
            ),
        ),
        (
            "bookworm",
            (
                Software("dovecot", "2.3.19.1", "1:2.3.19.1+dfsg1-2.1+deb12u6"),
                Software("postfix", "3.7.11", "3.7.11-0+deb12u1"),
                Software("openssl", "3.0.20", "3.0.20-1~deb12u2"),
            ),
        ),
        (
            "trixie",
            (
                Software("dovecot", "2.4.1", "1:2.4.1+dfsg1-6+deb13u7"),
                Software("postfix", "3.10.13", "3.10.13-0+deb13u1"),
            ),
        ),
    ],
)
def test_programs_come_with_both_of_their_versions(
    monkeypatch: pytest.MonkeyPatch, release: str, expected: tuple[Software, ...]
) -> None:
    monkeypatch.setattr(command, "run", Replay(f"{release}/software"))
    monkeypatch.setattr(command, "find", lambda program: f"/usr/bin/{program}")
    assert software()[: len(expected)] == expected


def test_a_program_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    replay = Replay("bookworm/software")
    replay.answers["dovecot", "--version"] = command.NotInstalled("dovecot: not installed")
    monkeypatch.setattr(command, "run", replay)
    monkeypatch.setattr(command, "find", lambda program: f"/usr/bin/{program}")
    assert [found.product for found in software()] == ["postfix", "openssl"]


def test_a_version_that_cannot_be_learnt_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    replay = Replay("bookworm/software")
    replay.answers["dovecot", "--version"] = Missing("dovecot --version: exit status 89")
    replay.answers["openssl", "version"] = "no number\n"
    monkeypatch.setattr(command, "run", replay)
    monkeypatch.setattr(command, "find", lambda program: f"/usr/bin/{program}")
    versions = {found.product: found.version for found in software()}
    assert versions["dovecot"] == Missing("dovecot --version: exit status 89")
    assert versions["openssl"] == Missing(r"no version in 'no number\n'")


def test_without_a_package_manager_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "run", Replay("bookworm/software"))
    monkeypatch.setattr(command, "find", lambda _: None)
    assert {type(found.package) for found in software()} == {Missing}


def test_the_system_is_this_one() -> None:
    found = system()
    assert found.hostname == socket.gethostname()
    assert found.kernel == platform.release()
