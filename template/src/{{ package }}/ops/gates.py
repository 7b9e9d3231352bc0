"""The gates before a deployment: a version on trial, on the data of its stage, publishing nothing.

Each trial is a process of its own, so that its memory is its own too.
"""

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from . import code_errors, needs, records, training
from .databases import NotThere
from .databases.urls import without_password
from .dry_run import WouldPublish, no_writing
from .fingerprint import RAW
from .holdout import measured_on
from .metrics import Metric, measured, value_of
from .plots import distinct_digits
from .problems import Problem, Refused
from .published import declared
from .runs import Record, Run, new_id, trials_folder
from .scale_check_rows import resize
from .settings import Deploy, Runs, Stage, StageSettings, load
from .shards import perform
from .steps import names
from .version import commit, short

QUICK = 5.0  # seconds; a growth of less may come from other work on the machine
SMALL = 50.0  # MB; a growth of less is noise
CLI = [sys.executable, "-Pm", f"{__package__}.cli"]
PREPARED = "prepared.json"  # in a trial's folder: its size, and whether its first step goes on to the next
STATUS = Path("/proc/self/status")
UNMEASURED = "no metric is measured, so nothing is compared"


@dataclass(frozen=True)
class Gate:
    """What a gate found."""

    name: str
    passed: bool
    finding: str


@dataclass(frozen=True)
class Trial:
    """What came of a run of the steps up to the one that would publish."""

    factor: float
    size: int = 0
    by: str = ""  # what the size is counted in: a column whose different values count, or `rows`
    numbers: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    gates: list[dict[str, object]] = field(default_factory=list)  # what the project's own gate says
    holdout: dict[str, dict[str, Any]] = field(default_factory=dict)  # what `ops/holdout.py` held out
    own_resize: bool = False
    also: dict[str, int] = field(default_factory=dict)  # the size in other columns that grow
    problem: str = ""
    seconds: float = 0
    memory_mb: float = 0  # above what the libraries take, ...
    libraries_mb: float = 0  # ... which is this
    not_tried: list[str] = field(default_factory=list)  # the steps after the one that would publish


def judge(stage: Stage, settings: StageSettings) -> Iterator[Gate]:
    """Put this version on trial, beside the one that runs now and at growing sizes; what fails ends the trials.

    Raises:
        Problem: the stage's database cannot be reached, or its `[resources]` are not right.
    """
    from ..pipeline import STEPS

    deploy, memory_mb = settings.deploy, needs.largest_memory(needs.of_steps(settings, names(STEPS)).values())
    running = training.measured(settings, records.good(settings))  # on whose day both can be compared
    day = running.date if running else datetime.now(ZoneInfo(settings.schedule.timezone)).date()
    trial = _try(stage, day, 1)
    if trial.problem:
        yield Gate("pipeline", False, trial.problem)
        return
    read, rejected = trial.numbers.get("rows_read", 0), trial.numbers.get("rows_rejected", 0)
    after = f"; nothing is published, so not tried: {', '.join(trial.not_tried)}" if trial.not_tried else ""
    yield Gate("data", True, f"{rejected:,.0f} of {read:,.0f} rows set aside, for {day}{after}")
    yield from (Gate(str(each["gate"]), bool(each["passed"]), str(each["finding"])) for each in trial.gates)
    yield _against_production(deploy, trial, running)
    if all(each["passed"] for each in trial.gates) and deploy.scale.factors:
        yield from _at_scale(settings, day, trial, memory_mb)


def show(found: Iterable[Gate]) -> None:
    """Each gate as it is judged.

    Raises:
        Refused: one of them refuses, or more.
    """
    refused = []
    for gate in found:
        print(f"{'✓' if gate.passed else '✗'} {gate.name:24} {gate.finding}", flush=True)
        refused += [] if gate.passed else [gate.name]
    if refused:
        raise Refused(f"refused by {', '.join(refused)}")


