"""The table of all rows, each in its place: measured now, kept of a bench that was broken off, or why not measured."""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest
import rig
from lab import Line
from needs import Check

HEAD = "| what | measured | floor | measured at | ratio | at most | |\n|---|---|---|---|---|---|---|"
# What a row measures, or measures by; not the documents, and not the tests.
MEASURED = (
    "bench/*.py",
    "copier.yml",
    "hooks",
    "requirements.txt",
    "template",
    "tests/aws",
    "tests/containers",
    "tests/kube",
)

Place = TypeVar("Place")  # where it is measured


@dataclass(frozen=True)
class State:
    """What is measured, and on what: rows of another one are none that go on."""

    files: str  # the digest of MEASURED
    machine: str
    python: str

    @classmethod
    def present(cls) -> "State":
        """That of the work tree, on this machine."""
        return cls(_digest(), machine(), platform.python_version())


def _digest() -> str:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *MEASURED],
        cwd=rig.ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = hashlib.sha256()
    for name in sorted({*listed.split("\0")} - {""}):
        with suppress(FileNotFoundError):  # deleted, and not yet committed
            content = (rig.ROOT / name).read_bytes()
            found.update(f"{name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def machine() -> str:
    """The cores and the processor, in words."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {models[0] if models else 'a processor'} ({platform.machine()})"


def commit() -> str:
    """The commit of the work tree, with `-dirty` where that holds more."""
    said = rig.sh("git", "describe", "--always", "--dirty", "--exclude=*", cwd=rig.ROOT)
    return said.stdout.strip() or "no commit"


class Kept:
    """The rows that are measured already, in a file: written after each row, and of one state only."""

    def __init__(self, file: Path, state: State) -> None:
        self._file, self._state = file, state
        self.rows: dict[str, dict[str, Any]] = {}
        self.other = ""  # why the file's rows do not count
        if file.exists():
            content = json.loads(file.read_text(encoding="utf-8"))
            differing = [name for name, value in asdict(state).items() if content["state"].get(name) != value]
            self.other = ", ".join(differing)
            self.rows = {} if differing else content["rows"]

    def add(self, name: str, lines: Sequence[str]) -> None:
        """Keep a row."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.rows[name] = {"at": at, "commit": commit(), "lines": list(lines)}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({"state": asdict(self._state), "rows": self.rows}, indent=1), encoding="utf-8")
        new.replace(self._file)


class Bench(Generic[Place]):
    """Rows; which of them are to be measured: those that are not kept, or `again` all; and why some cannot be."""

    def __init__(
        self,
        rows: Sequence[Callable[[Place], Iterator[Line]]],
        needs: Mapping[Callable[[Place], Iterator[Line]], Sequence[Check]],
        kept: Kept,
        *,
        again: bool = False,
        until: float = float("inf"),
    ) -> None:
        self.rows, self.kept, self._until = rows, kept, until  # the time.monotonic() after which no row begins
        due = [row for row in rows if again or row.__name__ not in kept.rows]
        reasons = {row.__name__: [why for check in needs.get(row, ()) if (why := check())] for row in due}
        self.missing = {name: whys[0] for name, whys in reasons.items() if whys}
        self.todo = [row.__name__ for row in due if row.__name__ not in self.missing]
        self.failed: list[str] = []

    def lines(self, place: Callable[[], Place]) -> Iterator[str]:
        """Measure what is to do at `place()`, and give every row's lines in its place."""
        for row in self.rows:
            name = row.__name__
            if name in self.todo:
                self._measure(row, place)
            if name in self.missing:
                yield f"| {_about(row)} | not measured: {self.missing[name]} | | | | | |"
            else:
                yield from self.kept.rows[name]["lines"]

    def _measure(self, row: Callable[[Place], Iterator[Line]], place: Callable[[], Place]) -> None:
        """Keep what a row measures, or why it does not."""
        name = row.__name__
        if time.monotonic() >= self._until:
            self.missing[name] = "no time was left"
            return
        try:
            self.kept.add(name, [str(line) for line in row(place())])
        except pytest.skip.Exception as skipped:  # what the tests' helpers raise where something is not here
            self.missing[name] = str(skipped)
        except Exception as error:
            print(f"bench: {name} failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            self.failed.append(name)
            self.missing[name] = f"**failed**: {_told(error)}"

    def days(self) -> str:
        """The days on which the rows were measured, in words."""
        found = sorted(self.kept.rows[row.__name__]["at"][:10] for row in self.rows if row.__name__ in self.kept.rows)
        if not found:
            return "no day"
        return found[0] if found[0] == found[-1] else f"{found[0]} to {found[-1]}"


def _about(row: Callable[..., object]) -> str:
    """The row's own words, as those of a table's cell."""
    return (row.__doc__ or row.__name__).partition("\n")[0].rstrip(".")


def _told(error: Exception) -> str:
    """What an error says, as a table's cell: of a traceback its end, else the last line."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    ends = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    return (ends or lines[-1:])[0][:160].replace("|", "\\|")
