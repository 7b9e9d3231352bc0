"""Read published rows by key or page by page, on connections of the service's own: one for each of its threads.

A read is one statement, so that it sees a day whole, as the run has written it, and never half of two.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import polars as pl
from adbc_driver_manager import Error, dbapi
from pydantic import SecretStr

from .. import catalogue, locks
from ..catalogue import ADDED, Found
from ..problems import Problem, one_line
from ..settings import Stage
from ..store import NotThere, Store, sqlite_file, without_password

Value = str | int | float | bool | None
KEYS = ("text", "whole numbers", "dates", "true or false", "times")  # what a key can hold
GREATEST = 2**63 - 1  # a whole number that both databases hold
STATEMENTS = 50  # kept prepared on a connection
# What a parameter, which is text, becomes before it is compared with a column.
_CAST = {
    "sqlite": {"whole numbers": "INTEGER", "true or false": "INTEGER"},
    "postgresql": {"whole numbers": "BIGINT", "true or false": "BOOLEAN", "dates": "DATE", "times": "TIMESTAMP"},
}


class NoKey(Problem):
    """What was asked for is no key of the table."""


class Busy(Exception):
    """A run writes at this moment, and this thread does not wait."""


class Day(NamedTuple):
    """The day whose rows are served."""

    date: str
    run_id: str
    git_commit: str


@dataclass(frozen=True)
class Page:
    """Some rows of a day, in the order of their key.

    Attributes:
        day: whose they are.
        rows: each with the project's own columns.
        last: the key of the last one, where more follow; otherwise None.
    """

    day: Day
    rows: list[dict[str, Value]]
    last: list[Value] | None


class Reader:
    """A stage's published tables; its methods may be called from any thread."""

    def __init__(self, url: SecretStr, stage: Stage, names: Sequence[str]) -> None:
        """Look at nothing yet.

        Args:
            url: the database's.
            stage: whose rows.
            names: the declared tables.

        Raises:
            Problem: the database is of a kind that cannot be served from.
        """
        self._url, self._stage, self._names = url, stage, names
        self._file = sqlite_file(url)
        self.name = without_password(url.get_secret_value())
        if not self._file and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise Problem(f"database.url: {self.name}: the service reads SQLite and PostgreSQL only")
        self._kind = "sqlite" if self._file else "postgresql"
        self._date = "$1" if self._file else "CAST($1 AS DATE)"
        self._here, self._open = threading.local(), list[_Connection]()
        self.tables: dict[str, Found] = {}

    def hurry(self) -> None:
        """Let this thread wait for nobody: where a file is locked, its reads raise Busy."""
        self._here.patience = 0.0
        self._drop()  # which would wait

    @property
    def is_quick(self) -> bool:
        """Whether a read of a key is over sooner than another thread has begun it, as it is of a file."""
        return self._file is not None

    def look(self) -> None:
        """Find out which of the declared tables are there, and their columns.

        Raises:
            Problem: the database cannot be reached.
        """
        try:
            with Store(self._url) as store:
                found = catalogue.published(store)
        except NotThere:
            found = {}
        self.tables = {name: found[name] for name in self._names if name in found}

    def newest(self) -> Day | None:
        """The newest day that has rows in any of the tables; None where none has.

        Raises:
            Problem: the database cannot be reached.
        """
        try:
            days = [day for name in self.tables for day in [self._newest(name)] if day]
        except NotThere:
            return None
        return max(days, key=lambda day: day.date) if days else None

    def row(self, name: str, key: Sequence[str]) -> tuple[Day, dict[str, Value]] | None:
        """A row of the newest day; None where it has none of that key.

        Args:
            name: the table's.
            key: the value of each of its key columns, as text.

        Raises:
            NoKey: a value is nothing that the column holds.
            Problem: the database cannot be reached.
        """
        table = self.tables[name]
        values = [parameter(table, column, value) for column, value in zip(table.key, key, strict=True)]
        such = " AND ".join(f"{_quoted(column)} = {self._place(table, column, n)}" for n, column in _counted(table.key))
        rows = self._query(
            f"SELECT {_columns(table)} FROM {_quoted(name)} WHERE {self._newest_day()} AND {such}", values
        )
        if rows.is_empty():
            return None
        found = rows.row(0, named=True)
        return _day(*(found[each] for each in Day._fields)), _plain(found, table)

    def page(
        self,
        name: str,
        limit: int,
        such: Mapping[str, str],
        of: Day | None = None,
        after: Sequence[Value] = (),
    ) -> Page | None:
        """Some rows, in the order of their key.

        Args:
            name: the table's.
            limit: how many, at most.
            such: what the first columns of the key have to be; all rows where it is empty.
            of: the day and the run whose rows are wanted; None for the newest day.
            after: the key of the row before the first.

        Returns:
            The rows; None where the run has no rows any more, as another one has written the day again, or there are
            none of any day.

        Raises:
            NoKey: a value is nothing that the column holds.
            Problem: the database cannot be reached.
        """
        day = of or self.newest()
        if day is None:
            return None
        table = self.tables[name]
        values = [day.date, day.run_id]
        where = [f"stage = '{self._stage}'", f"date = {self._date}", "run_id = $2"]
        for column, text in such.items():
            values.append(parameter(table, column, text))
            where.append(f"{_quoted(column)} = {self._place(table, column, len(values))}")
        if after:
            places = []
            for column, value in zip(table.key, after, strict=True):
                values.append(parameter(table, column, _text(value)))
                places.append(self._place(table, column, len(values)))
            where.append(f"({', '.join(map(_quoted, table.key))}) > ({', '.join(places)})")
        order = ", ".join(map(_quoted, table.key))
        sql = f"SELECT {_columns(table)} FROM {_quoted(name)} WHERE {' AND '.join(where)} ORDER BY {order}"
        rows = [_plain(row, table) for row in self._query(f"{sql} LIMIT {limit + 1}", values).iter_rows(named=True)]
        if len(rows) <= limit:
            # Nothing follows, or the run's rows are gone since: only the day's present run tells.
            if self._is_there(day):
                return Page(day, rows, None)
            return None if of else self.page(name, limit, such)
        return Page(day, rows[:limit], [rows[limit - 1][column] for column in table.key])

    def close(self) -> None:
        """Close all connections, once no thread reads any more."""
        for connection in self._open:
            connection.close()
        self._open.clear()

    def _drop(self) -> None:
        """Close this thread's connection, if it has one."""
        connection: _Connection | None = getattr(self._here, "connection", None)
        if connection:
            self._here.connection = None
            self._open.remove(connection)
            connection.close()

    def _newest(self, name: str) -> Day | None:
        sql = f"SELECT date, run_id, git_commit FROM {_quoted(name)} WHERE stage = '{self._stage}'"
        rows = self._query(f"{sql} ORDER BY date DESC LIMIT 1", [])
        return None if rows.is_empty() else _day(*rows.row(0))

    def _is_there(self, day: Day) -> bool:
        """Whether the day's rows are still that run's, in any table."""
        for name in self.tables:
            sql = f"SELECT run_id FROM {_quoted(name)} WHERE stage = '{self._stage}' AND date = {self._date} LIMIT 1"
            rows = self._query(sql, [day.date])
            if not rows.is_empty():
                return bool(rows.item() == day.run_id)
        return False

    def _newest_day(self) -> str:
        """The condition that a row is of the newest day, which all tables have in common."""
        days = [f"SELECT max(date) AS date FROM {_quoted(name)} WHERE stage = '{self._stage}'" for name in self.tables]
        newest = days[0] if len(days) == 1 else f"SELECT max(date) FROM ({' UNION ALL '.join(days)}) AS days"
        return f"stage = '{self._stage}' AND date = ({newest})"

    def _place(self, table: Found, column: str, number: int) -> str:
        """Where a parameter stands in a statement, in the column's type."""
        kind = _CAST[self._kind].get(table.columns[column])
        return f"CAST(${number} AS {kind})" if kind else f"${number}"

    def _query(self, sql: str, values: Sequence[str]) -> pl.DataFrame:
        """The rows of a SELECT; on another connection where the present one is lost."""
        connection: _Connection | None = getattr(self._here, "connection", None)
        patience: float = getattr(self._here, "patience", locks.PATIENCE)
        if connection:
            try:
                if connection.is_of(self._file):
                    return connection.query(sql, values)
            except (Error, OSError) as error:
                _refuse_busy(error, patience)
            self._drop()
        try:
            connection = _Connection(self._kind, self._url, self._file, patience)
            self._here.connection = connection
            self._open.append(connection)
            return connection.query(sql, values)
        except Error as error:
            _refuse_busy(error, patience)
            raise Problem(f"{self.name}: {one_line(error)}") from None


