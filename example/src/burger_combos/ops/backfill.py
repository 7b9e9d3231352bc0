"""Backfill: the days of the past, oldest first, each by a run of its own that reads the data as of that day.

A day is done where its newest good run is of the version in charge: of this image, this commit and these settings. What
was stopped half way thus goes on with the same command.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import filelock

from . import PREFIX, alerts, provenance, records
from .due_runs import ONGOING
from .problems import Problem
from .progress import track
from .run_in_subprocess import run_day, start_day
from .runs import BACKFILL, Record, Run
from .settings import StageSettings, settings_file
from .version import commit, short

POLL = 1.0  # seconds between two looks at a run that another process executes
LISTED = 10  # days that the last line names


@dataclass(frozen=True)
class Span:
    """The days from the first to the last, and since when all of them are to be done anew; empty: those not done."""

    first: date
    last: date
    since: str = ""

    @property
    def days(self) -> list[date]:
        """The days, oldest first."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


def backfill(
    settings: StageSettings,
    first: date | None,
    last: date | None,
    *,
    redo: bool = False,
    start: Sequence[str] = (),
) -> None:
    """Run the pipeline for each day that is not done; a day that fails is told, and the others go on.

    Args:
        settings: those of the stage, with the project's own sections.
        first: the first day.
        last: the last day.
        redo: also for the days that are done.
        start: the command that has a scheduler begin the run of the day that comes last on it; empty: runs are here.

    Raises:
        Problem: the days are none, a source cannot be read as of a past day, or another backfill is at work; or, in
            the end, a day failed or was refused.
    """
    span = _span(settings, first, last)
    refuse_present(settings)
    with _alone(settings), _going_on(settings, span, redo=redo) as span:
        runs = records.between(settings, span.first, span.last)
        todo = [day for day in span.days if not _is_done(runs.get(day, []), span, settings)]
        done = len(span.days) - len(todo)
        print(f"backfill {span}: {_days(len(todo))} to do, {done} done by {short(commit())} already", flush=True)
        ended: list[Record] = []
        try:
            _do(settings, span, todo, ended, start)
        except (KeyboardInterrupt, SystemExit):
            going_on = todo[len(ended) : len(ended) + 1]  # whose run may have ended as it was told to stop
            count = len(ended) + sum(_is_done(_runs(settings, day), span, settings) for day in going_on)
            print(f"backfill {span}: stopped after {count} of {_days(len(todo))}; the same command goes on")
            raise
    _judge(settings, span, ended)


def refuse_present(settings: StageSettings) -> None:
    """Refuse a past day whose data cannot be read as of that day.

    Raises:
        Problem: a source names no time column.
    """
    if without := provenance.without_time(settings):
        file = settings_file(settings.stage, *without[0].split("."))
        raise Problem(
            f"{file}: [{without[0]}] time_column is not set: it says when a row happened, and without it a past day "
            "would be computed from the data of today"
        )


def _span(settings: StageSettings, first: date | None, last: date | None) -> Span:
    today = datetime.now(ZoneInfo(settings.schedule.timezone)).date()
    if first is None or last is None:
        raise Problem("which days? FROM=2026-10-01 TO=2026-10-31 (--from and --to) are the first and the last of them")
    if first > last:
        raise Problem(f"FROM={first} is after TO={last}: FROM is the oldest day, which is done first")
    if last > today:
        raise Problem(f"TO={last} is in the future: its data is not known yet; today is {today}")
    if first.year < 1970:
        raise Problem(f"FROM={first} is before 1970")
    return Span(first, last)


@contextmanager
def _alone(settings: StageSettings) -> Iterator[None]:
    file = Path("var", settings.stage, "backfill.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(file)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise Problem(f"another backfill of {settings.stage} is at work here: wait for its end") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _going_on(settings: StageSettings, span: Span, *, redo: bool) -> Iterator[Span]:
    """With `redo`, note since when days are done anew, so that the same command goes on where it was stopped."""
    if not redo:
        yield span
        return
    file = Path("var", settings.stage, "backfill.json")
    wanted, since = " ".join([str(span), *_version()]), datetime.now(UTC).isoformat()
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if wanted in found:
        since = found[wanted]
        print(f"backfill {span}: goes on with what was begun at {since[:16].replace('T', ' ')} UTC")
    else:
        file.write_text(json.dumps({wanted: since}), encoding="utf-8")
    yield Span(span.first, span.last, since)
    file.unlink()


def _do(settings: StageSettings, span: Span, days: list[date], ended: list[Record], start: Sequence[str]) -> None:
    """Do the days one after the other, and tell of each what came of it and how long the rest may take."""
    begun = time.monotonic()
    for number, [day] in enumerate(track(([day] for day in days), "backfill", len(days)), 1):
        if start:
            record = start_day(settings, day, BACKFILL, start)
        else:
            record = _of_another(settings, span, day) or run_day(settings, day, BACKFILL)
        ended.append(record)
        left = (time.monotonic() - begun) / number * (len(days) - number)
        told = f"{day} {record.status:7} {record.seconds:6.1f} s  day {number} of {len(days)}"
        told += f", {_about(left)} left" * (number < len(days)) + f"  {record.problem}".rstrip()
        print(told, flush=True)


def _of_another(settings: StageSettings, span: Span, day: date) -> Record | None:
    """The run of a day that another process of this machine executes, once it has ended, if the day is done by it."""
    for run in _runs(settings, day):
        if run.status in ONGOING and Run.exists(settings.runs, run.run_id):
            other = Run.open(settings.runs, run.run_id)
            while other.is_alive():
                time.sleep(POLL)
    ended = _runs(settings, day)
    return _good(ended) if _is_done(ended, span, settings) else None


def _is_done(runs: list[Record], span: Span, settings: StageSettings) -> bool:
    good = _good(runs)
    if good is None or [good.image, good.git_commit] != _version() or provenance.changed(good, settings):
        return False
    return not span.since or good.started_at >= datetime.fromisoformat(span.since)


def _runs(settings: StageSettings, day: date) -> list[Record]:
    return records.between(settings, day, day).get(day, [])


def _good(runs: list[Record]) -> Record | None:
    return next((run for run in runs if run.status == "ok"), None)


def _version() -> list[str]:
    return [os.environ.get(PREFIX + "IMAGE", ""), commit()]


def _judge(settings: StageSettings, span: Span, ended: list[Record]) -> None:
    """Say how it ended, on the terminal and, where a day has no rows, to whoever is told of failures."""
    bad = [record for record in ended if record.status != "ok"]
    print(f"backfill {span}: {len(ended) - len(bad)} of {_days(len(ended))} done")
    if not bad:
        return
    named = ", ".join(f"{record.date} {record.status}" for record in bad[:LISTED])
    more = f" and {len(bad) - LISTED} more" * (len(bad) > LISTED)
    stage = f"STAGE={settings.stage} " * (settings.stage != "develop")
    first = f"{bad[0].problem}; make logs {stage}RUN={bad[0].run_id} tells more"
    problem = f"backfill {span}: {_days(len(bad))} without new rows: {named}{more}; the first: {first}"
    alerts.failed(settings.alert, settings.stage, problem)
    raise Problem(problem)


def _days(count: int) -> str:
    return f"{count} day{'s' * (count != 1)}"


def _about(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds < 100 else f"about {seconds / 60:.0f} min"
