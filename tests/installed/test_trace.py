"""Why a row is as it is: what `trace` finds of its run and of the data that the run has read of its key."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rig import Project, new_database

# What is read; the key 17 is written in five ways, and 170 is another one.
ORDERS = """customer,item,ordered_at,quantity
17,Classic,2026-01-01 12:00:00,1
 17 ,Classic,2026-01-01 13:00:00,2
17.0,"  Classic ",2026-01-02 12:00:00,3
0017,Classic,2026-01-02 13:00:00,0
1.7e1,Fish & cola,2026-01-03 12:00:00,5
170,Classic,2026-01-03 13:00:00,6
4,Fish & cola,2026-01-04 12:00:00,7
"""
PIPELINE = """
import sys
from datetime import date
import pandera.polars as pa
import polars as pl
from burger_combos import pipeline
from burger_combos.ops import execute
from burger_combos.ops.ingest import checked, fetch, join_rejected
from burger_combos.ops.published import Table, publish
from burger_combos.ops.settings import Stage, load

SCHEMA = pa.DataFrameSchema({
    "customer": pa.Column(pl.Int64), "item": pa.Column(pl.String), "ordered_at": pa.Column(pl.Datetime),
    "quantity": pa.Column(pl.Float64, pa.Check.gt(0, error="is not positive")),
})

def read(run, settings):
    fetch(run, settings.orders, by="customer")

def check(run, settings, shard):
    checked(run, settings.orders, SCHEMA, shard).write_parquet(run.path("rows.parquet", shard))

def count(run, settings):
    join_rejected(run, settings.orders)
    rows = pl.concat([pl.read_parquet(path) for path in run.paths("rows.parquet")])
    sold = rows.group_by("customer", "item").agg(pl.col("quantity").sum().alias("sold"), place=pl.lit(1))
    run.measure("error", 0.25, better="lower", baselines={"mean": 0.5})
    names = rows.select(name="item").unique().with_columns(letters=pl.col("name").str.len_chars())
    publish(run, settings, {"sold": sold, "names": names})

pipeline.TABLES = (Table("sold", key=("customer", "item")), Table("names", key=("name",)))
execute.STEPS = (read, check, count)
execute.NAMES = ["read", "check", "count"]
settings = load(pipeline.Settings, Stage.develop)
for day, name in zip(sys.argv[1::2], sys.argv[2::2]):
    execute.run_all(settings, date.fromisoformat(day), name)
