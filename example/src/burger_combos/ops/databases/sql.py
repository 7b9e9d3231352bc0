"""SQLite and PostgreSQL, through ADBC.

Both take `$1` for a parameter and Arrow tables for many rows, so that one piece of code serves them.
"""

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import polars as pl
from adbc_driver_manager import Error, dbapi
from pydantic import SecretStr

from .. import catalogue, dry_run, locks
from ..catalogue import ADDED, Found
from ..problems import Problem, one_line
from ..runs import Record
from ..settings import Stage
from . import DEPLOYMENTS, TRIALS, AnyStore, NotThere, Wanted, Written, schema_check, sql_runs, sql_tables
from .sql_calls import call
from .sql_tables import quoted
from .urls import sqlite_file, without_password

if TYPE_CHECKING:
    from ..published import Table

_FETCHED = 20_000  # rows of PostgreSQL's at a time: more are slower, as the server's answer is held as it came
_PAGE = 16_384  # bytes of a page of SQLite's: to write many rows takes an eighth less than in its own 4,096
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


class Store(AnyStore):
    """An open SQLite or PostgreSQL database; use it as a context manager."""

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
                self._execute(f"PRAGMA page_size = {_PAGE}")  # of a file that is yet to be made
                self._connection.commit()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            self._rollback()
        self._connection.close()

    def query(self, sql: str, *parameters: str) -> pl.DataFrame:
        """The rows of a SELECT."""
        with self._translated(), self._told_of_waiting(slow=True):
            return call(self._connection, self._fetch, sql, parameters)

    def batches(self, select: str, rows: int) -> Iterator[pl.DataFrame]:
        """The rows of a SELECT on PostgreSQL as they are when it begins, some at a time; at least one batch.

        Args:
            select: the statement.
            rows: how many to hold at a time, or a few more.

        Raises:
            Problem: PostgreSQL refuses the statement.
            Error: it cannot give a row.
        """
        size = min(rows, _FETCHED)
        with self._translated():
            self._execute("SET LOCAL cursor_tuple_fraction = 1")  # the plan for all rows, not for the first
            self._execute(f"DECLARE batches NO SCROLL CURSOR FOR {select}")
        held: list[pl.DataFrame] = []
        more = True
        while more:
            with self._told_of_waiting(slow=True):
                held.append(call(self._connection, self._fetch, f"FETCH {size} FROM batches", copy=False))
            more = len(held[-1]) == size
            if not more or sum(map(len, held)) >= rows:
                yield pl.concat(held)
                held = []

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

    def save_run(self, record: Record) -> None:
        """Write the record of a run, in place of an earlier one of the same id."""
        with self._transaction():
            self._execute("DELETE FROM runs WHERE run_id = $1", record.run_id)
            self._append("runs", sql_runs.row(record))

    def run(self, run_id: str) -> Record | None:
        """The run of that id; None where there is none."""
        if not self.has("runs"):
            return None
        found = self.query("SELECT record FROM runs WHERE run_id = $1", run_id)
        return None if found.is_empty() else Record.from_json(found["record"][0])

    def runs(self, stage: Stage, wanted: Wanted) -> list[Record]:
        """Those of a stage's runs that are wanted, the newest first."""
        if not self.has("runs"):
            return []
        such, values = sql_runs.condition(wanted, 2)
        found = self.query(f"SELECT record FROM runs WHERE stage = $1 {such}", str(stage), *values)
        return [Record.from_json(record) for record in found["record"]]

    def run_ids(self, stage: Stage) -> set[str]:
        """The ids of all runs of a stage."""
        return set(self.query("SELECT run_id FROM runs WHERE stage = $1", str(stage))["run_id"])

    def good_days(self, stage: Stage) -> set[date]:
        """The days for which a run of the stage ended well."""
        if not self.has("runs"):
            return set()
        found = self.query("SELECT DISTINCT date FROM runs WHERE stage = $1 AND status = 'ok'", str(stage))
        return {date.fromisoformat(str(day)) for day in found["date"]}

    def deployments(self, stage: str) -> list[str]:
        """The lines that were noted of a stage's deployments, the oldest first."""
        if not self.has("deployments"):
            return []
        found = self.query("SELECT line FROM deployments WHERE stage = $1 ORDER BY noted_at", stage)
        return found["line"].to_list()

    def trials(self, stage: str, git_commit: str) -> str | None:
        """What a stage's scale check found of a commit; None where there was none."""
        if not self.has("trials"):
            return None
        sql = "SELECT trials FROM trials WHERE stage = $1 AND git_commit = $2"
        found = self.query(sql, stage, git_commit)
        return None if found.is_empty() else str(found["trials"][0])

    def missing_told(self, stage: str) -> set[tuple[str, str]] | None:
        """Of which missing runs of a stage somebody was told: when each was due, and what; None before the first."""
        if not self.has("missing_runs"):
            return None
        return set(self.query("SELECT due, what FROM missing_runs WHERE stage = $1", stage).iter_rows())

    def note_deployment(self, stage: str, noted_at: str, line: str) -> None:
        """Add a line to what is known of the stage's deployments."""
        self.prepare()
        with self._transaction():
            self._execute("CREATE TABLE IF NOT EXISTS deployments (stage TEXT, noted_at TEXT, line TEXT)")
            self._execute("INSERT INTO deployments VALUES ($1, $2, $3)", stage, noted_at, line)
            newest = "SELECT noted_at FROM deployments WHERE stage = $2 ORDER BY noted_at DESC"
            oldest = f"SELECT min(noted_at) FROM ({newest} LIMIT {DEPLOYMENTS}) AS newest"
            self._execute(f"DELETE FROM deployments WHERE stage = $1 AND noted_at < ({oldest})", stage, stage)

    def note_trials(self, stage: str, git_commit: str, trials: str) -> None:
        """Keep what a stage's scale check found of a commit, in place of what it found before.

        What it found of commits that have not run for long goes.
        """
        self.prepare()
        with self._transaction():
            self._execute("CREATE TABLE IF NOT EXISTS trials (stage TEXT, git_commit TEXT, trials TEXT)")
            self._execute("DELETE FROM trials WHERE stage = $1 AND git_commit = $2", stage, git_commit)
            self._execute("INSERT INTO trials VALUES ($1, $2, $3)", stage, git_commit, trials)
            by_commit = "SELECT git_commit FROM runs WHERE stage = $3 GROUP BY git_commit ORDER BY max(started_at) DESC"
            known = f"git_commit <> $2 AND git_commit NOT IN ({by_commit} LIMIT {TRIALS})"
            self._execute(f"DELETE FROM trials WHERE stage = $1 AND {known}", stage, git_commit, stage)

    def remove_rows(self, stage: Stage, before: date, tables: Sequence[str]) -> dict[str, int]:
        """Remove a stage's rows of days before one, of all tables or of none; how many of each that had such."""
        such = f"WHERE stage = '{stage}' AND date < '{before}'"

        def counted() -> dict[str, int]:
            counts = {name: self.query(f'SELECT count(*) FROM "{name}" {such}').item() for name in tables}
            return {name: int(count) for name, count in counts.items() if count}

        if not counted():  # most days nothing is: nobody has to wait for this
            return {}
        with self._transaction():
            found = counted()
            for name in found:
                self._execute(f'DELETE FROM "{name}" {such}')
        return found

    def remove_unread(self, stage: Stage) -> int:
        """Nothing: rows are in place, or not there at all."""
        return 0

    def remove_records(self, stage: Stage, before: date, tables: Sequence[str], spared: Sequence[str]) -> int:
        """Remove the records of a stage's runs for days before one that have no rows in any table; how many.

        Args:
            stage: the stage.
            before: the first day whose records stay.
            tables: those that may have rows of a day.
            spared: the ids of runs whose records stay.
        """
        such = f"WHERE stage = '{stage}' AND date < '{before}'"
        for name in tables:
            of_day = f'SELECT 1 FROM "{name}" AS rows_of WHERE rows_of.stage = runs.stage AND rows_of.date = runs.date'
            such += f" AND NOT EXISTS ({of_day})"
        if spared:
            such += f" AND run_id NOT IN ({', '.join(f'${number + 1}' for number in range(len(spared)))})"
        if not self.query(f"SELECT count(*) FROM runs {such}", *spared).item():
            return 0
        with self._transaction():
            count = int(self.query(f"SELECT count(*) FROM runs {such}", *spared).item())
            self._execute(f"DELETE FROM runs {such}", *spared)
        return count

    def note_missing(self, stage: str, told_at: str, oldest: str, told: list[tuple[str, str]]) -> None:
        """Keep which missing runs of a stage somebody was told of: when each was due, the oldest one, and what."""
        self.prepare()
        with self._transaction():
            self._execute("CREATE TABLE IF NOT EXISTS missing_runs (stage TEXT, due TEXT, what TEXT, told_at TEXT)")
            self._execute("DELETE FROM missing_runs WHERE stage = $1 AND due < $2", stage, oldest)
            for due, what in told:
                self._execute("INSERT INTO missing_runs VALUES ($1, $2, $3, $4)", stage, due, what, told_at)

    def tables(self) -> dict[str, Found]:
        """All tables that are seen without naming a schema, by their names."""
        return sql_tables.found(self.query(sql_tables.COLUMNS[self.kind]))

    def written(self, stage: Stage, table: Found, day: date | None = None, run_id: str = "") -> list[Written]:
        """What the stage's runs have written to a table; see `AnyStore`."""
        such, values = f"stage = '{stage}'", []
        if run_id:
            such, values = f"{such} AND run_id = $1", [run_id]
        if day:
            such += f" AND date = '{day}'"
        elif not run_id:
            such += f" AND date = (SELECT max(date) FROM {quoted(table.name)} WHERE {such})"
        if not run_id and (known := self._as_noted(table, f"FROM {quoted(table.name)} WHERE {such}")):
            return [known]
        rows = f"FROM {quoted(table.name)} WHERE {such} GROUP BY date"
        # The rows of a day are one run's, unless others wrote some, too; to group by run, SQLite would sort them all.
        found = self.query(
            "SELECT date, min(run_id) AS run_id, min(git_commit) AS git_commit, count(*) AS n, "
            f"max(run_id) AS last_run, max(git_commit) AS last_commit {rows}",
            *values,
        )
        if (found["run_id"] != found["last_run"]).any() or (found["git_commit"] != found["last_commit"]).any():
            found = self.query(f"SELECT date, run_id, git_commit, count(*) AS n {rows}, run_id, git_commit", *values)
        return [
            Written(table, date.fromisoformat(str(when)), by, commit, count)
            for when, by, commit, count in found.select("date", "run_id", "git_commit", "n").iter_rows()
        ]

    def _as_noted(self, table: Found, rows: str) -> Written | None:
        """A day's rows, where they are as many as the run has noted that wrote the first: then all are of that run.

        To count them takes a fifth of the time that it takes to read of each which run wrote it.
        """
        first = self.query(f"SELECT date, run_id, git_commit {rows} LIMIT 1")
        if first.is_empty():
            return None
        when, by, commit = first.row(0)
        record, day = self.run(by), date.fromisoformat(str(when))
        noted = record.tables.get(table.name, {}).get("rows") if record and record.date == day else None
        if noted is None or self.query(f"SELECT count(*) AS n {rows}")["n"][0] != noted:
            return None
        return Written(table, day, by, commit, noted)

    def writer(self, stage: Stage, table: Found, day: date) -> tuple[str, str] | None:
        """The run and the commit that have written a day's rows of a table; None where there are none."""
        such = f"stage = '{stage}' AND date = '{day}'"
        found = self.query(f"SELECT run_id, git_commit FROM {quoted(table.name)} WHERE {such} LIMIT 1")
        if found.is_empty():
            return None
        run_id, git_commit = found.row(0)
        return run_id, git_commit

    def first_rows(
        self, stage: Stage, of: Written, conditions: Mapping[str, str], order: Sequence[str], most: int
    ) -> tuple[pl.DataFrame, int | None]:
        """The first rows of a day that fit conditions; see `AnyStore`."""
        table = of.table
        such, values = f"stage = '{stage}' AND date = '{of.day}' AND run_id = $1", [of.run_id]
        for name, value in conditions.items():
            condition = sql_tables.condition(self.kind, name, table.columns[name], value, len(values) + 1)
            such += f" AND {condition}"
            values += [value] if "$" in condition else []
        count = f"SELECT count(*) AS n FROM {quoted(table.name)} WHERE {such}"
        matching = int(self.query(count, *values)["n"][0]) if conditions else None
        by = ", ".join(quoted(name.removeprefix("-")) + sql_tables.direction(name, table) for name in order)
        columns = ", ".join(quoted(name) for name in table.columns if name not in ADDED)
        sql = f"SELECT {columns} FROM {quoted(table.name)} WHERE {such} ORDER BY {by} LIMIT {most}"
        rows = self.query(sql, *values)
        truths = [name for name in rows.columns if table.columns[name] == "true or false"]  # 0 and 1 in SQLite
        return rows.with_columns(pl.col(truths).cast(pl.Boolean)), matching

    def parts(self, stage: Stage, of: Written, columns: Collection[str], rows: int) -> Iterator[pl.DataFrame]:
        """A day's rows in the order of their key, some at a time; see `AnyStore`."""
        table = of.table
        wanted, order = ", ".join(map(quoted, columns)), ", ".join(map(quoted, table.key))
        such = f"stage = '{stage}' AND date = '{of.day}' AND run_id = $1"
        in_parts = all(table.columns[name] in ("text", "whole numbers", "dates") for name in table.key)
        limit = f" LIMIT {rows}" if in_parts else ""
        after, values = "", [of.run_id]
        while True:
            sql = f"SELECT {wanted} FROM {quoted(table.name)} WHERE {such}{after} ORDER BY {order}{limit}"
            part = sql_tables.typed(self.query(sql, *values), table)
            yield part
            if not in_parts or len(part) < rows:
                return
            after, following = sql_tables.after(part, table, 2)
            values = [of.run_id, *following]

    def replace(
        self, stage: Stage, day: date, tables: "Sequence[tuple[Table, pl.DataFrame | Iterable[pl.DataFrame]]]"
    ) -> list[int]:
        """Put rows in place of the stage's of that day, in all tables or none; other writers wait; see `AnyStore`."""
        with self._transaction():
            return [
                self._written(stage, day, table, [rows] if isinstance(rows, pl.DataFrame) else rows)
                for table, rows in tables
            ]

    def _written(self, stage: Stage, day: date, table: "Table", parts: Iterable[pl.DataFrame]) -> int:
        """Put a table's rows in place, and count them; one part is in memory at a time."""
        number = count = 0
        first: dict[str, str] = {}
        there: dict[str, str] = {}
        for part in parts:  # enumerate would keep the last one until it has the next
            number += 1
            where = f"table {table.name}: part {number}" if number > 1 else f"table {table.name}"
            columns = catalogue.storable(part, table.name)
            kinds = {name: catalogue.kind_of_values(column.dtype) for name, column in columns.items()}
            if number == 1:
                first, there = kinds, self._make_room(table, kinds)
                self._execute(f"DELETE FROM \"{table.name}\" WHERE stage = '{stage}' AND date = '{day}'")
            catalogue.refuse_unlike(kinds, first, where)
            fitted = [schema_check.fitted(self.name, table, columns[name], there[name]) for name in first]
            count += len(part)
            del part, columns
            self._append_keyed(table, pl.DataFrame(fitted), where)
            del fitted
        if not number:
            raise Problem(f"table {table.name}: there is not one part: give at least one, if an empty one")
        return count

    def _append_keyed(self, table: "Table", rows: pl.DataFrame, where: str) -> None:
        """Append rows in the order of their key; where the key of one is there already, say which.

        SQLite writes a million rows in that order in a third of the time, and removes them in a seventh.
        """
        order = rows.select(pl.arg_sort_by(table.key)).to_series()
        if not order.is_sorted():
            rows = rows[order]
        before = self._changes()
        try:
            self._append(table.name, rows)
        except Error as error:
            row = self._row_refused(error, before)
            if row is None:
                raise
            told = " ".join(f"{name}={value}" for name, value in rows.select(table.key).row(row, named=True).items())
            raise Problem(f"{where}: row {order[row] + 1} shares its key with an earlier one, as {told}") from None

    def _changes(self) -> int:
        """How many rows this connection has changed, where SQLite has to tell afterwards which row it was."""
        return int(self.query("SELECT total_changes()").item()) if self.kind == "sqlite" else 0

    def _row_refused(self, error: Error, before: int) -> int | None:
        """Which of the rows, from 0, shares its key; nothing if that is not what is wrong."""
        if self.kind == "sqlite":
            return self._changes() - before if "UNIQUE constraint failed" in str(error) else None
        line = re.search(r"COPY .*\D(\d+)$", str(error), re.MULTILINE)
        return int(line[1]) - 1 if error.sqlstate == "23505" and line else None

    def _make_room(self, table: "Table", kinds: dict[str, str]) -> dict[str, str]:
        """Make the table, or the columns that it lacks; what each of its columns holds."""
        found = self.tables().get(table.name)
        if found is None:
            types = ", ".join(f'"{name}" {sql_tables.KINDS[kind]}' for name, kind in kinds.items())
            key = ", ".join(f'"{name}"' for name in ("stage", "date", *table.key))
            self._execute(f'CREATE TABLE "{table.name}" ({types}, PRIMARY KEY ({key}))')
            return kinds
        advice = (
            "give it another name in TABLES, or the old one in the database, as "
            f'ALTER TABLE "{table.name}" RENAME TO "{table.name}_before"'
        )
        schema_check.refuse_unlike_there(found, table, kinds, self.name, advice)
        for name, kind in kinds.items():
            if name not in found.columns:
                self._execute(f'ALTER TABLE "{table.name}" ADD COLUMN "{name}" {sql_tables.KINDS[kind]}')
        return kinds | found.columns

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Alone in writing until the end; nothing is written if it fails, or in a trial."""
        dry_run.refuse_to_write()
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
        return locks.report_waiting(self.name, self._file, slow=slow)

    def _fetch(self, sql: str, parameters: Sequence[str] = (), *, copy: bool = True) -> pl.DataFrame:
        with self._connection.cursor() as cursor:
            if not copy:  # PostgreSQL's COPY takes no FETCH
                cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
            cursor.execute(sql, parameters or None)
            return cursor.fetch_polars()

    def _execute(self, sql: str, *parameters: str) -> None:
        call(self._connection, self._change, sql, parameters)

    def _change(self, sql: str, parameters: Sequence[str]) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)

    def _append(self, table: str, rows: pl.DataFrame) -> None:
        call(self._connection, self._insert, table, rows)

    def _insert(self, table: str, rows: pl.DataFrame) -> None:
        with self._connection.cursor() as cursor:
            if self.kind != "sqlite":
                cursor.adbc_ingest(table, rows, mode="append")
                return
            same = _same_in_all(rows)
            values = ", ".join(same.get(name, "?") for name in rows.columns)
            columns = ", ".join(f'"{name}"' for name in rows.columns)
            others = rows.drop(same).with_columns(pl.selectors.date().cast(pl.String))  # faster than by the driver
            cursor.executemany(f'INSERT INTO "{table}" ({columns}) VALUES ({values})', others)

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


def _same_in_all(rows: pl.DataFrame) -> dict[str, str]:
    """The columns in which all rows have the same text or day, as SQL has that; not the last one, if all are such."""
    some = [rows[name] for name in rows.columns if rows[name].dtype in (pl.String, pl.Date) and len(rows)]
    same = [each for each in some if each[0] == each[-1] and each[0] is not None and each.eq_missing(each[0]).all()]
    texts = {each.name: str(each[0]) for each in same[: len(rows.columns) - 1]}
    return {name: "'" + text.replace("'", "''") + "'" for name, text in texts.items() if "\0" not in text}
