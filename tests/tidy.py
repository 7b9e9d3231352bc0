"""Whether what is written is valid and tidy. What many projects have is looked at once."""

import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import yaml
from own_model import PAGE
from rig import ROOT, Project, sh


class ComposeLoader(yaml.SafeLoader):
    """YAML with the tags by which one compose file overrides another, as `!reset []`."""


ComposeLoader.add_multi_constructor("!", lambda loader, _, node: loader.construct_sequence(node))
PARSERS: dict[str, Callable[[str], object]] = {
    ".toml": tomllib.loads,
    ".json": json.loads,
    ".yml": lambda text: yaml.load(text, ComposeLoader),
    ".yaml": lambda text: yaml.load(text, ComposeLoader),
}


@cache
def filled_in(text: str) -> bool:
    """Whether nothing is left of the template's own language."""
    return not re.search(r"(?<!\$)\{\{ |\{%-? ", text)  # GitHub's have a $, Docker's own formats no blank


@cache
def read(name: str, text: str) -> None:
    """Let what a file is for read it; it is tidy."""
    blank = 3 if name.endswith(".py") or name == PAGE else 2  # which has whole files of Python
    assert "\n" * (blank + 1) not in text, name
    assert text.endswith("\n") and not text.endswith("\n\n"), name
    assert "\r" not in text, name
    assert not re.search(r"[ \t]$", text, re.MULTILINE), name
    PARSERS.get(Path(name).suffix, str)(text)
    if name.endswith(".py"):
        compile(text, name, "exec")
    elif name.endswith(".sh"):
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


_linted: set[tuple[str, ...]] = set()


def lint(folder: Path, files: dict[str, str]) -> None:
    """Let ruff look at the files of Python, but for those that were the same beside the same modules and rules."""
    code = [name for name in files if name.endswith((".py", ".ipynb"))]
    modules = sorted(name for name in code if "/ops/" not in name)  # which ruff tells from libraries
    known = {name: (files["pyproject.toml"].partition("[tool.ruff]")[2], *modules, name, files[name]) for name in code}
    if new := [name for name in code if known[name] not in _linted]:
        for check in (["format", "--check"], ["check"]):
            done = sh(ROOT / ".venv/bin/ruff", *check, "--no-cache", *new, cwd=folder)
            assert done.returncode == 0, done.stdout
    _linted.update(known.values())


_sourced: set[tuple[str, str]] = set()


def check_scripts(folder: Path) -> None:
    """Let shellcheck look at the scripts, but for those that were the same with the same that they source."""
    scripts = {str(path.relative_to(folder)): _with_sourced(path, folder) for path in folder.rglob("*.sh")}
    assert scripts
    if new := scripts.items() - _sourced:
        done = sh(ROOT / ".venv/bin/shellcheck", "--external-sources", *sorted(name for name, _ in new), cwd=folder)
        assert done.returncode == 0, done.stdout
    _sourced.update(scripts.items())


_searched: set[tuple[str, str]] = set()


def find_secrets(project: Project) -> None:
    """Let the project's own hook look for secrets, but in the files that were the same in another project."""
    listed = filter(None, project.git("ls-files", "-z").split("\0"))
    files = {name: (project.folder / name).read_text(encoding="utf-8") for name in listed if name != "uv.lock"}
    assert files
    if new := files.items() - _searched:
        hook = ["pre-commit", "run", "secrets", "--files", *sorted(name for name, _ in new)]
        done = project.run("sh", "develop/tool.sh", *hook)
        assert done.returncode == 0, done.stdout + done.stderr
    _searched.update(files.items())


def _with_sourced(script: Path, folder: Path) -> str:
    """A script's text, and that of all that it sources."""
    text = script.read_text(encoding="utf-8")
    others = [folder / name for name in re.findall(r"# shellcheck source=(\S+)", text) if name != "/dev/null"]
    return text + "".join(_with_sourced(other, folder) for other in others)
