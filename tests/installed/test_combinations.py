"""Combinations of answers in which any two occur together: really installed, checked, tested and run."""

from collections.abc import Callable
from pathlib import Path

import pytest
import rig
from answers import PAIRWISE, Answers, called
from rig import Project, sh


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(answers, marks=[pytest.mark.postgresql] if answers.get("database") == "postgresql" else [])
        for answers in PAIRWISE
    ],
    ids=called,
)
def test_it_is_installed_checked_tested_and_run(
    answers: Answers, request: pytest.FixtureRequest, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "p", **answers)
    mine.make("setup")
    customers = "1,999"
    if answers.get("database") == "postgresql":
        url = rig.new_database(request.getfixturevalue("postgresql"), mine)
        seed(mine, url)
        mine = mine.with_env(DATABASE__URL=url, ORDERS__DATABASE_URL=url)
        customers = "2,000"
    assert " passed" in mine.make("check")
    assert not (mine.folder / "var").exists()  # its tests keep all that they make to themselves
    shown = "would like" if answers.get("notebooks") == "none" else "runs to its end"
    assert shown in mine.make("explore", "CHECK=1")
    assert f"{customers} rows of recommendations for" in mine.make("develop")
    assert mine.git("rev-parse", "HEAD") in mine.make("results")
    assert ", ok, " in mine.status("STAGE=develop")["develop"]["last run"]
    assert mine.git("status", "--porcelain") == ""


def seed(project: Project, url: str) -> None:
    """What the database's container does at its first start."""
    programs = rig.postgresql_programs()
    assert programs
    done = sh(programs / "psql", url, "--quiet", "--set=ON_ERROR_STOP=1", "--file=develop/seed.sql", cwd=project.folder)
    assert done.returncode == 0, done.stderr
