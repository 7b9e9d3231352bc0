"""A run: its folder with log, artifacts and report, and its record.

The folder is all that steps share, so that each can run in a process of its own; where `runs.store` names a store, it
is a copy of what lies there, so that each can run on a machine of its own.
"""

import atexit
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import filelock
import structlog

from . import PREFIX
from .measuring import Measuring
from .object_store import ObjectStore
from .problems import Problem
from .settings import Runs, Stage
from .shards import Joined, Part, Shard, all_of, joined
from .version import commit, template

if TYPE_CHECKING:
    from .fingerprint import Fingerprint
    from .input_checks import Watch

DAILY, BACKFILL, LATE = KINDS = ("daily", "backfill", "late data")  # what a run is for: today, or a past day again
TRIAL = "trial"  # of a sweep: it publishes nothing, and no database knows of it
log = structlog.get_logger()
State = list[tuple[str, int, int]]  # of a file, or of each file of a folder: its name, when it was written, its size


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
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)  # value, better and baselines; the first counts
    shards: int = 1  # how many a step is split into, if it can be
    given: dict[str, list[str]] = field(default_factory=dict)  # the counts and metrics that each step noted
    headline: str = ""  # how good the result is, in a few words
    charts: dict[str, dict[str, Any]] = field(default_factory=dict)  # for the report, by title; see chart_data.py
    facts: dict[str, Any] = field(default_factory=dict)  # what else the report shows
    settings: dict[str, Any] = field(default_factory=dict)  # those in force, by full name; secrets are masked
    overrides: dict[str, str] = field(default_factory=dict)  # which of them an environment variable set, and which
    in_file: dict[str, Any] = field(default_factory=dict)  # what the file says of those it has otherwise; None: nothing
    data: dict[str, Any] = field(default_factory=dict)  # the sources; rows, columns and hash of what was read
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)  # published: key, order_by, rows of each
    profile: dict[str, Any] = field(default_factory=dict)  # of the input, by table: see profile.py, and what is unusual
    kind: str = DAILY  # or BACKFILL or LATE
    model_run: str = ""  # which run has trained the model in use; empty where no step says that it trains
    training: dict[str, Any] = field(default_factory=dict)  # of that model: its files and, if it is not the run's, date
    reviews: list[dict[str, Any]] = field(default_factory=list)  # how good earlier days really were; see review.py

    @property
    def seconds(self) -> float:
        """The time that the steps took."""
        return sum(self.steps.values())

    @property
    def tells_model(self) -> bool:
        """Whether its rows say which run has trained their model."""
        return bool(self.model_run and self.settings.get("schedule.train_every"))

    def to_json(self) -> str:
        """The record as a line of JSON."""
        return json.dumps(vars(self), default=_plain, ensure_ascii=False)

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


