"""The gates before a deployment: a version on trial, on the data of its stage, publishing nothing.

Each trial is a process of its own, so that its memory is its own too.
"""

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from . import faults, records
from .fingerprint import RAW
from .problems import Problem, Refused
from .runs import Record, Run
from .settings import Deploy, Runs, Stage, StageSettings, load
from .shards import perform
from .store import NotThere, without_password
from .trials import WouldPublish, no_writing
from .version import commit, short

QUICK = 1.0  # seconds; a growth of less is noise
SMALL = 50.0  # MB, likewise


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
    size: int = 0  # how many values `deploy.scale.by` has
    numbers: dict[str, float] = field(default_factory=dict)
    gates: list[dict[str, object]] = field(default_factory=list)  # what the project's own gate says
    problem: str = ""
    seconds: float = 0
    memory_mb: float = 0  # above what the libraries take
    not_tried: list[str] = field(default_factory=list)  # the steps after the one that would publish


def resized(rows: pl.DataFrame, by: str, factor: float) -> pl.DataFrame:
    """The rows of fewer or of more values of a column: a part of them as they are, or copies under other names.

    Args:
        rows: what the first step fetched.
        by: the column, as `customer`.
        factor: how many times as many values.

    Raises:
        Problem: there is no such column.
    """
    if by not in rows.columns:
        raise Problem(f"deploy.scale.by: no column {by!r} in raw.parquet, only {', '.join(map(repr, rows.columns))}")
    if factor == 1:
        return rows
    rows = rows.with_columns(pl.col(by).cast(pl.String))
    copies = [rows.with_columns(pl.format("{}~{}", pl.col(by), pl.lit(copy))) for copy in range(1, int(factor))]
    part = rows.filter(pl.col(by).hash(0) % 10_000 < round(factor % 1 * 10_000))
    if factor > 1:
        return pl.concat([rows, *copies, part.with_columns(pl.format("{}~part", pl.col(by)))])
    return part


def judge(stage: Stage, settings: StageSettings) -> Iterator[Gate]:
    """Put this version on trial, beside the one that runs now and at growing sizes; what fails ends the trials.

    Raises:
        Problem: the stage's database cannot be reached.
    """
    deploy = settings.deploy
    running = records.good(settings)  # on whose day both can be compared
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
        yield from _at_scale(settings, day, trial)


def _against_production(deploy: Deploy, trial: Trial, running: Record | None) -> Gate:
    name = "as good as production"
    mine = trial.numbers.get(deploy.metric)
    theirs = running.numbers.get(deploy.metric) if running else None
    if running is None or theirs is None:
        return Gate(name, True, "nothing to compare with yet")
    if mine is None:
        return Gate(name, False, f"no {deploy.metric} (deploy.metric), which production has")
    found = f"{deploy.metric} {mine:.4g}, production {theirs:.4g} by {short(running.git_commit)} for {running.date}"
    found += f"; deploy.min_of_production is {deploy.min_of_production:g}"
    return Gate(name, mine >= deploy.min_of_production * theirs, found)


def _at_scale(settings: StageSettings, day: date, trial: Trial) -> Iterator[Gate]:
    deploy, scale = settings.deploy, settings.deploy.scale
    trials = []
    print(f"    {'':8} {scale.by:>12} {deploy.metric:>12} {'seconds':>9} {'MB':>7}")
    for factor in sorted({*scale.factors}):
        each = trial if factor == 1 else _try(settings.stage, day, factor)
        if each.problem:
            yield Gate("scale", False, f"at {factor:g} times the {scale.by}s: {each.problem}")
            return
        quality = each.numbers.get(deploy.metric, float("nan"))
        print(
            f"    {factor:6g} × {each.size:12,} {quality:12.4f} {each.seconds:9.2f} {each.memory_mb:7.0f}", flush=True
        )
        trials.append(each)
    records.note_trials(settings, commit(), [asdict(each) for each in trials])
    last = trials[-1]  # beside today's, whose customers it has in copies: fewer ones differ by chance
    worst, best = last.numbers.get(deploy.metric, 0), trial.numbers.get(deploy.metric, 0)
    fell = f"{deploy.metric} {worst:.4g} at {last.size:,}, {best:.4g} at {trial.size:,}"
    fell += f"; deploy.scale.min_quality is {scale.min_quality:g}"
    yield Gate("scale: quality", worst >= scale.min_quality * best, fell)
    sizes = [each.size for each in trials]
    seconds = [each.seconds for each in trials]
    yield _growth("time", sizes, seconds, "s", QUICK, scale.max_seconds, scale.max_exponent)
    memory = [each.memory_mb for each in trials]
    yield _growth("memory", sizes, memory, "MB", SMALL, scale.max_memory_mb, scale.max_exponent)


def _growth(
    name: str, sizes: list[int], spent: list[float], unit: str, noise: float, most: float, steepest: float
) -> Gate:
    """Whether what is spent keeps to its budget, and its growth, fitted as a power of the size, to its exponent."""
    found = f"{spent[-1]:,.1f} {unit} at {sizes[-1]:,}, at most {most:,g}"
    passed = spent[-1] <= most
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
    done = subprocess.run(
        [sys.executable, "-Pm", f"{__package__}.cli", "trial", *options], capture_output=True, encoding="utf-8"
    )
    if done.returncode == 0:
        return Trial(**json.loads(done.stdout.splitlines()[-1]))
    said = [line for line in done.stderr.splitlines() if line.strip()] or [f"ended with exit code {done.returncode}"]
    problem = next((line for line in reversed(said) if line.startswith("error: ")), said[-1])
    sys.stderr.writelines(f"{line}\n" for line in said if line != problem)
    return Trial(factor, problem=problem.removeprefix("error: "))


def trial(stage: Stage, day: date, factor: float) -> None:
    """The steps up to the one that would publish, in this process; print what came of it as a line of JSON.

    Raises:
        Problem: a step cannot do its work.
    """
    from ..pipeline import STEPS, Settings

    settings = load(Settings, stage)
    run = Run.create(Runs(folder=settings.runs.folder.parent / "trials", shards=settings.runs.shards), stage, day)
    first, *others = STEPS
    try:
        goes_on = _tried(first, run, settings)
        raw = run.path(RAW)
        scale = settings.deploy.scale
        size = 0
        if raw.exists():
            rows = resized(pl.read_parquet(raw), scale.by, factor)
            rows.write_parquet(raw)
            size = rows[scale.by].drop_nulls().n_unique()
            run.record.numbers["rows_read"] = len(rows)
            del rows
        elif factor != 1:
            raise Problem(
                f"step {first.__name__} leaves no raw.parquet to resize: deploy.scale.factors = [] goes without"
            )
        before, start = _peak(), datetime.now().timestamp()
        while others and goes_on:
            goes_on = _tried(others.pop(0), run, settings)
        seconds = datetime.now().timestamp() - start
        result = Trial(
            factor=factor,
            size=size,
            numbers=run.record.numbers,
            gates=run.record.facts.get("gates", []),
            seconds=seconds,
            memory_mb=max(0.0, _peak() - before),
            not_tried=[step.__name__ for step in others],
        )
        print(json.dumps(asdict(result), default=float))
    finally:
        shutil.rmtree(run.folder, ignore_errors=True)


def _tried(step: Callable[..., None], run: Run, settings: StageSettings) -> bool:
    """Execute a step on trial; whether the trial goes on after it, as it does where the step publishes nothing."""
    try:
        with no_writing(), faults.named(step.__name__):
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


def _peak() -> float:
    """The most memory that this process has had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
