"""The one file that ships: reproducible, complete, and nothing but the standard library."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from mailwitness import __version__, zipapp

ROOT = Path(__file__).parents[1]


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = zipapp.write(tmp_path / "a.pyz"), zipapp.write(tmp_path / "b.pyz")
    assert first == second
    assert (tmp_path / "a.pyz").read_bytes() == (tmp_path / "b.pyz").read_bytes()


def test_a_build_that_changes_nothing_leaves_the_file_alone(tmp_path: Path) -> None:
    zipapp.write(tmp_path / "a.pyz")
    before = (tmp_path / "a.pyz").stat()
    zipapp.write(tmp_path / "a.pyz")
    assert (tmp_path / "a.pyz").stat() == before


def test_it_runs_alone(tmp_path: Path) -> None:
    built = zipapp.write(tmp_path / "agent.pyz")
    print(f"mailwitness-agent.pyz: {len(built.content)} bytes")
    argv = (sys.executable, "-I", "-S", tmp_path / "agent.pyz", "--version")
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == __version__


def test_what_ships_is_what_the_import_contract_guards(tmp_path: Path) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (guard,) = (entry for entry in settings["contracts"] if entry["type"] == "forbidden")
    shipped = {f"mailwitness.{name.removesuffix('.py')}" for name in zipapp.SHIPPED}
    assert shipped - {"mailwitness.__init__"} == set(guard["source_modules"])
    zipapp.write(tmp_path / "agent.pyz")
    with zipfile.ZipFile(tmp_path / "agent.pyz") as archive:
        assert all(name.endswith(".py") for name in archive.namelist())


def test_no_shipped_module_imports_anything_but_the_standard_library(tmp_path: Path) -> None:
    zipapp.write(tmp_path / "agent.pyz")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import mailwitness.agent; "
        "print(sorted(n for n in {m.split('.')[0] for m in sys.modules} "
        "if n not in sys.stdlib_module_names and n not in ('mailwitness', '__main__')))"
    )
    argv = (sys.executable, "-I", "-S", "-c", script, tmp_path / "agent.pyz")
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_python_that_is_too_old_is_told_so_in_json() -> None:
    source = zipapp._MAIN.replace("(3, 9)", "(9, 9)")
    done = subprocess.run((sys.executable, "-c", source), capture_output=True, check=False)
    assert done.returncode == 0
    assert b'"kind": "failed", "reason": "Python 3.' in done.stdout