class _Connection:
    """A connection of one thread, with the statements that it has prepared."""

    def __init__(self, kind: str, url: SecretStr, file: Any, patience: float) -> None:
        self._cursors: dict[str, dbapi.Cursor] = {}
        if kind == "sqlite":
            import adbc_driver_sqlite.dbapi

            if not file.exists():  # which SQLite would make
                raise NotThere(f"{without_password(url.get_secret_value())}: no such file")
            self._inode = file.stat().st_ino
            self._connection: dbapi.Connection = adbc_driver_sqlite.dbapi.connect(str(file), autocommit=True)
            with self._connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
        else:
            import adbc_driver_postgresql.dbapi

            self._inode = 0
            self._connection = adbc_driver_postgresql.dbapi.connect(url.get_secret_value(), autocommit=True)

    def is_of(self, file: Any) -> bool:
        """Whether it is still of the file that has the database's name, which somebody may have put another for."""
        return file is None or file.stat().st_ino == self._inode

    def query(self, sql: str, values: Sequence[str]) -> pl.DataFrame:
        """The rows of a SELECT, which is prepared once."""
        cursor = self._cursors.get(sql)
        if cursor is None:
            if len(self._cursors) >= STATEMENTS:
                self._cursors.pop(next(iter(self._cursors))).close()
            cursor = self._cursors[sql] = self._connection.cursor()
        cursor.execute(sql, tuple(values) or None)
        return cursor.fetch_polars()

    def close(self) -> None:
        """Close it with its statements."""
        with suppress(Error):
            for cursor in self._cursors.values():
                cursor.close()
            self._connection.close()


