"""Metaflow on AWS Batch and Step Functions: EXECUTED, on moto's emulation of them, patched, in real containers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aws
import pytest
import rig
import steps
from clusters import on_aws
from listener import until
from rig import Project

pytestmark = [pytest.mark.docker, pytest.mark.postgresql, pytest.mark.usefixtures("containers")]

SETTINGS = {
    "shards = 1": "shards = 2",
    "customers = 20_000": "customers = 300",
    "factors = [0.25, 0.5, 1, 2]": "factors = []",
    "[schedule]": '[resources.train]\ncpu = 1\nmemory_mb = 3072\nnode = "jobs"\n\n[schedule]',
}
# What the account's one job queue, of Fargate, has not.
BEYOND = {
    "RESOURCES__TRAIN__GPU=1": "1: job queue jobs is of Fargate, which has none: name one of EC2 in node",
    "RESOURCES__TRAIN__SHM_MB=64": "64: job queue jobs is of Fargate, which has none: name one of EC2 in node",
    "RESOURCES__TRAIN__NODE=fast": "fast: Batch has no such job queue",
    "RESOURCES__TRAIN__NODE=pool=gpu": "pool=gpu: the name or the ARN of a job queue of Batch is expected",
}

# What does the second shard is killed at its first attempt, as where memory is short.
KILLED = f"""    if shard.number == 1 and __import__("os").environ.get("AWS_BATCH_JOB_ATTEMPT") == "1":
        __import__("os").kill(__import__("os").getpid(), 9)
{steps.CHOOSES}"""


@dataclass
class Production:
    """A project whose production is in the account."""

    project: Project
    account: dict[str, str]

    def machine(self) -> tuple[dict[str, Any], list[str]]:
        """What is deployed, and what has become of its executions, the newest first."""
        states = aws.client(self.account, "stepfunctions")
        (machine,) = states.list_state_machines()["stateMachines"]
        of = {"stateMachineArn": machine["stateMachineArn"]}
        executions = [each["status"] for each in states.list_executions(**of)["executions"]]
        return json.loads(states.describe_state_machine(**of)["definition"]), executions

    def start(self) -> dict[str, str]:
        """The variables of the first task."""
        definition, _ = self.machine()
        overrides = definition["States"]["start"]["Parameters"]["ContainerOverrides"]
        return {each["Name"]: each.get("Value", "") for each in overrides["Environment"]}

    def attempts(self) -> dict[str, list[int]]:
        """How often each task was begun, by its step."""
        batch = aws.client(self.account, "batch")
        ids = [each["jobId"] for each in batch.list_jobs(jobQueue="jobs", jobStatus="SUCCEEDED")["jobSummaryList"]]
        counts: dict[str, list[int]] = {}
        for job in batch.describe_jobs(jobs=ids)["jobs"]:
            counts.setdefault(job["parameters"]["step_name"], []).append(len(job["attempts"]))
        return {step: sorted(each) for step, each in counts.items()}


@pytest.fixture(scope="module")
def production(template: Path, postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    with on_aws(template, tmp_path_factory.mktemp("aws"), postgresql) as (project, account):
        rig.configure(project, "production", SETTINGS)
        rig.change(project.folder / "src/burger_combos/pipeline.py", {steps.CHOOSES: KILLED})
        steps.rework(project.folder / "src/burger_combos/pipeline.py")
        project.git("commit", "--quiet", "--no-verify", "--all", "--message", "Settings")
        yield Production(project, account)


def test_deployed_it_runs_and_a_lost_shard_is_done_again_alone(production: Production, tmp_path: Path) -> None:
    project = production.project
    commit = project.git("rev-parse", "HEAD")
    project.make("deploy", "WAIT=15")
    until(lambda: production.machine()[1] == ["SUCCEEDED"])
    once = {step: [1] for step in ["start", *steps.REWORKED, *steps.BETWEEN, "end"]}
    of_shards = {step: [1, 1] for step in steps.IN_SHARDS}
    assert production.attempts() == once | of_shards | {"choose": [1, 2]}

    rows, (run,) = project.written("production")
    record = json.loads(run["record"])
    assert {row["git_commit"] for row in rows} == {record["git_commit"]} == {commit}
    assert {row["run_id"] for row in rows} == {record["run_id"]}
    assert (record["status"], list(record["steps"])) == ("ok", steps.REWORKED)
    assert record["numbers"]["weighed"] + 1 == len(rows)  # that of anybody
    assert record["image"].startswith(f"{project.env['REGISTRY']}/burger-combos@sha256:")
    alone = project.with_env(DATABASE__URL=f"sqlite:///{tmp_path}/alone.db", RUNS__STORE="", RUNS__SHARDS="1")
    assert alone.call("run", "--stage", "production", "--date", record["date"]).returncode == 0
    unsplit, _ = alone.written("production")
    of = [name for name in unsplit[0] if name not in ("run_id", "git_commit")]
    assert [[row[name] for name in of] for row in rows] == [[row[name] for name in of] for row in unsplit]


def test_it_is_looked_at_with_the_same_words(production: Production) -> None:
    project = production.project
    _, (run,) = project.written("production")
    assert f"commit   {run['git_commit']}\n" in project.make("results", "STAGE=production")
    assert "rows_published=301" in project.make("logs", "STAGE=production")
    engine = project.make("logs", "STAGE=production", "RUN=scheduler")
    assert engine.startswith(f"{run['run_id']} ")
    assert "rows_published=301" in engine
    assert project.status()["production"]["published"].startswith(f"301 rows of recommendations for {run['date']}, ")


def test_a_sweep_has_a_task_for_each_trial(production: Production) -> None:
    project, before = production.project, production.project.written("production")
    shown = project.make("sweep", "STAGE=production")
    assert "metric   hit rate\n" in shown
    found = json.loads(project.make("results", "STAGE=production", "SWEEP=last", "JSON=1"))
    assert sorted(each["trial"] for each in found["trials"]) == [0, 1, 2, 3, 4]
    assert not any(each["problem"] for each in found["trials"])
    assert found["commit"] == project.git("rev-parse", "HEAD")
    assert production.attempts()["trial"] == [1] * 5
    assert project.written("production") == before
    assert len(production.machine()[1]) == 1  # the sweep's flow is gone


def state(definition: dict[str, Any], step: str) -> dict[str, Any]:
    """That of a step, also where it is done once for each shard."""
    split = [each["Iterator"]["States"] for each in definition["States"].values() if "Iterator" in each]
    found: dict[str, Any] = next(states[step] for states in [definition["States"], *split] if step in states)
    return found


def test_it_is_deployed_on_the_digest_the_commit_and_the_schedule(production: Production) -> None:
    definition, _ = production.machine()
    commit = production.project.git("rev-parse", "HEAD")
    start = definition["States"]["start"]["Parameters"]
    told = production.start()
    assert json.loads(told["METAFLOW_DEFAULT_PARAMETERS"])["commit"] == commit
    assert f"--tag git:{commit}" in start["ContainerOverrides"]["Command"][-1]
    assert definition["TimeoutSeconds"] == 240 * 60
    assert "postgresql://" not in json.dumps(definition)
    (job,) = aws.client(production.account, "batch").describe_job_definitions(jobDefinitions=[start["JobDefinition"]])[
        "jobDefinitions"
    ]
    assert job["containerProperties"]["image"] == told["BURGER_COMBOS_IMAGE"]
    needs = {}
    for step in ("train", "audit_it"):
        task = state(definition, step)["Parameters"]
        told_of = task["ContainerOverrides"]["ResourceRequirements"]  # which come before those of the job's definition
        needs[step] = (task["JobQueue"], {each["Type"]: float(each["Value"]) for each in told_of})
    assert needs["train"] == ("jobs", {"VCPU": 1, "MEMORY": 3072})
    assert needs["audit_it"][1] == {"VCPU": 2, "MEMORY": 8192}  # flow.py's
    (rule,) = aws.client(production.account, "events").list_rules()["Rules"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("cron(0 5 * * ? *)", "ENABLED")


def test_what_the_machines_of_a_queue_have_not_is_refused_in_one_line(production: Production) -> None:
    _, before = production.machine()
    for setting, why in BEYOND.items():
        name, _, value = setting.partition("=")
        done = production.project.with_env(**{name: value}).run("make", "deploy")
        assert done.returncode != 0
        key = name.lower().replace("__", ".")
        assert f"production: environment variable BURGER_COMBOS_{name}: {key}: {why}\n" in done.stderr
        assert "Traceback" not in done.stderr
    assert production.machine()[1] == before


def test_the_schedule_is_told_as_eventbridge_has_it_or_refused(production: Production) -> None:
    script = """
