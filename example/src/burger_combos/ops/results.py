"""Find published rows: of a day or a run, of one table or of all, of one key or of all."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from . import catalogue, records
from .catalogue import ADDED, MODEL, Found
from .plots import numbers
from .problems import Problem, meant
from .runs import Record
from .settings import Stage
from .store import Store


@dataclass(frozen=True)
class Rows:
    """What is shown of a table."""

    table: str
    key: tuple[str, ...]
    rows: pl.DataFrame  # without the columns that publishing adds
    matching: int  # rows of the day that have the key that was asked for
    total: int  # rows of the day
    wanted: dict[str, str]  # what each column was asked to be
    kinds: dict[str, str]  # what the columns hold, in the catalogue's words


@dataclass(frozen=True)
class Results:
    """The rows of a day, all of one run."""

    date: date
    run_id: str
    git_commit: str
    record: Record | None
    tables: list[Rows]


@dataclass(frozen=True)
class _Written:
    """What a run has written to a table for a day."""

    table: Found
    day: date
    run_id: str
    git_commit: str
    rows: int


def find(
    store: Store, stage: Stage, most: int, *, table: str = "", key: str = "", day: date | None = None, run_id: str = ""
) -> Results:
    """The rows of a day, of a run, or of the newest day.

    Args:
        store: the stage's database.
        stage: the stage.
        most: how many rows of each table are wanted.
        table: the table's name; empty for all.
        key: what the rows have to have, as `store=S03 product=P011`; a value alone where one column is the key.
        day: the day; None for the newest, or for that of the run.
        run_id: the run that wrote them; empty for any.

    Raises:
        Problem: there is no such table, column or row.
    """
    tables = catalogue.published(store)
    if not tables:
        raise Problem(f"{store.name}: no results yet in {stage}")
    if table and table not in tables:
        raise Problem(
            f"{store.name}: no table {table!r}{meant(table, tables) or '; there are ' + ', '.join(map(repr, tables))}"
        )
    chosen = {table: tables[table]} if table else tables
    conditions = _conditions(key, chosen) if key else {name: {} for name in chosen}
    written = [each for name in chosen for each in _written(store, stage, chosen[name], day, run_id)]
    of_which = f" for {day}" * bool(day) + f" of run {run_id!r} (or a later one replaced it)" * bool(run_id)
    if not written:
        raise Problem(f"{store.name}: no row in {stage}{of_which}")
    newest, record = _newest(store, written)
    mine = [each for each in written if (each.day, each.run_id) == (newest.day, newest.run_id)]
    totals = {each.table.name: sum(one.rows for one in mine if one.table == each.table) for each in mine}
    shown = []
    for name, conditioned in conditions.items():
        about = record.tables.get(name, {}) if record and record.run_id == newest.run_id else {}
        if name in totals or about:
            order = about.get("order_by", chosen[name].key)
            rows = _rows(store, stage, newest, chosen[name], totals.get(name, 0), conditioned, order, most)
            shown.append(replace(rows, rows=_of_the_project(rows.rows, record)))
    if key and not any(each.matching for each in shown):
        raise Problem(f"{store.name}: no row with {key} in {stage} for {newest.day}{of_which if run_id else ''}")
    return Results(newest.day, newest.run_id, newest.git_commit, record, shown)


def newest(store: Store, stage: Stage) -> tuple[date, str, str, dict[str, int]] | None:
    """The newest day that has rows, the run and commit that wrote them, and the count of each table; None without."""
    tables = catalogue.published(store).values()
    written = [each for table in tables for each in _written(store, stage, table, None, "")]
    if not written:
        return None
    last, _ = _newest(store, written)
    mine = [each for each in written if (each.day, each.run_id) == (last.day, last.run_id)]
    return last.day, last.run_id, last.git_commit, {each.table.name: each.rows for each in mine}


def counted(rows: int, table: str, total: int | None = None) -> str:
    """How many rows of a table there are, and of how many, in words."""
    rows_of = f"{rows:,}" if total in (None, rows) else f"{rows:,} of {total:,}"
    return f"{rows_of} row{'' if (total or rows) == 1 else 's'} of {table}"


def as_text(rows: pl.DataFrame) -> list[list[str]]:
    """The rows as a person reads them: a column's broken numbers all with as many decimals, whole ones as they are."""
    columns = [_column_as_text(column) for column in rows]
    return [list(row) for row in zip(*columns, strict=True)]


