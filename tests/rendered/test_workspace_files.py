"""A workspace as it is written: its root, a project in it, and what else lies there."""

import json
import re
import sys
import tomllib
from itertools import product
from pathlib import Path

import copier
import pytest
import yaml
from answers import REVIEWERS
from rig import append, environment, sh
from tidy import check_scripts, filled_in, lint, read

ROOTS = [{"ci": ci, "reviewers": who} for ci, who in product(("github", "gitlab", "none"), ("", REVIEWERS))][:-1]


def copy(template: Path, place: Path, /, **answers: str) -> Path:
    copier.run_copy(str(template), place, data=answers, defaults=True, quiet=True)
    return place


def answers(folder: Path) -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load((folder / ".copier-answers.yml").read_text(encoding="utf-8"))
    return {name: answer for name, answer in found.items() if not name.startswith("_")}


def texts(folder: Path) -> dict[str, str]:
    """The files of a folder but for the answers, by their names."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_text(encoding="utf-8") for name, path in found.items() if name != ".copier-answers.yml"}


@pytest.fixture(scope="module")
def root(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a workspace, in a folder whose name is a pattern; tests add projects to it."""
    return copy(plain, tmp_path_factory.mktemp("workspace") / "a [shop]", example="workspace")


@pytest.mark.parametrize("given", ROOTS, ids=json.dumps)
def test_a_root_is_valid_tidy_and_of_what_was_chosen(given: dict[str, str], plain: Path, tmp_path: Path) -> None:
    told = {name: answer for name, answer in given.items() if answer or given["ci"] != "none"}
    made = copy(plain, tmp_path / "shop", example="workspace", project_name="The Shop", **given)
    assert answers(made) == {"example": "workspace", "project_name": "The Shop", **told}
    written = texts(made)
    others = {"github": "GitLab", "gitlab": r"GitHub|\.github"}.get(given["ci"], r"GitHub|GitLab|\bCI\b(?! takes)")
    for name, text in written.items():
        assert filled_in(text), name
        read(name, text)
        assert not (name.endswith(".md") and re.search(others, text)), name
    assert ("CODEOWNERS" in written) == bool(given["reviewers"])
    assert written["README.md"].startswith("# The Shop\n")
    lint(made, written)
    check_scripts(made)


def test_a_project_knows_its_folder_and_leaves_to_the_root_what_is_once_in_a_repository(
    root: Path, plain: Path, tmp_path: Path
) -> None:
    alone = copy(plain, tmp_path / "alone", example="blank", database="postgresql", features="feast", reviewers="@ada")
    for name, project in (("GitHub", {"ci": "github"}), ("GitLab", {"ci": "gitlab"})):
        given = {"example": "blank", "database": "postgresql", "features": "feast", "package": name.lower(), **project}
        inside = copy(plain, root / f"models/{name}", **given)
        assert answers(inside) == answers(inside) | {"folder": f"models/{name}", **project}
        assert "reviewers" not in answers(inside)
        once = r"\.github/|\.gitlab/|CODEOWNERS$|renovate\.json$"
        assert [file for file in texts(inside) if re.match(once, file)] == []
    assert [file for file in texts(alone) if re.match(once, file)] != []
    settings = tomllib.loads(texts(inside)["pyproject.toml"])["tool"]["uv"]
    assert settings == {"default-groups": ["platform", "dev"]}  # the rest is the workspace's
    assert json.loads(texts(inside)[".devcontainer/devcontainer.json"])["workspaceFolder"].endswith("/models/GitLab")


@pytest.mark.parametrize("files", [[".github/workflows/check.yml"], [".gitlab-ci.yml"], []], ids=str)
def test_who_does_ci_is_what_the_root_has(files: list[str], plain: Path, tmp_path: Path) -> None:
    made = copy(plain, tmp_path / "shop", example="workspace", ci="none")
    for name in files:
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).touch()
    ci = {".github": "github", ".gitlab-ci.yml": "gitlab"}[files[0].split("/")[0]] if files else "none"
    assert answers(copy(plain, made / "models/churn", example="blank"))["ci"] == ci