def _against_production(deploy: Deploy, trial: Trial, running: Record | None) -> Gate:
    """Whether the metric that counts is as good as that of the version in production."""
    name, share = "as good as production", deploy.min_of_production
    metric = measured(trial.metrics, deploy.metric)
    if metric is None and deploy.metric:
        return Gate(name, False, _not_measured(deploy.metric, trial))
    if share == 0:
        return Gate(name, True, "not compared, as deploy.min_of_production is 0")
    if metric is None:
        if running and running.metrics:
            return Gate(name, False, f"no metric is measured, and production has {', '.join(running.metrics)}")
        return Gate(name, True, UNMEASURED)
    if running is None:
        return Gate(name, True, "nothing to compare with yet")
    theirs = value_of(running, metric.name)
    if theirs is None:
        has = f", only {', '.join(running.metrics)}" if running.metrics else ""
        return Gate(name, True, f"not compared: production has no {metric.name}{has}")
    direction = running.metrics.get(metric.name, {}).get("better", metric.better)
    if direction != metric.better:
        found = f"{metric.name}: {metric.better} is better here, {direction} is better in production: give the metric "
        found += "another name, or set deploy.min_of_production = 0 for this deployment"
        return Gate(name, False, found)
    mine, other = distinct_digits([metric.value, theirs])
    found = f"{metric.label} {mine}, production {other} by {short(running.git_commit)} for {running.date}"
    found += f"{_direction(metric)}; deploy.min_of_production is {share:g}"
    return Gate(name, metric.good_enough_beside(theirs, share), found)


def _not_measured(name: str, trial: Trial) -> str:
    """Why the metric that is to count does not, and what to do."""
    line = f'run.measure("{name}", value, better="higher") or, where less is better, better="lower"'
    if name in trial.numbers:
        return f"{name} (deploy.metric) is a number without a direction; in the step that computes it, write {line}"
    return f"{name} (deploy.metric) is not measured; in the step that computes it, write {line}"


def _direction(metric: Metric) -> str:
    return " (less is better)" if metric.better == "lower" else ""


def _at_scale(settings: StageSettings, day: date, trial: Trial, memory_mb: int) -> Iterator[Gate]:
    """What growing sizes show; of the memory that is said, the libraries take some, which counts in a container."""
    scale = settings.deploy.scale
    metric = measured(trial.metrics, settings.deploy.metric)
    trials = []
    label = metric.label if metric else ""
    counted, measuring = max(12, len(trial.by)), max(12, len(label))  # the widths of these columns
    also = {name: max(12, len(name)) for name in trial.also}
    others = "".join(f" {name:>{width}}" for name, width in also.items())
    print(f"    {'':8} {trial.by:>{counted}}{others} {label:>{measuring}} {'seconds':>9} {'MB':>7}")
    for factor in sorted({*scale.factors}):
        each = trial if factor == 1 else _try(settings.stage, day, factor)
        if each.problem:
            yield Gate("scale", False, f"at {factor:g} times the size: {each.problem}")
            return
        found = measured(each.metrics, metric.name) if metric else None
        quality = f"{found.value:.4f}" if found else "-" if metric else ""
        spent = f"{each.seconds:9.2f} {each.memory_mb:7.0f}"
        others = "".join(f" {each.also.get(name, 0):{width},}" for name, width in also.items())
        print(f"    {factor:6g} × {each.size:{counted},}{others} {quality:>{measuring}} {spent}", flush=True)
        trials.append(each)
    records.note_trials(settings, commit(), [asdict(each) for each in trials])
    yield _quality(metric, trial, trials[-1], scale.min_quality)
    sizes = [each.size for each in trials]
    seconds = [each.seconds for each in trials]
    yield _growth("time", sizes, seconds, "s", QUICK, scale.max_seconds, scale.max_exponent)
    memory = [each.memory_mb for each in trials]
    most, libraries = (memory_mb, trials[-1].libraries_mb) if memory_mb else (scale.max_memory_mb, 0)
    yield _growth("memory", sizes, memory, "MB", SMALL, most, scale.max_exponent, libraries)


