"""The records of the runs in the stage's database, so that SQL answers which commit wrote what."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from .cron import Cron
from .due import SHOWN
from .runs import BACKFILL, LATE, Record
from .settings import StageSettings
from .store import NotThere, Store

# Of the kind, which the record alone tells: JSON that holds text never holds a bare quotation mark.
_NOT_DAILY = " OR ".join(f'record LIKE \'%"kind": "{kind}"%\'' for kind in (BACKFILL, LATE))


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


def last(settings: StageSettings) -> Record | None:
    """The run that began last, whatever day it was for; None where there is none yet."""
    return next(iter(_runs(settings, "ORDER BY started_at DESC LIMIT 1")), None)


def latest(settings: StageSettings, count: int) -> list[Record]:
    """The daily runs that began last, whatever days they were for, the last of them first."""
    return _runs(settings, f"AND NOT ({_NOT_DAILY}) ORDER BY started_at DESC LIMIT {count}")


def good(settings: StageSettings, until: date | None = None, git_commit: str = "") -> Record | None:
    """The last good run for the newest day that has one: what is in production; None where there is none yet.

    Args:
        settings: those of the stage.
        until: the last day that counts; None for all.
        git_commit: the commit of the run; empty for any.
    """
    such = "AND status = 'ok'" + f" AND date <= '{until}'" * (until is not None)
    such += " AND git_commit = $2" * bool(git_commit)
    values = [git_commit] if git_commit else []
    return next(iter(_runs(settings, f"{such} ORDER BY date DESC, started_at DESC LIMIT 1", *values)), None)


def good_before(settings: StageSettings, day: date, most: int) -> list[Record]:
    """The last good runs that the schedule, or somebody, made for earlier days; the newest first."""
    such = f"AND status = 'ok' AND date < '{day}' AND NOT ({_NOT_DAILY})"
    return _runs(settings, f"{such} ORDER BY date DESC, started_at DESC LIMIT {most}")


def ended_before(settings: StageSettings, record: Record) -> Record | None:
    """The daily run before another, by their days, that has ended."""
    such = f"AND date <= '{record.date}' AND run_id <> '{record.run_id}' AND NOT ({_NOT_DAILY})"
    ended = "AND status IN ('ok', 'refused', 'failed') ORDER BY date DESC, started_at DESC LIMIT 1"
    return next(iter(_runs(settings, f"{such} {ended}")), None)


def recent(settings: StageSettings, cron: Cron, now: datetime) -> list[Record]:
    """The runs from which follows what is due: those from the day of the last moment on, and the last before it."""
    moment = cron.until(now)
    day = cron.day(moment) if moment else cron.day(now) - timedelta(days=SHOWN)
    ended = f"AND status NOT IN ('running', 'stopped') AND NOT ({_NOT_DAILY})"
    earlier = f"{ended} ORDER BY date DESC, started_at DESC LIMIT 1"
    return _runs(settings, f"AND date < '{day}' {earlier}") + _runs(settings, f"AND date >= '{day}'")


def between(settings: StageSettings, first: date, last: date) -> dict[date, list[Record]]:
    """All runs for each day from the first to the last, the newest first; nothing for days without one."""
    found: dict[date, list[Record]] = {}
    for run in _runs(settings, f"AND date BETWEEN '{first}' AND '{last}' ORDER BY started_at DESC"):
        found.setdefault(run.date, []).append(run)
    return found


def not_daily(settings: StageSettings, run_ids: Sequence[str]) -> set[str]:
    """Those of some runs that are for past days: of backfills, and for late data."""
    listed = ", ".join(f"'{run_id}'" for run_id in run_ids)
    return {run.run_id for run in _runs(settings, f"AND run_id IN ({listed}) AND ({_NOT_DAILY})")}


def since(settings: StageSettings, day: date) -> list[Record]:
    """The runs for a day and for all later ones."""
    return _runs(settings, f"AND date >= '{day}'")


def missing_told(settings: StageSettings) -> set[tuple[str, str]] | None:
    """Of which missing runs somebody was told: when each was due, in UTC, and what; None before the first look."""
    with _there(settings, "missing_runs") as store:
        if store is None:
            return None
        found = store.query("SELECT due, what FROM missing_runs WHERE stage = $1", str(settings.stage))
    return set(found.iter_rows())


def note_missing(settings: StageSettings, told: list[tuple[str, str]]) -> None:
    """Keep of which missing runs somebody was told: when each was due, in UTC, and what; for SHOWN days."""
    now = datetime.now(UTC)
    told_at, oldest = (each.isoformat(timespec="seconds") for each in (now, now - timedelta(days=SHOWN)))
    with Store(settings.database.url, create=True) as store:
        store.note_missing(str(settings.stage), told_at, oldest, told)


def reviewed(settings: StageSettings, since: date) -> list[Record]:
    """The runs for the days from one on that have reviewed earlier ones, the last of them first."""
    has_some = """AND record LIKE '%"reviews": [%' AND record NOT LIKE '%"reviews": []%'"""
    return _runs(settings, f"AND date >= '{since}' {has_some} ORDER BY started_at DESC")


def good_days(settings: StageSettings) -> set[date]:
    """The days for which a run ended well."""
    with _there(settings, "runs") as store:
        if store is None:
            return set()
        found = store.query("SELECT DISTINCT date FROM runs WHERE stage = $1 AND status = 'ok'", str(settings.stage))
    return {date.fromisoformat(str(day)) for day in found["date"]}


def published(settings: StageSettings) -> dict[str, Any]:
    """Of the newest day's rows, which are of one run: `date`, `run_id`, `git_commit`, and the counts of its `tables`.

    Empty where there are none.
    """
    from . import results  # which reads records

    try:
        database = Store(settings.database.url)
    except NotThere:
        return {}
    with database as store:
        found = results.newest(store, settings.stage)
    return dict(zip(("date", "run_id", "git_commit", "tables"), found, strict=True)) if found else {}


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


@contextmanager
def _there(settings: StageSettings, table: str) -> Iterator[Store | None]:
    """The database, where it is there and has the table."""
    try:
        database = Store(settings.database.url)
    except NotThere:
        yield None
        return
    with database as store:
        yield store if store.has(table) else None


def _runs(settings: StageSettings, such: str, *values: str) -> list[Record]:
    with _there(settings, "runs") as store:
        if store is None:
            return []
        found = store.query(f"SELECT record FROM runs WHERE stage = $1 {such}", str(settings.stage), *values)
    return [Record.from_json(record) for record in found["record"]]


def of(settings: StageSettings, run_id: str) -> Record | None:
    """The run of that id; None where the database knows of none."""
    with _there(settings, "runs") as store:
        return find(store, run_id) if store else None


def find(store: Store, run_id: str) -> Record | None:
    """The run of that id."""
    found = store.query("SELECT record FROM runs WHERE run_id = $1", run_id)
    return None if found.is_empty() else Record.from_json(found["record"][0])
