"""Execute the pipeline: all of it here, one step of it, or a process's share of what several execute together."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial

import structlog

from ..pipeline import STEPS, Settings
from . import (
    alerts,
    code_errors,
    input_checks,
    late_data,
    logs,
    metrics,
    needs,
    provenance,
    publishers,
    records,
    report,
    retention,
    tracking,
    training,
)
from .databases import make_database, open_store
from .fingerprint import Fingerprint
from .problems import Bug, Problem, Refused, Stopped, outside
from .raw import raw_files
from .runs import BACKFILL, DAILY, KINDS, Run, prune
from .settings import Stage
from .shards import Part, Shard, by_shard, do_part, perform
from .steps import names
from .version import commit

NAMES = names(STEPS)
BAD = ("refused", "failed")
POLL = 1.0  # seconds between two looks at what other processes have done
log = structlog.get_logger()


def run_all(settings: Settings, day: date, run_id: str | None = None, kind: str = DAILY) -> Run:
    """Execute every step in this process.

    Args:
        settings: those of the stage.
        day: the day to work for.
        run_id: what to call the run; made of the time if None.
        kind: what it is for, one of `runs.KINDS`.

    Raises:
        Refused: a gate refused the result; nothing was published.
        Problem: something outside the code is wrong; nothing was published.
    """
    run = _begin(settings, day, run_id, kind)
    with _executing(run, settings):
        for step in STEPS:
            _do(step, run, settings)
    return run


def run_step(
    settings: Settings,
    name: str,
    run_id: str,
    day: date,
    shard: int | None = None,
    *,
    catch_up: bool = False,
    kind: str = DAILY,
) -> Run:
    """Execute one step of a run; the first step begins it, unless it is done by shards: then `begin` has to.

    Args:
        settings: those of the stage.
        name: the step's.
        run_id: that of the run.
        day: to work for, where the run begins.
        shard: the number of the one to do, of a step that is done in shards; None for all of them in turn.
        catch_up: do what is not done yet of the steps before it, too.
        kind: what the run is for, where it begins; one of `runs.KINDS`.

    Raises:
        Refused, Problem: as `run_all`; Problem also where an earlier step is missing.
    """
    place = NAMES.index(name)
    if (place == 0 and shard is None) or (catch_up and not Run.exists(settings.runs, run_id)):
        run = _begin(settings, day, run_id, kind)
    else:
        run = _continued(settings, run_id)
    _join(run, settings, NAMES[:place])
    missing = [step for step in STEPS[:place] if step.__name__ not in run.record.steps]
    if missing and (shard is not None or not catch_up):
        raise Problem(f"run {run_id}: step {name} comes after {', '.join(step.__name__ for step in missing)}")
    if shard is not None:
        with _executing_shard(run, settings, name, _shard(run, shard)):
            _do_shard(STEPS[place], run, settings, _shard(run, shard))
        return run
    run.forget(NAMES[place:])  # what follows has to be done anew
    with _executing(run, settings, f"log-{name}.jsonl"):
        for step in (*missing, STEPS[place]):
            _do(step, run, settings)
    return run


def begin(settings: Settings, run_id: str, day: date, kind: str = DAILY) -> Run:
    """Begin a run whose steps are executed one by one.

    Raises:
        Problem: the database, or the place of the runs, cannot be written.
    """
    run = _begin(settings, day, run_id, kind)
    run.save()
    return run


def join_shards(settings: Settings, name: str, run_id: str) -> Run:
    """Take over what all shards of a step have done; after the last step, this ends the run.

    Args:
        settings: those of the stage.
        name: the step's.
        run_id: that of the run.

    Raises:
        Problem: a shard, or an earlier step, is not done.
    """
    steps = NAMES[: NAMES.index(name) + 1]
    run = _continued(settings, run_id)
    _join(run, settings, steps)
    if missing := [step for step in steps if step not in run.record.steps]:
        raise Problem(f"run {run_id}: not all of {', '.join(missing)} is done")
    with _executing(run, settings, f"log-{name}.jsonl"):
        log.info("joined", step=name, shards=run.record.shards)
    return run


def run_share(settings: Settings, run_id: str, day: date, number: int) -> None:
    """Do a process's share of a run that `runs.shards` processes execute: a shard of each step that is done in such.

    The first does all other steps as well, and where it was stopped it goes on with what is not done; the others wait
    for it.

    Raises:
        Refused, Problem: as `run_all`, in each of them.
    """
    if number == 0:
        _lead(settings, run_id, day)
        return
    while not Run.exists(settings.runs, run_id):
        time.sleep(POLL)
    run = _continued(settings, run_id)
    shard = _shard(run, number)
    for step in filter(by_shard, STEPS):
        if training.skips(step, run):
            continue
        before = NAMES[: NAMES.index(step.__name__)]
        while not run.record.steps.keys() >= set(before):
            if run.record.status == "refused":
                raise Refused(run.record.problem)
            time.sleep(POLL)
            run.reload()
        if shard in run.missing(step.__name__):
            with _executing_shard(run, settings, step.__name__, shard):
                _do_shard(step, run, settings, shard)


def _lead(settings: Settings, run_id: str, day: date) -> None:
    begun = Run.exists(settings.runs, run_id)
    run = _continued(settings, run_id) if begun else _begin(settings, day, run_id)
    if begun and NAMES[0] in run.record.steps and "hash" not in run.record.data:  # it was stopped before
        run.fingerprint = _fingerprint(run)
    with _executing(run, settings):
        for step in STEPS:
            name = step.__name__
            if name in run.record.steps:
                continue
            if not by_shard(step) or training.skips(step, run):
                _do(step, run, settings)
                continue
            if _shard(run, 0) in run.missing(name):
                _do_shard(step, run, settings, _shard(run, 0))
            while missing := run.missing(name):
                run.record.problem = f"{name}: shard {missing[0]} is not done"  # if nobody waits any longer
                time.sleep(POLL)
            run.record.problem = ""
            _join(run, settings, [name])
            run.save()


def _begin(settings: Settings, day: date, run_id: str | None, kind: str = DAILY) -> Run:
    if kind not in KINDS:
        raise Problem(f"--kind {kind}: one of {', '.join(KINDS)} is expected")
    retention.refuse_day(day, settings)
    needs.of_steps(settings, NAMES)  # and so find out whether all of that is right, ...
    tracking.of(settings)  # ... and of this
    publishers.prepare(settings)
    if settings.stage is not Stage.production:  # whose database somebody else has made, and named in the settings
        make_database(settings.database.url)
    with open_store(settings.database.url, create=True, keep_days=settings.database.keep_days) as store:
        store.prepare()  # before anything else is written, so that a database out of reach leaves no trace
    run = Run.create(settings.runs, settings.stage, day, run_id)
    run.watch = input_checks.Watch(settings)
    run.record.kind = kind
    provenance.note(run.record, settings)
    training.begin(run, settings, STEPS)
    return run


def _continued(settings: Settings, run_id: str) -> Run:
    tracking.of(settings)
    run = Run.open(settings.runs, run_id)
    run.watch = input_checks.Watch(settings)
    if run.record.git_commit != commit():
        raise Problem(f"run {run_id} began at commit {run.record.git_commit}, this is {commit()}: begin another run")
    if changed := provenance.changed(run.record, settings):
        raise Problem(f"run {run_id} began under other settings: {'; '.join(changed)}: begin another run")
    return run


def _shard(run: Run, number: int) -> Shard:
    if not 0 <= number < run.record.shards:
        raise Problem(f"--shard {number}: run {run.record.run_id} has the shards 0 to {run.record.shards - 1}")
    return run.shards[number]


def _join(run: Run, settings: Settings, names: list[str]) -> None:
    """Count those steps as done all of whose shards are."""
    for step in STEPS:
        name = step.__name__
        if name in names and by_shard(step) and name not in run.record.steps and not run.missing(name):
            with _headline(run, settings), training.noting(step, run):
                run.join(name)


def _do(step: Callable[..., None], run: Run, settings: Settings) -> None:
    before = dict(run.record.numbers)
    start = time.perf_counter()
    if step is STEPS[-1] and run.fingerprint:
        run.fingerprint.begin()  # here, as rows are written by one processor and the others have nothing to do
    with _headline(run, settings), code_errors.named(step.__name__, _whole(run)), training.noting(step, run):
        if not training.skips(step, run):
            _say_why(step, run)
            perform(step, run, settings)
    if step is STEPS[0]:
        run.fingerprint = _fingerprint(run)
    if run.watch:
        run.watch.catch_up(run)
    run.record.steps[step.__name__] = seconds = round(time.perf_counter() - start, 3)
    log.info(step.__name__, seconds=seconds, **_new(run, before), **_taken(step, run))
    run.save()


@contextmanager
def _headline(run: Run, settings: Settings) -> Iterator[None]:
    """Let the headline tell the metric that counts, unless a step has set another."""
    record = run.record
    if record.headline == metrics.headline(record, settings.deploy.metric):
        record.headline = ""
    try:
        yield
    finally:
        record.headline = record.headline or metrics.headline(record, settings.deploy.metric)


def _fingerprint(run: Run) -> Fingerprint | None:
    """That of what the first step fetched, which is yet to be found out."""
    files = raw_files(run)
    return Fingerprint(files) if all(file.exists() for file in files) else None


def _note_data(run: Run) -> None:
    """Put into the record what was read; what cannot be told apart is no reason to fail the run."""
    if run.fingerprint:
        try:
            run.record.data |= run.fingerprint.result()
        except Exception:
            log.exception("no fingerprint")


def _do_shard(step: Callable[..., None], run: Run, settings: Settings, shard: Shard) -> None:
    """A shard's part of a step; the record knows nothing of it before all parts are there."""
    start = time.perf_counter()
    with code_errors.named(step.__name__, _whole(run)):
        if shard.number == 0:
            _say_why(step, run)
        part = Part(step.__name__) if training.skips(step, run) else do_part(step, run, settings, shard)
    seconds = round(time.perf_counter() - start, 3)
    measured = {name: round(values["value"], 4) for name, values in part.metrics.items()}
    log.info(step.__name__, shard=str(shard), seconds=seconds, **part.counts, **measured, **_taken(step, run))
    run.finish(seconds, shard, part)


