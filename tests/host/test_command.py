import os
import time
from pathlib import Path

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.host import command, files
from mailwitness.host.command import NoEnd, NotInstalled, find, run


def gone(pid: int) -> bool:
    """Whether that process has ended, or is about to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while not gone(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_the_answer_is_what_the_command_prints() -> None:
    assert run(("printf", "%s\n", "a b", "ü")) == "a b\nü\n"


def test_there_is_no_shell_in_between() -> None:
    assert run(("printf", "%s", "$HOME; `id` > x")) == "$HOME; `id` > x"


def test_bytes_that_are_not_utf_8_come_as_escapes() -> None:
    assert run(("printf", r"a\377\303\251b")) == r"a\xfféb"


def test_the_locale_the_path_and_the_folder_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LD_PRELOAD_CANARY", "1")
    answer = run(("sh", "-c", "pwd; env"))
    assert isinstance(answer, str)
    folder, *environment = answer.splitlines()
    assert folder == "/"
    assert {"LC_ALL=C", f"PATH={command.PATH}"} <= set(environment)
    assert "CANARY" not in answer


def test_a_program_of_the_callers_own_path_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = tmp_path / "doveconf-of-mine"
    mine.write_text("#!/bin/sh\necho mine\n", "ascii")
    mine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find("doveconf-of-mine") is None
    assert run(("doveconf-of-mine",)) == NotInstalled("doveconf-of-mine: not installed")


def test_a_program_that_is_not_installed_is_known_not_to_be() -> None:
    assert run(("no-such-program", "-x")) == NotInstalled("no-such-program: not installed")


def test_a_failure_is_missing_with_the_status_and_the_last_words() -> None:
    answer = run(("sh", "-c", "echo half; echo first >&2; echo last >&2; exit 3"))
    assert type(answer) is Missing
    assert answer.reason.endswith("exit status 3: last")


def test_a_failure_without_words_says_so() -> None:
    answer = run(("false",))
    assert answer == Missing("false: exit status 1: nothing said")


def test_a_command_that_a_signal_ended_is_missing() -> None:
    answer = run(("sh", "-c", "kill -9 $$"))
    assert isinstance(answer, Missing)
    assert "exit status -9" in answer.reason


def test_words_of_a_failure_that_have_no_end_are_cut() -> None:
    answer = run(("sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1"))
    assert isinstance(answer, Missing)
    assert len(answer.reason) < 500


def test_warnings_of_a_success_are_not_part_of_the_answer() -> None:
    assert run(("sh", "-c", "echo warning >&2; echo answer")) == "answer\n"


def test_standard_input_is_empty() -> None:
    assert run(("cat",)) == ""


def test_a_program_that_cannot_be_started_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n", "ascii")
    broken.chmod(0o755)
    monkeypatch.setattr(command, "PATH", str(tmp_path))
    assert run(("broken",)) == Missing("broken: No such file or directory")


class TestTime:
    def test_a_command_without_end_is_missing_in_time(self) -> None:
        begun = time.monotonic()
        answer = run(("sleep", "60"), timeout=0.2)
        assert answer == NoEnd("sleep 60: no end within 0.2 s")
        assert time.monotonic() - begun < 5

    def test_all_that_it_started_ends_with_it(self, tmp_path: Path) -> None:
        pids = tmp_path / "pids"
        script = f"echo $$ >{pids}; sleep 60 & echo $! >>{pids}; wait"
        answer = run(("sh", "-c", script), timeout=0.5)
        assert isinstance(answer, Missing)
        started = [int(pid) for pid in pids.read_text("ascii").split()]
        assert len(started) == 2
        assert all(until_gone(pid) for pid in started)

    def test_a_child_that_keeps_the_output_open_does_not_hold_it_up(self, tmp_path: Path) -> None:
        pids = tmp_path / "pids"
        begun = time.monotonic()
        answer = run(("sh", "-c", f"sleep 60 & echo $! >{pids}"), timeout=0.5)
        assert isinstance(answer, Missing)
        assert time.monotonic() - begun < 5
        assert until_gone(int(pids.read_text("ascii")))

    def test_one_that_closes_its_output_and_stays_is_missing_in_time(self) -> None:
        begun = time.monotonic()
        answer = run(("sh", "-c", "exec sleep 60 >&- 2>&-"), timeout=0.3)
        assert isinstance(answer, Missing)
        assert "no end within 0.3 s" in answer.reason
        assert time.monotonic() - begun < 5


class TestSize:
    def test_output_up_to_the_limit_is_taken(self) -> None:
        answer = run(("head", "-c", "1000", "/dev/zero"), max_output=1000)
        assert answer == "\0" * 1000

    def test_output_over_the_limit_is_missing(self) -> None:
        answer = run(("head", "-c", "1001", "/dev/zero"), max_output=1000)
        assert answer == Missing("head -c 1001 /dev/zero: more than 1000 bytes of output")

    @pytest.mark.parametrize("where", ["", ">&2"])
    def test_endless_output_ends_at_once(self, where: str) -> None:
        begun = time.monotonic()
        answer = run(("sh", "-c", f"cat /dev/zero {where}"), max_output=1_000_000)
        assert isinstance(answer, Missing)
        assert "more than 1000000 bytes of output" in answer.reason
        assert time.monotonic() - begun < 5


def test_no_child_is_left_unreaped() -> None:
    run(("true",))
    run(("sleep", "60"), timeout=0.1)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


class TestSession:
    def test_a_program_that_hung_is_not_waited_for_twice(self) -> None:
        with command.session(60):
            assert isinstance(run(("sleep", "60"), timeout=0.1), NoEnd)
            again = run(("sleep", "0"))
            other = run(("printf", "%s", "x"))
        assert again == Missing("sleep 0: not run, since sleep did not end before")
        assert other == "x"
        assert run(("sleep", "0")) == ""

    def test_the_time_of_all_commands_ends(self) -> None:
        with command.session(0.3):
            cut = run(("sleep", "60"))
            late = run(("printf", "%s", "x"))
        assert isinstance(cut, NoEnd)
        assert late == Missing("printf %s x: not run, since the time of the whole run is used up")

    def test_a_status_is_an_answer_only_where_it_is_expected_and_something_was_printed(
        self,
    ) -> None:
        assert run(("sh", "-c", "echo x; exit 1"), answers=(0, 1)) == "x\n"
        assert isinstance(run(("sh", "-c", "exit 1"), answers=(0, 1)), Missing)
        assert isinstance(run(("sh", "-c", "echo x; exit 2"), answers=(0, 1)), Missing)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"x" * 11)
    (tmp_path / "odd").write_bytes(b"a\xff")
    for name in ("fifo", "large", "."):
        assert isinstance(files.read(tmp_path / name, 10), Missing)
    assert isinstance(files.read(Path("/dev/zero"), 10), Missing)
    assert isinstance(files.read(tmp_path / "none", 10), files.NotThere)
    found = files.read(tmp_path / "odd", 10)
    assert isinstance(found, files.Content)
    assert found.text == r"a\xff"
