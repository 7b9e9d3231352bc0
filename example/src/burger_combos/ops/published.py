"""What a project publishes: the tables that its pipeline declares, and the way for rows into them."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from typing import Any

import polars as pl

from . import dry_run, publishers
from .catalogue import ADDED, MODEL
from .databases import open_store
from .problems import Problem, meant
from .raw import refuse_unjoined
from .runs import Record, Run
from .settings import StageSettings

RESERVED = ("runs", "deployments", "trials", "missing_runs")  # tables of the machinery's own
LONGEST = 63  # bytes of a name; PostgreSQL cuts off the rest


@dataclass(frozen=True)
class Table:
    """A table that rows are published to, once for each day.

    Attributes:
        name: what it is called in the database.
        key: the columns that tell the rows of a day from each other. The primary key is these after stage and date.
        order_by: the columns by which a person would sort it; "-score" begins with the greatest. By the key if empty.
    """

    name: str
    key: tuple[str, ...]
    order_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no database would take, or take for something else.

        Raises:
            Problem: a name is none, or is one of the machinery's own.
        """
        where = f"TABLES: table {self.name!r}"
        if isinstance(self.key, str) or isinstance(self.order_by, str):
            raise Problem(f'{where}: key and order_by are tuples, as key=("store", "product") or key=("id",)')
        _refuse_name(self.name, where)
        if self.name.lower() in RESERVED:
            raise Problem(f"{where}: that is a table of the machinery's own; give it another name")
        if not self.key:
            raise Problem(f"{where}: no key; name the columns that tell the rows of a day from each other")
        for column in self.key:
            _refuse_name(column, where)
            if column.lower() in ADDED:
                raise Problem(f"{where}: {column!r} is added to each row by itself, so it cannot be in the key")
        if len({column.lower() for column in self.key}) < len(self.key):
            raise Problem(f"{where}: a column is in the key twice")
        if not self.order_by:
            object.__setattr__(self, "order_by", self.key)


def publish(run: Run, settings: StageSettings, tables: Mapping[str, pl.DataFrame | Iterable[pl.DataFrame]]) -> None:
    """Put a day's rows in place of those that are there, in all tables at once or in none.

    Each row gets the run's stage, date, id and commit and, where `schedule.train_every` is set, `model_run`: which run
    has trained the model. `rows_published` counts them.

    Args:
        run: the run that made the rows.
        settings: those of its stage.
        tables: for the name of each declared table its rows: the key's columns, and any others. They are in one
            frame, or in parts with the same columns, of which one at a time is in memory: `(pl.read_parquet(path) for
            path in run.paths("rows.parquet"))`.

    Raises:
        Problem: a table is not declared or has no rows given; a key has gaps or is there twice, be it in two parts;
            a part has other columns than the first; the database has the table with another key, or cannot be written;
            or shards have set rows aside, and no step has judged those. Or a publisher cannot follow: then the
            database has the rows.
    """
    refuse_unjoined(run)
    wanted = {table.name: table for table in declared()}
    for name in tables.keys() - wanted.keys():
        raise Problem(f"publish: table {name!r} is not among TABLES of pipeline.py{_either(name, wanted)}")
    if missing := [name for name in wanted if name not in tables]:
        raise Problem(f"publish: no rows for table {missing[0]!r}, which TABLES of pipeline.py names")
    record = run.record
    complete = [(table, _complete(tables[name], table, record)) for name, table in wanted.items()]
    if dry_run.running():
        for _, parts in complete:
            deque(parts, 0)  # they are judged as they are taken
    with open_store(settings.database.url, keep_days=settings.database.keep_days) as store:
        counts = store.replace(record.stage, record.date, complete)
    record.tables = {
        table.name: {"key": list(table.key), "order_by": list(table.order_by), "rows": rows}
        for table, rows in zip(wanted.values(), counts, strict=True)
    }
    run.count("rows_published", sum(counts))
    publishers.follow(run, settings, list(wanted.values()))


