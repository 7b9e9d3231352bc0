"""The command line. Each command imports what it needs, so that looking is quick."""

import sys
from datetime import date, datetime, timedelta
from typing import Annotated

import typer

from .problems import Problem, told_in_one_line
from .settings import Stage, enter_project, load

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

StageOption = Annotated[Stage, typer.Option(help="Whose settings, database and runs.")]
DateOption = Annotated[
    datetime | None,
    typer.Option(
        "--date", formats=["%Y-%m-%d"], help="The day to recommend for, from the orders before it. [default: today]"
    ),
]


@app.command()
def run(stage: StageOption = Stage.develop, day: DateOption = None) -> None:
    """All steps, from the orders to the day's rows in the database."""
    enter_project(stage)
    from ..pipeline import Settings
    from . import execute, show

    done = execute.run_all(load(Settings, stage), _day(day))
    try:
        show.results(stage, rows=10, day=done.record.date)
    except Problem as problem:  # the rows are in place all the same
        print(f"warning: the results cannot be shown: {problem}", file=sys.stderr)


@app.command()
def step(
    name: Annotated[str, typer.Argument(help="load, check, train, evaluate, gate, recommend or publish.")],
    run_id: Annotated[str, typer.Option(help="The run that the step belongs to; the first step begins it.")],
    stage: StageOption = Stage.develop,
    day: DateOption = None,
) -> None:
    """One step of a run, in a process of its own."""
    enter_project(stage)
    from ..pipeline import Settings
    from . import execute

    if name not in execute.NAMES:
        raise Problem(f"no step {name!r}: the steps are {', '.join(execute.NAMES)}")
    execute.run_step(load(Settings, stage), name, run_id, _day(day))


@app.command()
def status(stage: Annotated[Stage | None, typer.Option(help="Only this stage.")] = None) -> None:
    """The last run of each stage, what came of it, and from which commit."""
    enter_project(stage or Stage.develop)
    from . import show

    show.status([stage] if stage else list(Stage))


@app.command()
def logs(
    stage: StageOption = Stage.develop,
    run_id: Annotated[str, typer.Option("--run", help="A run's id. [default: the last]")] = "",
) -> None:
    """The log of a run."""
    enter_project(stage)
    from . import show

    show.logs(stage, run_id)


@app.command()
def results(
    stage: StageOption = Stage.develop,
    customer: Annotated[str, typer.Option(help="Only this customer's row.")] = "",
    rows: Annotated[int, typer.Option(min=1, help="How many rows.")] = 10,
) -> None:
    """The newest rows, and which run and commit wrote them."""
    enter_project(stage)
    from . import show

    show.results(stage, rows, customer)


def main() -> None:
    """Run the command line."""
    with told_in_one_line():
        app()


def _day(given: datetime | None) -> date:
    today = date.today()
    if given is None:
        return today
    if given.year < 1970:
        raise Problem(f"--date {given:%Y-%m-%d} is before 1970")
    if given.date() > today + timedelta(days=1):
        raise Problem(f"--date {given:%Y-%m-%d} is in the future: its orders are not known yet")
    return given.date()
