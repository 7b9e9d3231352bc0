"""Find published rows: of a day or a run, of one table or of all, of one key or of all."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from . import catalogue
from .catalogue import ADDED, MODEL, Found
from .databases import AnyStore, Written
from .plots import numbers
from .problems import Problem, meant
from .runs import Record
from .settings import Stage


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


def find(
    store: AnyStore,
    stage: Stage,
    most: int,
    *,
    table: str = "",
    key: str = "",
    day: date | None = None,
    run_id: str = "",
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
    written = [each for name in chosen for each in store.written(stage, chosen[name], day, run_id)]
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


def newest(store: AnyStore, stage: Stage) -> tuple[date, str, str, dict[str, int]] | None:
    """The newest day that has rows, the run and commit that wrote them, and the count of each table; None without."""
    tables = catalogue.published(store).values()
    written = [each for table in tables for each in store.written(stage, table)]
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


def _newest(store: AnyStore, written: list[Written]) -> tuple[Written, Record | None]:
    """What was written for the newest day, and of several runs by the one that began last."""
    day = max(each.day for each in written)
    of_day = {each.run_id: each for each in written if each.day == day}
    known = {run_id: store.run(run_id) for run_id in of_day}
    last = max(of_day, key=lambda run_id: str(record.started_at) if (record := known[run_id]) else "")
    return of_day[last], known[last]


def _rows(
    store: AnyStore,
    stage: Stage,
    of: Written,
    table: Found,
    total: int,
    conditions: dict[str, str],
    order: Sequence[str],
    most: int,
) -> Rows:
    """The first rows of a table that fit the conditions, in the order that the run has noted."""
    known = [name for name in order if name.removeprefix("-") in table.columns]
    rows, matching = store.first_rows(stage, replace(of, table=table), conditions, known or table.key, most)
    matching = total if matching is None else matching
    return Rows(table.name, table.key, rows, matching, total, conditions, table.columns)


def _of_the_project(rows: pl.DataFrame, record: Record | None) -> pl.DataFrame:
    """The rows without the column that says which run has trained their model; a project may have one of that name."""
    if MODEL not in rows.columns:
        return rows
    added = (record is not None and record.tells_model) or rows[MODEL].null_count() == len(rows)
    return rows.drop(MODEL) if added else rows


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
