"""A table in parts by a key, none of which knows the others: dealt batch by batch, and decided on over all rows."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import polars as pl
from pydantic import TypeAdapter

from .changed_values import note_changed
from .fingerprint import RAW, ROW
from .problems import Problem
from .raw import KNOWN
from .runs import Run
from .shards import Shard
from .sources.rows import joined
from .tables import TableSettings
from .values.columns import Forms
from .values.dates import Times
from .values.keys import alike
from .values.text import Cleaning, Wholes, digits_among, long_ones, plain
from .values.value_settings import full_name

BATCH = 2**20  # rows that are dealt at once
CANDIDATES = 2**21  # numbers with a fraction of zeros, of which so many are looked for at once


@dataclass
class Column:
    """What only all rows tell of a column."""

    forms: Forms = field(default_factory=Forms)
    times: Times = field(default_factory=Times)


@dataclass
class Known:
    """What only all rows of a table tell."""

    by: str  # the column whose equal values are in one part
    columns: dict[str, Column]

    @classmethod
    def of(cls, run: Run) -> Self:
        """What `deal` found in this run."""
        return TypeAdapter(cls).validate_json(run.path(KNOWN).read_bytes())

    def save(self, run: Run) -> None:
        """Keep it beside the parts."""
        run.path(KNOWN).write_bytes(TypeAdapter(Known).dump_json(self, indent=1) + b"\n")


def deal(
    run: Run, settings: TableSettings, batches: Callable[[Path], Iterator[pl.DataFrame]], by: str, *, clean: bool
) -> int:
    """Deal a table's rows to the parts of all shards, those with equal values in one column to one part.

    Args:
        run: the run, whose `raw.parquet` is written in parts, each with the number of its rows in `row`.
        settings: how the table is written.
        batches: gives its rows, some at a time, under our names; they may differ in their types. It takes a folder for
            files that are needed meanwhile.
        by: the column.
        clean: whether text has to be brought into one form, as `values.text.cleaned` does.

    Returns:
        How many rows there are.

    Raises:
        Problem: there is no such column, or one is called `row`.
    """
    with _folder(run) as folder:
        spool = _Spool(folder, settings, by, run.shards, clean=clean)
        for batch in batches(folder):
            spool.add(batch)
        if not spool.rows:
            return 0
        spool.settle()
        for shard in run.shards:
            spool.part(shard).write_parquet(run.path(RAW, shard), compression="lz4", statistics=False)
        spool.note()
        spool.known.save(run)
        return spool.rows


@contextmanager
def _folder(run: Run) -> Iterator[Path]:
    """A folder that machines do not share, and that is gone in the end."""
    folder = run.folder / f"{RAW}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Spool:
    """Rows on their way to their parts: in files, as what they mean is known only when the last one is read."""

    def __init__(self, folder: Path, settings: TableSettings, by: str, shards: Sequence[Shard], *, clean: bool) -> None:
        self.rows = 0
        self.known = Known(by, {})
        self._folder, self._settings, self._by, self._shards, self._clean = folder, settings, by, shards, clean
        self._pending: list[pl.DataFrame] = []
        self._files: list[list[tuple[Path, pl.Schema]]] = [[] for _ in shards]
        self._kinds: dict[str, list[pl.DataType]] = {}
        self._types: dict[str, pl.DataType] = {}
        self._cleaning: dict[str, Cleaning] = {}
        self._wholes: dict[str, Wholes] = {}
        self._shortened: dict[str, int] = {}

    def add(self, batch: pl.DataFrame) -> None:
        """Take further rows."""
        if not self._kinds:
            self._begin(batch.columns)
        columns = [self._seen(column) for column in batch]
        numbers = pl.int_range(self.rows + 1, self.rows + len(batch) + 1, dtype=pl.Int64, eager=True).alias(ROW)
        self.rows += len(batch)
        frame = pl.DataFrame([*columns, numbers])
        if self._pending and self._pending[-1].schema != frame.schema:
            self._flush()
        self._pending.append(frame)
        if sum(map(len, self._pending)) >= BATCH:
            self._flush()

    def settle(self) -> None:
        """Decide, after the last row, what only all of them tell."""
        self._flush()
        for name, kinds in self._kinds.items():
            common = joined([pl.Series(dtype=kind) for kind in kinds]).dtype
            self._types[name] = pl.String() if common == pl.Null else common
            if self._types[name] != pl.String or not self._clean:
                continue
            wholes = self._wholes[name]
            for file, kind in self._with(name):
                if kind not in (pl.String, pl.Null):
                    wholes.look(self._text(file, name))
            if wholes.long and wholes.others:
                wholes.there = self._there(name, -(-wholes.long // CANDIDATES))

    def part(self, shard: Shard) -> pl.DataFrame:
        """A shard's rows, in their order; they are then on their way no longer."""
        files = self._files[shard.number]
        frames = [self._settled(pl.read_ipc(file)) for file, _ in files]
        part = pl.concat(frames) if frames else pl.DataFrame(schema={**self._types, ROW: pl.Int64})
        for file, _ in files:
            file.unlink()
        for name, column in self.known.columns.items():
            if not part[name].dtype.is_float():
                column.forms.look(part[name])
            column.times.look_at_order(part[name], self._settings, part[ROW])
        return part

    def note(self) -> None:
        """Say what was changed in all parts."""
        for name in self._kinds if self._clean else ():
            if self._types[name] == pl.String:
                self._cleaning[name].note(name, full_name(self._settings, "null_values"))
                note_changed(name, "fraction of zeros", self._shortened[name])

    def _begin(self, columns: Sequence[str]) -> None:
        if ROW in columns:
            raise Problem(
                f"{full_name(self._settings, 'columns')}.{ROW}: a table in parts has a column {ROW!r} of its own, the "
                "number of each row: call this one otherwise"
            )
        if self._by not in columns:
            there = ", ".join(columns)
            raise Problem(f"{self._settings.source}: no column {self._by!r} to part the rows by, only {there}")
        for name in columns:
            self._kinds[name] = []
            self.known.columns[name] = Column()
            self._cleaning[name], self._wholes[name], self._shortened[name] = Cleaning(), Wholes(), 0

    def _seen(self, column: pl.Series) -> pl.Series:
        """Some values of a column, cleaned as far as each of them says how, and taken into account."""
        name = column.name
        if self._clean:
            column = plain(column, self._settings.null_values, self._cleaning[name])
            if column.dtype == pl.String:
                self._wholes[name].look(column)
        if column.dtype.is_float():
            self.known.columns[name].forms.look(column)
            self.known.columns[name].times.look(column)
        if column.dtype not in self._kinds[name]:
            self._kinds[name].append(column.dtype)
        return column

    def _flush(self) -> None:
        if not self._pending:
            return
        frame = pl.concat(self._pending)
        self._pending = []
        key = frame[self._by]
        place = alike(key, self._settings).hash().zip_with(key.is_not_null(), frame[ROW].hash()) % len(self._shards)
        dealt = frame.with_columns(place.alias("")).partition_by("", include_key=False, as_dict=True)
        for (number,), rows in dealt.items():
            files = self._files[int(number)]
            file = self._folder / f"{number}-{len(files)}.arrow"
            rows.write_ipc(file)
            files.append((file, rows.schema))

    def _with(self, name: str) -> Iterator[tuple[Path, pl.DataType]]:
        """Each file, and the type that a column has there."""
        return ((file, schema[name]) for files in self._files for file, schema in files)

    def _text(self, file: Path, name: str) -> pl.Series:
        """A column of a file as text, but for fractions of zeros."""
        return self._as_text(pl.read_ipc(file, columns=[name])[name], Cleaning())

    def _as_text(self, column: pl.Series, cleaning: Cleaning) -> pl.Series:
        if column.dtype == pl.String:
            return column
        text = joined([column, pl.Series(dtype=pl.String)]).alias(column.name)
        return plain(text, self._settings.null_values, cleaning)

    def _there(self, name: str, slices: int) -> pl.Series:
        """The whole numbers that are there both with a fraction of zeros and without; in slices that memory holds."""
        found = [pl.Series(name, [], pl.String)]
        for number in range(slices):
            long = [long_ones(self._text(file, name)) for file, _ in self._with(name)]
            mine = pl.concat([each.filter(each.hash() % slices == number) for each in long]).unique()
            found += [digits_among(self._text(file, name), mine) for file, _ in self._with(name)]
        return pl.concat(found).unique()

    def _settled(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows in the types and forms that all rows have."""
        columns = []
        for column in frame:
            name, kind = column.name, self._types.get(column.name, column.dtype)
            if kind == pl.String and self._clean:
                text = self._as_text(column, self._cleaning[name])
                column = self._wholes[name].shortened(text)
                self._shortened[name] += int((column != text).sum())
            columns.append(column.cast(kind))
        return pl.DataFrame(columns)
