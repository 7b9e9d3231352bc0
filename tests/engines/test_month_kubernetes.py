"""Some days of production on Kubernetes' stand-in, by the cluster's clock: with faults, and beside it without."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rig
from clusters import on_kubernetes
from containers import clock
from containers.docker import docker
from kube.docker import LABEL
from kube.kubectl import Cluster, program
from listener import until
from rig import Project
from simulated import Shop, calm, forecasts, let_decay, open_shop, prepare

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("containers")]

FIRST = date(2025, 3, 1)  # before any day on which this is tested
OVER = ("Complete", "Failed")


class Days:
    """Production in a cluster, whose days the test lets pass."""

    def __init__(self, project: Project, kube: Cluster, shop: Shop) -> None:
        self.project = project
        self.kube = kube
        self.shop = shop
        branch = project.git("symbolic-ref", "--short", "HEAD")
        self.name = f"{project.package.replace('_', '-')}-production-{branch}"
        self.day = FIRST
        self.kube.clock.put(at(FIRST, 12))

    def pass_days(self, count: int = 1) -> None:
        """Let the mornings of the next days come, and what is due then be done."""
        for _ in range(count):
            self.dawn()
            self.settle()

    def dawn(self, hour: int = 5) -> date:
        """Let it be the next day at this hour."""
        self.day += timedelta(days=1)
        self.shop.today = self.day
        self.kube.clock.put(at(self.day, hour))
        return self.day

    def settle(self) -> None:
        """Wait until the day's jobs are over."""
        until(lambda: self.jobs() and all(how in OVER for how in self.jobs().values()))

    def jobs(self) -> dict[str, str]:
        """The jobs that the cluster has begun on this day, and what became of each."""
        found = json.loads(self.kube.kubectl("get", "jobs", "--output", "json"))["items"]
        begun = [each for each in found if each["metadata"]["creationTimestamp"].startswith(str(self.day))]
        return {
            each["metadata"]["name"]: next(
                (one["type"] for one in each["status"].get("conditions") or [] if one["type"] in OVER), ""
            )
            for each in begun
        }

    def begin(self) -> str:
        """Let the next morning come, and its run get as far as asking for the sales; return its container."""
        self.shop.holding.set()
        self.shop.asked.clear()
        self.dawn()
        assert self.shop.asked.wait(180)
        pods = json.loads(self.kube.kubectl("get", "pods", "--output", "json"))["items"]
        own = {pod["metadata"]["uid"] for pod in pods}  # other tests' clusters use this engine as well
        listed = docker("ps", f"--filter=label={LABEL}", f'--format={{{{.ID}}}} {{{{.Label "{LABEL}"}}}}').splitlines()
        [container] = [container for container, uid in map(str.split, listed) if uid in own]
        return container

    def go_on(self) -> None:
        """Give the sales to whoever waits for them, and let the day's work come to its end."""
        self.shop.asked.clear()
        assert self.shop.asked.wait(180)  # by the pod that follows the one that was killed
        self.shop.holding.clear()
        self.settle()

    def make(self, *arguments: str) -> str:
        """What a verb says that has to succeed, and is no news to anybody."""
        said = self.project.make(*arguments)
        assert self.shop.news() == []
        return said

    def rows(self) -> list[tuple[Any, ...]]:
        """What is published of all days."""
        claim = self.kube.kubectl("get", "persistentvolumeclaim", self.name, "--output", "jsonpath={.metadata.uid}")
        volume = ["docker", "run", "--rm", f"--volume=claim-{claim}:/data", "--entrypoint=cat", clock.IMAGE]
        with tempfile.TemporaryDirectory() as folder:
            database = Path(folder, "results.db")
            with database.open("wb") as file:
                subprocess.run([*volume, "/data/production/results.db"], stdout=file, check=True)
            return forecasts(database)


def at(day: date, hour: int) -> datetime:
    """A moment soon after an hour."""
    return datetime(day.year, day.month, day.day, hour, 0, 5, tzinfo=UTC)


@pytest.fixture
def days(template: Path, tmp_path: Path) -> Iterator[Days]:
    if program() is None:
        rig.missing("DOCKER", "no kubectl here, and only root on Debian can unpack one")
    with (
        open_shop(FIRST, clock.here()) as shop,
        on_kubernetes(template, tmp_path, backoff=0.5, example="forecast") as (project, kube),
    ):
        prepare(project, shop)
        clock.begin_with(project)
        project.git("add", "--all")
        project.git("commit", "--quiet", "--no-verify", "--message", "Settings")
        yield Days(project, kube, shop)


def test_days_on_kubernetes(days: Days, tmp_path: Path) -> None:
    shop = days.shop
    days.make("deploy", "WAIT=15")
    days.pass_days(1)
    for _ in range(2):  # its job begins another pod, so that nothing is missing
        docker("kill", days.begin())
        days.go_on()
    assert shop.news() == []

    missed = days.dawn(hour=6)  # when the cluster is back, it is too late to begin the run
    days.settle()
    [told] = shop.news()
    assert str(missed) in told
    days.shop.late["S1 small", missed] = missed + timedelta(days=3)
    days.pass_days(1)
    assert shop.news() == []
    shop.spoilt = True
    days.pass_days(1)
    shop.spoilt = False
    [told] = shop.news()
    assert f" for {days.day}, commit " in told
    assert "rows rejected (50.0%" in told
    days.pass_days(1)
    [told] = shop.news()
    assert f"{missed + timedelta(days=1)} is done again: its data changed" in told
    assert ": 2 days to do, " in days.make("backfill", f"FROM={missed}", f"TO={days.day}")

    good = days.project.git("rev-parse", "HEAD")
    let_decay(days.project, since=days.day)
    days.project.git("commit", "--quiet", "--no-verify", "--all", "--message", "Change")
    days.pass_days(1)
    decaying = days.day
    days.make("deploy", "WAIT=15")
    while not (news := shop.news()):
        assert days.day - decaying < timedelta(days=6), "nobody was told that the model decays"
        days.pass_days(1)
    [told] = news
    assert "turned out to be" in told
    days.make("rollback", "WAIT=15")
    number = (days.day - decaying).days
    assert f": {number} days to do, 1 done " in days.make("backfill", f"FROM={decaying}", f"TO={days.day}")
    days.pass_days(1)
    assert shop.news() == []

    days.project.git("reset", "--quiet", "--hard", good)
    assert days.rows() == calm(days.project, shop, (days.day - FIRST).days + 1, tmp_path)
