"""Nothing grows for ever: which rows, records, folders and files a good run removes, and what it says of that."""

import json
import os
import re
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rig import Project

TODAY = datetime.now(UTC).date()
DAY = timedelta(days=1)
OLD = time.time() - 3 * 24 * 3600
# Does one act after the other: runs of a pipeline of one table, under settings of their own, and statements of SQL.
ACTS = """
import json, os, sys
from datetime import date
import polars as pl
from burger_combos import pipeline
from burger_combos.ops import execute
from burger_combos.ops.published import Table, publish
from burger_combos.ops.settings import Stage, load
from burger_combos.ops.store import Store
from burger_combos.ops.databases import sql

def count(run, settings):
    publish(run, settings, {pipeline.TABLES[0].name: pl.DataFrame({"customer": ["A", "B"], "sold": [1, 2]})})

execute.STEPS, execute.NAMES = (count,), ["count"]
found = []
for act, settings in json.loads(sys.argv[1]):
    os.environ.update({f"BURGER_COMBOS_{name}": value for name, value in settings.items()})
    loaded = load(pipeline.Settings, Stage.develop)
    if act.startswith("2"):
        day, _, table = act.partition(" ")
        pipeline.TABLES = (Table(table or "sales", key=("customer",)),)
        execute.run_all(loaded, date.fromisoformat(day))
        continue
    with Store(loaded.database.url) as store:
        if act.startswith("SELECT"):
            found.append(store.query(act).rows())
        else:
            with store._transaction():
                store._execute(act)
print("FOUND", json.dumps(found, default=str))
"""


def done(shop: Project, *acts: str | date | dict[str, str]) -> tuple[list[list[list[object]]], str]:
    """What each SELECT finds, and what the runs say; a run is for a day, and settings are for what comes after them."""
    settings: dict[str, str] = {}
    listed = []
    for act in acts:
        if isinstance(act, dict):
            settings = settings | act
        else:
            listed.append((str(act), settings))
    ended = shop.run(".venv/bin/python", "-c", ACTS, json.dumps(listed))
    assert ended.returncode == 0, ended.stderr
    said, _, found = (ended.stderr + ended.stdout).rpartition("FOUND ")
    return json.loads(found.splitlines()[0]), said + found.partition("\n")[2]


def aged(folder: Path, *files: str, at: float = OLD) -> Path:
    """A folder with some files, written long ago."""
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).write_text("x")
    for path in (*folder.iterdir(), folder):
        os.utime(path, (at, at))
    return folder


def test_old_rows_go_and_nothing_else(stored: Project) -> None:
    days = [TODAY - 10 * DAY, TODAY - 6 * DAY, TODAY - 5 * DAY]
    of_stage = "SELECT stage, date, count(*) FROM sales GROUP BY stage, date ORDER BY stage, date"
    (first, found, earlier, runs, records), said = done(
        stored,
        *days,
        f"{days[0]} earlier",  # a table that the pipeline declares no more
        "INSERT INTO sales SELECT 'production', date, customer, sold, run_id, git_commit FROM sales",
        "SELECT count(*) FROM sales",
        {"DATABASE__KEEP_DAYS": "5"},
        TODAY,
        TODAY,
        of_stage,
        "SELECT count(*) FROM earlier",
        "SELECT count(*) FROM runs",
        {"RUNS__KEEP_RECORDS_DAYS": "5"},
        TODAY,
        "SELECT date, count(*) FROM runs GROUP BY date ORDER BY date",
    )
    assert (first, earlier, runs) == ([[12]], [[2]], [[6]])
    assert found == [
        *(["develop", str(day), 2] for day in (days[2], TODAY)),
        *(["production", str(day), 2] for day in days),
    ]
    # Of days[0] there are rows yet, in the table that is declared no more.
    assert records == [[str(days[0]), 2], [str(days[2]), 1], [str(TODAY), 3]]
    assert re.findall("removed [^\\x1b\\n]*[^\\x1b\\s]", said) == [
        f"removed 4 rows of sales before {days[2]}",
        f"removed 1 record of runs before {days[2]}",
    ]

    refused = stored.with_env(DATABASE__KEEP_DAYS="5").call("run", "--date", str(days[1]))
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert f"database.keep_days is 5, so the next good run would remove the rows of {days[1]}" in refused.stderr


