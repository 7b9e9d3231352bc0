"""What `status` tells: a column a stage, from which one sees at a glance which version runs and what came of it."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from . import records
from .cron import Cron
from .deployments import Deployment, history
from .problems import Problem
from .runs import Record, Run
from .settings import Stage, StageSettings, load
from .version import distance, short


@dataclass
class Seen:
    """What is known of a stage; as JSON it comes from where the stage runs."""

    stage: str
    record: str = ""  # of the last run, as JSON
    outcome: str = ""
    deployments: list[dict[str, str]] = field(default_factory=list)  # the newest, oldest first
    next_run: str = ""
    problem: str = ""

    def to_json(self) -> str:
        """Everything as a line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def seen(stage: Stage) -> Seen:
    """Look at a stage from here."""
    found = Seen(stage, deployments=[asdict(each) for each in history(stage)[-10:]])
    try:
        settings = load(StageSettings, stage)
        if found.deployments:
            following = Cron(settings).after(datetime.now(UTC))
            found.next_run = f"{following:%Y-%m-%d %H:%M %Z}" if following else "with the next deployment"
        record = records.last(settings)
    except Problem as problem:
        found.problem = str(problem)
        return found
    if record:
        record, found.outcome = _outcome(settings, record)
        found.record = record.to_json()
    return found


def told(text: str) -> dict[str, Seen]:
    """What stages elsewhere tell of themselves, a line each, by their names."""
    found = {}
    for line in text.splitlines():
        values = json.loads(line)
        found[values["stage"]] = Seen(
            **{key: value for key, value in values.items() if key in Seen.__dataclass_fields__}
        )
    return found


def lines(view: Seen) -> dict[str, str]:
    """The rows of the table, for one stage."""
    if view.problem:
        return {"commit": view.problem}
    deployed = Deployment(**view.deployments[-1]) if view.deployments else None
    record = Record.from_json(view.record) if view.record else None
    shown = deployed or record
    if shown is None:
        return {"commit": "none yet"}
    commit = deployed.commit if deployed else record.git_commit if record else ""
    rows = {
        "commit": f"{short(commit)} ({distance(commit)})",
        "image": _image(shown.image),
        "template": shown.template,
        "last run": "none yet",
    }
    if deployed:
        rows["deployed"] = f"{_ago(datetime.fromisoformat(deployed.at))} by {deployed.by}" + (
            ", a rollback" if deployed.action == "rollback" else ""
        )
        rows["next run"] = view.next_run
    if record:
        other = f", by {short(record.git_commit)}" if record.git_commit != commit else ""
        rows["last run"] = f"{_ago(record.started_at)}, {view.outcome}, {record.seconds:.1f} s{other}"
        published = record.numbers.get("rows_published")
        rows["rows"] = f"none for {record.date}" if published is None else f"{published:,.0f} for {record.date}"
        rows["result"] = record.problem or record.headline
        rows["worst gate"] = _worst(record.facts.get("gates", []))
    return rows


def deployments(view: Seen) -> list[tuple[str, ...]]:
    """When, what, which commit, which image, by whom; the newest first."""
    each = [Deployment(**values) for values in view.deployments]
    return [
        (one.at.replace("T", " ").rstrip("Z"), one.action, short(one.commit), _image(one.image), one.by)
        for one in reversed(each)
    ]


def _outcome(settings: StageSettings, record: Record) -> tuple[Record, str]:
    """What the folder of a run that has not ended knows of it, and whether a process executes it."""
    if record.status != "running":
        return record, record.status
    try:
        run = Run.open(settings.runs, record.run_id)
    except Problem:
        return record, "running elsewhere, or stopped"
    if run.is_alive():
        return run.record, "running"
    return run.record, f"stopped after {list(run.record.steps)[-1]}" if run.record.steps else "stopped"


def _worst(gates: list[dict[str, Any]]) -> str:
    """The gate that refused, or the one that was nearest to it."""
    refused = [each for each in gates if not each["passed"]]
    if refused:
        return f"{refused[0]['gate']}: refused"
    near = [each for each in gates if each.get("margin")]
    if near:
        nearest = min(near, key=lambda each: each["margin"])
        return f"{nearest['gate']}: {nearest['margin']:.2f} × what is demanded"
    return f"{len(gates)} passed" if gates else ""


def _image(image: str) -> str:
    name, _, digest = image.rpartition("sha256:")
    return f"{name.rstrip('@').rpartition('/')[2]} {digest[:12]}".strip()


def _ago(moment: datetime) -> str:
    minutes = int((datetime.now(UTC) - moment).total_seconds() // 60)
    if minutes < 2:
        return "just now"
    if minutes < 120:
        return f"{minutes} minutes ago"
    return f"{minutes // 60} hours ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"