def folder_of(project: Path) -> str:
    """The workspace's folder in which a project takes itself to be."""
    (package,) = (path.name for path in (project / "src").iterdir())
    code = f"from {package}.ops.version import folder_in_workspace; print(folder_in_workspace(), end='')"
    done = sh(sys.executable, "-c", code, cwd=project, env=environment() | {"PYTHONPATH": "src"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_stands_alone_in_the_repository_of_a_workspace_is_as_anywhere(
    root: Path, plain: Path, tmp_path: Path
) -> None:
    given = {"example": "blank", "package": "alone", "ci": "github"}
    assert answers(copy(plain, root / "other/alone", folder="", **given))["folder"] == ""
    assert texts(root / "other/alone") == texts(copy(plain, tmp_path / "p", **given))
    assert "folder" not in answers(tmp_path / "p")  # nobody else is asked
    assert folder_of(root / "other/alone") == folder_of(tmp_path / "p") == ""
    assert folder_of(copy(plain, root / "models/inside", **given | {"package": "inside"})) == "models/inside"


@pytest.mark.parametrize(
    ("place", "given", "reason"),
    [
        ("churn", {}, "'folder': Copy to models/NAME of the workspace, or answer nothing"),
        ("models/a/b", {}, "'folder': Copy to models/NAME"),
        ("packages/churn", {}, "'folder': Copy to models/NAME"),
        ("models/a b", {}, "'folder': Copy to models/NAME"),
        ("models/churn", {"folder": "models/sales"}, r"'folder': It lies in models/churn\."),
        ("../elsewhere", {"folder": "models/churn"}, "'folder': There is no workspace above this folder"),
        ("models/churn", {"package": "taken"}, r"'package': .*models/first is called taken already"),
        ("models/churn", {"package": "features"}, r"'package': .*packages/shop is called features already"),
    ],
)
def test_a_place_that_cannot_be_is_refused_in_one_line(
    place: str, given: dict[str, str], reason: str, plain: Path, tmp_path: Path
) -> None:
    made = copy(plain, tmp_path / "shop", example="workspace")
    for module in ("models/first/src/taken/__init__.py", "packages/shop/src/features/__init__.py"):
        (made / module).parent.mkdir(parents=True)
        (made / module).touch()
    with pytest.raises(ValueError, match=reason) as refused:
        copy(plain, made / place, example="blank", **given)
    assert str(refused.value).isprintable()
    assert not (made / place).exists()


def test_another_name_is_suggested_where_one_is_taken(root: Path, plain: Path) -> None:
    assert answers(copy(plain, root / "models/one", example="forecast"))["package"] == "demand_forecast"
    assert answers(copy(plain, root / "models/bread-sales", example="forecast"))["package"] == "bread_sales"


def told(root: Path, *arguments: str) -> tuple[int, list[str], str]:
    """What workspace.py says of a workspace: exit code, lines and complaints."""
    done = sh("python3", "develop/workspace.py", *arguments, cwd=root)
    return done.returncode, done.stdout.splitlines(), done.stderr


def member(root: Path, folder: str, *needs: str, name: str = "") -> None:
    """A project or a package, as far as workspace.py looks at it."""
    (root / folder).mkdir(parents=True)
    project = {"name": name or folder.rpartition("/")[2], "version": "1", "dependencies": list(needs)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in project.items()]
    (root / folder / "pyproject.toml").write_text("\n".join(["[project]", *lines, ""]))
    if folder.startswith("models/"):
        (root / folder / ".copier-answers.yml").write_text(f"folder: {folder}\n")


LOCK = """
version = 1

[[package]]
name = "one"
source = {{ editable = "models/one" }}
dependencies = [{{ name = "libone" }}, {{ name = "features" }}]

[[package]]
name = "two"
source = {{ editable = "models/two" }}
dependencies = [{{ name = "libtwo" }}]

[package.dev-dependencies]
dev = [{{ name = "tool" }}]

[[package]]
name = "features"
source = {{ editable = "packages/features" }}
dependencies = [{{ name = "deep" }}]
"""


def lock(root: Path, **versions: str) -> None:
    found = {"libone": "1", "libtwo": "1", "deep": "1", "tool": "1"} | versions
    more = "".join(f'\n[[package]]\nname = "{name}"\nversion = "{number}"\n' for name, number in found.items())
    (root / "uv.lock").write_text(LOCK.format() + more)


@pytest.fixture
def shop(plain: Path, tmp_path: Path) -> Path:
    """A committed workspace: models/one uses packages/features, which uses packages/dates; models/two uses nothing."""
    made = copy(plain, tmp_path / "shop", example="workspace")
    member(made, "packages/dates")
    member(made, "packages/features", "dates>=1")
    member(made, "models/one", "libone>=1", "Features")
    member(made, "models/two", "libtwo")
    lock(made)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        assert sh("git", *command, cwd=made).returncode == 0
    return made


BOTH = ["models/one", "models/two"]


@pytest.mark.parametrize(
    ("file", "touched"),
    [
        ("models/one/new", ["models/one"]),
        ("models/two/pyproject.toml", ["models/two"]),
        ("models/one-more/file", []),
        ("packages/features/x.py", ["models/one"]),
        ("packages/dates/x.py", ["models/one"]),
        ("README.md", []),
        ("pyproject.toml", BOTH),
        (".dockerignore", BOTH),
    ],
)
def test_a_commit_touches_those_that_are_made_of_its_files(file: str, touched: list[str], shop: Path) -> None:
    (shop / file).parent.mkdir(exist_ok=True)
    append(file, "\n# new\n")(shop)
    for command in (["add", "-A"], ["commit", "-q", "-m", "new"]):
        assert sh("git", *command, cwd=shop).returncode == 0
    assert told(shop, "changed") == (0, touched, "")
    assert told(shop, "changed", "HEAD~1") == (0, touched, "")


@pytest.mark.parametrize(
    ("versions", "touched"),
    [
        ({"libone": "2"}, ["models/one"]),
        ({"deep": "2"}, ["models/one"]),
        ({"tool": "2"}, ["models/two"]),
        ({"of-nobody": "2"}, []),
        ({"libone": "2", "libtwo": "2"}, BOTH),
    ],
    ids=str,
)
def test_the_lock_touches_those_for_which_it_holds_something_else(
    versions: dict[str, str], touched: list[str], shop: Path
) -> None:
    lock(shop, **{name.replace("_", "-"): number for name, number in versions.items()})
    assert sh("git", "commit", "-q", "-a", "-m", "lock", cwd=shop).returncode == 0
    assert told(shop, "changed") == (0, touched, "")


def test_what_was_done_meanwhile_where_a_branch_began_does_not_count(shop: Path) -> None:
    sh("git", "checkout", "-q", "-b", "mine", cwd=shop)
    append("models/one/x", "x")(shop)
    sh("git", "add", "-A", cwd=shop)
    sh("git", "commit", "-q", "-m", "mine", cwd=shop)
    sh("git", "checkout", "-q", "-b", "theirs", "HEAD~1", cwd=shop)
    append("models/two/x", "x")(shop)
    sh("git", "add", "-A", cwd=shop)
    sh("git", "commit", "-q", "-m", "theirs", cwd=shop)
    sh("git", "checkout", "-q", "mine", cwd=shop)
    assert told(shop, "changed", "theirs") == (0, ["models/one"], "")


@pytest.mark.parametrize("base", ["0" * 40, "no-such-branch"])
def test_from_a_commit_that_is_not_there_every_project_is_touched(base: str, shop: Path) -> None:
    code, touched, said = told(shop, "changed", base)
    assert (code, touched) == (0, BOTH)
    assert said == f"changed: git finds no way from {base} to HEAD here: every project\n"


def test_a_project_is_made_of_its_folder_and_of_what_it_uses(shop: Path) -> None:
    common = ["../../pyproject.toml", "../../.dockerignore", "../../uv.lock"]
    assert told(shop, "paths", "models/two") == (0, [".", *common], "")
    assert told(shop, "paths", "models/one")[1] == [".", *common, "../../packages/dates", "../../packages/features"]


@pytest.mark.parametrize(
    ("folder", "needs", "name", "reason"),
    [
        ("models/three", [], "o.n_e", ""),
        ("models/three", [], "One", "models/one and models/three are both called one in their pyproject.toml"),
        ("packages/three", [], "two", "models/two and packages/three are both called two"),
        ("models/three", ["two"], "", "models/three depends on models/two, another project: move what both use"),
    ],
)
def test_what_cannot_be_in_one_workspace_is_told_in_a_line(
    folder: str, needs: list[str], name: str, reason: str, shop: Path
) -> None:
    member(shop, folder, *needs, name=name)
    code, _, said = told(shop, "check")
    assert (code, bool(said)) == (bool(reason), bool(reason))
    assert said.startswith(f"workspace: {reason}" if reason else "") and said.count("\n") == bool(reason)


def test_a_project_that_does_not_know_where_it_is_is_told_so(shop: Path) -> None:
    (shop / "models/one/uv.lock").touch()
    (shop / "models/two").rename(shop / "models/moved")
    (shop / "models/one/.copier-answers.yml").write_text("example: blank\n")
    assert told(shop, "check")[2].splitlines() == [
        "workspace: models/moved does not know that it is here: cd models/moved && make answer folder=models/moved",
        "workspace: models/one/uv.lock is read by nobody, as the workspace has one lock: git rm it",
        "workspace: models/one does not know that it is here: cd models/one && make answer folder=models/one",
    ]
