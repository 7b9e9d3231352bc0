"""Each day's rows as Parquet files, in a bucket or a folder, in the layout that Hive has named: one folder a partition.

A day of a table is `TABLE/stage=STAGE/date=DATE/`, with files that never change and the marker `_SUCCESS`, in JSON.
The marker is written last and names the files that count, so that who reads those sees a day before a run or after it.
"""

import hashlib
import json
import re
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import structlog

from .object_store import ObjectStore
from .problems import Problem
from .publishers import Replaced, Rows
from .settings import StageSettings, settings_file

MARKER = "_SUCCESS"
PARTIAL = ".partial"  # how a file here is called that a killed run may leave
ROWS = 1_000_000  # of a file at most, ...
BYTES = 2**28  # ... or so many of them in memory, where rows are wide
PART = re.compile(r"/part-\d+-[^/]*\.parquet$")  # how the files are called that are written here
SCHEMES = ("s3", "gs", "az", "file")
log = structlog.get_logger()


@dataclass(frozen=True)
class _Written:
    """A table's files of a day, which do not count before the marker names them."""

    folder: str
    rows: Rows
    files: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        """The files' full names."""
        return [f"{self.folder}/{file['name']}" for file in self.files]

    @property
    def count(self) -> int:
        """How many rows they have."""
        return sum(file["rows"] for file in self.files)

    @property
    def marker(self) -> str:
        """What the marker says."""
        of = self.rows.of
        about = {
            "table": of.table.name,
            "key": list(of.table.key),
            "stage": str(of.stage),
            "date": str(of.date),
            "run_id": of.run_id,
            "git_commit": of.git_commit,
            "written_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "rows": self.count,
            "files": self.files,
        }
        return json.dumps(about) + "\n"


