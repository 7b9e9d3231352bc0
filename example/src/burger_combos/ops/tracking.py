"""Who else keeps what is known of the runs: a module of `ops` for each table of `[tracking]`, imported only for that.

Such a module has `Keys`, what its table may hold, and `Tracker`, which is made of them. A run that it could not keep,
as its server did not answer, is caught up by the stage's next one: what was kept has a mark in the run's folder.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import filelock
import structlog

from .problems import Problem
from .runs import Run, lacking
from .settings import Runs, StageSettings, section, settings_file
from .version import commit

MARK = "tracked-"
PATIENCE = 60  # seconds to wait for another process of this machine that keeps the same runs

log = structlog.get_logger()


class Tracker(Protocol):
    """Keeps runs elsewhere; each method raises Problem where that cannot be."""

    place: str  # tells where they are kept from where else they could be, in a file's name

    def keep(self, run: Run) -> dict[str, Any]:
        """Bring what is kept of a run up to date, and return what a person may want to know of it."""

    def go_back(self, commit: str) -> dict[str, Any]:
        """Let the newest good model of a commit be the one that counts, and return which that is."""


def of(settings: StageSettings) -> dict[str, Tracker]:
    """Those whom the settings name.

    Raises:
        Problem: there is none of that name, or a key of its table is wrong.
    """
    found = {}
    for name, values in settings.tracking.items():
        module = _module(f".{name}")
        if not hasattr(module, "Tracker"):
            file = settings_file(settings.stage, "tracking", name)
            raise Problem(f"{file}: tracking.{name}: nothing here keeps runs so")
        found[name] = module.Tracker(section(module.Keys, settings.stage, ("tracking", name), values))
    return found


def begun(run: Run, settings: StageSettings) -> None:
    """Forget who has kept a run, as nobody knows yet how it ends."""
    if settings.tracking:
        run.remove(f"{MARK}*")


def ended(run: Run, settings: StageSettings) -> None:
    """Have a run kept, and after it those that could not be; a failure is logged and harms nobody."""
    for name, tracker in of(settings).items():
        mark = f"{MARK}{name}-{tracker.place}"
        start = time.perf_counter()
        with _harmless(name), filelock.FileLock(settings.runs.folder / f"{mark}.lock", timeout=PATIENCE):
            known = _keep(tracker, run, mark)
            log.info(name, **known, seconds=round(time.perf_counter() - start, 3))
            for other in _missed(settings.runs, mark, run):
                log.info(name, caught_up=other.record.run_id, **_keep(tracker, other, mark))


def catch_up(settings: StageSettings) -> None:
    """Have all runs kept that have ended and are not kept yet; a failure is logged and harms nobody."""
    for name, tracker in of(settings).items():
        mark = f"{MARK}{name}-{tracker.place}"
        with _harmless(name), filelock.FileLock(settings.runs.folder / f"{mark}.lock", timeout=PATIENCE):
            for other in _missed(settings.runs, mark):
                log.info(name, caught_up=other.record.run_id, **_keep(tracker, other, mark))


def rolled_back(settings: StageSettings) -> None:
    """Let this version's newest good model count again; where that cannot be, its next run sees to it."""
    for name, tracker in of(settings).items():
        try:
            log.info(name, **tracker.go_back(commit()))
        except Problem as problem:
            log.warning(name, lost=f"{problem}; the next run catches up")


@contextmanager
def _harmless(name: str) -> Iterator[None]:
    """Log what goes wrong, and go on."""
    try:
        yield
    except (Problem, filelock.Timeout) as problem:
        log.warning(name, lost=f"{problem}; the next run catches up")
    except Exception:
        log.exception(name, lost="the next run catches up")


def _module(name: str) -> Any:
    return import_module(name, __package__) if name[1:].isidentifier() and find_spec(name, __package__) else None


def _keep(tracker: Tracker, run: Run, mark: str) -> dict[str, Any]:
    known = tracker.keep(run)
    (run.folder / mark).touch()
    run.share()
    return known


def _missed(runs: Runs, mark: str, run: Run | None = None) -> list[Run]:
    """The runs kept here that ended without that mark, but for one that is being kept; oldest first."""
    others = [Run.open(runs, run_id) for run_id in lacking(runs, mark) if not run or run_id != run.record.run_id]
    return sorted(
        (other for other in others if other.record.status != "running"), key=lambda other: other.record.started_at
    )
