"""Metaflow on this machine: EXECUTED in the locked environment, as `make develop` does where no engine runs."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import steps
from listener import listening
from rig import Project, change

# The second shard of the renamed step fails until a file is there.
FAILING = f"""    if shard.number == 1 and not __import__("pathlib").Path("var/mended").exists():
        raise Problem("planted")
{steps.CHOOSES}"""


@pytest.fixture(scope="module")
def flow(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose flow fails in one of three shards."""
    made = generate(tmp_path_factory.mktemp("metaflow") / "burger", target="metaflow-argo", ci="none")
    pipeline = made.folder / "src/burger_combos/pipeline.py"
    change(pipeline, {steps.CHOOSES: FAILING})
    steps.rework(pipeline)
    made.make("setup")
    # Nodes and a GPU are what a cluster has; here, all tasks are on this machine.
    return made.with_env(
        ORDERS__SAMPLE__CUSTOMERS="301", RUNS__SHARDS="3", RESOURCES__NODE="pool=gpu", RESOURCES__GPU="1"
    )


def test_a_failed_run_publishes_nothing_and_goes_on_from_where_it_failed(flow: Project) -> None:
    failed = flow.run("make", "develop")
    assert failed.returncode != 0
    assert "Problem: planted" in failed.stdout
    assert "develop: make develop RESUME=1 goes on from where it failed" in failed.stderr
    rows, (run,) = flow.written()
    assert rows == []
    assert (run["status"], json.loads(run["record"])["problem"]) == ("failed", "planted")

    (flow.folder / "var/mended").touch()
    resumed = flow.make("develop", "RESUME=1")
    done = re.findall(r"\[info\] (\w+) +shard=(\S+)", resumed)
    assert {step for step, _ in done} == {"choose", steps.LONG}
    assert [shard for step, shard in done if step == "choose"] == ["1-of-3"]
    assert sorted(shard for step, shard in done if step == steps.LONG) == ["0-of-3", "1-of-3", "2-of-3"]
    rows, (again,) = flow.written()
    assert (again["run_id"], again["status"]) == (run["run_id"], "ok")
    assert {row["run_id"] for row in rows} == {run["run_id"]}
    record = json.loads(again["record"])
    assert list(record["steps"]) == steps.REWORKED
    assert record["facts"]["audited"]
    assert record["numbers"]["weighed"] + 1 == record["numbers"]["rows_published"] == len(rows)  # that of anybody

    alone = flow.with_env(DATABASE__URL=f"sqlite:///{flow.folder}/var/alone.db", RUNS__SHARDS="1")
    assert alone.call("run", "--date", str(run["date"])).returncode == 0
    unsplit, _ = alone.written()
    of = [name for name in unsplit[0] if name != "run_id"]
    assert len(rows) == 302
    assert [[row[name] for name in of] for row in rows] == [[row[name] for name in of] for row in unsplit]


def test_a_flow_and_an_image_of_two_commits_do_not_begin(flow: Project) -> None:
    _, before = flow.written()
    commit = flow.git("rev-parse", "HEAD")
    env = ("METAFLOW_USER=ada", "METAFLOW_DATASTORE_SYSROOT_LOCAL=var/develop/main")
    done = flow.run("env", *env, ".venv/bin/python", "production/flow.py", "--no-pylint", "run", "--commit", "another")
    assert done.returncode != 0
    assert f"Problem: this flow is of commit another, its image of {commit}: make deploy brings both" in done.stdout
    assert flow.written()[1] == before


def test_a_flow_of_its_own_tells_of_a_missing_run(flow: Project, tmp_path: Path) -> None:
    due = datetime.now(UTC) - timedelta(hours=2)
    with listening() as told:
        mine = flow.with_env(
            DATABASE__URL=f"sqlite:///{tmp_path}/results.db",
            ALERT__WEBHOOK=f"{told.url}/webhook",
            SCHEDULE__CRON=f"{due:%M %H} * * *",
        )
        assert mine.call("promote", "--by", "Ada", "--stage", "develop").returncode == 0
        with closing(sqlite3.connect(tmp_path / "results.db")) as database:
            ((line,),) = database.execute("SELECT line FROM deployments")
            earlier = json.loads(line) | {"at": (due - timedelta(hours=1)).isoformat()}
            database.execute("UPDATE deployments SET line = ?", (json.dumps(earlier),))
            database.commit()
        env = ("METAFLOW_USER=ada", f"METAFLOW_DATASTORE_SYSROOT_LOCAL={tmp_path}")
        done = mine.run("env", *env, ".venv/bin/python", "production/watch.py", "--no-pylint", "run")
        assert done.returncode == 0, done.stdout + done.stderr
        (text,) = told.texts()
    assert f"burger-combos develop: no run for {due.date()}: make run DATE={due.date()} STAGE=develop" in text


