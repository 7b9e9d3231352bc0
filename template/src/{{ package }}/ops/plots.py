"""Plots for a page, the report or a notebook, as SVG in its colours: small enough to be read on a phone as they are."""

import html
import math
import re
from collections.abc import Callable, Iterable
from itertools import cycle, pairwise
from numbers import Integral
from typing import Any

WIDTH, HEIGHT = 460, 240
STEPS = 5  # of an axis, at most
MANY = 31  # points of a line; more have smaller dots
MOST_DECIMALS = 9
DIGIT = 7  # the width of a character of a label
# A page that names no colours, as a notebook, gets those of its text.
LINE = "var(--plot-line, color-mix(in srgb, currentColor 20%, transparent))"
COLORS = (
    "var(--plot-first, #d9722e)",
    "var(--plot-second, #4f86ab)",
    "var(--plot-third, #8f8479)",
    "var(--plot-fourth, #3f8f6b)",
    "var(--plot-fifth, #9463a8)",
    "var(--plot-sixth, #b3912b)",
)
FILL = COLORS[0]  # of a matrix
Point = tuple[float, float]


def bars(values: dict[str, float], title: str, *, across: bool = False) -> str:
    """A bar for each label, side by side; or across, the first at the top, where labels are long."""
    import pygal

    values = dict(reversed(values.items())) if across else values
    look = _look() | _scale("value_formatter", values.values())
    plot = pygal.HorizontalBar(**look, spacing=4) if across else pygal.Bar(**look, spacing=1)
    told = zip(values, values.values(), numbers(values.values()), strict=True)
    plot.add("", [{"value": value, "tooltip": f"{label}: {shown}"} for label, value, shown in told])
    if across:
        plot.x_labels = list(values)
        return _drawn(plot, title, [])
    return _drawn(plot, title, list(values))


def lines(series: dict[str, list[float | None]], labels: list[str], title: str) -> str:
    """A line for each series, the first of which counts; None, or what is no number, is a gap."""
    import pygal

    found = [value for values in series.values() for value in values if value is not None and math.isfinite(value)]
    least, most = min(0, min(found, default=0) * 1.1), max(found, default=0) * 1.1
    most = most if most > least else 1
    look = _look(len(series)) | _scale("value_formatter", [least, most])
    plot = pygal.Line(**look, range=(least, most), dots_size=3 if len(labels) <= MANY else 2, allow_interruptions=True)
    decimals = places(found)
    for name, values in series.items():
        plot.add(
            name,
            [
                {"value": value, "tooltip": f"{name}, {label}: {value:,.{decimals}f}"}
                if value is not None and math.isfinite(value)
                else None
                for label, value in zip(labels, values, strict=True)
            ],
        )
    return _drawn(plot, title, labels) + _legend(series)


def points(series: dict[str, list[list[float]]], title: str, *, x: str, y: str) -> str:
    """Points (x, y) on two axes with titles; a series whose x never falls is a line, any other is points alone."""
    import pygal

    across = [each[0] for points in series.values() for each in points]
    upward = [each[1] for points in series.values() for each in points]
    crowded = max(map(len, series.values())) > MANY
    plot = pygal.XY(
        **_look(len(series)),
        **_scale("value_formatter", _bounds(upward)),
        **_scale("x_value_formatter", _bounds(across)),
        dots_size=2 if crowded else 3,
        range=_bounds(upward),
        xrange=_bounds(across),
        x_labels_major_every=1,
        x_title=x,
        y_title=y,
    )
    digits = places(across), places(upward)
    for name, found in series.items():
        values: list[Any] = [
            {"value": tuple(each), "tooltip": f"{name}: {each[0]:,.{digits[0]}f}, {each[1]:,.{digits[1]}f}"}
            for each in found
        ]
        is_line = all(one[0] <= other[0] for one, other in pairwise(found))
        plot.add(name, values, stroke=is_line, show_dots=not (is_line and crowded))
    return _drawn(plot, title, []) + _legend(series)


def matrix(rows: dict[str, list[float]], columns: list[str]) -> str:
    """A table of numbers, each shaded by its share of the row's sum; a row's own column is set in bold."""
    cell = "padding: .15em .4em; text-align: right; font-variant-numeric: tabular-nums"
    head = "".join(f'<th scope="col" style="{cell}">{html.escape(name)}</th>' for name in columns)
    lines = []
    for (name, values), told in zip(rows.items(), map(numbers, rows.values()), strict=True):
        total = sum(map(abs, values)) or 1
        cells = ""
        for column, value, shown in zip(columns, values, told, strict=True):
            shade = f"background: color-mix(in srgb, {FILL} {abs(value) / total * 80:.0f}%, transparent)"
            bold = "; font-weight: bold" * (column == name)
            cells += f'<td style="{cell}; {shade}{bold}">{shown}</td>'
        lines.append(f'<tr><th scope="row" style="{cell}">{html.escape(name)}</th>{cells}</tr>')
    style = "border-collapse: collapse; width: auto; font-size: .85em"
    made = f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div style="overflow-x: auto"><table class="matrix" style="{style}">{made}</table></div>'


