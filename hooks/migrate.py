"""What an update cannot do by itself: called by Copier, in the project, in the update that crosses a version.

What is here can be called again without doing anything more.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import copier
import worktree
import yaml
from worktree import committed

ANSWERS = ".copier-answers.yml"


def merge(*files: str) -> None:
    """Merge files that have no common ancestor in this update, as Copier would merge them otherwise; called after it.

    These are files that were the user's alone until this version, and files that have another path from this version
    on: Copier would delete the edits in them together with the old path.

    Args:
        files: each a path in the project, or `OLD=NEW` where it is another one from now on. One that the user has
            deleted stays away.
    """
    with _copies() as (old, new):
        for file in files:
            before, _, after = file.rpartition("=")
            name = before if before and committed(before) is not None else after
            mine, base, theirs = Path(after), old / (before or after), new / after
            mine.unlink(missing_ok=True)
            content = committed(name)
            if content is not None:
                mine.parent.mkdir(parents=True, exist_ok=True)
                mine.write_bytes(content)
                worktree.merge(mine, old / name, theirs)
            elif theirs.exists() and not base.exists():
                mine.parent.mkdir(parents=True, exist_ok=True)
                mine.write_bytes(theirs.read_bytes())
            elif mine.parent.is_dir() and not any(mine.parent.iterdir()):
                mine.parent.rmdir()


def divide(*modules: str) -> None:
    """Part what is the project's own from what is the template's, as divide.py tells."""
    from divide import divide  # which reads TOML, and so needs Python 3.11

    with _copies() as (old, new):
        divide(old, new, f"src/{_answers()['package']}", modules)


@contextmanager
def _copies() -> Iterator[tuple[Path, Path]]:
    """Two copies of the template with the project's answers: of the release before this update, and of the new one."""
    now = _answers()
    before = yaml.safe_load((committed(ANSWERS) or b"").decode())
    # Called as Copier's own copies are, by which answers.jinja knows that no answer is to be refused here.
    with TemporaryDirectory(prefix="copier._main.new_copy.") as folder:
        old, new = Path(folder, "old"), Path(folder, "new")
        _generate(before | {"_src_path": now["_src_path"]}, old)
        _generate(now, new)
        yield old, new


def _answers() -> dict[str, Any]:
    answers: dict[str, Any] = yaml.safe_load(Path(ANSWERS).read_text(encoding="utf-8"))
    return answers


def _generate(answers: dict[str, Any], folder: Path) -> None:
    copier.run_copy(answers["_src_path"], folder, data=answers, vcs_ref=answers["_commit"], defaults=True, quiet=True)


if __name__ == "__main__":
    if sys.argv[1] == "--divide":
        if not find_spec("tomllib"):
            sys.exit("Copier has to run on Python 3.11 or newer: uv tool run --python 3.13 copier update --trust")
        divide(*sys.argv[2:])
    else:
        merge(*sys.argv[1:])
