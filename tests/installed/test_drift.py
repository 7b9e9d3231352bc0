"""What is unusual in a run's input: planted faults are found, ordinary days are not, for any number of shards."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from listener import listening
from rig import Project

REFUSED = 3  # the exit code of a run that was refused
LAST = "2026-05-20"  # a Wednesday: the day of the runs that the faults are planted in
FAULTS = {
    "stale": ("fresh", ""),
    "few": ("rows", ""),
    "few in the last day": ("rows", ""),
    "nulls": ("nulls", "note"),
    "new": ("new", "plan"),
    "gone": ("gone", "plan"),
    "scaled": ("moved", "amount"),
    "shuffled": ("moved", "amount"),
    "hours": ("moved", "at"),
}
DATA = '''
"""Subscriptions that were paid, a row each."""

import pandera.polars as pa
import polars as pl

from .ops.settings import Section
from .ops.tables import TableSettings


class Columns(Section):
    person: str = "person"
    at: str = "at"
    plan: str = "plan"
    amount: str = "amount"
    note: str = "note"


class DataSettings(TableSettings):
    source: str = "paid.csv"
    time_column: str = "at"
    columns: Columns = Columns()


SCHEMA = pa.DataFrameSchema({
    "person": pa.Column(pl.String), "at": pa.Column(pl.Datetime), "plan": pa.Column(pl.String),
    "amount": pa.Column(pl.Float64), "note": pa.Column(pl.String, nullable=True),
})
'''
PIPELINE = '''
"""The steps: all rows but those that do not fit are counted."""

import polars as pl
from pydantic_settings import SettingsConfigDict

from .data import SCHEMA, DataSettings
from .ops import published
from .ops.ingest import checked, fetch, join_rejected
from .ops.published import Table
from .ops.settings import StageSettings

TABLES = (Table("payers", key=("person",)),)


class Settings(StageSettings):
    model_config = SettingsConfigDict(extra="forbid")

    data: DataSettings = DataSettings()


def load(run, settings):
    fetch(run, settings.data, by="person")


def check(run, settings, shard):
    rows = checked(run, settings.data, SCHEMA, shard)
    rows.group_by("person").agg(pl.len().alias("payments")).write_parquet(run.path("payers.parquet", shard))


def judge(run, settings):
    join_rejected(run, settings.data)


def publish(run, settings):
    published.publish(run, settings, {"payers": (pl.read_parquet(file) for file in run.paths("payers.parquet"))})


STEPS = (load, check, judge, publish)
'''
RUNS = '''
import json, os, sys
from datetime import date, datetime, time, timedelta
import numpy as np, polars as pl
from {package}.ops import execute, settings as of_settings, logs
from {package}.ops.problems import Problem
from {package}.pipeline import Settings


def world(day, fault=""):
    """The rows of the 40 days before a day; fewer on Sundays; those of the last seven are at fault."""
    days = []
    for back in range(40, 0, -1):
        of = day - timedelta(back)
        random = np.random.default_rng(of.toordinal())
        rows = int(200 * (0.3 if of.weekday() == 6 else 1) * random.uniform(0.9, 1.1))
        found = pl.DataFrame({{
            "person": [f"P{{each:04}}" for each in random.integers(0, 900, rows)],
            "at": [datetime.combine(of, time()) + timedelta(hours=8 + 10 * each) for each in random.random(rows)],
            "plan": random.choice(["basic", "plus", "pro"], rows, p=[0.5, 0.35, 0.15]).tolist(),
            "amount": random.lognormal(3, 0.5, rows).round(2),
            "note": np.where(random.random(rows) < 0.05, "", "paid").tolist(),
        }})
        chance = pl.Series(random.random(rows))
        if back == 1 and fault == "stale":
            continue
        if back == 1 and fault == "few in the last day":
            found = found.filter(chance < 0.3)
        if back <= 7:
            found = {{
                "few": lambda: found.filter(chance < 0.4),
                "nulls": lambda: found.with_columns(note=pl.when(chance < 0.4).then(pl.lit("")).otherwise("note")),
                "new": lambda: found.with_columns(plan=pl.when(chance < 0.2).then(pl.lit("new")).otherwise("plan")),
                "gone": lambda: found.with_columns(plan=pl.col("plan").replace("pro", "basic")),
                "scaled": lambda: found.with_columns(pl.col("amount") * 100),
                "shuffled": lambda: found.with_columns(amount=pl.Series(random.uniform(0, 60, rows).round(2))),
                "hours": lambda: found.with_columns(pl.col("at") - timedelta(hours=6)),
            }}.get(fault, lambda: found)()
        days.append(found)
    return pl.concat(days)


for day, fault, shards in json.loads(sys.argv[1]):
    os.environ["{PACKAGE}_RUNS__SHARDS"] = str(shards)
    day = date.fromisoformat(day)
    world(day, fault).write_csv("paid.csv", datetime_format="%Y-%m-%d %H:%M:%S")
    settings = of_settings.load(Settings, "develop")
    try:
        record = execute.run_all(settings, day).record
        print(json.dumps([record.status, record.problem, record.profile["data"]]))
    except Problem as problem:
        print(json.dumps([type(problem).__name__, str(problem), {{}}]))
'''
UNIT = """
import json
from datetime import date, datetime, timedelta
import numpy as np
import polars as pl
from {package}.ops import drift, profile

