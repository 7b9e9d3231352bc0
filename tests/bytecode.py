"""Compile what uv has unpacked of the projects' libraries: `python3 tests/bytecode.py`.

uv makes each environment of links to its cache, and Python compiles each library anew there at its first import, which
takes some seconds of each test of an environment. What lies compiled in the cache is linked too. It names the hash of
its source, and so is taken for no other source. Only .ci/run calls this: the cache is uv's.
"""

import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import copier
import pytest
from rig import ROOT, Project

LEFT_OUT = r"/(tests?|testing|_vendor)/|\.data/"  # what nobody imports, and what uv does not copy as it is
# Projects that have all libraries between them.
PROJECTS = (
    {"features": "feast", "tracking": "mlflow", "target": "kubeflow", "database": "dynamodb", "notebooks": "jupyter"},
    {"example": "classify", "target": "metaflow-aws", "database": "postgresql"},
    {"example": "images"},
)


def unpacked(project: Path, cache: Path) -> list[Path]:
    """Where the cache has the very files that are in the project's environments; nowhere where uv copies them."""
    linked = {each.stat().st_ino for each in project.glob(".venv*/lib/python*/site-packages/*.dist-info/METADATA")}
    return [each.parents[1] for each in cache.glob("archive-v*/*/*.dist-info/METADATA") if each.stat().st_ino in linked]


def main() -> None:
    """Set the projects up, and compile what they have by the Python of theirs."""
    told = subprocess.run(["uv", "cache", "dir"], capture_output=True, text=True, check=True).stdout
    found: set[Path] = set()
    with tempfile.TemporaryDirectory() as folder:
        for number, answers in enumerate(PROJECTS):
            project = Path(folder) / str(number)
            copier.run_copy(str(ROOT), project, data=answers, vcs_ref="HEAD", defaults=True, quiet=True)
            with suppress(pytest.skip.Exception):  # where PyTorch is out of reach
                Project(project, "").make("setup")
                found |= set(unpacked(project, Path(told.strip())))
        command: list[str | Path] = [Path(folder) / "0/.venv/bin/python", "-m", "compileall", "-qq", "-j0"]
        command += ["--invalidation-mode=checked-hash", "-x", LEFT_OUT]
        if found:
            subprocess.run([*command, *found], check=False)  # some libraries have files that are no Python
        print(f"bytecode: of {len(found)} libraries")


if __name__ == "__main__":
    main()
