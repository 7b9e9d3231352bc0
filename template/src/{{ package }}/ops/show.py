"""What the terminal shows of runs, logs and results. The model's libraries stay out of here."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from . import report
from .logs import renderer
from .problems import Problem
from .runs import Record, Run, names
from .settings import Stage, StageSettings, load, settings_file
from .store import ROWS, NotThere, Store
from .version import distance, short


def status(stages: list[Stage]) -> None:
    """A table with a row a stage: the last run, what came of it, and from which commit."""
    table = Table("stage", "last run", "for", "took", "status", "rows", "result", "commit", box=None, pad_edge=False)
    for stage in stages:
        try:
            table.add_row(stage, *_status(load(StageSettings, stage)))
        except Problem as problem:
            table.add_row(stage, str(problem))
    _print(table)


def logs(stage: Stage, run_id: str) -> None:
    """The log of a run, or of the last one."""
    folder = _run_folder(load(StageSettings, stage), stage, run_id)
    render = renderer(colors=Console().is_terminal)
    for line in (folder / "log.jsonl").read_text(encoding="utf-8").split("\n"):
        try:
            event = json.loads(line)
        except json.JSONDecodeError:  # the end, or the half of a line that a killed run left
            print(line)
            continue
        event.pop("run_id", None)
        print(render(None, "", event))


def results(stage: Stage, rows: int, customer: str = "", day: date | None = None) -> None:
    """The rows of a day, or of the newest; from which run and commit, and where the report is."""
    settings = load(StageSettings, stage)
    try:
        database = Store(settings.database.url)
    except NotThere:
        raise Problem(f"{settings_file(stage)}: no results yet in {stage}") from None
    with database as store:
        if not store.has(ROWS):
            raise Problem(f"{store.name}: no results yet in {stage}")
        ours = f"stage = '{stage}'"
        chosen = f"{ours} AND date = " + (f"'{day}'" if day else f"(SELECT max(date) FROM {ROWS} WHERE {ours})")
        total = store.query(f"SELECT count(*) AS n FROM {ROWS} WHERE {chosen}")["n"][0]
        mine, values = ("AND customer = $1", [customer]) if customer else ("", [])
        found = store.query(f"SELECT * FROM {ROWS} WHERE {chosen} {mine} ORDER BY customer LIMIT {rows}", *values)
        if found.is_empty():
            raise Problem(f"{store.name}: no row in {stage}" + f" for customer {customer!r}" * bool(customer))
        record = _record(store, found["run_id"][0])
    shown = found.drop("stage", "date", "run_id", "git_commit")
    table = Table(*shown.columns, box=None, pad_edge=False)
    for row in shown.iter_rows():
        table.add_row(*("-" if value is None else str(value) for value in row))
    _print(table)
    print(f"\n{total:,} customers for {found['date'][0]}" + (f", {len(found)} shown" if len(found) < total else ""))
    print(f"database {store.name}\ncommit   {found['git_commit'][0]}\nrun      {found['run_id'][0]}")
    if record and record.headline:
        print(f"result   {record.headline}")
    file = settings.runs.folder / found["run_id"][0] / report.FILE
    if file.exists():
        print(f"report   {file}")


def _print(table: Table) -> None:
    """As wide as the terminal; whole lines where the output goes to a file or another program."""
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    width = None if Console().is_terminal else 10_000
    Console(width=width, **plain).print(table)


def _last_record(settings: StageSettings) -> Record | None:
    try:
        database = Store(settings.database.url)
    except NotThere:
        return None
    with database as store:
        if not store.has("runs"):
            return None
        last = store.query(
            "SELECT record FROM runs WHERE stage = $1 ORDER BY started_at DESC LIMIT 1", str(settings.stage)
        )
    return None if last.is_empty() else Record.from_json(last["record"][0])


def _record(store: Store, run_id: str) -> Record | None:
    found: pl.DataFrame = store.query("SELECT record FROM runs WHERE run_id = $1", run_id)
    return None if found.is_empty() else Record.from_json(found["record"][0])


def _status(settings: StageSettings) -> tuple[str, ...]:
    record = _last_record(settings)
    if record is None:
        return ("none yet",)
    outcome = record.status
    if outcome == "running":
        record, outcome = _unfinished(settings, record)
    rows = record.numbers.get("rows_published")
    return (
        _ago(record.started_at),
        str(record.date),
        f"{record.seconds:.1f} s",
        outcome,
        "" if rows is None else f"{rows:,.0f}",
        record.problem or record.headline,
        f"{short(record.git_commit)} ({distance(record.git_commit)})",
    )


def _unfinished(settings: StageSettings, record: Record) -> tuple[Record, str]:
    """What the folder of a run that has not ended knows of it, and whether a process executes it."""
    try:
        run = Run.open(settings.runs.folder, record.run_id)
    except Problem:
        return record, "running elsewhere, or stopped"
    if run.is_alive():
        return run.record, "running"
    return run.record, f"stopped after {list(run.record.steps)[-1]}" if run.record.steps else "stopped"


def _run_folder(settings: StageSettings, stage: Stage, run_id: str) -> Path:
    known = names(settings.runs.folder)
    if not known:
        raise Problem(f"{settings.runs.folder}: no runs yet in {stage}")
    if run_id and run_id not in known:
        raise Problem(f"{settings.runs.folder}: no run {run_id!r}; the newest is {known[-1]}")
    return settings.runs.folder / (run_id or known[-1])


def _ago(moment: datetime) -> str:
    minutes = int((datetime.now(UTC) - moment).total_seconds() // 60)
    if minutes < 2:
        return "just now"
    if minutes < 120:
        return f"{minutes} minutes ago"
    return f"{minutes // 60} hours ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"
