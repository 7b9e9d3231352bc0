"""The scheduler: runs the pipeline when it is due, in a process of its own, as long as this version is active.

What is due follows from the records of the runs alone (`due_runs.py`), so that a scheduler which was killed, or whose
machine was off, does on its return what it missed. The day is due anew where another version did it last: a deployment
and a rollback show in the day's rows at once. Of several days that were missed the last is done, the others are told.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import filelock
import structlog

from . import PREFIX, active_version, alerts, logs, missing_runs, records
from .cron import Cron
from .due_runs import ONGOING, due_since, how_to_catch_up, missed, newest
from .problems import Problem
from .runs import Run, new_id
from .settings import StageSettings

RETRY = timedelta(minutes=1)
GRACE = 10  # seconds between asking a run to stop and killing it

log = structlog.get_logger()


class Scheduler:
    """What runs in production day and night."""

    def __init__(self, settings: StageSettings) -> None:
        self.settings = settings
        self.stage = settings.stage
        self.cron = Cron(settings)
        self.image = os.environ.get(PREFIX + "IMAGE", "")
        self.active = False
        self.told: datetime | None = None  # what was due when somebody was last told that it is missing
        self.run: subprocess.Popen[bytes] | None = None
        self.ending = threading.Event()

    def serve(self) -> None:
        """Work until SIGTERM; a run that is going on is stopped then, and due again later."""
        from apscheduler.schedulers.blocking import BlockingScheduler

        logs.start()
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self.timer = BlockingScheduler(timezone=UTC, job_defaults=defaults)
        self.timer.add_job(self._watch, "interval", seconds=1, next_run_time=datetime.now(UTC))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        log.info("scheduler", cron=self.cron.line, timezone=str(self.cron.zone), image=self.image[:19])
        try:
            self.timer.start()
        except KeyboardInterrupt:
            pass
        finally:
            self._deactivate()
            self.timer.shutdown()

    def _watch(self) -> None:
        """Begin when this version becomes the active one, and stop when another one does."""
        is_active = active_version.is_active(self.stage)
        if is_active and not self.active:
            log.info("scheduler", active=True)
            self.active = True
            self.ending.clear()
            self._again(datetime.now(UTC))
        elif not is_active and self.active:
            log.info("scheduler", active=False)
            self._deactivate()

    def _again(self, moment: datetime | None) -> None:
        if moment is not None and self.active:
            again = {"id": "work", "replace_existing": True, "max_instances": 2}  # it may be due while this one returns
            self.timer.add_job(self._work, "date", run_date=moment, **again)

    def _deactivate(self) -> None:
        self.active = False
        self.ending.set()

    def _work(self) -> None:
        """Run what is due, and come back when the next is."""
        lock = filelock.FileLock(Path("var", self.stage, "scheduler.lock"))
        try:
            with lock.acquire(timeout=GRACE):  # the version that was active before is stopping
                due = self._due()
                if due is not None and not self._executed():
                    self._execute(due)
                    due = self._due()
        except filelock.Timeout:
            due = datetime.now(UTC)
        except (Problem, OSError) as problem:
            due = datetime.now(UTC)
            log.error("scheduler", problem=str(problem))
            self._tell_missing(due, f"no run: {problem}")
        moment = self.cron.after(datetime.now(UTC)) if due is None else datetime.now(UTC) + RETRY
        if self.active and moment is not None:
            log.info("scheduler", next=f"{moment:%Y-%m-%d %H:%M:%S %Z}")
        self._again(moment)

    def _due(self) -> datetime | None:
        now = datetime.now(UTC)
        return due_since(records.recent(self.settings, self.cron, now), self.image, self.cron, now)

    def _executed(self) -> bool:
        """Whether another process of this machine does at this moment what is due."""
        now = datetime.now(UTC)
        runs = records.recent(self.settings, self.cron, now)
        run = newest((each for each in runs if each.status == "running"), self.cron, now)
        kept = run and Run.exists(self.settings.runs, run.run_id)
        return bool(run and kept and Run.open(self.settings.runs, run.run_id).is_alive())

    def _execute(self, due: datetime) -> None:
        day = self.cron.day(due)
        self._tell_late(due, day)
        run_id = new_id()
        run = ["run", "--stage", self.stage, "--date", str(day), "--run-id", run_id]
        command = [sys.executable, "-Pm", f"{__package__}.cli", *run]
        self.run = subprocess.Popen(command)
        problem = self._wait(self.run, timedelta(minutes=self.settings.schedule.deadline_minutes))
        if self.run.returncode and not self.ending.is_set():
            self._account(run_id, day, problem or _reason(self.run.returncode))

    def _tell_late(self, due: datetime, day: date) -> None:
        """Say that a run begins late, and which days before it have none; a run does not fail of that."""
        now = datetime.now(UTC)
        without = missed(records.good_days(self.settings), active_version.history(self.stage), self.cron, due)
        if earlier := [each for each in without if each < day]:
            log.warning("scheduler", missed=how_to_catch_up(earlier, self.stage))
        try:
            missing_runs.tell(self.settings, now, ends=timedelta(0), begins=due, quietly=self._told(now))
        except Problem as problem:
            log.error("scheduler", problem=str(problem))

    def _wait(self, run: "subprocess.Popen[bytes]", deadline: timedelta) -> str:
        """Wait for the run's end; at its deadline, or when it is time to stop, bring it about."""
        latest = time.monotonic() + deadline.total_seconds()
        problem = ""
        while run.poll() is None:
            if time.monotonic() > latest:
                problem = f"not done in {self.settings.schedule.deadline_minutes:g} minutes: schedule.deadline_minutes"
            if problem or self.ending.wait(0.2):
                run.terminate()
                try:
                    run.wait(GRACE / 2)
                except subprocess.TimeoutExpired:
                    run.kill()
                    run.wait()
        return problem

    def _account(self, run_id: str, day: date, problem: str) -> None:
        """See to it that a failure is recorded and told, where the run itself could do neither."""
        log.error("scheduler", problem=problem)
        if not Run.exists(self.settings.runs, run_id):
            self._tell_missing(datetime.now(UTC), f"the run for {day} did not begin: {problem}")
            return
        run = Run.open(self.settings.runs, run_id)
        if run.record.status in ONGOING:
            run.record.status, run.record.problem = "failed", problem
            records.save(run.record, self.settings)
            run.save()
            alerts.failed(self.settings.alert, self.stage, problem, run.record)

    def _tell_missing(self, due: datetime, problem: str) -> None:
        """Once a day, however often it is tried again, and by whichever process."""
        if not self._told(due):
            self.told = due
            missing_runs.tell_once(self.settings, self.cron.until(due) or due, problem)

    def _told(self, moment: datetime) -> bool:
        """Whether this process has told within a day that a run is missing."""
        return self.told is not None and moment - self.told <= timedelta(days=1)


def _reason(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}" + "; was memory short?" * (-code == signal.SIGKILL)
    return f"ended with exit code {code}; make logs RUN=scheduler says why"
