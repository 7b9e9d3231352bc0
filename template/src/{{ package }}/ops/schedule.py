"""The scheduler: runs the pipeline when it is due, in a process of its own, as long as this version is in charge.

What is due follows from the record of the last run alone, so that a scheduler which was killed, or whose machine was
off, does on its return what it missed. The day is due anew where another version did it last: a deployment and a
rollback show in the day's rows at once.
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

from . import PREFIX, alerts, deployments, logs, records
from .cron import Cron
from .problems import Problem
from .runs import Record, Run
from .settings import StageSettings

RETRY = timedelta(minutes=1)
GRACE = 10  # seconds between asking a run to stop and killing it

log = structlog.get_logger()


def due_since(last: Record | None, image: str, cron: Cron, now: datetime) -> datetime | None:
    """Since when a run is due, or None where it is not.

    Args:
        last: the newest run, whatever came of it.
        image: what this version runs in.
        cron: the moments at which a run is due.
        now: the moment that is asked for.
    """
    if last is None or last.image != image:
        return now
    if last.status in ("running", "stopped"):  # nobody executes it any longer
        return last.started_at
    missed, moment = None, cron.after(last.started_at)
    while moment is not None and moment <= now:
        missed, moment = moment, cron.after(moment)
    return missed


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
        self.clock = BlockingScheduler(timezone=UTC, job_defaults=defaults)
        self.clock.add_job(self._watch, "interval", seconds=1, next_run_time=datetime.now(UTC))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        log.info("scheduler", cron=self.cron.line, timezone=str(self.cron.zone), image=self.image[:19])
        try:
            self.clock.start()
        except KeyboardInterrupt:
            pass
        finally:
            self._stand_down()
            self.clock.shutdown()

    def _watch(self) -> None:
        """Begin when this version is put in charge, and stop when another one is."""
        in_charge = deployments.in_charge(self.stage)
        if in_charge and not self.active:
            log.info("scheduler", in_charge=True)
            self.active = True
            self.ending.clear()
            self._again(datetime.now(UTC))
        elif not in_charge and self.active:
            log.info("scheduler", in_charge=False)
            self._stand_down()

    def _again(self, moment: datetime | None) -> None:
        if moment is not None and self.active:
            self.clock.add_job(self._work, "date", run_date=moment, id="work", replace_existing=True)

    def _stand_down(self) -> None:
        self.active = False
        self.ending.set()

    def _work(self) -> None:
        """Run what is due, and come back when the next is."""
        lock = filelock.FileLock(Path("var", self.stage, "scheduler.lock"))
        try:
            with lock.acquire(timeout=GRACE):  # whoever was in charge before is stopping
                due = self._due()
                if due is not None:
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
        last = records.last(self.settings)
        if last and last.status == "running" and Run.open(self.settings.runs, last.run_id).is_alive():
            return None
        return due_since(last, self.image, self.cron, datetime.now(UTC))

    def _execute(self, due: datetime) -> None:
        late = datetime.now(UTC) - due
        if late > timedelta(minutes=self.settings.schedule.late_minutes):
            self._tell_missing(due, f"the run that was due at {due:%Y-%m-%d %H:%M %Z} begins only now")
        day = due.astimezone(self.cron.zone).date()
        began = datetime.now(UTC)
        command = [sys.executable, "-Pm", f"{__package__}.cli", "run", "--stage", self.stage, "--date", str(day)]
        self.run = subprocess.Popen(command)
        problem = self._wait(self.run, timedelta(minutes=self.settings.schedule.deadline_minutes))
        if self.run.returncode and not self.ending.is_set():
            self._account(began, day, problem or _reason(self.run.returncode))

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

    def _account(self, began: datetime, day: date, problem: str) -> None:
        """See to it that a failure is recorded and told, where the run itself could do neither."""
        log.error("scheduler", problem=problem)
        last = records.last(self.settings)
        if last is None or last.started_at < began:
            self._tell_missing(began, f"the run for {day} did not begin: {problem}")
        elif last.status in ("running", "stopped"):
            run = Run.open(self.settings.runs, last.run_id)
            run.record.status, run.record.problem = "failed", problem
            records.save(run.record, self.settings)
            run.save()
            alerts.failed(self.settings.alert, self.stage, problem, run.record)

    def _tell_missing(self, due: datetime, problem: str) -> None:
        """Once a day, however often it is tried again."""
        if self.told is None or due - self.told > timedelta(days=1):
            self.told = due
            alerts.failed(self.settings.alert, self.stage, problem)


def _reason(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}" + "; was memory short?" * (-code == signal.SIGKILL)
    return f"ended with exit code {code}; make logs RUN=scheduler says why"
