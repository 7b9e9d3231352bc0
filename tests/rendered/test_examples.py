"""An example costs the others nothing: no file, no dependency."""

import ast
import re
import sys
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

import pytest
from answers import VALUES
from rig import Project

EXAMPLES = VALUES["example"]
ALIKE = {"project_name": "Shop", "package": "shop", "description": "It sells.", "database": "postgresql"}
# What an example brings, and what says which one it is.
ITS_OWN = ["src/shop/*.py", "tests/*", "explore/first_look.*", "*/settings.toml", "develop/seed.sql", "README.md"]
# What is imported, of what is installed.
NAMED = {"pillow": "PIL", "scikit-learn": "sklearn", "pydantic-settings": "pydantic_settings"}
BUILDS = {"images": {"cpu", "cuda"}}  # the groups with a library that has a build for processors and one for GPUs
WITH = {"pydantic_settings": {"pydantic"}}  # what a library brings as a part of its own interface


@pytest.fixture(scope="module")
def projects(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Project]:
    folder = tmp_path_factory.mktemp("examples")
    return {name: generate(folder / name, example=name, **ALIKE) for name in EXAMPLES}


def shared(project: Project) -> dict[str, str]:
    """The files that are of no example."""
    found = {}
    for path in project.folder.rglob("*"):
        name = path.relative_to(project.folder).as_posix()
        own = name != ".copier-answers.yml" and any(fnmatch(name, each) for each in ITS_OWN) and "/ops/" not in name
        if path.is_file() and not own:
            found[name] = path.read_text(encoding="utf-8")
    found[".copier-answers.yml"] = re.sub("(?m)^example: .*$", "", found[".copier-answers.yml"])
    return found


def requirements(project: Project) -> set[str]:
    read = tomllib.loads((project.folder / "pyproject.toml").read_text(encoding="utf-8"))
    builds = (read["dependency-groups"].get(name, []) for name in ("cpu", "cuda"))
    listed = [*read["project"]["dependencies"], *chain(*builds)]
    return {re.split(r"[\[>=]", each)[0] for each in listed}


def imported(folder: Path) -> set[str]:
    """The libraries that a project's own code imports."""
    found: set[str] = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module)
    return {name.partition(".")[0] for name in found} - sys.stdlib_module_names


@pytest.mark.parametrize("example", EXAMPLES[1:])
def test_all_that_is_of_no_example_is_the_same_in_each(example: str, projects: dict[str, Project]) -> None:
    one, other = (shared(projects[name]) for name in (EXAMPLES[0], example))
    assert one.keys() == other.keys()
    differing = [name for name in one if one[name] != other[name]]
    builds = BUILDS.get(example, set())
    assert differing == ["Dockerfile"] * bool(builds) + ["pyproject.toml"]
    parts = [tomllib.loads(files["pyproject.toml"]) for files in (one, other)]
    assert {name for name in parts[1]["dependency-groups"] if name not in parts[0]["dependency-groups"]} == builds
    for part in parts:
        del part["project"]["dependencies"]
        groups = part["dependency-groups"]
        part["dependency-groups"] = {name: each for name, each in groups.items() if name not in builds}
        part["dependency-groups"]["dev"] = [each for each in groups["dev"] if "stubs" not in each]
        if builds:
            del part["tool"]["uv"], part["tool"]["mypy"]["overrides"]
    assert parts[0] == parts[1]


def test_one_lock_has_both_builds_and_an_image_one_of_them(projects: dict[str, Project]) -> None:
    folder = projects["images"].folder
    uv = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]
    assert uv["conflicts"] == [[{"group": "cpu"}, {"group": "cuda"}]]
    assert "cpu" in uv["default-groups"] and "cuda" not in uv["default-groups"]
    indexes = {each["name"]: each for each in uv["index"]}
    assert all(each["explicit"] for each in indexes.values())
    assert {each["group"]: each["index"] for each in uv["sources"]["torch"]} == {
        "cpu": "pytorch-cpu",
        "cuda": "pytorch-cuda",
    }
    assert indexes.keys() == {"pytorch-cpu", "pytorch-cuda"}
    docker = (folder / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall("^ARG TORCH.*", docker, re.MULTILINE) == ["ARG TORCH=cpu"]
    synced = [line for line in docker.replace("\\\n", " ").splitlines() if "--group platform" in line]
    assert len(synced) == 2 and all('--group platform --group "$TORCH"' in line for line in synced)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_depends_on_what_its_files_import_and_on_nothing_else(
    example: str, projects: dict[str, Project]
) -> None:
    project = projects[example]
    installed = {NAMED.get(name, name) for name in requirements(project)}
    needed = imported(project.folder / "src/shop")
    assert installed - needed == set()
    assert needed - installed - {part for name in installed for part in WITH.get(name, ())} == set()


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_stage_of_an_example_has_the_same_keys(example: str, projects: dict[str, Project]) -> None:
    folder = projects[example].folder
    keys = [
        {
            table: sorted(values)
            for table, values in tomllib.loads((folder / stage / "settings.toml").read_text()).items()
        }
        for stage in ("explore", "develop", "production")
    ]
    assert keys[0] == keys[1] == keys[2]
