"""What made a result, what is published and what the last run did, and which project's settings are read."""

import html
import json
import re
import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from rig import Project, change, environment, new_database, sh

REFUSED = 3  # the exit code of a run that a gate refused
TODAY = date.today()

# The same rows in other orders, files and widths, and rows that differ in little.
HASHES = """
import json
import numpy as np
import polars as pl
from burger_combos.ops.fingerprint import fingerprint, hash_of, hashes_of_texts

rows = pl.DataFrame({
    "customer": ["C1", "C2", None, "Zoë's", "a customer of a long name"],
    "item": pl.Series([1, 2, 2, None, -3], dtype=pl.Int64),
    "price": [0.5, 0.0, None, float("nan"), 1e300],
    "at": pl.datetime_range(pl.datetime(2026, 3, 28), pl.datetime(2026, 4, 1), "1d", eager=True),
    "big": pl.Series([2**64 - 1, 0, 1, 2, None], dtype=pl.UInt64),
    "paid": [True, False, None, True, True],
    "raw": [b"\\xff", b"", None, b"x", b"x"],
    "parts": [[1, 2], [], None, [3], [3]],
})
large = pl.DataFrame({"n": pl.int_range(200_000, eager=True).cast(pl.String)})  # more than a chunk

def kept(frame, **how):
    frame.write_parquet("{folder}/kept.parquet", **how)
    return fingerprint("{folder}/kept.parquet")["hash"]

same = {
    "rows": hash_of(rows),
    "shuffled": hash_of(rows.sample(fraction=1, shuffle=True, seed=1)),
    "columns": hash_of(rows.select(sorted(rows.columns, reverse=True))),
    "in pieces": hash_of(pl.concat([rows[:2], rows[2:]], rechunk=False)),
    "narrower": hash_of(rows.with_columns(pl.col("item").cast(pl.Int8))),
    "category": hash_of(rows.with_columns(pl.col("customer").cast(pl.Categorical))),
    "another zero": hash_of(rows.with_columns(pl.Series("price", [0.5, -0.0, None, float("nan"), 1e300]))),
    "kept": kept(rows),
    "kept otherwise": kept(rows, compression="uncompressed", row_group_size=2),
}
other = {
    "all": hash_of(rows),
    "one less": hash_of(rows[:4]),
    "one twice": hash_of(pl.concat([rows, rows[:1]])),
    "another name": hash_of(rows.rename({"item": "thing"})),
    "values swapped": hash_of(rows.with_columns(item=pl.Series([2, 1, 2, None, -3]))),
    "empty for null": hash_of(rows.with_columns(pl.col("customer").fill_null(""))),
    "zero for null": hash_of(rows.with_columns(pl.col("item").fill_null(0))),
    "a blank": hash_of(rows.with_columns(pl.col("customer") + " ")),
    "a later time": hash_of(rows.with_columns(pl.col("at") + pl.duration(microseconds=1))),
    "none": hash_of(rows[:0]),
    "large": hash_of(large),
    "large, one changed": hash_of(large.with_columns(pl.when(pl.col("n") == "7").then(pl.lit("8")).otherwise("n"))),
    "large, shuffled": "",
}
assert hash_of(large.reverse()) == other["large"]
few = pl.Series(["fries", "a side of onion rings", ""])  # of which each is hashed once
assert (hashes_of_texts(pl.concat([few] * 4_000)) == np.tile(hashes_of_texts(few), 4_000)).all()
print(json.dumps([same, other]))
"""


def record(project: Project) -> dict[str, Any]:
    """The newest record, which is the same in the database and in the run's folder."""
    found = json.loads(project.written()[1][-1]["record"])
    folder = Path(project.env["BURGER_COMBOS_RUNS__FOLDER"], found["run_id"])
    assert json.loads((folder / "run.json").read_text(encoding="utf-8")) == found
    return dict(found)


def done(project: Project, *options: str, code: int = 0) -> str:
    """What a run says; it has to end so."""
    ran = project.call("run", *options)
    assert ran.returncode == code, ran.stderr
    return ran.stdout + ran.stderr


