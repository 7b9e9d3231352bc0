"""A project of an earlier release, updated: in its image, and in production."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import copier
import pytest
import rig
from containers.docker import belongings
from listener import until
from lived_in import change
from packaging.version import Version
from production import Production
from rig import VERSION, Project

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("containers")]
TABLES = 'TABLES = (Table("recommendations", key=("customer",)),)'
MEASURED = 'run.measure("hit_rate", metrics["hit_rate"], better="higher", baselines=baselines)'
RELEASES = list(rig.earlier_releases())


def add_what_it_asks_for(mine: Project) -> None:
    """What the pipeline publishes, and the direction of its metric."""
    refused = mine.run("make", "develop")
    assert "TABLES = (" in refused.stderr  # what the update has said, too
    pipeline = f"src/{mine.package}/pipeline.py"
    change(mine, pipeline, "\nStep = ", f"\n{TABLES}\nStep = ")
    change(mine, pipeline, "from .ops.runs import", "from .ops.published import Table\nfrom .ops.runs import")
    change(mine, pipeline, "        run.record.headline", f"        {MEASURED}\n        run.record.headline")


@pytest.mark.parametrize("release", [RELEASES[0], RELEASES[-1]])
def test_it_runs_in_its_image_and_is_deployed(release: str, generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = replace(generate(tmp_path / "mine", release=release), containers=True)
    change(mine, "production/settings.toml", "customers = 20_000", "customers = 500")
    mine.make("develop")
    mine.git("add", "--all")
    mine.git("commit", "--quiet", "--no-verify", "--message", "Before")
    copier.run_update(mine.folder, overwrite=True, defaults=True, quiet=True, unsafe=True)
    mine.make("setup")
    if Version(release) < Version("0.11.0"):
        add_what_it_asks_for(mine)
    mine.git("add", "--all")
    mine.git("commit", "--quiet", "--no-verify", "--message", "Update from the template")
    done = mine.run("make", "develop")
    assert "in production's image" in done.stderr
    assert f"commit   {mine.git('rev-parse', 'HEAD')}" in done.stdout
    mine.make("clean", "YES=1")
    assert belongings(mine) == []

    mine.git("checkout", "--quiet", "-b", f"updated-{release.replace('.', '-')}")
    production = Production(mine)
    production.deploy()  # with the settings and the model of before
    until(production.done_by(mine.git("rev-parse", "HEAD")))
    assert mine.status()["production"]["template"] == VERSION
    mine.make("clean", "STAGE=production", f"SURE={production.name}")
    assert production.containers() == []