def _column_as_text(column: pl.Series) -> list[str]:
    values = column.to_list()
    if column.dtype.is_float():
        there = iter(numbers(value for value in values if value is not None))
        return ["-" if value is None else next(there) for value in values]
    return ["-" if value is None else str(value) for value in values]


def _written(store: Store, stage: Stage, table: Found, day: date | None, run_id: str) -> list[_Written]:
    """What the stage's runs have written for a day, or for the newest."""
    such, values = f"stage = '{stage}'", []
    if run_id:
        such, values = f"{such} AND run_id = $1", [run_id]
    if day:
        such += f" AND date = '{day}'"
    elif not run_id:
        such += f" AND date = (SELECT max(date) FROM {_quoted(table.name)} WHERE {such})"
    if not run_id and (known := _as_noted(store, table, f"FROM {_quoted(table.name)} WHERE {such}")):
        return [known]
    rows = f"FROM {_quoted(table.name)} WHERE {such} GROUP BY date"
    # The rows of a day are one run's, unless others wrote some, too; to group by run, SQLite would sort them all.
    found = store.query(
        "SELECT date, min(run_id) AS run_id, min(git_commit) AS git_commit, count(*) AS n, "
        f"max(run_id) AS last_run, max(git_commit) AS last_commit {rows}",
        *values,
    )
    if (found["run_id"] != found["last_run"]).any() or (found["git_commit"] != found["last_commit"]).any():
        found = store.query(f"SELECT date, run_id, git_commit, count(*) AS n {rows}, run_id, git_commit", *values)
    return [
        _Written(table, date.fromisoformat(str(when)), by, commit, count)
        for when, by, commit, count in found.select("date", "run_id", "git_commit", "n").iter_rows()
    ]


def _as_noted(store: Store, table: Found, rows: str) -> _Written | None:
    """The rows of a day, where they are as many as the run has noted that wrote the first: then all are of that run.

    To count them takes a fifth of the time that it takes to read of each which run wrote it.
    """
    first = store.query(f"SELECT date, run_id, git_commit {rows} LIMIT 1")
    if first.is_empty() or not store.has("runs"):
        return None
    when, by, commit = first.row(0)
    record, day = records.find(store, by), date.fromisoformat(str(when))
    noted = record.tables.get(table.name, {}).get("rows") if record and record.date == day else None
    if noted is None or store.query(f"SELECT count(*) AS n {rows}")["n"][0] != noted:
        return None
    return _Written(table, day, by, commit, noted)


def _newest(store: Store, written: list[_Written]) -> tuple[_Written, Record | None]:
    """What was written for the newest day, and of several runs by the one that began last."""
    day = max(each.day for each in written)
    of_day = {each.run_id: each for each in written if each.day == day}
    known = {run_id: records.find(store, run_id) if store.has("runs") else None for run_id in of_day}
    last = max(of_day, key=lambda run_id: str(record.started_at) if (record := known[run_id]) else "")
    return of_day[last], known[last]


def _rows(
    store: Store,
    stage: Stage,
    of: _Written,
    table: Found,
    total: int,
    conditions: dict[str, str],
    order: Sequence[str],
    most: int,
) -> Rows:
    """The first rows of a table that fit the conditions, in the order that the run has noted."""
    such = f"stage = '{stage}' AND date = '{of.day}' AND run_id = $1"
    values = [of.run_id]
    for name, value in conditions.items():
        condition = _condition(store, name, table.columns[name], value, len(values) + 1)
        such += f" AND {condition}"
        values += [value] if "$" in condition else []
    count = f"SELECT count(*) AS n FROM {_quoted(table.name)} WHERE {such}"
    matching = store.query(count, *values)["n"][0] if conditions else total
    known = [name for name in order if name.removeprefix("-") in table.columns]
    by = ", ".join(_quoted(name.removeprefix("-")) + _direction(name, table) for name in known or table.key)
    columns = ", ".join(_quoted(name) for name in table.columns if name not in ADDED)
    rows = store.query(f"SELECT {columns} FROM {_quoted(table.name)} WHERE {such} ORDER BY {by} LIMIT {most}", *values)
    truths = [name for name in rows.columns if table.columns[name] == "true or false"]  # which SQLite has as 0 and 1
    return Rows(
        table.name,
        table.key,
        rows.with_columns(pl.col(truths).cast(pl.Boolean)),
        matching,
        total,
        conditions,
        table.columns,
    )