def test_what_made_a_result_is_recorded_and_shown(shop: Project, tmp_path: Path) -> None:
    mine = shop.with_env(
        MODEL__TOP_K="3",
        MODEL='{"top_k": 4}',
        GATE='{"min_lift": 0.9}',
        ORDERS__DATABASE_URL="postgresql://ada:geheim@database/app",
        ALERT__WEBHOOK="http://127.0.0.1:9/geheim",
        COMMIT="c" * 40,
    )
    said = done(mine)
    found = record(mine)
    settings, top_k = found["settings"], "model.top_k 3 by BURGER_COMBOS_MODEL__TOP_K, 5 in the file"
    assert (settings["model.top_k"], settings["gate.min_lift"], settings["gate.holdout_days"]) == (3, 0.9, 7)
    assert settings["orders.null_values"][:3] == ["-", "NA", "N/A"]
    secrets = {name for name, value in settings.items() if value == "**********"}
    assert secrets == {"database.url", "orders.database_url", "alert.webhook"}
    assert {name: variable for name, variable in found["overrides"].items() if not name.startswith("runs.")} == {
        "model.top_k": "BURGER_COMBOS_MODEL__TOP_K",
        "gate.min_lift": "BURGER_COMBOS_GATE",
        "orders.sample.customers": "BURGER_COMBOS_ORDERS__SAMPLE__CUSTOMERS",
        "orders.database_url": "BURGER_COMBOS_ORDERS__DATABASE_URL",
        "database.url": "BURGER_COMBOS_DATABASE__URL",
        "alert.webhook": "BURGER_COMBOS_ALERT__WEBHOOK",
    }
    data = f"sample: {found['data']['rows']:,} rows, 4 columns, hash {found['data']['hash']}"
    assert found["data"]["rows"] == found["numbers"]["rows_read"]
    assert list(found["data"]["columns"]) == ["customer", "item", "ordered_at", "quantity"]

    log = said.partition("settings ")[2].partition("\n")[0]
    assert "model.top_k='3 by BURGER_COMBOS_MODEL__TOP_K, 5 in the file'" in log
    assert "BURGER_COMBOS_COMMIT" not in said
    assert "runs.folder" not in said  # which changes no row
    shown = shop.call("results").stdout
    assert f"data     {data}\n" in shown
    assert f"setting  {top_k}\n" in shown
    assert "setting  orders.database_url by BURGER_COMBOS_ORDERS__DATABASE_URL" in shown
    assert shop.status("STAGE=develop")["develop"]["settings"].count(top_k) == 1
    (file,) = tmp_path.glob("runs/*/report.html")
    page = html.unescape(file.read_text(encoding="utf-8"))
    assert data in page
    assert re.search(r"<td>model.top_k</td><td>3 <strong>by BURGER_COMBOS_MODEL__TOP_K</strong>", page)
    assert "<td>gate.holdout_days</td><td>7</td>" in page
    everything = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert all(b"geheim" not in content for content in (*everything, said.encode(), shown.encode()))


def test_status_says_where_the_settings_are_no_longer_the_files(place: Project) -> None:
    mine = replace(place, env={name: text for name, text in place.env.items() if "CUSTOMERS" not in name})
    file = mine.folder / "develop" / "settings.toml"
    as_it_was = file.read_text(encoding="utf-8")

    def told(**variables: str) -> str:
        view = mine.with_env(**variables).call("status", "--stage", "develop", "--json")
        return str(json.loads(view.stdout)["settings"])

    done(mine)
    assert told() == ""
    assert told(MODEL__TOP_K="9") == ""  # the file is what counts, not who looks
    change(file, {"top_k = 5": "top_k = 4", "min_hits = 30": ""})
    change(mine.folder / "develop/platform.toml", {"keep = 30": "keep = 31"})
    assert told() == "model.top_k 5, 4 in the file; gate.min_hits 30, not in the file"
    done(mine)
    assert told() == ""
    done(mine.with_env(GATE__MIN_LIFT="9"), code=REFUSED)
    last = "gate.min_lift 9.0 by BURGER_COMBOS_GATE__MIN_LIFT, 1.0 in the file"
    assert told() == f"of what is published: as in the file; of the last run: {last}"
    file.write_text(as_it_was, encoding="utf-8")
    assert told().startswith("of what is published: model.top_k 4, 5 in the file; of the last run: model.top_k 4, 5 in")


