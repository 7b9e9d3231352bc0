"""What an update cannot do by itself: called by Copier, in the project, in the update that crosses a version.

What is here can be called again without doing anything more.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import copier
import yaml

ANSWERS = ".copier-answers.yml"


def merge(*files: str) -> None:
    """Merge files that have no common ancestor in this update, as Copier would merge them otherwise; called after it.

    These are files that were the user's alone until this version, and files that have another path from this version
    on: Copier would delete the edits in them together with the old path.

    Args:
        files: each a path in the project, or `OLD=NEW` where it is another one from now on. One that the user has
            deleted stays away.
    """
    with TemporaryDirectory() as folder:
        old, new = Path(folder, "old"), Path(folder, "new")
        _generate(_git("show", f"HEAD:./{ANSWERS}").decode(), old)
        _generate(Path(ANSWERS).read_text(encoding="utf-8"), new)
        for file in files:
            before, _, after = file.rpartition("=")
            name = before if before and _git("ls-tree", "HEAD", before) else after
            mine, base, theirs = Path(after), old / (before or after), new / after
            mine.unlink(missing_ok=True)
            mine.parent.mkdir(parents=True, exist_ok=True)
            if _git("ls-tree", "HEAD", name):
                mine.write_bytes(_git("show", f"HEAD:./{name}"))
                _merge(mine, old / name, theirs)
            elif theirs.exists() and not base.exists():
                mine.write_bytes(theirs.read_bytes())
            elif not any(mine.parent.iterdir()):
                mine.parent.rmdir()


def _generate(answers: str, folder: Path) -> None:
    given = yaml.safe_load(answers)
    copier.run_copy(given["_src_path"], folder, data=given, vcs_ref=given["_commit"], defaults=True, quiet=True)


def _merge(mine: Path, base: Path, theirs: Path) -> None:
    if not theirs.exists():
        if base.exists() and mine.read_bytes() == base.read_bytes():
            mine.unlink()
        return
    base.parent.mkdir(parents=True, exist_ok=True)
    base.touch()
    mode = theirs.stat().st_mode
    labels = ["-L", "before updating", "-L", "last update", "-L", "after updating"]
    if subprocess.run(["git", "merge-file", *labels, mine, base, theirs]).returncode == 0:
        _git("reset", "--quiet", "--", str(mine))  # of the conflict that Copier saw
    mine.chmod(mode)


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], check=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    merge(*sys.argv[1:])
