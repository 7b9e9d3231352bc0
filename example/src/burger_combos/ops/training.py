"""Training less often than scoring: which model a run takes, and what comes along with it.

`@trains(…)` marks the steps that make the model and measure it. Where `schedule.train_every` is set, a run may take the
model of an earlier one instead. That is decided once, when the run begins, and noted in its record; the files of the
model, and what those steps told of it, are copied then. So each step finds them, on whichever machine it is done.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from . import active_version, provenance, records
from .problems import Problem
from .runs import Record, Run
from .settings import StageSettings, interval
from .shards import by_shard
from .version import short

FILES = "__trains__"  # the attribute of a marked step: the files that are the model
NOTED = ("numbers", "charts", "facts")  # what of a record marked steps tell, beside metrics

Step = TypeVar("Step", bound=Callable[..., None])


def trains(*files: str) -> Callable[[Step], Step]:
    """Mark a step that trains or measures the model; a run that takes the model of an earlier one leaves it out.

    Args:
        files: the names of the files or folders which the step leaves, and which a later run needs to use the model.

    Raises:
        Problem: a step that is split names files.
    """

    def mark(step: Step) -> Step:
        if files and by_shard(step):
            raise Problem(
                f"step {step.__name__} is split into shards, so @trains cannot name {files[0]!r}: name it above a "
                "later step, which is not split and leaves the model as a whole"
            )
        setattr(step, FILES, files)
        return step

    return mark


def taken(run: Run) -> bool:
    """Whether the run takes the model of an earlier one."""
    return run.record.model_run not in ("", run.record.run_id)


def begin(run: Run, settings: StageSettings, steps: Sequence[Callable[..., None]]) -> None:
    """Decide whose model a run uses, and copy what it takes.

    Args:
        run: one that begins, whose record has its settings.
        settings: those of its stage.
        steps: STEPS of pipeline.py.

    Raises:
        Problem: `schedule.train_every` is set and no step is marked, or a file cannot be written.
    """
    marked = marked_steps(settings, steps)
    record, files = run.record, [file for step in marked for file in _files(step) or ()]
    if not marked:
        return
    record.model_run, record.training = record.run_id, {"files": files}
    if settings.schedule.train_every:
        found = _candidate(record, settings)
        why = found if isinstance(found, str) else _take(run, found, settings, [step.__name__ for step in marked])
        record.training |= {"why": why} if why else {}


def marked_steps(settings: StageSettings, steps: Sequence[Callable[..., None]]) -> list[Callable[..., None]]:
    """The steps that `@trains` marks.

    Raises:
        Problem: `schedule.train_every` is set, and there are none, or none of them names a file.
    """
    marked = [step for step in steps if _files(step) is not None]
    if settings.schedule.train_every and not any(map(_files, marked)):
        raise Problem(
            f'schedule.train_every is "{settings.schedule.train_every}", and no step of pipeline.py says what its '
            'model is: write @trains("FILE") above the step that leaves it (docs/training.md), or set it to ""'
        )
    return marked


def skips(step: Callable[..., None], run: Run) -> bool:
    """Whether a run leaves out a step, as it takes a model."""
    return taken(run) and _files(step) is not None


def reason(step: Callable[..., None], run: Run, steps: Sequence[Callable[..., None]]) -> str:
    """Why a run trains in spite of `schedule.train_every`, if the step is the first that does; else empty."""
    first = next((each for each in steps if _files(each) is not None), None)
    return str(run.record.training.get("why", "")) if step is first else ""


@contextmanager
def noting(step: Callable[..., None], run: Run) -> Iterator[None]:
    """Keep in mind what a marked step tells, for the runs that take the model."""
    if _files(step) is None:
        yield
        return
    before = {name: dict(getattr(run.record, name)) for name in NOTED}
    yield
    for name in NOTED:
        earlier: dict[str, Any] = before[name]
        new = [key for key, value in getattr(run.record, name).items() if key not in earlier or earlier[key] != value]
        run.record.training[name] = [*dict.fromkeys([*run.record.training.get(name, []), *new])]


def told(record: Record) -> str:
    """Of which run the model is, and how old; empty where it is the run's own."""
    if record.model_run in ("", record.run_id):
        return ""
    days = (record.date - datetime.fromisoformat(record.training["date"]).date()).days
    age = f"{_counted(days, 'day')} before" if days else "the same day"
    return f"of run {record.model_run}, trained for {record.training['date']}, {age}"


def measured(settings: StageSettings, record: Record | None) -> Record | None:
    """The run that has measured the model of a run: itself, or the one that trained it."""
    if record is None or record.model_run in ("", record.run_id):
        return record
    return records.of(settings, record.model_run) or record


