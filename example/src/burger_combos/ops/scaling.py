"""The rows of a run at another size, for the scale check: some of them, or all of them and copies under other keys."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from .fingerprint import RAW, hashes_of_texts
from .problems import Problem
from .published import Table
from .trials import ROWS

COPIES = "copies.parquet"  # beside raw.parquet in a trial's folder: each copy and the key that it is a copy of
EXACT = 2**53  # the largest whole numbers that a float holds exactly
DIGITS = 18  # as many fit any whole number of 64 bits

Resize = Callable[[pl.DataFrame, float], pl.DataFrame]


def column(rows: pl.DataFrame, by: str, tables: Sequence[Table]) -> str:
    """The column whose values are more or fewer: that of the setting, or the first key column that the rows have.

    Args:
        rows: what the first step fetched.
        by: `deploy.scale.by`.
        tables: what the project publishes.

    Returns:
        Its name; empty where nothing is set and the rows have none of the first table's key columns.

    Raises:
        Problem: the column that is set is not there.
    """
    if by and by not in rows.columns:
        raise Problem(f"deploy.scale.by: no column {by!r} in {RAW}, only {', '.join(map(repr, rows.columns))}")
    key = tables[0].key if tables else ()
    return by or next((name for name in key if name in rows.columns), "")


def resize(file: Path, factor: float, by: str, tables: Sequence[Table], own: Resize | None) -> tuple[int, str, int]:
    """Make the table of a trial larger or smaller, in its place.

    Args:
        file: raw.parquet of the trial.
        factor: how many times as large.
        by: `deploy.scale.by`.
        tables: what the project publishes.
        own: the project's own `resize`, if it has one.

    Returns:
        The size, what it is counted in (a column's name, whose different values count, or `rows`), and the rows.

    Raises:
        Problem: there is no column to go by, or it cannot have copies.
    """
    rows = pl.read_parquet(file)
    by = column(rows, by, tables)
    if factor != 1 and own:
        rows = own(rows, factor)
        if not isinstance(rows, pl.DataFrame):
            raise Problem(f"pipeline.resize returns {type(rows).__name__}, not a polars DataFrame")
        rows.write_parquet(file)
    elif factor != 1:
        if not by:
            raise Problem(
                f"deploy.scale: {RAW} has no key column of a published table: name the column whose values grow in "
                "deploy.scale.by, or write resize(raw, factor) in pipeline.py; deploy.scale.factors = [] goes without"
            )
        rows, copies = resized(rows, by, factor)
        rows.write_parquet(file)
        copies.write_parquet(file.with_name(COPIES))
    if by and by in rows.columns:
        return rows[by].drop_nulls().n_unique(), by, len(rows)
    return len(rows), ROWS, len(rows)


def resized(rows: pl.DataFrame, by: str, factor: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of fewer or of more values of a column: a part of them as they are, or copies under other values.

    The column keeps its type: new whole numbers lie beyond the others, text gets a suffix, what is missing stays so.

    Args:
        rows: what the first step fetched.
        by: the column, a key.
        factor: how many times as many values.

    Returns:
        The rows; and of the copies among them the new value `copy` and the value `key` that it stands for, as text.

    Raises:
        Problem: the column's type has no other values to give.
    """
    whole, rest = int(factor), factor % 1
    values = rows[by].drop_nulls().unique()
    values = values.gather(np.argsort(hashes_of_texts(as_text(values)), kind="stable"))
    part = _part(rows, by, values, rest, least=0 if whole else 1)
    if not whole:
        return part, _of_copies(values, values).clear()
    made, copies = [rows], [_of_copies(values, values).clear()]
    wanted = [rows] * (whole - 1) + ([part] if len(part) else [])
    for number, copied in enumerate(wanted, 1):
        others = _others(values, number, len(wanted))
        renamed = pl.DataFrame({by: values, "other": others})
        keys = copied.select(by).join(renamed, on=by, how="left", maintain_order="left")
        made.append(copied.with_columns(keys["other"].alias(by)))
        used = values.is_in(copied[by].unique().implode())
        copies.append(_of_copies(others, values).filter(used))
    return pl.concat(made), pl.concat(copies)


def as_text(values: pl.Series) -> pl.Series:
    """Keys as text, so that a key is the same whatever type it has: 17, 17.0, "17" and "0017" are one.

    Raises:
        Problem: they are neither text nor whole numbers.
    """
    if values.dtype.is_float() and _is_whole(values):
        values = values.cast(pl.Int64)
    if not (values.dtype.is_integer() or values.dtype in (pl.String, pl.Categorical, pl.Enum)):
        raise Problem(
            f"column {values.name!r} holds {values.dtype}, and only text and whole numbers can be copied as keys: "
            "write resize(raw, factor) in pipeline.py, or name another column in deploy.scale.by"
        )
    text = values.cast(pl.String).str.strip_chars()
    return text.str.replace(r"^0*(\d+)(?:\.0+)?$", "$1")


def _part(rows: pl.DataFrame, by: str, values: pl.Series, share: float, least: int) -> pl.DataFrame:
    """The rows of the first values, and as large a share of those without one."""
    some = values.head(max(least, round(share * len(values))))
    without = pl.col(by).is_null()
    few = without & (without.cum_sum() <= round(share * rows[by].null_count()))
    return rows.filter(few | pl.col(by).is_in(some.implode()).fill_null(False))


def _of_copies(copies: pl.Series, keys: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"copy": as_text(copies), "key": as_text(keys)})


def _others(values: pl.Series, number: int, last: int) -> pl.Series:
    """New values of the same type, one for each: those of the copy of that number, the last of which is known."""
    if values.dtype.is_integer() or values.dtype.is_float():
        return _other_numbers(values, number, last)
    text = values.cast(pl.String)
    digits = as_text(values)
    width = max(map(len, digits), default=0)
    if digits.str.contains(r"^\d+$").all() and digits.n_unique() == len(values) and width + len(str(last)) <= DIGITS:
        return str(number) + digits.str.zfill(width)  # numbers as text
    mark = "~"
    while text.str.ends_with(f"{mark}{number}").any():
        mark += "~"
    if isinstance(values.dtype, pl.Enum):
        raise Problem(
            f"deploy.scale: column {values.name!r} holds {values.dtype}, which has no other values for copies: write "
            "resize(raw, factor) in pipeline.py, or name another column in deploy.scale.by"
        )
    return (text + f"{mark}{number}").cast(values.dtype)


def _other_numbers(values: pl.Series, number: int, last: int) -> pl.Series:
    low, high = int(values.min() or 0), int(values.max() or 0)  # type: ignore[arg-type]
    span = high - low + 1
    most = EXACT if values.dtype.is_float() else _greatest(values.dtype)
    if high + last * span > most:
        raise Problem(
            f"deploy.scale: column {values.name!r} holds {values.dtype} up to {high:,}, and has no room "
            f"for {last} times as many others: write resize(raw, factor) in pipeline.py, or name another column in "
            "deploy.scale.by"
        )
    return values + number * span


def _greatest(dtype: pl.DataType) -> int:
    """The greatest whole number that a type holds, as Int32 or UInt8."""
    bits = int(str(dtype).removeprefix("U").removeprefix("Int"))
    return int(2 ** (bits - dtype.is_signed_integer()) - 1)


def _is_whole(values: pl.Series) -> bool:
    return bool((values.is_finite() & (values == values.round()) & (values.abs() <= EXACT)).all())