def _say_why(step: Callable[..., None], run: Run) -> None:
    """Why a run trains that could have taken a model."""
    if why := training.reason(step, run, STEPS):
        log.info(step.__name__, trains=why)


def _taken(step: Callable[..., None], run: Run) -> dict[str, str]:
    """For the log: whose model a run takes, where it leaves out a step for that."""
    return {"model": training.told(run.record)} if training.skips(step, run) else {}


def _whole(run: Run) -> str:
    """Where the whole traceback is, of what goes wrong in a step."""
    stage = f"STAGE={run.record.stage} " * (run.record.stage is not Stage.develop)
    return f"the whole traceback: make logs {stage}RUN={run.record.run_id}"


def _new(run: Run, before: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in run.record.numbers.items() if before.get(name) != value}


@contextmanager
def _executing(run: Run, settings: Settings, log_file: str = "log.jsonl") -> Iterator[None]:
    """Log, keep the record, and show every failure."""
    record = run.record
    with run.alone():
        logs.start(run.path(log_file))
        structlog.contextvars.bind_contextvars(run_id=record.run_id)
        told = record.problem if record.status in BAD else ""  # where a cluster tries it again
        record.status, record.problem = "running", ""
        tracking.begun(run, settings)
        run.save()
        records.save(record, settings)
        image = {"image": record.image[:19]} if record.image else {}
        begun = {"stage": str(record.stage), "date": str(record.date)}
        log.info("run", id=record.run_id, commit=record.git_commit, **image, **begun)
        if overridden := provenance.overridden(record):
            log.info("settings", **overridden)
        try:
            with judged(run):
                yield
                _note_data(run)
            if all(name in record.steps for name in NAMES):
                record.status = "ok"
                publishers.tell_unfollowed(run, settings)
        finally:
            if record.status in ("refused", "failed"):
                _note_data(run)
            try:
                run.save()
            finally:
                records.save(record, settings)
            if record.status != "running":
                _report(run, settings)
            if record.status in BAD and (file := run.kept(report.FILE)):
                log.info("report", file=file)
            _tell(run, settings, told)
            if record.status in ("ok", "refused", "failed"):
                tracking.ended(run, settings)
            run.share()
        if record.status == "ok":
            spared = training.in_use(settings, record)
            prune(settings.runs, spared, apart=partial(records.not_daily, settings))
            retention.tidy(record, settings, spared)
            run.share()  # what they have logged
            _redo_late(run, settings)


