"""The shell scripts of a generated project, with what each of them sources, as a linter wants them."""

import re
from pathlib import Path

import rig
from answers import VALUES
from rig import ROOT, sh


def sourced(script: Path, folder: Path) -> str:
    """A script's text, and that of all that it sources."""
    text = script.read_text(encoding="utf-8")
    others = [folder / name for name in re.findall(r"# shellcheck source=(\S+)", text) if name != "/dev/null"]
    return text + "".join(sourced(other, folder) for other in others)


def test_scripts_have_no_findings(plain: Path, tmp_path: Path) -> None:
    seen: set[tuple[str, str]] = set()
    for target in VALUES["target"]:
        folder = rig.generate(plain, tmp_path / target, tracking="mlflow", target=target).folder
        scripts = {str(path.relative_to(folder)): sourced(path, folder) for path in folder.rglob("*.sh")}
        new = scripts.items() - seen
        assert new, target
        seen |= new
        done = sh(ROOT / ".venv/bin/shellcheck", "--external-sources", *sorted(name for name, _ in new), cwd=folder)
        assert done.returncode == 0, done.stdout
