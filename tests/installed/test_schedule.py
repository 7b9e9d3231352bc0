"""The scheduler, without containers: what is due, who is in charge, and who is told what went wrong."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from listener import Listener, listening, until
from rig import Project, environment

TWO = "sha256:" + "2" * 64

DUE = """
from datetime import UTC, date, datetime, timedelta
from {package}.ops.cron import Cron
from {package}.ops.runs import Record
from {package}.ops.schedule import due_since
from {package}.ops.settings import Stage, StageSettings, load

cron = Cron(load(StageSettings, Stage.production))
now = datetime(2026, 3, 30, 9, 0, tzinfo=UTC)  # the day after the clocks went forward

def due(started, status="ok", image="mine"):
    record = Record("x", Stage.production, date(2026, 1, 1), started_at=started, status=status, image=image)
    return due_since(record, "mine", cron, now)

hours = lambda n: now - timedelta(hours=n)
assert due_since(None, "mine", cron, now) == now
assert due(hours(1)) is None
assert due(hours(1), "failed") is None
assert due(hours(1), "refused") is None
assert due(hours(1), image="another") == now
assert due(hours(1), "stopped") == hours(1)
assert due(hours(1), "running") == hours(1)
assert due(hours(24)) == now.replace(hour=4)  # 06:00 in Berlin: 04:00 UTC in summer, 05:00 in winter
assert due(hours(24 * 5)) == now.replace(hour=4)  # of five days missed, the last
"""

EARLIER = """
from datetime import timedelta
from {package}.ops import records
from {package}.ops.settings import Stage, StageSettings, load

settings = load(StageSettings, Stage.production)
record = records.last(settings)
record.started_at -= timedelta(days=3)
records.save(record, settings)
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


def children(process: "subprocess.Popen[str]") -> list[int]:
    found = subprocess.run(["pgrep", "--parent", str(process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def test_what_is_due(place: Project) -> None:
    done = place.with_env(SCHEDULE__TIMEZONE="Europe/Berlin", SCHEDULE__CRON="0 6 * * *").python(
        DUE.format(package=place.package)
    )
    assert done.returncode == 0, done.stderr


def test_days_of_the_week_count_from_sunday(place: Project) -> None:
    mine = place.with_env(SCHEDULE__CRON="0 5 * * 1")
    promote(mine)
    shown = json.loads(mine.call("status", "--stage", "production", "--json").stdout)
    done = mine.python(f"from datetime import date; print(date.fromisoformat({shown['next_run'][:10]!r}).weekday())")
    assert done.stdout == "0\n"  # a Monday


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"SCHEDULE__CRON": "0 5 * *"}, "production/settings.toml: schedule.cron: '0 5 * *'"),
        ({"SCHEDULE__CRON": "61 5 * * *"}, "production/settings.toml: schedule.cron: '61 5 * * *'"),
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


def test_the_version_in_charge_does_the_day_once(place: Project) -> None:
    with scheduling(place):
        until(lambda: "cron=" in said(place))
        assert statuses(place) == []  # nobody has put it in charge
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
    due = datetime.now(UTC) - timedelta(hours=2)  # within an hour it would not be late
    mine = heard(place, told).with_env(SCHEDULE__CRON=f"{due:%M %H} * * *")

    def beats() -> int:
        return [path for path, _ in told.received].count("/heartbeat")

    promote(mine)
    with scheduling(mine):
        until(lambda: beats() == 1)
    assert mine.python(EARLIER.format(package=place.package)).returncode == 0
    with scheduling(mine):
        until(lambda: beats() == 2)
    assert statuses(place) == ["ok", "ok"]
    assert len(told.texts()) == 1
    assert "burger-combos production: the run that was due at " in told.texts()[0]
    assert "begins only now" in told.texts()[0]


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
