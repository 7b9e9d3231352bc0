"""The project in the working directory: what its last commit holds, and merging into its files."""

import subprocess
import sys
from pathlib import Path


def git(*arguments: str) -> bytes:
    """What git prints.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
    return subprocess.run(["git", *arguments], check=True, stdout=subprocess.PIPE).stdout


def committed(name: str | Path) -> bytes | None:
    """A file as the last commit has it; nothing where it has none."""
    path = Path(name).as_posix()
    return git("show", f"HEAD:./{path}") if git("ls-tree", "HEAD", path) else None


def merge(mine: Path, base: Path, theirs: Path) -> None:
    """Bring what is new in a file of the template into the project's, with marks where both have changed a line.

    Args:
        mine: the project's file.
        base: as the template gave it; it need not exist.
        theirs: as the template gives it now; one that it has no more is deleted, unless somebody has changed it.
    """
    if not theirs.exists():
        if base.exists() and mine.read_bytes() == base.read_bytes():
            mine.unlink()
        elif base.exists():
            print(f"{mine} is not the template's any more; it stays, as somebody has changed it", file=sys.stderr)
        return
    base.parent.mkdir(parents=True, exist_ok=True)
    base.touch()
    mode = theirs.stat().st_mode
    labels = ["-L", "before updating", "-L", "last update", "-L", "after updating"]
    if subprocess.run(["git", "merge-file", *labels, mine, base, theirs]).returncode == 0:
        resolved(mine)
    mine.chmod(mode)


def resolved(file: Path) -> None:
    """Take back what Copier told git of a conflict in a file."""
    git("reset", "--quiet", "--", file.as_posix())
