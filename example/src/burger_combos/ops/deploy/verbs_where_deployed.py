"""Look at a stage where it is deployed, with the words that every stage has, or run a day that was missed there."""

import json
import os
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NoReturn

from ..problems import Problem
from ..version import subject
from .chosen_target import Chosen
from .develop import Develop
from .programs import become, end_with
from .target import Target


def status(arguments: Sequence[str]) -> NoReturn:
    """Show what is deployed beside what was run here: of the stage that STAGE names, or of each."""
    named = os.environ.get("STAGE")
    lines = "".join(_status_line(Chosen(stage)) for stage in ([named] if named else ["develop", "production"]))
    Develop().local("status", "--deployed", "-", *arguments, give=lines)


def logs(target: Target, arguments: Sequence[str]) -> NoReturn:
    """Show the log of the run that RUN names, or of the last; with FOLLOW, as it grows."""
    _only_where_deployed(target, "logs", arguments)
    if target.service and os.environ.get("RUN") == "service":
        end_with(target.service.logs(follow=bool(os.environ.get("FOLLOW"))))
    end_with(target.logs(os.environ.get("RUN", ""), *arguments, follow=bool(os.environ.get("FOLLOW"))))


def results(target: Target, arguments: Sequence[str]) -> NoReturn:
    """Show the newest rows, and bring the report of their run here, so that it can be opened."""
    _only_where_deployed(target, "results", arguments)
    shown = target.on_stage("results", *arguments, out=False)
    print(shown.stdout, end="", flush=True)
    if not shown.returncode:
        for found in re.finditer(r'^(?:report   (.*)|  "report": "(.*)",)$', shown.stdout, re.MULTILINE):
            target.fetch_report(Path(found[1] or found[2]))
    end_with(shown)


def trace(target: Target, arguments: Sequence[str]) -> NoReturn:
    """Show why a row is as it is; the subject of its commit is added here, where git has that."""
    _only_where_deployed(target, "trace", arguments)
    shown = target.on_stage("trace", *arguments, out=False)
    text = re.sub(r"^(commit   (\S+))$", _with_subject, shown.stdout, count=1, flags=re.MULTILINE)
    print(re.sub(r'^(  "commit": "(\S+)",\n  "subject": )""', _with_subject, text, count=1, flags=re.MULTILINE), end="")
    end_with(shown)


def run(target: Target, arguments: Sequence[str]) -> NoReturn:
    """Run the pipeline once, for the day DATE, with the active version.

    Raises:
        Problem: there is none.
    """
    target.preflight()
    if not target.deployed():
        raise Problem(f"nothing is deployed from branch {target.here.branch}: make deploy")
    day = ("--date", os.environ["DATE"]) if os.environ.get("DATE") else ()
    end_with(target.on_stage("run", "--stage", target.here.stage, *day, *arguments))


def backfill(target: Target, arguments: Sequence[str]) -> None:
    """Run the days FROM to TO with the active version or, of develop where that is not deployed, here.

    Raises:
        Problem: production is not deployed.
    """
    first, last = os.environ.get("FROM", ""), os.environ.get("TO", "")
    redo = ("--redo",) if os.environ.get("REDO") == "1" else ()
    between = (*(("--from", first) if first else ()), *(("--to", last) if last else ()))
    command = ("backfill", "--stage", target.here.stage, *between, *redo, *arguments)
    in_develop = target.here.stage == "develop"
    try:
        target.preflight()
    except Problem as why:
        if not in_develop:
            raise
        target.here.say(f"{why}; so here, where make develop runs")
        Develop().local(*command)
    if not target.deployed():
        if in_develop:
            Develop().local(*command)
        raise Problem(f"nothing is deployed from branch {target.here.branch}: make deploy")
    end_with(target.backfill(_number_of_days(first, last), *command))


def sweep(target: Target, arguments: Sequence[str]) -> None:
    """Try settings where the stage is deployed, with the active version.

    Raises:
        Problem: there is none.
    """
    target.preflight()
    if not target.deployed():
        raise Problem(f"nothing is deployed from branch {target.here.branch}: make deploy, or make sweep without STAGE")
    end_with(target.sweep("sweep", *arguments))


def _status_line(target: Target) -> str:
    """What the stage tells of itself, and whether its service answers."""
    line = target.status_line()
    if not line or target.service is None:
        return line
    return json.dumps(json.loads(line) | {"service": target.service.state()}, ensure_ascii=False) + "\n"


def _number_of_days(first: str, last: str) -> int:
    """How many days these are; 1 where they are none, which the command line tells."""
    try:
        return max(1, (date.fromisoformat(last) - date.fromisoformat(first)).days + 1)
    except ValueError:
        return 1


def _with_subject(found: re.Match[str]) -> str:
    """What was found, with the subject of the commit that it names behind it, as text or in JSON."""
    told = subject(found[2])
    if found[1].endswith(": "):
        return found[1] + json.dumps(told, ensure_ascii=False)
    return f"{found[1]}  {told}".rstrip()


def _only_where_deployed(target: Target, verb: str, arguments: Sequence[str]) -> None:
    """Where nothing is deployed, look at what was run here by hand instead."""
    if target.LOOK_NEEDS_PREFLIGHT:
        target.preflight()
    if target.deployed():
        return
    if target.here.stage == "develop":
        Develop().local(verb, *arguments)
    become(target.here.command, verb, *arguments)
