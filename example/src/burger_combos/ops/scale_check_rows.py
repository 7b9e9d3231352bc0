"""The rows of a run at another size, for the scale check: some of them, or all of them and copies under other keys.

The rows may lie in several parts. Each is resized alone, to the rows that it would have of the whole: before that, the
columns that matter are looked through in all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .dry_run import ROWS
from .fingerprint import RAW, ROW, Words
from .problems import Problem, meant
from .published import Table
from .raw import raw_files
from .scale_check_keys import COPIES, Column, as_text

if TYPE_CHECKING:
    from .runs import Run
    from .settings import Scale


Resize = Callable[[pl.DataFrame, float], pl.DataFrame]


@dataclass(frozen=True)
class Size:
    """How large the table of a trial is.

    Attributes:
        size: how many there are of what is counted.
        by: what that is: a column's name, whose different values count, or `rows`.
        rows: how many rows it has.
        also: how many different values each of the other columns has that are to grow.
    """

    size: int
    by: str
    rows: int
    also: dict[str, int] = field(default_factory=dict)


def column(columns: Sequence[str], by: str, tables: Sequence[Table]) -> str:
    """The column whose values are more or fewer: that of the setting, or the first key column that the rows have.

    Args:
        columns: of what the first step fetched.
        by: `deploy.scale.by`.
        tables: what the project publishes.

    Returns:
        Its name; empty where nothing is set and the rows have none of the first table's key columns.

    Raises:
        Problem: the column that is set is not there.
    """
    if by:
        _refuse_missing("by", by, columns)
    key = tables[0].key if tables else ()
    return by or next((name for name in key if name in columns), "")


def resize(run: "Run", factor: float, scale: "Scale", tables: Sequence[Table], own: Resize | None) -> Size | None:
    """Make the table of a trial larger or smaller, in its place.

    Args:
        run: the trial, in whose folder lies raw.parquet, or what each shard has of it.
        factor: how many times as large.
        scale: which columns grow.
        tables: what the project publishes.
        own: the project's own `resize`, if it has one.

    Returns:
        How large it is then; None where the run has no such table.

    Raises:
        Problem: there is no column to go by, or it cannot have copies.
    """
    parts = _parts(run)
    if not parts:
        return None
    columns = parts[0].columns
    by = column(columns, scale.by, tables)
    for name in scale.also:
        _refuse_missing("also", name, columns)
        if name == by or scale.also.count(name) > 1:
            raise Problem(f"deploy.scale.also: column {name!r} grows already; name it once, and not the one of {by!r}")
    if factor != 1 and own:
        _by_own(parts, by, factor, own)
    elif factor != 1:
        if not by:
            raise Problem(
                f"deploy.scale: {RAW} has no key column of a published table: name the column whose values grow in "
                "deploy.scale.by, or write resize(raw, factor) in pipeline.py; deploy.scale.factors = [] goes without"
            )
        _resize(parts, by, scale.also, factor)
    parts = _parts(run)
    rows = sum(len(part) for part in parts)
    also = {name: _different(parts, name) for name in scale.also if name in parts[0].columns}
    if by in parts[0].columns:
        return Size(_different(parts, by), by, rows, also)
    return Size(rows, ROWS, rows, also)


@dataclass(frozen=True)
class _Part:
    """A file of the table.

    Attributes:
        file: where it lies.
        copies: where its copies are noted.
        columns: those of the source.
        before: how many rows the parts before it have.
        numbered: whether it has the column `row` beside those of the source.
    """

    file: Path
    copies: Path
    columns: list[str]
    before: int
    numbered: bool

    def __len__(self) -> int:
        return int(pl.scan_parquet(self.file, glob=False).select(pl.len()).collect().item())

    def read(self, name: str) -> pl.Series:
        return pl.read_parquet(self.file, columns=[name], glob=False)[name]

    def numbers(self) -> pl.Series:
        """The number of each row in the source."""
        begin = self.before + 1
        return self.read(ROW) if self.numbered else pl.int_range(begin, begin + len(self), eager=True)


def _parts(run: "Run") -> list[_Part]:
    """The table as one file, or as what each shard has of it; nothing where the run has neither."""
    files = raw_files(run)
    if not all(file.exists() for file in files):
        return []
    found: list[_Part] = []
    for file, copies in zip(files, run.paths(COPIES) if len(files) > 1 else [run.path(COPIES)], strict=True):
        columns = list(pl.read_parquet_schema(file))
        numbered = len(files) > 1 and ROW in columns
        before = found[-1].before + len(found[-1]) if found else 0
        columns = [name for name in columns if not (numbered and name == ROW)]
        found.append(_Part(file, copies, columns, before, numbered))
    return found


def _refuse_missing(key: str, name: str, columns: Sequence[str]) -> None:
    if name not in columns:
        known = ", ".join(map(repr, columns)) + meant(name, columns)
        raise Problem(f"deploy.scale.{key}: no column {name!r} in {RAW}, only {known}")


def _different(parts: Sequence[_Part], name: str) -> int:
    """How many different values a column has in all parts."""
    found = [_distinct(part.read(name)) for part in parts[:1]]
    for part in parts[1:]:
        found = [np.union1d(found[0], _distinct(part.read(name)))]
    return len(found[0])


def _distinct(values: pl.Series) -> Words:
    """A hash of each different value."""
    values = values.drop_nulls().unique()
    if values.dtype in (pl.Categorical, pl.Enum):  # whose codes may differ from part to part
        values = values.cast(pl.String)
    return np.unique(values.hash().to_numpy())


def _resize(parts: Sequence[_Part], by: str, also: Sequence[str], factor: float) -> None:
    """Rewrite each part: some of its rows as they are, or all of them and copies under other values.

    A column keeps its type: new whole numbers lie beyond the others, text gets a suffix, what is missing stays so.
    Beside a part are noted the copies in it: in the column `of` (empty for the one to go by) the new value `copy` and
    the value `key` that it stands for, as text.

    Args:
        parts: of the table.
        by: the column of which there are to be fewer or more values, a key.
        also: other columns whose values are new in copies, too.
        factor: how many times as many values.

    Raises:
        Problem: a column's type has no other values to give.
    """
    whole, rest = int(factor), factor % 1
    copies = max(0, ceil(factor) - 1)
    columns = [Column(by, "deploy.scale.by", copies)]
    columns += [Column(name, "deploy.scale.also", copies) for name in also] if copies else []
    without = [np.empty(0, np.int64)]
    for part in parts:
        for each in columns:
            each.look(part.read(each.name))
        without.append(part.numbers().filter(part.read(by).is_null()).to_numpy())
    for each in columns:
        each.refuse_full()
    keyless = np.sort(np.concatenate(without))
    some = [_some(part, columns[0], rest, 0 if whole else 1, keyless[: round(rest * len(keyless))]) for part in parts]
    taken = [part.numbers().filter(few).to_numpy() for part, few in zip(parts, some, strict=True) if part.numbered]
    order = np.sort(np.concatenate(taken)) if taken else np.empty(0, np.int64)
    total = sum(len(part) for part in parts)
    for part, few in zip(parts, some, strict=True):
        rows = pl.read_parquet(part.file, glob=False)
        part_of = rows.filter(few)
        if part.numbered:  # as if they were the whole's: what is left is numbered anew, copies go on after that
            numbers = whole * total + 1 + np.searchsorted(order, part_of[ROW].to_numpy())
            part_of = part_of.with_columns(pl.Series(ROW, numbers, pl.Int64))
        made, noted = [rows] if whole else [part_of], [_noted(columns[0], rows[by].clear(), 0)]
        for number in range(1, copies + 1):
            copied = part_of if number == whole else rows
            renamed = copied.with_columns(each.others(copied[each.name], number) for each in columns)
            if part.numbered and number < whole:
                renamed = renamed.with_columns(pl.col(ROW) + number * total)
            made.append(renamed)
            noted += [_noted(each, copied[each.name].drop_nulls().unique(), number) for each in columns]
        pl.concat(made).write_parquet(part.file)
        pl.concat(noted).write_parquet(part.copies)


def _some(part: _Part, column: Column, share: float, least: int, keyless: NDArray[np.int64]) -> pl.Series:
    """Which rows of a part have one of the keys that come first, or have none and one of these numbers."""
    keys = part.read(column.name)
    chosen = keys.is_in(column.some(keys, share, least).implode()).fill_null(False)
    return chosen | pl.Series(np.isin(part.numbers().to_numpy(), keyless)) if len(keyless) else chosen


def _noted(column: Column, values: pl.Series, number: int) -> pl.DataFrame:
    """Which values of a copy of that number stand for which."""
    of = column.name if column.setting.endswith("also") else ""
    copies = column.others(values, number)
    return pl.DataFrame({"of": pl.repeat(of, len(values), eager=True), "copy": as_text(copies), "key": as_text(values)})


def _by_own(parts: Sequence[_Part], by: str, factor: float, own: Resize) -> None:
    """Let the project's own function resize each part.

    Raises:
        Problem: it does not return a frame, or gives rows of one key to several parts.
    """
    apart = bool(by) and _apart(parts, by)
    number = 0
    for part in parts:
        rows = pl.read_parquet(part.file, glob=False)
        if len(parts) > 1 and rows.is_empty():
            continue
        made = own(rows.drop(ROW) if part.numbered else rows, factor)
        if not isinstance(made, pl.DataFrame):
            raise Problem(f"pipeline.resize returns {type(made).__name__}, not a polars DataFrame")
        if part.numbered:
            numbers = pl.int_range(number + 1, number + 1 + len(made), eager=True).alias(ROW)
            others = made.drop(ROW, strict=False)
            made = others.insert_column(min(rows.columns.index(ROW), others.width), numbers)
            number += len(made)
        made.write_parquet(part.file)
    if apart and by in pl.read_parquet_schema(parts[0].file) and not _apart(parts, by):
        raise Problem(
            f"pipeline.resize: rows with the same {by!r} lie in different parts; where runs.shards is above 1, it gets "
            "each part of the rows alone, and the new values of one must not be those of another: add a suffix to the "
            "value itself, or write deploy.scale.by instead of resize"
        )


def _apart(parts: Sequence[_Part], by: str) -> bool:
    """Whether no value of a column is in two parts."""
    return sum(len(_distinct(part.read(by))) for part in parts) == _different(parts, by)
