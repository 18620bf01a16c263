"""Which keys of OpenSSH's files are a host's."""

from pathlib import Path

import paramiko
import pytest

from mailwitness.transport.known_hosts import keys


@pytest.fixture
def lines() -> list[str]:
    """Three keys as ssh-keyscan prints them, without the host."""
    made = [paramiko.ECDSAKey.generate() for _ in range(3)]
    return [f"{key.get_name()} {key.get_base64()}" for key in made]


def known(host: str, port: int, *files: Path) -> list[str]:
    found = keys(host, port, tuple(map(str, files)))
    return [f"{key.get_name()} {key.get_base64()}" for _, key in found]


def test_a_host_s_own_lines_by_name_address_and_port(tmp_path: Path, lines: list[str]) -> None:
    (file := tmp_path / "known_hosts").write_text(
        f"# a fleet\n\nmail1,192.0.2.1 {lines[0]}\n[mail1]:2222 {lines[1]} a comment\n"
        f"mail10 {lines[2]}\n@revoked mail2 {lines[2]}\n"
    )
    assert known("mail1", 22, file) == known("192.0.2.1", 22, file) == lines[:1]
    assert known("mail1", 2222, file) == lines[1:2]
    assert known("mail2", 22, file) == []


def test_hashed_names(tmp_path: Path, lines: list[str]) -> None:
    names = [paramiko.HostKeys.hash_host(name) for name in ("mail1", "[mail1]:2222")]
    (file := tmp_path / "known_hosts").write_text(f"{names[0]} {lines[0]}\n{names[1]} {lines[1]}\n")
    assert known("mail1", 22, file) == lines[:1]
    assert known("mail1", 2222, file) == lines[1:2]
    assert known("mail2", 22, file) == []


def test_several_files_one_of_which_is_not_there(tmp_path: Path, lines: list[str]) -> None:
    first, absent, second = (tmp_path / name for name in ("first", "absent", "second"))
    first.write_text(f"mail1 {lines[0]}\n")
    second.write_text(f"mail1 {lines[1]}\n")
    assert known("mail1", 22, first, absent, second) == lines[:2]


def test_what_is_no_key_is_nobody_s(tmp_path: Path) -> None:
    (file := tmp_path / "known_hosts").write_text("mail1\nmail1 ssh-unheard-of AAAA\n")
    assert known("mail1", 22, file) == []


def test_a_file_that_has_changed_is_read_again(tmp_path: Path, lines: list[str]) -> None:
    (file := tmp_path / "known_hosts").write_text(f"mail1 {lines[0]}\n")
    assert known("mail1", 22, file) == lines[:1]
    file.write_text(f"mail1 {lines[1]}\n")
    assert known("mail1", 22, file) == lines[1:2]
