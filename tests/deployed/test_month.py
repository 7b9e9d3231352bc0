"""A month of production on a real engine, in minutes, by a clock of its own: with faults, and beside it without."""

import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from containers import clock
from containers.docker import docker, image_names, inspected
from listener import until
from production import Production
from rig import Project
from simulated import Shop, forecasts, let_decay, open_shop, prepare

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("containers")]

FIRST = date(2025, 3, 1)  # of the month, before any day on which this is tested
DAYS = 30
RUNNING = "for p in /proc/[0-9]*; do ! tr '\\0' ' ' <$p/cmdline | grep -q 'cli run --stag[e]' || echo ${p#/proc/}; done"
ALL = "for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || ! grep -qa bin/python $p/cmdline || kill -9 ${p#/proc/}; done"
# One process after another, each on its own morning, in a volume of its own.
CALM = """
set -e
for day in {days}; do
    echo $(($(TZ=UTC LD_PRELOAD= date --date="$day 05:00" +%s) - $(LD_PRELOAD= date +%s))) >var/clock.next
    mv var/clock.next var/clock
    {prefix}SALES__SOURCE={url}/$day.csv {command} run --stage production --date $day
done
"""


def morning(day: date) -> datetime:
    """Two seconds after a day's run is due."""
    return datetime(day.year, day.month, day.day, 5, 0, 2, tzinfo=UTC)


class Month:
    """Production in a month whose days the test lets pass."""

    def __init__(self, production: Production, shop: Shop) -> None:
        self.production = production
        self.shop = shop
        self.name = production.name
        self.day = FIRST

    def calm(self, image: str) -> str:
        """Begin the same month without faults, in the image of a version; return the container's name."""
        name = f"{self.name}-calm"
        clock.install(f"{name}_var", clock.IMAGE, morning(FIRST))
        days = " ".join(str(FIRST + timedelta(days=at)) for at in range(DAYS))
        prefix = f"{self.production.project.package.upper()}_"
        script = CALM.format(days=days, prefix=prefix, url=self.shop.url, command=self.production.command)
        mount = f"--mount=type=volume,source={name}_var,target=/app/var"
        docker("run", "--detach", f"--name={name}", mount, "--entrypoint=sh", image, "-c", script)
        return name

    def pass_days(self, count: int = 1) -> None:
        """Let the mornings of the next days come, and what is due then be done."""
        for _ in range(count):
            self.dawn()
            self.settle()

    def dawn(self, days: int = 1) -> None:
        """Let it be the morning so many days later."""
        self.day += timedelta(days=days)
        self.shop.today = self.day
        clock.move(self.name, morning(self.day))

    def begin(self) -> date:
        """Let the next morning come, and its run get as far as asking for the sales; return the day."""
        self.shop.holding.set()
        self.shop.asked.clear()
        self.dawn()
        assert self.shop.asked.wait(120)
        return self.day

    def go_on(self) -> None:
        """Give the sales to whoever waits for them, and let the day's work come to its end."""
        self.shop.holding.clear()
        self.settle()

    def settle(self) -> None:
        """Wait until the scheduler has done the day's work, and waits for the next day's."""
        after = f"next='{self.day + timedelta(days=1)} 05:00:00 UTC'"
        last = ["docker", "logs", "--tail=1", self.name]

        def waits() -> bool:
            said = subprocess.run(last, capture_output=True, text=True)
            return after in said.stdout + said.stderr

        try:
            until(waits)
        except AssertionError:
            said = subprocess.run(["docker", "logs", "--tail=60", self.name], capture_output=True, text=True)
            raise AssertionError(f"not done with {self.day}:\n{said.stdout}{said.stderr}") from None

    def pass_late_days(self, till: str) -> None:
        """Let two days pass of which a till's sales come late, and another one, on which they come."""
        late = [self.day, self.day + timedelta(days=1)]
        for day in late:
            self.shop.late[till, day] = self.day + timedelta(days=3)
        self.pass_days(2)
        assert self.shop.news() == []
        self.pass_days(1)
        [told] = self.shop.news()
        assert [f"{day + timedelta(days=1)} is done again: its data changed" in told for day in late] == [True, True]

    def backfill(self, first: date, last: date) -> str:
        """What a backfill says; it has to succeed, and is no news to anybody."""
        said = self.production.project.make("backfill", f"FROM={first}", f"TO={last}")
        assert self.shop.news() == []
        return said

    def rows(self, container: str) -> list[tuple[Any, ...]]:
        """What is published of all days, without what tells the two months apart."""
        with tempfile.TemporaryDirectory() as folder:
            docker("cp", "--quiet", f"{container}:/app/var/production", folder)
            return forecasts(Path(folder, "production/results.db"))