def _tell(run: Run, settings: Settings, told: str) -> None:
    """Tell how a run ended, and what is unusual in its input; a backfill tells of all its days at once.

    Args:
        run: the run.
        settings: those of its stage.
        told: the problem that an earlier attempt at it has told.
    """
    record = run.record
    if record.status in BAD and record.kind != BACKFILL:
        if record.problem != told:
            alerts.failed(settings.alert, record.stage, record.problem, record)
    elif record.status == "ok" and record.kind == DAILY:  # another one proves nothing of today
        alerts.succeeded(settings.alert, record)
    if record.status in input_checks.ENDED:
        input_checks.tell(run, settings)


def _redo_late(run: Run, settings: Settings) -> None:
    """Do days again whose data came late; that it cannot be found out is no reason to fail a run that is good."""
    try:
        late_data.redo(run, settings)
    except Exception:
        log.exception("late data")
    run.share()


@contextmanager
def _executing_shard(run: Run, settings: Settings, step: str, shard: Shard) -> Iterator[None]:
    """Log, and make a failure visible; the process that has the other steps does the rest."""
    with run.alone(f"{step}-{shard}."):
        logs.start(run.path(f"log-{step}-{shard}.jsonl"))
        structlog.contextvars.bind_contextvars(run_id=run.record.run_id)
        try:
            with judged(run):
                yield
        except BaseException:
            before = records.of(settings, run.record.run_id)
            told = before.problem if before and before.status in BAD else ""  # by an attempt before, or another shard
            records.save(run.record, settings)
            if run.record.status != "stopped" and run.record.problem != told:
                alerts.failed(settings.alert, run.record.stage, run.record.problem, run.record)
            raise
        finally:
            run.share()


@contextmanager
def judged(run: Run) -> Iterator[None]:
    """What an exception makes of the run: refused, stopped or failed, and why."""
    record = run.record
    try:
        yield
    except BaseException as error:
        if isinstance(error, Stopped | KeyboardInterrupt):
            record.status = "stopped"
        else:
            record.status = "refused" if isinstance(error, Refused) else "failed"
            record.problem = outside(error) or code_errors.summary(error)
        if record.problem:
            unexpected = error.__cause__ if isinstance(error, Bug) else None if outside(error) else error
            structlog.get_logger(logs.FILE_ONLY).error(record.status, problem=record.problem, exc_info=unexpected)
        raise


def _report(run: Run, settings: Settings) -> None:
    """Draw the report; one that cannot be drawn is no reason to fail a run that has done its work."""
    try:
        report.write(run, settings)
    except Exception:
        log.exception("no report")
