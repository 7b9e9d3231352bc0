"""Print published rows, the metrics of their run, and where they come from. The model's libraries stay out of here."""

from datetime import date

from rich.table import Table

from . import input_findings, provenance, records, report, training
from .databases import NotThere, open_store
from .metrics import value_of
from .plots import number
from .printing import print_json, print_table
from .problems import Problem
from .results import as_text, counted, find
from .runs import DAILY, Record, kept
from .settings import Stage, StageSettings, load, settings_file


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
