"""The scheduler, without containers: what is due, which version is active, and who is told what went wrong."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from listener import Listener, children, listening, until
from rig import Project, environment

TWO = "sha256:" + "2" * 64

# What the pure functions say, as a list: of what is due, and since when.
DUE = """
import json
from datetime import UTC, date, datetime, timedelta
from {package}.ops.cron import Cron
from {package}.ops.active_version import Deployment
from {package}.ops.due_runs import due_since, missed
from {package}.ops.runs import Record
from {package}.ops.settings import Schedule, Stage, StageSettings

def clock(line, zone="Europe/Berlin"):
    return Cron(StageSettings(stage=Stage.production, schedule=Schedule(cron=line, timezone=zone)))

def run(day, began, status="ok", image="mine"):
    started = datetime.fromisoformat(began).replace(tzinfo=UTC)
    return Record("x", Stage.production, date.fromisoformat(day), started_at=started, status=status, image=image)

def due(line, now, *runs):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    found = due_since(runs, "mine", clock(line), moment)
    return "now" if found == moment else found and found.astimezone(UTC).isoformat()[:16]

# 06:00 in Berlin: 05:00 UTC in winter and, from 2026-03-29 on, 04:00.
daily, twice, night, never = "0 6 * * *", "0 6,18 * * *", "30 2 * * *", ""
morning, yesterday = "2026-03-30T09:00", run("2026-03-29", "2026-03-29T04:00")
today = run("2026-03-30", "2026-03-30T04:00:01")
tomorrow = run("2026-03-31", "2026-03-30T08:00", image="")
print(json.dumps([
    due(daily, morning),
    due(daily, morning, today),
    due(daily, morning, run("2026-03-30", "2026-03-30T04:00", "failed")),
    due(daily, morning, run("2026-03-30", "2026-03-30T04:00", "refused")),
    due(daily, morning, run("2026-03-30", "2026-03-30T04:00", image="another")),
    due(daily, morning, yesterday, run("2026-03-30", "2026-03-30T04:00", "stopped")),
    due(daily, morning, yesterday, run("2026-03-30", "2026-03-30T04:00", "running")),
    due(daily, morning, yesterday),
    due(daily, morning, run("2026-03-25", "2026-03-25T05:00")),  # of five days missed, the last
    due(daily, morning, run("2026-03-28", "2026-03-28T05:00", image="another")),  # deployed since

    due(daily, morning, yesterday, run("2026-03-20", "2026-03-30T05:00")),  # by hand, of a day long past
    due(daily, morning, today, run("2026-03-20", "2026-03-30T05:00", image="")),
    due(daily, morning, today, run("2026-03-20", "2026-03-30T05:00", "stopped")),
    due(daily, morning, yesterday, run("2026-03-30", "2026-03-30T03:00")),  # by hand, before the moment
    due(daily, morning, today, run("2026-03-30", "2026-03-30T05:00", image="")),  # by hand, with another version
    due(daily, morning, today, tomorrow, run("2026-03-30", "2026-03-30T08:30")),
    due(daily, "2026-03-31T05:00", today, tomorrow),  # where another version did that day too early

    due(daily, "2026-03-30T03:00", run("2026-03-29", "2026-03-29T04:00", image="old")),  # deployed before the moment,
    due(daily, "2026-03-30T03:30", run("2026-03-30", "2026-03-30T03:00")),  # done at once,
    due(daily, "2026-03-30T04:10", run("2026-03-30", "2026-03-30T03:00")),  # and done again at its moment
    due(daily, morning, run("2026-03-30", "2026-03-30T05:00"), run("2026-03-30", "2026-03-30T06:00", image="b")),
    due(daily, "2026-03-30T23:30", run("2026-03-30", "2026-03-30T22:30")),  # done when the day was over in Berlin

    due(twice, "2026-03-30T17:00", today),
    due(twice, "2026-03-30T15:00", today),
    due(twice, "2026-03-30T17:00", today, run("2026-03-30", "2026-03-30T16:00:01")),
    due(twice, "2026-03-30T17:00", today, tomorrow),
    due(twice, "2026-03-31T03:00", today, run("2026-03-30", "2026-03-30T16:00:01", "stopped")),  # after midnight

    due(never, morning),
    due(never, morning, run("2026-03-01", "2026-03-01T05:00")),
    due(never, morning, today, run("2026-03-20", "2026-03-30T05:00", image="")),
    due(never, morning, run("2026-03-30", "2026-03-30T05:00", image="another")),
    due(never, morning, run("2026-03-30", "2026-03-30T05:00", "stopped")),

    due(night, "2026-03-29T09:00", run("2026-03-28", "2026-03-28T02:00")),  # at 03:00, as there is no 02:30
    due(night, "2026-03-29T09:00", run("2026-03-29", "2026-03-29T01:00")),
    due(night, "2026-10-25T00:20", run("2026-10-24", "2026-10-24T00:31")),
    due(night, "2026-10-25T00:45", run("2026-10-24", "2026-10-24T00:31")),  # of two 02:30, the first
    due(night, "2026-10-25T01:10", run("2026-10-25", "2026-10-25T00:31")),  # when clocks show 02:10 again
    due(night, "2026-10-25T01:10", run("2026-10-24", "2026-10-24T00:31")),
    due(night, "2026-10-25T01:45", run("2026-10-25", "2026-10-25T00:31")),
]))

