"""Waiting for a database that somebody else has locked: not for ever, and not in silence."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

SILENT = 3.0  # seconds until it is said
PATIENCE = 60.0  # seconds until SQLite gives up


@contextmanager
def report_waiting(name: str, file: Path | None = None, *, slow: bool = False) -> Iterator[None]:
    """Say on standard error that this takes long since somebody has the database locked.

    Args:
        name: the database, for a person.
        file: SQLite's.
        slow: whether this may take long by itself; then it is said only where it is known who that is.
    """

    def tell() -> None:
        who = _holder(file)
        if who or not slow:
            print(
                f"{name}: locked by {who or 'another program'}; waiting until it is free", file=sys.stderr, flush=True
            )

    timer = Timer(SILENT, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def still_locked(name: str, file: Path) -> str:
    """What to say of a SQLite file when patience is at its end."""
    who = _holder(file) or "another program"
    return f"{name}: still locked after {PATIENCE:.0f} seconds by {who}: end that, or run this again after it"


def _holder(file: Path | None) -> str:
    """Who holds the locks of a SQLite file, where Linux tells."""
    with suppress(OSError):
        inodes = {str(each.stat().st_ino) for each in (file, Path(f"{file}-shm")) if each and each.exists()}
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            lock = line.split()  # as 1: POSIX ADVISORY WRITE 4711 00:2e:815 0 EOF
            if len(lock) > 5 and lock[5].rpartition(":")[2] in inodes and lock[4] != str(os.getpid()):
                command = Path(f"/proc/{lock[4]}/cmdline").read_text(encoding="utf-8", errors="replace")
                return f"process {lock[4]} ({' '.join(command.split(chr(0)))[:80].strip()})"
    return ""