"""


@pytest.fixture(params=["shards", "store", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def traced(request: pytest.FixtureRequest, shop: Project, tmp_path: Path) -> Project:
    """A shop with two runs of the pipeline above, of two days, however its files and rows are kept."""
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    made = shop.with_env(ORDERS__SOURCE=str(tmp_path / "orders.csv"), ORDERS__MAX_REJECTED_SHARE="0.5")
    if request.param in ("shards", "store"):
        made = made.with_env(RUNS__SHARDS="3")
    if request.param == "store":
        made = made.with_env(RUNS__STORE=str(tmp_path / "store"))
    if request.param == "postgresql":
        made = made.with_env(DATABASE__URL=new_database(request.getfixturevalue("postgresql"), shop))
    ran = made.run(".venv/bin/python", tmp_path / "pipeline.py", "2026-02-01", "first", "2026-02-02", "second")
    assert ran.returncode == 0, ran.stderr
    return made


def told(project: Project, *options: str) -> dict[str, Any]:
    """What `trace --json` says."""
    done = project.call("trace", "--json", *options)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_row_its_run_and_what_the_run_has_read_of_it(traced: Project, tmp_path: Path) -> None:
    found = told(traced, "--key", "customer=17 item=Classic")
    assert found["tables"]["sold"]["rows"] == [{"customer": 17, "item": "Classic", "sold": 6.0, "place": 1}]
    assert (found["run"], found["date"], found["status"]) == ("second", "2026-02-02", "ok")
    assert (found["commit"], found["subject"]) == (
        traced.git("rev-parse", "HEAD"),
        traced.git("log", "-1", "--format=%s"),
    )
    assert found["metrics"]["error"]["baselines"] == {"mean": 0.5}
    assert found["settings"]["by_variable"]["orders.source"].endswith("_ORDERS__SOURCE")
    assert found["data"]["rows"] == 7
    read = found["inputs"]
    assert (read["columns"], read["lacking"], read["read"], read["matching"]) == (["customer", "item"], [], 7, 4)
    assert [row["row"] for row in read["rows"]] == [1, 2, 3, 4]
    assert [row["left out"] for row in read["rows"]] == [None] * 3 + ["quantity is not positive"]
    assert read["reasons"] == {"quantity is not positive": 1}

    one = told(traced, "--key", "Fish & cola", "--table", "names", "--date", "2026-02-01", "--rows", "1")
    assert one["run"] == "first"
    assert one["inputs"]["lacking"] == ["name"]
    assert one["inputs"]["known"] == ["customer", "item", "ordered_at", "quantity"]
    both = told(traced, "--key", "customer=17", "--rows", "1")["inputs"]
    assert (both["matching"], len(both["rows"])) == (5, 1)

    keep = traced.with_env(RUNS__KEEP="1")
    ran = keep.run(".venv/bin/python", tmp_path / "pipeline.py", "2026-02-03", "third")
    assert ran.returncode == 0, ran.stderr
    assert "removed what runs before the last 1 left: 2, first, second" in ran.stderr + ran.stdout
    gone = keep.call("trace", "--key", "customer=4", "--date", "2026-02-01")
    assert gone.returncode == 0, gone.stderr
    assert "inputs   not known: the files of run first are no longer in " in gone.stdout
    assert "runs.keep (1)" in gone.stdout
    assert "1 of 7 rows read with customer=4\n" in keep.call("trace", "--key", "customer=4").stdout


@pytest.fixture(scope="module")
def looked(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with one run of its own pipeline."""
    folder = tmp_path_factory.mktemp("looked")
    made = project.with_env(
        ORDERS__SAMPLE__CUSTOMERS="300", DATABASE__URL=f"sqlite:///{folder}/r.db", RUNS__FOLDER=f"{folder}/runs"
    )
    assert made.call("run").returncode == 0
    yield made
    shutil.rmtree(folder)


def test_as_a_person_reads_it(looked: Project) -> None:
    shown = looked.make("trace", "KEY=C0000003", "ROWS=2")
    (name, *_), *_ = (line.split() for line in shown.splitlines())
    assert name == "customer"
    assert "\n1 of 3" in shown
    assert f"\ncommit   {looked.git('rev-parse', 'HEAD')}  {looked.git('log', '-1', '--format=%s')}\n" in shown
    assert "\nmetric   hit rate 0." in shown
    assert (
        "\nsetting  orders.sample.customers 300 by BURGER_COMBOS_ORDERS__SAMPLE__CUSTOMERS, 2000 in the file\n" in shown
    )
    assert "\ndata     sample: " in shown
    assert " rows read with customer=C0000003\n\nrow " in shown
    assert shown.endswith("\nthe first 2; ROWS=100 shows more\n")
    assert "the data read has no column item_1; it has customer, item, " in looked.make(
        "trace", "KEY=item_1=" + shown.splitlines()[1].split("  ")[1].strip().join("''")
    )


def test_what_cannot_be_answered_is_one_line(looked: Project) -> None:
    for options, message in {
        ("--key", "nobody"): "no row with nobody in develop for 20",
        ("--key", "customr=C0000003"): "no column 'customr'; customer is meant?",
        ("--key", "C0000003", "--table", "combos"): "no table 'combos'; there are 'recommendations'",
        ("--key", "C0000003", "--date", "2020-01-01"): "no row in develop for 2020-01-01",
        (): "KEY: of which row? Write COLUMN=VALUE",
    }.items():
        done = looked.call("trace", *options)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert message in done.stderr
    empty = replace(looked, env=looked.env | {"BURGER_COMBOS_DATABASE__URL": "sqlite:////nowhere/r.db"})
    assert "no results yet in develop" in empty.call("trace", "--key", "C0000003").stderr
