"""How many rows are held at a time, and how a query of polars gives them."""

import os
from collections.abc import Iterator

import polars as pl

ROWS = 1 << 20  # of a batch
_READ_AHEAD = str(1 << 20)  # bytes of a text at a time, of which polars holds many; its own 16 times that is no faster
_ALL_COLUMNS = pl.QueryOptFlags(projection_pushdown=False)


def rows_of_values() -> int:
    """How many rows are held where each value is an object of Python's, which takes several times the memory."""
    return max(1, ROWS // 8)


def of_text(query: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The rows of a scan of text; at least one batch, which says what columns there are.

    All columns are read, also those that are not selected: without them, polars does not notice that a row has too
    many values.
    """
    os.environ.setdefault("POLARS_CSV_CHUNK_SIZE", _READ_AHEAD)
    batch = None
    for batch in query.collect_batches(chunk_size=ROWS, maintain_order=True, lazy=True, optimizations=_ALL_COLUMNS):
        yield batch
    if batch is None:
        yield query.collect_schema().to_frame()


def of_parquet(query: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The rows of a scan of Parquet; at least one batch. Slices hold one or two row groups, and batches many."""
    rows = query.select(pl.len()).collect().item()
    for begin in range(0, max(1, rows), ROWS):
        yield query.slice(begin, ROWS).collect()
