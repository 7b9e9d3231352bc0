"""The command line. Each command imports what it needs, so that looking is quick."""

import gc
import json
import sys
from datetime import date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError

from . import code_errors
from .problems import Problem, meant, stoppable, told_in_one_line
from .settings import Stage, StageSettings, enter_project, load, no_stage
from .settings_errors import expectation
from .terminal import print_utf8

INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

StageOption = Annotated[Stage, typer.Option(help="The stage to take settings, database and runs from.")]
DateOption = Annotated[
    datetime | None,
    typer.Option("--date", formats=["%Y-%m-%d"], help="The day to work for, from the data before it. [default: today]"),
]
KindOption = Annotated[str, typer.Option(hidden=True)]  # one of runs.KINDS
RunOption = typer.Option("--run", help="The id of a run. [default: the last]")


@app.command()
def run(
    stage: StageOption = Stage.develop,
    day: DateOption = None,
    run_id: Annotated[str | None, typer.Option(help="The id to give the run. [default: made of the time]")] = None,
    shard: Annotated[
        int | None,
        typer.Option(
            min=0, help="Do this share of a run that runs.shards processes execute; 0 does the other steps, too."
        ),
    ] = None,
    kind: KindOption = "daily",
) -> None:
    """Run all steps, from the data to the day's rows in the database."""
    enter_project(stage)
    gc.disable()  # what is imported stays: to look for garbage in it takes a tenth of the time, and again at the end
    from ..pipeline import Settings
    from . import execute, show_results
    from .printing import read_in_part

    gc.freeze()
    gc.enable()
    settings = load(Settings, stage)
    if kind == "daily" and day and day.date() < _today(settings):
        _warn_of_present(settings, day.date())
    with stoppable():
        if shard is not None:
            if run_id is None:
                raise Problem("--shard: of which run? --run-id, the same for all processes")
            execute.run_share(settings, run_id, _day(day, settings), shard)
            return
        done = execute.run_all(settings, _day(day, settings), run_id, kind)
    try:
        with read_in_part():
            show_results.results(stage, 10, day=done.record.date)
    except Problem as problem:  # the rows are in place all the same
        print(f"warning: the results cannot be shown: {problem}", file=sys.stderr)


@app.command()
def backfill(
    stage: StageOption = Stage.develop,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day, which is the oldest.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day.")] = None,
    redo: Annotated[bool, typer.Option("--redo", help="Also the days that this version has done.")] = False,
    start: Annotated[str, typer.Option(hidden=True)] = "",  # a command as JSON that has a scheduler begin a day's run
) -> None:
    """Run past days that this version has not done, each from the data as of that day."""
    enter_project(stage)
    from ..pipeline import Settings
    from .backfill import backfill

    with stoppable():
        settings = load(Settings, stage)
        days = first.date() if first else None, last.date() if last else None
        backfill(settings, *days, redo=redo, start=json.loads(start) if start else ())


@app.command()
def sweep(
    stage: StageOption = Stage.develop,
    begin: Annotated[bool, typer.Option("--begin", hidden=True)] = False,
    trial: Annotated[int, typer.Option(hidden=True)] = -1,
    end: Annotated[bool, typer.Option("--end", hidden=True)] = False,
    of: Annotated[str, typer.Option(hidden=True)] = "",
    tied: Annotated[bool, typer.Option("--tied", hidden=True)] = False,
) -> None:
    """Try settings, each combination in a trial that publishes nothing, and show the best one's as a diff."""
    enter_project(stage)
    from ..pipeline import Settings

    settings = load(Settings, stage)
    with stoppable():
        from .sweep import phases
        from .sweep.trial import end_with_parent

        if tied:
            end_with_parent()
        if trial >= 0:
            phases.trial(settings, of, trial)
        elif begin:
            plan = phases.begin(settings, of)
            parallel = settings.sweep.parallel
            print(json.dumps({"sweep": plan.sweep_id, "trials": len(plan.trials) - 1, "parallel": parallel}))
        elif end:
            phases.close(settings, of)
        else:
            phases.sweep(settings)


