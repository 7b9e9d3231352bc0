"""Which version is deployed: a line of JSON for each deployment and each rollback, the last of which counts.

A line is there as a whole or not at all, so whoever stops in the middle of a deployment leaves the old version in
charge.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime

from . import PREFIX, ledger, records
from .cron import Cron
from .due import ONGOING, newest
from .problems import Problem
from .settings import Stage, StageSettings
from .version import commit, short, template


@dataclass(frozen=True)
class Deployment:
    """One version put in charge of a stage."""

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
    lines = ledger.read(stage)
    return [Deployment(**{key: value for key, value in json.loads(line).items() if key in known}) for line in lines]


def promote(stage: Stage, by: str, action: str, schedule: str) -> None:
    """Put this version, from this image, in charge of the stage.

    Raises:
        Problem: it cannot be noted.
    """
    ledger.add(stage, json.dumps(asdict(Deployment(by, action, schedule=schedule)), ensure_ascii=False))


def in_charge(stage: Stage) -> bool:
    """Whether the version that asks is the one that is deployed."""
    deployed = history(stage)[-1:]
    return bool(deployed) and deployed[0].image == os.environ.get(PREFIX + "IMAGE", "")


def awaited(settings: StageSettings, minutes: float) -> None:
    """Wait until the version in charge has ended the run that is due.

    Raises:
        Problem: the run did not end well, or not in time.
    """
    charged = history(settings.stage)[-1]
    cron, now = Cron(settings), datetime.now(UTC)
    latest = time.monotonic() + 60 * minutes
    while time.monotonic() < latest:
        record = newest(records.recent(settings, cron, now), cron, now)
        if record and record.image == charged.image and record.status not in ONGOING:
            if record.status != "ok":
                raise Problem(f"run {record.run_id} {record.status}: {record.problem}")
            return
        time.sleep(0.5)
    raise Problem(f"no run of {short(charged.commit)} ended in {minutes:g} minutes; make logs RUN=scheduler says why")


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
