"""The records of the runs in the stage's database, so that SQL answers which commit wrote what."""

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


def find(store: Store, run_id: str) -> Record | None:
    """The run of that id."""
    found = store.query("SELECT record FROM runs WHERE run_id = $1", run_id)
    return None if found.is_empty() else Record.from_json(found["record"][0])