def _of_the_project(rows: pl.DataFrame, record: Record | None) -> pl.DataFrame:
    """The rows without the column that says which run has trained their model; a project may have one of that name."""
    if MODEL not in rows.columns:
        return rows
    added = (record is not None and record.tells_model) or rows[MODEL].null_count() == len(rows)
    return rows.drop(MODEL) if added else rows


def _direction(name: str, table: Found) -> str:
    """How to sort by a column; a key has no nulls, and its index gives the order unless they are to come last."""
    down = name.startswith("-")
    return " DESC" * down + " NULLS LAST" * (name.removeprefix("-") not in table.key)


def _conditions(key: str, tables: dict[str, Found]) -> dict[str, dict[str, str]]:
    """What each column has to be, by the tables that have these columns.

    Raises:
        Problem: the key is not written so, or no table has such columns.
    """
    try:
        parts = shlex.split(key)
    except ValueError:  # as in O'Brien
        parts = [key]
    if "=" not in key:
        single = {name: table.key[0] for name, table in tables.items() if len(table.key) == 1}
        if not single:
            keys = "; ".join(f"{name}: {', '.join(table.key)}" for name, table in tables.items())
            raise Problem(f"KEY: {key!r} is a value of which column? Write COLUMN=VALUE; the keys are {keys}")
        value = parts[0] if len(parts) == 1 else key.strip()
        return {name: {column: value} for name, column in single.items()}
    pairs = [part.partition("=") for part in parts]
    if wrong := [part for part, (_, sign, _) in zip(parts, pairs, strict=True) if not sign]:
        raise Problem(f'KEY: {wrong[0]!r} is no COLUMN=VALUE; a value with blanks is quoted, as COLUMN="two words"')
    wanted = {name: value for name, _, value in pairs}
    fitting = {name: wanted for name, table in tables.items() if wanted.keys() <= table.columns.keys()}
    if not fitting:
        known = dict.fromkeys(column for table in tables.values() for column in table.columns if column not in ADDED)
        unknown = next((column for column in wanted if column not in known), None)
        if unknown is None:
            raise Problem(f"KEY: no table has all of {', '.join(wanted)}: name fewer, or the table with TABLE=")
        raise Problem(f"KEY: no column {unknown!r}{meant(unknown, known) or '; there are ' + ', '.join(known)}")
    return fitting


def _condition(store: Store, name: str, kind: str, value: str, place: int) -> str:
    """That a column has a value, compared as what the column holds.

    Raises:
        Problem: the value is nothing of that kind.
    """
    column = _quoted(name)
    try:
        if kind == "whole numbers":
            return f"{column} = {int(value)}"
        if kind == "numbers":
            if not math.isfinite(float(value)):
                raise ValueError
            return f"{column} = {float(value)!r}"
        if kind == "dates":
            return f"{column} = '{date.fromisoformat(value)}'"
        if kind == "true or false":
            truth = {"true": True, "false": False}[value.lower()]
            return column if truth else f"NOT {column}"
        if kind == "times":
            moment = datetime.fromisoformat(value).replace(tzinfo=None)
            if store.kind == "sqlite":  # which keeps them as text
                return f"strftime('%Y-%m-%d %H:%M:%f', {column}) = strftime('%Y-%m-%d %H:%M:%f', '{moment}')"
            return f"{column} = '{moment}'"
    except (ValueError, KeyError):
        raise Problem(f"KEY: {name}={value}: column {name} holds {kind}") from None
    return f"CAST({column} AS TEXT) = ${place}" if kind != "text" else f"{column} = ${place}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
