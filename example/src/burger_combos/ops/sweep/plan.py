"""The plan of a sweep: what it tries and under what, beside the runs, so that the same command goes on with it."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from ..metrics import Metric, measured
from ..problems import Problem
from ..runs import Run, kept, new_id, store_of, sweeps
from ..settings import PREFIX, Runs, StageSettings
from ..version import commit
from .combinations import Combination

FILE = "sweep.json"
MADE_OF = ("stage", "git_commit", "image", "code", "settings", "sweep", "trials")  # what the same command has the same
RECENT = timedelta(days=1)  # a sweep for an earlier day is begun anew


@dataclass
class Plan:
    """What a sweep tries. Trial 0 is the one under the settings of now, which changes nothing."""

    sweep_id: str
    stage: str
    date: date
    git_commit: str
    image: str
    code: str  # the hash of the package, which tells two states apart that no commit holds
    settings: dict[str, Any]  # those of now that make a result, by full name
    sweep: dict[str, Any]  # the section `[sweep]`
    trials: list[Combination]
    metric: str = ""  # the one that is compared; empty until trial 0 has measured it, where the settings name none
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    ended: bool = False

    def run_id(self, index: int) -> str:
        """What the run of a trial is called."""
        return f"{self.sweep_id}-{index:0{len(str(len(self.trials) - 1))}d}"

    def told(self, index: int) -> str:
        """What a trial sets, in a few words."""
        return ", ".join(f"{name}={as_text(value)}" for name, value in self.trials[index].items()) or "settings of now"

    def to_json(self) -> str:
        """The plan as JSON."""
        return json.dumps(asdict(self), default=str, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        values = json.loads(text)
        return cls(**values | {"date": date.fromisoformat(values["date"])})


def changing(now: dict[str, Any], trials: Sequence[Combination]) -> list[Combination]:
    """The trials that change something, after one that changes nothing.

    Args:
        now: the settings that make a result, by full name.
        trials: what each sets.
    """
    return [{}, *(each for each in trials if any(now.get(name) != value for name, value in each.items()))]


def make(settings: StageSettings, now: dict[str, Any], trials: Sequence[Combination], sweep_id: str = "") -> Plan:
    """The plan for what the settings say: a new one, or the last one that was stopped before its end.

    Args:
        settings: those of the stage.
        now: those of them that make a result, by full name.
        trials: what each trial sets.
        sweep_id: what a new one is called; then it is one.
    """
    today = datetime.now(ZoneInfo(settings.schedule.timezone)).date()
    image = os.environ.get(PREFIX + "IMAGE", "")
    metric = settings.sweep.metric or settings.deploy.metric
    sweep = settings.sweep.model_dump(mode="json", exclude={"parallel"}) | {"metric": metric}
    called, tried = sweep_id or new_id(), changing(now, trials)
    new = Plan(called, str(settings.stage), today, commit(), image, _code(), now, sweep, tried, metric)
    wanted = json.loads(new.to_json())
    for known in [] if sweep_id else reversed(names(settings.runs)):
        plan = read(settings.runs, known)
        found = json.loads(plan.to_json())
        if not plan.ended and today - plan.date <= RECENT and all(found[each] == wanted[each] for each in MADE_OF):
            return plan
    return new


def names(runs: Runs) -> list[str]:
    """The ids of the sweeps that are kept, the one begun last at the end."""
    place = sweeps(runs)
    if store := store_of(place):
        return sorted(name.partition("/")[0] for name in store.names() if name.endswith(f"/{FILE}"))
    return sorted(file.parent.name for file in place.folder.glob(f"*/{FILE}"))


def read(runs: Runs, sweep_id: str) -> Plan:
    """The plan of a sweep; the last one's where `last` is said.

    Raises:
        Problem: there is none.
    """
    known = names(runs)
    if sweep_id == "last" and known:
        sweep_id = known[-1]
    file = kept(sweeps(runs), sweep_id, FILE) if sweep_id in known else None
    if file is None:
        place = sweeps(runs)
        newest = f"; the newest is {known[-1]}" if known else ": make sweep makes one"
        raise Problem(f"{place.store or place.folder}: no sweep {sweep_id!r}{newest}")
    return Plan.from_json(file.read_text(encoding="utf-8"))


def keep(plan: Plan, runs: Runs) -> None:
    """Write a plan; a crash leaves the old one or the new one, never half of it."""
    place = sweeps(runs)
    file = place.folder / plan.sweep_id / FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{FILE}.partial")
        partial.write_text(plan.to_json() + "\n", encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise Problem(f"{file}: cannot be written: {error.strerror}") from None
    if store := store_of(place):
        store.put(f"{plan.sweep_id}/{FILE}", file)


def prune(runs: Runs, spared: str) -> None:
    """Remove sweeps but for the newest and the one that is at work: their plans, and what their trials have left."""
    place = sweeps(runs)
    store = store_of(place)
    for old in [known for known in names(runs)[: -runs.keep] if known != spared]:
        if store:
            store.remove([name for name in store.names() if name.startswith(old)])
        for folder in place.folder.glob(f"{old}*"):
            shutil.rmtree(folder, ignore_errors=True)


def done(plan: Plan, runs: Runs, index: int) -> Run | None:
    """The run of a trial that has ended; None where it is to be done, or done again."""
    if not Run.exists(sweeps(runs), plan.run_id(index)):
        return None
    run = Run.open(sweeps(runs), plan.run_id(index))
    return run if run.record.status not in ("running", "stopped") else None


def compared(plan: Plan, run: Run) -> Metric | None:
    """The metric that the sweep compares, as a trial has measured it."""
    return measured(run.record.metrics, plan.metric)


def as_text(value: Any) -> str:
    """A value as an environment variable has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _code() -> str:
    """The hash of the package's source: what is not committed may have changed since another trial."""
    found, package = hashlib.sha256(), Path(__file__).resolve().parents[2]
    for file in sorted(package.rglob("*.py")):
        found.update(f"{file.relative_to(package)}\n".encode() + file.read_bytes())
    return found.hexdigest()[:16]
