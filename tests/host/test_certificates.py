import os
from pathlib import Path

import pytest

from mailwitness.evidence.host import CertificateFile
from mailwitness.evidence.missing import Missing
from mailwitness.host import certificates, files

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB{}==\n-----END CERTIFICATE-----\n"


def certificate_files(paths: list[str]) -> tuple[CertificateFile, ...]:
    found = certificates.certificate_files(paths)
    assert isinstance(found, tuple)
    return found


FIRST, SECOND = CERTIFICATE.format("AAAA"), CERTIFICATE.format("BBBB")


def key(kind: str) -> str:
    return f"-----BEGIN {kind}-----\nMIIEvSECRETSECRET\n-----END {kind}-----\n"


KINDS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY")


def only(path: Path) -> CertificateFile:
    (found,) = certificate_files([str(path)])
    return found


def test_a_chain_comes_in_its_order_with_the_time_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "chain.pem"
    path.write_text(FIRST + SECOND, "ascii")
    os.utime(path, (1_700_000_000.9, 1_700_000_000.9))
    assert only(path) == CertificateFile(str(path), "2023-11-14T22:13:20Z", (FIRST, SECOND))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["key first", "key last", "key between"])
def test_a_key_beside_the_chain_is_never_taken(tmp_path: Path, kind: str, order: str) -> None:
    path = tmp_path / "both.pem"
    parts = {
        "key first": [key(kind), FIRST, SECOND],
        "key last": [FIRST, SECOND, key(kind)],
        "key between": [FIRST, key(kind), SECOND],
    }[order]
    path.write_text("".join(parts), "ascii")
    found = only(path)
    assert found.certificates == (FIRST, SECOND)
    assert "SECRET" not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN CERTIFICATE-----\nMIIB\n" + key("PRIVATE KEY") + FIRST,
        "-----BEGIN CERTIFICATE-----\n" + key("PRIVATE KEY") + "-----END CERTIFICATE-----\n",
        key("PRIVATE KEY").replace("-----END PRIVATE KEY-----", "") + FIRST,
    ],
)
def test_a_key_inside_a_broken_certificate_is_never_taken(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.pem"
    path.write_text(text, "ascii")
    assert "SECRET" not in repr(only(path))


def test_comments_and_text_around_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "text.pem"
    path.write_bytes(b"subject=CN \xff\xfe\n\n" + FIRST.encode() + b"\nCANARY\n")
    assert only(path).certificates == (FIRST,)


def test_a_file_with_dos_line_ends_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dos.pem"
    path.write_bytes(FIRST.replace("\n", "\r\n").encode())
    found = only(path).certificates
    assert isinstance(found, tuple)
    assert len(found) == 1


def test_a_file_without_a_certificate_has_none(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(key("PRIVATE KEY"), "ascii")
    assert only(path).certificates == ()


def test_files_come_once_and_sorted(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("b.pem", "a.pem", "b.pem")]
    assert [found.path for found in certificate_files(names)] == sorted(set(names))


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    found = only(tmp_path / "none.pem")
    assert found.certificates == Missing(f"{tmp_path}/none.pem: No such file or directory")
    assert found.modified_at == found.certificates


def test_a_path_that_no_file_can_have_is_missing(tmp_path: Path) -> None:
    for path in (tmp_path / ("x" * 300), tmp_path / "a\0b"):
        assert isinstance(only(path).certificates, Missing)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    assert isinstance(only(path).certificates, Missing)


@pytest.mark.parametrize("path", ["/dev/zero", "/etc"])
def test_what_is_no_file_is_missing(path: str) -> None:
    assert isinstance(only(Path(path)).certificates, Missing)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.pem"
    path.write_text(FIRST, "ascii")
    os.truncate(path, 10 * 1024**3)
    found = only(path)
    assert isinstance(found.certificates, Missing)
    assert "no regular file of at most" in found.certificates.reason


def test_a_file_full_of_beginnings_is_read_in_time(tmp_path: Path) -> None:
    path = tmp_path / "many.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\n" * 37_000, "ascii")
    assert only(path).certificates == ()


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.pem").write_text(FIRST, "ascii")
    (tmp_path / "link.pem").symlink_to("real.pem")
    assert only(tmp_path / "link.pem").certificates == (FIRST,)


def test_a_loop_of_links_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.pem").symlink_to("b.pem")
    (tmp_path / "b.pem").symlink_to("a.pem")
    assert isinstance(only(tmp_path / "a.pem").certificates, Missing)


def test_a_date_beyond_all_calendars_costs_the_date_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "far.pem").write_text(FIRST, "ascii")
    content = files.Content(FIRST, 1 << 60)
    monkeypatch.setattr(files, "read", lambda *_: content)
    found = only(tmp_path / "far.pem")
    assert isinstance(found.modified_at, Missing)
    assert found.certificates == (FIRST,)


def test_more_files_than_any_host_has_are_not_opened() -> None:
    found = certificates.certificate_files(f"/nosuch/{number}" for number in range(1001))
    assert isinstance(found, Missing)
