"""Past days: backfills, data as of a day, and days that are done again because their data came late."""

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from listener import Listener, children, listening, until
from rig import Project

TODAY = datetime.now(UTC).date()
FIRST = TODAY - timedelta(days=40)  # of the data


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def orders(until: date) -> str:
    """Orders from FIRST on, up to a day, which come to an end with it: CSV."""
    chance = random.Random(7)
    lines = ["customer,item,ordered_at,quantity"]
    for number in range((TODAY - FIRST).days + 1):
        day = FIRST + timedelta(days=number)
        for minute in range(30):
            customer = chance.randrange(40)
            item = f"I{customer % 4}{chance.randrange(4)}"
            if day <= until:
                lines.append(f"C{customer:02},{item},{day} {chance.randrange(8, 22):02}:{minute:02}:00,1")
    return "\n".join(lines) + "\n"


# What the pure functions say.
PURE = """
import json
from datetime import UTC, date, datetime, timedelta

import pandera.polars as pa
import polars as pl

from {package}.ops import as_of, backfill, due_runs, late_data
from {package}.ops.cron import Cron
from {package}.ops.problems import Problem
from {package}.ops.runs import BACKFILL, LATE, Record
from {package}.ops.settings import Schedule, Section, Stage, StageSettings, load
from {package}.ops.tables import TableSettings

class Columns(Section):
    at: str = "at"

class Table(TableSettings):
    columns: Columns = Columns()

class Sections(Section):
    inner: Table = Table(source="x.csv")

class Settings(StageSettings):
    dated: Table = Table(source="x.csv", time_column="at")
    more: Sections = Sections()

def told(function, *arguments):
    try:
        return function(*arguments)
    except Problem as problem:
        return str(problem)

named = Table(source="x.csv", time_column="at")
def column(kind, **how):
    return told(as_of.time_column, named, pa.DataFrameSchema({{"at": pa.Column(kind, **how)}}))

midnight = pl.Series("at", ["2026-03-01T23:30", "2026-03-02T00:30"]).str.to_datetime()
berlin = midnight.dt.replace_time_zone("Europe/Berlin")
settings = Settings(stage=Stage.develop)
print(json.dumps([
    told(backfill.refuse_present, settings),
    column(pl.String), column(pl.Datetime("us"), nullable=True), column(pl.Date), column(pl.Datetime("us", "UTC")),
    told(as_of.time_column, named, pa.DataFrameSchema({{"when": pa.Column(pl.Date)}})),
    told(as_of.before, pl.DataFrame({{"when": [1]}}), named, date(2026, 3, 2)),
    len(as_of.before(berlin.to_frame(), named, date(2026, 3, 2))),
    len(as_of.before(pl.DataFrame({{"at": [date(2026, 3, 1), date(2026, 3, 2)]}}), named, date(2026, 3, 2))),
]))

# 2026-03-05 is the day; its window is 2026-03-01 to 2026-03-04.
def days(older, first="2026-01-01", columns="c", **rows):
    totals = {{"": [older, older, older]}}
    totals |= {{f"2026-03-0{{day[1]}}": [count, count + (day == "s2"), count] for day, count in rows.items()}}
    return late_data.Days(columns, first, totals)

whole = dict(d1=1, d2=2, d3=3, d4=4)
def changed(then, now, day="2026-03-05"):
    return late_data.changed(then, now, date.fromisoformat(day))

print(json.dumps([
    changed(days(9, **whole), days(9, **whole)),
    changed(days(9, **whole), days(9, **whole, d5=5)),  # the next day has rows of its own
    changed(days(9, **whole), days(9, **{{**whole, "d3": 1300}})),
    changed(days(9, **whole), days(9, d1=1, s2=2, d3=3, d4=4)),
    changed(days(9, **whole), days(8, **whole)),
    changed(days(9, **whole), days(10, **{{**whole, "d1": 5, "d2": 5, "d3": 5, "d4": 5}})),
    changed(days(9, **whole), days(8, first="2026-01-02", **whole)),  # of a source that has so many days only
    changed(days(9, **whole), days(8, first="2026-01-02", **{{**whole, "d4": 5}})),
    changed(days(9, **whole), days(10, first="2025-12-31", **whole)),
    changed(days(9, **whole), days(5, columns="d", **whole)),
    changed(days(9, d1=1, d2=2), days(12, d3=3, d4=4), "2026-03-03"),  # no day that both know
    changed(days(9, d1=1, d2=2), days(13, d3=3, d4=4), "2026-03-03"),
]))

cron = Cron(StageSettings(stage=Stage.production, schedule=Schedule(cron="0 5 * * *")))
now = datetime(2026, 3, 5, 9, tzinfo=UTC)
began = now - timedelta(minutes=5)
def run(day, kind="daily"):
    return Record("x", Stage.production, date(2026, 3, day), "c", "i", started_at=began, status="ok", kind=kind)
def since(*runs):
    found = due_runs.due_since(runs, "i", cron, now)
    return found and found.isoformat()
def done(**what):
    record = Record("x", Stage.production, date(2026, 3, 5), **{{"git_commit": "c" * 40, "status": "ok"}} | what)
    return backfill._is_done([record], backfill.Span(date(2026, 3, 5), date(2026, 3, 5)), settings)
print(json.dumps([since(run(5)), since(run(5, BACKFILL)), since(run(5, LATE)), since(run(4, BACKFILL))]))
print(json.dumps([done(), done(git_commit="d" * 40), done(image="other"), done(status="failed")]))
"""


