"""Nothing grows for ever: which rows, records, folders and files a good run removes, and what it says of that."""

import json
import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rig import Project

TODAY = datetime.now(UTC).date()
DAY = timedelta(days=1)
OLD = time.time() - 3 * 24 * 3600
# A pipeline of one table; another table of the same form is not declared any more.
PIPELINE = """
import sys
from datetime import date
import polars as pl
from burger_combos import pipeline
from burger_combos.ops import execute
from burger_combos.ops.published import Table, publish
from burger_combos.ops.settings import Stage, load

def count(run, settings):
    frames = {table.name: pl.DataFrame({"customer": ["A", "B"], "sold": [1, 2]}) for table in pipeline.TABLES}
    publish(run, settings, frames)

before, *days = sys.argv[1:]
pipeline.TABLES = tuple(Table(name, key=("customer",)) for name in (["earlier"] if before else ["recommendations"]))
execute.STEPS, execute.NAMES = (count,), ["count"]
settings = load(pipeline.Settings, Stage.develop)
for day in days:
    execute.run_all(settings, date.fromisoformat(day))
"""
STORE = """
import json, sys
from burger_combos.ops.settings import Stage, StageSettings, load
from burger_combos.ops.store import Store
with Store(load(StageSettings, Stage.develop).database.url) as store:
    for sql in sys.argv[1:]:
        if sql.startswith("SELECT"):
            print(json.dumps(store.query(sql).rows(), default=str))
        else:
            with store._transaction():
                store._execute(sql)
"""


def ran(shop: Project, *days: date, before: str = "", **settings: str) -> str:
    """What the runs of some days say."""
    done = shop.with_env(**settings).run(".venv/bin/python", "-c", PIPELINE, before, *map(str, days))
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def query(shop: Project, *sql: str) -> list[list[list[object]]]:
    """What each SELECT finds."""
    done = shop.run(".venv/bin/python", "-c", STORE, *sql)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


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
    assert "removed" not in ran(stored, *days)
    ran(stored, days[0], before="earlier")
    another = "SELECT 'production', date, customer, sold, run_id, git_commit FROM recommendations"
    query(stored, f"INSERT INTO recommendations {another}")
    said = ran(stored, TODAY, DATABASE__KEEP_DAYS="5")
    assert f"removed 4 rows of recommendations before {days[2]}" in said
    of_stage = "SELECT stage, date, count(*) FROM recommendations GROUP BY stage, date ORDER BY stage, date"
    found, earlier, runs = query(stored, of_stage, "SELECT count(*) FROM earlier", "SELECT count(*) FROM runs")
    assert found == [
        *(["develop", str(day), 2] for day in (days[2], TODAY)),
        *(["production", str(day), 2] for day in days),
    ]
    assert (earlier, runs) == ([[2]], [[5]])
    assert "removed" not in ran(stored, TODAY, DATABASE__KEEP_DAYS="5")

    # Records go where nothing is left of their day: that of days[0] has rows in the table that is declared no more.
    said = ran(stored, TODAY, DATABASE__KEEP_DAYS="5", RUNS__KEEP_RECORDS_DAYS="5")
    assert f"removed 1 record of runs before {days[2]}" in said
    (dates,) = query(stored, "SELECT date, count(*) FROM runs GROUP BY date ORDER BY date")
    assert dates == [[str(days[0]), 2], [str(days[2]), 1], [str(TODAY), 3]]

    refused = stored.with_env(DATABASE__KEEP_DAYS="5").call("run", "--date", str(days[1]))
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert f"database.keep_days is 5, so the next good run would remove the rows of {days[1]}" in refused.stderr


def test_what_killed_processes_left_goes(shop: Project, tmp_path: Path) -> None:
    runs, trials = tmp_path / "runs", tmp_path / "trials"
    ran(shop, TODAY)
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
    said = ran(shop, TODAY)
    assert f"removed what ended halfway left: 3, {named}, 2026" in said
    assert [path.exists() for path in (*gone, *kept)] == [False] * 3 + [True] * 5

    (first / "run.json").unlink()  # as where somebody killed what removed it
    aged_by = [*first.rglob("*"), first]
    for path in aged_by:
        os.utime(path, (OLD, OLD))
    assert first.name in ran(shop, TODAY)
    assert not first.exists()


def test_what_is_in_a_store_goes_only_where_it_is_a_runs(shop: Project, tmp_path: Path) -> None:
    store = tmp_path / "store"
    mine = shop.with_env(RUNS__STORE=str(store), RUNS__KEEP="2")
    ran(mine, TODAY)
    (first,) = (each.name for each in store.iterdir())
    (store / first / "run.json").unlink()
    for file in (store / first).iterdir():
        os.utime(file, (OLD, OLD))
    aged(store / "others", "table.parquet")
    copies = [aged(tmp_path / "runs" / f"{first}-abcd_123", "raw.parquet"), aged(tmp_path / "runs" / "mine", "lock")]
    said = ran(mine, TODAY)
    assert f"removed what ended halfway left: 2, {first}-abcd_123, {first}" in said
    assert not (store / first).exists()
    assert (store / "others/table.parquet").exists()
    assert [path.exists() for path in copies] == [False, True]
    said = ran(mine, TODAY, TODAY)
    assert "removed what runs before the last 2 left: 1, " in said
    assert sum((each / "run.json").exists() for each in store.iterdir()) == 2


BOUNDED = """
import sys
from burger_combos.ops import deployment_history, store
from burger_combos.ops.settings import Stage, StageSettings, load
from burger_combos.ops.store import Store

deployment_history.MOST = store._DEPLOYMENTS = 3
store._TRIALS = 1
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


def test_the_history_of_deployments_and_the_trials_have_an_end(stored: Project, tmp_path: Path) -> None:
    ran(stored, TODAY)
    done = stored.python(f"import os\nos.chdir({str(stored.folder)!r})\n" + BOUNDED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['line 2', 'line 3', 'line 4']",
        "['another stage', 'line 2', 'line 3', 'line 4']",
        "True",
    ]
    (stored.folder / "var/develop/deployments.jsonl").unlink()
