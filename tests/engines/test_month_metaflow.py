"""Some days of production with Metaflow on this machine, which has no scheduler: with faults, and beside it without."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from rig import Project, environment
from simulated import Shop, calm, forecasts, let_decay, open_shop

FIRST = date(2025, 3, 1)  # before any day on which this is tested


class Days:
    """A project whose flow is executed day by day."""

    def __init__(self, project: Project, shop: Shop) -> None:
        self.shop = shop
        place = {"METAFLOW_USER": "ada", "METAFLOW_DATASTORE_SYSROOT_LOCAL": "var/month"}
        self.project = replace(project, env=place).with_env(
            SALES__SOURCE=f"{shop.url}/sales.csv",
            ALERT__WEBHOOK=f"{shop.url}/webhook",
            SCHEDULE__LATE_DAYS="3",
            DATABASE__URL="sqlite:///var/month.db",
        )
        self.day = FIRST - timedelta(days=1)
        self.done: list[date] = []

    def dawn(self) -> date:
        """Let the next day come."""
        self.day += timedelta(days=1)
        self.done.append(self.day)
        self.shop.today = self.day
        return self.day

    def flow(self, verb: str = "run") -> bool:
        """Whether the day's flow ends well."""
        return self.project.run(*self._flow(verb)).returncode == 0

    def kill(self, signalled: Callable[[int], object]) -> None:
        """Begin the day's flow, and kill it, or a part of it, while it waits for the sales."""
        self.shop.asked.clear()
        self.shop.holding.set()
        env, silent = environment() | self.project.env, subprocess.DEVNULL
        command, folder = self._flow("run"), self.project.folder
        with subprocess.Popen(command, cwd=folder, env=env, stdout=silent, stderr=silent, process_group=0) as flow:
            assert self.shop.asked.wait(120)
            signalled(flow.pid)
        self.shop.holding.clear()
        assert flow.returncode != 0

    def backfill(self, first: date, last: date) -> str:
        """What a backfill says; it has to succeed, and is no news to anybody."""
        done = self.project.call("backfill", "--stage", "develop", "--from", str(first), "--to", str(last))
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.shop.news() == []
        return done.stdout

    def _flow(self, verb: str) -> list[str]:
        what = ["--date", str(self.day)] if verb == "run" else []
        return [".venv/bin/python", "production/flow.py", "--no-pylint", verb, *what]


def one_task(flow: int) -> None:
    """Kill a flow's task, which is a process of its group."""
    found = subprocess.run(["pgrep", "--pgroup", str(flow)], capture_output=True, text=True).stdout.split()
    for process in found:
        if int(process) != flow:
            os.kill(int(process), signal.SIGKILL)


@pytest.fixture
def days(generate: Callable[..., Project], tmp_path: Path) -> Iterator[Days]:
    project = generate(tmp_path / "shop", example="forecast", target="metaflow-argo", ci="none")
    project.make("setup")
    with open_shop(FIRST, "127.0.0.1") as shop:
        yield Days(project, shop)


def test_days_with_metaflow_on_this_machine(days: Days, tmp_path: Path) -> None:
    shop = days.shop
    days.dawn()
    assert days.flow()
    for killed in (lambda flow: os.killpg(flow, signal.SIGKILL), one_task):
        days.dawn()
        days.kill(killed)
        assert days.flow("resume")
    missed = days.dawn()

    days.shop.late["S1 small", missed] = missed + timedelta(days=3)
    days.dawn()
    assert days.flow()
    assert shop.news() == []
    spoilt, shop.spoilt = days.dawn(), True
    assert not days.flow()
    shop.spoilt = False
    [told] = shop.news()
    assert f" for {spoilt}, commit " in told
    assert "rows rejected (50.0%" in told

    days.dawn()
    assert days.flow()
    [told] = shop.news()
    assert f"{missed + timedelta(days=1)} is done again: its data changed" in told
    assert ": 2 days to do, " in days.backfill(missed, days.day)

    good = days.project.git("rev-parse", "HEAD")
    let_decay(days.project, since=days.day)
    days.project.git("commit", "--quiet", "--no-verify", "--all", "--message", "Change")
    decaying = days.day + timedelta(days=1)
    while not (news := shop.news()):
        assert days.day - decaying < timedelta(days=6), "nobody was told that the model decays"
        days.dawn()
        assert days.flow()
    [told] = news
    assert "turned out to be" in told
    days.project.git("reset", "--quiet", "--hard", good)
    assert f": {(days.day - decaying).days + 1} days to do, 0 done " in days.backfill(decaying, days.day)

    assert forecasts(days.project.folder / "var/month.db") == calm(days.project, shop, days.done, tmp_path)