@app.command()
def step(
    name: Annotated[str, typer.Argument(help="The name of one of STEPS in pipeline.py.")],
    run_id: Annotated[str, typer.Option(help="The run that the step belongs to; the first step begins it.")],
    stage: StageOption = Stage.develop,
    day: DateOption = None,
    shard: Annotated[int | None, typer.Option(min=0, help="Do only this shard of it.")] = None,
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Do first what is missing of the steps before it.")
    ] = False,
    begin: Annotated[
        bool, typer.Option("--begin", help="Only begin the run: for a first step whose shards are done one by one.")
    ] = False,
    join: Annotated[
        bool, typer.Option("--join", help="Only count the step as done, once all its shards are: for a last step.")
    ] = False,
    kind: KindOption = "daily",
) -> None:
    """Run one step of a run, in a process of its own."""
    enter_project(stage)
    from ..pipeline import Settings
    from . import execute

    if name not in execute.NAMES:
        raise Problem(f"no step {name!r}: the steps are {', '.join(execute.NAMES)}{meant(name, execute.NAMES)}")
    with stoppable():
        settings = load(Settings, stage)
        if begin:
            execute.begin(settings, run_id, _day(day, settings), kind)
        elif join:
            execute.join_shards(settings, name, run_id)
        else:
            execute.run_step(settings, name, run_id, _day(day, settings), shard, catch_up=catch_up, kind=kind)


@app.command()
def status(
    stage: Annotated[Stage | None, typer.Option(help="Show only this stage.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each stage.")] = False,
    deployed: Annotated[
        typer.FileText | None, typer.Option(help="A file with what `status --json` prints where stages are deployed.")
    ] = None,
    here: Annotated[bool, typer.Option("--here/--deployed-only", help="Show also what was run here.")] = True,
) -> None:
    """Show each stage: which version, its last run and what came of it, its next."""
    enter_project(stage or Stage.develop)
    from .printing import read_in_part
    from .status import look_at, parse, show

    elsewhere = parse(deployed.read()) if deployed else {}
    stages = [each for each in ([stage] if stage else Stage) if here or each in elsewhere]
    views = [elsewhere.get(each) or look_at(each) for each in stages]
    with read_in_part():
        if as_json:
            print("\n".join(view.to_json() for view in views))
        else:
            show(views, all_deployments=stage is not None)


@app.command()
def logs(
    stage: StageOption = Stage.develop,
    run_id: Annotated[str, RunOption] = "",
    follow: Annotated[bool, typer.Option("--follow", help="Go on as it grows, until the run ends.")] = False,
) -> None:
    """Show the log of a run."""
    enter_project(stage)
    from . import show_run
    from .printing import read_in_part

    with read_in_part():
        show_run.logs(stage, run_id, follow=follow)


@app.command()
def results(
    stage: StageOption = Stage.develop,
    key: Annotated[
        str, typer.Option(help="Show only rows that have this, as 'store=S03 product=P011', or one value alone.")
    ] = "",
    day: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="The rows' day. [default: the newest]")
    ] = None,
    table: Annotated[str, typer.Option(help="Show only this table.")] = "",
    rows: Annotated[int, typer.Option(min=1, help="How many rows of each table to show.")] = 10,
    run_id: Annotated[str, RunOption] = "",
    sweep: Annotated[str, typer.Option(help="Show the trials of this sweep instead, or of the last one.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one object of JSON and nothing else.")] = False,
) -> None:
    """Show the newest rows, or those of a day, and which run and commit wrote them."""
    enter_project(stage)
    from . import show_results
    from .printing import read_in_part

    with read_in_part():
        if sweep or run_id:
            from .sweep import show_results as shown

            settings = load(StageSettings, stage)
            if sweep:
                shown.sweep(settings, sweep, as_json=as_json)
                return
            if shown.trial(settings.runs, run_id):
                return
        of = day.date() if day else None
        show_results.results(stage, rows, table=table, key=key, day=of, run_id=run_id, as_json=as_json)


@app.command()
def trace(
    key: Annotated[str, typer.Option(help="The row, as 'store=S03 product=P011', or one value alone.")] = "",
    day: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="The row's day. [default: the newest]")
    ] = None,
    table: Annotated[str, typer.Option(help="Look only in this table.")] = "",
    stage: StageOption = Stage.develop,
    rows: Annotated[int, typer.Option(min=1, help="How many rows of each table, and of the data read, to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object of JSON and nothing else.")] = False,
) -> None:
    """Show why a row is as it is: its run, version, settings and model, and what the run has read of its key."""
    enter_project(stage)
    from .printing import read_in_part
    from .trace import trace

    with read_in_part():
        trace(stage, key, rows, table=table, day=day.date() if day else None, as_json=as_json)


@app.command()
def schedule(stage: StageOption = Stage.production) -> None:
    """Run the pipeline whenever it is due, as long as this version is the one that is deployed."""
    enter_project(stage)
    from .schedule import Scheduler

    Scheduler(load(StageSettings, stage)).serve()


@app.command()
def gates(stage: StageOption = Stage.production) -> None:
    """Put this version on trial, as before a deployment; publish nothing."""
    enter_project(stage)
    from ..pipeline import Settings
    from . import gates, tracking

    settings = load(Settings, stage)
    tracking.of(settings)
    gates.show(gates.judge(stage, settings))


