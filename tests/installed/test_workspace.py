"""One workspace of two projects, and of a package that one of them uses: what is done in it, and what stays apart."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import copier
import pytest
import rig
from rig import Project, append

NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": 1,
            "id": "a",
            "metadata": {},
            "source": ["1 + 1"],
            "outputs": [
                {"output_type": "execute_result", "execution_count": 1, "data": {"text/plain": ["2"]}, "metadata": {}}
            ],
        }
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
LONE = '"""Lone."""\n\nimport os\n'  # which the hook lint stops


class Workspace(NamedTuple):
    """Its root, and the two: `own` uses packages/shop-features, `churn` does not."""

    root: Project
    own: Project
    churn: Project


@pytest.fixture(scope="module")
def workspace(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """It is set up and committed; tests put back what they change."""
    folder = tmp_path_factory.mktemp("workspace") / "our shop"
    copier.run_copy(str(template), folder, data={"example": "workspace"}, defaults=True, quiet=True)
    root = Project(folder, "")
    own = rig.generate(template, folder / "models/own", example="blank")
    churn = rig.generate(template, folder / "models/churn", example="classify", ci="github")
    root.make("setup")
    assert root.run("uv", "init", "--quiet", "--lib", "packages/shop-features").returncode == 0
    root.make("add", "PROJECT=models/own", "PACKAGE=shop-features")
    uses = '"""Uses what is shared."""\n\nfrom shop_features import hello\n\nSAID = hello()\n'
    (own.folder / "src/my_model/shared.py").write_text(uses)
    assert committed(root, "Share"), "the hooks refuse what uv and the template have written"
    return Workspace(root, own, churn)


@pytest.fixture
def shop(workspace: Workspace) -> Iterator[Workspace]:
    """The workspace, on a branch that is thrown away."""
    with rig.thrown_away(workspace.root):
        yield workspace


def commit(project: Project, message: str = "Change") -> subprocess.CompletedProcess[str]:
    """Commit what is staged, as the hooks let it."""
    return project.run("git", "commit", "--message", message)


def committed(project: Project, message: str) -> bool:
    """Stage all, and commit it; whether that worked."""
    project.git("add", "--all")
    return commit(project, message).returncode == 0


def version(project: Project) -> str:
    """The commit that the project would say it is of."""
    done = project.run(".venv/bin/python", "-m", f"{project.package}.ops.version")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


def test_one_set_up_gives_one_repository_one_lock_and_an_environment_to_each(workspace: Workspace) -> None:
    root, own, churn = workspace
    assert sorted(path.parent.name for path in root.folder.glob("**/.git")) == ["our shop"]
    locks = [path for path in root.folder.glob("**/uv.lock") if ".venv" not in path.parts]
    assert locks == [root.folder / "uv.lock"]
    assert root.git("status", "--porcelain") == ""
    shared = "import importlib.util; print(bool(importlib.util.find_spec('shop_features')))"
    assert own.python(shared).stdout.strip() == "True"
    assert churn.python(shared).stdout.strip() == "False"
    assert root.run(".venv/bin/python", "-c", "import polars").returncode != 0  # its hooks alone
    assert own.run("uv", "lock", "--check").returncode == 0


def test_each_runs_by_itself_and_from_the_root(workspace: Workspace) -> None:
    root, own, churn = workspace
    assert "rows of predictions for" in root.make("develop", "PROJECT=models/own")
    assert not (churn.folder / "var").exists()
    head = root.git("rev-parse", "HEAD")
    assert f"commit   {head}\n" in churn.make("develop")
    assert own.status()["develop"]["commit"] == f"{head[:11]} (HEAD)"
    both = root.make("status")
    assert re.findall("^── (.*)$", both, re.MULTILINE) == ["models/churn", "models/own"]
    named = root.run("make", "logs")
    assert (named.returncode, named.stderr.splitlines()[:3]) == (
        2,
        ["logs: in which project? PROJECT= names one of:", "models/churn", "models/own"],
    )


def test_all_of_it_passes_its_own_check(shop: Workspace) -> None:
    root, own, _ = shop
    done = root.run("make", "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("check: hooks passed, tests passed") == 2
    assert "check: hooks of the workspace passed, tests of packages passed" in done.stdout
    package = root.folder / "packages/shop-features"
    (package / "tests").mkdir()
    (package / "tests/test_hello.py").write_text("def test_hello() -> None:\n    raise AssertionError('planted')\n")
    (own.folder / "tests/test_planted.py").write_text("def test_planted() -> None:\n    raise AssertionError\n")
    assert root.run("uv", "add", "--quiet", "--package=shop-features", "--dev", "pytest>=9").returncode == 0
    done = root.run("make", "test")
    assert done.returncode != 0
    assert "test: failed in packages/shop-features\n" in done.stderr
    assert "test: failed in models/own, passed in models/churn\n" in done.stderr


def test_a_commit_is_looked_at_by_the_hooks_of_those_that_it_touches_alone(shop: Workspace) -> None:
    root, own, churn = shop
    (churn.folder / "src/customer_churn/lone.py").write_text(LONE)  # no part of the commit
    (own.folder / "explore/more.md").write_text("More.\n")
    root.git("add", "models/own")
    assert commit(root).returncode == 0
    root.git("add", "models/churn")
    refused = commit(root)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert re.findall("^models/.*$", said, re.MULTILINE) == ["models/churn"]
    assert "F401 [*] `os` imported but unused" in said and "lone.py" in said
    # What is staged counts, and not what the file has become since.
    (churn.folder / "src/customer_churn/lone.py").write_text('"""Lone."""\n')
    root.git("add", "models/churn")
    (churn.folder / "src/customer_churn/lone.py").write_text(LONE)
    assert commit(root).returncode == 0
    assert (churn.folder / "src/customer_churn/lone.py").read_text() == LONE


def test_a_notebook_is_committed_without_output_by_the_project_that_it_is_in(shop: Workspace) -> None:
    root, _, churn = shop
    file = churn.folder / "explore/look.ipynb"
    file.write_text(json.dumps(NOTEBOOK))
    root.git("add", "models/churn")
    done = commit(root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(root.git("show", "HEAD:models/churn/explore/look.ipynb"))["cells"][0]["outputs"] == []
    assert json.loads(file.read_text())["cells"][0]["outputs"] != []
    assert not version(churn).endswith("-dirty")
    root.git("-c", "filter.nbstripout.clean=cat", "add", "--renormalize", "models/churn/explore/look.ipynb")
    root.git("commit", "--quiet", "--no-verify", "--amend", "--no-edit")
    append("models/churn/explore/look.ipynb", " ")(root.folder)
    root.git("-c", "filter.nbstripout.clean=cat", "add", "models/churn")
    refused = commit(root)
    assert refused.returncode != 0
    assert "explore/look.ipynb\nThere is output in these" in refused.stdout + refused.stderr


@pytest.mark.parametrize(
    ("file", "dirty"),
    [
        ("models/churn/README.md", [False, True]),
        ("models/own/new.txt", [True, False]),
        ("packages/shop-features/src/shop_features/__init__.py", [True, False]),
        ("README.md", [False, False]),
        ("pyproject.toml", [True, True]),
    ],
)
def test_a_neighbours_change_makes_no_project_dirty(file: str, dirty: list[bool], shop: Workspace) -> None:
    root, own, churn = shop
    append(file, "\n# Changed.\n")(root.folder)
    assert [version(each).endswith("-dirty") for each in (own, churn)] == dirty


def test_a_neighbours_commit_leaves_a_project_at_its_own(shop: Workspace) -> None:
    root, own, churn = shop
    base = root.git("rev-parse", "HEAD")
    where = "from {0}.ops.version import distance; print(distance('{1}'))"
    append("models/churn/README.md", "\nMore.\n")(root.folder)
    assert committed(root, "Churn alone")
    assert root.make("changed") == "models/churn\n"
    assert own.python(where.format("my_model", base)).stdout.strip() == "HEAD"
    assert churn.python(where.format("customer_churn", base)).stdout.strip() == "1 commit behind HEAD"
    root.make("add", "PROJECT=models/own", "PACKAGE=tabulate", "GROUP=test")
    assert committed(root, "A library of own")
    assert root.make("changed") == "models/own\n"
    assert root.make("changed", f"BASE={base}") == "models/churn\nmodels/own\n"


def test_root_and_project_are_updated_each_by_itself(shop: Workspace, template: Path, tmp_path: Path) -> None:
    root, own, churn = shop

    def improve(folder: Path) -> None:
        append("template/docs/drift.md", "\nNewer.\n")(folder)
        append("workspace/docs/workspace.md.jinja", "\nNewer.\n")(folder)

    newer = rig.next_release(template, tmp_path / "newer", improve)
    root.make("update", "PROJECT=models/own", f"SOURCE={newer}")
    assert root.git("diff", "--name-only").splitlines() == [
        "models/own/.copier-answers.yml",
        "models/own/docs/drift.md",
    ]
    assert "folder: models/own\n" in (own.folder / ".copier-answers.yml").read_text()
    assert committed(root, "Update own")
    root.make("update", f"SOURCE={newer}")
    assert root.git("diff", "--name-only").splitlines() == [".copier-answers.yml", "docs/workspace.md"]
    assert committed(root, "Update the root")
    assert root.make("changed") == ""
    root.make("answer", "PROJECT=models/churn", "license=MIT")
    assert root.git("status", "--porcelain").splitlines() == [
        "M models/churn/.copier-answers.yml",
        " M models/churn/pyproject.toml",
        "?? models/churn/LICENSE",
    ]
    assert "folder: models/churn\n" in (churn.folder / ".copier-answers.yml").read_text()


def test_a_project_of_a_repository_of_its_own_joins(
    shop: Workspace, generate: Callable[..., Project], tmp_path: Path
) -> None:
    root = shop.root
    lone = generate(tmp_path / "lone", example="forecast", reviewers="@ada", ci="github")
    late = Project(root.folder / "models/late", lone.package)
    shutil.copytree(lone.folder, late.folder)
    (late.folder / "uv.lock").touch()
    root.git("add", "--all")
    root.git("commit", "--quiet", "--no-verify", "--message", "Take it in")
    told = root.run("make", "setup")
    assert told.returncode != 0
    assert "models/late/uv.lock is read by nobody, as the workspace has one lock: git rm it\n" in told.stderr
    assert "models/late does not know that it is here: cd models/late && make answer folder=models/late" in told.stderr
    root.git("rm", "--quiet", "models/late/uv.lock")
    root.git("commit", "--quiet", "--no-verify", "--message", "Take the lock of the workspace")
    root.make("answer", "PROJECT=models/late", "folder=models/late")
    assert [name for name in (".github", "CODEOWNERS") if (late.folder / name).exists()] == []
    assert "exclude-newer" not in (late.folder / "pyproject.toml").read_text()
    root.make("setup")
    assert late.call("status").returncode == 0
