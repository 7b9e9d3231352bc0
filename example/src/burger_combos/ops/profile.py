"""What a run's input is like, in some kilobytes: how many rows of which days, what is missing, how values are spread.

Where the table has a time column, columns are looked at in the last days before the run's day alone: a table that only
grows would hardly change as a whole. Counts of rows and nulls are exact. How values are spread is told from a sample of
rows, the same one into however many parts the table is split.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

import polars as pl

DAYS = 35  # before the run's day, whose rows are counted: five of each weekday
SAMPLE = 20_000  # rows, at most
ROWS = 50  # with fewer, that each whole number is there once says nothing
IN_ORDER = 0.9  # the rank correlation with time, from which on numbers run on
POINTS = 100  # of a distribution, at most
NUMBERS = 3000  # that a profile holds, about, so that wide tables have small ones too
CATEGORY = 0.01  # of the rows, from which on a category is told by its name where there are many
LONGEST = 60  # characters of a category that are kept
_HASH, _NUMBER = "", " "  # columns of the sample, called as none of a table is
OF_A_YEAR = r"^(19|20)\d\d\W"  # a text that is of a day, week or month: there are others the next one
Profile = dict[str, Any]


@dataclass
class Counted:
    """What is exact of a table or of a part of it, and adds up."""

    rows: int = 0  # before the run's day
    window: int = 0  # of these the ones whose columns are looked at
    newest: str = ""  # the time of the newest row
    by_day: list[int] = field(default_factory=list)  # rows of each of the last days, the day before the run's last
    nulls: dict[str, int] = field(default_factory=dict)  # of each column, in the window


@dataclass
class Taken:
    """What is taken of a table, or of a part of it, for its profile."""

    counted: Counted
    sample: pl.DataFrame


def take(rows: pl.DataFrame, numbers: pl.Series, time: str, day: date, window_days: int) -> Taken:
    """Count rows, and sample some.

    Args:
        rows: rows in the types of their schema.
        numbers: the number of each in its source, as whole numbers of 64 bits, by which some are chosen.
        time: the column that says when a row happened; empty where there is none.
        day: the run's day; only rows from before it count.
        window_days: how many days before it the columns are looked at.
    """
    counted = Counted(len(rows))
    inside = None  # the numbers of the rows of the window, from 0; None: all
    if time:
        when = rows[time] if rows[time].dtype == pl.Date else rows[time].dt.replace_time_zone(None)
        counted.rows = int((when < _midnight(day)).sum())
        newest = when.max() if counted.rows == len(when) else when.filter(when < _midnight(day)).max()
        counted.newest = "" if newest is None else str(newest)
        recent = ((when >= _midnight(day - timedelta(DAYS))) & (when < _midnight(day))).arg_true()
        days = when.gather(recent).cast(pl.Date)
        found = dict(days.value_counts().iter_rows())
        counted.by_day = [found.get(day - timedelta(DAYS - place), 0) for place in range(DAYS)]
        if window_days <= DAYS:
            inside = recent.filter(days >= day - timedelta(window_days))
        else:
            inside = ((when >= _midnight(day - timedelta(window_days))) & (when < _midnight(day))).arg_true()
        numbers = numbers.gather(inside)
    counted.window = len(numbers)
    counted.nulls = {column.name: _nulls(column, inside) for column in rows}
    places = pl.int_range(len(rows), eager=True) if inside is None else inside
    hashes = pl.DataFrame({"place": places, "number": numbers, _HASH: numbers.hash()})
    chosen = _sampled(hashes)
    own = chosen.select(_HASH, pl.col("number").alias(_NUMBER))
    return Taken(counted, rows[chosen["place"]].hstack(own))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time_of_day())


def join(parts: Sequence[Taken], time: str, day: date, window_days: int) -> Profile:
    """The profile of a table from what was taken of its parts; the same for any number of them.

    Args:
        parts: of all rows, at least one.
        time: as `take` had it.
        day: as `take` had it.
        window_days: as `take` had it.
    """
    counted = [each.counted for each in parts]
    window = sum(each.window for each in counted)
    sample = _sampled(pl.concat([each.sample for each in parts]))
    order = sample[time or _NUMBER]
    sample = sample.drop(_HASH, _NUMBER)
    numbers = max(1, sum(column.dtype.is_numeric() or column.name == time for column in sample))
    texts = max(1, sum(not column.dtype.is_numeric() for column in sample))
    columns = {}
    for column in sample:
        nulls = sum(each.nulls[column.name] for each in counted) / window if window else 0
        runs_on = column.dtype.is_numeric() and _runs_on(column, order)
        spread = (
            {}
            if runs_on
            else _spread(column, column.name == time, _within(NUMBERS // numbers), _within(NUMBERS // texts) // 2)
        )
        columns[column.name] = {"nulls": round(nulls, 5)} | spread
    return {
        "day": str(day),
        "time_column": time,
        "window_days": window_days if time else 0,
        "rows": sum(each.rows for each in counted),
        "newest": max(each.newest for each in counted),
        "window": window,
        "sampled": len(sample),
        "by_day": [sum(counts) for counts in zip(*(each.by_day for each in counted), strict=True)],
        "columns": columns,
    }


def _runs_on(column: pl.Series, order: pl.Series) -> bool:
    """Whether numbers rise or fall with time, or with the rows, as those of invoices do: each day has others."""
    there = pl.DataFrame({"number": column, "order": order}).drop_nulls()
    found = there.select(pl.corr("number", "order", method="spearman")).item() if len(there) >= ROWS else None
    return found is not None and abs(found) > IN_ORDER


def _within(points: int) -> int:
    return min(POINTS, max(20, points))


def _nulls(column: pl.Series, places: pl.Series | None) -> int:
    """How many of the values at these places are missing, or are no number."""
    if not column.null_count() and not column.dtype.is_float():
        return 0
    if places is not None:
        column = column.gather(places)
    return column.null_count() + (int(column.is_nan().sum()) if column.dtype.is_float() else 0)


def _sampled(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the least hashes: of the union of parts they are among those of each part."""
    if len(rows) <= SAMPLE:
        return rows
    likely = rows.filter(pl.col(_HASH) <= int(2**64 * min(1.0, 1.2 * SAMPLE / len(rows))) - 1)
    return (likely if len(likely) >= SAMPLE else rows).bottom_k(SAMPLE, by=_HASH)