@app.command(hidden=True)
def trial(day: DateOption, factor: float = 1, prepare: str = "", stage: StageOption = Stage.production) -> None:
    """Run what `gates` does at each size, or only prepare it, under that run id."""
    enter_project(stage)
    from . import gates

    on = _day(day, load(StageSettings, stage))
    if prepare:
        gates.prepare(stage, on, factor, prepare)
    else:
        gates.trial(stage, on, factor)


@app.command(hidden=True)
def promote(by: Annotated[str, typer.Option()], action: str = "deploy", stage: StageOption = Stage.production) -> None:
    """Make this version the active one of its stage, if its settings are right."""
    enter_project(stage)
    from ..pipeline import Settings
    from . import active_version, logs, tracking
    from .cron import Cron

    settings = load(Settings, stage)
    schedule = Cron(settings).name
    tracking.of(settings)
    active_version.promote(stage, by, action, schedule)
    if action == "rollback":
        logs.start()
        active_version.put_rows_back(settings)
        tracking.rolled_back(settings)


@app.command(hidden=True)
def wait(minutes: Annotated[float, typer.Option()], stage: StageOption = Stage.production) -> None:
    """Wait until the active version of a stage has finished the run that is due."""
    enter_project(stage)
    from . import active_version

    active_version.wait_for_run(load(StageSettings, stage), minutes)


@app.command(hidden=True)
def watch(
    stage: StageOption = Stage.production,
    when: Annotated[bool, typer.Option("--when", help="Only print when to look, and whether anybody is told.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Only send a message to the webhook, to try it.")] = False,
) -> None:
    """Look for runs that are missing, and tell the webhook of each once."""
    enter_project(stage)
    from . import missing_runs

    settings = load(StageSettings, stage)
    if when:
        print("\n".join(missing_runs.when(settings)))
    elif test:
        missing_runs.test(settings)
    else:
        missing_runs.look(settings)


@app.command(hidden=True)
def active(stage: StageOption = Stage.production) -> None:
    """Print the image and the commit of the active version; nothing where none is deployed."""
    enter_project(stage)
    from . import active_version

    for found in active_version.history(stage)[-1:]:
        print(found.image, found.commit)


@app.command(hidden=True)
def deployed(stage: StageOption = Stage.production) -> None:
    """Print the images that were deployed, each once: the active one, and those that were active last first."""
    enter_project(stage)
    from . import active_version

    print(*active_version.images(stage), sep="\n")


@app.command(hidden=True)
def report(run_id: Annotated[str, RunOption] = "", stage: StageOption = Stage.production) -> None:
    """Print the page of a run's report."""
    enter_project(stage)
    from . import show_run

    print(show_run.report_page(stage, run_id))


@app.command(hidden=True)
def previous(to: str = "", stage: StageOption = Stage.production) -> None:
    """Print the image and the commit that a rollback goes back to."""
    enter_project(stage)
    from . import active_version

    found = active_version.previous(stage, to)
    print(found.image, found.commit)


if Path(__file__).with_name("serve").joinpath("command.py").exists():  # where the project answers by HTTP
    app.command()(import_module(f"{__package__}.serve.command").serve)


def main() -> None:
    """Run the command line."""
    print_utf8()
    with told_in_one_line(), code_errors.named():
        try:
            code = app(standalone_mode=False)
        except typer.TyperException as error:
            if message := _usage(error):  # none where the help was shown
                print(f"error: {message}", file=sys.stderr)
            sys.exit(error.exit_code)
        if code == INTERRUPTED:
            print("error: interrupted", file=sys.stderr)
        sys.exit(code)


def _usage(error: typer.TyperException) -> str:
    """What is wrong with the command line, in this project's words."""
    told = error.format_message()
    if isinstance(error, typer.BadParameter) and isinstance(error.__cause__, ValidationError):
        detail = error.__cause__.errors()[0]
        if error.param and error.param.name == "stage":
            return no_stage(str(detail["input"]))
        return told.replace(error.message, expectation(detail))
    return told


def _today(settings: StageSettings) -> date:
    return datetime.now(ZoneInfo(settings.schedule.timezone)).date()


def _warn_of_present(settings: StageSettings, day: date) -> None:
    """Say so where a past day is computed from the data of today."""
    from .provenance import without_time

    for table in without_time(settings):
        told = f"[{table}] time_column is not set: {day} is computed from all rows that are there today"
        print(f"warning: {told}", file=sys.stderr)


def _day(given: datetime | None, settings: StageSettings) -> date:
    today = _today(settings)
    if given is None:
        return today
    if given.year < 1970:
        raise Problem(f"--date {given:%Y-%m-%d} is before 1970")
    if given.date() > today + timedelta(days=1):
        raise Problem(f"--date {given:%Y-%m-%d} is in the future: its data is not known yet")
    return given.date()


if __name__ == "__main__":
    main()
