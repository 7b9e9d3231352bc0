"""When the scheduler's work is due."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from .problems import Problem
from .settings import StageSettings, settings_file

CLOCKS = timedelta(hours=3)  # more than clocks are ever put back


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
