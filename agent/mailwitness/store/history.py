"""Runs in and out of a store: save, list, read again, follow over time, prune."""

import hashlib
import json
import socket
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from mailwitness.evidence import folder as evidence_folder
from mailwitness.evidence.codec import EvidenceError, loads
from mailwitness.evidence.moment import now
from mailwitness.evidence.run import Run
from mailwitness.policy.outcome import Severity
from mailwitness.store.content import join, split
from mailwitness.store.database import Database
from mailwitness.store.errors import StoreError
from mailwitness.store.tables import contents, documents, run_hosts, runs

Json = dict[str, Any]
_T = TypeVar("_T")

# Hosts of one step of saving or reading: bounds the memory, and the parameters of a statement.
_BATCH = 200
LEVELS = tuple(level.value for level in Severity)


@dataclass(frozen=True)
class SavedRun:
    """A run in the store."""

    id: int
    started_at: str  # UTC, ISO 8601 with Z
    saved_at: str
    controller: str  # who saved it
    report: Json  # report.json without its hosts

    @property
    def failed(self) -> dict[str, int]:
        """Failed findings by severity."""
        counts: dict[str, int] = self.report["summary"]["by_severity"]
        return counts


@dataclass(frozen=True)
class HostRun:
    """A host in one run."""

    run: int
    started_at: str
    status: str
    seconds: float | None  # of the agent on the host
    failed: dict[str, int]  # by severity
    not_assessed: int


@dataclass(frozen=True)
class _Item:
    """A document on its way into the store."""

    row: Json
    lasting: bytes

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.lasting).digest()


class History:
    """The runs of a store: of all controllers that save there, or of one."""

    def __init__(self, database: Database, controller: str | None = None) -> None:
        """Nothing is read yet.

        Args:
            database: the store's.
            controller: the one whose runs these are. None: all are, and what is saved goes by the
                name of this host.
        """
        self._database = database
        self._controller = controller

    def save(self, folder: Path, report: Json) -> int:
        """Keep the run in `folder` with its report; the run's number, the old one if it is there.

        Raises:
            StoreError: nothing of it was kept.
        """
        try:
            digest = _digest(folder)
            with self._database.writing() as connection:
                found = connection.scalar(sa.select(runs.c.id).where(runs.c.digest == digest))
                if found is not None:
                    return int(found)
                run = _insert_run(connection, digest, self.saver, report)
                for hosts in _batches(enumerate(report["hosts"])):
                    _insert(connection, run_hosts, (_host(run, folder, *host) for host in hosts))
                for paths in _batches(_files(folder)):
                    _insert(connection, documents, (_document(run, folder, p) for p in paths))
                return run
        except OSError as error:
            raise StoreError(f"{error.filename}: {error.strerror}; the run is not saved") from None

    @property
    def saver(self) -> str:
        """The controller that runs are saved as."""
        return self._controller or socket.gethostname()

    def runs(self) -> list[SavedRun]:
        """All runs, the oldest first."""
        with self._database.reading() as connection:
            return _runs(connection, self._controller)

    def earlier(self, started_at: str) -> list[SavedRun]:
        """The runs of the one who saves that began before then, the oldest first."""
        return [
            run
            for run in self.runs()
            if run.controller == self.saver and run.started_at < started_at
        ]

    def find(self, name: str) -> SavedRun:
        """The run that is called `name`: its number, `latest`, or `latest~2`, the second before.

        Those before are of the same controller: another one has other hosts.

        Raises:
            StoreError: there is none.
        """
        saved = self.runs()
        if name.isdecimal():
            for run in saved:
                if run.id == int(name):
                    return run
        else:
            saved = [run for run in saved if run.controller == saved[-1].controller]
            word, tilde, back = name.partition("~")
            if word == "latest" and (back.isdecimal() if tilde else True):
                steps = int(back or 0)
                if steps < len(saved):
                    return saved[-1 - steps]
        known = f"there are {len(saved)}, the last is {saved[-1].id}" if saved else "there is none"
        of = f" of controller {self._controller}" if self._controller else ""
        raise StoreError(f"no run {name!r}{of}: {known}; `mailwitness runs` lists them")

    def report(self, run: SavedRun) -> Json:
        """report.json of the run as it was judged then."""
        with self._database.reading() as connection:
            chosen = run_hosts.c.run == run.id
            read = _read(connection, run_hosts, run_hosts.c.host, chosen, run_hosts.c.position)
            return {**run.report, "hosts": [json.loads(content) for _, content in read]}

    def restore(self, run: SavedRun, folder: Path) -> None:
        """Write the evidence of the run into `folder`, byte for byte as it was."""
        with self._database.reading() as connection:
            chosen = documents.c.run == run.id
            read = _read(connection, documents, documents.c.path, chosen, documents.c.path)
            for path, content in read:
                file = folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

    def of_host(self, host: str) -> list[HostRun]:
        """The host in every run that had it, the oldest first."""
        query = (
            sa.select(run_hosts, runs.c.started_at)
            .join(runs)
            .where(run_hosts.c.host == host)
            .order_by(runs.c.started_at, runs.c.id)
        )
        if self._controller is not None:
            query = query.where(runs.c.controller == self._controller)
        with self._database.reading() as connection:
            return [
                HostRun(
                    run=row["run"],
                    started_at=row["started_at"],
                    status=row["status"],
                    seconds=row["seconds"],
                    failed={level: row[level] for level in LEVELS},
                    not_assessed=row["not_assessed"],
                )
                for row in connection.execute(query).mappings()
            ]

    def prune(self, keep: int) -> int:
        """Remove all runs but the last `keep` of each controller; how many there were to remove."""
        with self._database.writing() as connection:
            by_controller: dict[str, list[int]] = {}
            for run in _runs(connection, self._controller):
                by_controller.setdefault(run.controller, []).append(run.id)
            old = [number for its in by_controller.values() for number in its[:-keep]]
            for some in _batches(old):
                for table in (documents, run_hosts):
                    connection.execute(sa.delete(table).where(table.c.run.in_(some)))
                connection.execute(sa.delete(runs).where(runs.c.id.in_(some)))
            used = (sa.select(table.c.content) for table in (documents, run_hosts))
            connection.execute(sa.delete(contents).where(contents.c.id.not_in(sa.union(*used))))
        return len(old)


