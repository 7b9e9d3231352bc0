"""Late data: whether what the runs of the last days have read is what the source says of that time today.

A run notes how many rows each of the last days has, and what their hashes add up to; all that is older it notes as one.
What a run for an earlier day would read now thus follows from the notes of today's, without reading anything again.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl
import structlog

from . import alerts, records
from .fingerprint import hash_of, total
from .run_in_subprocess import run_day
from .runs import DAILY, LATE, Record, Run
from .settings import StageSettings
from .tables import TableSettings
from .values.value_settings import full_name

SAMPLE = "sample"  # the source that is made up, and never late
OLDER = ""  # the name of all days before those that are noted one by one
KNOWN = ("ok", "refused")  # what became of a run that has judged its data
NOTE = "days"  # in a record's data

log = structlog.get_logger()


@dataclass
class Days:
    """What a run has read of a table, added up by day."""

    columns: str  # a hash of their names and types
    first: str  # the earliest day; empty where there is no row
    totals: dict[str, list[int]]  # of each day, and of OLDER: the number of rows, and what their hashes add up to


def days_of(run: Run, rows: pl.DataFrame, settings: TableSettings) -> Days | None:
    """What a table holds, by day; None where nobody wants to know, as `schedule.late_days` is 0.

    Args:
        run: the run that reads it.
        rows: those that fit, from before the run's day; or a shard's part of them.
        settings: name the column by which a row is of a day.
    """
    late_days = int(run.record.settings.get("schedule.late_days", 0))
    if not late_days or settings.source == SAMPLE:
        return None
    last = run.record.date
    noted = [last - timedelta(days=number) for number in range(2 * late_days, 0, -1)]
    day = rows[settings.time_column].dt.date()
    parts = {OLDER: rows.filter(day < noted[0])} | {str(each): rows.filter(day == each) for each in noted}
    columns = pl.DataFrame({name: [str(dtype)] for name, dtype in sorted(rows.schema.items())})
    return Days(hash_of(columns), str(day.min() or ""), {name: total(part) for name, part in parts.items()})


def joined(parts: Sequence[Days]) -> Days:
    """What all parts of a table hold."""
    totals = {name: _sum([part.totals[name] for part in parts]) for name in parts[0].totals}
    return Days(parts[0].columns, min((part.first for part in parts if part.first), default=""), totals)


def note(run: Run, settings: TableSettings, days: Days) -> None:
    """Put what was read into the record."""
    run.record.data[NOTE] = run.record.data.get(NOTE, {}) | {full_name(settings): asdict(days)}


def redo(run: Run, settings: StageSettings) -> None:
    """After a good daily run, do again the last days whose data changed since, oldest first; say which and why.

    Args:
        run: the run, whose day is the newest.
        settings: those of the stage.
    """
    record = run.record
    newest = records.good(settings) if settings.schedule.late_days and record.kind == DAILY else None
    if newest is None or newest.run_id != record.run_id:
        return
    first, last = record.date - timedelta(days=settings.schedule.late_days), record.date - timedelta(days=1)
    known = records.between(settings, first, last)
    told = {day: why for day in sorted(known) if (why := _changed(known[day], record))}
    said = [f"{day} is done again: its data changed: {why}" for day, why in told.items()]
    for each in said:
        log.warning("late data", told=each)
    if said:
        alerts.noticed(settings.alert, settings.stage, "; ".join(said), record)
    for day in told:
        done = run_day(settings, day, LATE)
        how = {"problem": done.problem} if done.problem else {}
        log.info("late data", day=str(day), status=done.status, run=done.run_id, **how)


def changed(then: Days, now: Days, day: date) -> str:
    """How what was read for a day differs from what a run for it would read now; nothing where it does not.

    What a source has dropped at its beginning, as one does that has the last year only, is no change.

    Args:
        then: what the day's run has read.
        now: what the run of a later day has read.
        day: the day.
    """
    if then.columns != now.columns:
        log.info("late data", told=f"{day} was read by another version, with other columns: nothing can be compared")
        return ""
    both = [each for each in now.totals if each in then.totals and OLDER < each < str(day)]
    differing = [each for each in both if then.totals[each] != now.totals[each]]
    if differing:
        told = [_told(then.totals[each][0], now.totals[each][0], f"of {each}") for each in differing]
        return " and ".join(told[:3]) + f", and so on: {len(told)} days" * (len(told) > 3)
    before = min([*both, str(day)])
    older = [_sum([total for each, total in days.totals.items() if each < before]) for days in (then, now)]
    dropped = then.first < now.first
    return "" if dropped or older[0] == older[1] else _told(older[0][0], older[1][0], f"from before {before}")


def _changed(runs: Sequence[Record], record: Record) -> str:
    """How the data of an earlier day changed since its newest run that noted it, of all tables."""
    then = next((run for run in runs if run.status in KNOWN and NOTE in run.data), None)
    if then is None:
        return ""
    tables: dict[str, Any] = {name: days for name, days in record.data.get(NOTE, {}).items() if name in then.data[NOTE]}
    found = {name: changed(Days(**then.data[NOTE][name]), Days(**days), then.date) for name, days in tables.items()}
    return "; ".join(f"{name}: {why}" if len(tables) > 1 else why for name, why in found.items() if why)


def _told(then: int, now: int, which: str) -> str:
    rows = f"{then:,} row{'s' * (then != 1)} {which} then"
    return f"{rows} and now, with other values" if then == now else f"{rows}, {now:,} now"


def _sum(totals: Sequence[list[int]]) -> list[int]:
    """The rows of all, and what their hashes add up to, which are 64 bits wide."""
    return [sum(each) % 2**64 for each in zip(*totals, strict=True)] if totals else [0, 0, 0]