@pytest.fixture
def month(generate: Callable[..., Project], tmp_path: Path) -> Iterator[Month]:
    """A project of forecasts whose base image has a clock, committed and not yet deployed; nothing is left behind."""
    project = replace(generate(tmp_path / "shop", example="forecast"), containers=True)
    project.make("setup")
    project.git("checkout", "--quiet", "-b", f"month-{secrets.token_hex(3)}")
    production = Production(project)
    with open_shop(FIRST, clock.here()) as shop:
        prepare(project, shop)
        clock.begin_with(project)
        production.commit_all()
        made = Month(production, shop)
        clock.install(f"{made.name}_var", clock.IMAGE, morning(FIRST))
        yield made
    project.make("clean", "STAGE=production", f"SURE={made.name}")
    subprocess.run(["docker", "rm", "--force", "--volumes", f"{made.name}-calm"], capture_output=True)
    subprocess.run(["docker", "volume", "rm", f"{made.name}-calm_var"], capture_output=True)
    for image in image_names(f"*:*{production.branch}*"):
        docker("image", "rm", "--force", image)


def test_a_month_with_faults_ends_as_one_without(month: Month) -> None:
    production, shop = month.production, month.shop
    first = production.project.git("rev-parse", "HEAD")
    production.deploy()
    month.settle()
    calm = month.calm(docker("inspect", "--format={{.Image}}", month.name))
    month.pass_days(2)
    assert shop.news() == []

    killed = month.begin()
    production.inside(f"kill -9 $({RUNNING})")
    month.go_on()
    [told] = shop.news()
    assert f" for {killed}, commit {first[:11]}, killed by SIGKILL" in told

    month.pass_days(2)
    missed = month.day + timedelta(days=1)
    docker("stop", month.name)
    month.dawn(days=2)
    docker("start", month.name)
    month.settle()
    [told] = shop.news()
    assert f"no run for {missed}" in told

    month.pass_days(1)
    assert shop.news() == []
    month.pass_late_days("S1 small")

    shop.spoilt = True
    month.pass_days(1)
    spoilt, shop.spoilt = month.day, False
    [told] = shop.news()
    assert f" for {spoilt}, commit {first[:11]}, " in told
    assert "rows rejected (50.0%" in told

    month.begin()
    started = inspected(month.name)["State"]["StartedAt"]
    production.inside(ALL)
    until(lambda: inspected(month.name)["State"]["StartedAt"] != started)
    month.go_on()
    assert shop.news() == []  # as it has come back by itself, and nothing is missing

    month.pass_days(1)
    said = month.backfill(killed, month.day)
    assert ": 3 days to do, " in said
    assert [day for day in (killed, missed, spoilt) if f"{day} ok" not in said] == []

    let_decay(production.project, since=month.day)
    second = production.commit_all()
    month.pass_days(1)
    production.deploy()
    month.settle()
    decaying = month.day
    while not (news := shop.news()):
        assert month.day - decaying < timedelta(days=6), "nobody was told that the model decays"
        month.pass_days(1)
    [told] = news
    assert f"commit {second[:11]}, wape of " in told
    assert "turned out to be" in told
    production.project.make("rollback")
    month.settle()
    assert production.history() == [("deploy", first), ("deploy", second), ("rollback", first)]
    days = (month.day - decaying).days
    assert f": {days} days to do, 1 done " in month.backfill(decaying, month.day)

    month.pass_days(1)
    assert shop.news() == []
    month.pass_late_days("S2 small")
    month.pass_days((FIRST + timedelta(days=DAYS - 1) - month.day).days)
    assert shop.news() == []
    assert docker("wait", calm) == "0"
    assert month.rows(month.name) == month.rows(calm)