rows = 70_000
day = date(2026, 5, 20)
when = [datetime(2026, 5, 19) - timedelta(seconds=9 * each) for each in range(rows)]
columns = {{"at": when, "n": range(rows), "m": [each % 7 for each in range(rows)], "x": ["a", "b"] * 35_000}}
frame = pl.DataFrame(columns)
numbers = pl.int_range(1, rows + 1, dtype=pl.Int64, eager=True)


def of(parts):
    taken = [
        profile.take(frame.filter(numbers % parts == part), numbers.filter(numbers % parts == part), "at", day, 7)
        for part in range(parts)
    ]
    return profile.join(taken, "at", day, 7)


before, now = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
textbook = float(np.sum((now - before) * np.log(now / before)))
random = np.random.default_rng(1)
few, many = (np.maximum(random.multinomial(each, [0.1] * 10, 20_000) / each, drift.FLOOR) for each in (100, 300))
drawn = ((few - many) * np.log(few / many)).sum(axis=1)
chance = [float(np.quantile(drawn, 0.99)), drift.by_chance(100, 300, 10), float(np.quantile(drawn, 0.999))]
print(json.dumps([[of(1), of(3), of(8)], [drift.psi(before.tolist(), now.tolist()), textbook], chance]))
"""
WEEKS = """
import json
from datetime import date, datetime, time, timedelta
import numpy as np
import polars as pl
from {package}.ops import drift, profile, settings


def days(count, time_column, of_day, stop=None):
    before, found = [], []
    for number in range(count):
        day = date(2026, 3, 2) + timedelta(number)
        last = stop if stop and day > stop else day
        rows = pl.concat([of_day(last - timedelta(back)) for back in range(1, 41)])
        numbers = pl.int_range(1, len(rows) + 1, dtype=pl.Int64, eager=True)
        made = profile.join([profile.take(rows, numbers, time_column, day, 7)], time_column, day, 7)
        made["hash"] = str(max(each for each in (last - timedelta(back) for back in range(1, 9)) if each.weekday() < 5))
        made["same"] = bool(before) and before[0]["hash"] == made["hash"]
        told = drift.findings(made, before[:7], settings.Drift())
        found += [[str(day), each.kind, each.column] for each in told]
        before.insert(0, made)
    return found


