"""Training less often than scoring: which run takes whose model, why another one trains, and what the rows say."""

import json
from pathlib import Path
from typing import Any

import pytest
from rig import Project, new_database

ONE, OTHER = "1" * 40, "2" * 40  # commits

# Several runs in one process, each under variables of its own. What came of each is printed at the end.
RUNS = """
import json, os
from dataclasses import asdict
from datetime import date
from {package}.ops.settings import Stage, enter_project, load
enter_project(Stage.develop)
from {package} import pipeline
from {package}.ops import active_version, deployment_history, execute, gates, training, version
from {package}.ops.shards import by_shard
from {package}.ops.store import Store

PREFIX, OUTSIDE, found = "{package}_".upper(), dict(os.environ), {{}}
ADDED = ("run_id", "git_commit", "model_run")

def under(variables):
    os.environ.clear()
    os.environ.update(OUTSIDE | {{PREFIX + key: text for key, text in variables.items()}})
    version.commit.cache_clear()
    return load(pipeline.Settings, Stage.develop)

def note(name, settings, done):
    with Store(settings.database.url) as store:
        rows = store.query("SELECT * FROM recommendations WHERE run_id = $1 ORDER BY customer", name)
    of = done.record
    found[name] = {{
        "model": of.model_run,
        "why": of.training.get("why", ""),
        "told": training.told(of),
        "metrics": of.metrics,
        "models": rows["model_run"].unique().to_list() if "model_run" in rows.columns else None,
        "rows": rows.drop(ADDED, strict=False).to_dicts(),
    }}

def run(name, day, **variables):
    settings = under(variables)
    note(name, settings, execute.run_all(settings, date.fromisoformat(str(day)), name))

def by_step(name, day, **variables):  # each step, or shard of it, on a machine of its own
    day, machine = date.fromisoformat(day), 0
    execute.begin(under(variables), name, day)
    for step in execute.STEPS:
        for shard in range(2) if by_shard(step) else (None,):
            machine += 1
            settings = under(variables | {{"RUNS__FOLDER": f"{{variables['RUNS__STORE']}}-{{machine}}"}})
            done = execute.run_step(settings, step.__name__, name, day, shard)
    note(name, settings, done)

def activate(action, day, **variables):
    under(variables)
    line = asdict(active_version.Deployment("Ada", action, at=day + "T04:00:00Z"))
    deployment_history.add(Stage.develop, json.dumps(line))

{script}
print("\\n" + json.dumps(found, default=str))
"""


@pytest.fixture
def every(place: Project, tmp_path: Path) -> Project:
    """A place of its own, where a run takes a model that is younger than three days."""
    return place.with_env(
        COMMIT=ONE,
        SCHEDULE__TRAIN_EVERY="3d",
        DATABASE__URL=f"sqlite:///{tmp_path}/results.db",
        RUNS__FOLDER=str(tmp_path / "runs"),
    )


def runs(project: Project, script: str) -> dict[str, dict[str, Any]]:
    done = project.python(RUNS.format(package=project.package, script=script))
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def models(found: dict[str, dict[str, Any]]) -> list[str]:
    return [each["model"] for each in found.values()]


def test_a_model_is_taken_until_it_is_too_old(every: Project, tmp_path: Path) -> None:
    found = runs(every, 'for day in range(1, 8): run(f"r{day}", f"2025-11-0{day}")')
    assert models(found) == ["r1", "r1", "r1", "r4", "r4", "r4", "r7"]
    assert [each["models"] for each in found.values()] == [[name] for name in models(found)]
    assert {name: each["why"] for name, each in found.items() if each["why"]} == {
        "r1": "there is no good run of commit 11111111111 yet",
        "r4": "the model of run r1 is 3 days old; schedule.train_every is 3d",
        "r7": "the model of run r4 is 3 days old; schedule.train_every is 3d",
    }
    assert found["r3"]["told"] == "of run r1, trained for 2025-11-01, 2 days before"
    assert found["r1"]["metrics"] == found["r3"]["metrics"] != found["r4"]["metrics"]
    assert list(found["r3"]["metrics"]) == ["hit_rate", "mrr", "coverage"]
    shown = every.call("results", "--date", "2025-11-06").stdout
    assert "\nmodel    of run r4, trained for 2025-11-04, 2 days before; the metrics were measured then\n" in shown
    assert "model_run" not in shown
    assert "The model is of run r4, trained for" in (tmp_path / "runs/r6/report.html").read_text()
    said = (tmp_path / "runs/r4/log.jsonl").read_text() + (tmp_path / "runs/r6/log.jsonl").read_text()
    assert '"trains": "the model of run r1 is 3 days old; schedule.train_every is 3d"' in said
    assert '"model": "of run r4, trained for 2025-11-04, 2 days before"' in said


