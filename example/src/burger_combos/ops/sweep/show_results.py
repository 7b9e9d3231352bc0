"""What the terminal shows of a sweep: its trials, the best one first, and its settings as a diff to commit."""

from pathlib import Path
from typing import Any

from rich.table import Table

from .. import settings_files
from ..plots import distinct_digits
from ..printing import print_json, print_table
from ..problems import Problem
from ..runs import Run, sweeps
from ..settings import Runs, Stage, StageSettings
from . import toml_edit
from .comparison import Comparison, Outcome, compare, metric_of, value_of
from .plan import Plan, as_text, compared, done, read


def sweep(settings: StageSettings, sweep_id: str, *, as_json: bool = False) -> None:
    """Show what came of a sweep.

    Args:
        settings: those of its stage.
        sweep_id: which; `last` for the last one.
        as_json: as an object of JSON, and nothing else.

    Raises:
        Problem: there is no such sweep, or it has compared nothing yet.
    """
    plan = read(settings.runs, sweep_id)
    first = done(plan, settings.runs, 0)
    if first is None or compared(plan, first) is None:
        raise Problem(f"sweep {plan.sweep_id} has compared nothing: the settings of now have not measured its metric")
    found = compare(plan, settings.runs)
    if as_json:
        print_json(_as_json(plan, found))
    else:
        report(plan, found)


def report(plan: Plan, found: Comparison) -> None:
    """Print the trials, what the best one is worth, and its diff."""
    metric = metric_of(found.now)
    print_table(_table(plan, found))
    less = ", less is better" if metric.better == "lower" else ""
    print(
        f"\nsweep    {plan.sweep_id} for {plan.date}, {_counted(len(plan.trials) - 1)} beside the settings of now\n"
        f"metric   {metric.label}{less}\ncommit   {plan.git_commit}"
    )
    if data := found.now.data.get("hash"):
        print(f"data     {found.now.data['rows']:,} rows, hash {data}")
    for problem, which in _by_problem(found.left_out).items():
        numbers = ", ".join(str(each.index) for each in which)
        print(f"trial{'s' * (len(which) > 1)} {numbers}: {problem}; make logs {_of(plan.stage)}RUN={which[0].run_id}")
    print()
    _conclude(plan, found)


def trial(runs: Runs, run_id: str) -> bool:
    """Show a trial by the id of its run; whether there is one of that id."""
    if not Run.exists(sweeps(runs), run_id):
        return False
    record = Run.open(sweeps(runs), run_id).record
    about = record.facts.get("sweep", {})
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, values in record.metrics.items():
        baselines = ", ".join(f"{each} {value:g}" for each, value in values["baselines"].items())
        table.add_row("metric", name, f"{values['value']:g}" + (f", baselines: {baselines}" if baselines else ""))
    for name, value in about.get("settings", {}).items():
        table.add_row("setting", name, as_text(value))
    for step, seconds in record.steps.items():
        table.add_row("seconds", step, f"{seconds:g}")
    print_table(table)
    told = f"{record.status}{': ' * bool(record.problem)}{record.problem}"
    print(f"\ntrial    {about.get('trial')} of sweep {about.get('id')} for {record.date}: {told}")
    print(f"commit   {record.git_commit}\nrun      {run_id}, which publishes nothing")
    return True


def line(plan: Plan, run: Run, index: int) -> str:
    """What came of a trial, in a line."""
    record = run.record
    told = record.headline if record.status == "ok" else f"{record.status}: {record.problem}"
    return f"trial {index:<3} {record.seconds:7.1f} s  {told}  ({plan.told(index)})"


def _table(plan: Plan, found: Comparison) -> Table:
    names = list(plan.trials[-1])
    table = Table("trial", *names, metric_of(found.now).label, "seconds", "", box=None, pad_edge=False)
    values = distinct_digits([value_of(each) for each in found.ranked])
    best = found.best if not found.alike else []
    for each, value in zip(found.ranked, values, strict=True):
        about = ["best"] * (each in best) + ["settings of now"] * (each.index == 0)
        table.add_row(*_cells(plan, each, names), value, f"{each.seconds:.1f}", ", ".join(about))
    for each in found.left_out:
        table.add_row(*_cells(plan, each, names), "-", f"{each.seconds:.1f}", "not compared")
    return table


