from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwitness.evidence import folder
from mailwitness.evidence.codec import EvidenceError, dumps, loads
from mailwitness.evidence.run import Failure
from tests.evidence.documents import FAILURE

ODD = [
    ".",
    "..",
    "...",
    "../..",
    "a/b",
    "/etc/passwd",
    "a\\b",
    "%2F",
    "%2E%2E",
    "..%2F..",
    "bücher.example",
    "\u202e",
    "a b",
    "-rf",
    "~root",
    "*",
    "a\nb",
    "a\x00b",
    "host.json",
    "2001:db8::1",
    "[::1]:2222",
    "C:",
]


@pytest.mark.parametrize("name", ODD)
def test_whatever_a_host_is_called_its_files_land_in_a_folder_of_their_own(
    tmp_path: Path, name: str
) -> None:
    for path in (
        folder.host_file(tmp_path, name),
        folder.probe_file(tmp_path, name, "outside"),
        folder.probe_file(tmp_path, "mail1", name),
    ):
        folder.write(path, FAILURE)
        assert path.resolve() == path
        assert path.parent.parent == tmp_path
        assert loads(folder.read(path), Failure) == FAILURE


@given(st.text(min_size=1, max_size=40))
def test_any_name_is_one_folder(name: str) -> None:
    path = folder.host_file(Path("/run"), name)
    assert len(path.parts) == 4
    assert ".." not in path.parts
    assert str(path).isascii()


@given(st.lists(st.text(alphabet="./%2EF~ab", min_size=1, max_size=6), min_size=2, unique=True))
def test_two_names_never_share_a_file(names: list[str]) -> None:
    files = {folder.host_file(Path("/run"), name) for name in names}
    files |= {folder.probe_file(Path("/run"), "mail1", name) for name in names}
    assert len(files) == 2 * len(names)


def test_an_ordinary_name_is_its_folder() -> None:
    run = Path("/run")
    assert folder.run_file(run) == Path("/run/run.json")
    assert folder.host_file(run, "mail1.example.com") == Path("/run/mail1.example.com/host.json")
    assert folder.probe_file(run, "mail1", "out") == Path("/run/mail1/probe@out.json")


def test_what_is_written_is_the_document_and_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "failure.json"
    folder.write(path, FAILURE)
    assert path.read_text("ascii") == dumps(FAILURE) + "\n"


def test_nothing_unfinished_is_left_over(tmp_path: Path) -> None:
    path = folder.host_file(tmp_path, "mail1")
    folder.write(path, FAILURE)
    folder.write(path, FAILURE)
    assert list(path.parent.iterdir()) == [path]


def test_the_files_of_one_host_do_not_disturb_each_other(tmp_path: Path) -> None:
    paths = [
        folder.host_file(tmp_path, "mail1"),
        folder.probe_file(tmp_path, "mail1", "outside"),
        folder.probe_file(tmp_path, "mail1", "outside.json"),
    ]
    unfinished = {path.with_suffix(".unfinished") for path in paths}
    assert len(unfinished | set(paths)) == 6


def test_a_write_that_fails_leaves_the_old_document_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.host_file(tmp_path, "mail1")
    folder.write(path, FAILURE)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        folder.write(path, Failure("mail1", "failed", "another", "2024-01-01T00:00:00Z"))
    assert loads(folder.read(path), Failure) == FAILURE


def test_a_reader_sees_the_old_document_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = folder.host_file(tmp_path, "mail1")
    folder.write(path, FAILURE)
    with path.open("rb") as reader:
        folder.write(path, Failure("mail1", "failed", "another", "2024-01-01T00:00:00Z"))
        assert loads(reader.read(), Failure) == FAILURE


def test_a_file_longer_than_any_evidence_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "MAX_DOCUMENT_BYTES", 1000)
    path = tmp_path / "host.json"
    path.write_bytes(b" " * 1000)
    assert len(folder.read(path)) == 1000
    path.write_bytes(b" " * 1001)
    with pytest.raises(EvidenceError, match="longer than 1000 bytes"):
        folder.read(path)


def test_an_endless_file_is_read_no_further_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MAX_DOCUMENT_BYTES", 1000)
    with pytest.raises(EvidenceError, match="longer than"):
        folder.read(Path("/dev/zero"))
