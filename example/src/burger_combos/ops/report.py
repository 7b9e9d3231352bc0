"""The report of a run: one HTML file with plots that opens offline, in light and dark."""

from pathlib import Path

from .runs import Run
from .version import short

FILE = "report.html"


def write(run: Run) -> Path:
    """Draw the report into the run's folder."""
    from jinja2 import Environment, FileSystemLoader

    here = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = here.get_template("report.html.j2").render(
        project=__name__.partition(".")[0].replace("_", " "),
        run=run.record,
        commit=short(run.record.git_commit),
        plots={title: _plot(values) for title, values in run.record.charts.items()},
    )
    file = run.path(FILE)
    file.write_text(page, encoding="utf-8")
    return file


def _plot(values: dict[str, float]) -> str:
    """A bar for each label as SVG: side by side for many, one above the other for few with long labels."""
    import pygal
    from pygal.style import Style

    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--ink)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        colors=("var(--accent)",),
        opacity=".85",
        font_family="inherit",
        label_font_size=13,
        value_font_size=13,
        value_colors=("var(--ink)",),
    )
    many = len(values) > 15
    kind = pygal.Bar if many else pygal.HorizontalBar
    plot = kind(
        style=style,
        js=[],
        width=900,
        height=280 if many else 90 + 34 * len(values),
        show_legend=False,
        print_values=not many,
        print_values_position="top",
        value_formatter=lambda value: f"{value:,.0f}" if value == int(value) else f"{value:.3f}",
        show_minor_x_labels=False,
        truncate_label=-1,
        disable_xml_declaration=True,
        classes=(..., "plot"),
    )
    labels = list(values) if many else list(values)[::-1]
    plot.x_labels = labels
    if many:
        plot.x_labels_major_every = -(-len(labels) // 10)
    plot.add("", [values[label] for label in labels])
    return str(plot.render(is_unicode=True))
