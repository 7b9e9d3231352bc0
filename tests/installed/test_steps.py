"""Steps that the template does not know: renamed, added, split, or after the one that publishes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import steps
from rig import Project

# What comes after `publish`, and what publishes once more; each leaves a trace.
CELEBRATE = """

def celebrate(run: Run, settings: Settings) -> None:
    run.folder.parent.with_name("celebrated").touch()


def publish_again(run: Run, settings: Settings) -> None:
    publish(run, settings)
"""
STEPS = ["load", "check", "catalogue", "train", "neighbours", "evaluate", "review", "gate", "recommend", "publish"]
LATER = [*STEPS, "celebrate", "publish_again"]
AT_ONCE = ["load", "publish_all"]
PUBLISH_ALL = """

def publish_all(run: Run, settings: Settings) -> None:
    (shard,) = run.shards
    check(run, settings, shard)
    catalogue(run, settings)
    train(run, settings, shard)
    neighbours(run, settings)
    evaluate(run, settings, shard)
    gate(run, settings)
    recommend(run, settings, shard)
    publish(run, settings)
"""


@pytest.fixture
def with_steps(place: Project, project: Project) -> Callable[[Callable[[Path], None]], Project]:
    """The place with a pipeline.py of its own, which a function changes."""

    def change(edit: Callable[[Path], None]) -> Project:
        source = place.folder / "src"
        shutil.copytree(project.folder / "src", source)
        edit(source / project.package / "pipeline.py")
        place.env["PYTHONPATH"] = str(source)
        return place

    return change


def test_a_step_is_renamed_added_and_split(with_steps: Callable[..., Project]) -> None:
    reworked = with_steps(steps.rework).with_env(RUNS__SHARDS="3")
    assert reworked.call("run").returncode == 0
    rows, (run,) = reworked.written()
    record = json.loads(run["record"])
    assert list(record["steps"]) == steps.REWORKED
    assert record["facts"]["audited"]
    assert run["status"] == "ok"
    assert len(rows) == record["numbers"]["rows_published"] == record["numbers"]["weighed"] + 1

    told = reworked.call("step", "recommend", "--run-id", "r").stderr
    assert told == f"error: no step 'recommend': the steps are {', '.join(steps.REWORKED)}\n"
    helped = reworked.call("step", "--help").stdout
    assert "pipeline.py" in helped
    assert "evaluate" not in helped


def test_shards_of_the_first_and_of_the_last_step_are_done_one_by_one(with_steps: Callable[..., Project]) -> None:
    split = with_steps(lambda file: steps.put(file, steps.ALL_SPLIT, steps.SPLIT)).with_env(RUNS__SHARDS="2")

    def do(*arguments: str) -> None:
        done = split.call("step", *arguments, "--run-id", "parts")
        assert done.returncode == 0, done.stderr

    do("fetch_parts", "--begin")
    for shard in "10":
        do("fetch_parts", "--shard", shard)
    do("look")
    for step in ("double", "add_up"):
        early = split.call("step", "add_up", "--join", "--run-id", "parts")
        assert early.stderr.splitlines()[-1].startswith("error: run parts: not all of ")
        for shard in "01":
            do(step, "--shard", shard)
    do("add_up", "--join")
    _, (run,) = split.written()
    record = json.loads(run["record"])
    assert (record["status"], list(record["steps"])) == ("ok", steps.SPLIT)
    assert record["facts"]["parts"] == ["0", "1"]
    assert record["numbers"]["sum"] == 2


@pytest.mark.parametrize(
    ("code", "names", "untried"),
    [
        (CELEBRATE, LATER, "; nothing is published, so not tried: celebrate, publish_again"),
        (PUBLISH_ALL, AT_ONCE, ""),
    ],
    ids=["steps-after-publish", "one-step-does-all"],
)
def test_a_trial_publishes_nothing_wherever_the_pipeline_does(
    code: str, names: list[str], untried: str, with_steps: Callable[..., Project]
) -> None:
    mine = with_steps(lambda file: steps.put(file, code, names)).with_env(DEPLOY__SCALE__FACTORS="[]")
    for there_already in (False, True):
        done = mine.call("gates")
        assert done.returncode == 0, done.stdout + done.stderr
        (data,) = [line for line in done.stdout.splitlines() if line.startswith("✓ data ")]
        assert untried in data and ("not tried" in data) == bool(untried)
        assert "✓ better than a baseline" in done.stdout
        rows, runs = mine.written("production")
        assert (len(rows) > 0, len(runs)) == (there_already, there_already)
        assert not list(mine.folder.rglob("celebrated"))
        if not there_already:
            assert mine.call("run", "--stage", "production", "--date", "2026-01-31").returncode == 0
            traces = list(mine.folder.rglob("celebrated"))
            assert len(traces) == ("celebrate" in names)
            for trace in traces:
                trace.unlink()
    rows, (run,) = mine.written("production")
    assert {row["run_id"] for row in rows} == {run["run_id"]}  # no trial has put its own in their place


@pytest.mark.parametrize(
    ("code", "names", "why"),
    [
        ("check = lambda run, settings: None", ["load", "check"], "step 2 of STEPS is <function <lambda> at 0x"),
        ("", ["load", "check", "load"], "two of STEPS are called 'load': give each a name of its own"),
        ("", [], "STEPS is empty: "),
    ],
)
def test_steps_that_cannot_be_told_apart_are_refused(
    code: str, names: list[str], why: str, with_steps: Callable[..., Project]
) -> None:
    done = with_steps(lambda file: steps.put(file, f"\n\n{code}\n", names)).call("run")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: pipeline.py: {why}")
