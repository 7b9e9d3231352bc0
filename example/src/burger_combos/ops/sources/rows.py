"""Sources that come as Python's values, row by row: their columns keep one type, or are text."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import islice

import polars as pl

from ..problems import Problem
from . import batches

_TYPES = {str: pl.String(), int: pl.Int64(), float: pl.Float64(), bool: pl.Boolean()}


def frames(names: Sequence[str], rows: Iterable[Sequence[object]], where: str) -> Iterator[pl.DataFrame]:
    """The columns of rows, some at a time; of each batch one is of one type, or text if its values are of several.

    Args:
        names: the columns' names.
        rows: a value for each name.
        where: the file or table, for messages.

    Raises:
        Problem: a value is bytes.
    """
    left = iter(rows)
    read = 0
    while chunk := list(islice(left, batches.rows_of_values())):
        columns = {}
        for name, values in zip(names, zip(*chunk, strict=True), strict=True):
            for place in [place for place, value in enumerate(values, 1) if type(value) is bytes][:1]:
                raise Problem(f"{where}: column {name}, row {read + place}: bytes, no plain value")
            columns[name] = _series(values)
        read += len(chunk)
        del chunk
        yield pl.DataFrame(columns)
    if not read:
        yield pl.DataFrame({name: pl.Series(dtype=pl.Null) for name in names})


def joined(parts: Sequence[pl.Series]) -> pl.Series:
    """One column of several; as text, where their types have none in common that holds each value as it is."""
    kinds = {part.dtype for part in parts} - {pl.Null}
    if len(kinds) > 1 and not all(kind.is_integer() for kind in kinds) and not _of_dates(kinds):
        parts = [_as_text(part) for part in parts]
    return pl.concat([part.to_frame("column") for part in parts], how="vertical_relaxed")["column"]


def written(value: object) -> str | None:
    """A value as text: a whole number without a fraction, whatever its type was, and a time as ISO 8601 has it."""
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)


def _series(values: Sequence[object]) -> pl.Series:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds and kinds <= {date, datetime}:
        return pl.Series(list(_as_times(values)), dtype=pl.Datetime("us"))
    if len(kinds) > 1 or not kinds <= _TYPES.keys():
        return pl.Series(list(map(written, values)), dtype=pl.String)
    try:
        return pl.Series(values, dtype=_TYPES[kinds.pop()] if kinds else pl.Null())
    except (OverflowError, TypeError, pl.exceptions.PolarsError):  # a whole number of more than 64 bits
        return pl.Series(list(map(written, values)), dtype=pl.String)


def _as_times(values: Iterable[object]) -> Iterator[datetime | None]:
    for value in values:
        if isinstance(value, datetime) or value is None:
            yield value
        elif isinstance(value, date):
            yield datetime(value.year, value.month, value.day)


def _as_text(part: pl.Series) -> pl.Series:
    return part if part.dtype in (pl.String, pl.Null) else pl.Series(list(map(written, part)), dtype=pl.String)


def _of_dates(kinds: set[pl.DataType]) -> bool:
    zones = {kind.time_zone if isinstance(kind, pl.Datetime) else None for kind in kinds}
    return all(isinstance(kind, pl.Date | pl.Datetime) for kind in kinds) and len(zones) == 1
