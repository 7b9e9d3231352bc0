"""A run in a process of its own, so that its memory and its state are fresh, and a past day's end is its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

from . import alerts, records
from .due_runs import ONGOING
from .runs import LATE, Record, Run, new_id
from .settings import StageSettings

GRACE = 10  # seconds between asking a run to stop and killing it
POLL = 2.0  # seconds between two looks at what a scheduler elsewhere has done


def run_day(settings: StageSettings, day: date, kind: str) -> Record:
    """Run the pipeline for a day and wait for its end, which its deadline brings about; tell what came of it.

    It has a process group of its own, so that Ctrl-C reaches this process alone, which then stops it in order.

    Args:
        settings: those of the stage.
        day: the day.
        kind: what the run is for, one of `runs.KINDS`.

    Returns:
        The run's record; one with a problem, which no database knows, where it did not begin.
    """
    run_id = new_id()
    told = ["--stage", settings.stage, "--date", str(day), "--run-id", run_id, "--kind", kind]
    command = [sys.executable, "-Pm", f"{__package__}.cli", "run", *told]
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=subprocess.PIPE, process_group=0)
    late = ""
    try:
        _, said = process.communicate(timeout=60 * settings.schedule.deadline_minutes)
    except subprocess.TimeoutExpired:
        late = f"not done in {settings.schedule.deadline_minutes:g} minutes: schedule.deadline_minutes"
        said = _stop(process)
    except BaseException:
        _stop(process)
        raise
    last = said.decode(errors="replace").strip().splitlines()[-1:]
    problem = late or "".join(last).removeprefix("error: ") or reason(process.returncode)
    return _ended(settings, Record(run_id, settings.stage, day, kind=kind, status="failed", problem=problem))


def start_day(settings: StageSettings, day: date, kind: str, start: Sequence[str]) -> Record:
    """Have a scheduler elsewhere run the pipeline for a day, and wait for its end, which the records tell.

    A run for that day which has begun before, and which may be going on, is waited for instead.

    Args:
        settings: those of the stage.
        day: the day.
        kind: what the run is for, one of `runs.KINDS`.
        start: the command that has it begun, without the day, which comes last.

    Returns:
        The run's record; one with a problem, which no database knows, where it did not begin.
    """
    longest = timedelta(minutes=settings.schedule.deadline_minutes)
    before = records.between(settings, day, day).get(day, [])
    known = {run.run_id for run in before if run.status != "running" or run.started_at < datetime.now(UTC) - longest}
    failed = Record("", settings.stage, day, kind=kind, status="failed")
    if len(known) == len(before):
        begun = subprocess.run([*start, str(day)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if begun.returncode:
            failed.problem = "".join(begun.stderr.strip().splitlines()[-1:]) or reason(begun.returncode)
            return failed
    latest = time.monotonic() + 60 * settings.schedule.late_minutes + longest.total_seconds()
    while time.monotonic() < latest:
        time.sleep(POLL)
        runs = [run for run in records.between(settings, day, day).get(day, []) if run.run_id not in known]
        if runs and runs[0].status != "running":
            return runs[0]
    failed.problem = f"not done in {longest}: schedule.deadline_minutes; make logs RUN=scheduler says why"
    return failed


def reason(code: int) -> str:
    """Why a process ended that told nothing itself."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}" + "; was memory short?" * (-code == signal.SIGKILL)
    return f"ended with exit code {code}"


def _ended(settings: StageSettings, failed: Record) -> Record:
    """What the database knows of a run; where it could not tell its end itself, that is noted now."""
    record = records.of(settings, failed.run_id)
    if record and record.status not in ONGOING:
        return record
    if record:
        record.status, record.problem = "failed", failed.problem
        records.save(record, settings)
        if Run.exists(settings.runs, record.run_id):
            run = Run.open(settings.runs, record.run_id)
            run.record.status, run.record.problem = record.status, record.problem
            run.save()
    if failed.kind == LATE:  # a backfill tells of all its days at once
        alerts.failed(settings.alert, settings.stage, failed.problem, record or failed)
    return record or failed


def _stop(process: "subprocess.Popen[bytes]") -> bytes:
    """Ask a process to stop, and kill it where it does not; what it said."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        return process.communicate(timeout=GRACE)[1]
    process.kill()
    return process.communicate()[1]
