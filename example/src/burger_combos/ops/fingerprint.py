"""What data a run has read, told from other data by a short hash.

The hash is of the values alone: the same on any machine and with any version of the libraries, however the file is
encoded. The order of rows and columns does not count, as a database promises none. The hash finds changes; it does not
stand up to a forger.
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .sources.batches import of_parquet
from .threads import in_threads

RAW = "raw.parquet"  # what the first step fetched
ROW = "row"  # in a part of that: the number of each row in the source, from 1
CHUNK = 2**16  # rows at a time
FEW = 1_000  # different texts: to hash each of them once is faster

Words = NDArray[np.uint64]


def fingerprint(*files: Path, spare: int = 0) -> dict[str, Any]:
    """The rows, columns and hash of a table: of a Parquet file, or of several that are its parts.

    Parts have the number of each row besides, in a column of its own that does not count.

    Args:
        files: the table.
        spare: how many processors are left to other work.

    Returns:
        `rows`, their number; `columns`, the type of each by its name; `hash`, 16 hexadecimal digits.
    """
    rows, sums = 0, np.zeros(2, np.uint64)
    columns: dict[str, str] = {}
    for file in files:
        query = pl.scan_parquet(file, glob=False)
        for frame in of_parquet(query.drop(ROW) if len(files) > 1 else query):
            columns = {name: str(dtype) for name, dtype in frame.schema.items()}
            rows, sums = rows + len(frame), sums + _sums(frame, spare)
    return {"rows": rows, "columns": columns, "hash": _hash(rows, sorted(columns), sums)}


class Fingerprint:
    """What `fingerprint` says of files, found out by a thread while other work goes on."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._found: Future[dict[str, Any]] | None = None

    def begin(self, spare: int = 1) -> Future[dict[str, Any]]:
        """Let the thread begin, if it has not; where the process ends before, it ends, too.

        Args:
            spare: how many processors are left to the work that goes on meanwhile.
        """
        if self._found is None:
            executor = ThreadPoolExecutor(1)
            self._found = executor.submit(fingerprint, *self._files, spare=spare)
            executor.shutdown(wait=False)
        return self._found

    def result(self) -> dict[str, Any]:
        """Wait for it, with all processors at work where it has not begun."""
        return self.begin(spare=0).result()


def hash_of(frame: pl.DataFrame) -> str:
    """The hash of a table: of the sum of its rows' hashes, so that a row counts as often as it is there."""
    return _hash(len(frame), sorted(frame.columns), _sums(frame))


def total(frame: pl.DataFrame) -> list[int]:
    """The number of rows, and what their hashes add up to; those of two tables add up, modulo 2**64, to both's."""
    return [len(frame), *_sums(frame).tolist()]


def _hash(rows: int, names: Sequence[str], sums: Words) -> str:
    content = json.dumps([rows, names, sums.tolist()])
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def _sums(frame: pl.DataFrame, spare: int = 0) -> Words:
    """What the hashes of the rows add up to; some processors may be left to other work."""
    chunks = (frame[start : start + CHUNK] for start in range(0, len(frame), CHUNK))
    return sum(in_threads(_sums_of_chunk, chunks, spare), np.zeros(2, np.uint64))


def _sums_of_chunk(chunk: pl.DataFrame) -> Words:
    rows = np.zeros(len(chunk), np.uint64)
    for name in sorted(chunk.columns):
        rows = _mixed(rows ^ _hashes(chunk[name]))
    return np.array([rows.sum(), _mixed(~rows).sum()], np.uint64)


def _hashes(column: pl.Series) -> Words:
    """A hash of each value; equal numbers of different width have the same."""
    column = column.to_physical() if column.dtype.is_temporal() else column
    if column.dtype.is_float():
        numbers = column.fill_null(0).cast(pl.Float64).to_numpy() + 0.0  # which makes one zero of both
        numbers[np.isnan(numbers)] = np.nan
        found = _mixed(numbers.view(np.uint64))
    elif column.dtype == pl.Boolean or (column.dtype.is_integer() and column.dtype not in (pl.Int128, pl.UInt128)):
        wide = pl.UInt64 if column.dtype == pl.UInt64 else pl.Int64
        found = _mixed(column.fill_null(0).cast(wide).to_numpy().view(np.uint64))
    else:
        found = hashes_of_texts(_as_text(column).fill_null(""))
    found[column.is_null().to_numpy()] = 1
    return found


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Binary:
        return column.bin.encode("hex")
    if column.dtype.is_nested() or column.dtype == pl.Object:
        return pl.Series([None if value is None else repr(value) for value in column.to_list()], dtype=pl.String)
    return column.cast(pl.String)


def hashes_of_texts(texts: pl.Series) -> Words:
    """A hash of each text."""
    if texts.head(4 * FEW).n_unique() < min(FEW, len(texts) / 4):  # as those of a category
        known = texts.unique()
        return _hashes_of_texts(known)[texts.cast(pl.Enum(known)).to_physical().to_numpy()]
    return _hashes_of_texts(texts)


def _hashes_of_texts(texts: pl.Series) -> Words:
    """For all texts of one length at once, eight bytes at a time."""
    lengths = texts.str.len_bytes().to_numpy()
    same = len(lengths) and (lengths == lengths[0]).all()
    order = np.arange(len(lengths)) if same else np.argsort(lengths, kind="stable")
    ordered = texts if same else texts.gather(order)
    content = np.frombuffer(ordered.str.join("").item().encode(), np.uint8)
    found = np.empty(len(texts), np.uint64)
    place = row = 0
    for length, count in zip(*np.unique(lengths, return_counts=True), strict=True):
        size = int(length) * int(count)
        padded = np.zeros((count, -(-int(length) // 8) * 8), np.uint8)
        padded[:, :length] = content[place : place + size].reshape(count, length)
        hashes = np.full(count, length, np.uint64)
        for words in padded.view("<u8").T:
            hashes = _mixed(hashes ^ words)
        found[order[row : row + count]] = hashes
        place, row = place + size, row + int(count)
    return _mixed(found)


def _mixed(values: Words) -> Words:
    """The last step of SplitMix64: each bit of a value changes half of the bits of what comes out."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
