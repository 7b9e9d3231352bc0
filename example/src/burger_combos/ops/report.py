"""The report of a run: one HTML file that opens offline, on a phone and on paper, in light and dark."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import plots, provenance, records
from .runs import Record, Run
from .settings import StageSettings
from .version import short

FILE = "report.html"
PROJECT = "project.txt"  # what the project is called, as its answers say
MANY = 15  # labels; more are drawn side by side, without a number each


@dataclass(frozen=True)
class Bar:
    """A line of a chart, or of the terminal: what, how much, and how long a bar that is."""

    label: str
    value: str
    share: float  # of the longest


def write(run: Run, settings: StageSettings) -> Path:
    """Draw the report into the run's folder."""
    from jinja2 import Environment, FileSystemLoader

    here = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = here.get_template("report.html.j2").render(
        project=Path(__file__).with_name(PROJECT).read_text(encoding="utf-8").strip(),
        run=run.record,
        commit=short(run.record.git_commit),
        tiles=tiles(run.record, settings.deploy.metric),
        history=_history(records.by_day(settings), settings.deploy.metric),
        charts={title: _chart(title, values) for title, values in run.record.charts.items() if values},
        scale=_scale(records.trials(settings, run.record.git_commit), settings.deploy.metric),
        by=settings.deploy.scale.by,
        rejected=bars(run.record.facts.get("rejected", {})),
        seconds=bars(run.record.steps, "{:.2f} s"),
        numbers=dict(zip(run.record.numbers, plots.numbers(run.record.numbers.values(), 3), strict=True)),
        data=provenance.data(run.record),
        overridden=provenance.overridden(run.record),
    )
    file = run.path(FILE)
    file.write_text(page, encoding="utf-8")
    return file


def tiles(record: Record, metric: str) -> dict[str, tuple[str, str]]:
    """What one wants to know first: by its name a number, and what to hold it against."""
    numbers = record.numbers
    found: dict[str, tuple[str, str]] = {}
    if metric in numbers:
        theirs = {_words(name[len(metric) + 1 :]): numbers[name] for name in _baselines(record, metric)}
        best = max(theirs, key=lambda name: theirs[name], default="")
        against = f"{numbers[metric] / theirs[best]:.2f} × {best}" if best and theirs[best] else ""
        found[_words(metric)] = (plots.number(numbers[metric]), against)
    if "coverage" in numbers:
        found["coverage"] = (f"{numbers['coverage']:.0%}", "of the items")
    if "rows_published" in numbers:
        found["published"] = (plots.number(numbers["rows_published"]), f"rows for {record.date}")
    if numbers.get("rows_read"):
        share = numbers.get("rows_rejected", 0) / numbers["rows_read"]
        found["set aside"] = (f"{share:.2%}", f"of {plots.number(numbers['rows_read'])} rows")
    return found | {"took": (f"{record.seconds:.1f} s", f"{len(record.steps)} steps")}


def bars(values: dict[str, float], form: str = "") -> list[Bar]:
    """Each value beside the greatest."""
    lengths = {label: max(0.0, value) for label, value in values.items()}  # of what is no number, too
    most = max(lengths.values(), default=0) or 1
    told = [form.format(value) for value in values.values()] if form else plots.numbers(values.values())
    return [Bar(label, value, length / most) for (label, length), value in zip(lengths.items(), told, strict=True)]


def _chart(title: str, values: dict[str, float]) -> str | list[Bar]:
    return plots.bars(values, title) if len(values) > MANY else bars(values)


def _history(days: list[Record], metric: str) -> str:
    """The quality beside the baselines', day by day; nothing where there is one day, or none."""
    days = [day for day in days if metric in day.numbers]
    if len(days) < 2:
        return ""
    names = [metric, *_baselines(days[-1], metric)]
    series = {
        "model" if name == metric else _words(name[len(metric) + 1 :]): [day.numbers.get(name) for day in days]
        for name in names
    }
    return plots.lines(series, [f"{day.date:%d %b}" for day in days], "Quality, day by day")


def _scale(trials: list[dict[str, Any]], metric: str) -> dict[str, str]:
    """What the scale check of this version's deployment found: time, memory and quality by size."""
    if len({trial["size"] for trial in trials}) < 2:
        return {}
    found = {
        "seconds": [(trial["size"], trial["seconds"]) for trial in trials],
        "MB": [(trial["size"], trial["memory_mb"]) for trial in trials],
        _words(metric): [(trial["size"], trial["numbers"].get(metric, 0)) for trial in trials],
    }
    return {what: plots.curve(points, what, f"Scale: {what}") for what, points in found.items()}


def _baselines(record: Record, metric: str) -> list[str]:
    return [name for name in record.numbers if name.startswith(f"{metric}_")]


def _words(name: str) -> str:
    return name.replace("_", " ")
