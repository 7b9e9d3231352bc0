"""Plots for a page, as SVG that follows its colours: small enough to be read on a phone as they are."""

import math
import re
from typing import Any

WIDTH, HEIGHT = 460, 240
STEPS = 5  # of an axis, at most
DIGIT = 7  # the width of a character of a label
Point = tuple[float, float]


def bars(values: dict[str, float]) -> str:
    """A bar for each label, side by side."""
    import pygal

    plot = pygal.Bar(**_look(), show_legend=False, spacing=1)
    plot.add("", list(values.values()))
    return _drawn(plot, list(values))


def lines(series: dict[str, list[float | None]], labels: list[str]) -> str:
    """A line for each series, the first of which counts; None, or what is no number, is a gap."""
    import pygal

    series = {
        name: [None if value is None or not math.isfinite(value) else value for value in values]
        for name, values in series.items()
    }
    most = max((value for values in series.values() for value in values if value is not None), default=0)
    legend = {"legend_at_bottom": True, "legend_at_bottom_columns": 3, "legend_box_size": 10}
    plot = pygal.Line(**_look(), **legend, range=(0, most * 1.1 or 1), dots_size=3)
    for name, values in series.items():
        plot.add(name, values)
    return _drawn(plot, labels)


def curve(points: list[Point], what: str) -> str:
    """A line through points (x, y); both axes begin at nothing."""
    import pygal

    most = max(y for _, y in points)
    plot = pygal.XY(
        **_look(),
        show_legend=False,
        dots_size=4,
        range=(0, most * 1.1 or 1),
        xrange=(0, points[-1][0]),
        x_labels_major_every=1,
    )
    plot.add(what, points)
    return _drawn(plot, [])


def number(value: float) -> str:
    """A number as people read it: whole ones whole, others to three digits that count."""
    if value % 1 == 0:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _look() -> dict[str, Any]:
    from pygal.style import Style

    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--soft)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        colors=("var(--accent)", "var(--second)", "var(--third)"),
        opacity="1",
        font_family="inherit",
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=12,
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
        "truncate_legend": -1,
        "truncate_label": -1,
        "value_formatter": number,
        "x_value_formatter": number,
        "disable_xml_declaration": True,
        "classes": (..., "plot"),
    }


def _drawn(plot: Any, labels: list[str]) -> str:
    if labels:
        room = WIDTH // (DIGIT * max(map(len, labels)) + 20)
        plot.x_labels = labels
        plot.x_labels_major_every = -(-len(labels) // room)
    return re.sub("<script.*?</script>", "", plot.render(is_unicode=True), flags=re.DOTALL)  # for what floats, with js
