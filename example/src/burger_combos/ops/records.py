"""The records of the runs in the stage's database, so that SQL answers which commit wrote what."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from .cron import Cron
from .databases import AnyStore, NotThere, Wanted, open_store
from .due_runs import SHOWN
from .runs import Record
from .settings import StageSettings


def save(record: Record, settings: StageSettings) -> None:
    """Write the record of a run, in place of what was known of it before."""
    with open_store(settings.database.url) as store:
        store.save_run(record)


def last(settings: StageSettings) -> Record | None:
    """The run that began last, whatever day it was for; None where there is none yet."""
    return next(iter(_runs(settings, Wanted(most=1))), None)


def latest(settings: StageSettings, count: int) -> list[Record]:
    """The daily runs that began last, whatever days they were for, the last of them first."""
    return _runs(settings, Wanted(daily=True, most=count))


def good(settings: StageSettings, until: date | None = None, git_commit: str = "") -> Record | None:
    """The last good run for the newest day that has one: what is in production; None where there is none yet.

    Args:
        settings: those of the stage.
        until: the last day that counts; None for all.
        git_commit: the commit of the run; empty for any.
    """
    wanted = Wanted(last=until, statuses=("ok",), git_commit=git_commit, by_day=True, most=1)
    return next(iter(_runs(settings, wanted)), None)


def good_before(settings: StageSettings, day: date, most: int) -> list[Record]:
    """The last good runs that the schedule, or somebody, made for earlier days; the newest first."""
    last = day - timedelta(days=1)
    return _runs(settings, Wanted(last=last, statuses=("ok",), daily=True, by_day=True, most=most))


def ended_before(settings: StageSettings, record: Record) -> Record | None:
    """The daily run before another, by their days, that has ended."""
    ended = ("ok", "refused", "failed")
    wanted = Wanted(last=record.date, statuses=ended, daily=True, but=record.run_id, by_day=True, most=1)
    return next(iter(_runs(settings, wanted)), None)


def recent(settings: StageSettings, cron: Cron, now: datetime) -> list[Record]:
    """The runs from which follows what is due: those from the day of the last moment on, and the last before it."""
    moment = cron.until(now)
    day = cron.day(moment) if moment else cron.day(now) - timedelta(days=SHOWN)
    earlier = Wanted(last=day - timedelta(days=1), not_statuses=("running", "stopped"), daily=True, by_day=True, most=1)
    return _runs(settings, earlier) + _runs(settings, Wanted(first=day))


def between(settings: StageSettings, first: date, last: date) -> dict[date, list[Record]]:
    """All runs for each day from the first to the last, the newest first; nothing for days without one."""
    found: dict[date, list[Record]] = {}
    for run in _runs(settings, Wanted(first=first, last=last)):
        found.setdefault(run.date, []).append(run)
    return found


def not_daily(settings: StageSettings, run_ids: Sequence[str]) -> set[str]:
    """Those of some runs that are for past days: of backfills, and for late data."""
    return {run.run_id for run in _runs(settings, Wanted(run_ids=tuple(run_ids), daily=False))}


def since(settings: StageSettings, day: date) -> list[Record]:
    """The runs for a day and for all later ones."""
    return _runs(settings, Wanted(first=day))


def missing_told(settings: StageSettings) -> set[tuple[str, str]] | None:
    """Of which missing runs somebody was told: when each was due, in UTC, and what; None before the first look."""
    with _there(settings) as store:
        return store.missing_told(str(settings.stage)) if store else None


def note_missing(settings: StageSettings, told: list[tuple[str, str]]) -> None:
    """Keep of which missing runs somebody was told: when each was due, in UTC, and what; for SHOWN days."""
    now = datetime.now(UTC)
    told_at, oldest = (each.isoformat(timespec="seconds") for each in (now, now - timedelta(days=SHOWN)))
    with open_store(settings.database.url, create=True) as store:
        store.note_missing(str(settings.stage), told_at, oldest, told)


def reviewed(settings: StageSettings, since: date) -> list[Record]:
    """The runs for the days from one on that have reviewed earlier ones, the last of them first."""
    return _runs(settings, Wanted(first=since, reviewed=True))


def good_days(settings: StageSettings) -> set[date]:
    """The days for which a run ended well."""
    with _there(settings) as store:
        return store.good_days(settings.stage) if store else set()


def published(settings: StageSettings) -> dict[str, Any]:
    """Of the newest day's rows, which are of one run: `date`, `run_id`, `git_commit`, and the counts of its `tables`.

    Empty where there are none.
    """
    from . import results  # which reads records

    with _there(settings) as store:
        found = results.newest(store, settings.stage) if store else None
    return dict(zip(("date", "run_id", "git_commit", "tables"), found, strict=True)) if found else {}


def by_day(settings: StageSettings, days: int = 60) -> list[Record]:
    """The newest run of each of the last days that one was for, the earliest first."""
    with open_store(settings.database.url) as store:
        found = store.runs(settings.stage, Wanted(by_day=True, most=5 * days))
    newest: dict[date, Record] = {}
    for record in found:
        newest.setdefault(record.date, record)
    return list(newest.values())[days - 1 :: -1]


def note_trials(settings: StageSettings, git_commit: str, trials: list[dict[str, Any]]) -> None:
    """Keep what the scale check found, for the reports of this version; where there is a database to keep it in."""
    with suppress(NotThere), open_store(settings.database.url, create=True) as store:
        store.note_trials(str(settings.stage), git_commit, json.dumps(trials, default=float))


def trials(settings: StageSettings, git_commit: str) -> list[dict[str, Any]]:
    """What the scale check found of a commit, the smallest size first; nothing where there was none."""
    with open_store(settings.database.url) as store:
        found = store.trials(str(settings.stage), git_commit)
    return list(json.loads(found)) if found else []


@contextmanager
def _there(settings: StageSettings) -> Iterator[AnyStore | None]:
    """The database, where it is there."""
    try:
        database = open_store(settings.database.url)
    except NotThere:
        yield None
        return
    with database as store:
        yield store


def _runs(settings: StageSettings, wanted: Wanted) -> list[Record]:
    with _there(settings) as store:
        return store.runs(settings.stage, wanted) if store else []


def of(settings: StageSettings, run_id: str) -> Record | None:
    """The run of that id; None where the database knows of none."""
    with _there(settings) as store:
        return store.run(run_id) if store else None