def before(cron, now):
    moment, found = now - timedelta(days=2), None
    while (moment := cron.after(moment)) and moment.astimezone(UTC) <= now:
        found = moment
    return found

for line in (daily, night, "*/20 2-3 * * *"):
    cron = clock(line)
    for start in (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)):
        for minutes in range(0, 36 * 60, 10):
            now = start + timedelta(minutes=minutes)
            assert cron.until(now).astimezone(UTC) == before(cron, now).astimezone(UTC), (line, now)
assert clock("0 0 29 2 *").until(datetime(2026, 3, 1, tzinfo=UTC)).date() == date(2024, 2, 29)

def without(line, since, until, *good, before="0 6 * * * Europe/Berlin"):
    made = [Deployment("Ada", "deploy", at=at, schedule=name) for at, name in since]
    moment = datetime.fromisoformat(until).replace(tzinfo=UTC)
    return [str(day)[5:] for day in missed({{date.fromisoformat(day) for day in good}}, made, clock(line), moment)]

at = [("2026-03-26T12:00:00Z", "0 6 * * * Europe/Berlin")]
weekly = [*at, ("2026-03-28T12:00:00Z", "0 6 * * 1 Europe/Berlin")]
print(json.dumps([
    without(daily, at, "2026-03-30T05:00"),
    without(daily, at, "2026-03-30T03:59"),
    without(daily, at, "2026-03-30T05:00", "2026-03-27", "2026-03-30"),
    without(daily, [], "2026-03-30T05:00"),
    without(daily, [("2026-03-26T12:00:00Z", "")], "2026-03-30T05:00"),
    without("0 6 * * 1", weekly, "2026-03-31T05:00"),
    without(daily, weekly, "2026-03-31T05:00"),
    without(never, [("2026-03-26T12:00:00Z", " Europe/Berlin")], "2026-03-30T05:00"),
    len(without(daily, [("2025-03-26T12:00:00Z", "0 6 * * * Europe/Berlin")], "2026-03-30T05:00")),
]))
"""
IS_DUE = [
    *["now", None, None, None, "now"],
    *["2026-03-30T04:00"] * 4,
    "now",
    *["2026-03-30T04:00", None, None, "2026-03-30T04:00", "now", None, "now"],
    *["now", None, "2026-03-30T04:00", "now", None],
    *["2026-03-30T16:00", None, None, "now", "2026-03-30T16:00"],
    *["now", None, None, "now", "now"],
    *["2026-03-29T01:00", None, None],
    *["2026-10-25T00:30", None, "2026-10-25T00:30", None],
]
ARE_MISSED = [
    ["03-27", "03-28", "03-29", "03-30"],
    ["03-27", "03-28", "03-29"],
    ["03-28", "03-29"],
    [],
    [],
    ["03-30"],
    [],
    [],
    31,
]

# The run, and the deployment before it, are of some days ago.
EARLIER = """
from datetime import datetime, timedelta
from pathlib import Path
from {package}.ops import active_version, records
from {package}.ops.settings import Stage, StageSettings, load