@pytest.fixture
def past(place: Project, tmp_path: Path) -> Project:
    """A folder whose data lies in a file, of as many days as there are."""
    (tmp_path / "orders.csv").write_text(orders(TODAY))
    mine = place.with_env(ORDERS__SOURCE="orders.csv", GATE__MIN_LIFT="0", ORDERS__SAMPLE__CUSTOMERS="300")
    return mine.with_env(DATABASE__URL=f"sqlite:///{tmp_path}/results.db", RUNS__FOLDER="var/runs")


@pytest.fixture
def told() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def runs(project: Project) -> list[dict[str, Any]]:
    """The records of the runs, in the order in which they began."""
    return [json.loads(run["record"]) for run in project.written()[1]]


def did(project: Project) -> list[tuple[str, str]]:
    """The day and the outcome of each run, in the order in which they began."""
    return [(run["date"], run["status"]) for run in runs(project)]


def rows(project: Project, day: date) -> list[dict[str, Any]]:
    """The rows of a day, without who wrote them."""
    written = [row for row in project.written()[0] if row["date"] == str(day)]
    return [{key: value for key, value in row.items() if key not in ("run_id", "git_commit")} for row in written]


def held(run: int, project: Project, day: str) -> bool:
    """Whether a run's process, which goes on for a moment and is stopped again, is in the middle of a day's run."""
    os.kill(run, signal.SIGCONT)
    time.sleep(0.05)
    os.kill(run, signal.SIGSTOP)
    try:
        return (day, "running") in did(project)
    except sqlite3.OperationalError:  # it was stopped while it writes
        return False


def backfill(project: Project, first: date, last: date, *more: str) -> subprocess.CompletedProcess[str]:
    return project.call("backfill", "--from", str(first), "--to", str(last), *more)


