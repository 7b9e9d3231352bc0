"""A workspace of two small projects, the first of which uses a package that they could share."""

from dataclasses import replace
from pathlib import Path

import copier
import rig
from rig import Project

PROJECTS = {"churn": "ws_churn", "demand": "ws_demand"}  # the folders in models/, and their packages
SHARED = "packages/shared/src/shared/__init__.py"


def generate(template: Path, folder: Path, *, locked: bool = True, **answers: str) -> Project:
    """The root, all of it in one commit; nothing is installed. The answers are those of all of them."""
    copier.run_copy(str(template), folder, data={"example": "workspace"} | answers, defaults=True, quiet=True)
    for name, package in PROJECTS.items():
        rig.generate(template, folder / "models" / name, example="blank", package=package, **answers)
    _share(folder)
    root = Project(folder, "")
    for command in (
        ["sh", "develop/uv.sh", "lock", "--quiet"] if locked else ["true"],
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "add", "--all"],
        ["git", "commit", "--quiet", "--message=Begin"],
    ):
        done = root.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    return root


def project(root: Project, name: str) -> Project:
    """One of its projects."""
    return replace(root, folder=root.folder / "models" / name, package=PROJECTS[name])


def change(root: Project, *names: str) -> str:
    """Commit one more line at the end of each of these files; return the commit."""
    for name in names:
        rig.append(name, "\n# Changed.\n")(root.folder)
    root.git("add", "--all")
    root.git("commit", "--quiet", "--message=Change")
    return root.git("rev-parse", "HEAD")


def _share(folder: Path) -> None:
    """A package of the workspace, that the first project depends on."""
    file = folder / SHARED
    file.parent.mkdir(parents=True)
    file.write_text('"""What projects share."""\n')
    (folder / "packages/shared/pyproject.toml").write_text(
        '[project]\nname = "shared"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n\n'
        '[build-system]\nrequires = ["uv_build>=0.9"]\nbuild-backend = "uv_build"\n'
    )
    metadata = folder / "models" / next(iter(PROJECTS)) / "pyproject.toml"
    rig.change(metadata, {"dependencies = [\n": 'dependencies = [\n    "shared",\n'})
    rig.append(metadata.name, "\n[tool.uv.sources]\nshared = { workspace = true }\n")(metadata.parent)