settings = load(StageSettings, Stage.production)
record = records.last(settings)
record.started_at = datetime.fromisoformat("{due}") - timedelta(days=3)
record.date = record.started_at.date()
records.save(record, settings)
file = Path("var/production/deployments.jsonl")
made = active_version.history(Stage.production)[-1].at
file.write_text(file.read_text().replace(made, (record.started_at - timedelta(days=1)).isoformat()))
"""


@pytest.fixture
def told() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def heard(place: Project, told: Listener) -> Project:
    return place.with_env(ALERT__WEBHOOK=f"{told.url}/webhook", ALERT__HEARTBEAT=f"{told.url}/heartbeat")


@contextmanager
def scheduling(place: Project) -> Iterator["subprocess.Popen[str]"]:
    """A scheduler of its own session; it is asked to end, and all that it started with it."""
    with (place.folder / "scheduler.log").open("a") as log:
        scheduler = subprocess.Popen(
            [place.command, "schedule"],
            cwd=place.folder,
            env=environment() | place.env,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        yield scheduler
    finally:
        scheduler.terminate()
        try:
            scheduler.wait(30)
        finally:
            with_all = os.getpgid(scheduler.pid) if scheduler.poll() is None else None
            if with_all:
                os.killpg(with_all, signal.SIGKILL)


def statuses(place: Project) -> list[str]:
    return [run["status"] for run in place.written("production")[1]]


def said(place: Project) -> str:
    return (place.folder / "scheduler.log").read_text()


def promote(place: Project, action: str = "deploy") -> None:
    done = place.call("promote", "--by", "Ada", "--action", action)
    assert done.returncode == 0, done.stderr


def noon() -> str:
    """The zone in which it is between 12 and 13 o'clock, and the same day as in UTC."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"  # whose signs are the other way round


def test_what_is_due(place: Project) -> None:
    done = place.python(DUE.format(package=place.package))
    assert done.returncode == 0, done.stderr
    due, without = map(json.loads, done.stdout.splitlines())
    assert due == IS_DUE
    assert without == ARE_MISSED


def test_days_of_the_week_count_from_sunday(place: Project) -> None:
    mine = place.with_env(SCHEDULE__CRON="0 5 * * 1")
    promote(mine)
    shown = json.loads(mine.call("status", "--stage", "production", "--json").stdout)
    done = mine.python(f"from datetime import date; print(date.fromisoformat({shown['next_run'][:10]!r}).weekday())")
    assert done.stdout == "0\n"  # a Monday


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"SCHEDULE__CRON": "0 5 * *"}, "production/platform.toml: schedule.cron: '0 5 * *'"),
        ({"SCHEDULE__CRON": "61 5 * * *"}, "production/platform.toml: schedule.cron: '61 5 * * *'"),
        ({"SCHEDULE__TIMEZONE": "Mars/Olympus"}, "BURGER_COMBOS_SCHEDULE__TIMEZONE: schedule.timezone"),
    ],
)
def test_a_schedule_that_is_none_is_one_clear_line(setting: dict[str, str], message: str, place: Project) -> None:
    for command in (["schedule"], ["promote", "--by", "Ada"]):
        done = place.with_env(**setting).call(*command)
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (place.folder / "var").exists()


def test_the_active_version_does_the_day_once(place: Project) -> None:
    with scheduling(place):
        until(lambda: "cron=" in said(place))
        assert statuses(place) == []  # nobody has activated it
        promote(place)
        until(lambda: statuses(place) == ["ok"])
        until(lambda: "next=" in said(place))
    with scheduling(place):  # as after a restart
        until(lambda: said(place).count("next=") == 2)
        assert statuses(place) == ["ok"]
        other = place.with_env(IMAGE=TWO, COMMIT="d" * 40)
        with scheduling(other):
            promote(other)
            until(lambda: statuses(place) == ["ok", "ok"])
            rows, _ = place.written("production")
            assert {row["git_commit"] for row in rows} == {"d" * 40}
        promote(place, "rollback")
        until(lambda: statuses(place) == ["ok", "ok", "ok"])
    rows, _ = place.written("production")
    assert {row["git_commit"] for row in rows} == {"c" * 40}
    made = place.call("status", "--stage", "production").stdout
    assert [line.split()[2] for line in made.splitlines()[-3:]] == ["rollback", "deploy", "deploy"]


