"""Why a row is as it is: its run, version, settings and model, and what the run has read of its key."""

from dataclasses import asdict
from datetime import date
from typing import Any

from rich.table import Table

from . import provenance, raw_rows
from .databases import AnyStore, NotThere, open_store
from .metrics import all_of, words
from .plots import number
from .printing import print_json, print_table
from .problems import Problem
from .results import Results, as_text, counted, find
from .runs import Record, Run, names
from .settings import Stage, StageSettings, load, settings_file
from .version import subject


def trace(
    stage: Stage, key: str, most: int, *, table: str = "", day: date | None = None, as_json: bool = False
) -> None:
    """Print the newest row of a key, or that of a day, and all that made it.

    Args:
        stage: the stage.
        key: what the row has, as `store=S03 product=P011`; a value alone where one column is the key.
        most: how many rows to show, of each table and of what was read.
        table: the table's name; empty for all.
        day: the day; None for the newest.
        as_json: print one object of JSON instead.

    Raises:
        Problem: there is no such row.
    """
    if not key:
        raise Problem("KEY: of which row? Write COLUMN=VALUE, or a value alone where one column is the key")
    settings = load(StageSettings, stage)
    try:
        database = open_store(settings.database.url)
    except NotThere:
        raise Problem(f"{settings_file(stage, 'database')}: no results yet in {stage}") from None
    with database as store:
        found = find(store, stage, most, table=table, key=key, day=day)
        trained = _trained(store, found)
    wanted: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for each in found.tables:
        if each.matching:
            wanted, kinds = each.wanted | wanted, each.kinds | kinds
    read = _inputs(settings, found, wanted, kinds, most)
    if as_json:
        print_json(_told(stage, found, trained, read))
        return
    _show_rows(found)
    _show_run(stage, found, trained)
    _show_inputs(read, wanted)


def _trained(store: AnyStore, found: Results) -> Record | None:
    """The run that trained the model, where another one did."""
    run_id = found.record.model_run if found.record else ""
    return store.run(run_id) if run_id and run_id != found.run_id else None


def _inputs(
    settings: StageSettings, found: Results, wanted: dict[str, str], kinds: dict[str, str], most: int
) -> raw_rows.Inputs:
    if found.run_id not in names(settings.runs):
        place = settings.runs.store or settings.runs.folder
        kept = f"of which runs.keep ({settings.runs.keep}) says how many stay"
        return raw_rows.Inputs(problem=f"the files of run {found.run_id} are no longer in {place}, {kept}")
    return raw_rows.of(Run.open(settings.runs, found.run_id), wanted, kinds, most)


def _told(stage: Stage, found: Results, trained: Record | None, read: raw_rows.Inputs) -> dict[str, Any]:
    record = found.record
    about: dict[str, Any] = {}
    if record:
        about = {
            "status": record.status,
            "started_at": record.started_at,
            "image": record.image,
            "template": record.template,
            "headline": record.headline,
            "metrics": record.metrics,
            "facts": record.facts,
            "settings": {"in_force": record.settings, "by_variable": record.overrides, "in_file": record.in_file},
            "changed_since": provenance.differences(record, stage),
            "data": record.data,
        }
    of_model = (record.model_run if record else "") or found.run_id
    model = {"run": of_model} | ({"date": trained.date, "commit": trained.git_commit} if trained else {})
    return {
        "stage": stage,
        "date": found.date,
        "run": found.run_id,
        "commit": found.git_commit,
        "subject": subject(found.git_commit),
        "tables": {
            each.table: {"key": each.key, "matching": each.matching, "rows": each.rows.to_dicts()}
            for each in found.tables
            if each.matching
        },
        **about,
        "model": model,
        "inputs": asdict(read) | {"rows": read.rows.to_dicts()},
    }


def _show_rows(found: Results) -> None:
    for each in found.tables:
        if each.matching:
            print_table(_table(each.rows.columns, as_text(each.rows)))
            shown = f", {len(each.rows):,} shown" * (len(each.rows) < each.matching)
            print(f"\n{counted(each.matching, each.table, each.total)} for {found.date}{shown}\n")


def _show_run(stage: Stage, found: Results, trained: Record | None) -> None:
    record = found.record
    print(f"run      {found.run_id} for {found.date}" + (f", {record.status}, {_moment(record)}" if record else ""))
    print("  ".join(filter(None, (f"commit   {found.git_commit}", subject(found.git_commit)))))
    if record is None:
        print("record   the database has none of this run")
        return
    if record.image:
        print(f"image    {record.image}")
    if record.template:
        print(f"template {record.template}")
    of_model = record.model_run
    if trained:
        print(f"model    of run {of_model} for {trained.date}, commit {trained.git_commit}")
    elif of_model:
        print(f"model    of {'this run' if of_model == found.run_id else f'run {of_model}'}")
    for metric in all_of(record, ""):
        baselines = "".join(f", baseline {words(name)} {number(value)}" for name, value in metric.baselines.items())
        print(f"metric   {metric.label} {number(metric.value)}{baselines}")
    for gate in record.facts.get("gates", []):
        print(f"gate     {'✓' if gate['passed'] else '✗'} {gate['finding']}")
    overridden = provenance.overridden(record)
    for name, value in overridden.items():
        print(f"setting  {name} {value}")
    for line in provenance.differences(record, stage):
        if line.partition(" ")[0] not in overridden:
            print(f"changed  {line}")
    if record.data:
        print(f"data     {provenance.data(record)}")


def _show_inputs(read: raw_rows.Inputs, wanted: dict[str, str]) -> None:
    if read.problem:
        print(f"inputs   not known: {read.problem}")
        return
    if not read.columns:
        has = ", ".join(read.known)
        print(f"inputs   the data read has no column {' or '.join(read.lacking)}; it has {has}")
        return
    key = " ".join(f"{name}={wanted[name]}" for name in read.columns)
    print(f"inputs   {read.matching:,} of {read.read:,} rows read with {key}")
    if read.lacking:
        print(f"         the data read has no column {' or '.join(read.lacking)}, so that is no matter")
    if not read.matching and len(read.columns) > 1:
        print(
            "         " + ", ".join(f"{count:,} with {name}={wanted[name]}" for name, count in read.with_value.items())
        )
    for reason, count in read.reasons.items():
        print(f"         {count:,} set aside: {reason}")
    if read.matching:
        print()
        print_table(_table(read.rows.columns, as_text(read.rows)))
        if len(read.rows) < read.matching:
            print(f"\nthe first {len(read.rows):,}; ROWS=100 shows more")


def _table(columns: list[str], rows: list[list[str]]) -> Table:
    shown = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*row)
    return shown


def _moment(record: Record) -> str:
    return f"begun {record.started_at:%Y-%m-%d %H:%M} UTC"