def test_a_run_goes_on_under_its_own_settings_only(shop: Project) -> None:
    for name in ("load", "check", "catalogue"):
        assert shop.call("step", name, "--run-id", "mine").returncode == 0
    other = shop.with_env(MODEL__TOP_K="3", GATE__MIN_LIFT="2").call("step", "train", "--run-id", "mine")
    assert other.returncode == 1
    assert other.stderr == (
        "error: run mine began under other settings: model.top_k is 3, it began with 5; gate.min_lift is 2.0, it began "
        "with 1.0: begin another run\n"
    )
    elsewhere = shop.with_env(RUNS__KEEP="3", ALERT__WEBHOOK="http://127.0.0.1:9")
    assert elsewhere.call("step", "train", "--run-id", "mine").returncode == 0


def test_the_same_data_has_the_same_hash_and_other_data_another(shop: Project, tmp_path: Path) -> None:
    script = HASHES.replace("{folder}", str(tmp_path))
    ran = shop.python(script)
    assert ran.returncode == 0, ran.stderr
    same, other = json.loads(ran.stdout)
    assert set(same.values()) == {"dabae1ec1c63a22c"}  # as any version has to have it
    assert len(set(other.values())) == len(other)

    orders = tmp_path / "orders.csv"
    lines = [f"C{row % 40},Item {row % 7},2026-11-{row % 28 + 1:02}" for row in range(400)]
    mine = shop.with_env(
        ORDERS__SOURCE=str(orders), ORDERS__COLUMNS__QUANTITY="", GATE__UNJUDGED="pass", GATE__MIN_HITS="9999"
    )
    hashes = []
    for text in (lines, lines, lines[::-1], [*lines[:-1], lines[-1].replace("Item", "item")]):
        orders.write_text("\n".join(["customer,item,ordered_at", *text]) + "\n", encoding="utf-8")
        done(mine, "--date", "2026-12-01" if date(2026, 12, 1) <= TODAY else str(TODAY))
        found = record(mine)["data"]
        assert (found["sources"], found["rows"], len(found["columns"])) == ({"orders": str(orders)}, 400, 3)
        hashes.append(found["hash"])
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]


def test_what_is_published_and_what_the_last_run_did_are_two_things(shop: Project, tmp_path: Path) -> None:
    def told() -> dict[str, str]:
        return shop.status("STAGE=develop")["develop"]

    first = done(shop.with_env(GATE__MIN_LIFT="9"), "--run-id", "first", code=REFUSED)
    assert told()["published"] == "none yet"
    assert f"file={tmp_path}/runs/first/report.html" in first
    assert "no results yet" in shop.call("results").stderr
    done(shop, "--run-id", "good")
    rows = len(shop.written()[0])
    known = told()
    assert "report" not in known
    assert known["published"].startswith(f"{rows} rows of recommendations for {TODAY}, just now by good of ")
    assert "The last run" not in shop.call("results").stdout
    for run_id, setting, outcome, code in (
        ("bad", {"GATE__MIN_LIFT": "9"}, "refused", REFUSED),
        ("lost", {"ORDERS__SOURCE": "none.csv"}, "failed", 1),
    ):
        report = tmp_path / "runs" / run_id / "report.html"
        said = done(shop.with_env(**setting), "--run-id", run_id, code=code)
        assert re.search(rf"report +file={report}\nerror: ", said)
        assert report.exists()
        told_now = told()
        assert told_now["published"] == known["published"]
        assert told_now["last run"].startswith(f"just now for {TODAY}, {outcome}, ")
        assert told_now["report"] == str(report)
        shown = shop.call("results").stdout
        assert f"run      good\nreport   {tmp_path}/runs/good/report.html\n" in shown
        verb = "was refused" if outcome == "refused" else outcome
        assert f"The last run, {run_id} for {TODAY}, was not published. It {verb}: " in shown
        assert shown.endswith(f"\nreport   {report}\n")
    done(shop, "--run-id", "past", "--date", str(TODAY - timedelta(days=5)))
    assert told()["published"] == known["published"]
    assert told()["last run"].startswith(f"just now for {TODAY - timedelta(days=5)}, ok, ")


