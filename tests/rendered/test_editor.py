"""How editors are set up, in the devcontainer and outside of it: nothing that contradicts."""

import json
import re
import tomllib
from configparser import ConfigParser, SectionProxy
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import rig
from answers import VALUES
from rig import ROOT, sh

# What has to be said to a verb before it can do anything, or is asked back.
TALKS = {"help", "inside", "clean", "add", "remove", "run", "backfill", "trace", "answer"}


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
    assert list(started["env"]) == [import_module("fresh_combos.ops.code_errors").WHOLE]


def test_each_verb_that_needs_no_more_than_its_name_is_a_task(plain: Path, tmp_path: Path) -> None:
    for number, answers in enumerate(({}, {"serving": "http", "tracking": "mlflow"})):
        made = rig.generate(plain, tmp_path / str(number), **answers)
        verbs = re.findall(r"^([a-z]+):.*## ", (made.folder / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        tasks = read(made.folder, ".vscode/tasks.json")["tasks"]
        assert {task["label"] for task in tasks} == set(verbs) - TALKS
        assert all(task["command"] == f"make {task['label']}" for task in tasks)
    assert set(verbs) > TALKS


def styles(folder: Path) -> dict[str, SectionProxy]:
    """The sections of a folder's .editorconfig; of those that fit a file, the later ones win."""
    parser = ConfigParser()
    parser.read_string("[first]\n" + (folder / ".editorconfig").read_text(encoding="utf-8"))
    return dict(parser)


def indent(sections: dict[str, SectionProxy], name: str) -> str:
    """With what each line of this file begins that is indented once."""
    found: dict[str, str] = {}
    for section, values in sections.items():
        start, _, rest = section.partition("{")
        endings, _, end = rest.partition("}")
        if any(fnmatch(name, f"{start}{ending}{end}") for ending in endings.split(",")):
            found |= dict(values)
    return "\t" if found["indent_style"] == "tab" else " " * int(found["indent_size"])


@pytest.mark.parametrize("notebooks", ["marimo", "jupyter"])
def test_an_editor_writes_files_as_their_formatters_want_them(notebooks: str, plain: Path, tmp_path: Path) -> None:
    folder = rig.generate(plain, tmp_path / "p", notebooks=notebooks, target="kubernetes").folder
    sections = styles(folder)
    ruff = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    assert sections["*.{py,pyi}"]["max_line_length"] == str(ruff["line-length"])
    seen = set()
    for path in folder.rglob("*"):
        kind = path.suffix or path.name
        if kind in (".py", ".sh", ".toml", ".yml", ".yaml", ".json", ".ipynb", "Makefile"):
            lines = path.read_text(encoding="utf-8").splitlines()
            indents = {found[0] for line in lines if (found := re.match(r"\s+(?=\S)", line))}
            assert not indents or min(indents, key=len) == indent(sections, path.name), path
            seen |= {kind} if indents else set()
    assert seen >= {".py", ".sh", ".toml", ".yml", ".yaml", ".json", "Makefile"}
    assert (".ipynb" in seen) == (notebooks == "jupyter")
    formatted = sh(ROOT / ".venv/bin/shfmt", "-d", ".", cwd=folder)  # which reads .editorconfig
    assert formatted.returncode == 0, formatted.stdout
    rig.change(folder / ".editorconfig", {"indent_size = 4": "indent_size = 3"})
    assert sh(ROOT / ".venv/bin/shfmt", "-d", ".", cwd=folder).returncode != 0