def _cells(plan: Plan, one: Outcome, names: list[str]) -> list[str]:
    values = plan.settings | one.settings
    return [str(one.index), *(as_text(values.get(name)) for name in names)]


def _conclude(plan: Plan, found: Comparison) -> None:
    """Say which trial is the best, how certain that is, and what to change for it."""
    best, metric = found.best, metric_of(found.now)
    if len(found.ranked) == 1:
        raise Problem(f"no trial can be compared with the settings of now; the first: {found.left_out[0].problem}")
    if found.alike:
        print(f"All {len(found.ranked)} have the same {metric.label}: it does not depend on these settings.")
        return
    if best[0].index == 0:
        tied = f", as {_counted(len(best) - 1)} that {'ties' if len(best) == 2 else 'tie'} with them" * (len(best) > 1)
        print(f"The settings of now are the best{tied}: {found.line()}. Nothing is to be changed.")
        return
    chosen = min(best, key=lambda each: (len(_changes(plan, each)), each.index))
    print(f"Trial {chosen.index} is the best: {found.line()}")
    if len(best) > 1:
        others = ", ".join(str(each.index) for each in best if each is not chosen)
        print(f"It ties with {others}; of them it changes the fewest settings, or is the first.")
    if metric.best_baseline() and not metric_of(chosen).beats_baselines(1):
        print("It is no better than the best baseline.")
    print(
        f"The best of {len(found.ranked)} on the same held-out rows is partly luck: expect less of it on new data.\n"
        f"To take its settings: make results {_of(plan.stage)}SWEEP={plan.sweep_id} | git apply\n"
    )
    _diff(plan, _changes(plan, chosen))


def _changes(plan: Plan, one: Outcome) -> dict[str, Any]:
    """The settings that a trial has otherwise than they are now."""
    return {name: value for name, value in one.settings.items() if plan.settings.get(name) != value}


def _diff(plan: Plan, changes: dict[str, Any]) -> None:
    """Print what to change in the settings files, as `git apply` takes it, or in words where that cannot be."""
    by_file: dict[Path, dict[str, Any]] = {}
    for name, value in changes.items():
        file = settings_files.holder(plan.stage, name.split("."), platform=False)
        by_file.setdefault(file, {})[name] = value
    for file, values in by_file.items():
        with file.open(encoding="utf-8", newline="") as text:
            old = text.read()
        new = toml_edit.changed(old, values)
        if new is None:
            print(*(f"{file}: {name} = {toml_edit.as_toml(value)}" for name, value in values.items()), sep="\n")
        elif new == old:
            print(f"{file} has these settings already.")
        else:
            print(toml_edit.diff(file.as_posix(), old, new), end="")


def _as_json(plan: Plan, found: Comparison) -> dict[str, Any]:
    metric = metric_of(found.now)
    return {
        "sweep": plan.sweep_id,
        "stage": plan.stage,
        "date": plan.date,
        "commit": plan.git_commit,
        "metric": metric.name,
        "better": metric.better,
        "baselines": dict(metric.baselines),
        "best": [each.index for each in found.best],
        "trials": [
            {
                "trial": each.index,
                "run": each.run_id,
                "settings": each.settings,
                "value": each.metric.value if each.metric else None,
                "seconds": each.seconds,
                "problem": each.problem,
            }
            for each in [*found.ranked, *found.left_out]
        ],
    }


def _by_problem(left_out: list[Outcome]) -> dict[str, list[Outcome]]:
    """The trials that are not compared, by the reason."""
    found: dict[str, list[Outcome]] = {}
    for each in left_out:
        found.setdefault(each.problem, []).append(each)
    return found


def _of(stage: str) -> str:
    """What a verb is told of the stage."""
    return f"STAGE={stage} " * (stage != Stage.develop)


def _counted(trials: int) -> str:
    return f"{trials} trial{'s' * (trials != 1)}"