def test_what_killed_processes_left_goes(shop: Project, tmp_path: Path) -> None:
    runs, trials = tmp_path / "runs", tmp_path / "trials"
    done(shop, TODAY)
    (first,) = runs.iterdir()
    named = "20260101T120000-abc123"
    gone = [
        aged(trials / named, "raw.parquet", "run.json"),
        aged(runs / "begun", "lock", "log.jsonl"),
        aged(runs / named),
    ]
    kept = [
        aged(trials / "mine", "notes.txt"),
        aged(trials / "20260101T120000-abc124", "raw.parquet", at=time.time()),
        aged(runs / "others", "notes.txt"),
        aged(runs / "20260101T120000-abc125", "log.jsonl", at=time.time()),
        first,
    ]
    _, said = done(shop, TODAY)
    assert f"removed what ended halfway left: 3, {named}, 2026" in said
    assert [path.exists() for path in (*gone, *kept)] == [False] * 3 + [True] * 5

    (first / "run.json").unlink()  # as where somebody killed what removed it
    aged_by = [*first.rglob("*"), first]
    for path in aged_by:
        os.utime(path, (OLD, OLD))
    _, said = done(shop, TODAY)
    assert first.name in said
    assert not first.exists()


def test_what_is_in_a_store_goes_only_where_it_is_a_runs(shop: Project, tmp_path: Path) -> None:
    store = tmp_path / "store"
    mine = shop.with_env(RUNS__STORE=str(store), RUNS__KEEP="2")
    done(mine, TODAY)
    (first,) = (each.name for each in store.iterdir())
    (store / first / "run.json").unlink()
    for file in (store / first).iterdir():
        os.utime(file, (OLD, OLD))
    aged(store / "others", "table.parquet")
    copies = [aged(tmp_path / "runs" / f"{first}-abcd_123", "raw.parquet"), aged(tmp_path / "runs" / "mine", "lock")]
    _, said = done(mine, TODAY)
    assert f"removed what ended halfway left: 2, {first}-abcd_123, {first}" in said
    assert not (store / first).exists()
    assert (store / "others/table.parquet").exists()
    assert [path.exists() for path in copies] == [False, True]
    _, said = done(mine, TODAY, TODAY)
    assert "removed what runs before the last 2 left: 1, " in said
    assert sum((each / "run.json").exists() for each in store.iterdir()) == 2


BOUNDED = """
import sys
from burger_combos.ops import deployment_history
from burger_combos.ops.settings import Stage, StageSettings, load
from burger_combos.ops.store import Store
from burger_combos.ops.databases import sql

deployment_history.MOST = sql.DEPLOYMENTS = 3
sql.TRIALS = 1
for number in range(5):
    deployment_history.add(Stage.develop, f"line {number}")
print(deployment_history.read(Stage.develop))
with Store(load(StageSettings, Stage.develop).database.url, create=True) as database:
    for number in range(5):
        database.note_deployment("develop", f"2026-01-0{number + 1}", f"line {number}")
    database.note_deployment("production", "2025-01-01", "another stage")
    print(database.query("SELECT line FROM deployments ORDER BY noted_at")["line"].to_list())
    (commit,) = set(database.query("SELECT git_commit FROM runs")["git_commit"])
    for each in (commit, "refused", "next"):
        database.note_trials("develop", each, "[]")
    database.note_trials("production", "other", "[]")
    print(database.query("SELECT git_commit FROM trials")["git_commit"].to_list() == [commit, "next", "other"])
"""


def test_the_history_of_deployments_and_the_trials_have_an_end(stored: Project) -> None:
    done(stored, TODAY)
    ended = stored.python(BOUNDED)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "['line 2', 'line 3', 'line 4']",
        "['another stage', 'line 2', 'line 3', 'line 4']",
        "True",
    ]
    (stored.folder / "var/develop/deployments.jsonl").unlink()
