"""A run: its folder with log, artifacts and report, and its record.

The folder is all that steps share, so that each can run in a process of its own.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

import filelock

from . import PREFIX
from .problems import Problem
from .settings import Stage
from .version import commit, template


@dataclass
class Record:
    """What is known of a run; kept in its folder after every step, and in the database."""

    run_id: str
    stage: Stage
    date: date
    git_commit: str = field(default_factory=commit)
    image: str = field(default_factory=lambda: os.environ.get(PREFIX + "IMAGE", ""))  # its id, where one runs
    template: str = field(default_factory=template)  # the version of copier-ml
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: str = "running"  # running, ok, refused (by a gate), failed, stopped (from outside, to be done again)
    problem: str = ""
    steps: dict[str, float] = field(default_factory=dict)  # seconds of each finished step
    numbers: dict[str, float] = field(default_factory=dict)  # counts and metrics
    headline: str = ""  # how good the result is, in a few words
    charts: dict[str, dict[str, float]] = field(default_factory=dict)  # for the report: a value for each label
    facts: dict[str, Any] = field(default_factory=dict)  # what else the report shows

    @property
    def seconds(self) -> float:
        """The time that the steps took."""
        return sum(self.steps.values())

    def to_json(self) -> str:
        """The record as a line of JSON."""
        return json.dumps(asdict(self), default=_plain, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`; what another version of this program knew beyond it is left out."""
        values = json.loads(text)
        known = {each.name: values[each.name] for each in fields(cls) if each.name in values}
        return cls(
            **{"image": "", "template": ""}
            | known
            | {
                "stage": Stage(values["stage"]),
                "date": date.fromisoformat(values["date"]),
                "started_at": datetime.fromisoformat(values["started_at"]),
            }
        )


class Run:
    """One execution of the pipeline, or what other processes have done of it so far."""

    def __init__(self, folder: Path, record: Record) -> None:
        self.folder = folder
        self.record = record

    @classmethod
    def create(cls, runs: Path, stage: Stage, day: date, run_id: str | None = None) -> Self:
        """Begin a run in a folder below `runs`; nothing of it is kept before it is saved.

        Raises:
            Problem: the id is no folder's name, or the folder cannot be written.
        """
        if run_id is None:
            run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        folder = _folder(runs, run_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Problem(f"{folder}: cannot be written: {error.strerror}") from None
        return cls(folder, Record(run_id, stage, day))

    @classmethod
    def open(cls, runs: Path, run_id: str) -> Self:
        """Take up a run where its last step left it.

        Raises:
            Problem: there is no such run.
        """
        folder = _folder(runs, run_id)
        try:
            return cls(folder, Record.from_json((folder / "run.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise Problem(f"{folder}: no such run") from None

    def save(self) -> None:
        """Keep the record; a crash leaves the old one or the new one, never half of it."""
        partial = self.path("run.json.partial")
        partial.write_text(self.record.to_json() + "\n", encoding="utf-8")
        partial.replace(self.path("run.json"))

    def path(self, name: str) -> Path:
        """A file in the run's folder."""
        return self.folder / name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the run for this process; the lock goes with the process, however it ends.

        Raises:
            Problem: another process executes it, or the folder cannot be written.
        """
        lock = self._lock()
        try:
            lock.acquire(timeout=1)  # longer than anybody takes to look whether it is alive
        except filelock.Timeout:
            raise Problem(f"run {self.record.run_id} is being executed by another process") from None
        except OSError as error:
            raise Problem(f"{self.folder}: cannot be written: {error.strerror}") from None
        try:
            yield
        finally:
            lock.release()

    def is_alive(self) -> bool:
        """Whether a process executes it at this moment."""
        try:
            with self._lock().acquire(timeout=0):
                return False
        except filelock.Timeout:
            return True

    def _lock(self) -> filelock.BaseFileLock:
        return filelock.FileLock(self.path("lock"))


def names(runs: Path) -> list[str]:
    """The ids of the runs whose folders are kept, the one last at work last."""
    return [file.parent.name for file in sorted(runs.glob("*/run.json"), key=lambda file: file.stat().st_mtime_ns)]


def prune(runs: Path, keep: int) -> None:
    """Remove the folders of all but the newest runs; their records stay in the database."""
    for name in names(runs)[:-keep]:
        if not Run.open(runs, name).is_alive():
            shutil.rmtree(runs / name, ignore_errors=True)


def _folder(runs: Path, run_id: str) -> Path:
    if not re.fullmatch(r"\w[\w.-]*", run_id):
        raise Problem(f"run id {run_id!r}: letters, digits and . _ - only, and none of . - first")
    return runs / run_id


def _plain(value: Any) -> Any:
    """What JSON has no form for: a number of numpy's, or something whose text is enough."""
    return value.item() if hasattr(value, "item") else str(value)
