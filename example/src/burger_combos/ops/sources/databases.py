"""A table or a query of a database."""

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import polars as pl
from pydantic import SecretStr

from .. import locks
from ..databases import NotThere
from ..databases.sql import Store
from ..databases.urls import sqlite_file, without_password
from ..problems import Problem, one_line
from . import batches
from .headers import no_column
from .rows import frames


def read_database(url: SecretStr, source: str, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The wanted columns, some rows at a time, of `table:NAME`, `table:SCHEMA.NAME` or `query:SELECT …`.

    Raises:
        Problem: the database cannot be read, or lacks the table or a column.
    """
    kind, _, text = source.partition(":")
    file = sqlite_file(url)
    if kind == "query":
        query = re.sub(r";\s*(--.*)?\Z", "", text)
        relation = f"({query}\n) AS source"
    else:
        parts = re.findall(r'"(?:[^"]|"")*"|[^."]+', text)
        if file and parts[0] not in ("main", "temp"):  # all the schemas that a file has
            parts = parts if len(parts) == 1 else [text]
        relation = ".".join(part if part.startswith('"') else quoted(part) for part in parts) + " AS source"
    name = f"{without_password(url.get_secret_value())}: {' '.join(source.split())[:80]}"
    return _of_sqlite(file, name, relation, wanted) if file else _of_postgresql(url, name, relation, wanted)


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _of_postgresql(url: SecretStr, name: str, relation: str, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    columns = ", ".join(map(quoted, wanted))
    with Store(url) as store:
        found = store.query(f"SELECT row_to_json(source)::text AS row FROM {relation} LIMIT 1")["row"]
        for row in found:
            _refuse_missing(wanted, [key for key, _ in json.loads(row, object_pairs_hook=list)], name)
        kinds = store.query(f"SELECT {columns} FROM {relation} LIMIT 0").schema
        for each in wanted:
            if isinstance(kinds[each], pl.Binary):
                kind = store.query(f"SELECT pg_typeof({quoted(each)})::text AS kind FROM {relation} LIMIT 1")["kind"]
                if kind.to_list() == ["bytea"]:
                    raise Problem(f"{name}: column {each} is bytea, no plain value")
        casts = (f"CAST({quoted(each)} AS text) AS {quoted(each)}" for each in wanted if not _is_plain(kinds[each]))
        plain = (quoted(each) for each in wanted if _is_plain(kinds[each]))
        yield from store.batches(f"SELECT {', '.join([*casts, *plain])} FROM {relation}", batches.rows_of_values())


def _of_sqlite(file: Path, name: str, relation: str, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    """By Python's driver, which takes each value in its own type; ADBC's takes that of the first rows for all."""
    if not file.exists():
        raise NotThere(f"{file}: no such file")
    columns = ", ".join(map(quoted, wanted))
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=locks.PATIENCE)) as database:
        try:
            database.execute("PRAGMA query_only = ON")
            with locks.report_waiting(name, file):
                there = [each[0] for each in database.execute(f"SELECT * FROM {relation} LIMIT 0").description]
            _refuse_missing([each.lower() for each in wanted], [each.lower() for each in there], name)
            yield from frames(wanted, database.execute(f"SELECT {columns} FROM {relation}"), name)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise Problem(locks.still_locked(name, file)) from None
            if "UTF-8" in str(error):
                database.text_factory = bytes
                raise _not_utf8(database.execute(f"SELECT {columns} FROM {relation}"), wanted, name) from None
            tables = database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
            found = f"; there are {', '.join(each for (each,) in tables)}" if "no such table" in str(error) else ""
            raise Problem(f"{name}: {one_line(error)}{found}") from None
        except sqlite3.Error as error:
            raise Problem(f"{name}: {one_line(error)}") from None


def _refuse_missing(wanted: Sequence[str], there: list[str], name: str) -> None:
    """SQLite takes the name of a column that it does not have for a text."""
    missing = [each for each in wanted if each not in there]
    if missing:
        raise no_column(name, missing, there)
    twice = [each for each in wanted if there.count(each) > 1 or f"{each}:1" in there]  # SQLite's name for the second
    if twice:
        raise Problem(
            f"{name}: two columns are called {twice[0]!r}; give one another name, as in SELECT id AS other_id"
        )


def _not_utf8(rows: Iterator[Sequence[object]], wanted: Sequence[str], name: str) -> Problem:
    for number, row in enumerate(rows, 1):
        for column, value in zip(wanted, row, strict=True):
            try:
                value.decode() if isinstance(value, bytes) else None
            except UnicodeDecodeError:
                return Problem(f"{name}: column {column}, row {number}: not UTF-8: {value!r:.60}")
    return Problem(f"{name}: holds text that is not UTF-8")


def _is_plain(kind: pl.DataType) -> bool:
    """Whether polars knows it; it does not know PostgreSQL's numeric, uuid and json, which are exact as text."""
    return kind in (pl.String, pl.Boolean, pl.Date) or kind.is_numeric() or kind.is_nested() or kind.is_temporal()
