"""The report of a run: one HTML file that opens offline, on a phone and on paper, in light and dark."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import chart_data, input_findings, plots, provenance, records, review_summary, training
from .dry_run import ROWS
from .metrics import Metric, all_of, measured, value_of, words
from .runs import Record, Run
from .settings import StageSettings
from .version import short

if TYPE_CHECKING:
    from jinja2 import Template

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
    trials = records.trials(settings, run.record.git_commit)
    page = _template().render(
        project=Path(__file__).with_name(PROJECT).read_text(encoding="utf-8").strip(),
        run=run.record,
        commit=short(run.record.git_commit),
        tiles=tiles(run.record, settings.deploy.metric),
        quality=_quality(run.record, settings.deploy.metric),
        turned_out=_turned_out(run.record),
        history=_history(records.by_day(settings), settings.deploy.metric),
        charts={
            title: _chart(title, each) for title, each in run.record.charts.items() if not chart_data.is_empty(each)
        },
        scale=_scale(trials, run.record, settings.deploy.metric),
        by=_counted(trials, settings.deploy.scale.by),
        unusual=input_findings.found(run.record),
        input=input_findings.in_words(run.record),
        by_day=_by_day(run.record),
        rejected=bars(run.record.facts.get("rejected", {})),
        seconds=bars(run.record.steps, "{:.2f} s"),
        numbers=_numbers(run.record),
        data=provenance.data(run.record),
        model=training.told(run.record),
        overridden=provenance.overridden(run.record),
    )
    file = run.path(FILE)
    file.write_text(page, encoding="utf-8")
    return file


@cache
def _template() -> "Template":
    """The report's page, compiled once in a process, which may do the runs of many days."""
    from jinja2 import Environment, FileSystemLoader

    here = FileSystemLoader(Path(__file__).parent)
    pages = Environment(loader=here, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return pages.get_template("report.html.j2")


def tiles(record: Record, wanted: str) -> dict[str, tuple[str, str]]:
    """What one wants to know first: by its name a number, and what to hold it against.

    Args:
        record: that of the run.
        wanted: the metric that counts, as `deploy.metric` has it; it comes first.
    """
    numbers = record.numbers
    found = {metric.label: (plots.number(metric.value), _against(metric)) for metric in all_of(record, wanted)}
    if wanted in numbers and wanted not in record.metrics:  # of a project that notes it without a direction
        found = {words(wanted): (plots.number(numbers[wanted]), "")} | found
    if "rows_published" in numbers:
        found["published"] = (plots.number(numbers["rows_published"]), f"rows for {record.date}")
    if numbers.get("rows_read"):
        share = numbers.get("rows_rejected", 0) / numbers["rows_read"]
        found["set aside"] = (f"{share:.2%}", f"of {plots.number(numbers['rows_read'])} rows")
    if told := review_summary.newest(record, wanted):
        label, value, against = told
        found[f"{label} as it turned out"] = (value, against)
    return found | {"took": (f"{record.seconds:.1f} s", f"{len(record.steps)} steps")}


def _against(metric: Metric) -> str:
    """What a metric is held against: its best baseline, and the direction where less is better."""
    parts = []
    if best := metric.best_baseline():
        name, value = best
        if value > 0 and metric.value >= 0:
            parts.append(f"{metric.value / value:.2f} × baseline {words(name)}")
        else:  # a ratio would say nothing
            parts.append(f"baseline {words(name)} {plots.number(value)}")
    return ", ".join(parts + ["less is better"] * (metric.better == "lower"))


def _numbers(record: Record) -> dict[str, str]:
    """All numbers of a run, each metric's baselines below it."""
    found: dict[str, float] = {}
    for name, value in record.numbers.items():
        found[words(name)] = value
        for baseline, theirs in record.metrics.get(name, {}).get("baselines", {}).items():
            found[f"{words(name)}, {words(baseline)}"] = theirs
    return dict(zip(found, plots.numbers(found.values(), 3), strict=True))


def bars(values: dict[str, float], form: str = "") -> list[Bar]:
    """Each value beside the greatest."""
    lengths = {label: max(0.0, value) for label, value in values.items()}  # of what is no number, too
    most = max(lengths.values(), default=0) or 1
    told = [form.format(value) for value in values.values()] if form else plots.numbers(values.values())
    return [Bar(label, value, length / most) for (label, length), value in zip(lengths.items(), told, strict=True)]


def _chart(title: str, chart: chart_data.Chart) -> str | list[Bar]:
    """A chart of a record, of the kind that it has."""
    kind = chart_data.kind(chart)
    if kind == "lines":
        return plots.lines(chart["series"], chart["labels"], title)
    if kind == "points":
        return plots.points(chart["series"], title, x=chart["x"], y=chart["y"])
    if kind == "matrix":
        return plots.matrix(chart["rows"], chart["labels"])
    return plots.bars(chart, title) if len(chart) > MANY else bars(chart)


def _quality(record: Record, wanted: str) -> str:
    """Which metric counts, and in which direction."""
    metric = measured(record.metrics, wanted)
    return f"{metric.label}, {'more' if metric.better == 'higher' else 'less'} is better" if metric else words(wanted)


def _history(days: list[Record], wanted: str) -> str:
    """The metric that counts beside its baselines, day by day; nothing where there is one day, or none."""
    metric = next((found for day in reversed(days) if (found := measured(day.metrics, wanted))), None)
    name = metric.name if metric else wanted
    days = [day for day in days if value_of(day, name) is not None]
    if len(days) < 2:
        return ""
    series = {"model": [value_of(day, name) for day in days]}
    for baseline in metric.baselines if metric else ():
        of_days = [day.metrics.get(name, {}).get("baselines", {}) for day in days]
        series[words(baseline)] = [each.get(baseline) for each in of_days]
    return plots.lines(series, [f"{day.date:%d %b}" for day in days], "Quality, day by day")


def _by_day(record: Record) -> dict[str, str]:
    """How many rows of each table are of which of the last days; nothing of one that has no time column."""
    found = {}
    for name, table in record.profile.items():
        days = [record.date - timedelta(back) for back in range(len(table["by_day"]), 0, -1)]
        if any(table["by_day"]):
            rows = {f"{day:%d %b}": count for day, count in zip(days, table["by_day"], strict=True)}
            found[f"Input: {words(name)}, rows of each day"] = plots.bars(
                rows, f"Input: {words(name)}, rows of each day"
            )
    return found


def _turned_out(record: Record) -> dict[str, str]:
    """How good earlier days really were, beside their baselines and backtests: a chart for each metric."""
    found = {}
    for label, (days, series) in review_summary.lines(record).items():
        title = f"As it turned out: {label}"
        found[title] = plots.lines(series, [f"{date.fromisoformat(day):%d %b}" for day in days], title)
    return found


def _scale(trials: list[dict[str, Any]], record: Record, wanted: str) -> dict[str, str]:
    """What the scale check of this version's deployment found: time, memory and quality by size."""
    if len({trial["size"] for trial in trials}) < 2:
        return {}
    found = {
        "seconds": [(trial["size"], trial["seconds"]) for trial in trials],
        "MB": [(trial["size"], trial["memory_mb"]) for trial in trials],
    }
    name = wanted or next(iter(record.metrics), "")
    quality = [(trial["size"], trial["numbers"][name]) for trial in trials if name in trial["numbers"]]
    if len(quality) > 1:
        found[words(name)] = quality
    return {what: plots.curve(points, what, f"Scale: {what}") for what, points in found.items()}


def _counted(trials: list[dict[str, Any]], by: str) -> str:
    """What the sizes of the scale check are numbers of."""
    by = next((trial["by"] for trial in trials if trial.get("by")), by or ROWS)
    return ROWS if by == ROWS else f"different values of {by}"
