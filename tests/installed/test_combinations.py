"""Any two answers together: really installed and checked, and tested and run where that is not the same."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import rig
from answers import PAIRWISE, RUN, VALUES, Answers, called, filled
from rig import Project, sh
from tidy import find_secrets


class Shown(NamedTuple):
    """What an example shows of itself."""

    source: str  # the section of the settings that names it
    look: str  # in the first look that is a script
    table: str
    rows: str  # of a sample, as a pattern
    seeded: str  # of develop/seed.sql


EXAMPLES = {
    "recommend": Shown("ORDERS", "would like", "recommendations", "2,000", "2,001"),
    "classify": Shown("SUBSCRIPTIONS", "Who is likeliest to leave next", "churn_scores", r"[\d,]{3,5}", r"[\d,]{3,5}"),
    "forecast": Shown("SALES", "what the model expects of the next", "forecasts", r"\d,\d{3}", r"\d,\d{3}"),
    "images": Shown("IMAGES", "whose label is least sure", "image_labels", r"\d{2,3}", r"\d{2,3}"),
    "blank": Shown("DATA", "What the others hold", "predictions", "100", "100"),
}


def test_what_each_example_shows_is_known() -> None:
    assert list(EXAMPLES) == VALUES["example"]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(answers, marks=[pytest.mark.postgresql] if answers.get("database") == "postgresql" else [])
        for answers in RUN
    ],
    ids=called,
)
def test_it_is_installed_checked_tested_and_run(
    answers: Answers, request: pytest.FixtureRequest, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "p", **answers)
    mine.make("setup")
    example = EXAMPLES[filled(answers)["example"]]
    rows = example.rows
    if answers.get("database") == "postgresql":
        url = rig.new_database(request.getfixturevalue("postgresql"), mine)
        seed(mine, url)
        mine = mine.with_env(DATABASE__URL=url, **{f"{example.source}__DATABASE_URL": url})
        rows = example.seeded
    find_secrets(mine)
    assert " passed" in without_secrets(mine).make("check")
    assert not (mine.folder / "var").exists()  # its tests keep all that they make to themselves
    shown = example.look if answers.get("notebooks") == "none" else "runs to its end"
    assert shown in mine.make("explore", "CHECK=1")
    assert re.search(rf"^{rows} rows of {example.table} for ", mine.make("develop"), re.MULTILINE)
    assert mine.git("rev-parse", "HEAD") in mine.make("results")
    assert ", ok, " in mine.status("STAGE=develop")["develop"]["last run"]
    assert mine.git("status", "--porcelain") == ""


@pytest.mark.parametrize("answers", [each for each in PAIRWISE if each not in RUN], ids=called)
def test_its_files_pass_the_hooks(answers: Answers, generate: Callable[..., Project], tmp_path: Path) -> None:
    """The other pairs, which change nothing of what runs: format, lint, types, secrets and the lock."""
    mine = generate(tmp_path / "p", **answers)
    mine.make("setup")
    find_secrets(mine)
    done = without_secrets(mine).run("sh", "develop/tool.sh", "pre-commit", "run", "--all-files")
    assert done.returncode == 0, done.stdout + done.stderr
    assert mine.git("status", "--porcelain") == ""


def without_secrets(project: Project) -> Project:
    """The project without the hook that looks for secrets, which takes as long as all others: `find_secrets` did it."""
    return replace(project, env=project.env | {"SKIP": "secrets"})


def seed(project: Project, url: str) -> None:
    """What the database's container does at its first start."""
    programs = rig.postgresql_programs()
    assert programs
    done = sh(programs / "psql", url, "--quiet", "--set=ON_ERROR_STOP=1", "--file=develop/seed.sql", cwd=project.folder)
    assert done.returncode == 0, done.stderr