def test_what_the_pure_functions_say(past: Project) -> None:
    done = past.python(PURE.format(package=past.package))
    assert done.returncode == 0, done.stderr
    read, late, due, is_done = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    assert "2026-03-05 was read by another version, with other columns: nothing can be compared" in done.stdout
    where = "'at', and the schema"
    assert read[0].startswith("develop/settings.toml: [more.inner] time_column is not set: ")
    assert read[1].endswith(f"{where} says that this is String: it has to be a date or time")
    assert read[2].endswith(f"{where} lets it be null: a row without a time is of no day; nullable=False")
    assert read[3:5] == ["at", "at"]
    assert read[5].endswith(f"{where} has no such column: it has when")
    assert read[6].startswith("x.csv: there is no column 'at', which ")
    assert read[7:] == [1, 1]
    assert late == [
        "",
        "",
        "3 rows of 2026-03-03 then, 1,300 now",
        "2 rows of 2026-03-02 then and now, with other values",
        "9 rows from before 2026-03-01 then, 8 now",
        "1 row of 2026-03-01 then, 5 now and 2 rows of 2026-03-02 then, 5 now and 3 rows of 2026-03-03 then, 5 now, "
        "and so on: 4 days",
        "",
        "4 rows of 2026-03-04 then, 5 now",
        "9 rows from before 2026-03-01 then, 10 now",
        "",
        "",
        "12 rows from before 2026-03-03 then, 13 now",
    ]
    assert is_done == [True, False, False, False]
    assert due == [None, *["2026-03-05T09:00:00+00:00"] * 2, "2026-03-05T09:00:00+00:00"]


def test_days_are_done_oldest_first_and_go_on_where_they_were_stopped(past: Project) -> None:
    early = [str(ago(number)) for number in range(11, 3, -1)]  # so many that some are left when the signal comes
    days = [str(ago(number)) for number in (3, 2, 1)]
    command = ("backfill", "--from", early[0], "--to", early[-1])
    with past.start(*command) as stopped:
        assert stopped.stdout
        assert "8 days to do, 0 done by ccccccccccc already" in stopped.stdout.readline()
        assert stopped.stdout.readline().startswith(f"{early[0]} ok ")
        stopped.send_signal(signal.SIGINT)
        (number,) = re.findall(r"stopped after (\d) of 8 days; the same command goes on", stopped.stdout.read())
        assert stopped.wait(60) == 130
    good = early[: int(number)]
    assert [day for day, status in did(past) if status == "ok"] == good
    command = ("backfill", "--from", good[-1], "--to", good[-1])
    assert "0 days to do, 1 done by ccccccccccc already" in past.call(*command).stdout

    command = ("backfill", "--from", days[0], "--to", days[2])
    with past.start(*command) as killed:
        assert killed.stdout
        assert "3 days to do, 0 done by ccccccccccc already" in killed.stdout.readline()
        until(lambda: children(killed))
        (run,) = children(killed)
        killed.kill()  # what it has begun goes on by itself
        killed.wait()
    until(lambda: held(run, past, days[0]))
    with past.start(*command) as second:
        assert second.stdout
        assert "3 days to do" in second.stdout.readline()
        os.kill(run, signal.SIGCONT)
        assert second.wait(60) == 0  # it has waited for that run, and has not done the day besides
    assert [day for day, status in did(past) if status == "ok"] == [*good, *days]
    assert {run["kind"] for run in runs(past)} == {"backfill"}
    assert "0 days to do, 3 done by ccccccccccc already" in past.call(*command).stdout
    assert ", backfill" in past.call("status", "--stage", "develop").stdout
    assert past.call("results").stdout.count(", backfill\n") == 1

    again = ("backfill", "--from", early[0], "--to", early[-1], "--redo")
    with past.start(*again) as stopped:
        assert stopped.stdout
        assert "8 days to do" in stopped.stdout.readline()
        assert early[0] in stopped.stdout.readline()
        stopped.send_signal(signal.SIGTERM)
        assert stopped.wait(60) == 143
    before = [day for day, status in did(past) if status == "ok"]
    done = past.call(*again)
    assert done.returncode == 0, done.stderr
    assert "goes on with what was begun at " in done.stdout
    after = [day for day, status in did(past) if status == "ok"]
    assert before[len(good) + 3 :] + after[len(before) :] == early
    assert not list((past.folder / "var/develop").glob("backfill.json"))


