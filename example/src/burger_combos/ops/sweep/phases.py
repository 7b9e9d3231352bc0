"""The phases of a sweep, on this machine one after the other; an engine calls each of them by itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import filelock

from .. import logs, tracking
from ..problems import Problem
from ..runs import Run, sweeps
from ..settings import StageSettings, load, settings_file
from . import checks, show_results
from . import trial as trials
from .combinations import Combination, combinations
from .comparison import compare
from .plan import Plan, changing, compared, done, keep, make, prune, read
from .pool import Pool, width


def sweep(settings: StageSettings) -> None:
    """Do all trials of a sweep on this machine, and show which settings are the best.

    Raises:
        Problem: what is to be tried is wrong, another sweep is at work here, or the settings of now measure nothing.
    """
    with _alone(settings):
        plan = begin(settings)
        todo = remaining(settings, plan)
        first = done(plan, settings.runs, 0)
        fits = width(settings, len(plan.trials) - 1, trials.memory(first) if first else 0)
        if todo:
            each = f"{fits.threads} thread{'s' * (fits.threads != 1)} each"
            print(f"{fits.trials} at once, {each}{', ' * bool(fits.why)}{fits.why}", flush=True)
        begun, ended = time.monotonic(), 0

        def tell(index: int, run: Run) -> None:
            nonlocal ended
            ended += 1
            left = (time.monotonic() - begun) / ended * (len(todo) - ended)
            more = f", about {left:.0f} s left" if ended < len(todo) else ""
            print(show_results.line(plan, run, index) + more, flush=True)
            _track(settings, run)

        try:
            Pool(settings, plan).each(todo, fits, tell)
        except (KeyboardInterrupt, SystemExit):
            print(f"sweep {plan.sweep_id}: stopped after {ended} of {len(todo)} trials; the same command goes on")
            raise
        _end(settings, plan)


def planned(settings: StageSettings) -> list[Combination]:
    """What each trial would set; the first sets nothing.

    Raises:
        Problem: what is to be tried is wrong.
    """
    tried = combinations(settings.sweep, str(settings_file(settings.stage, "sweep")))
    return changing(checks.now(settings), tried)


def begin(settings: StageSettings, sweep_id: str = "") -> Plan:
    """Check what is to be tried, plan the trials, and do the first of them, under the settings of now.

    Args:
        settings: those of the stage, with the project's own sections.
        sweep_id: what the sweep is called, where its caller has to know that before; it goes on with none then.

    Returns:
        The plan, with the metric that is compared; that of a sweep which was stopped, where this is the same one.

    Raises:
        Problem: what is to be tried is wrong, or the settings of now measure nothing.
    """
    logs.start()
    tracking.of(settings)
    tried = combinations(settings.sweep, str(settings_file(settings.stage, "sweep")))
    checks.refuse(settings, tried)
    plan = make(settings, checks.now(settings), tried, sweep_id)
    if len(plan.trials) == 1:
        where = settings_file(settings.stage, "sweep")
        raise Problem(f"{where}: [sweep.settings] tries the settings of now, and nothing else")
    prune(settings.runs, plan.sweep_id)
    keep(plan, settings.runs)
    todo = remaining(settings, plan)
    known = len(plan.trials) - 1 - len(todo)
    goes_on = f"; goes on: {known} of them done already" if known or done(plan, settings.runs, 0) else ""
    print(f"sweep {plan.sweep_id}: {len(plan.trials) - 1} trials beside the settings of now{goes_on}", flush=True)
    first = done(plan, settings.runs, 0)
    if first is None:

        def tell(index: int, run: Run) -> None:
            print(show_results.line(plan, run, index), flush=True)
            _track(settings, run)

        Pool(settings, plan).each([0], width(settings, len(plan.trials) - 1), tell)
        first = done(plan, settings.runs, 0)
    if first is None or first.record.status != "ok":
        _refuse(settings, plan, first)
    elif not plan.metric:
        plan.metric = next(iter(first.record.metrics))
        keep(plan, settings.runs)
    return plan


def remaining(settings: StageSettings, plan: Plan) -> list[int]:
    """The numbers of the trials that are not done, but for the first."""
    return [index for index in range(1, len(plan.trials)) if done(plan, settings.runs, index) is None]


def trial(settings: StageSettings, sweep_id: str, index: int) -> None:
    """Do a trial here, in this process, unless it is done already.

    Args:
        settings: those of the stage.
        sweep_id: of which sweep.
        index: the trial's number.

    Raises:
        Problem: there is no such sweep, or the trial cannot begin. What goes wrong in a step is in its record.
    """
    plan = read(settings.runs, sweep_id)
    if index >= len(plan.trials):
        raise Problem(f"sweep {sweep_id} has {len(plan.trials) - 1} trials beside the first: there is no trial {index}")
    if done(plan, settings.runs, index) is None:
        with checks.under(plan.trials[index]):
            trials.do(load(type(settings), settings.stage), plan, index)


def close(settings: StageSettings, sweep_id: str) -> None:
    """End a sweep whose trials no process does any more: those that could not tell their end themselves have failed."""
    plan, place = read(settings.runs, sweep_id), sweeps(settings.runs)
    logs.start()
    for index in remaining(settings, plan):
        run_id = plan.run_id(index)
        begun = Run.exists(place, run_id)
        run = Run.open(place, run_id) if begun else Run.create(place, settings.stage, plan.date, run_id)
        run.record.status = "failed"
        run.record.problem = "it was killed; was memory short?" if begun else "it could not begin"
        run.save()
    _end(settings, plan)


def _end(settings: StageSettings, plan: Plan) -> None:
    """Show what came of a sweep all of whose trials are done."""
    tracking.catch_up(_beside(settings))
    plan.ended = True
    keep(plan, settings.runs)
    print()
    show_results.report(plan, compare(plan, settings.runs))


def _track(settings: StageSettings, run: Run) -> None:
    """Have a trial kept by those whom the settings name."""
    tracking.ended(run, _beside(settings))


def _beside(settings: StageSettings) -> StageSettings:
    """The settings with the place of the trials for that of the runs."""
    return settings.model_copy(update={"runs": sweeps(settings.runs)})


def _refuse(settings: StageSettings, plan: Plan, first: Run | None) -> None:
    """Say why there is nothing to compare with; the next sweep begins anew."""
    plan.ended = True
    keep(plan, settings.runs)
    where, wanted = str(settings_file(settings.stage, "sweep")), settings.sweep.metric
    if first and wanted and first.record.metrics and compared(plan, first) is None:
        checks.refuse_unmeasured(wanted, list(first.record.metrics), where)
    told = f"{first.record.status}: {first.record.problem}" if first else "the trial did not end"
    raise Problem(f"nothing to compare with, as the settings of now {told}; make logs RUN={plan.run_id(0)} tells more")


@contextmanager
def _alone(settings: StageSettings) -> Iterator[None]:
    file = sweeps(settings.runs).folder / "lock"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(file)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise Problem(f"another sweep of {settings.stage} is at work here: wait for its end") from None
    except OSError as error:
        raise Problem(f"{file}: cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()
