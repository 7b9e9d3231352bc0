"""The database, by URL: the day's rows and the record of every run. SQLite and PostgreSQL, through ADBC.

Both take `$1` for a parameter and Arrow tables for many rows, so that one piece of code serves them.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

import polars as pl
from adbc_driver_manager import Error, dbapi
from pydantic import SecretStr

from . import locks, trials
from .problems import Problem, one_line
from .settings import Stage

ROWS = "recommendations"

_RUNS = """
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY,
    stage TEXT NOT NULL,
    date DATE NOT NULL,
    status TEXT NOT NULL,
    git_commit TEXT NOT NULL,
    started_at TIMESTAMP NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    record TEXT NOT NULL
)"""


class NotThere(Problem):
    """There is no such database, or not yet."""


class Store:
    """An open database; use it as a context manager."""

    def __init__(self, url: SecretStr, *, create: bool = False) -> None:
        """Connect.

        Args:
            url: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.
            create: whether a SQLite file that is not there is made.

        Raises:
            NotThere: there is no such database.
            Problem: the URL is of no kind known here, or the database cannot be reached.
        """
        plain = url.get_secret_value()
        self.kind = plain.partition(":///")[0]
        self.name = without_password(plain)
        self._file = sqlite_file(url)
        if plain.startswith(("postgresql://", "postgres://")):
            self.kind = "postgresql"
            import adbc_driver_postgresql.dbapi as driver

            target = plain
        elif self._file:
            import adbc_driver_sqlite.dbapi as driver

            target = str(self._file)
            if create:
                self._make_folder(self._file)
            elif not self._file.exists():
                raise NotThere(f"{self.name}: no such file")
        else:
            raise Problem(f"database.url: {self.name}: neither sqlite:///FILE nor postgresql://USER@HOST/NAME")
        with self._translated():
            self._connection: dbapi.Connection = driver.connect(target)
            if self.kind == "sqlite":
                self._execute(f"PRAGMA busy_timeout = {locks.PATIENCE * 1000:.0f}")
                self._connection.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            self._rollback()
        self._connection.close()

    def query(self, sql: str, *parameters: str) -> pl.DataFrame:
        """The rows of a SELECT."""
        with self._translated(), self._connection.cursor() as cursor:
            with self._told_of_waiting(slow=True):
                cursor.execute(sql, parameters or None)
            return cursor.fetch_polars()

    def has(self, table: str) -> bool:
        """Whether the table exists."""
        catalogue = {
            "sqlite": "SELECT 1 FROM sqlite_master WHERE name = $1",
            "postgresql": "SELECT 1 FROM pg_class WHERE relname = $1 AND pg_table_is_visible(oid)",
        }
        return not self.query(catalogue[self.kind], table).is_empty()

    def make_database(self, name: str) -> None:
        """Make another database on this PostgreSQL server; it does no harm if somebody else does so meanwhile."""
        with self._translated():
            self._connection.adbc_connection.set_autocommit(True)
            try:
                self._execute('CREATE DATABASE "' + name.replace('"', '""') + '"')
            except Error as error:
                if error.sqlstate not in ("42P04", "23505"):  # it is there by now
                    raise

    def prepare(self) -> None:
        """Make what the records need, and so find out whether this database can be written."""
        with self._translated():
            if self.kind == "sqlite":  # whose lock is a write to that very table
                with self._told_of_waiting():
                    self._execute(_RUNS)
                    self._connection.commit()
        with self._transaction():
            self._execute(_RUNS)

    def save_run(self, record: pl.DataFrame) -> None:
        """Write the record of a run, in place of an earlier one of the same id."""
        with self._transaction():
            self._execute("DELETE FROM runs WHERE run_id = $1", record["run_id"][0])
            self._append("runs", record)

    def note_deployment(self, stage: str, noted_at: str, line: str) -> None:
        """Add a line to what is known of the stage's deployments."""
        self.prepare()
        with self._transaction():
            self._execute("CREATE TABLE IF NOT EXISTS deployments (stage TEXT, noted_at TEXT, line TEXT)")
            self._execute("INSERT INTO deployments VALUES ($1, $2, $3)", stage, noted_at, line)

    def note_trials(self, stage: str, git_commit: str, trials: str) -> None:
        """Keep what a stage's scale check found of a commit, in place of what it found before."""
        self.prepare()
        with self._transaction():
            self._execute("CREATE TABLE IF NOT EXISTS trials (stage TEXT, git_commit TEXT, trials TEXT)")
            self._execute("DELETE FROM trials WHERE stage = $1 AND git_commit = $2", stage, git_commit)
            self._execute("INSERT INTO trials VALUES ($1, $2, $3)", stage, git_commit, trials)

    def replace_day(self, stage: Stage, day: date, rows: pl.DataFrame) -> None:
        """Put these rows in place of the stage's of that day, all or none; whoever else publishes waits.

        Args:
            stage: the stage that the rows are of.
            day: the day that the rows are for.
            rows: one row a customer: `stage`, `date`, `customer`, the items, `run_id` and `git_commit`.
        """
        with self._transaction():
            self._fit_columns(rows)
            self._execute(f"DELETE FROM {ROWS} WHERE stage = '{stage}' AND date = '{day}'")
            self._append(ROWS, rows)

    def _fit_columns(self, rows: pl.DataFrame) -> None:
        """A table of the rows' columns; one that is there gets those which it lacks."""
        types = {name: _sql_type(dtype) for name, dtype in rows.schema.items()}
        columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
        self._execute(f"CREATE TABLE IF NOT EXISTS {ROWS} ({columns}, PRIMARY KEY (stage, date, customer))")
        there = self.query(f"SELECT * FROM {ROWS} LIMIT 0").columns
        for name in types.keys() - set(there):
            self._execute(f'ALTER TABLE {ROWS} ADD COLUMN "{name}" {types[name]}')

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Alone in writing until the end; nothing is written if it fails, or in a trial."""
        trials.refuse_to_write()
        with self._translated():
            try:
                with self._told_of_waiting():
                    self._execute(_LOCK[self.kind])
                yield
                self._connection.commit()
            except BaseException:
                self._rollback()
                raise

    def _rollback(self) -> None:
        with suppress(Error):  # a connection that is lost has nothing to roll back, and the first error counts
            self._connection.rollback()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Error as error:
            if self._file and "database is locked" in str(error):
                raise Problem(locks.still_locked(self.name, self._file)) from None
            missing = re.search(r'FATAL: +database ".*" does not exist', str(error))
            raise (NotThere if missing else Problem)(f"{self.name}: {one_line(error)}") from None

    def _told_of_waiting(self, *, slow: bool = False) -> AbstractContextManager[None]:
        return locks.told_of_waiting(self.name, self._file, slow=slow)

    def _execute(self, sql: str, *parameters: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)

    def _append(self, table: str, rows: pl.DataFrame) -> None:
        if self.kind == "sqlite":  # which keeps dates as text, and polars writes them faster than the driver
            rows = rows.with_columns(pl.selectors.date().cast(pl.String))
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="append")

    def _make_folder(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Problem(f"{self.name}: {file.parent}: {error.strerror}") from None


def make_database(url: SecretStr) -> None:
    """Make the database where its PostgreSQL server has none of that name, and say so; `Store` makes SQLite's file.

    Raises:
        Problem: the server cannot be reached, or does not allow it.
    """
    try:
        with Store(url, create=True):
            return
    except NotThere:
        parts = urlsplit(url.get_secret_value())
    with Store(SecretStr(parts._replace(path="/postgres").geturl())) as server:
        server.make_database(unquote(parts.path[1:]))
    print(f"made the database {without_password(url.get_secret_value())}", file=sys.stderr)


# SQLite: a write that changes nothing takes the lock; only as the first statement does it wait for others.
# PostgreSQL: a lock on a number that no other program uses.
_LOCK = {
    "sqlite": "DELETE FROM runs WHERE 0",
    "postgresql": "DO 'BEGIN PERFORM pg_advisory_xact_lock(7065706); END'",
}


def _sql_type(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "BIGINT"
    if dtype.is_float():
        return "DOUBLE PRECISION"
    return {pl.Boolean: "BOOLEAN", pl.Date: "DATE", pl.Datetime: "TIMESTAMP"}.get(dtype.base_type(), "TEXT")


def sqlite_file(url: SecretStr) -> Path | None:
    """The file of a SQLite URL; `~` at its beginning is the home folder."""
    kind, _, path = url.get_secret_value().partition(":///")
    return Path(path).expanduser() if kind == "sqlite" and path else None


def without_password(url: str) -> str:
    """The URL for a person's eyes; a password may hold any character, so it ends at the last @."""
    return re.sub(r"^([\w+.-]+://[^:/@]*):.*@", r"\1@", url).partition("?")[0]