def test_a_past_day_is_read_as_of_that_day_and_its_run_kept_apart(past: Project, tmp_path: Path) -> None:
    mine, day = past.with_env(RUNS__KEEP="1"), ago(3)
    assert mine.call("run").returncode == 0
    assert backfill(mine, ago(4), day).returncode == 0
    first, _, last = runs(mine)
    assert {folder.name for folder in (mine.folder / "var/runs").iterdir()} == {first["run_id"], last["run_id"]}
    assert last["numbers"]["rows_later"] == 4 * 30
    assert rows(mine, day)

    (tmp_path / "then.csv").write_text(orders(day - timedelta(days=1)))
    then = past.with_env(ORDERS__SOURCE="then.csv", DATABASE__URL=f"sqlite:///{tmp_path}/then.db", RUNS__SHARDS="3")
    done = then.call("run", "--date", str(day))
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    assert rows(then, day) == rows(mine, day)
    assert runs(then)[0]["numbers"]["rows_later"] == 0


def test_a_day_that_fails_is_told_and_the_others_go_on(past: Project, told: Listener) -> None:
    mine = past.with_env(ALERT__WEBHOOK=f"{told.url}/webhook", ALERT__HEARTBEAT=f"{told.url}/heartbeat")
    done = backfill(mine, FIRST, FIRST + timedelta(days=1))
    assert done.returncode == 1
    assert did(mine) == [(str(FIRST), "failed"), (str(FIRST + timedelta(days=1)), "ok")]
    problem = f"1 day without new rows: {FIRST} failed; the first: orders.csv: no order before {FIRST}; "
    problem += f"make logs RUN={runs(mine)[0]['run_id']} tells more"
    assert done.stderr.endswith(f"{problem}\n")
    assert [path for path, _ in told.received] == ["/webhook"]
    assert told.texts()[0].endswith(problem)


def test_days_that_are_none_are_one_clear_line(past: Project) -> None:
    for given, message in {
        (): "error: which days? FROM=2026-10-01 TO=2026-10-31 (--from and --to)",
        ("--from", "2026-03-02", "--to", "2026-03-01"): "error: FROM=2026-03-02 is after TO=2026-03-01",
        ("--from", "2026-03-02", "--to", str(ago(-1))): f"error: TO={ago(-1)} is in the future",
        ("--from", "2026-02-30", "--to", "2026-03-01"): "error: Invalid value for '--from': '2026-02-30' does not",
    }.items():
        done = past.call("backfill", *given)
        assert done.returncode != 0
        assert done.stderr.startswith(message)
        assert done.stderr.count("\n") == 1
    assert not (past.folder / "results.db").exists()


def test_the_days_whose_data_came_late_are_done_again_once(past: Project, tmp_path: Path, told: Listener) -> None:
    mine = past.with_env(SCHEDULE__LATE_DAYS="2")
    mine = mine.with_env(ALERT__WEBHOOK=f"{told.url}/webhook", ALERT__HEARTBEAT=f"{told.url}/heartbeat")
    assert backfill(mine, ago(2), ago(1)).returncode == 0
    for project in (mine, mine.with_env(RUNS__SHARDS="3")):
        assert project.call("run").returncode == 0
    noted = [run["data"]["days"] for run in runs(mine)[2:]]
    assert noted[0] == noted[1]  # by one shard and by three
    assert noted[0]["orders"]["totals"][str(ago(2))][0] == 30
    assert told.texts() == []

    with (tmp_path / "orders.csv").open("a") as file:
        file.write(f"C01,I10,{ago(2)} 12:00:00,1\n")
    assert mine.call("run").returncode == 0
    daily, again = runs(mine)[4:]
    assert (daily["kind"], daily["status"]) == ("daily", "ok")
    assert (again["date"], again["kind"], again["status"]) == (str(ago(1)), "late data", "ok")
    why = f"{ago(1)} is done again: its data changed: 30 rows of {ago(2)} then, 31 now"
    more = f"make logs RUN={daily['run_id']} tells more"
    assert [text.endswith(f" {why}; {more}") for text in told.texts()] == [True]
    assert (mine.folder / "var/runs" / daily["run_id"] / "log.jsonl").read_text().count(why) == 1
    assert [path for path, _ in told.received].count("/heartbeat") == 3  # one for each daily run

    assert mine.call("run").returncode == 0
    assert len(runs(mine)) == 7  # nothing has changed since
    assert len(told.texts()) == 1