def test_a_run_for_a_day_long_past_takes_nothing_from_the_newest(place: Project) -> None:
    mine = place.with_env(DEPLOY__SCALE__FACTORS="[]", RUNS__KEEP="1")
    assert mine.call("promote", "--by", "Ada").returncode == 0
    done(mine, "--stage", "production", "--run-id", "today")
    past = ("--stage", "production", "--date", str(TODAY - timedelta(days=5)))
    done(mine, *past, "--run-id", "past")
    assert (mine.folder / "var/production/runs/today/report.html").exists()
    assert f"rows set aside, for {TODAY}" in mine.call("gates").stdout
    done(mine.with_env(GATE__MIN_LIFT="9"), *past, "--run-id", "bad", code=REFUSED)
    waited = mine.call("wait", "--minutes", "0.02")
    assert waited.returncode == 0, waited.stderr


# What the database tells of two runs, the later of which is for an earlier day.
ASKED = """
from datetime import UTC, datetime, timedelta
from burger_combos.ops import execute, records
from burger_combos.ops.cron import Cron
from burger_combos.ops.settings import Stage, load
from burger_combos.pipeline import Settings

settings = load(Settings, Stage.develop)
now = datetime.now(UTC)
assert (records.last(settings), records.good(settings), records.good_days(settings)) == (None, None, set())
assert records.published(settings) == {}
today = execute.run_all(settings, now.date(), "today").record
past = execute.run_all(settings, now.date() - timedelta(days=40), "past").record
assert (records.last(settings), records.good(settings), records.of(settings, "past")) == (past, today, past)
assert records.of(settings, "none") is None
assert records.good_days(settings) == {today.date, past.date}
assert records.recent(settings, Cron(settings), now) == [past, today]
found = records.published(settings)
assert (str(found["date"]), found["run_id"]) == (str(now.date()), "today")
assert found["tables"] == {"recommendations": today.numbers["rows_published"]}
"""


def test_each_database_tells_the_same(stored: Project) -> None:
    ran = stored.python(ASKED)
    assert ran.returncode == 0, ran.stderr


# What a person asks for from another folder, and from one of another project.
OUTSIDE = """
import os
from burger_combos.ops.problems import told_in_one_line
from burger_combos.ops.settings import Stage, load
from burger_combos.pipeline import Settings

with told_in_one_line():
    print(load(Settings, Stage.production).orders.max_rejected_share, os.getcwd())
"""
WITHOUT_A_FILE = """
from burger_combos.ops.problems import told_in_one_line
from burger_combos.ops.settings import Stage, StageSettings

with told_in_one_line():
    StageSettings(stage=Stage.production)
"""