import sys
sys.path.insert(0, "production")
from flow_schedule import schedule_arguments
from burger_combos.ops.problems import Problem, told_in_one_line
from burger_combos.ops.settings import Schedule
with told_in_one_line():
    print(schedule_arguments(Schedule(cron="{cron}", timezone="{zone}")).get("cron"))
"""
    for cron, told in {
        "0 5 * * *": "0 5 * * ? *",
        "*/20 6-8 1,15 * *": "0,20,40 6,7,8 1,15 * ? *",
        "30 4 * * MON-FRI": "30 4 ? * 2,3,4,5,6 *",
        "30 4 * 2 0": "30 4 ? 2 1 *",
        "": "None",
    }.items():
        assert production.project.python(script.format(cron=cron, zone="UTC")).stdout == f"{told}\n"
    both = production.project.python(script.format(cron="0 5 1 * MON", zone="UTC"))
    assert both.stderr == "error: schedule.cron: '0 5 1 * MON': for EventBridge, day or weekday has to be *\n"
    last = production.project.python(script.format(cron="0 5 L * *", zone="UTC"))
    assert last.stderr.startswith("error: schedule.cron: '0 5 L * *': L and # are not supported")
    zone = production.project.python(script.format(cron="0 5 * * *", zone="Europe/Lisbon"))
    assert zone.stderr.startswith("error: schedule.timezone: Europe/Lisbon: EventBridge")


def test_develop_runs_the_flow_in_the_image_that_production_runs(production: Production) -> None:
    project = replace(production.project, env={})
    assert "/publish/" in project.make("develop")
    rows, (run,) = project.written()
    record = json.loads(run["record"])
    assert (record["status"], record["numbers"]["rows_published"]) == ("ok", len(rows))
    assert record["image"].startswith("sha256:")
    project.make("clean", "YES=1")


def test_a_rollback_puts_the_image_before_and_its_flow_back(production: Production) -> None:
    project = production.project
    before = production.start()
    first = project.git("rev-parse", "HEAD")
    rig.append("production/flow.py", "# another\n")(project.folder)
    project.git("commit", "--all", "--no-verify", "--message", "Change")
    project.make("deploy")
    assert production.start()["BURGER_COMBOS_IMAGE"] != before["BURGER_COMBOS_IMAGE"]
    assert json.loads(production.start()["METAFLOW_DEFAULT_PARAMETERS"])["commit"] != first
    assert production.start()["METAFLOW_CODE_SHA"] != before["METAFLOW_CODE_SHA"]
    project.make("rollback")
    assert production.start() == before


def test_uninstall_leaves_nothing_in_the_account(production: Production) -> None:
    name = f"burger-combos-production-{production.project.git('symbolic-ref', '--short', 'HEAD')}"
    production.project.make("clean", "STAGE=production", f"SURE={name}")
    assert aws.client(production.account, "stepfunctions").list_state_machines()["stateMachines"] == []
    assert aws.client(production.account, "events").list_rules()["Rules"] == []
    assert aws.client(production.account, "secretsmanager").list_secrets()["SecretList"] == []
