"""Metaflow on this machine: EXECUTED in the locked environment, as `make develop` does where no engine runs."""

import json
import re
from collections.abc import Callable

import pytest
from rig import Project, change

# The second shard fails until a file is there, and before the shards there is a step of which the flow does not know.
SHARD = "    mine = shard.of("
FAILING = f"""    if shard.number == 1 and not __import__("pathlib").Path("var/mended").exists():
        raise Problem("planted")
{SHARD}"""
STEPS = "STEPS: tuple"
AUDIT = f"""def audit(run: Run, settings: Settings) -> None:
    run.record.facts["audited"] = True


{STEPS}"""


@pytest.fixture(scope="module")
def flow(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose flow fails in one of three shards."""
    made = generate(tmp_path_factory.mktemp("metaflow") / "burger", target="metaflow-argo", ci="none")
    pipeline = made.folder / "src/burger_combos/pipeline.py"
    change(pipeline, {SHARD: FAILING, STEPS: AUDIT, "gate, recommend,": "gate, audit, recommend,"})
    made.make("setup")
    return made.with_env(ORDERS__SAMPLE__CUSTOMERS="301", RUNS__SHARDS="3")


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
    assert re.findall(r"shard=(\S+)", resumed) == ["1-of-3"]
    rows, (again,) = flow.written()
    assert (again["run_id"], again["status"]) == (run["run_id"], "ok")
    assert {row["run_id"] for row in rows} == {run["run_id"]}
    assert json.loads(again["record"])["facts"]["audited"]

    alone = flow.with_env(DATABASE__URL=f"sqlite:///{flow.folder}/var/alone.db", RUNS__SHARDS="1")
    assert alone.call("run", "--date", str(run["date"])).returncode == 0
    unsplit, _ = alone.written()
    of = [name for name in unsplit[0] if name != "run_id"]
    assert len(rows) == 301
    assert [[row[name] for name in of] for row in rows] == [[row[name] for name in of] for row in unsplit]


def test_a_flow_and_an_image_of_two_commits_do_not_begin(flow: Project) -> None:
    _, before = flow.written()
    commit = flow.git("rev-parse", "HEAD")
    env = ("METAFLOW_USER=ada", "METAFLOW_DATASTORE_SYSROOT_LOCAL=var/develop/main")
    done = flow.run("env", *env, ".venv/bin/python", "production/flow.py", "--no-pylint", "run", "--commit", "another")
    assert done.returncode != 0
    assert f"Problem: this flow is of commit another, its image of {commit}: make deploy brings both" in done.stdout
    assert flow.written()[1] == before