def _spread(column: pl.Series, is_time: bool, points: int, most: int) -> dict[str, Any]:
    """How the values of a column are spread that are there: by quantiles, or by category.

    Args:
        column: its values.
        is_time: whether these are times at which rows happened, of which the time of day counts.
        points: how many quantiles are wanted.
        most: how many categories are told by name where these are few.
    """
    there = column.drop_nulls()
    if is_time and there.dtype != pl.Date:
        hours = there.dt.hour() + there.dt.minute() / 60
        return {"quantiles": _quantiles(hours, points)} if (hours > 0).any() else {}
    if there.dtype.is_temporal():
        return {}  # days pass: what was 3 days ago is 4 days ago
    if there.dtype.is_numeric():
        there = there.drop_nans() if there.dtype.is_float() else there
        if there.dtype.is_integer() and len(there) >= ROWS and there.n_unique() == len(there):
            return {"distinct": len(there)}  # numbers that name rows
        return {"quantiles": _quantiles(there, points)} if len(there) else {}
    return _categories(there, most)


def _quantiles(values: pl.Series, points: int) -> list[float]:
    """Values at evenly spaced ranks; each stands for as many rows."""
    ordered = values.cast(pl.Float64).sort()
    ranks = [int((place + 0.5) / points * len(ordered)) for place in range(points)]
    return [float(f"{value:.5g}") for value in ordered.gather(ranks)] if len(ordered) else []


def _categories(values: pl.Series, most: int) -> dict[str, Any]:
    """How many different values there are, and the share of each; of many only the frequent are told by name."""
    texts = values.cast(pl.String).str.slice(0, LONGEST).alias("value")
    counts = texts.value_counts(name="rows")
    distinct = len(counts)
    if 2 * texts.str.contains(OF_A_YEAR).sum() > len(texts):
        return {"distinct": distinct}
    if distinct > most:
        counts = counts.filter(pl.col("rows") >= CATEGORY * len(values))
    counts = counts.sort("rows", "value", descending=[True, False])
    shares = {value: round(rows / len(values), 5) for value, rows in counts.iter_rows()}
    return {"distinct": distinct, "shares": shares}
