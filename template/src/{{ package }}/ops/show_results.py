"""What the terminal shows of runs, logs and results. The model's libraries stay out of here."""

import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from . import input_findings, provenance, records, report, training
from .databases import NotThere, open_store
from .logs import renderer
from .metrics import value_of
from .plots import number
from .problems import Problem, Refused
from .results import as_text, counted, find
from .runs import DAILY, Record, Run, kept, names, sweeps
from .settings import Stage, StageSettings, load, settings_file
from .status import StageStatus, deployments, lines
from .terminal import shows_colors

if TYPE_CHECKING:
    from .gates import Gate

STATUS = (
    "commit",
    "image",
    "template",
    "deployed",
    "published",
    "service",
    "last run",
    "result",
    "data",
    "model",
    "turned out",
    "report",
    "worst gate",
    "settings",
    "missed",
    "next run",
)


def status(views: list[StageStatus], *, all_deployments: bool) -> None:
    """A table with a column a stage, and the deployments of those that have any."""
    columns = {view.stage: lines(view) for view in views}
    table = Table("", *columns, box=None, pad_edge=False)
    for key in STATUS:
        if any(column.get(key) for column in columns.values()):
            table.add_row(key, *(column.get(key, "") for column in columns.values()))
    print_table(table)
    for view in views:
        made = deployments(view)
        if len(made) > 1 or (made and all_deployments):
            print(f"\ndeployments of {view.stage}")
            listed = Table(box=None, pad_edge=False, show_header=False)
            for row in made if all_deployments else made[:3]:
                listed.add_row(*row)
            print_table(listed)


def logs(stage: Stage, run_id: str, *, follow: bool = False) -> None:
    """The log of a run, or of the last one; with `follow` as it grows, until the run ends."""
    settings = load(StageSettings, stage)
    if run_id and run_id not in names(settings.runs) and Run.exists(sweeps(settings.runs), run_id):
        run = Run.open(sweeps(settings.runs), run_id)  # a trial
    else:
        run = Run.open(settings.runs, _run_id(settings, stage, run_id))
    render = renderer(colors=shows_colors(sys.stdout))
    shown: dict[str, int] = {}
    going_on = True
    while going_on:
        going_on = follow and run.is_alive()
        for event in run.log(shown):
            event.pop("run_id", None)
            if "timestamp" in event:
                event["timestamp"] = event["timestamp"][:19]
                print(render(None, "", event), flush=follow)
            else:
                print(event["event"], flush=follow)
        if going_on:
            time.sleep(0.5)


def results(
    stage: Stage,
    rows: int,
    *,
    table: str = "",
    key: str = "",
    day: date | None = None,
    run_id: str = "",
    as_json: bool = False,
) -> None:
    """The rows of a day, of a run, or the newest; from which run and commit, the metrics, and where the report is."""
    settings = load(StageSettings, stage)
    try:
        database = open_store(settings.database.url)
    except NotThere:
        raise Problem(f"{settings_file(stage, 'database')}: no results yet in {stage}") from None
    with database as store:
        found = find(store, stage, rows, table=table, key=key, day=day, run_id=run_id)
    record, file = found.record, kept(settings.runs, found.run_id, report.FILE)
    if as_json:
        told = {
            "stage": stage,
            "date": found.date,
            "run": found.run_id,
            "commit": found.git_commit,
            "model_run": record.model_run if record else "",
            "database": store.name,
            "report": file,
            "numbers": record.numbers if record else {},
            "metrics": record.metrics if record else {},
            "reviews": record.reviews if record else [],
            "tables": {
                each.table: {"key": each.key, "total": each.total, "rows": each.rows.to_dicts()}
                for each in found.tables
            },
        }
        print_json(told)
        return
    for each in found.tables:
        if each is not found.tables[0]:
            print()
        shown = Table(*each.rows.columns, box=None, pad_edge=False)
        for row in as_text(each.rows):
            shown.add_row(*row)
        print_table(shown)
        count = counted(each.matching, each.table, each.total)
        print(f"\n{count} for {found.date}" + f", {len(each.rows):,} shown" * (len(each.rows) < each.matching))
    if record:
        _summary(record, settings)
        if model := training.told(record):
            print(f"model    {model}; the metrics were measured then")
        if record.data:
            print(f"data     {provenance.data(record)}")
        for name, value in provenance.overridden(record).items():
            print(f"setting  {name} {value}")
    kind = f", {record.kind}" if record and record.kind != DAILY else ""
    print(f"database {store.name}\ncommit   {found.git_commit}\nrun      {found.run_id}{kind}")
    if file:
        print(f"report   {file}")
    last = None if run_id or day else records.last(settings)
    if last and last.status in ("refused", "failed") and not (record and record.started_at > last.started_at):
        _not_published(last, settings)


