"""Rows as DynamoDB has them: numbers exact, dates and times as text, and no row greater than an item may be."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from ...catalogue import Found
from ...problems import Problem

Item = dict[str, Any]
LARGEST = 400 * 1024  # bytes of an item, with the names of its attributes
_LONGEST_KEY = 2048  # bytes
_SMALLEST, _GREATEST = 1e-130, 9.99e125  # of numbers, but for 0
_NULL = {"NULL": True}
_TRUTH = {True: {"BOOL": True}, False: {"BOOL": False}, None: _NULL}
_DAY, _TIME = "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%.6f"  # as ISO 8601 has them


def key_of(stage: str, table: str, values: Sequence[str]) -> str:
    """The first part of a row's key: `production#forecasts#S03#P011`; in a value `%` is `%25`, and `#` is `%23`."""
    return "#".join([stage, table, *(value.replace("%", "%25").replace("#", "%23") for value in values)])


def keys_of(stage: str, table: str, rows: pl.DataFrame, key: Sequence[str]) -> list[str]:
    """The first parts of the keys of rows."""
    columns = [as_text(rows[name]).to_list() for name in key]
    return [key_of(stage, table, values) for values in zip(*columns, strict=True)]


def as_text(column: pl.Series) -> pl.Series:
    """The values of a column as a key has them: whole numbers, dates, times, `true` and `false`, text."""
    if column.dtype.is_temporal():
        return column.dt.to_string(_DAY if column.dtype == pl.Date else _TIME)
    return column.cast(pl.String)


def refuse_what_no_item_holds(rows: pl.DataFrame, keys: list[str], key: Sequence[str], where: str) -> None:
    """Refuse a number or a size that DynamoDB does not have.

    Args:
        rows: the rows.
        keys: the first parts of their keys.
        key: the columns of their key.
        where: the table and the part, for a person.

    Raises:
        Problem: a number is not finite, too great or too small; a key or a row is too long.
    """
    for column in rows:
        if not column.dtype.is_float():
            continue
        beyond = ~column.is_finite() | (column.abs() > _GREATEST) | ((column != 0) & (column.abs() < _SMALLEST))
        if beyond.any():
            row = beyond.fill_null(False).arg_max() or 0
            raise Problem(
                f"{where}: row {row + 1} ({_told(rows, key, row)}): {column.name} is {column[row]}, and DynamoDB holds "
                "finite numbers of 1e-130 to 9.99e125: publish none, as .fill_nan(None) does, or round it"
            )
    for row, text in enumerate(keys):
        if len(text.encode()) > _LONGEST_KEY:
            raise Problem(f"{where}: row {row + 1}: its key is longer than {_LONGEST_KEY} bytes: {text[:60]} …")
    sizes = rows.select(pl.sum_horizontal(_bytes(column) for column in rows).alias("size"))["size"]
    most = LARGEST - 3 * 1024 - sum(len(name.encode()) for name in rows.columns)  # for the key, and when it expires
    too_large = sizes > most
    if too_large.any():
        row = too_large.arg_max() or 0
        raise Problem(
            f"{where}: row {row + 1} ({_told(rows, key, row)}) has {int(sizes[row]):,} bytes, and DynamoDB holds "
            f"{LARGEST:,} at most: publish less of it, or split it"
        )


def _bytes(column: pl.Series) -> pl.Expr:
    """How large the values are at most."""
    if column.dtype == pl.String:
        return pl.col(column.name).str.len_bytes().fill_null(1).cast(pl.Int64)
    return pl.lit(32, dtype=pl.Int64).alias(column.name)


def _told(rows: pl.DataFrame, key: Sequence[str], row: int) -> str:
    return " ".join(f"{name}={rows[name][row]}" for name in key)


def encoded(rows: pl.DataFrame, fixed: Item, keys: list[str]) -> Iterator[Item]:
    """The items of rows.

    Args:
        rows: the rows, of all their columns.
        fixed: what all items have beside.
        keys: the first parts of their keys.
    """
    names = rows.columns
    columns = [_encoded(column) for column in rows]
    for key, values in zip(keys, zip(*columns, strict=True), strict=True):
        yield {**fixed, "row-key": {"S": key}, **dict(zip(names, values, strict=True))}


def _encoded(column: pl.Series) -> list[dict[str, Any]]:
    if column.dtype == pl.Boolean:
        return [_TRUTH[value] for value in column.to_list()]
    if column.dtype.is_numeric():  # the shortest text from which the very same number is read
        return [_NULL if value is None else {"N": repr(value)} for value in column.to_list()]
    return [_NULL if value is None else {"S": value} for value in as_text(column).to_list()]


def decoded(items: Sequence[Item], table: Found, schema: pl.Schema) -> pl.DataFrame:
    """The rows of items.

    Args:
        items: the items.
        table: the table that they are of.
        schema: its columns, and the types of what these hold.
    """
    found = {name: [_decoded(item.get(name), table.columns[name]) for item in items] for name in schema}
    as_read = {name: pl.String() if kind.is_temporal() else kind for name, kind in schema.items()}
    rows = pl.DataFrame(found, schema=as_read)
    return rows.with_columns(_in_time(rows[name], kind) for name, kind in schema.items() if kind.is_temporal())


def _in_time(column: pl.Series, wanted: pl.DataType) -> pl.Series:
    return column.str.to_date() if isinstance(wanted, pl.Date) else column.str.to_datetime(_TIME, time_unit="us")


def _decoded(value: dict[str, Any] | None, kind: str) -> Any:
    if value is None or "NULL" in value:
        return None
    if "N" in value:
        return int(value["N"]) if kind == "whole numbers" else float(value["N"])
    return value["BOOL"] if "BOOL" in value else value["S"]