def curve(points: list[Point], what: str, title: str) -> str:
    """A line through points (x, y); both axes begin at nothing."""
    import pygal

    most = max(y for _, y in points) * 1.1 or 1
    plot = pygal.XY(
        **_look(),
        **_scale("value_formatter", [most]),
        **_scale("x_value_formatter", [points[-1][0]]),
        dots_size=4,
        range=(0, most),
        xrange=(0, points[-1][0]),
        x_labels_major_every=1,
    )
    told = zip(points, numbers(x for x, _ in points), numbers(y for _, y in points), strict=True)
    plot.add(what, [{"value": point, "tooltip": f"{x}: {y} {what}"} for point, x, y in told])
    return _drawn(plot, title, [])


def number(value: float) -> str:
    """A number as people read it: whole ones whole, others to three digits that count."""
    return f"{value:,.{places([value])}f}"


def numbers(values: Iterable[float], least: int = 0) -> list[str]:
    """The numbers of a column: counts whole, all others with as many decimals, at least so many."""
    values = list(values)
    decimals = places((value for value in values if not isinstance(value, Integral)), least)
    return [f"{value:,.{0 if isinstance(value, Integral) or abs(value) >= 1000 else decimals}f}" for value in values]


def distinct_digits(values: Iterable[float]) -> list[str]:
    """Numbers as `numbers` writes them, with more decimals where different ones would look the same."""
    values = list(values)
    found, decimals = numbers(values), 0
    while len({*found}) < len({*values}) and decimals < MOST_DECIMALS:
        decimals += 1
        found = [f"{value:,.{decimals}f}" for value in values]
    return found


def places(values: Iterable[float], least: int = 0) -> int:
    """The decimals that three digits of the greatest of these numbers take; none where all are whole."""
    broken = [abs(value) for value in values if math.isfinite(value) and value % 1]
    return max(least, 2 - math.floor(math.log10(max(broken)))) if broken else 0


def _scale(formatter: str, values: Iterable[float]) -> dict[str, Callable[[float], str]]:
    """How the steps of an axis from nothing to the greatest of these numbers are written: all with as many decimals."""
    from pygal.util import compute_scale

    values = [0.0, *(value for value in values if math.isfinite(value))]
    steps = compute_scale(min(values), max(values), False, None, 4, STEPS)
    decimals = max(len(f"{step:.9f}".rstrip("0").partition(".")[2]) for step in steps)
    return {formatter: lambda value: f"{value:,.{decimals}f}"}


def _bounds(values: list[float]) -> tuple[float, float]:
    """Where an axis begins and ends: at nothing, unless all values are far from it."""
    least, most = min(values), max(values)
    room = (most - least or abs(most) or 1) * 0.05
    if 0 <= least < most / 2 or least == most == 0:
        return 0, most + room
    return least - room, most + room


def _legend(names: Iterable[str]) -> str:
    """What each colour stands for, below a plot of several series; its lines break wherever the page is narrow."""
    names = list(names)
    if len(names) < 2:
        return ""
    style = "display: flex; flex-wrap: wrap; gap: .1em 1.2em; margin: .2em 0 0; font-size: .85em"
    marks = (
        f'<span><span style="color: {color}" aria-hidden="true">■</span> {html.escape(name)}</span>'
        for name, color in zip(names, cycle(COLORS), strict=False)
    )
    return f'<p class="legend" style="{style}">{" ".join(marks)}</p>'


def _look(series: int = 1) -> dict[str, Any]:
    from pygal.style import Style

    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--plot-soft, currentColor)",
        foreground_strong="var(--plot-ink, currentColor)",
        foreground_subtle=LINE,
        guide_stroke_color=LINE,
        major_guide_stroke_color=LINE,
        colors=COLORS * -(-series // len(COLORS)),  # pygal cannot mix colors that a page names
        opacity="1",
        font_family="inherit",
        label_font_size=12,
        major_label_font_size=12,
        title_font_size=12,
    )
    return {
        "style": style,
        "js": [],
        "width": WIDTH,
        "height": HEIGHT,
        "margin": 6,
        "margin_right": 24,
        "show_minor_x_labels": False,
        "max_scale": STEPS,
        "y_labels_major_every": 1,
        "show_legend": False,
        "truncate_label": -1,
        "disable_xml_declaration": True,
        "classes": (..., "plot"),
    }


def _drawn(plot: Any, title: str, labels: list[str]) -> str:
    if labels:
        room = WIDTH // (DIGIT * max(map(len, labels)) + 20)
        plot.x_labels = labels
        plot.x_labels_major_every = -(-len(labels) // room)
    drawn = re.sub("<script.*?</script>", "", plot.render(is_unicode=True), flags=re.DOTALL)  # for what floats, with js
    drawn = drawn.replace("<svg ", '<svg style="display: block; width: 100%; max-width: 40rem; height: auto" ', 1)
    return drawn.replace("<title>Pygal</title>", f"<title>{html.escape(title)}</title>", 1)