def _refuse_busy(error: Exception, patience: float) -> None:
    if not patience and "locked" in str(error):
        raise Busy from None


def parameter(table: Found, column: str, text: str) -> str:
    """A value of a key's column as the databases take it.

    Raises:
        NoKey: it is nothing that the column holds.
    """
    kind = table.columns[column]
    try:
        if "\0" in text:
            raise ValueError
        if kind == "whole numbers":
            if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 20:
                raise ValueError
            if not -GREATEST <= (number := int(text)) <= GREATEST:
                raise ValueError
            return str(number)
        if kind == "dates":
            return str(date.fromisoformat(text))
        if kind == "times":
            return datetime.fromisoformat(text).replace(tzinfo=None).isoformat(timespec="microseconds")
        if kind == "true or false":
            return {"true": "1", "false": "0"}[text]
    except (ValueError, KeyError):
        raise NoKey(f"{column}: {text!r} is no value of a column that holds {kind}") from None
    return text


def _plain(row: Mapping[str, Any], table: Found) -> dict[str, Value]:
    """The project's own columns of a row, as JSON has them."""
    return {name: _value(value, table.columns[name]) for name, value in row.items() if name not in ADDED}


def _value(value: Any, kind: str) -> Value:
    if value is None or (isinstance(value, str) and kind != "times"):
        return value
    if kind == "true or false":
        return bool(value)
    if kind == "times":
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return str(moment.isoformat())
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # which JSON has no number for
    return value if isinstance(value, int) else str(value)


def _text(value: Value) -> str:
    """A value of a key as a client writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _day(day: Any, run_id: str, git_commit: str) -> Day:
    return Day(str(day), run_id, git_commit)


def _columns(table: Found) -> str:
    """The columns that are known of a table, which may get another one at any time."""
    return ", ".join(map(_quoted, table.columns))


def _counted(names: Sequence[str]) -> list[tuple[int, str]]:
    return list(enumerate(names, 1))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
