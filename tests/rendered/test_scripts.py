"""The shell scripts of a generated project, with what each of them sources, as a linter wants them."""

from collections.abc import Callable

import pytest
from answers import VALUES
from rig import ROOT, Project, sh


@pytest.mark.parametrize("target", VALUES["target"])
def test_scripts_have_no_findings(
    target: str, generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory
) -> None:
    target, _, where = target.partition(" on ")
    place = {"metaflow_on": where} if where else {}
    folder = generate(tmp_path_factory.mktemp("scripts") / "p", target=target, **place).folder
    scripts = [str(path.relative_to(folder)) for path in folder.rglob("*.sh")]
    done = sh(ROOT / ".venv/bin/shellcheck", "--external-sources", *scripts, cwd=folder)
    assert done.returncode == 0, done.stdout
