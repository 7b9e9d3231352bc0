"""When the scheduler's work is due."""

import math
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from .problems import Problem
from .settings import Schedule, StageSettings, settings_file

CLOCKS = timedelta(hours=3)  # more than clocks are ever put back
TO_END = 5  # minutes that a run is given to end after its deadline


class Cron:
    """The moments of a stage's cron line, in its time zone; none where the line is empty."""

    def __init__(self, settings: StageSettings) -> None:
        """Read the line.

        Raises:
            Problem: it is no cron line.
        """
        self.line = settings.schedule.cron
        self.zone = ZoneInfo(settings.schedule.timezone)
        self.name = f"{self.line} {self.zone}"
        try:
            self.after(datetime.now(self.zone))
        except CronSimError as error:
            file = settings_file(settings.stage, "schedule", "cron")
            raise Problem(f"{file}: schedule.cron: {self.line!r}: {error}") from None

    def after(self, moment: datetime) -> datetime | None:
        """The next of the moments."""
        return next(CronSim(self.line, moment.astimezone(self.zone)), None) if self.line else None

    def until(self, moment: datetime) -> datetime | None:
        """The last of the moments up to this one."""
        if not self.line:
            return None
        moment = moment.astimezone(UTC)
        later = (moment + CLOCKS).astimezone(self.zone)  # on its way back CronSim skips an hour that clocks show twice
        return next((each for each in CronSim(self.line, later, reverse=True) if each <= moment), None)

    def day(self, moment: datetime) -> date:
        """The day in the schedule's time zone, for which a run that is due then works."""
        return moment.astimezone(self.zone).date()


def looks(schedule: Schedule) -> str:
    """A cron line of the moments at which a missing run shows: when it is late, and when its deadline is over.

    The second comes whole hours after the first. No cron line has exactly these moments in every case: it has all of
    them, and maybe some more, as a look more does no harm.

    Args:
        schedule: whose line is right.

    Returns:
        The line, in the same time zone; empty where nothing is scheduled.
    """
    if not schedule.cron:
        return ""
    known, days = CronSim(schedule.cron, datetime.now(UTC)), schedule.cron.split()[-3:]
    late = math.ceil(schedule.late_minutes)
    after = {late, late + 60 * max(0, math.ceil((schedule.deadline_minutes + TO_END - late) / 60))}
    shifted = [60 * hour + minute + each for hour in known.hours for minute in known.minutes for each in after]
    if max(shifted) >= 24 * 60:  # on the next day, which may be one of another month, or no weekday of the line's
        days = ["*"] * 3
    return " ".join(
        [_listed({each % 60 for each in shifted}, 60), _listed({each // 60 % 24 for each in shifted}, 24), *days]
    )


def _listed(values: set[int], all_of_them: int) -> str:
    return "*" if len(values) == all_of_them else ",".join(map(str, sorted(values)))
