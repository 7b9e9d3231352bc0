"""Print the log or the report of a run."""

import sys
import time

from . import report
from .logs import renderer
from .problems import Problem
from .runs import Run, kept, names, sweeps
from .settings import Stage, StageSettings, load
from .terminal import shows_colors


def logs(stage: Stage, run_id: str, *, follow: bool = False) -> None:
    """The log of a run, or of the last one; with `follow` as it grows, until the run ends."""
    settings = load(StageSettings, stage)
    if run_id and run_id not in names(settings.runs) and Run.exists(sweeps(settings.runs), run_id):
        run = Run.open(sweeps(settings.runs), run_id)  # a trial
    else:
        run = Run.open(settings.runs, _run_id(settings, stage, run_id))
    render = renderer(colors=shows_colors(sys.stdout))
    shown: dict[str, int] = {}
    going_on = True
    while going_on:
        going_on = follow and run.is_alive()
        for event in run.log(shown):
            event.pop("run_id", None)
            if "timestamp" in event:
                event["timestamp"] = event["timestamp"][:19]
                print(render(None, "", event), flush=follow)
            else:
                print(event["event"], flush=follow)
        if going_on:
            time.sleep(0.5)


def report_page(stage: Stage, run_id: str) -> str:
    """The report of a run, or of the last one.

    Raises:
        Problem: there is no such run, or none of it.
    """
    settings = load(StageSettings, stage)
    run_id = _run_id(settings, stage, run_id)
    file = kept(settings.runs, run_id, report.FILE)
    if file is None:
        raise Problem(f"run {run_id} has no report")
    return file.read_text(encoding="utf-8")


def _run_id(settings: StageSettings, stage: Stage, run_id: str) -> str:
    known = names(settings.runs)
    where = settings.runs.store or settings.runs.folder
    if not known:
        raise Problem(f"{where}: no runs yet in {stage}")
    if run_id and run_id not in known:
        raise Problem(f"{where}: no run {run_id!r}; the newest is {known[-1]}")
    return run_id or known[-1]