class Run(Measuring):
    """One execution of the pipeline, or what other processes have done of it so far."""

    watch: "Watch | None" = None  # looks at the input, where this is a run and no trial

    def __init__(self, folder: Path, record: Record, store: ObjectStore | None = None) -> None:
        self.folder = folder
        self.record = record
        self.fingerprint: Fingerprint | None = None  # of what was fetched, where this process has to find it out
        self._store = store
        self._stored: dict[str, State] = {}  # how each file or folder was when the store had the same

    @classmethod
    def create(cls, runs: Runs, stage: Stage, day: date, run_id: str | None = None) -> Self:
        """Begin a run; nothing of it is kept before it is saved.

        Raises:
            Problem: the id is no folder's name, or the folder cannot be written.
        """
        if run_id is None:
            run_id = new_id()
        return cls(_folder(runs, run_id), Record(run_id, stage, day, shards=runs.shards), store_of(runs))

    @classmethod
    def open(cls, runs: Runs, run_id: str) -> Self:
        """Take up a run where its last step left it.

        Raises:
            Problem: there is no such run, or its store cannot be reached.
        """
        if not cls.exists(runs, run_id):
            raise Problem(f"{runs.store or runs.folder}/{run_id}: no such run")
        run = cls(_folder(runs, run_id), Record(run_id, Stage.develop, date.min), store_of(runs))
        run.reload()
        return run

    @classmethod
    def exists(cls, runs: Runs, run_id: str) -> bool:
        """Whether there is such a run.

        Raises:
            Problem: the id is no folder's name, or the store cannot be reached.
        """
        file = _checked(runs, run_id) / "run.json"
        store = store_of(runs)
        return store.has(f"{run_id}/run.json") if store else file.exists()

    def reload(self) -> None:
        """Read the record anew, which another process may have changed.

        Raises:
            Problem: the store cannot be reached.
        """
        self._fetch("run.json")
        self.record = Record.from_json((self.folder / "run.json").read_text(encoding="utf-8"))

    def save(self) -> None:
        """Keep the record; a crash leaves the old one or the new one, never half of it."""
        partial = self.folder / "run.json.partial"
        partial.write_text(self.record.to_json() + "\n", encoding="utf-8")
        partial.replace(self.folder / "run.json")
        self.share()

    def share(self) -> None:
        """Put what is new in the folder into the store, if there is one; the record comes last."""
        if self._store:
            for file in sorted(self.folder.iterdir(), key=lambda file: file.name == "run.json"):
                if self._stored.get(file.name) != _state(file) and not file.name.endswith(("lock", ".partial")):
                    self._stored[file.name] = _state(file)
                    put = self._store.put_folder if file.is_dir() else self._store.put
                    put(f"{self.record.run_id}/{file.name}", file)

    def path(self, name: str, shard: Shard | None = None) -> Path:
        """A file or a folder in the run's folder, or what a shard has of it."""
        file = self.folder / name
        if shard is not None and shard.count > 1:
            file = file.with_stem(f"{file.stem}-{shard}")
        outermost = file.relative_to(self.folder).parts[0]
        if not (self.folder / outermost).exists():
            self._fetch(outermost)
        return file

    def found(self, *patterns: str) -> list[str]:
        """The names of the run's files and folders that are such, as `model.*`, here and where machines share them."""
        there = self._store.names(self.record.run_id) if self._store else []
        known = {name.split("/")[1] for name in there} | {file.name for file in self.folder.iterdir()}
        return sorted(name for name in known if any(fnmatch(name, pattern) for pattern in patterns))

    def paths(self, name: str) -> list[Path]:
        """What each shard has of a file, in their order."""
        return [self.path(name, shard) for shard in self.shards]

    def kept(self, name: str) -> str:
        """Where a file or a folder of the run is kept; empty where there is none."""
        place = f"{self._store.url}/{self.record.run_id}" if self._store else str(self.folder)
        return f"{place}/{name}" if self.path(name).exists() else ""

    @property
    def shards(self) -> list[Shard]:
        """All that a step is split into."""
        return all_of(self.record.shards)

    def finish(self, seconds: float, shard: Shard, part: Part) -> None:
        """Note that a shard's part of a step is done, how long it took, and what it adds to the record."""
        text = json.dumps({"seconds": seconds, "counts": part.counts, "metrics": part.metrics}, default=_plain)
        partial = self.folder / f"{part.step}-{shard}.partial"
        partial.write_text(text + "\n", encoding="utf-8")
        self.share()  # the note comes after what it tells of
        partial.replace(self.folder / f"{part.step}-{shard}.json")
        self.share()

    def missing(self, step: str) -> list[Shard]:
        """The shards whose part of a step is not done yet."""
        return [shard for shard in self.shards if not self.path(f"{step}-{shard}.json").exists()]

    def join(self, step: str) -> None:
        """Take over into the record what the shards have noted of a step, once none is missing.

        Raises:
            Problem: the shards do not measure the same.
        """
        notes = [json.loads(self.path(f"{step}-{shard}.json").read_text(encoding="utf-8")) for shard in self.shards]
        self.take_over(step, joined([Part(step, note["counts"], note["metrics"]) for note in notes]))
        self.record.steps[step] = max(note["seconds"] for note in notes)

    def take_over(self, step: str, found: Joined) -> None:
        """Put into the record what the shards of a step say together, in place of what they said before."""
        self.record.numbers |= found.counts
        for metric in found.metrics:
            self.note(metric)
        self.replace_numbers(step, [*found.counts, *(metric.name for metric in found.metrics)])

    def forget(self, steps: list[str]) -> None:
        """Have steps done anew."""
        self.record.steps = {name: seconds for name, seconds in self.record.steps.items() if name not in steps}
        self.remove(*(f"{step}-{shard}.json" for step in steps for shard in self.shards))

    def remove(self, *patterns: str) -> None:
        """Remove the files and folders whose names are such, as `log*.jsonl`, here and where machines share them."""
        there = self._store.names(self.record.run_id) if self._store and patterns else []
        for pattern in patterns:
            for file in self.folder.glob(pattern):
                if file.is_dir():
                    shutil.rmtree(file)
                else:
                    file.unlink(missing_ok=True)
            if self._store:
                self._store.remove([name for name in there if fnmatch(name.split("/")[1], pattern)])

    def log(self, read: dict[str, int]) -> list[dict[str, Any]]:
        """What its processes have logged since the last look, in the order of time.

        Args:
            read: how much of each file was read so far; it is brought up to date.
        """
        if self._store:
            for name in self.found("log*.jsonl"):
                self._fetch(name)
        events: list[dict[str, Any]] = []
        for file in sorted(self.folder.glob("log*.jsonl")):
            with file.open(encoding="utf-8") as lines:
                lines.seek(read.get(file.name, 0))
                for line in iter(lines.readline, ""):
                    try:
                        events.append(json.loads(line))
                    except json.JSONDecodeError:  # the half of a line that a killed process left
                        events.append({"event": line.rstrip("\n")})
                read[file.name] = lines.tell()
        return sorted(events, key=lambda event: event.get("timestamp", "")) if len(read) > 1 else events

    @contextmanager
    def alone(self, part: str = "") -> Iterator[None]:
        """Hold the run, or a part of it, for this process; the lock goes with the process, however it ends.

        Raises:
            Problem: another process executes it, or the folder cannot be written.
        """
        lock = self._lock(part)
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
        """Whether a process of this machine executes it at this moment."""
        try:
            with self._lock().acquire(timeout=0):
                return False
        except filelock.Timeout:
            return True

    def _lock(self, part: str = "") -> filelock.BaseFileLock:
        return filelock.FileLock(self.folder / f"{part}lock")

    def _fetch(self, name: str) -> None:
        if self._store is None:
            return
        file, stored = self.folder / name, f"{self.record.run_id}/{name}"
        found = self._store.fetch(stored, file)
        if not found and not name.endswith(".json"):  # a note of a shard, which is looked for often, is no folder
            found = self._store.fetch_folder(stored, file)
        if found:
            self._stored[name] = _state(file)