def test_a_missed_day_is_caught_up_and_told(place: Project, told: Listener) -> None:
    zone = noon()
    due = datetime.now(ZoneInfo(zone)) - timedelta(hours=2)  # within an hour it would not be late
    mine = heard(place, told).with_env(SCHEDULE__CRON=f"{due:%M %H} * * *", SCHEDULE__TIMEZONE=zone)
    past, missed = (str(due.date() - timedelta(days=days)) for days in (2, 1))

    def beats() -> int:
        return [path for path, _ in told.received].count("/heartbeat")

    promote(mine)
    with scheduling(mine):
        until(lambda: beats() == 1)
    moved = mine.python(EARLIER.format(package=place.package, due=due.isoformat()))
    assert moved.returncode == 0, moved.stderr
    assert mine.call("run", "--stage", "production", "--date", past).returncode == 0  # which does not hide today's
    assert beats() == 2
    with scheduling(mine):
        until(lambda: beats() == 3)
        until(lambda: "next=" in said(place).rpartition("missed=")[2])
    assert statuses(place) == ["ok", "ok", "ok"]
    assert {row["date"] for row in place.written("production")[0]} >= {past, str(due.date())}
    assert len(told.texts()) == 1
    how = f"{missed}: make run DATE={missed}"
    assert "burger-combos production: the run that was due at " in told.texts()[0]
    assert told.texts()[0].endswith(f" begins only now; no run for {how}")
    view = json.loads(mine.call("status", "--stage", "production", "--json").stdout)
    assert view["missed"] == how
    assert f" rows of recommendations for {due.date()}, " in view["published"]


@pytest.mark.parametrize("how", ["kill", "deadline", "stop"])
def test_a_run_that_does_not_end_by_itself(how: str, place: Project, told: Listener) -> None:
    mine = heard(place, told).with_env(ORDERS__SOURCE=f"{told.url}/never.csv")
    if how == "deadline":
        mine = mine.with_env(SCHEDULE__DEADLINE_MINUTES="0.05")
    promote(mine)
    with scheduling(mine) as scheduler:
        assert told.asked.wait(60)
        if how == "kill":
            (run,) = children(scheduler)
            os.kill(run, signal.SIGKILL)
        if how != "stop":
            until(lambda: "next=" in said(place))
    problem = {"kill": "killed by SIGKILL", "deadline": "not done in 0.05 minutes"}.get(how)
    if problem:
        assert statuses(place) == ["failed"]
        assert len(told.texts()) == 1
        assert problem in told.texts()[0]
        assert problem in place.call("status", "--stage", "production").stdout
        assert "cccccccccccc" not in told.texts()[0]
        assert "commit ccccccccccc, " in told.texts()[0]
    else:
        assert statuses(place) == ["stopped"]
        assert told.texts() == []
        with scheduling(place):  # and with orders
            until(lambda: statuses(place) == ["stopped", "ok"])


@pytest.mark.parametrize(
    ("setting", "status", "problem"),
    [
        ({"ORDERS__SOURCE": "data/none.csv"}, "failed", "data/none.csv: no such file"),
        ({"GATE__MIN_LIFT": "9"}, "refused", "the gate 'better than a baseline' refuses"),
    ],
)
def test_a_run_that_ends_badly_is_told(
    setting: dict[str, str], status: str, problem: str, place: Project, told: Listener
) -> None:
    mine = heard(place, told).with_env(**setting)
    promote(mine)
    with scheduling(mine):
        until(lambda: "next=" in said(place))
    assert statuses(place) == [status]
    ((path, message),) = told.received
    assert path == "/webhook"
    assert problem in message["text"]
    assert (message["status"], message["commit"]) == (status, "c" * 40)
    assert mine.call("run", "--stage", "production").returncode == (3 if status == "refused" else 1)


def test_a_database_out_of_reach_is_told_once(place: Project, told: Listener) -> None:
    mine = heard(place, told).with_env(DATABASE__URL="postgresql://app@127.0.0.1:9/app")
    promote(mine)
    with scheduling(mine):
        until(lambda: "next=" in said(place))
        assert len(told.texts()) == 1
        assert "no run: postgresql://app@127.0.0.1:9/app" in told.texts()[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/token-hunter2", "token-hunter2"])
def test_a_webhook_out_of_reach_fails_nothing_and_is_not_shown(url: str, place: Project) -> None:
    mine = place.with_env(ALERT__WEBHOOK=url, ALERT__HEARTBEAT=url)
    done = mine.call("run", "--stage", "production")
    assert done.returncode == 0, done.stderr
    assert "alert.heartbeat cannot be reached" in done.stderr
    assert "hunter2" not in done.stderr + mine.call("logs", "--stage", "production").stdout


def test_a_log_is_followed_to_its_end(place: Project, told: Listener) -> None:
    mine = place.with_env(ORDERS__SOURCE=f"{told.url}/never.csv")
    run = mine.start("run", "--stage", "production")
    assert told.asked.wait(60)
    follow = mine.start("logs", "--stage", "production", "--follow")
    assert follow.stdout
    assert "commit=" in follow.stdout.readline()
    run.terminate()
    run.communicate(timeout=60)
    follow.communicate(timeout=60)
    assert follow.returncode == 0
