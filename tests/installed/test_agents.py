"""Each command of AGENTS.md, a project's and this repository's: run here, as it stands there, or where it says so."""

import shlex
from pathlib import Path

from documents import ELSEWHERE, FIVE, commands
from rig import ROOT, Project, sh

# What runs it: a file, and what stands there.
OF_A_PROJECT = {
    "make check": ("tests/installed/test_combinations.py", 'without_secrets(mine).make("check")'),
    "make format": ("tests/installed/test_hooks.py", 'mine.make("format")'),
    "make explore CHECK=1": ("tests/installed/test_combinations.py", 'mine.make("explore", "CHECK=1")'),
    "make add PACKAGE=hypothesis GROUP=test": (
        "tests/installed/test_verbs.py",
        'make("add", "PACKAGE=hypothesis", "GROUP=test")',
    ),
    "make deploy": FIVE,
    "make rollback": FIVE,
}
OF_THE_TEMPLATE = ELSEWHERE | {"make demo": (".ci/run", "make demo")}


def run(folder: Project, elsewhere: dict[str, tuple[str, str]]) -> dict[str, str]:
    """What the commands of a folder's page print, of all that no other test runs; they have to succeed."""
    said = {}
    for command in commands((folder.folder / "AGENTS.md").read_text(encoding="utf-8")):
        if command in elsewhere:
            file, text = elsewhere[command]
            assert text in (ROOT / file).read_text(encoding="utf-8"), command
            continue
        done = folder.run(*shlex.split(command))
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        said[command] = done.stdout
    return said


def test_each_command_of_a_projects_page_does_what_it_says(shop: Project) -> None:
    said = run(shop, OF_A_PROJECT)
    assert " passed" in said["make test"]
    assert "rows of recommendations for" in said["make develop"]
    assert "report.html" in said["make results STAGE=develop"]
    assert ", ok, " in said["make status STAGE=develop"]
    assert "publish" in said["make logs STAGE=develop"]
    assert len(said) == 5


def test_each_command_of_this_repositorys_page_does_what_it_says(template: Path, tmp_path: Path) -> None:
    clone = Project(tmp_path / "clone", "")
    assert sh("git", "clone", "--quiet", str(template), str(clone.folder), cwd=tmp_path).returncode == 0
    (clone.folder / ".venv").symlink_to(ROOT / ".venv")
    said = run(clone, OF_THE_TEMPLATE)
    assert all(" passed" in text for command, text in said.items() if "pytest" in command)
    assert (clone.folder / "var/forecast/tests/test_sales.py").is_file()
    assert len(said) == 2