def _quality(metric: Metric | None, trial: Trial, last: Trial, share: float) -> Gate:
    """Whether the metric holds at the largest size, beside today's, whose rows it has in copies.

    At fewer rows it differs by chance. Copies say nothing where some of a row's are held out and others are not.
    """
    name = "scale: quality"
    if metric is None:
        return Gate(name, True, UNMEASURED)
    if last.factor <= 1:
        return Gate(name, True, "not compared: no size of deploy.scale.factors is above today's")
    if not last.own_resize and (reason := _leak(trial, last)):
        return Gate(name, True, f"not compared: {reason}")
    found = measured(last.metrics, metric.name)
    if found is None:
        return Gate(name, False, f"no {metric.label} at {last.size:,}")
    mine, today = distinct_digits([found.value, metric.value])
    told = f"{metric.label} {mine} at {last.size:,}, {today} at {trial.size:,}{_direction(metric)}"
    return Gate(name, found.good_enough_beside(metric.value, share), f"{told}; deploy.scale.min_quality is {share:g}")


def _leak(trial: Trial, last: Trial) -> str:
    """Why some copies of a row may be held out while others are learnt from; empty where they are on one side."""
    if not last.holdout:
        return (
            "some copies of a row may be held out while others are learnt from; hold out by holdout.last_days or "
            "holdout.by_key (ops/holdout.py), or write resize(raw, factor) in pipeline.py"
        )
    now, today = last.holdout.get("by_key"), trial.holdout.get("by_key")
    if now and today and (strange := now["keys"] - now["copies"] - today["keys"]) > 0:
        return (
            f"holdout.by_key takes {strange:,} copies for other keys, as they are not written as in column "
            f"{last.by!r} of {RAW}; hand it that column, or write resize(raw, factor) in pipeline.py"
        )
    return ""


def _growth(
    name: str,
    sizes: list[int],
    spent: list[float],
    unit: str,
    noise: float,
    most: float,
    steepest: float,
    fixed: float = 0,
) -> Gate:
    """Whether what is spent keeps to its budget, and its growth, fitted as a power of the size, to its exponent."""
    beside = f" and {fixed:,.1f} of libraries" if fixed else ""
    found = f"{spent[-1]:,.1f} {unit}{beside} at {sizes[-1]:,}, at most {most:,g}"
    passed = spent[-1] + fixed <= most
    if len(set(sizes)) > 1:
        if max(spent) - min(spent) < noise:
            return Gate(f"scale: {name}", passed, f"{found}; too little to fit a growth to")
        logs = np.log(sizes), np.log(np.maximum(spent, 1e-3))
        exponent = float(np.polyfit(*logs, 1, w=spent)[0])  # by weight, as what does not grow hides it in the small
        found += f"; grows with their number to the power of {exponent:.2f}, at most {steepest:g}"
        passed = passed and exponent <= steepest
    return Gate(f"scale: {name}", passed, found)


def _try(stage: Stage, day: date, factor: float) -> Trial:
    """A trial in another process; what it says beside its problem is passed on."""
    options = ["--stage", stage, "--date", str(day), "--factor", str(factor)]
    done = subprocess.run([*CLI, "trial", *options], capture_output=True, encoding="utf-8")
    if done.returncode == 0:
        return Trial(**json.loads(done.stdout.splitlines()[-1]))
    ended = f"ended with exit code {done.returncode}"
    if done.returncode == -signal.SIGKILL:
        ended = "killed, as where memory runs out: resources.memory_mb says how much there is"
    said = [line for line in done.stderr.splitlines() if line.strip()] or [ended]
    problem = next((line for line in reversed(said) if line.startswith("error: ")), said[-1])
    sys.stderr.writelines(f"{line}\n" for line in said if line != problem)
    return Trial(factor, problem=problem.removeprefix("error: "))


