"""How VS Code is set up, in the devcontainer and outside of it: one editor, and nothing that contradicts."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import rig
from answers import VALUES


def read(folder: Path, name: str) -> Any:
    """A file of the editor's, which has to be JSON without comments: other programs read it too."""
    return json.loads((folder / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("notebooks", VALUES["notebooks"])
def test_what_it_names_is_there_and_the_devcontainer_agrees(notebooks: str, plain: Path, tmp_path: Path) -> None:
    made = rig.generate(plain, tmp_path / "p", notebooks=notebooks, package="fresh_combos")
    settings = read(made.folder, ".vscode/settings.json")
    inside = read(made.folder, ".devcontainer/devcontainer.json")["customizations"]["vscode"]
    assert settings.keys().isdisjoint(inside["settings"])  # a workspace's would win over the container's
    assert inside["settings"] == {"python.defaultInterpreterPath": "/opt/venv/bin/python"}
    assert read(made.folder, ".vscode/extensions.json")["recommendations"] == inside["extensions"]
    assert all(re.fullmatch(r"[\w-]+\.[\w-]+", each) for each in inside["extensions"])
    assert settings["[python]"]["editor.defaultFormatter"] in inside["extensions"]
    assert all((made.folder / each).is_dir() for each in settings["python.testing.pytestArgs"])
    words = {"marimo": "marimo", "jupyter": "jupyter"}
    named = [word for word in words if any(word in each for each in inside["extensions"])]
    assert named == ([notebooks] if notebooks in words else [])


def test_the_debugger_starts_the_pipeline(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = rig.generate(plain, tmp_path / "p", package="fresh_combos")
    (started,) = read(made.folder, ".vscode/launch.json")["configurations"]
    assert (made.folder / "src" / (started["module"].replace(".", "/") + ".py")).is_file()
    assert started["args"] == ["run", "--stage", "develop"]
    monkeypatch.syspath_prepend(made.folder / "src")
    assert list(started["env"]) == [import_module("fresh_combos.ops.faults").WHOLE]