def test_a_sweep_is_a_flow_with_a_task_for_each_trial(flow: Project, tmp_path: Path) -> None:
    (flow.folder / "var").mkdir(exist_ok=True)
    (flow.folder / "var/mended").touch()
    mine = flow.with_env(RUNS__SHARDS="1", RUNS__FOLDER=f"{tmp_path}/runs", RUNS__STORE=f"{tmp_path}/store")
    rows, _ = mine.written()
    env = ("METAFLOW_USER=ada", f"METAFLOW_DATASTORE_SYSROOT_LOCAL={tmp_path}")
    for attempt in range(2):
        done = mine.run("env", *env, ".venv/bin/python", "production/sweep_flow.py", "--no-pylint", "run")
        assert done.returncode == 0, done.stdout + done.stderr
        tasks = [step for step, said in re.findall(r"/(\w+)/\d+ \(pid \d+\)\] (.*)", done.stdout) if "starting" in said]
        assert tasks == ["start", *["trial"] * 5, "judge", "end"], attempt
    found = json.loads(mine.call("results", "--sweep", "last", "--json").stdout)
    assert sorted(each["trial"] for each in found["trials"]) == [0, 1, 2, 3, 4]
    assert not any(each["problem"] for each in found["trials"])
    assert len({each["value"] for each in found["trials"]}) > 1
    assert len(list(tmp_path.glob("store/sweeps/*/sweep.json"))) == 2
    assert mine.written()[0] == rows


def test_the_first_the_last_and_neighbours_can_be_split(flow: Project) -> None:
    pipeline = flow.folder / "src/burger_combos/pipeline.py"
    before = pipeline.read_text()
    steps.put(pipeline, steps.ALL_SPLIT, steps.SPLIT)
    env = {"METAFLOW_USER": "ada", "METAFLOW_DATASTORE_SYSROOT_LOCAL": "var/split"}
    split = replace(flow, env=flow.env | env).with_env(RUNS__SHARDS="2")
    done = split.run(".venv/bin/python", "production/flow.py", "--no-pylint", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    _, runs = split.written()
    record = json.loads(runs[-1]["record"])
    assert (record["status"], list(record["steps"])) == ("ok", steps.SPLIT)
    assert record["facts"]["parts"] == ["0", "1"]
    assert record["numbers"]["sum"] == 2
    tasks = ["start", "fetch_parts", "look", "fork_double", "double", "join_double", "fork_add_up", "add_up"]
    assert list(dict.fromkeys(re.findall(r"/(\w+)/\d+ \(", done.stdout))) == [*tasks, "join_add_up", "end"]
    pipeline.write_text(before)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("next", "the flow has something of this name already: choose another"),
        ("start", "the flow has something of this name already: choose another"),
        ("join_choose", "the flow has something of this name already: choose another"),
        ("Tidy", "Metaflow allows a-z, 0-9 and _ only, and a letter first"),
        ("a" * 71, "its name has 71 characters, at most 70 will do"),
    ],
)
def test_a_name_that_metaflow_does_not_allow_is_told_in_one_line(name: str, why: str, flow: Project) -> None:
    pipeline = flow.folder / "src/burger_combos/pipeline.py"
    before = pipeline.read_text()
    steps.put(pipeline, f"\n\ndef {name}(run: Run, settings: Settings) -> None: ...\n", [*steps.REWORKED, name])
    done = flow.run("make", "develop")
    assert done.returncode != 0
    assert f"error: pipeline.py: step '{name}': {why}" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr + done.stdout
    pipeline.write_text(before)


def test_resources_for_no_step_are_refused(flow: Project) -> None:
    file = flow.folder / "production/flow.py"
    before = file.read_text()
    change(file, {"] = {}": '] = {"recommend": {"cpu": 4}}'})
    done = flow.run(".venv/bin/python", "production/flow.py", "--no-pylint", "show")
    assert done.stderr.startswith(
        "error: flow.py: RESOURCES_OF: no step 'recommend' in pipeline.py: the steps are load, "
    )
    file.write_text(before)