def test_a_model_that_is_taken_scores_as_it_did(every: Project, tmp_path: Path) -> None:
    store = f'RUNS__STORE="{tmp_path}/store"'
    script = f"""
run("whole", "2025-11-01", {store}, SCHEDULE__TRAIN_EVERY="")
run("taken", "2025-11-01", {store})
run("shards", "2025-11-01", {store}, RUNS__SHARDS="3")
by_step("steps", "2025-11-01", {store}, RUNS__SHARDS="2")
run("trained", "2025-11-04", {store}, RUNS__SHARDS="2")
run("alone", "2025-11-04", {store})
"""
    found = runs(every, script)
    assert models(found) == ["whole", "whole", "whole", "whole", "trained", "trained"]
    assert found["whole"]["models"] is None  # no such column, where each run trains
    assert len(found["whole"]["rows"]) > 250
    for name in ("taken", "shards", "steps"):
        assert found[name]["rows"] == found["whole"]["rows"]
        assert found[name]["metrics"] == found["whole"]["metrics"]
    assert found["alone"]["rows"] == found["trained"]["rows"]


def test_a_run_trains_where_the_model_is_not_known_to_fit(every: Project, tmp_path: Path) -> None:
    script = f"""
run("first", "2025-11-01")
run("settings", "2025-11-02", MODEL__NEIGHBOURS="100")
run("threads", "2025-11-02", RUNS__KEEP="20", MODEL__NEIGHBOURS="100", SCHEDULE__TRAIN_EVERY="48h")
run("code", "2025-11-02", COMMIT="{OTHER}")
run("image", "2025-11-02", COMMIT="{OTHER}", IMAGE="another")
for day in (1, 2, 3):
    run(f"hours{{day}}", f"2025-09-0{{day}}", SCHEDULE__TRAIN_EVERY="12h")
run("dirty", "2025-11-02", COMMIT="{OTHER}-dirty", IMAGE="")
run("earlier", "2025-08-01")
run("kept", "2025-11-03", COMMIT="{OTHER}", IMAGE="another")
(execute.Run.open(under({{}}).runs, "image").folder / "model.npz").unlink()
run("gone", "2025-11-03", COMMIT="{OTHER}", IMAGE="another")
import shutil
shutil.rmtree(under({{}}).runs.folder / "gone")
run("pruned", "2025-11-03", COMMIT="{OTHER}", IMAGE="another")
"""
    found = runs(every, script)
    why = {name: each["why"] for name, each in found.items()}
    trained = [name for name, each in found.items() if each["model"] == name]
    assert trained == [name for name in found if name not in ("threads", "kept", "hours2")]
    assert why["hours3"] == "the model of run hours1 is 24 hours old; schedule.train_every is 12h"
    assert (found["threads"]["model"], found["kept"]["model"]) == ("settings", "image")
    assert why["settings"] == ("the model of run first has other settings: model.neighbours is 100, it began with 200")
    assert why["code"] == (
        "there is no good run of commit 22222222222 yet: the last good run, threads, is of 11111111111"
    )
    assert why["image"] == "the model of run code is of another image"
    assert why["dirty"] == "no commit holds this code (22222222222-dirty), so no model is known to be of it"
    assert why["earlier"] == "there is no good run of commit 11111111111 yet"
    assert why["gone"] == "model.npz of run image, which trained the model in use, is gone"
    assert why["pruned"] == "the files of run gone, which trained the model in use, are gone"


def test_a_model_follows_the_catalogue(every: Project, tmp_path: Path) -> None:
    script = f"""
import polars as pl
from {every.package}.sample import SampleSettings, make_up
orders = make_up(SampleSettings(customers=300), date(2025, 11, 1))
orders.write_csv("{tmp_path}/orders.csv")
run("first", "2025-11-01")
items = orders["item"].value_counts(sort=True)["item"]
new = orders.head(3000).with_columns(item=pl.lit("0 new"))  # which is the first by name, so that all numbers move
pl.concat([orders.filter(pl.col("item") != items[0]), *[new] * 3]).write_csv("{tmp_path}/orders.csv")
run("second", "2025-11-02")
found["most"] = items[0]
"""
    found = runs(every.with_env(ORDERS__SOURCE=f"{tmp_path}/orders.csv"), script)
    gone = found.pop("most")
    assert models(found) == ["first", "first"]
    of = {
        name: [[value for key, value in row.items() if key.startswith("item_")] for row in each["rows"]]
        for name, each in found.items()
    }
    assert any(gone in each for each in of["first"])
    assert not any(gone in each for each in of["second"])
    anybody = next(row for row in found["second"]["rows"] if row["customer"] == "anybody")
    assert anybody["item_1"] == "0 new"
    before = {row["customer"]: row["item_1"] for row in found["first"]["rows"]}
    after = {row["customer"]: row["item_1"] for row in found["second"]["rows"]}
    same = [customer for customer in after if after[customer] == before.get(customer)]
    assert len(same) > len(after) / 3  # what the others ordered before speaks for the same