class Publisher:
    """Puts days into the bucket or folder that `database.parquet_url` names."""

    def __init__(self, settings: StageSettings) -> None:
        """Look at the address.

        Raises:
            Problem: it is none that is known, or cannot be reached.
        """
        self._settings = settings
        self.place = url = settings.database.parquet_url
        where = f"{settings_file(settings.stage, 'database', 'parquet_url')}: database.parquet_url"
        known = f"{', '.join(f'{each}://' for each in SCHEMES)} and a folder's path are"
        begun = re.match(r"([A-Za-z][\w+.-]+):(//)?(.*)", url)  # a letter alone is a drive of Windows
        if begun and (begun[1] not in SCHEMES or not begun[2]):
            raise Problem(f"{where}: {begun[1]}:{begun[2] or ''} is not known: {known}")
        if begun and re.search("[@?#]", begun[3]):
            raise Problem(f"{where}: a place alone is expected: credentials come from the environment")
        if begun and begun[1] == "file" and not begun[3].startswith("/"):
            raise Problem(f"{where}: file:///FOLDER is expected, or a folder's path alone")
        self._store = ObjectStore(unquote(begun[3]) if begun and begun[1] == "file" else url)

    def prepare(self) -> None:
        """Write a file of no bytes, and remove it.

        Raises:
            Problem: that cannot be done.
        """
        name = f"_writable-{secrets.token_hex(4)}"
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / name).touch()
            self._store.put(name, Path(folder) / name)
        self._store.remove([name])

    def put(self, day: Sequence[Rows]) -> None:
        """Write the files of all tables, then all markers, and then remove what does not count any more.

        Raises:
            Replaced: another run has published the day meanwhile.
            Problem: it cannot be written.
        """
        runs = self._settings.runs.folder
        runs.mkdir(parents=True, exist_ok=True)
        prefix = f"{day[0].of.run_id}-" if day else None  # by which retention knows what a killed run has left
        with tempfile.TemporaryDirectory(prefix=prefix, dir=runs) as folder:
            here = Path(folder)
            # First all is read, as a reader of SQLite holds up who would write there, and a bucket may be slow.
            written = [_read(rows, here) for rows in day]
            self._put_files(written, here)
            before = [self._marked(each.folder) for each in written]
            for each in written:
                (here / PARTIAL).write_text(each.marker, encoding="utf-8")
                self._store.put(f"{each.folder}/{MARKER}", here / PARTIAL)
        for each, earlier in zip(written, before, strict=True):
            self._remove_others(each, earlier)
            log.info("parquet", table=each.rows.of.table.name, rows=each.count, files=len(each.files))

    def forget(self, before: date) -> str:
        """Remove the stage's days before one, of all tables that are declared: of each the marker first."""
        from .published import declared  # which imports the publishers

        removed: set[str] = set()
        for table in declared():
            for folder in self._store.folders(f"{table.name}/stage={self._settings.stage}"):
                day = folder.rpartition("/date=")[2]
                if re.fullmatch(r"\d{4}-\d\d-\d\d", day) and day < str(before):
                    names = self._store.names(folder)
                    marker = f"{folder}/{MARKER}"
                    self._store.remove([marker] if marker in names else [])
                    self._store.remove([each for each in names if each != marker])
                    removed.add(day)
        return f"the Parquet files of {len(removed):,} day{'s' * (len(removed) != 1)}" if removed else ""

    def _put_files(self, written: list[_Written], here: Path) -> None:
        """Put the files of all tables, which nothing names yet; none of them stays if one cannot be put."""
        put: list[str] = []
        try:
            for each in written:
                for name in each.names:
                    self._store.put(name, here / f"{each.rows.of.table.name}-{name.rpartition('/')[2]}{PARTIAL}")
                    put.append(name)
        except BaseException:
            with suppress(Exception):
                self._store.remove(put)
            raise

    def _marked(self, folder: str) -> set[str]:
        """The files that the marker of a day names, by their full names; none where there is no marker."""
        try:
            return {
                f"{folder}/{file['name']}"
                for file in json.loads(self._store.read(f"{folder}/{MARKER}") or b"")["files"]
            }
        except (ValueError, TypeError, KeyError):  # none, or another program's
            return set()

    def _remove_others(self, written: _Written, before: set[str]) -> None:
        """Remove what counted before, and what runs left that were killed: it is older than all that this one wrote.

        Raises:
            Replaced: another run, which is at the same day, has removed some of these files.
        """
        mine = set(written.names)
        there = self._store.written(written.folder)
        if mine <= there.keys():
            since = min(there[name] for name in mine)
            old = {name for name, when in there.items() if when < since and PART.search(name)} | (before & there.keys())
            self._store.remove(sorted(old - mine))
            there = self._store.written(written.folder)
        if not mine <= there.keys():
            raise Replaced(f"{self.place}/{written.folder}: another run has removed files of this one")


def _read(rows: Rows, here: Path) -> _Written:
    """Read a table's rows into files here."""
    of = rows.of
    written = _Written(f"{of.table.name}/stage={of.stage}/date={of.date}", rows, [])
    attempt = f"{of.run_id}-{secrets.token_hex(4)}"
    by = pl.lit(of.run_id).alias("run_id"), pl.lit(of.git_commit).alias("git_commit")
    for part in _in_files(rows.parts()):
        name = f"part-{len(written.files):05}-{attempt}.parquet"
        file = here / f"{of.table.name}-{name}{PARTIAL}"
        part.with_columns(*by).write_parquet(file)
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        written.files.append({"name": name, "rows": len(part), "bytes": file.stat().st_size, "sha256": digest})
    return written


def _in_files(parts: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The rows of parts, as many at a time as a file gets; once at least, if none."""
    held: list[pl.DataFrame] = []
    for part in parts:
        if held and (sum(map(len, held)) + len(part) > ROWS or sum(each.estimated_size() for each in held) > BYTES):
            yield pl.concat(held)
            held = []
        held.append(part)
    if held:
        yield pl.concat(held)
