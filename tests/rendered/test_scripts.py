"""The shell scripts of a generated project, with what each of them sources, as a linter wants them."""

from pathlib import Path

import pytest
import rig
from answers import VALUES
from rig import ROOT, sh


@pytest.mark.parametrize("target", VALUES["target"])
def test_scripts_have_no_findings(target: str, plain: Path, tmp_path: Path) -> None:
    target, _, where = target.partition(" on ")
    folder = rig.generate(plain, tmp_path / "p", target=target, metaflow_on=where or "argo", tracking="mlflow").folder
    scripts = [str(path.relative_to(folder)) for path in folder.rglob("*.sh")]
    done = sh(ROOT / ".venv/bin/shellcheck", "--external-sources", *scripts, cwd=folder)
    assert done.returncode == 0, done.stdout