def _runs(connection: sa.Connection, controller: str | None) -> list[SavedRun]:
    query = sa.select(runs).order_by(runs.c.started_at, runs.c.id)
    if controller is not None:
        query = query.where(runs.c.controller == controller)
    return [
        SavedRun(
            row["id"],
            row["started_at"],
            row["saved_at"],
            row["controller"],
            json.loads(row["report"]),
        )
        for row in connection.execute(query).mappings()
    ]


def _files(folder: Path) -> Iterator[str]:
    """The documents of the run, by their plan, and what its inventory gave to judge them by.

    Whatever else lies there is not of the run.
    """
    path = evidence_folder.run_file(folder)
    try:
        plan = loads(evidence_folder.read(path), Run)
    except EvidenceError as error:
        raise StoreError(f"{path}: {error}; the run is not saved") from None
    yield path.name
    for host in plan.hosts:
        files = [evidence_folder.host_file(folder, host.name)]
        files += (evidence_folder.probe_file(folder, host.name, each) for each in plan.vantages)
        yield from (str(file.relative_to(folder)) for file in files if file.exists())
    for given in (evidence_folder.policies(folder), evidence_folder.waivers(folder)):
        files = sorted(file for file in given.rglob("*") if file.is_file())
        yield from (str(file.relative_to(folder)) for file in files)


def _digest(folder: Path) -> bytes:
    whole = hashlib.sha256()
    for path in _files(folder):
        content = (folder / path).read_bytes()
        whole.update(path.encode() + b"\0" + hashlib.sha256(content).digest())
    return whole.digest()


def _insert_run(connection: sa.Connection, digest: bytes, controller: str, report: Json) -> int:
    values = {
        "digest": digest,
        "started_at": report["collected_at"],
        "saved_at": now(),
        "controller": controller,
        "report": _json({name: value for name, value in report.items() if name != "hosts"}),
    }
    done = connection.execute(sa.insert(runs).values(values))
    key: Any = done.inserted_primary_key
    return int(key[0])


def _host(run: int, folder: Path, position: int, host: Json) -> _Item:
    lasting, changing = split(_json(host).encode())
    outcomes = [finding["outcome"] for finding in host["findings"]]
    failed = [each["severity"] for each in host["findings"] if each["outcome"] == "fail"]
    row = {
        "run": run,
        "host": host["name"],
        "position": position,
        "status": host["status"],
        "seconds": _seconds(evidence_folder.host_file(folder, host["name"])),
        **{level: failed.count(level) for level in LEVELS},
        "not_assessed": outcomes.count("not-assessed") + outcomes.count("error"),
        "changing": changing,
    }
    return _Item(row, lasting)


def _seconds(file: Path) -> float | None:
    """How long the agent took, where it says so; a hostile document is no reason to stop."""
    try:
        return float(json.loads(evidence_folder.read(file))["agent"]["seconds"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _document(run: int, folder: Path, path: str) -> _Item:
    lasting, changing = split((folder / path).read_bytes())
    return _Item({"run": run, "path": path, "changing": changing}, lasting)


def _insert(connection: sa.Connection, table: sa.Table, items: Iterable[_Item]) -> None:
    """The rows, and those contents that the store does not have yet."""
    kept = [(item, item.sha256) for item in items]
    if not kept:
        return
    ids = _known(connection, [sha256 for _, sha256 in kept])
    new = {sha256: item.lasting for item, sha256 in kept if sha256 not in ids}
    if new:
        fresh: list[Json] = [
            {"sha256": key, "bytes": zlib.compress(value)} for key, value in new.items()
        ]
        connection.execute(sa.insert(contents), fresh)
        ids |= _known(connection, list(new))
    rows = [{**item.row, "content": ids[sha256]} for item, sha256 in kept]
    connection.execute(sa.insert(table), rows)


def _known(connection: sa.Connection, names: Sequence[bytes]) -> dict[bytes, int]:
    query = sa.select(contents.c.sha256, contents.c.id).where(contents.c.sha256.in_(names))
    return {bytes(row.sha256): row.id for row in connection.execute(query)}


def _read(
    connection: sa.Connection,
    table: sa.Table,
    name: sa.Column[Any],
    chosen: sa.ColumnElement[bool],
    order: sa.Column[Any],
) -> Iterator[tuple[str, bytes]]:
    """Each row's name and its content whole again."""
    query = (
        sa.select(name.label("name"), table.c.changing, contents.c.bytes)
        .join(contents, contents.c.id == table.c.content)
        .where(chosen)
        .order_by(order)
        .execution_options(yield_per=_BATCH)
    )
    for row in connection.execute(query):
        yield row.name, join(zlib.decompress(row.bytes), bytes(row.changing))


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    left = iter(items)
    while batch := list(islice(left, _BATCH)):
        yield batch