def in_use(settings: StageSettings, record: Record) -> set[str]:
    """The runs whose files are needed: the best one and, where models are taken, those that trained one in use.

    That is the model of a run that ends, of the best one, and of the version that a rollback goes back to.
    """
    best = records.good(settings)
    if not settings.schedule.train_every:
        return {best.run_id} if best else set()
    using = [record, best]
    with suppress(Problem):  # nothing is deployed, or nothing before it
        using.append(records.good(settings, git_commit=active_version.previous(settings.stage, "").commit))
    return {each.model_run for each in using if each} | ({best.run_id} if best else set())


def _files(step: Callable[..., None]) -> tuple[str, ...] | None:
    """The files that a marked step names; None of another one."""
    return getattr(step, FILES, None)


def _candidate(record: Record, settings: StageSettings) -> Record | str:
    """The run whose model may be taken, as far as the records tell; else why there is none."""
    if not record.image and record.git_commit.endswith(("-dirty", "uncommitted", "unknown")):
        return f"no commit holds this code ({short(record.git_commit)}), so no model is known to be of it"
    using = records.good(settings, until=record.date, git_commit=record.git_commit)
    if using is None:
        other = records.good(settings, until=record.date)
        of_other = f": the last good run, {other.run_id}, is of {short(other.git_commit)}" if other else ""
        return f"there is no good run of commit {short(record.git_commit)} yet{of_other}"
    if using.image != record.image:
        return f"the model of run {using.run_id} is of another image"
    if not using.model_run:
        return f"run {using.run_id} does not say of which run its model is"
    of = records.of(settings, using.model_run)
    if of is None or not of.settings:
        return f"nothing is known of run {using.model_run} any more, which trained the model in use"
    if changed := provenance.changed(of, settings):
        more = f" and {len(changed) - 1} more" * (len(changed) > 1)
        return f"the model of run {of.run_id} has other settings: {changed[0]}{more}"
    return _too_old(of, record, settings) or of


def _too_old(of: Record, record: Record, settings: StageSettings) -> str:
    """How old a model is, where that is too old; after a rollback it counts from then on."""
    every, unit = interval(settings.schedule.train_every)
    ages = {f"the model of run {of.run_id} is {{}} old": _age(of.date, of.started_at, record, unit)}
    for last in active_version.history(settings.stage)[-1:]:
        if last.action == "rollback" and (last.commit, last.image) == (record.git_commit, record.image):
            at = datetime.fromisoformat(last.at)
            since = _age(at.astimezone(ZoneInfo(settings.schedule.timezone)).date(), at, record, unit)
            if since >= 0:
                ages[f"the rollback to run {of.run_id}'s model is {{}} ago"] = since
    text, age = min(ages.items(), key=lambda each: each[1])
    said = text.format(_counted(age, unit))
    return f"{said}; schedule.train_every is {settings.schedule.train_every}" if age >= every else ""


def _age(day: Any, moment: datetime, record: Record, unit: str) -> int:
    """How long before a run something was: in days by their dates, in hours by the moment.

    Days that are done one after the other, long after they were, are a day apart at least all the same.
    """
    days = int((record.date - day).days)
    if unit == "day":
        return days
    return max((record.started_at - moment) // timedelta(hours=1), 24 * (days - 1))


def _take(run: Run, of: Record, settings: StageSettings, marked: list[str]) -> str:
    """Copy a model into a run, and what was told of it; why that cannot be, where it cannot."""
    files = of.training.get("files", [])
    if not files:
        return f"run {of.run_id} does not say which files are its model"
    if not Run.exists(settings.runs, of.run_id):
        return f"the files of run {of.run_id}, which trained the model in use, are gone"
    donor = Run.open(settings.runs, of.run_id)
    if gone := [name for name in files if not donor.path(name).exists()]:
        return f"{gone[0]} of run {of.run_id}, which trained the model in use, is gone"
    for name in files:
        source, target = donor.path(name), run.folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copy2(source, target)  # no link: a step may write to its run's files, and not to another's
        except OSError as error:
            raise Problem(f"{target}: cannot be copied from {source}: {error.strerror or error}") from None
    record = run.record
    for name in NOTED:
        known = getattr(of, name)
        getattr(record, name).update({key: known[key] for key in of.training.get(name, []) if key in known})
    record.metrics |= of.metrics
    record.numbers |= {name: of.numbers[name] for name in of.metrics if name in of.numbers}
    # So a metric of a step that is done goes, unless that measures it anew, or says that it was measured before.
    record.given |= {
        step: [name for name in names if name in of.metrics] for step, names in of.given.items() if step not in marked
    }
    record.model_run, record.training = of.run_id, {"files": files, "date": str(of.date)}
    return ""


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'s' * (number != 1)}"
