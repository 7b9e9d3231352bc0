"""What a row needs of this machine: each check says why the row cannot be measured, or nothing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import rig
from containers import engine

Check = Callable[[], str]


def container_engine() -> str:
    """An engine with buildx and compose."""
    return "" if engine.is_there() else "no container engine here: python3 tests/containers/engine.py make bench"


def postgresql() -> str:
    """The programs of a PostgreSQL server."""
    return "" if rig.postgresql_programs() else "no PostgreSQL server's programs (initdb) here"


def npm() -> str:
    """What installs dynalite, and the devcontainer's command line."""
    return "" if shutil.which("npm") else "no npm here"


def kedro() -> str:
    """A copy of Kedro's starters."""
    starters = os.environ.get("KEDRO_STARTERS")
    return "" if starters and Path(starters).is_dir() else "KEDRO_STARTERS names no copy of Kedro's starters"


def memory(gigabytes: float) -> Check:
    """So much memory that nobody uses."""

    def check() -> str:
        free = _free()
        return "" if free >= gigabytes else f"{gigabytes:g} GB of memory are needed, {free:.1f} GB are free"

    return check


def _free() -> float:
    """The memory that nobody uses, in GB; where the system does not say it, infinite."""
    file = Path("/proc/meminfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = [int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else float("inf")
