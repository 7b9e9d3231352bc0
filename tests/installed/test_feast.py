"""Each day in Feast: what services read online and offline is what the database has, on SQLite and on Redis."""

import json
import re
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import copier
import pytest
import redis_server
import rig
import snippets
from ports import free_port
from rig import Project

PAGE = "docs/feast.md"
READ = """
import json
from datetime import UTC, date, datetime
from typing import Any
import pandas as pd

{snippets}

{script}
"""
PUBLISH = """
import json, sys
from datetime import date, datetime
import polars as pl
from acme import pipeline
from acme.ops import execute, publish_feast
from acme.ops.problems import Problem
from acme.ops.published import Table, publish
from acme.ops.settings import Stage, load

def run(stage, day, run_id, rows, key=("shop", "day", "number", "at"), name="kinds"):
    "A run that publishes one table; its problem."
    def step(run, settings):
        publish(run, settings, {name: rows})

    pipeline.TABLES = (Table(name, key=key),)
    execute.STEPS, execute.NAMES = (step,), ["step"]
    try:
        execute.run_all(load(pipeline.Settings, Stage(stage)), date(2026, 1, day), run_id)
    except Problem as problem:
        return str(problem)
    finally:
        assert not {"feast", "pandas", "pyarrow"} & sys.modules.keys()

def kinds(*shops, count=7, **others):
    "A row of each kind for each shop, and one with nothing but a key."
    key = dict(day=date(2026, 2, 3), number=2**62 + 1, at=datetime(1969, 7, 20, 20, 17, 40))
    values = dict(share=1 / 3, good=True, note="größer", since=date(1, 2, 3), seen=datetime(2026, 3, 29, 1, 30))
    rows = [dict(shop=shop) | key | dict(count=count) | values for shop in shops]
    empty = dict.fromkeys(list(rows[0])[4:]) | dict(shop="", day=date(9999, 12, 31), number=-1, at=datetime(2000, 1, 1))
    return pl.DataFrame([*rows, empty]).with_columns(**others)

"""
KEYS = """
keys = [dict(shop=shop, day="2026-02-03", number=2**62 + 1, at=datetime(1969, 7, 20, 20, 17, 40)) for shop in "ABCD"]
keys.append(dict(shop="", day="9999-12-31", number=-1, at=datetime(2000, 1, 1)))
"""
# What the explore stage of the project is made to have by its team.
REDIS = """
project: acme_explore
provider: local
entity_key_serialization_version: 3
registry: ../var/explore/${ACME_BRANCH}/registry.db
offline_store:
  type: duckdb
# not from ${ACME_HOST}, but as the page has it:
"""
PASSWORD = "topsecret"  # pragma: allowlist secret


# Feast's process, which writes two rows at a time; where it is told to, it is killed then, and the run with it.
CHILD = """#!{python}
import os, runpy, signal
import pyarrow.parquet as pq
from feast import FeatureStore

batches, written = pq.ParquetFile.iter_batches, FeatureStore.write_to_online_store
pq.ParquetFile.iter_batches = lambda self, rows: batches(self, 2)

def write(self, *arguments):
    written(self, *arguments)
    if "KILL" in os.environ:
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

FeatureStore.write_to_online_store = write
runpy.run_module("acme.ops.feast_online", run_name="__main__")
"""


