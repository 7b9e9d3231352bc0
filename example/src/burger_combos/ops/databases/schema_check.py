"""Whether rows fit into a table that is there, in words that all databases share."""

from typing import TYPE_CHECKING

import polars as pl

from ..catalogue import TYPES, Found
from ..problems import Problem

if TYPE_CHECKING:
    from ..published import Table


def refuse_unlike_there(found: Found | None, table: "Table", kinds: dict[str, str], database: str, advice: str) -> None:
    """Refuse rows that the table cannot take.

    Args:
        found: the table as it is in the database; None where it is not.
        table: the table as the pipeline declares it.
        kinds: what the columns of the rows hold.
        database: the database's name.
        advice: what to do where the table has another key.

    Raises:
        Problem: it has another key, or a column of it holds other values.
    """
    if found is None:
        return
    if not found.is_published or set(found.key) != set(table.key):
        raise Problem(
            f"{database}: table {table.name} has the key ({', '.join(found.primary)}), and pipeline.py declares "
            f"({', '.join(('stage', 'date', *table.key))}): {advice}"
        )
    for name, kind in kinds.items():
        there = found.columns.get(name, kind)
        if there != kind and there in TYPES and (there, kind) != ("numbers", "whole numbers"):
            raise Problem(
                f"{database}: table {table.name}: column {name} holds {there} there, and would get {kind}: cast it, or "
                "give it another name"
            )


def fitted(database: str, table: "Table", column: pl.Series, there: str) -> pl.Series:
    """A column as the table takes it, which holds `there`.

    Raises:
        Problem: a whole number would not be exact among other numbers.
    """
    if there != "numbers" or not column.dtype.is_integer():
        return column
    numbers = column.cast(pl.Float64)
    if not numbers.cast(pl.Int64, strict=False).eq_missing(column).all():
        raise Problem(
            f"{database}: table {table.name}: column {column.name} holds numbers there, which are exact to 2^53, "
            "and would get a greater one: give it another name"
        )
    return numbers
