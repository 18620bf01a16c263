"""`reach` and `allowlist check`, by stored evidence."""

from pathlib import Path

import pytest

from mailwitness import cli
from tests.lab.audit import RECORDED


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = cli.main([*argv, str(RECORDED)])
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("10.203.0.1", cli.OK, "admitted"),
        ("198.51.100.7", cli.FINDINGS, "policy drop"),
        ("2001:db8:40::/48", cli.OK, "ip6 saddr @crm6 accept"),
        ("10.0.0.0/8", cli.FINDINGS, "10.203.0.0"),
    ],
)
def test_a_source_is_traced(
    capsys: pytest.CaptureFixture[str], source: str, status: int, words: str
) -> None:
    said, out, _ = run(capsys, "reach", "allowlisted", "993", "--from", source)
    assert said == status
    assert words in out
    assert "step by step" in out


def test_all_sources_are_told_with_what_decides(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "reach", "allowlisted", "4190")
    assert status == cli.OK
    assert "blocked" in out
    assert "policy drop" in out


def test_what_was_not_read_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "reach", "noroot", "993")
    assert status == cli.NOT_AUDITED
    assert out.startswith("not known: nft")


def test_a_host_that_is_not_there_is_an_error_that_names_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, _, err = run(capsys, "reach", "nosuch", "993")
    assert status == cli.USAGE
    assert "there are: allowlisted, another" in err


@pytest.mark.parametrize(
    "argv",
    [["reach", "good", "0"], ["reach", "good", "993", "--from", "x"], ["judge", "a", "b"]],
)
def test_wrong_words_are_the_usage(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == cli.USAGE


def test_a_new_list_is_held_against_the_whole_fleet(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "vendor.txt").write_text("10.203.0.0/24\n198.51.100.0/25\n")
    status, out, _ = run(
        capsys, "allowlist", "check", str(tmp_path / "vendor.txt"), "--port", "993"
    )
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if " 993 " in line}
    assert status == cli.FINDINGS
    assert rows["good"] == ["vendor", "993", "full"]
    assert rows["allowlisted"] == ["vendor", "993", "partial", "198.51.100.0/25"]
    assert rows["dead"][:3] == ["vendor", "993", "unknown"]
    assert rows["noroot"][:3] == ["vendor", "993", "unknown"]
    assert "198.51.100.0/25 blocked: nft inet filter input: policy drop" in out


def test_a_wrong_list_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "vendor.txt").write_text("198.51.100.1/25\n")
    status, _, err = run(capsys, "allowlist", "check", str(tmp_path / "vendor.txt"))
    assert status == cli.USAGE
    assert "vendor.txt: line 1" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("argv", [["reach"], ["allowlist", "check"]])
def test_the_help_teaches(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([*argv, "--help"])
    out = capsys.readouterr().out
    assert "exit status:" in out
    assert f"  mailwitness {' '.join(argv)} " in out