def new_id() -> str:
    """What a run is called that nobody has named: by the moment."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def store_of(runs: Runs) -> ObjectStore | None:
    """The store that machines share, where there is one."""
    return ObjectStore(runs.store) if runs.store else None


def names(runs: Runs) -> list[str]:
    """The ids of the runs that are kept, the one last at work last."""
    if store := store_of(runs):
        return [name.removesuffix("/run.json") for name in store.names() if re.fullmatch("[^/]+/run.json", name)]
    return [
        file.parent.name for file in sorted(runs.folder.glob("*/run.json"), key=lambda file: file.stat().st_mtime_ns)
    ]


def lacking(runs: Runs, name: str) -> list[str]:
    """The ids of the runs that are kept and have no file of that name."""
    if store := store_of(runs):
        having = {found.removesuffix(f"/{name}") for found in store.names()}
        return [run_id for run_id in names(runs) if run_id not in having]
    return [run_id for run_id in names(runs) if not (runs.folder / run_id / name).exists()]


def kept(runs: Runs, run_id: str, name: str) -> Path | None:
    """A file of a run, brought here if it lies in a store; None where there is none."""
    file = runs.folder / run_id / name
    if store := store_of(runs):
        file.parent.mkdir(parents=True, exist_ok=True)
        return file if store.fetch(f"{run_id}/{name}", file) else None
    return file if file.exists() else None


def prune(
    runs: Runs, spared: str | Collection[str] = (), apart: Callable[[Sequence[str]], Collection[str]] = lambda _: ()
) -> None:
    """Remove what all but the newest runs left, and those that are spared; their records stay in the database.

    Args:
        runs: where they are, and how many are kept.
        spared: the ids of those that are kept, whatever their age.
        apart: tells which of some are counted apart, as many of which are kept: runs for past days.
    """
    store, known = store_of(runs), names(runs)
    others = apart(known) if len(known) > runs.keep else ()
    counted = ([name for name in known if name not in others], [name for name in known if name in others])
    removed = []
    kept = {spared} if isinstance(spared, str) else set(spared)
    for name in sorted({name for each in counted for name in each[: -runs.keep]} - kept):
        if store:
            store.remove(store.names(name))
        elif not Run.open(runs, name).is_alive():
            shutil.rmtree(runs.folder / name, ignore_errors=True)
        else:
            continue
        removed.append(name)
    if removed:
        log.info(f"removed what runs before the last {runs.keep} left: {listed(removed)}")


def listed(names: list[str]) -> str:
    """How many names there are, and the first of them."""
    return f"{len(names)}, {', '.join(names[:3])}{', …' * (len(names) > 3)}"


def trials_folder(runs: Runs) -> Path:
    """Where trials leave their files until they end: beside the runs, on this machine."""
    return runs.folder.parent / "trials"


def sweeps(runs: Runs) -> Runs:
    """Where the trials of sweeps are: beside the runs, and in the same store, under `sweeps`."""
    store = f"{runs.store.rstrip('/')}/sweeps" if runs.store else ""
    return runs.model_copy(update={"folder": runs.folder.parent / "sweeps", "store": store})


def _checked(runs: Runs, run_id: str) -> Path:
    if not re.fullmatch(r"\w[\w.-]*", run_id):
        raise Problem(f"run id {run_id!r}: letters, digits and . _ - only, and none of . - first")
    return runs.folder / run_id


def _folder(runs: Runs, run_id: str) -> Path:
    """The run's folder; one of this process where a store has the files."""
    folder = _checked(runs, run_id)
    try:
        (runs.folder if runs.store else folder).mkdir(parents=True, exist_ok=True)
        if runs.store:
            folder = Path(tempfile.mkdtemp(prefix=f"{run_id}-", dir=runs.folder))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
    except OSError as error:
        raise Problem(f"{folder}: cannot be written: {error.strerror}") from None
    return folder


def _state(file: Path) -> State:
    """What tells whether a file, or one of a folder's, was changed."""
    files = [file, *(each for each in file.rglob("*") if each.is_file())] if file.is_dir() else [file]
    found = [(str(each.relative_to(file)), each.stat()) for each in files]
    return sorted((name, known.st_mtime_ns, known.st_size) for name, known in found)


def _plain(value: Any) -> Any:
    """What JSON has no form for: a number of numpy's, a dataclass, or something whose text is enough."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.item() if hasattr(value, "item") else str(value)