@pytest.fixture(scope="module")
def made(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of the example with a composite key, set up: develop on SQLite, and explore on Redis."""
    folder = tmp_path_factory.mktemp("feast") / "acme"
    project = generate(folder, example="forecast", features="feast", package="acme")
    (online,) = (block.code for block in snippets.blocks(folder / PAGE) if block.language == "yaml")
    assert "redis.example.org:6379" in online
    online = online.replace("redis.example.org:6379", "127.0.0.1:${ACME_REDIS}")
    (folder / "explore/feature_store.yaml").write_text(REDIS + online, encoding="utf-8")
    project.make("setup")
    return project


@pytest.fixture
def shop(made: Project, tmp_path: Path) -> Project:
    """The project with database, runs and Feast's stores of the test's own."""
    mine = replace(made, env=made.env | {"REDIS_PASSWORD": PASSWORD})
    return mine.with_env(
        DATABASE__URL=f"sqlite:///{tmp_path}/results.db",
        DATABASE__FEAST_URL=str(tmp_path / "days"),
        RUNS__FOLDER=str(tmp_path / "runs"),
        BRANCH=tmp_path.name,
    )


def read(project: Project, script: str) -> Any:
    """What a script prints last that uses the functions of the page."""
    code = "\n".join(block.code for block in snippets.blocks(project.folder / PAGE) if block.language == "python")
    done = project.run(".venv-feast/bin/python", "-c", READ.format(snippets=code, script=script))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def published(project: Project, script: str) -> Any:
    """What a script prints last that has rows published."""
    done = project.python(PUBLISH + script)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def in_database(project: Project, table: str, columns: str = "*") -> list[dict[str, Any]]:
    """What the database has, by day and key."""
    with closing(sqlite3.connect(project.env["ACME_DATABASE__URL"].removeprefix("sqlite:///"))) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"SELECT {columns} FROM {table} ORDER BY 2, 3, 4, 5")]


def test_services_find_each_row_of_a_run_by_its_whole_key(shop: Project, tmp_path: Path) -> None:
    done = shop.call("run", "--run-id", "one")
    assert done.returncode == 0, done.stderr
    rows = in_database(shop, "forecasts")
    assert re.search(rf"feast +table=forecasts rows={len(rows)} seconds=[\d.]+\n", done.stderr), done.stderr
    keys = [{name: row[name] for name in ("store", "product", "forecast_date")} for row in rows]
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    look = f"keys = json.load(open({str(tmp_path / 'keys.json')!r}))"
    found = read(shop, f"{look}\nprint(json.dumps(latest('develop', 'forecasts', keys)))")
    assert len(rows) > 1000
    assert [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)] == [
        {name: value for name, value in row.items() if name != "stage"} for row in rows
    ]
    assert {row["run_id"] for row in rows} == {"one"}


@pytest.mark.parametrize("stage", ["develop", "explore"])
def test_the_latest_day_stands_online_and_each_day_offline(stage: str, shop: Project, tmp_path: Path) -> None:
    port = free_port()
    mine = shop.with_env(REDIS=str(port))
    days = f"""
problems = [run("{stage}", 2, "first", kinds("A", "C"))]
if "{stage}" == "explore":  # Redis alone refuses values of the very moment that it has
    problems.append(run("{stage}", 3, "next", kinds("A", "B")))
problems.append(run("{stage}", 3, "again", kinds("A", "B", count=9, extra=pl.lit("new"))))
problems.append(run("{stage}", 1, "older", kinds("A", "D", count=1)))
print(json.dumps(problems))
"""
    look = f"""
online = latest("{stage}", "kinds", keys)
moments = [datetime(2026, 1, day, 12, tzinfo=UTC) for day in (1, 2, 3)]
whole = pd.DataFrame([key | dict(event_timestamp=moment) for moment in moments for key in keys])
offline = known_on("{stage}", "kinds", whole).sort_values(["event_timestamp", "shop"])
print(json.dumps([online, json.loads(offline.to_json(orient="records"))], default=datetime.isoformat))
"""
    with redis_server.serving(port, tmp_path, PASSWORD) if stage == "explore" else nullcontext():
        assert {*published(mine, days)} == {None}
        online, offline = read(mine, KEYS + look)
    assert online["run_id"] == ["again", "again", "first", "older", "again"]
    assert online["date"] == ["2026-01-03", "2026-01-03", "2026-01-02", "2026-01-01", "2026-01-03"]
    assert online["count"] == [9, 9, 7, 1, None]
    assert online["extra"] == ["new", "new", None, None, "new"]
    alike = {"share": 1 / 3, "good": True, "note": "größer", "since": "0001-02-03", "seen": "2026-03-29T01:30:00+00:00"}
    for name, value in alike.items():
        assert online[name] == [value] * 4 + [None], name
    assert online["number"] == [2**62 + 1] * 4 + [-1]
    told = [(row["shop"], row["run_id"], row["count"], row["extra"]) for row in offline]
    assert told == [
        ("", "older", None, None),
        ("A", "older", 1, None),
        ("B", None, None, None),
        ("C", None, None, None),
        ("D", "older", 1, None),
        ("", "first", None, None),
        ("A", "first", 7, None),
        ("B", None, None, None),
        ("C", "first", 7, None),
        ("D", "older", 1, None),
        ("", "again", None, "new"),
        ("A", "again", 9, "new"),
        ("B", "again", 9, "new"),
        ("C", "first", 7, None),
        ("D", "older", 1, None),
    ]


def test_a_run_that_is_killed_while_it_writes_is_done_again(shop: Project, tmp_path: Path) -> None:
    """On Redis, which refuses values of the very moment that it has; the rows come in several parts."""
    port, child = free_port(), tmp_path / "python"
    child.write_text(CHILD.format(python=shop.folder / ".venv-feast/bin/python"))
    child.chmod(0o755)
    mine = shop.with_env(REDIS=str(port))
    parts = f"""
import os
from pathlib import Path
from acme.ops import earlier_rows
earlier_rows.ROWS = 2
publish_feast.PYTHON = Path({str(child)!r})
"""
    before_online = "publish_feast.Publisher._online = lambda *_: os.kill(os.getpid(), 9)\n"
    file = tmp_path / "days/explore/kinds/2026-01-02.parquet"
    look = """
moment = datetime(2026, 1, 2, 12, tzinfo=UTC)
offline = known_on("explore", "kinds", pd.DataFrame([key | dict(event_timestamp=moment) for key in keys]))
print(json.dumps([latest("explore", "kinds", keys)[name] for name in ("run_id", "count")] + [list(offline["run_id"])]))
"""

    def runs(run_id: str, count: int, more: str = "", **env: str) -> int:
        script = f'print(run("explore", 2, "{run_id}", kinds(*"ABCD", count={count})))'
        done = replace(mine, env=mine.env | env).python(PUBLISH + parts + more + script)
        assert done.returncode or done.stdout == "None\n", done.stdout
        return done.returncode

    with redis_server.serving(port, tmp_path, PASSWORD):
        assert runs("offline", 1, before_online) == -signal.SIGKILL
        stored = shop.python(f"import polars as pl\nprint(*set(pl.read_parquet('{file}')['run_id']))")
        assert stored.stdout == "offline\n", stored.stderr
        assert runs("halfway", 2, KILL="1") == -signal.SIGKILL
        online, count, offline = read(mine, KEYS + look)
        assert sorted(online, key=str) == [None] * 3 + ["halfway"] * 2
        assert offline == ["halfway"] * 5
        assert runs("again", 3) == 0
        online, count, offline = read(mine, KEYS + look)
    assert online == offline == ["again"] * 5
    assert count == [3] * 4 + [None]


def test_days_that_the_database_keeps_no_more_go_from_the_offline_store(shop: Project, tmp_path: Path) -> None:
    days = """
publish_feast.Publisher._online = lambda *_: None
problems = [run(stage, day, f"{stage}-{day}", kinds("A")) for stage in ("develop", "production") for day in (1, 4, 6)]
print(json.dumps(problems))
"""
    tidy = """
from acme.ops import retention
settings = load(pipeline.Settings, Stage.develop)
pipeline.TABLES = (Table("kinds", key=("shop", "day", "number", "at")),)
publish_feast.Publisher._online = lambda *_: None
record = {}
execute.STEPS, execute.NAMES = (lambda run, settings: record.update(of=run.record),), ["step"]
execute.run_all(settings, date(2026, 1, 6), "last")
settings = settings.model_copy(update={"database": settings.database.model_copy(update={"keep_days": 2})})
retention.tidy(record["of"], settings)
"""

    def files(stage: str) -> list[str]:
        return sorted(file.stem for file in (tmp_path / "days" / stage / "kinds").iterdir())

    assert published(shop, days) == [None] * 6
    done = shop.python(PUBLISH + tidy)
    assert done.returncode == 0, done.stderr
    assert "removed 1 file of Feast's offline store of days before 2026-01-04" in done.stdout + done.stderr
    assert files("develop") == ["2026-01-04", "2026-01-06"]
    assert files("production") == ["2026-01-01", "2026-01-04", "2026-01-06"]
    kept = {row["run_id"] for row in in_database(shop, "kinds") if row["stage"] == "develop"}
    assert kept == {"develop-4", "develop-6"}


def test_a_store_that_does_not_answer_fails_the_run_whose_rows_the_database_has(shop: Project) -> None:
    port = free_port()
    (said,) = published(shop.with_env(REDIS=str(port)), 'print(json.dumps([run("explore", 2, "lost", kinds("A"))]))')
    assert said.startswith("explore/feature_store.yaml: ConnectionError: ")
    assert str(port) in said
    assert said.endswith(
        "; the database has the rows of 2026-01-02, Feast may not: run that day again, which does no harm"
    )
    assert "\n" not in said
    assert [row["run_id"] for row in in_database(shop, "kinds")] == ["lost", "lost"]


def test_what_feast_cannot_hold_is_refused_and_named(shop: Project) -> None:
    cases = """
def one(key=("id",), **columns):
    name = "t" + str(len(said))
    said.append(run("develop", 2, name, pl.DataFrame(dict(id=["a", "b"]) | columns), key, name))

said = []
one(at=[None, datetime(2026, 1, 1, 0, 0, 0, 5)])
one(good=[True, False], key=("id", "good"))
one(event_timestamp=["x", "y"])
try:
    publish_feast._refuse(pl.Series([1.0, None, float("nan")]), 10, "column share")  # SQLite has none
except Problem as problem:
    said.append(str(problem))
print(json.dumps(said))
"""
    said = [each.partition(";")[0] for each in published(shop, cases)]
    assert said == [
        "table t0: column at: row 2: 2026-01-01 00:00:00.000005 has a part of a second, which Feast does not keep: "
        "round it",
        "table t1: column good of its key holds true or false, by which Feast finds nothing: publish it as text",
        "table t2: column event_timestamp: Feast's rows have a column of that name: give yours another one",
        "column share: row 13: nan is not a number, and Feast would give no value back: publish no value",
    ]


def test_a_run_does_not_begin_where_feast_lacks_something(shop: Project) -> None:
    file = shop.folder / "explore/feature_store.yaml"
    done = shop.call("run", "--stage", "explore", "--run-id", "none")
    assert done.returncode == 1
    assert f"error: explore/{file.name}: the environment variable ACME_REDIS, which it names, is not set" in done.stderr
    assert not Path(shop.env["ACME_RUNS__FOLDER"], "none").exists()


def test_the_answer_can_be_given_later_and_taken_back_and_the_settings_stay_the_teams(
    generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "acme", package="acme")
    file = mine.folder / "production/feature_store.yaml"
    rig.commit(mine.folder, "mine")
    before = mine.git("ls-files", "-s")
    assert not file.exists()
    copier.run_update(mine.folder, data={"features": "feast"}, overwrite=True, defaults=True, quiet=True)
    assert "sqlite" in file.read_text()
    assert 'feast_url = "var/production/feast"' in (mine.folder / "production/platform.toml").read_text()
    file.write_text("project: ours\n")
    rig.commit(mine.folder, "given")
    copier.run_update(mine.folder, overwrite=True, defaults=True, quiet=True)
    assert file.read_text() == "project: ours\n"
    assert mine.git("status", "--porcelain") == ""
    copier.run_update(mine.folder, data={"features": "none"}, overwrite=True, defaults=True, quiet=True)
    rig.commit(mine.folder, "back")
    assert before == mine.git("ls-files", "-s")
