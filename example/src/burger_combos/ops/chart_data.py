"""The charts of a report, as a run's record keeps them: bars, lines, points and matrices.

A chart without a kind is bars: a value for each label, as records of all releases have it.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .problems import Problem

MOST = 1_000  # values of a series: what a page can show, and a record can carry
MOST_ACROSS = 30  # columns of a matrix

Chart = dict[str, Any]


def bars(title: str, values: Mapping[Any, float]) -> Chart:
    """A bar for each label.

    Raises:
        Problem: a value is not a finite number, or there are too many.
    """
    _few(title, "the chart", len(values))
    return {str(label): _number(title, str(label), value) for label, value in values.items()}


def lines(title: str, labels: Iterable[Any], series: Mapping[str, Iterable[float | None]]) -> Chart:
    """A line for each series, over the same labels, such as days; None is a gap.

    Args:
        title: the chart's.
        labels: shape (labels,); what stands below the lines.
        series: by the name of each line its values, shape (labels,). A value that is not finite is a gap, too.

    Raises:
        Problem: a series has another length than the labels, a value is not a number, or there are too many.
    """
    names = [str(label) for label in labels]
    _few(title, "the chart", len(names))
    found = {}
    for name, values in series.items():
        found[str(name)] = [None if _is_gap(value) else _number(title, name, value) for value in values]
        if len(found[str(name)]) != len(names):
            raise Problem(f"chart {title!r}: series {name!r} has {len(found[name]):,} values for {len(names):,} labels")
    return {"kind": "lines", "labels": names, "series": found}


def points(title: str, series: Mapping[str, Iterable[tuple[float, float]]], x: str, y: str) -> Chart:
    """Points of two numbers; a series whose x never falls is drawn as a line.

    Args:
        title: the chart's.
        series: by its name the points (x, y) of each, such as the mean forecast and the observed share of each bin.
        x: the title of the horizontal axis.
        y: the title of the vertical axis.

    Raises:
        Problem: a value is not a finite number, or there are too many.
    """
    found = {}
    for name, pairs in series.items():
        found[str(name)] = [[_number(title, name, value) for value in pair] for pair in pairs]
        _few(title, f"series {name!r}", len(found[str(name)]))
        if any(len(pair) != 2 for pair in found[str(name)]):
            raise Problem(f"chart {title!r}: series {name!r}: a point is two numbers, (x, y)")
    return {"kind": "points", "x": x, "y": y, "series": found}


def matrix(title: str, rows: Mapping[Any, Mapping[Any, float]]) -> Chart:
    """A number for each row and column, such as how many of each kind were taken for which.

    Args:
        title: the chart's.
        rows: by the label of each row its numbers, by the labels of the columns; the same ones in each row.

    Raises:
        Problem: a row has other columns than the first, a value is not a finite number, or there are too many.
    """
    columns = [str(label) for label in next(iter(rows.values()), {})]
    if max(len(rows), len(columns)) > MOST_ACROSS:
        raise Problem(
            f"chart {title!r}: the matrix has {len(rows):,} rows of {len(columns):,}, and {MOST_ACROSS} of each can be "
            "shown: show the most frequent, and the others together"
        )
    found = {}
    for name, values in rows.items():
        if [str(label) for label in values] != columns:
            raise Problem(f"chart {title!r}: row {str(name)!r} has other columns than the first row")
        found[str(name)] = [_number(title, name, value) for value in values.values()]
    return {"kind": "matrix", "labels": columns, "rows": found}


def kind(chart: Chart) -> str:
    """Which of the four a chart is."""
    found = chart.get("kind")
    return found if isinstance(found, str) else "bars"


def is_empty(chart: Chart) -> bool:
    """Whether there is nothing to draw."""
    if kind(chart) == "bars":
        return not chart
    if kind(chart) == "matrix":
        return not chart["rows"]
    return all(value is None for values in chart["series"].values() for value in values)


def _few(title: str, what: str, count: int) -> None:
    if count > MOST:
        raise Problem(f"chart {title!r}: {what} has {count:,} values, and {MOST:,} can be shown: show fewer, or means")


def _is_gap(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _number(title: str, name: Any, value: Any) -> float:
    """The value as JSON has it; whole numbers stay whole."""
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise Problem(f"chart {title!r}: {name}: {value!r} is not a finite number")
    return value
