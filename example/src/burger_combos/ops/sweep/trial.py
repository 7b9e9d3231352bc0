"""A trial: the steps up to the one that measures the metric, under settings of its own, in this process."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import structlog

from ... import pipeline
from .. import code_errors, logs, provenance, training
from ..execute import judged
from ..fingerprint import Fingerprint
from ..gates import peak, tried
from ..metrics import measured
from ..problems import Problem
from ..raw import raw_files
from ..runs import TRIAL, Run, sweeps
from ..settings import Stage, StageSettings
from ..version import commit
from .plan import Plan

LOCK = "lock"
LEFT = ("run.json", "log.jsonl", LOCK)  # by a trial that has ended
FACT = "sweep"  # what of a record tells the sweep, the trial, what it sets, and the memory that it took
log = structlog.get_logger()


def do(settings: StageSettings, plan: Plan, index: int) -> None:
    """Do a trial, and leave its record; what its steps leave is removed, however it ends.

    Args:
        settings: those of the trial.
        plan: that of the sweep.
        index: the trial's number.

    Raises:
        Problem: this is another version than the plan's, or the trial is at work elsewhere. What goes wrong in a step
            is told, and stands in the record: the sweep goes on.
    """
    if plan.git_commit != commit():
        raise Problem(f"sweep {plan.sweep_id} began at commit {plan.git_commit}, this is {commit()}: begin another one")
    training.marked_steps(settings, pipeline.STEPS)
    run = Run.create(sweeps(settings.runs), settings.stage, plan.date, plan.run_id(index))
    record = run.record
    record.kind = TRIAL
    provenance.note(record, settings)
    record.facts[FACT] = {"id": plan.sweep_id, "trial": index, "settings": plan.trials[index]}
    with run.alone():
        _tidy(run, LOCK)  # what an attempt has left that was stopped
        run.save()
        logs.start(run.path("log.jsonl"))
        structlog.contextvars.bind_contextvars(run_id=record.run_id)
        log.info("trial", id=record.run_id, commit=record.git_commit, date=str(record.date), **plan.trials[index])
        try:
            with judged(run):
                _steps(run, settings, plan)
            record.status = "ok"
        except Exception:
            print(f"error: {record.problem}", file=sys.stderr)
        finally:
            record.facts[FACT]["memory_mb"] = round(peak())
            _tidy(run, *LEFT)
            run.save()


def _steps(run: Run, settings: StageSettings, plan: Plan) -> None:
    """The steps until the metric is measured."""
    record = run.record
    of = f"STAGE={record.stage} " * (record.stage is not Stage.develop)
    whole = f"the whole traceback: make logs {of}RUN={record.run_id}"
    for step in pipeline.STEPS:
        goes_on = _step(step, run, settings, whole)
        if step is pipeline.STEPS[0]:
            _note_data(run)
        metric = measured(record.metrics, plan.metric)
        if metric:
            record.headline = metric.in_short()
            return
        if not goes_on:
            break
    if not plan.metric:
        raise Problem(
            "no metric is measured before a step publishes, so there is nothing to compare: in the step that computes "
            'it, write run.measure("NAME", value, better="higher") or, where less is better, better="lower"'
        )
    raise Problem(f"metric {plan.metric} is not measured; measured: {', '.join(record.metrics) or 'none'}")


def _step(step: Callable[..., None], run: Run, settings: StageSettings, whole: str) -> bool:
    start = time.perf_counter()
    with code_errors.named(step.__name__, whole):
        goes_on = tried(step, run, settings)
    run.record.steps[step.__name__] = seconds = round(time.perf_counter() - start, 3)
    log.info(step.__name__, seconds=seconds)
    return goes_on


def _note_data(run: Run) -> None:
    """Put into the record what was read, so that only trials on the same data are compared."""
    files = raw_files(run)
    if all(file.exists() for file in files):
        run.record.data |= Fingerprint(files).result()


def _tidy(run: Run, *left: str) -> None:
    """Remove what the steps have left, but for some: tables and models, of which each trial would keep its own."""
    run.remove(*(name for name in run.found("*") if name not in left))


def end_with_parent() -> None:
    """End in order once the process that holds the other end of standard input is gone, however it ended."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def memory(run: Run) -> int:
    """The most memory that a trial has had, in MB; 0 where that is not known."""
    return int(run.record.facts.get(FACT, {}).get("memory_mb", 0))
