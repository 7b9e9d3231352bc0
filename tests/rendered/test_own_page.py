"""The page "Bring your own problem" as it is written: tidy code, in whole files that are the user's."""

import ast
from collections.abc import Callable
from pathlib import Path

import own_model
import pytest
from own_model import STAGES
from rig import ROOT, Project, sh

PROBLEMS = ["LightGBM", "forecast", "PyTorch"]


@pytest.fixture(scope="module")
def blank(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    return generate(tmp_path_factory.mktemp("own-model") / "p", example="blank")


def test_the_page_shows_these_problems(blank: Project) -> None:
    assert list(own_model.conversions(blank.folder)) == PROBLEMS


@pytest.mark.parametrize("problem", PROBLEMS)
def test_each_file_of_the_page_is_the_users_and_tidy(
    problem: str, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "p", example="blank")
    conversion = own_model.conversions(mine.folder)[problem]
    own = {f"src/{mine.package}/{name}.py" for name in ("data", "pipeline")}
    assert conversion.files.keys() == own | {"tests/test_pipeline.py", *(f"{stage}/settings.toml" for stage in STAGES)}
    assert all((mine.folder / name).is_file() for name in conversion.files)  # the page replaces what is there
    conversion.write(mine.folder)
    for check in (["format", "--diff"], ["check"]):
        done = sh(ROOT / ".venv/bin/ruff", *check, "--no-cache", cwd=mine.folder)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_page_uses_nothing_of_the_machinery_that_is_private(problem: str, blank: Project) -> None:
    for name, text in own_model.conversions(blank.folder)[problem].files.items():
        if name.endswith(".py"):
            imported = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
            assert not [each.name for node in imported for each in node.names if each.name.startswith("_")]
