"""What the store keeps, on both databases."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from mailwitness import cli
from mailwitness.evidence import folder as evidence_folder
from mailwitness.store.compare import compare
from mailwitness.store.database import Database
from mailwitness.store.errors import StoreError
from mailwitness.store.history import History
from mailwitness.store.tables import contents, metadata
from tests.store import samples
from tests.store.saver import Saver

_KILLS = 50


def open_store(location: str) -> History:
    return History(Database(location, create=True))


def stored(location: str) -> int:
    with Database(location, create=False).reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(contents)) or 0


def test_a_run_comes_back_byte_for_byte_with_its_report(location: str, tmp_path: Path) -> None:
    folder = samples.evidence(tmp_path / "run", 1)
    (folder / "legacy/host.json").write_bytes(b"\xff\x00 no evidence \x00")
    report = samples.report(folder)
    history = open_store(location)
    number = history.save(folder, report)
    assert history.save(folder, report) == number
    run = history.find("latest")
    history.restore(run, tmp_path / "again")
    assert samples.files(tmp_path / "again") == samples.files(folder)
    assert history.report(run) == report
    assert len(history.runs()) == 1


def test_what_has_not_changed_is_stored_once(location: str, tmp_path: Path) -> None:
    history = open_store(location)
    before = 0
    for day in (1, 2, 3):
        folder = samples.evidence(tmp_path / str(day), day)
        # The same judgement each time, so that the evidence alone is counted.
        history.save(folder, {**samples.report(folder), "hosts": []})
        if day > 1:
            assert stored(location) == before + 1  # the plan, which names the day in its header
        before = stored(location)


def test_pruning_keeps_the_last_and_every_content_that_they_need(
    location: str, tmp_path: Path
) -> None:
    history = open_store(location)
    for day in (3, 1, 2):
        folder = samples.evidence(tmp_path / str(day), day, samples.HOSTS[: 4 - day])
        history.save(folder, samples.report(folder))
    assert history.prune(2) == 1
    assert [run.started_at[:10] for run in history.runs()] == ["2026-01-02", "2026-01-03"]
    for name, taken in (("latest", "3"), ("latest~1", "2")):
        history.restore(history.find(name), tmp_path / f"again{taken}")
        assert samples.files(tmp_path / f"again{taken}") == samples.files(tmp_path / taken)
    history.prune(1)
    left = stored(location)
    fresh = samples.evidence(tmp_path / "fresh", 3, ("good",))
    assert left <= 2 * len(samples.files(fresh))
    with pytest.raises(StoreError, match="no run 'latest~1': there are 1"):
        history.find("latest~1")


def test_the_migrations_make_what_the_tables_say(location: str) -> None:
    open_store(location)
    with Database(location, create=False).reading() as connection:
        inspector = sa.inspect(connection)
        for table in metadata.sorted_tables:
            made = {
                column["name"]: column["nullable"] for column in inspector.get_columns(table.name)
            }
            assert made == {column.name: column.nullable for column in table.columns}


def test_a_store_of_a_newer_version_is_left_alone(location: str) -> None:
    open_store(location)
    with Database(location, create=False).writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="'9999' is newer than this mailwitness; upgrade"):
        open_store(location)


def test_two_runs_at_once_are_both_saved(location: str, tmp_path: Path) -> None:
    savers = []
    for first in (0, 100):
        folder = tmp_path / str(first)
        prepare(folder)
        savers.append(Saver(location, folder, first, 10))
    assert [len(saver.rest()) for saver in savers] == [10, 10]
    notes = {run.report["note"] for run in open_store(location).runs()}
    assert notes == {f"number {each}" for first in (0, 100) for each in range(first, first + 10)}


def test_controllers_share_a_store_and_do_not_miss_each_others_hosts(
    location: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inventories = {"east": ("good", "dead"), "west": ("legacy",)}
    for day in (1, 2):
        both = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "mailwitness.cli", "judge", str(its), "--save"),
                    *("--fail-on", "never", "--store", location, "--controller", name),
                ],
                stdout=subprocess.DEVNULL,
            )
            for name, hosts in inventories.items()
            for its in [samples.evidence(tmp_path / f"{name}{day}", day, hosts)]
        ]
        assert [process.wait() for process in both] == [0, 0]

    def said(status: int, *command: str) -> str:
        assert cli.main([*command, "--store", location]) == status
        return capsys.readouterr().out

    assert [line.split()[2] for line in said(cli.OK, "runs").splitlines()[2:4]] in (
        ["east", "west"],
        ["west", "east"],
    )
    for name in (None, *inventories):
        whose = ["--controller", name] if name else []
        assert "nothing has changed" in said(cli.OK, "diff", *whose)
        changes = [line.split()[-1] for line in said(cli.OK, "trend", *whose).splitlines()[-2:]]
        assert "+0" in changes
    assert "2 runs removed" in said(cli.OK, "prune", "--keep", "1")
    left = open_store(location).runs()
    assert {(run.controller, run.started_at[:10]) for run in left} == {
        ("east", "2026-01-02"),
        ("west", "2026-01-02"),
    }
    assert [each.run for each in open_store(location).of_host("legacy")] == [
        run.id for run in left if run.controller == "west"
    ]
    with pytest.raises(StoreError, match="no run 'latest' of controller north: there is none"):
        History(Database(location, create=False), "north").find("latest")


def test_killed_at_any_moment_a_run_is_absent_or_whole(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    prepare(folder)
    promised: set[int] = set()
    for kill in range(_KILLS):
        saver = Saver(location, folder, 1000 * kill, 1000)
        # After one to three runs have been saved, so somewhere within the next.
        promised |= {saver.said() for _ in range(1 + kill % 3)} | saver.kill()
    history = open_store(location)
    saved = history.runs()
    numbers = {int(run.report["note"].removeprefix("number ")) for run in saved}
    assert promised <= numbers
    for number, run in enumerate(saved):
        assert len(history.report(run)["hosts"]) == len(samples.HOSTS)
        if number % 10 == 0:
            history.restore(run, tmp_path / f"again{number}")
            again = samples.files(tmp_path / f"again{number}")
            assert again.keys() == samples.files(folder).keys() - {"report.json", "unfinished"}


def prepare(folder: Path) -> None:
    samples.evidence(folder, 1)
    (folder / "report.json").write_text(json.dumps(samples.report(folder)))


def test_a_full_disk_is_told_and_earlier_runs_stay(tmp_path: Path) -> None:
    location = str(tmp_path / "history.sqlite")
    history = open_store(location)
    first = samples.evidence(tmp_path / "1", 1, ("good",))
    history.save(first, samples.report(first))
    database = Database(location, create=False)
    # The same answer of SQLite as a full disk's, SQLITE_FULL.
    sa.event.listen(
        database._engine, "connect", lambda it, _: it.execute("PRAGMA max_page_count=1")
    )
    second = samples.evidence(tmp_path / "2", 2)
    with pytest.raises(StoreError, match=r"disk is full.*as it was before"):
        History(database).save(second, samples.report(second))
    (run,) = history.runs()
    history.restore(run, tmp_path / "again")
    assert samples.files(tmp_path / "again") == samples.files(first)


def test_the_commands_on_a_disk_that_is_really_full(tmp_path: Path) -> None:
    namespace = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespaces for this user")
    runs = [samples.evidence(tmp_path / str(day), day) for day in (1, 2, 3)]
    (tmp_path / "disk").mkdir()
    done = subprocess.run(
        [*namespace, sys.executable, "-m", "tests.store.full_disk", tmp_path / "disk", *runs],
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("status")] == [
        *("status 0 judge", "status 0 judge"),
        *("status 2 judge", "status 2 prune", "status 0 runs"),  # the disk is full
        *("status 0 judge", "status 0 runs", "status 0 prune"),
    ], done.stdout + done.stderr
    assert done.stderr.count("disk is full (the store is as it was before") == 2
    listed = [line.split()[:2] for line in lines if line.endswith("rfc") and "T03:" in line]
    saved = [[str(day), f"2026-01-{day:02}T03:00:00Z"] for day in (1, 2, 3)]
    assert [line for line in listed if line[0].isdecimal()] == [*saved[:2], *saved]
    before, after = (int(line.split()[1]) for line in lines if line.startswith("size"))
    assert after < before


def test_changes_are_new_fixed_and_dark(tmp_path: Path) -> None:
    before = samples.report(samples.evidence(tmp_path / "1", 1))
    after = json.loads(json.dumps(before))
    assert compare(before, after) == []
    hosts = {host["name"]: host for host in after["hosts"]}
    passed = next(f for f in hosts["good"]["findings"] if f["outcome"] == "pass")
    failed = next(f for f in hosts["legacy"]["findings"] if f["outcome"] == "fail")
    passed["outcome"], failed["outcome"] = "fail", "pass"
    another = next(f for f in hosts["good"]["findings"] if f["outcome"] == "pass")
    another["outcome"] = "not-assessed"
    after["hosts"] = [hosts["good"], hosts["legacy"]]
    told = [(each.kind, each.host, each.check) for each in compare(before, after)]
    assert told == [
        ("new", "good", passed["check"]),
        ("gone dark", "dead", None),
        ("gone dark", "good", another["check"]),
        ("fixed", "legacy", failed["check"]),
    ]
    hosts["legacy"] |= {"status": "unreachable", "reason": "no route", "findings": []}
    kinds = {each.kind for each in compare(before, after) if each.host == "legacy"}
    assert kinds == {"gone dark"}  # of a lost host nothing counts as fixed


def test_a_change_names_what_it_follows_from(tmp_path: Path) -> None:
    before = samples.report(samples.evidence(tmp_path / "1", 1))
    after = json.loads(json.dumps(before))
    (good,) = (host for host in after["hosts"] if host["name"] == "good")
    root, failed, unknown = [each for each in good["findings"] if each["outcome"] == "pass"][:3]
    root["outcome"] = failed["outcome"] = "fail"
    failed["causes"] = [{"check": root["check"], "endpoint": root["endpoint"]}]
    unknown |= {"outcome": "not-assessed", "causes": failed["causes"]}
    told = {each.check: each.causes for each in compare(before, after)}
    named = " ".join(filter(None, (root["check"], root["endpoint"])))
    assert told == {root["check"]: (), failed["check"]: (named,)}


@pytest.mark.parametrize("borne", ["waived", "accepted"])
def test_a_failure_that_is_borne_is_not_fixed(tmp_path: Path, borne: str) -> None:
    before = samples.report(samples.evidence(tmp_path / "1", 1))
    after = json.loads(json.dumps(before))
    (legacy,) = (host for host in after["hosts"] if host["name"] == "legacy")
    failed = next(finding for finding in legacy["findings"] if finding["outcome"] == "fail")
    failed["outcome"] = borne
    (told,) = compare(before, after)
    assert (told.kind, told.check) == ("waived", failed["check"])


def test_what_the_inventory_judges_by_is_kept_with_the_run(location: str, tmp_path: Path) -> None:
    folder = samples.evidence(tmp_path / "run", 1, ("good",))
    own = evidence_folder.policies(folder) / "company.toml"
    waivers = evidence_folder.waivers(folder) / "1/waivers.yml"
    for file, text in ((own, 'extends = "rfc"\n'), (waivers, "[]\n")):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    history = open_store(location)
    history.save(folder, samples.report(folder, "company"))
    again = tmp_path / "again"
    history.restore(history.find("latest"), again)
    assert samples.files(again) == samples.files(folder)
    assert samples.report(again, "company")["policies"] == ["company"]


def test_the_commands(location: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", location]
    for day, hosts in ((1, ("good",)), (2, ("good", "legacy"))):
        folder = samples.evidence(tmp_path / str(day), day, hosts)
        judge = ["judge", str(folder), "--save", "--fail-on", "never", *store]
        assert cli.main(judge) == cli.OK
        assert f"saved as run {day}" in capsys.readouterr().out
    assert cli.main(["runs", *store]) == cli.OK
    assert "2026-01-02T03:00:00Z" in capsys.readouterr().out
    assert cli.main(["history", "legacy", *store]) == cli.OK
    assert "2026-01-01" not in capsys.readouterr().out
    assert cli.main(["trend", *store]) == cli.OK
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert cli.main(["diff", *store]) == cli.FINDINGS
    assert "new        legacy imaps:993: tls-legacy-version" in capsys.readouterr().out
    assert cli.main(["diff", "--format", "markdown", *store]) == cli.FINDINGS
    assert "- **new** `legacy imaps:993`: `tls-legacy-version" in capsys.readouterr().out
    assert cli.main(["diff", "--format", "json", *store]) == cli.FINDINGS
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["after"]["run"]) == ("mailwitness/changes/1", 2)
    assert {each["host"] for each in told["changes"]} == {"legacy"}
    assert cli.main(["diff", "2", "latest", *store]) == cli.OK
    assert "nothing has changed" in capsys.readouterr().out
    assert cli.main(["judge", "--run", "2", "--policy", "rfc", *store]) == cli.FINDINGS
    assert "policies: rfc\n" in capsys.readouterr().out
    assert cli.main(["prune", "--keep", "1", *store]) == cli.OK
    assert "1 runs removed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["runs", "--store", "{tmp}/none"], "not there; a run is saved by"),
        (["runs", "--store", "{tmp}/text"], "the file is no store"),
        (["runs", "--store", "mysql://u:secret@h/n"], "no store is kept in 'mysql'"),
        (["runs", "--store", "postgresql://u:secret@/n?host={tmp}"], "postgresql+psycopg://u:***@"),
        (["judge"], "either EVIDENCE_DIR or --run"),
        (["judge", "--run", "1", "--save"], "in the store already"),
    ],
)
def test_errors_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], problem: str
) -> None:
    (tmp_path / "text").write_text("this is no database" * 100)
    assert cli.main([each.format(tmp=tmp_path) for each in argv]) == cli.USAGE
    said = capsys.readouterr().err
    assert problem in said
    assert "secret" not in said
    assert len(said.splitlines()) == 1