def test_a_rollback_takes_its_model_back(every: Project) -> None:
    one, two = (f'COMMIT="{commit}", IMAGE="{commit[0]}", RUNS__KEEP="1"' for commit in (ONE, OTHER))
    script = f"""
activate("deploy", "2025-10-01", {one})
run("a", "2025-10-01", {one})
run("b", "2025-10-03", {one})
activate("deploy", "2025-10-10", {two})
run("c", "2025-10-10", {two})
run("d", "2025-10-12", {two})
found["kept"] = {{"model": sorted(os.listdir(under({{}}).runs.folder))}}
activate("rollback", "2025-10-12", {one})
run("e", "2025-10-12", {one})
run("f", "2025-10-14", {one})
run("g", "2025-10-15", {one})
run("h", "2025-10-17", {one})
"""
    found = runs(every, script)
    assert found.pop("kept")["model"] == ["a", "c", "d"]
    assert models(found) == ["a", "a", "c", "c", "a", "a", "g", "g"]
    assert found["e"]["told"] == "of run a, trained for 2025-10-01, 11 days before"
    assert found["g"]["why"] == "the rollback to run a's model is 3 days ago; schedule.train_every is 3d"


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_a_table_gets_the_column_once_rows_say_it(every: Project, kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "postgresql":
        every = every.with_env(DATABASE__URL=new_database(request.getfixturevalue("postgresql"), every))
    script = """
run("old", "2025-11-01", SCHEDULE__TRAIN_EVERY="")
run("new", "2025-11-02")
run("back", "2025-11-03", SCHEDULE__TRAIN_EVERY="")
from BURGER.ops import catalogue, published, results
import polars as pl
own = pl.DataFrame({"customer": ["C1"], "model_run": ["mine"]})
settings = under({})
mine = execute.Run.create(settings.runs, Stage.develop, date(2025, 11, 4), "mine")
published.publish(mine, settings, {"recommendations": own})
found["mine"] = {"model": "-", "models": None}
with Store(settings.database.url) as store:
    found["published"] = {"model": [*catalogue.published(store)]}
    for name, day in (("old", 1), ("new", 2), ("back", 3), ("mine", 4)):
        shown = results.find(store, Stage.develop, 3, day=date(2025, 11, day)).tables[0].rows
        found[name]["shown"] = "model_run" in shown.columns
made = execute.Run.open(settings.runs, "new")
try:
    published.publish(made, settings, {"recommendations": own})
except execute.Problem as problem:
    found["refused"] = {"model": str(problem)}
"""
    found = runs(every, script.replace("BURGER", every.package))
    refused = "table recommendations: column 'model_run' is added to each row by itself: leave it out"
    assert models(found) == ["old", "old", "back", "-", ["recommendations"], refused]
    assert [found[name]["models"] for name in ("old", "new", "back")] == [None, ["old"], [None]]
    assert [found[name]["shown"] for name in ("old", "new", "back", "mine")] == [False, False, False, True]


def test_what_is_no_time_is_refused_in_one_line(every: Project) -> None:
    script = """
for wrong in ("7 days", "0d", "7", "d", "-1d", "7D"):
    try:
        under({"SCHEDULE__TRAIN_EVERY": wrong})
    except execute.Problem as problem:
        found[wrong] = {"model": str(problem)}
for right in ("", "1h", "36h", "7d", "2w"):
    under({"SCHEDULE__TRAIN_EVERY": right})
"""
    where = "environment variable BURGER_COMBOS_SCHEDULE__TRAIN_EVERY: schedule.train_every"
    assert models(runs(every, script)) == [
        f"{where}: '{wrong}' is no time between two trainings, as 12h, 7d and 2w are"
        for wrong in ("7 days", "0d", "7", "d", "-1d", "7D")
    ]


def test_a_trial_trains_and_a_project_without_marks_is_told_so(every: Project) -> None:
    script = """
run("first", "2025-11-01")
run("second", "2025-11-02")
trial = under({"DEPLOY__SCALE__FACTORS": "[]"})
found["gates"] = {"model": [[each.passed, each.finding] for each in gates.judge(Stage.develop, trial)]}
for step in execute.STEPS:
    step.__dict__.pop(training.FILES, None)
try:
    run("third", "2025-11-03")
except execute.Problem as problem:
    found["refused"] = {"model": str(problem)}
run("fourth", "2025-11-03", SCHEDULE__TRAIN_EVERY="")
"""
    found = runs(every, script)
    passed, findings = zip(*found["gates"]["model"], strict=True)
    assert all(passed), findings
    assert findings[0].endswith("for 2025-11-01")  # when production's model was measured
    mine, others = findings[-1].removeprefix("hit rate ").split(", production ")
    assert others.startswith(f"{mine} by 11111111111 for 2025-11-01")
    assert models(found)[1] == "first"
    assert found["refused"]["model"] == (
        'schedule.train_every is "3d", and no step of pipeline.py says what its model is: write @trains("FILE") above '
        'the step that leaves it (docs/training.md), or set it to ""'
    )
    assert found["fourth"]["model"] == ""