def test_settings_are_those_of_the_packages_project_or_none(project: Project, tmp_path: Path) -> None:
    python = project.folder / ".venv/bin/python"
    anothers = tmp_path / "another"
    (anothers / "src" / "another").mkdir(parents=True)
    shutil.copytree(project.folder / "production", anothers / "production")
    change(anothers / "production/settings.toml", {"max_rejected_share = 0.01": "max_rejected_share = 0.5"})
    for folder in (tmp_path, anothers, project.folder / "src"):
        ran = sh(python, "-c", OUTSIDE, cwd=folder)
        assert ran.stdout == f"0.01 {project.folder}\n", ran.stderr
    ran = sh(python, "-m", "burger_combos.ops.settings", "production", "schedule.cron", "runs.keep", cwd=tmp_path)
    assert ran.stdout == "0 5 * * *\n30\n", ran.stderr

    installed = tmp_path / "installed"
    shutil.copytree(project.folder / "src", installed)
    ran = sh(python, "-c", OUTSIDE, cwd=tmp_path, env=environment() | {"PYTHONPATH": str(installed)})
    assert (ran.returncode, ran.stderr) == (
        1,
        f"error: production/settings.toml: not found in {tmp_path} or above it; run this inside the project\n",
    )
    ran = sh(python, "-c", WITHOUT_A_FILE, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (1, f"error: production/settings.toml: no such file in {tmp_path}\n")


@pytest.mark.parametrize("kind", ["earlier", "later"])
def test_records_of_other_versions_can_be_read(kind: str, shop: Project) -> None:
    done(shop, "--run-id", "mine")
    file = Path(shop.env["BURGER_COMBOS_RUNS__FOLDER"], "mine", "run.json")
    values = json.loads(file.read_text(encoding="utf-8"))
    for name in ("settings", "overrides", "in_file", "data"):
        del values[name]
    if kind == "later":
        values["of_another_kind"] = 1
    file.write_text(json.dumps(values) + "\n", encoding="utf-8")
    text = json.dumps(values).replace("'", "''")
    ran = shop.python(f"""
import sqlite3
with sqlite3.connect({shop.env["BURGER_COMBOS_DATABASE__URL"].removeprefix("sqlite:///")!r}) as database:
    database.execute("UPDATE runs SET record = ?", [{text!r}])
""")
    assert ran.returncode == 0, ran.stderr
    assert "settings" not in shop.status("STAGE=develop")["develop"]
    assert "mine" in shop.call("results").stdout
    assert shop.with_env(MODEL__TOP_K="3").call("step", "publish", "--run-id", "mine").returncode == 0


# Tables of any keys, published by a pipeline that declares them: the same on each database.
PUBLISHED = """
from datetime import date, datetime
import polars as pl
from burger_combos import pipeline
from burger_combos.ops import catalogue, dry_run, published, records, results
from burger_combos.ops.problems import Problem
from burger_combos.ops.published import Table
from burger_combos.ops.runs import Record, Run
from burger_combos.ops.settings import Stage, load
from burger_combos.ops.store import Store

settings = load(pipeline.Settings, Stage.develop)
DAY, NOON = date(2026, 11, 1), datetime(2026, 11, 1, 12, 0, 0, 250_000)
forecasts = pl.DataFrame(
    {"store": [1, 1, 2], "day": [date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 2)], "sold": [3.5, None, 1]},
    schema_overrides={"store": pl.UInt8},
)
alerts = pl.DataFrame({"at": [NOON, NOON], "open": [True, False], "text": ["low", None]})
TABLES = (Table("forecasts", key=("store", "day"), order_by=("-store", "day")), Table("Alerts", key=("at", "open")))


def publish(run_id, declared=TABLES, day=DAY, **tables):
    pipeline.TABLES = declared
    run = Run(settings.runs.folder / run_id, Record(run_id, Stage.develop, day, git_commit="c" * 40))
    published.publish(run, settings, {"forecasts": forecasts, "Alerts": alerts} | tables)
    records.save(run.record, settings)
    return run.record


def refused(*words, run_id="bad", **how):
    try:
        publish(run_id, **how)
    except Problem as problem:
        assert all(word in str(problem) for word in words), problem
    else:
        raise AssertionError(words)


with Store(settings.database.url, create=True) as store:
    store.prepare()
assert records.published(settings) == {}
first = publish("first")
assert first.numbers["rows_published"] == 5
assert first.tables == {
    "forecasts": {"key": ["store", "day"], "order_by": ["-store", "day"], "rows": 3},
    "Alerts": {"key": ["at", "open"], "order_by": ["at", "open"], "rows": 2},
}
with Store(settings.database.url) as store:
    tables = catalogue.published(store)
    assert [(each.name, each.key) for each in tables.values()] == [(each.name, each.key) for each in TABLES]
    kinds = tables["forecasts"].columns
    assert [kinds[name] for name in ("store", "day", "sold", "stage")] == ["whole numbers", "dates", "numbers", "text"]
    assert (tables["Alerts"].columns["at"], tables["Alerts"].columns["open"]) == ("times", "true or false")

# All tables or none: what is wrong with the second leaves the first as it was.
refused("Alerts: column text holds text there, and would get whole numbers", Alerts=alerts.with_columns(text=pl.lit(1)))
other = (TABLES[0], Table("Alerts", key=("at",)))
refused("table Alerts has the key (stage, date, at, open)", "(stage, date, at): ", "RENAME TO", declared=other,
        Alerts=alerts.head(1))
refused("row 2 has no open", Alerts=alerts.with_columns(open=pl.Series([True, None])))
refused("2 rows share their key", "open=True", Alerts=alerts.with_columns(open=pl.lit(True)))
refused("no column 'at'", Alerts=alerts.drop("at"))
refused("order_by: the rows have no column 'text'", Alerts=alerts.drop("text"),
        declared=(TABLES[0], Table("Alerts", key=("at", "open"), order_by=("-text",))))
refused("'stage' is added", Alerts=alerts.with_columns(stage=pl.lit("x")))
refused("column sold holds numbers there, which are exact to 2^53",
        forecasts=forecasts.with_columns(sold=pl.lit(2**53 + 1)))
refused("'forecast' is not among TABLES", "forecasts is meant?", forecast=forecasts)
refused("List(Int64)", Alerts=alerts.with_columns(text=pl.lit([1])))
assert records.published(settings) == {
    "date": DAY, "run_id": "first", "git_commit": "c" * 40, "tables": {"forecasts": 3, "Alerts": 2}
}

# The same in parts, one after the other.
def parts(*frames):
    return (frame for frame in frames)


third = publish("parts", forecasts=parts(forecasts[:1], forecasts[1:1], forecasts[1:].select("sold", "day", "store")))
assert (third.numbers["rows_published"], third.tables) == (5, first.tables)
with Store(settings.database.url) as store:
    rows = store.query("SELECT store, day, sold, run_id FROM forecasts ORDER BY store, day")
assert rows.drop("day").rows() == [(1, 3.5, "parts"), (1, None, "parts"), (2, 1.0, "parts")]
refused("table forecasts: part 2: row 1 has no day", forecasts=parts(forecasts, forecasts.with_columns(day=None)))
refused("table forecasts: part 2: column 'store' of its key holds broken numbers",
        forecasts=parts(forecasts, forecasts.with_columns(pl.col("store").cast(pl.Float64))))
refused("table forecasts: part 2: 3 rows share their key", "store=1 day=2026-11-02",
        forecasts=parts(forecasts.clear(), forecasts.with_columns(store=1, day=date(2026, 11, 2))))
refused("table forecasts: part 2: row 2 shares its key with an earlier one, as store=2 day=2026-11-02",
        forecasts=parts(forecasts[1:], forecasts[::2]))
refused("table forecasts: part 2: row 1 shares its key with an earlier one, as store=2 day=2026-11-02",
        forecasts=parts(forecasts[1:], forecasts[::-2]))  # of rows that the database gets in another order
noon = alerts.head(1)
refused("table Alerts: part 3: row 1 shares its key with an earlier one, as at=2026-11-01 12:00:00.250000 open=True",
        Alerts=parts(noon, noon.clear(), noon))
refused("table forecasts: part 2: the first has a column 'sold', which this one lacks",
        forecasts=parts(forecasts[:1], forecasts[1:].drop("sold")))
refused("table forecasts: part 2: this one has a column 'extra', which the first lacks",
        forecasts=parts(forecasts[:1], forecasts[1:].with_columns(extra=1)))
refused("table forecasts: part 2: column sold holds numbers in the first part, and text here: cast it",
        forecasts=parts(forecasts[:1], forecasts[1:].with_columns(sold=pl.lit("x"))))
refused("column sold holds numbers there, which are exact to 2^53",
        forecasts=parts(forecasts.clear().cast({"sold": pl.Int64}), forecasts.with_columns(sold=pl.lit(2**53 + 1))))
refused("table forecasts: there is not one part", forecasts=parts())
assert records.published(settings)["run_id"] == "parts"
with dry_run.no_writing():
    refused("part 2: row 1 has no day", forecasts=parts(forecasts, forecasts.with_columns(day=None)))
    refused("a trial publishes nothing", forecasts=parts(forecasts))

publish("second", forecasts=forecasts.head(1).with_columns(sold=pl.lit(7), extra=pl.lit("x")), Alerts=alerts.clear())
publish("past", day=date(2026, 10, 1), forecasts=forecasts[::-1])
assert records.published(settings)["tables"] == {"forecasts": 1}
with Store(settings.database.url) as store:
    found = results.find(store, Stage.develop, 10)
    assert (found.date, found.run_id) == (DAY, "second")
    assert [(each.table, each.total) for each in found.tables] == [("forecasts", 1), ("Alerts", 0)]
    assert results.as_text(found.tables[0].rows) == [["1", "2026-11-02", "7", "x"]]
    place = "rowid" if settings.database.url.get_secret_value().startswith("sqlite") else "ctid"
    lies = store.query(f"SELECT sold FROM forecasts WHERE run_id = 'past' ORDER BY {place}")
    assert lies["sold"].to_list() == [3.5, None, 1]  # in the order of the key
    past = results.find(store, Stage.develop, 10, day=date(2026, 10, 1), table="forecasts").tables[0].rows
    assert [str(each) for each in past["store"]] == ["2", "1", "1"]  # as the table is ordered
    for key, count in {
        "store=1 day=2026-11-03": 1, "sold=3.5": 1, "open=false": 1, "text=low": 1,
        f"at={NOON.isoformat()} open=true": 1, "day=2026-11-02": 2,
    }.items():
        tables = results.find(store, Stage.develop, 10, key=key, run_id="past").tables
        assert [each.matching for each in tables] == [count], key


def asked(words, **how):
    try:
        with Store(settings.database.url) as store:
            results.find(store, Stage.develop, 10, **how)
    except Problem as problem:
        assert words in str(problem), problem
    else:
        raise AssertionError(words)


asked("no table 'alert'; Alerts is meant?", table="alert")
asked("no column 'sotre'; store is meant?", key="sotre=1")
asked("KEY: store=x: column store holds whole numbers", key="store=x")
asked("KEY: '1' is a value of which column? Write COLUMN=VALUE", key="1")
asked("no row with store=9 in develop for 2026-11-01", key="store=9")
asked("no row in develop for 2020-01-01", day=date(2020, 1, 1))
asked("no row in develop of run 'first' (or a later one replaced it)", run_id="first")
"""


def test_any_tables_are_published_together_and_found(stored: Project) -> None:
    ran = stored.python(PUBLISHED)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.postgresql
def test_tables_are_found_in_the_schema_that_the_search_path_names(shop: Project, postgresql: str) -> None:
    url = new_database(postgresql, shop)
    made = shop.python(f"""
import adbc_driver_postgresql.dbapi as driver
with driver.connect("{url}", autocommit=True) as connection, connection.cursor() as cursor:
    cursor.execute("CREATE SCHEMA mine")
    cursor.execute("ALTER ROLE shop IN DATABASE {url.rpartition("/")[2]} SET search_path = mine, public")
    cursor.execute("CREATE TABLE public.other (stage text, date date, run_id text, git_commit text, id text)")
""")
    assert made.returncode == 0, made.stderr
    ran = shop.with_env(DATABASE__URL=url).python(PUBLISHED)
    assert ran.returncode == 0, ran.stderr


# What 0.9.0 wrote, and what its pipeline calls.
EARLIER = """
from datetime import date
import polars as pl
from burger_combos import pipeline
from burger_combos.ops import records
from burger_combos.ops.problems import Problem
from burger_combos.ops.settings import Stage, load
from burger_combos.ops.store import Store

settings = load(pipeline.Settings, Stage.develop)
rows = pl.DataFrame({
    "stage": ["develop"], "date": [date(2026, 1, 1)], "customer": ["C1"], "item_1": ["x"], "run_id": ["old"],
    "git_commit": ["c"],
})
with Store(settings.database.url, create=True) as store:
    store.prepare()
    with store._transaction():
        store._execute("CREATE TABLE recommendations (stage TEXT, date DATE, customer TEXT, item_1 TEXT, run_id TEXT, "
                       "git_commit TEXT, PRIMARY KEY (stage, date, customer))")
        store._append("recommendations", rows)
assert records.published(settings)["tables"] == {"recommendations": 1}
with Store(settings.database.url) as store:
    store.replace_day(Stage.develop, date(2026, 1, 2), rows.with_columns(date=date(2026, 1, 2)))
    assert store.query("SELECT * FROM recommendations").height == 2
from burger_combos.ops.store import ROWS
assert ROWS == "recommendations"
del pipeline.TABLES
try:
    with Store(settings.database.url) as store:
        store.replace_day(Stage.develop, date(2026, 1, 2), rows)
except Problem as problem:
    print(problem)
"""


def test_a_database_of_an_earlier_release_is_found_and_written(stored: Project) -> None:
    ran = stored.python(EARLIER)
    assert ran.returncode == 0, ran.stderr
    assert 'add to it TABLES = (Table("recommendations", key=("customer",)),)' in ran.stdout
    shown = stored.make("results", "KEY=C1")
    assert "1 row of recommendations for 2026-01-02" in shown
