"""The published tables of a database, as it knows them itself: to look needs no code of the project."""

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import polars as pl

from .problems import Problem

if TYPE_CHECKING:
    from .databases import AnyStore

ADDED = ("stage", "date", "run_id", "git_commit")  # the columns that publishing adds to those of the project
MODEL = "model_run"  # the one that it adds besides where runs may take a model: which run has trained it
TYPES: dict[str, pl.DataType] = {  # what a column that is published holds, and as what polars reads it
    "whole numbers": pl.Int64(),
    "numbers": pl.Float64(),
    "text": pl.String(),
    "times": pl.Datetime("us"),
    "true or false": pl.Boolean(),
    "dates": pl.Date(),
}


@dataclass(frozen=True)
class Found:
    """A table that is in the database."""

    name: str
    columns: dict[str, str]  # what each holds: as `kind_of_values` calls it, or the database's own word
    primary: tuple[str, ...]  # the columns of its primary key

    @property
    def is_published(self) -> bool:
        """Whether it holds rows by stage and date, and says which run wrote them."""
        return set(ADDED) <= set(self.columns) and {"stage", "date"} <= set(self.primary)

    @property
    def key(self) -> tuple[str, ...]:
        """What tells the rows of a day from each other."""
        return tuple(name for name in self.primary if name not in ("stage", "date"))


def published(store: "AnyStore") -> dict[str, Found]:
    """Those that rows are published to."""
    return {name: table for name, table in store.tables().items() if table.is_published}


def value_of(name: str, kind: str, text: str) -> int | float | bool | date | datetime | str:
    """What a text says of a column that holds such values; the text itself where the kind is the database's own word.

    Raises:
        Problem: it is nothing of that kind.
    """
    try:
        if kind == "whole numbers":
            return int(text)
        if kind == "numbers":
            if not math.isfinite(number := float(text)):
                raise ValueError
            return number
        if kind == "dates":
            return date.fromisoformat(text)
        if kind == "true or false":
            return {"true": True, "false": False}[text.lower()]
        if kind == "times":
            return datetime.fromisoformat(text).replace(tzinfo=None)
    except (ValueError, KeyError):
        raise Problem(f"KEY: {name}={text}: column {name} holds {kind}") from None
    return text


def storable(rows: pl.DataFrame, table: str) -> dict[str, pl.Series]:
    """The columns of rows in types that a database has, by their names.

    Raises:
        Problem: a column's values are of no such type.
    """
    return {column.name: _storable(column, f"table {table}: column {column.name}") for column in rows}


def kind_of_values(dtype: pl.DataType) -> str:
    """What a column of storable values holds, in words that all databases share."""
    if dtype.is_integer():
        return "whole numbers"
    if dtype.is_float():
        return "numbers"
    return {pl.Boolean: "true or false", pl.Date: "dates", pl.Datetime: "times"}.get(dtype.base_type(), "text")


def refuse_unlike(kinds: dict[str, str], first: dict[str, str], where: str) -> None:
    """Refuse a part whose columns are not those of the first one, or hold other values.

    Args:
        kinds: what the part's columns hold, by their names.
        first: the same of the first part.
        where: the part, as in `table forecasts: part 2`.

    Raises:
        Problem: they differ.
    """
    for name in first.keys() ^ kinds.keys():
        has, lacks = ("the first has", "this one lacks") if name in first else ("this one has", "the first lacks")
        raise Problem(f"{where}: {has} a column {name!r}, which {lacks}: give all parts the same columns")
    for name, kind in kinds.items():
        if kind != first[name]:
            raise Problem(f"{where}: column {name} holds {first[name]} in the first part, and {kind} here: cast it")


def _storable(column: pl.Series, where: str) -> pl.Series:
    dtype = column.dtype
    if dtype.is_integer():
        try:
            return column.cast(pl.Int64)
        except pl.exceptions.InvalidOperationError:
            raise Problem(f"{where}: a number is beyond 64 bits: publish it as text") from None
    if dtype.is_float():
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    if isinstance(dtype, pl.Datetime):
        local = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else column
        return local.cast(pl.Datetime("us"))
    if dtype in (pl.String, pl.Boolean, pl.Date):
        return column
    raise Problem(f"{where}: {dtype} is nothing that a table holds: cast it to text, numbers, dates, times or booleans")