def shop(day):
    random = np.random.default_rng(day.toordinal())
    rows = 0 if day.weekday() == 6 else int(100 * random.uniform(0.6, 1.4))
    return pl.DataFrame({{
        "at": [datetime.combine(day, time(9)) + timedelta(hours=8 * each) for each in random.random(rows)],
        "label": [f"day {{day:%j}}"] * rows,
        "running": [day.toordinal() * 100 + each // 2 for each in range(rows)],
        "number": [day.toordinal() * 1000 + each for each in range(rows)],
    }}, schema={{"at": pl.Datetime, "label": pl.String, "running": pl.Int64, "number": pl.Int64}})


print(json.dumps([
    days(28, "at", shop),
    days(28, "at", shop, stop=date(2026, 3, 25)),
    days(21, "", lambda day: shop(day).drop("label")),
]))
"""
OF_BEFORE_0_11 = """

def load(run, settings):
    rows = pl.read_csv(settings.data.source)
    rows.write_parquet(run.path("raw.parquet"))
    run.record.numbers["rows_read"] = len(rows)


def check(run, settings):
    run.record.numbers["rows_rejected"] = 0


def publish(run, settings):
    published.publish(run, settings, {"payers": pl.DataFrame({"person": ["P1"]})})


STEPS = (load, check, publish)
"""
SAMPLES = """
import sys
from datetime import date, timedelta
from importlib import import_module
import polars as pl
import structlog
from {package}.ops import drift, ingest, profile, settings
from {package}.sample import make_up

module = import_module("{package}.{module}")
table = getattr(module, "{kind}")()
sample = table.sample.model_copy(update={sample})
structlog.configure(processors=[lambda *_: ""], logger_factory=structlog.ReturnLoggerFactory())
before, found = [], []
for number in range(14):
    day = date(2026, 3, 1) + timedelta(number)
    schema = module.schema(date(2027, 1, 1)) if callable(module.schema) else module.schema
    rows, _ = ingest.parted(make_up(sample, day), table, schema)
    taken = profile.take(rows, pl.int_range(1, len(rows) + 1, eager=True), table.time_column, day, 7)
    before.insert(0, profile.join([taken], table.time_column, day, 7))
    found += drift.findings(before[0], before[1:8], settings.Drift())
assert len(before) == 14 and before[0]["window"] > 100 and table.time_column
print(found)
"""


@pytest.fixture(scope="module")
def made(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a table that has a time column, and steps that are split."""
    made = generate(tmp_path_factory.mktemp("drift") / "paid", example="blank")
    for name, text in (("data", DATA), ("pipeline", PIPELINE)):
        (made.folder / "src" / made.package / f"{name}.py").write_text(text.lstrip())
    (made.folder / "develop/settings.toml").write_text('[data]\nsource = "paid.csv"\n')
    made.make("setup")
    return made


def in_turn(project: Project, *runs: tuple[str, str, int]) -> list[tuple[str, str, dict[str, Any]]]:
    """What came of a run for each day, fault and number of shards: the status, the problem and the profile."""
    script = RUNS.format(package=project.package, PACKAGE=project.package.upper())
    done = project.run(".venv/bin/python", "-c", script, json.dumps(runs))
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def usual(made: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[dict[str, Any]]]:
    """The project after ordinary days of a week and a half, and their profiles."""
    here = tmp_path_factory.mktemp("usual")
    mine = made.with_env(DATABASE__URL=f"sqlite:///{here}/results.db", RUNS__FOLDER=f"{here}/runs")
    days = [f"2026-05-{day:02}" for day in range(11, 20)]
    found = in_turn(mine, *((day, "", 1) for day in days))
    assert {status for status, _, _ in found} == {"ok"}, found
    return mine, [profile for _, _, profile in found]


def copied(usual: tuple[Project, Any], tmp_path: Path) -> Project:
    """The project with a database of its own, that knows the ordinary days."""
    mine = usual[0]
    file = Path(mine.env[f"{mine.package.upper()}_DATABASE__URL"].removeprefix("sqlite:///"))
    (tmp_path / "results.db").write_bytes(file.read_bytes())
    return mine.with_env(DATABASE__URL=f"sqlite:///{tmp_path}/results.db", RUNS__FOLDER=f"{tmp_path}/runs")


def test_ordinary_days_are_as_usual(usual: tuple[Project, list[dict[str, Any]]]) -> None:
    _, profiles = usual
    assert [each["compared_with"] for each in profiles] == [0, 1, 2, 3, 4, 5, 6, 7, 7]
    assert [each["findings"] for each in profiles] == [[]] * 9
    assert len(json.dumps(profiles[-1])) < 5000
    assert profiles[-1]["columns"]["person"]["shares"] == {}  # too many to name


def test_each_fault_is_found_and_nothing_else_for_any_number_of_shards(
    usual: tuple[Project, Any], tmp_path: Path
) -> None:
    project = copied(usual, tmp_path)
    once, thrice = (in_turn(project, *((LAST, each, shards) for each in ("", *FAULTS))) for shards in (1, 3))
    told = [[(each["kind"], each["column"]) for each in profile["findings"]] for _, _, profile in once]
    wanted = {fault: [found] for fault, found in FAULTS.items()}
    assert dict(zip(("", *FAULTS), told, strict=True)) == {"": [], **wanted}
    assert [profile for _, _, profile in thrice] == [profile for _, _, profile in once]


def test_a_fault_is_told_once_and_shown(usual: tuple[Project, Any], tmp_path: Path) -> None:
    project = copied(usual, tmp_path)
    with listening() as listener:
        project = project.with_env(ALERT__WEBHOOK=f"{listener.url}/webhook")
        days = ("2026-05-20", "2026-05-21", "2026-05-22")
        assert [status for status, _, _ in in_turn(project, *((day, "new", 1) for day in days))] == ["ok"] * 3
        (text,) = listener.texts()
    assert "the input for 2026-05-20 is unusual: data: column plan: 'new' is new, " in text
    project.call("run", "--date", "2026-05-22")
    assert "data: column plan: 'new' is new" in project.status()["develop"]["data"]
    assert "column plan: 'new' is new" in project.call("results").stdout
    assert "column plan: &#39;new&#39; is new" in project.call("report").stdout
    assert "finding=" in project.call("logs").stdout


def test_refusing_publishes_nothing_and_is_no_reference(usual: tuple[Project, Any], tmp_path: Path) -> None:
    project = copied(usual, tmp_path).with_env(MONITORING__DRIFT__THEN="refuse")
    days = [f"2026-05-{day}" for day in range(20, 25)]
    for status, problem, _ in in_turn(project, *((day, "scaled", 3 if day == days[1] else 1) for day in days)):
        assert status == "Refused"
        assert "column amount: its distribution moved, PSI " in problem
    assert project.with_env(MONITORING__DRIFT__THEN="alert").call("run", "--date", days[0]).returncode == 0
    assert project.call("run", "--date", days[1]).returncode == REFUSED
    assert "for 2026-05-20" in project.status()["develop"]["published"]
    (ok,) = in_turn(project.with_env(MONITORING__DRIFT__THEN="ignore"), (days[0], "scaled", 1))
    assert (ok[0], ok[2]["findings"]) == ("ok", [])


def test_psi_is_the_textbooks_and_a_sample_is_the_same_in_parts(made: Project) -> None:
    done = made.python(UNIT.format(package=made.package))
    assert done.returncode == 0, done.stderr
    (whole, *parts), (psi, textbook), (least, chance, most) = json.loads(done.stdout)
    assert [each == whole for each in parts] == [True, True]
    assert whole["sampled"] == 20_000 < whole["window"] < whole["rows"] == 70_000
    assert "quantiles" not in whole["columns"]["n"]  # each there once, as ids are
    assert math.isclose(whole["columns"]["x"]["shares"]["a"], 0.5, abs_tol=0.02)
    assert psi == pytest.approx(textbook)
    assert least < chance < 1.2 * most


def test_closed_days_and_running_numbers_are_no_faults(made: Project) -> None:
    done = made.python(WEEKS.format(package=made.package))
    assert done.returncode == 0, done.stderr
    open_but_on_sundays, stopped, without_times = json.loads(done.stdout)
    assert open_but_on_sundays == []
    stale = [day for day, kind, _ in stopped if kind == "fresh"]
    assert stale == [f"2026-03-{day}" for day in range(26, 30)]  # whose Sunday adds no missing day
    assert without_times == [["2026-03-08", "fresh", ""], ["2026-03-09", "fresh", ""]]  # not at the next weekends


def test_a_project_that_checks_rows_by_itself_hears_of_rows_that_are_not_new(made: Project, tmp_path: Path) -> None:
    source = shutil.copytree(made.folder / "src", tmp_path / "src")
    with (source / made.package / "pipeline.py").open("a") as file:
        file.write(OF_BEFORE_0_11)
    (tmp_path / "paid.csv").write_text("person,at\nP1,2026-05-01\n")
    mine = made.with_env(DATABASE__URL=f"sqlite:///{tmp_path}/results.db", RUNS__FOLDER=f"{tmp_path}/runs")
    mine = replace(mine, env=mine.env | {"PYTHONPATH": str(source)})
    mine = mine.with_env(DATA__SOURCE=str(tmp_path / "paid.csv"))
    assert mine.call("run", "--date", "2026-05-20").returncode == 0
    done = mine.call("run", "--date", "2026-05-21")
    assert "no new rows: the same ones as in the run for 2026-05-20" in done.stdout + done.stderr
    done = mine.with_env(MONITORING__DRIFT__THEN="refuse").call("run", "--date", "2026-05-22")
    assert done.returncode == REFUSED, done.stderr


@pytest.mark.parametrize(
    ("example", "module", "kind", "sample"),
    [
        ("recommend", "orders", "OrderSettings", {}),
        ("classify", "subscriptions", "SubscriptionSettings", {}),
        ("forecast", "sales", "SalesSettings", {"stores": 2, "days": 90}),
    ],
)
def test_two_weeks_of_a_sample_are_as_usual(
    made: Project,
    generate: Callable[..., Project],
    tmp_path: Path,
    example: str,
    module: str,
    kind: str,
    sample: dict[str, int],
) -> None:
    other = generate(tmp_path / example, example=example)
    script = SAMPLES.format(package=other.package, module=module, kind=kind, sample=sample)
    done = made.run("env", f"PYTHONPATH={other.folder}/src", ".venv/bin/python", "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_a_section_of_ones_own_called_monitoring_has_to_be_renamed(made: Project, tmp_path: Path) -> None:
    script = """
from {package}.ops.settings import Section, StageSettings, load
class Mine(Section):
    tool: str = ""
class Settings(StageSettings):
    monitoring: Mine = Mine()
load(Settings, "develop")
"""
    done = made.python(script.format(package=made.package))
    assert "Settings.monitoring: [monitoring] is the machinery's own section" in done.stderr
    assert "rename yours" in done.stderr