def trial(stage: Stage, day: date, factor: float) -> None:
    """The steps up to the one that would publish; print what came of it as a line of JSON.

    The first step, and making its table larger or smaller, are another process's: what they take is no part of the
    memory that the steps after them do.

    Raises:
        Problem: a step cannot do its work.
    """
    from .. import pipeline

    settings = load(pipeline.Settings, stage)
    runs, run_id = _trials(settings), new_id()
    options = ["--stage", stage, "--date", str(day), "--factor", str(factor), "--prepare", run_id]
    try:
        code = subprocess.run([*CLI, "trial", *options]).returncode
        if code:
            killed = f"error: signal {-code} ended the process that fetches and resizes the data"
            raise SystemExit(code if code > 0 else killed)
        run = Run.open(runs, run_id)
        record, others = run.record, list(pipeline.STEPS[1:])
        prepared = json.loads(run.path(PREPARED).read_text(encoding="utf-8"))
        goes_on = bool(prepared.pop("goes_on"))
        before, start = peak(), datetime.now().timestamp()
        while others and goes_on:
            goes_on = tried(others.pop(0), run, settings)
        seconds = datetime.now().timestamp() - start
        counted = measured(record.metrics, settings.deploy.metric)
        result = Trial(
            factor,
            **prepared,
            numbers=record.numbers,
            metrics=record.metrics,
            gates=record.facts.get("gates", []),
            holdout=measured_on(run, counted.name if counted else ""),
            own_resize=hasattr(pipeline, "resize"),
            seconds=seconds,
            memory_mb=max(0.0, peak() - before),
            libraries_mb=before,
            not_tried=[step.__name__ for step in others],
        )
        print(json.dumps(asdict(result), default=float))
    finally:
        shutil.rmtree(runs.folder / run_id, ignore_errors=True)


def prepare(stage: Stage, day: date, factor: float, run_id: str) -> None:
    """The first step of a trial, and the size of what it fetched, in this process; the run's folder keeps both.

    Raises:
        Problem: the step cannot do its work, or its table cannot have that size.
    """
    from .. import pipeline

    settings = load(pipeline.Settings, stage)
    training.marked_steps(settings, pipeline.STEPS)
    run = Run.create(_trials(settings), stage, day, run_id)
    first = pipeline.STEPS[0]
    goes_on = tried(first, run, settings)
    with code_errors.named("resize"):
        size = resize(run, factor, settings.deploy.scale, declared(), getattr(pipeline, "resize", None))
    if size:
        run.record.numbers["rows_read"] = size.rows
    elif factor != 1:
        raise Problem(f"step {first.__name__} leaves no {RAW} to resize: deploy.scale.factors = [] goes without")
    found = {"size": size.size, "by": size.by, "also": size.also} if size else {}
    run.path(PREPARED).write_text(json.dumps(found | {"goes_on": goes_on}) + "\n", encoding="utf-8")
    run.save()


def _trials(settings: StageSettings) -> Runs:
    """Where trials leave their files until they end: beside the runs, on this machine."""
    return Runs(folder=trials_folder(settings.runs), shards=settings.runs.shards)


def tried(step: Callable[..., None], run: Run, settings: StageSettings) -> bool:
    """Execute a step on trial; whether the trial goes on after it, as it does where the step publishes nothing."""
    try:
        with no_writing(), code_errors.named(step.__name__):
            perform(step, run, settings)
    except WouldPublish:
        return False
    except NotThere as problem:  # a run makes the stage's database before its first step, a trial does not
        if str(problem).startswith(without_password(settings.database.url.get_secret_value())):
            return False
        raise
    except Refused:
        if "gates" not in run.record.facts:
            raise
    return True


def peak() -> float:
    """The most memory that this process has had so far, in MB."""
    if STATUS.exists():  # Linux, where what `getrusage` tells begins with the memory of who started the process
        return int(re.findall(r"VmHWM:\s+(\d+) kB", STATUS.read_text(encoding="utf-8"))[0]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1024 / (1024 if sys.platform == "darwin" else 1)
