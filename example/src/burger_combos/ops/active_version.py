"""Which version is active: that of the last line of the deployment history, a line for each deployment and rollback.

A line is written as a whole or not at all. So a deployment that is stopped half way leaves the old version active.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime

import structlog

from . import PREFIX, deployment_history, records
from .cron import Cron
from .databases import NotThere, open_store
from .due_runs import ONGOING, newest
from .problems import Problem
from .settings import Stage, StageSettings
from .version import commit, short, template

log = structlog.get_logger()


@dataclass(frozen=True)
class Deployment:
    """The activation of one version in a stage."""

    by: str
    action: str  # deploy or rollback
    at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    commit: str = field(default_factory=commit)
    image: str = field(default_factory=lambda: os.environ.get(PREFIX + "IMAGE", ""))
    template: str = field(default_factory=template)
    schedule: str = ""  # when it is due; empty where an earlier version of copier-ml noted it


def history(stage: Stage) -> list[Deployment]:
    """All deployments to the stage, oldest first."""
    known = {each.name for each in fields(Deployment)}
    lines = deployment_history.read(stage)
    return [Deployment(**{key: value for key, value in json.loads(line).items() if key in known}) for line in lines]


def promote(stage: Stage, by: str, action: str, schedule: str) -> None:
    """Make this version, of this image, the active one of the stage.

    Raises:
        Problem: the history cannot be written.
    """
    deployment_history.add(stage, json.dumps(asdict(Deployment(by, action, schedule=schedule)), ensure_ascii=False))


def put_rows_back(settings: StageSettings) -> None:
    """Put this version's rows back in place where the database has them still; where that cannot be, its next run does.

    Args:
        settings: those of the stage that was rolled back to this version.
    """
    try:
        with open_store(settings.database.url) as store:
            days = store.put_back(settings.stage, commit())
    except NotThere:
        return
    except Problem as problem:
        log.warning("rows", lost=f"{problem}; the next run writes them")
        return
    if days:
        log.info("rows", back=len(days), of=", ".join(map(str, days)))


def is_active(stage: Stage) -> bool:
    """Whether this process is of the active version, the one deployed last."""
    deployed = history(stage)[-1:]
    return bool(deployed) and deployed[0].image == os.environ.get(PREFIX + "IMAGE", "")


def wait_for_run(settings: StageSettings, minutes: float) -> None:
    """Wait until the active version has finished the run that is due.

    Raises:
        Problem: the run did not end well, or not in time.
    """
    active = history(settings.stage)[-1]
    cron, now = Cron(settings), datetime.now(UTC)
    latest = time.monotonic() + 60 * minutes
    while time.monotonic() < latest:
        record = newest(records.recent(settings, cron, now), cron, now)
        if record and record.image == active.image and record.status not in ONGOING:
            if record.status != "ok":
                raise Problem(f"run {record.run_id} {record.status}: {record.problem}")
            return
        time.sleep(0.5)
    raise Problem(f"no run of {short(active.commit)} ended in {minutes:g} minutes; make logs RUN=scheduler says why")


def images(stage: Stage) -> list[str]:
    """The images that were deployed, each once: that of the active version, then those that were active last."""
    return list(dict.fromkeys(each.image for each in reversed(history(stage))))


def previous(stage: Stage, to: str) -> Deployment:
    """What a rollback goes back to: the version deployed before this one, or the newest whose commit begins so.

    Raises:
        Problem: there is no such deployment.
    """
    made = history(stage)
    if not made:
        raise Problem(f"nothing was deployed to {stage} yet")
    others = [each for each in made if each.image != made[-1].image]
    found = [each for each in others if each.commit.startswith(to)]
    if not found:
        known = ", ".join(dict.fromkeys(short(each.commit) for each in others)) or "none"
        raise Problem(f"no earlier deployment{f' of commit {to}' if to else ''} to go back to; there are: {known}")
    return found[-1]
