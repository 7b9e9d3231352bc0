"""What a commit has to pass: each hook lets a good commit by, and stops what it is there for."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import rig
from rig import Project

CELL = {"cell_type": "code", "execution_count": 7, "id": "a", "metadata": {}, "source": ["1 + 1"]}
OUTPUT = {"output_type": "execute_result", "execution_count": 7, "data": {"text/plain": ["2"]}, "metadata": {}}
NOTEBOOK = {"cells": [CELL | {"outputs": [OUTPUT]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}

# What is planted, by file; which hook stops it; and what it says.
PLANTED = {
    "a secret": ("notes.txt", "url = https://ada:hunter2hunter2@example.org\n", "no secret", "notes.txt:1"),
    "a private key": ("key.pem", "-----BEGIN RSA PRIVATE" + " KEY-----\n", "no secret", "key.pem:1"),
    "a conflict": ("notes.md", "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n", "no conflict left over", "notes.md:1"),
    "a large file": ("large.csv", "a,b\n" * 300_000, "no large file", "large.csv"),
    "an output": ("explore/look.ipynb", json.dumps(NOTEBOOK), "notebooks without output", "explore/look.ipynb\n"),
    "bad form": ("explore/form.py", '"""Other."""\n\nx = {  "a":1 }\n', "format", "explore/form.py:3:"),
    "an unused name": ("explore/unused.py", '"""Other."""\n\nimport os\n', "lint", "F401 [*] `os` imported but unused"),
    "a wrong type": ("explore/wrong.py", '"""Other."""\n\nx: int = "a"\n', "types", "Incompatible types"),
    "what is explored, in the package": (
        "src/burger_combos/other.py",
        '"""Other."""\n\nfrom explore import first_look\n\nprint(first_look)\n',
        "lint",
        "TID251 `explore` is banned: what is explored uses the package",
    ),
}

# As by somebody who has not run make setup.
UNFILTERED = ("-c", "filter.nbstripout.clean=cat")


@pytest.fixture
def mine(project: Project, tmp_path: Path) -> Iterator[Project]:
    """The default project on a branch that is thrown away."""
    with rig.thrown_away(project):
        yield project


def commit(project: Project, *options: str) -> tuple[bool, str]:
    """Whether git takes all that is there as a commit, and what the hooks say."""
    project.git(*options, "add", "--all")
    done = project.run("git", "commit", "--message", "Change")
    return done.returncode == 0, done.stdout + done.stderr


def failed(said: str) -> list[str]:
    """The names of the hooks that stopped the commit."""
    return re.findall(r"^(.+?)\.{2,}Failed$", said, re.MULTILINE)


def test_a_commit_is_stopped_by_each_hook_that_finds_something(mine: Project) -> None:
    for name, text, _, _ in PLANTED.values():
        (mine.folder / name).write_text(text)
    taken, said = commit(mine, *UNFILTERED)
    assert not taken
    assert set(failed(said)) == {hook for _, _, hook, _ in PLANTED.values()}
    assert [finding for _, _, _, finding in PLANTED.values() if finding not in said] == []
    assert mine.git("rev-parse", "HEAD") == mine.git("rev-parse", "main")


def test_a_check_changes_nothing_and_make_format_mends(mine: Project) -> None:
    planted = [PLANTED[plant] for plant in ("an output", "bad form", "an unused name")]
    for name, text, _, _ in planted:
        (mine.folder / name).write_text(text)
    mine.git(*UNFILTERED, "add", "--all")
    checked = mine.run("make", "check")
    assert checked.returncode == 2  # make's own, for any failure
    assert "Error 1\n" in checked.stderr
    assert failed(checked.stdout) == [hook for _, _, hook, _ in planted]
    assert checked.stdout.count("make format ") == 3
    assert "passed in" in checked.stdout  # the tests run all the same
    assert "check: hooks failed, tests passed\n" in checked.stdout
    assert [(mine.folder / name).read_text() for name, *_ in planted] == [text for _, text, *_ in planted]
    assert "explore/look.ipynb: without output" in mine.make("format")
    taken, said = commit(mine)
    assert taken, said
    assert '"outputs": []' in mine.git("show", "HEAD:explore/look.ipynb")


def test_what_failed_is_said_of_hooks_and_tests(mine: Project) -> None:
    test = mine.folder / "tests/test_wrong.py"
    test.write_text('def test_wrong() -> None:\n    assert len("ab") == 3\n')
    done = mine.run("make", "check")
    assert done.returncode != 0
    assert "check: hooks passed, tests failed\n" in done.stdout


def test_a_good_change_of_everything_is_taken(mine: Project) -> None:
    (mine.folder / "explore/other.py").write_text('"""Other."""\n\nprint(1)\n')
    (mine.folder / "explore/look.ipynb").write_text(json.dumps(NOTEBOOK | {"cells": []}, indent=1) + "\n")
    (mine.folder / "notes.txt").write_text("url = https://ada:hunter2@example.org # pragma: allowlist secret\n")
    taken, said = commit(mine)
    assert taken, said
    assert said.count("Passed") == 7  # the lock's is not asked where neither it nor pyproject.toml changed


def test_a_lock_of_another_pyproject_is_stopped(mine: Project) -> None:
    metadata = mine.folder / "pyproject.toml"
    metadata.write_text(metadata.read_text().replace('"jinja2>=3.1"', '"jinja2>=3.1.1"'))
    taken, said = commit(mine)
    assert not taken
    assert failed(said) == ["the lock is of this pyproject.toml"]
    assert mine.run("uv", "lock").returncode == 0
    taken, said = commit(mine)
    assert taken, said


def test_make_check_finds_it_in_any_file_also_without_a_repository(project: Project, tmp_path: Path) -> None:
    shutil.copytree(project.folder, tmp_path / "p", ignore=shutil.ignore_patterns(".venv", ".git"))
    (tmp_path / "p/.venv").symlink_to(project.folder / ".venv")
    mine = Project(tmp_path / "p", project.package)
    good = mine.run("sh", "develop/check.sh")
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.endswith("check: hooks passed, tests passed\n")
    planted = [PLANTED[plant] for plant in ("a conflict", "a secret", "an output")]
    for name, text, _, _ in planted:
        (mine.folder / name).write_text(text)
    done = mine.run("sh", "develop/check.sh")
    assert done.returncode == 1
    assert set(failed(done.stdout)) == {hook for _, _, hook, _ in planted}
    assert [finding for _, _, _, finding in planted if finding not in done.stdout] == []
    assert not (mine.folder / ".git").exists()