def declared() -> tuple[Table, ...]:
    """The tables that `pipeline.py` declares as TABLES; empty where it declares none.

    Raises:
        Problem: something else is called TABLES, or two tables have one name.
    """
    found: Any = getattr(import_module("..pipeline", __package__), "TABLES", ())
    tables = (found,) if isinstance(found, Table) else tuple(found)
    if not all(isinstance(table, Table) for table in tables):
        raise Problem('TABLES of pipeline.py: a tuple of Table("NAME", key=("COLUMN",)) is expected')
    names = [table.name.lower() for table in tables]
    if twice := [name for name in names if names.count(name) > 1]:
        raise Problem(f"TABLES of pipeline.py: two tables are called {twice[0]!r}")
    return tables


def line_to_add(name: str, key: str) -> str:
    """What is missing in a pipeline that declares no table, with the likeliest name and key."""
    return (
        f'pipeline.py declares no table: add to it TABLES = (Table("{name}", key=("{key}",)),) and above that '
        "from .ops.published import Table"
    )


def _refuse_name(name: str, where: str) -> None:
    if not re.fullmatch(r"[^\W\d]\w*", name) or len(name.encode()) > LONGEST:
        raise Problem(f"{where}: {name!r} is no name: letters, digits and _, no digit first, at most {LONGEST} bytes")


def _complete(rows: pl.DataFrame | Iterable[pl.DataFrame], table: Table, record: Record) -> Iterable[pl.DataFrame]:
    """The rows with all columns of the table; a frame is judged at once, parts as they are taken."""
    if isinstance(rows, pl.DataFrame):
        return [_complete_part(rows, table, record, f"table {table.name}")]
    return _complete_parts(rows, table, record)


def _complete_parts(parts: Iterable[pl.DataFrame], table: Table, record: Record) -> Iterator[pl.DataFrame]:
    number = count(1)
    for part in parts:  # enumerate would keep the last one until it has the next
        complete = _complete_part(part, table, record, f"table {table.name}: part {next(number)}")
        del part
        yield complete
        del complete


def _complete_part(rows: pl.DataFrame, table: Table, record: Record, where: str) -> pl.DataFrame:
    _refuse_rows(rows, table, where, (*ADDED, MODEL) if record.tells_model else ADDED)
    stage, day = pl.lit(str(record.stage)).alias("stage"), pl.lit(record.date).alias("date")
    by = [pl.lit(record.run_id).alias("run_id"), pl.lit(record.git_commit).alias("git_commit")]
    by += [pl.lit(record.model_run).alias(MODEL)] * record.tells_model
    return rows.select(stage, day, *table.key, pl.exclude(table.key), *by)


def _refuse_rows(rows: pl.DataFrame, table: Table, where: str, added: tuple[str, ...]) -> None:
    """No rows without a key or with the same one, and no columns that a database would not keep apart."""
    if lacking := [name for name in table.key if name not in rows.columns]:
        raise Problem(f"{where}: the rows have no column {lacking[0]!r} of its key{_either(lacking[0], rows.columns)}")
    for name in table.order_by:
        if (column := name.removeprefix("-")) not in rows.columns:
            raise Problem(f"{where}: order_by: the rows have no column {column!r}{_either(column, rows.columns)}")
    for name in rows.columns:
        _refuse_name(name, where)
        if name.lower() in added:
            raise Problem(f"{where}: column {name!r} is added to each row by itself: leave it out")
    lower = [name.lower() for name in rows.columns]
    if twice := [name for name in lower if lower.count(name) > 1]:
        raise Problem(f"{where}: two columns are called {twice[0]!r}, but for capitals")
    for name in table.key:
        if rows[name].dtype.is_float():
            raise Problem(f"{where}: column {name!r} of its key holds broken numbers: cast it to whole ones or to text")
        if rows[name].has_nulls():
            row = rows[name].is_null().arg_max() or 0
            raise Problem(f"{where}: row {row + 1} has no {name}, which is of its key")
    keys = rows.select(table.key)
    # The same key has the same hash, so that where those are all different, the keys are, too.
    if keys.hash_rows().n_unique() < len(keys) and (copies := keys.is_duplicated()).any():
        first = keys.row(copies.arg_max() or 0, named=True)
        told = " ".join(f"{name}={value}" for name, value in first.items())
        raise Problem(f"{where}: {int(copies.sum()):,} rows share their key with another one, as {told}")


def _either(name: str, known: Mapping[str, object] | list[str]) -> str:
    return meant(name, known) or f"; there are {', '.join(map(repr, known)) or 'none'}"