def report_page(stage: Stage, run_id: str) -> str:
    """The report of a run, or of the last one.

    Raises:
        Problem: there is no such run, or none of it.
    """
    settings = load(StageSettings, stage)
    run_id = _run_id(settings, stage, run_id)
    file = kept(settings.runs, run_id, report.FILE)
    if file is None:
        raise Problem(f"run {run_id} has no report")
    return file.read_text(encoding="utf-8")


def gates(found: "Iterable[Gate]") -> None:
    """Each gate as it is judged.

    Raises:
        Refused: one of them refuses, or more.
    """
    refused = []
    for gate in found:
        print(f"{'✓' if gate.passed else '✗'} {gate.name:24} {gate.finding}", flush=True)
        refused += [] if gate.passed else [gate.name]
    if refused:
        raise Refused(f"refused by {', '.join(refused)}")


def print_table(table: Table) -> None:
    """As wide as the terminal; whole lines where the output goes to a file or another program."""
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    if not sys.stdout.isatty():  # where FORCE_COLOR would make a terminal of it, of the width that COLUMNS says
        plain |= {"width": 10_000, "force_terminal": False}
    _Console(**plain).print(table)


class _Console(Console):
    """One that leaves it to `read_in_part` what happens where nobody reads on."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


@contextmanager
def read_in_part() -> Iterator[None]:
    """End quietly where the reader of the output has seen enough, as `head` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        sys.exit(0)


def print_json(told: dict[str, Any]) -> None:
    """An object, with null for each number that JSON does not know."""
    print(json.dumps(_finite(told), default=str, ensure_ascii=False, indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """The same, with null for each number that JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _summary(record: Record, settings: StageSettings) -> None:
    """What the report begins with, and which numbers it shows."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, tile in report.tiles(record, settings.deploy.metric).items():
        table.add_row(name, *tile)
    for gate in record.facts.get("gates", []):
        table.add_row("gate" if gate["passed"] else "refused", "✓" if gate["passed"] else "✗", gate["finding"])
    for reason, count in record.facts.get("rejected", {}).items():
        table.add_row("set aside", number(count), reason)
    for each in input_findings.found(record):
        table.add_row("unusual", each.table, each.finding.text)
    metric = settings.deploy.metric or next(iter(record.metrics), "")
    days = [(day.date, value_of(day, metric)) for day in records.by_day(settings)]
    known = [(day, value) for day, value in days if value is not None][-30:]
    if len(known) > 1:
        values = [value for _, value in known]
        table.add_row("each day", _sparkline(values), f"{known[0][0]} to {known[-1][0]}")
    print()
    print_table(table)
    print()


def _not_published(last: Record, settings: StageSettings) -> None:
    """Why the newest rows are not those of the last run."""
    print(f"\nThe last run, {last.run_id} for {last.date}, was not published. It {_ended(last)}: {last.problem}")
    if file := kept(settings.runs, last.run_id, report.FILE):
        print(f"report   {file}")


def _ended(record: Record) -> str:
    return "was refused" if record.status == "refused" else record.status


def _sparkline(values: list[float]) -> str:
    """A bar for each value, as high as it is beside the greatest."""
    heights = [max(0.0, value) for value in values]  # of what is no number, too
    most = max(heights) or 1
    return "".join("▁▂▃▄▅▆▇█"[round(7 * height / most)] for height in heights)


def _run_id(settings: StageSettings, stage: Stage, run_id: str) -> str:
    known = names(settings.runs)
    where = settings.runs.store or settings.runs.folder
    if not known:
        raise Problem(f"{where}: no runs yet in {stage}")
    if run_id and run_id not in known:
        raise Problem(f"{where}: no run {run_id!r}; the newest is {known[-1]}")
    return run_id or known[-1]
