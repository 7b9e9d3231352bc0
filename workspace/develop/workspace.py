"""The projects of this workspace, and what each is made of. It needs Python 3.11 and nothing else.

workspace.py projects             the folder of each, a line each
workspace.py changed [BASE]       those that the commits since BASE touch; without it those of the last commit
workspace.py paths models/churn   what a project is made of, as git names it from the project's folder
workspace.py check                one line for whatever cannot be in one workspace, and exit code 1
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# A change of these may change every project. What a change of uv.lock changes, the lock tells.
COMMON = ("pyproject.toml", ".dockerignore")
LOCK = "uv.lock"


def projects() -> list[str]:
    """The folders of the projects that copier-ml keeps, as models/churn."""
    return [path.parent.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("models/*/.copier-answers.yml"))]


def changed(base: str) -> list[str]:
    """The projects that a range of commits touches.

    Args:
        base: the commit from which on; what was done there since the two parted does not count. Where git does not
            know it, as after a push by force or in a clone without the history, every project counts as touched.
    """
    done = _git("diff", "--name-only", "--no-renames", "--relative", "-z", f"{base}...HEAD")
    if done is None:
        print(f"changed: git finds no way from {base} to HEAD here: every project", file=sys.stderr)
        return projects()
    files = done.split("\0")
    if any(file in COMMON for file in files):
        return projects()
    before, now = ("", "")
    if LOCK in files:
        start = (_git("merge-base", base, "HEAD") or base).strip()
        before, now = _git("show", f"{start}:./{LOCK}") or "", _git("show", f"HEAD:./{LOCK}") or ""
    found = []
    for project in projects():
        folders = tuple(f"{folder}/" for folder in (project, *used(project)))
        if any(file.startswith(folders) for file in files) or _locked(before, project) != _locked(now, project):
            found.append(project)
    return found


def used(project: str) -> list[str]:
    """The folders of the other members of the workspace that one depends on, directly or not."""
    folders = {name: folder for folder, name in _members()}
    found: list[str] = []
    todo = [project]
    while todo:
        needed = _dependencies(_read(todo.pop()))
        new = {folders[name] for name in needed if name in folders} - {project, *found}
        found += sorted(new)
        todo += new
    return sorted(found)


def paths(project: str) -> list[str]:
    """What a project is made of: its folder, the files of the workspace that are everybody's, the packages it uses."""
    return [".", *(f"../../{path}" for path in (*COMMON, LOCK, *used(project)))]


def complaints() -> Iterator[str]:
    """Yield a line for each thing that cannot be in one workspace."""
    owners: dict[str, str] = {}
    for folder, name in _members():
        if name in owners:
            yield (
                f"{owners[name]} and {folder} are both called {name} in their pyproject.toml, and so would be their "
                "images and databases: make the newer one again, with another answer to package"
            )
        owners.setdefault(name, folder)
    for project in projects():
        if (ROOT / project / LOCK).exists():
            yield f"{project}/{LOCK} is read by nobody, as the workspace has one lock: git rm it"
        said = re.search("^folder: *(.*)$", (ROOT / project / ".copier-answers.yml").read_text(encoding="utf-8"), re.M)
        if not said or said[1] != project:
            yield f"{project} does not know that it is here: cd {project} && make answer folder={project}"
        if models := [each for each in used(project) if each.startswith("models/")]:
            yield f"{project} depends on {models[0]}, another project: move what both use to a package in packages/"


def _members() -> list[tuple[str, str]]:
    """Folder and name, as a lock writes it, of each member of the workspace."""
    files = sorted([*ROOT.glob("models/*/pyproject.toml"), *ROOT.glob("packages/*/pyproject.toml")])
    folders = [file.parent.relative_to(ROOT).as_posix() for file in files]
    return [(folder, _normal(str(_read(folder).get("project", {}).get("name", folder)))) for folder in folders]


def _dependencies(pyproject: dict[str, Any]) -> set[str]:
    """The names of all that a pyproject.toml asks for, in whatever group."""
    project = pyproject.get("project", {})
    optional, groups = project.get("optional-dependencies", {}), pyproject.get("dependency-groups", {})
    lists = [project.get("dependencies", []), *optional.values(), *groups.values()]
    asked = [each for one in lists for each in one if isinstance(each, str)]
    return {_normal(found[0]) for each in asked if (found := re.match(r"[A-Za-z0-9._-]+", each.strip()))}


def _locked(lock: str, project: str) -> list[dict[str, Any]]:
    """What a lock holds for a project: each package that it gets, in every version and for every machine."""
    if not lock:
        return []
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads(lock).get("package", []):
        packages.setdefault(package["name"], []).append(package)
    todo = [_normal(str(_read(project)["project"]["name"]))]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for package in packages.get(name, []):
            more = [*package.get("optional-dependencies", {}).values(), *package.get("dev-dependencies", {}).values()]
            todo += [each["name"] for one in (package.get("dependencies", []), *more) for each in one]
    return [package for name in sorted(seen) for package in packages.get(name, [])]


def _read(folder: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))


def _normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def _git(*arguments: str) -> str | None:
    """What git prints at the root; None where it fails."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", errors="surrogateescape"
    )
    return None if done.returncode else done.stdout


def main(verb: str = "", argument: str = "", *rest: str) -> None:
    """Print what is asked for, a line each."""
    if verb == "check":
        lines = [f"workspace: {line}" for line in complaints()]
        print(*lines, sep="\n", end="\n" if lines else "", file=sys.stderr)
        sys.exit(bool(lines))
    known = {
        "projects": lambda: projects(),
        "changed": lambda: changed(argument or "HEAD^"),
        "paths": lambda: paths(argument),
    }
    if verb not in known or rest:
        sys.exit(__doc__)
    lines = known[verb]()
    print(*lines, sep="\n", end="\n" if lines else "")


if __name__ == "__main__":
    main(*sys.argv[1:])
