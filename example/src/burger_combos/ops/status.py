"""What `status` tells: a column a stage, from which one sees at a glance which version runs and what came of it."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.table import Table

from . import input_findings, provenance, records, review_summary, training
from .active_version import Deployment, history
from .cron import Cron
from .due_runs import how_to_catch_up, missed
from .printing import print_table
from .problems import Problem
from .results import counted
from .runs import DAILY, Record, Run, kept
from .settings import Stage, StageSettings, load
from .version import distance, short

AS_IN_FILE = "as in the file"
MANY = 3  # settings that differ; more are counted only
ROWS = (  # of the table, from top to bottom
    "commit",
    "image",
    "template",
    "deployed",
    "published",
    "service",
    "last run",
    "result",
    "data",
    "model",
    "turned out",
    "report",
    "worst gate",
    "settings",
    "missed",
    "next run",
)


@dataclass
class StageStatus:
    """What is known of a stage; as JSON it comes from where the stage runs."""

    stage: str
    record: str = ""  # of the last run, as JSON
    outcome: str = ""
    report: str = ""  # of the last run, where it was refused or failed
    published: str = ""  # the newest day's rows, and where they come from
    settings: str = ""  # where those of the last run, or of the rows, are not what the file says
    missed: str = ""  # the days without a good run, and how to do one
    deployments: list[dict[str, str]] = field(default_factory=list)  # the newest, oldest first
    next_run: str = ""
    service: str = ""  # where it answers by HTTP, and of which commit
    problem: str = ""

    def to_json(self) -> str:
        """Everything as a line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def look_at(stage: Stage) -> StageStatus:
    """Look at a stage from here."""
    made = history(stage)
    found = StageStatus(stage, deployments=[_for_other_versions(each) for each in made[-10:]])
    try:
        settings = load(StageSettings, stage)
        record = records.last(settings)
        if record:
            record, found.outcome = _outcome(settings, record)
            found.record = record.to_json()
            if record.status in ("refused", "failed"):
                found.report = str(kept(settings.runs, record.run_id, "report.html") or "")
        if made:
            _look_at_schedule(found, settings, made, record)
        _look_at_rows(found, settings, record)
    except Problem as problem:
        found.problem = str(problem)
    return found


def parse(text: str) -> dict[str, StageStatus]:
    """What stages elsewhere tell of themselves, a line each, by their names."""
    found = {}
    for line in text.splitlines():
        values = json.loads(line)
        found[values["stage"]] = StageStatus(
            **{key: value for key, value in values.items() if key in StageStatus.__dataclass_fields__}
        )
    return found


def lines(view: StageStatus) -> dict[str, str]:
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
        "published": view.published,
        "last run": "none yet",
        "settings": view.settings,
        "missed": view.missed,
    }
    if deployed:
        rows["deployed"] = f"{_ago(datetime.fromisoformat(deployed.at))} by {deployed.by}" + (
            ", a rollback" if deployed.action == "rollback" else ""
        )
        rows["next run"] = view.next_run
        rows["service"] = view.service
    if record:
        other = f", by {short(record.git_commit)}" if record.git_commit != commit else ""
        rows["last run"] = f"{_ago(record.started_at)} for {record.date}, {view.outcome}, {record.seconds:.1f} s{other}"
        rows["last run"] += f", {record.kind}" * (record.kind != DAILY)
        rows["result"] = record.problem or record.headline
        rows["data"] = input_findings.in_words(record)
        rows["model"] = training.told(record)
        rows["turned out"] = " ".join(review_summary.newest(record, record.settings.get("deploy.metric", "")) or ())
        rows["report"] = view.report
        rows["worst gate"] = _worst(record.facts.get("gates", []))
    return rows


def deployments(view: StageStatus) -> list[tuple[str, ...]]:
    """When, what, which commit, which image, by whom; the newest first."""
    each = [Deployment(**values) for values in view.deployments]
    return [
        (one.at.replace("T", " ").rstrip("Z"), one.action, short(one.commit), _image(one.image), one.by)
        for one in reversed(each)
    ]


def show(views: list[StageStatus], *, all_deployments: bool) -> None:
    """A table with a column a stage, and the deployments of those that have any."""
    columns = {view.stage: lines(view) for view in views}
    table = Table("", *columns, box=None, pad_edge=False)
    for key in ROWS:
        if any(column.get(key) for column in columns.values()):
            table.add_row(key, *(column.get(key, "") for column in columns.values()))
    print_table(table)
    for view in views:
        made = deployments(view)
        if len(made) > 1 or (made and all_deployments):
            print(f"\ndeployments of {view.stage}")
            listed = Table(box=None, pad_edge=False, show_header=False)
            for row in made if all_deployments else made[:3]:
                listed.add_row(*row)
            print_table(listed)


def _look_at_schedule(found: StageStatus, settings: StageSettings, made: list[Deployment], last: Record | None) -> None:
    """When the next run is due, and which days have none that is good, today's only where it is late."""
    cron, now = Cron(settings), datetime.now(UTC)
    following = cron.after(now)
    found.next_run = f"{following:%Y-%m-%d %H:%M %Z}" if following else "with the next deployment"
    late = now - timedelta(minutes=settings.schedule.late_minutes)
    days = missed(records.good_days(settings), made, cron, late)
    if last and found.outcome == "running" and last.date in days:
        days.remove(last.date)
    if days:
        found.missed = how_to_catch_up(days, settings.stage)


def _look_at_rows(found: StageStatus, settings: StageSettings, last: Record | None) -> None:
    """What is published, by which run, and whether its settings and those of the last run are the file's."""
    rows = records.published(settings)
    found.published = "none yet"
    of_last = _in_short(provenance.differences(last, settings.stage)) if last else ""
    found.settings = of_last
    if not rows:
        return
    by = records.of(settings, rows["run_id"])
    age = f"{_ago(by.started_at)} " if by else ""
    made_by = f"{age}by {rows['run_id']} of {short(rows['git_commit'])}"
    counts = ", ".join(counted(count, table) for table, count in rows["tables"].items())
    found.published = f"{counts} for {rows['date']}, {made_by}"
    if by and last and by.run_id != last.run_id:
        of_rows = _in_short(provenance.differences(by, settings.stage))
        if of_rows != of_last:
            found.settings = f"of what is published: {of_rows or AS_IN_FILE}; of the last run: {of_last or AS_IN_FILE}"


def _in_short(found: list[str]) -> str:
    return "; ".join(found[:MANY]) + f"; and {len(found) - MANY} more" * (len(found) > MANY)


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


def _for_other_versions(deployment: Deployment) -> dict[str, str]:
    """A deployment as any version of copier-ml reads it, which may be an earlier one that is checked out."""
    return {key: value for key, value in asdict(deployment).items() if key != "schedule"}


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
