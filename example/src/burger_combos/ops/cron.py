"""When the scheduler's work is due."""

from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from .problems import Problem
from .settings import StageSettings, settings_file


class Cron:
    """The moments of a stage's cron line, in its time zone; none where the line is empty."""

    def __init__(self, settings: StageSettings) -> None:
        """Read the line.

        Raises:
            Problem: it is no cron line.
        """
        self.line = settings.schedule.cron
        self.zone = ZoneInfo(settings.schedule.timezone)
        try:
            self.after(datetime.now(self.zone))
        except CronSimError as error:
            raise Problem(f"{settings_file(settings.stage)}: schedule.cron: {self.line!r}: {error}") from None

    def after(self, moment: datetime) -> datetime | None:
        """The next of the moments."""
        return next(CronSim(self.line, moment.astimezone(self.zone)), None) if self.line else None
