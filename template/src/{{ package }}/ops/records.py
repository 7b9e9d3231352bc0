"""The records of the runs in the stage's database, so that SQL answers which commit wrote what."""

import json
from contextlib import suppress
from datetime import date
from typing import Any

import polars as pl

from .runs import Record
from .settings import StageSettings
from .store import NotThere, Store


def save(record: Record, settings: StageSettings) -> None:
    """Write the record of a run, in place of what was known of it before."""
    row = pl.DataFrame(
        {
            "run_id": [record.run_id],
            "stage": [str(record.stage)],
            "date": [record.date],
            "status": [record.status],
            "git_commit": [record.git_commit],
            "started_at": [record.started_at],
            "seconds": [record.seconds],
            "record": [record.to_json()],
        }
    )
    with Store(settings.database.url) as store:
        store.save_run(row)


def last(settings: StageSettings, status: str | None = None) -> Record | None:
    """The newest run of the stage, or the newest that ended so; None where there is none yet."""
    such = "AND status = $2" if status else ""
    values = [str(settings.stage)] + ([status] if status else [])
    try:
        database = Store(settings.database.url)
    except NotThere:
        return None
    with database as store:
        if not store.has("runs"):
            return None
        sql = f"SELECT record FROM runs WHERE stage = $1 {such} ORDER BY started_at DESC LIMIT 1"
        found = store.query(sql, *values)
    return None if found.is_empty() else Record.from_json(found["record"][0])


def by_day(settings: StageSettings, days: int = 60) -> list[Record]:
    """The newest run of each of the last days that one was for, the earliest first."""
    sql = f"SELECT record FROM runs WHERE stage = $1 ORDER BY date DESC, started_at DESC LIMIT {5 * days}"
    with Store(settings.database.url) as store:
        found = store.query(sql, str(settings.stage))
    newest: dict[date, Record] = {}
    for record in map(Record.from_json, found["record"]):
        newest.setdefault(record.date, record)
    return list(newest.values())[days - 1 :: -1]


def note_trials(settings: StageSettings, git_commit: str, trials: list[dict[str, Any]]) -> None:
    """Keep what the scale check found, for the reports of this version; where there is a database to keep it in."""
    with suppress(NotThere), Store(settings.database.url, create=True) as store:
        store.note_trials(str(settings.stage), git_commit, json.dumps(trials, default=float))


def trials(settings: StageSettings, git_commit: str) -> list[dict[str, Any]]:
    """What the scale check found of a commit, the smallest size first; nothing where there was none."""
    with Store(settings.database.url) as store:
        if not store.has("trials"):
            return []
        sql = "SELECT trials FROM trials WHERE stage = $1 AND git_commit = $2"
        found = store.query(sql, str(settings.stage), git_commit)
    return [] if found.is_empty() else list(json.loads(found["trials"][0]))


def find(store: Store, run_id: str) -> Record | None:
    """The run of that id."""
    found = store.query("SELECT record FROM runs WHERE run_id = $1", run_id)
    return None if found.is_empty() else Record.from_json(found["record"][0])
