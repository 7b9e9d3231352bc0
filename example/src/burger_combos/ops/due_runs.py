"""What is due follows from the days that are done, as the records of the runs tell them.

A day is done where a run for it, or for a later one, began at its moment or after it, and ended, whatever came of it.
So neither a run by hand for a day long past nor one of today before its moment stands in the way of today's, and none
that is not daily does: a backfill, or one for late data.
"""

from collections.abc import Collection, Iterable
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from .cron import Cron
from .runs import DAILY, Record

if TYPE_CHECKING:
    from .active_version import Deployment

ONGOING = ("running", "stopped")  # where nobody executes such a run any longer, it is to be done again
SHOWN = 30  # days; older ones that were missed are told no longer


def newest(runs: Iterable[Record], cron: Cron, now: datetime) -> Record | None:
    """The run that was last to do what is due at a moment; None where none was begun yet.

    Where nothing is scheduled, it is the last run that was not for a day long past.
    """
    moment = cron.until(now)
    doing = [
        run
        for run in runs
        if run.kind == DAILY
        and (run.started_at >= moment if moment else True)
        and run.date >= cron.day(moment or run.started_at)
    ]
    return max(doing, key=lambda run: run.started_at, default=None)


def due_since(runs: Collection[Record], image: str, cron: Cron, now: datetime) -> datetime | None:
    """Since when a run is due, or None where it is not.

    Args:
        runs: those for the days from the last moment on, and the newest of earlier days.
        image: that of the active version; a day that another version did last is due anew.
        cron: the moments at which a run is due.
        now: the moment that is asked for.
    """
    ended = [run for run in runs if run.status not in ONGOING and run.kind == DAILY]
    done = newest(ended, cron, now)
    if done:
        return None if done.image == image else now
    last = max(ended, key=lambda run: (run.date, run.started_at), default=None)
    return (last and last.image == image and cron.until(now)) or now


def missed(good: Collection[date], deployed: "list[Deployment]", cron: Cron, until: datetime) -> list[date]:
    """The days that had a moment up to the one given and have no good run, oldest first.

    Args:
        good: the days for which a run ended well.
        deployed: all deployments, oldest first; what counts is the time since which the schedule is the present one.
        cron: the moments at which a run is due.
        until: the moment.
    """
    since = scheduled_since(deployed, cron)
    if since is None:
        return []
    first = max(cron.day(since), cron.day(until) - timedelta(days=SHOWN))
    days = (first + timedelta(days=number) for number in range((cron.day(until) - first).days + 1))
    return [day for day in days if day not in good and _had_moment(day, cron, since, until)]


def scheduled_since(deployed: "list[Deployment]", cron: Cron) -> datetime | None:
    """The time since which the schedule is the present one; None where it is not deployed.

    Args:
        deployed: all deployments, oldest first.
        cron: the present one.
    """
    since = None
    for each in reversed(deployed):
        if each.schedule != cron.name:
            break
        since = datetime.fromisoformat(each.at)
    return since


def how_to_catch_up(days: list[date], stage: str) -> str:
    """Some days, and the command that does one of them."""
    listed = ", ".join(map(str, days[:5])) + f" and {len(days) - 5} more" * (len(days) > 5)
    return f"{listed}: make run DATE={days[0]}{' STAGE=develop' * (stage == 'develop')}"


def _had_moment(day: date, cron: Cron, since: datetime, until: datetime) -> bool:
    midnight = datetime.combine(day, time(), cron.zone)
    moment = cron.after(max(midnight - timedelta(seconds=1), since))
    return moment is not None and cron.day(moment) == day and moment <= until
