"""Execute the pipeline: all of it here, or one step of it."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import structlog

from ..pipeline import STEPS, Settings, Step
from . import alerts, logs, records, report
from .problems import Problem, Refused, Stopped
from .runs import Run, prune
from .settings import Stage
from .store import Store, make_database
from .version import commit

NAMES = [step.__name__ for step in STEPS]
log = structlog.get_logger()


def run_all(settings: Settings, day: date) -> Run:
    """Execute every step in this process.

    Raises:
        Refused: a gate refused the result; nothing was published.
        Problem: something outside the code is wrong; nothing was published.
    """
    run = _begin(settings, day)
    with _executing(run, settings):
        for step in STEPS:
            _do(step, run, settings)
    return run


def run_step(settings: Settings, name: str, run_id: str, day: date) -> Run:
    """Execute one step of a run; the first step begins it.

    Raises:
        Refused, Problem: as `run_all`; Problem also where an earlier step is missing.
    """
    place = NAMES.index(name)
    if place == 0:
        run = _begin(settings, day, run_id)
    else:
        run = Run.open(settings.runs.folder, run_id)
        record = run.record
        missing = [each for each in NAMES[:place] if each not in record.steps]
        if missing:
            raise Problem(f"run {run_id}: step {name} comes after {', '.join(missing)}")
        if record.git_commit != commit():
            raise Problem(f"run {run_id} began at commit {record.git_commit}, this is {commit()}: begin another run")
        record.steps = {each: record.steps[each] for each in NAMES[:place]}  # what follows has to be done anew
    with _executing(run, settings):
        _do(STEPS[place], run, settings)
    return run


def _begin(settings: Settings, day: date, run_id: str | None = None) -> Run:
    if settings.stage is not Stage.production:  # whose database somebody else has made, and named in the settings
        make_database(settings.database.url)
    with Store(settings.database.url, create=True) as store:
        store.prepare()  # before anything else is written, so that a database out of reach leaves no trace
    return Run.create(settings.runs.folder, settings.stage, day, run_id)


def _do(step: Step, run: Run, settings: Settings) -> None:
    before = dict(run.record.numbers)
    start = time.perf_counter()
    step(run, settings)
    run.record.steps[step.__name__] = seconds = round(time.perf_counter() - start, 3)
    run.save()
    new = {name: round(value, 4) for name, value in run.record.numbers.items() if before.get(name) != value}
    log.info(step.__name__, seconds=seconds, **new)


@contextmanager
def _executing(run: Run, settings: Settings) -> Iterator[None]:
    """Log, keep the record, and see to it that a failure is known to whoever looks."""
    record = run.record
    with run.alone():
        logs.start(run.path("log.jsonl"))
        structlog.contextvars.bind_contextvars(run_id=record.run_id)
        record.status, record.problem = "running", ""
        _save(run, settings)
        image = {"image": record.image[:19]} if record.image else {}
        begun = {"stage": str(record.stage), "date": str(record.date)}
        log.info("run", id=record.run_id, commit=record.git_commit, **image, **begun)
        try:
            yield
        except Refused as refusal:
            record.status, record.problem = "refused", str(refusal)
            raise
        except Stopped:
            record.status = "stopped"
            raise
        except BaseException as error:
            record.status, record.problem = "failed", str(error) or type(error).__name__
            raise
        else:
            if all(name in record.steps for name in NAMES):
                record.status = "ok"
        finally:
            if record.problem:
                unexpected = None if isinstance(sys.exception(), Problem) else sys.exception()
                structlog.get_logger(logs.FILE_ONLY).error(record.status, problem=record.problem, exc_info=unexpected)
            _save(run, settings)
            if record.status != "running":
                _report(run)
            if record.status in ("refused", "failed"):
                alerts.failed(settings.alert, record.stage, record.problem, record)
            elif record.status == "ok":
                alerts.succeeded(settings.alert, record)
        if record.status == "ok":
            prune(settings.runs.folder, settings.runs.keep)


def _report(run: Run) -> None:
    """Draw the report; one that cannot be drawn is no reason to fail a run that has done its work."""
    try:
        report.write(run)
    except Exception:
        log.exception("no report")


def _save(run: Run, settings: Settings) -> None:
    run.save()
    records.save(run.record, settings)
