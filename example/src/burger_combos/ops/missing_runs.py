"""Runs that are missing: which they are follows from the records, and the webhook is told of each once.

What watches must not depend on what it watches. So `<package> watch` is a program of its own, which each cluster's
scheduler starts; where the scheduler is the project's own, it looks before it begins a run that is late.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from . import active_version, alerts, logs, records
from .cron import Cron, looks
from .due_runs import ONGOING, how_to_catch_up, scheduled_since
from .problems import Problem
from .runs import DAILY, Record
from .settings import Schedule, StageSettings, settings_file

if TYPE_CHECKING:
    from .active_version import Deployment

NO_RUN = "no run"
NOT_BEGUN = "not begun"  # although it was tried
DAY = timedelta(days=1)
WEEK = timedelta(days=7)  # what was missing before that is told no longer; `make status` lists it
log = structlog.get_logger()


@dataclass(frozen=True)
class Missing:
    """A moment whose run has not ended, and will not by itself."""

    due: datetime
    day: date
    run: Record | None  # that began and was killed or stopped; None where none began
    goes_on: bool  # the moment before it, on the same day, is missing too

    @property
    def key(self) -> tuple[str, str]:
        """What is kept of it, once somebody is told."""
        return _key(self.due, NO_RUN)


def missing(
    runs: Collection[Record], deployed: "list[Deployment]", cron: Cron, now: datetime, late: timedelta, ends: timedelta
) -> list[Missing]:
    """The moments of the last week that have no run, oldest first.

    Args:
        runs: those for the days of that week.
        deployed: all deployments, oldest first; what counts is the time since which the schedule is the present one.
        cron: the moments at which a run is due.
        now: the moment that is asked for.
        late: how long after its moment a run that did not begin is missing.
        ends: how long after its beginning a run that did not end is missing.
    """
    since = scheduled_since(deployed, cron)
    moment = cron.after(max(since, now - WEEK)) if since else None
    found: list[Missing] = []
    by_day: dict[date, list[Record]] = {}
    for run in runs:
        by_day.setdefault(run.date, []).append(run)
    before: date | None = None  # the day of the moment before, if that is missing
    while moment is not None and moment <= now - late:
        day = cron.day(moment)
        begun = [run for run in by_day.get(day, []) if run.started_at >= moment]
        if any(_does(run, now - ends) for run in begun):
            before = None
        else:
            last = max((run for run in begun if run.kind == DAILY), key=lambda run: run.started_at, default=None)
            found.append(Missing(moment, day, last, goes_on=day == before))
            before = day
        moment = cron.after(moment)
    return found


def look(settings: StageSettings) -> None:
    """Tell the webhook of the runs that are missing, of each once; where it does not answer, at the next look.

    Raises:
        Problem: the database cannot be reached: that is told, too.
    """
    logs.start()
    schedule = settings.schedule
    try:
        found = tell(settings, datetime.now(UTC), timedelta(minutes=schedule.deadline_minutes))
    except Problem as problem:
        alerts.failed(settings.alert, settings.stage, f"nobody knows whether a run is missing: {problem}")
        raise
    log.info("watch", missing=len(found))


def tell(
    settings: StageSettings, now: datetime, ends: timedelta, begins: datetime | None = None, *, quietly: bool = False
) -> list[Missing]:
    """Tell of the missing runs that nobody was told of yet, in one message, and return all that are missing.

    Args:
        settings: those of the stage.
        now: the present moment.
        ends: how long after its beginning a run that did not end is missing.
        begins: since when the run was due that is begun at this moment; None where none is.
        quietly: somebody was told already, in other words: only keep that.

    Raises:
        Problem: the database cannot be reached.
    """
    cron, late = Cron(settings), timedelta(minutes=settings.schedule.late_minutes)
    deployed = active_version.history(settings.stage)
    if scheduled_since(deployed, cron) is None:
        return []
    found = missing(records.since(settings, cron.day(now - WEEK - DAY)), deployed, cron, now, late, ends)
    if begins and now - begins <= late:
        found = [each for each in found if each.day != cron.day(begins)]
    known = records.missing_told(settings)
    fresh = [each for each in found if known is None or each.key not in known]
    # The first look tells of nothing that was long past before there was one.
    news = [each for each in fresh if known is not None or each.due > now - late - DAY]
    if not quietly and any(not each.goes_on for each in news):  # of moments that go on missing all day, once
        begun = cron.day(begins) if begins else None
        told = alerts.failed(settings.alert, settings.stage, _sentence(news, settings, begun))
        if settings.alert.webhook.get_secret_value() and not told:
            return found
    if fresh or known is None:
        records.note_missing(settings, [each.key for each in fresh])
    return found


def tell_once(settings: StageSettings, due: datetime, problem: str) -> None:
    """Tell why a run did not begin, unless somebody was told of this one already."""
    key, known = _key(due, NOT_BEGUN), None
    with suppress(Problem):  # which may be what keeps the run from beginning
        known = records.missing_told(settings)
    if known and key in known:
        return
    if alerts.failed(settings.alert, settings.stage, problem):
        with suppress(Problem):
            records.note_missing(settings, [key])


def when(settings: StageSettings) -> list[str]:
    """The cron line of the looks, empty for none, and `told` where the settings name a webhook."""
    Cron(settings)  # and so find out whether it is right
    return [looks(settings.schedule), "told" if settings.alert.webhook.get_secret_value() else ""]


def test(settings: StageSettings) -> None:
    """Send the webhook a message.

    Raises:
        Problem: there is none, or it does not take it.
    """
    logs.start()
    file = settings_file(settings.stage, "alert", "webhook")
    if not settings.alert.webhook.get_secret_value():
        raise Problem(f"{file}: alert.webhook is empty: production/README.md says where it belongs")
    if not alerts.tried(settings.alert, settings.stage):
        kind = alerts.format_of(settings.alert)
        raise Problem(f"{file}: alert.webhook did not take a message as {kind}: alert.format names another format")


def _does(run: Record, begun_by_then: datetime) -> bool:
    """Whether a run that began after a moment is that moment's: it has ended, or may yet end."""
    if run.kind != DAILY:  # one that failed has told so, and the schedule has not begun it
        return run.status == "ok"
    return run.status not in ONGOING or run.started_at > begun_by_then


def _key(due: datetime, what: str) -> tuple[str, str]:
    return due.astimezone(UTC).isoformat(timespec="seconds"), what


def _sentence(news: list[Missing], settings: StageSettings, begun: date | None) -> str:
    """What is missing, and what to do; the run of one day is begun at this moment."""
    stage, schedule = settings.stage, settings.schedule
    said = [f"the run that was due at {_at(each.due)} begins only now" for each in news if each.day == begun][-1:]
    rest = [each for each in news if each.day != begun]
    said += [_not_ended(each.run, stage, schedule) for each in rest if each.run and not begun]
    if without := [each for each in rest if begun or not each.run]:
        days = sorted({each.day for each in without})
        of = f"STAGE={stage} " * (stage != "develop")
        why = "" if begun else f" (due at {_at(without[-1].due)}; make logs {of}RUN=scheduler says why)"
        said.append(f"no run for {how_to_catch_up(days, stage)}{why}")
    return "; ".join(said)


def _not_ended(run: Record, stage: str, schedule: Schedule) -> str:
    of = f"STAGE={stage} " * (stage != "develop")
    began = f"run {run.run_id} for {run.date} began at {_at(run.started_at)} and did not end"
    return f"{began} in {schedule.deadline_minutes:g} minutes: make logs {of}RUN={run.run_id}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M %Z}"
