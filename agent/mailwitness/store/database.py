"""The connection to a store: SQLite or PostgreSQL, one writer at a time, schema kept current."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mailwitness.store.errors import StoreError

# How long a writer waits for another, in seconds: a big run takes some.
_PATIENCE = 120
# Any number, as long as nobody else takes the same one in this database: "mailwitness" in bits.
_ADVISORY_LOCK = 0x6D61696C77697400


class Database:
    """A store's database; made where there is none, and brought to this version's schema."""

    def __init__(self, location: str, *, create: bool) -> None:
        """Open it.

        Args:
            location: a file, or a URL: postgresql://user@host/name (the password is best left to
                libpq's own ways, ~/.pgpass or PGPASSFILE), sqlite:///file.
            create: whether a file that is not there is made.

        Raises:
            StoreError: it cannot be opened, or a newer version has made it.
        """
        self._url = _url(location)
        self.shown = self._url.render_as_string(hide_password=True)
        file = self._url.database if self.sqlite else None
        if file and not Path(file).exists():
            if not create:
                raise StoreError(
                    f"{file}: not there; a run is saved by `mailwitness judge --save` or by the "
                    "playbook with mailwitness_store"
                )
            _make(Path(file))
        arguments: dict[str, Any] = (
            {"timeout": _PATIENCE} if self.sqlite else {"connect_timeout": 10}
        )
        self._engine = sa.create_engine(
            self._url, connect_args=arguments, poolclass=sa.pool.NullPool
        )
        if self.sqlite:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        self._migrate()

    @property
    def sqlite(self) -> bool:
        """Whether it is a file."""
        return self._url.get_backend_name() == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state of the store."""
        level = None if self.sqlite else "REPEATABLE READ"
        with self._said(), self._engine.connect() as connection:
            if level:
                connection.execution_options(isolation_level=level)
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that is the only one that writes; done whole or not at all."""
        with self._said(), self._engine.connect() as connection:
            connection.execution_options(mailwitness_writes=True)
            with connection.begin():
                if not self.sqlite:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
                yield connection

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            said = " ".join(str(cause).split())
            raise StoreError(f"{self.shown}: {said}{_advice(said)}") from error

    def _migrate(self) -> None:
        configuration = Config()
        configuration.set_main_option(
            "script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%")
        )
        scripts = ScriptDirectory.from_config(configuration)
        with self.reading() as connection:
            found = self._revision(connection, scripts)
        if found == scripts.get_current_head():
            return
        with self.writing() as connection:
            if self._revision(connection, scripts) == scripts.get_current_head():
                return  # another process was first
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")

    def _revision(self, connection: sa.Connection, scripts: ScriptDirectory) -> str | None:
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in {step.revision for step in scripts.walk_revisions()}:
            raise StoreError(
                f"{self.shown}: its schema {found!a} is newer than this mailwitness; upgrade it"
            )
        return found


def _url(location: str) -> sa.URL:
    if "://" not in location:
        path = Path(location).expanduser().absolute()
        return sa.URL.create("sqlite", database=str(path))
    try:
        url = sa.make_url(location)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        raise StoreError(
            "the store's URL is not readable: postgresql://USER@HOST/NAME is"
        ) from None
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and url.database:
        return url.set(drivername="sqlite")
    raise StoreError(f"no store is kept in {backend!a}: a file and postgresql:// are known")


def _make(file: Path) -> None:
    """An empty file that only its owner reads: evidence is not for every local user."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, at the first write only.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    if connection.execute("PRAGMA page_count").fetchone() == (0,):  # a store in the making
        # What is pruned leaves the file with the commit; VACUUM would want as much room again.
        connection.execute("PRAGMA auto_vacuum = FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("mailwitness_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _advice(said: str) -> str:
    if "disk is full" in said or "No space left" in said:
        return (
            " (the store is as it was before this command, earlier runs with it; make room and "
            "try again: `mailwitness prune` needs some, too)"
        )
    if "database is locked" in said:
        return f" (another run has been writing for {_PATIENCE} s; try again)"
    if "not a database" in said:
        return " (the file is no store; name another one)"
    return ""
