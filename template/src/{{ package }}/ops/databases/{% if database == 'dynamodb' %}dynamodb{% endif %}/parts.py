"""A day's rows as a whole: small Parquet files in the table of records, for whoever reads all rows of a day.

DynamoDB gives a row by its key; to find all rows of a day there it would have to read the rows of all days. A part of
some ten thousand rows is one item, so that all of them cost a few hundredths of what the rows themselves cost.
"""

import io
from collections.abc import Iterator

import polars as pl

from .client import EXPIRES, Client, Item

_MOST = 380 * 1024  # bytes of a part; an item has 400 KB at most
ROWS = 20_000  # of a part, or fewer where they are large


def name_of(stage: str, table: str, version: str, number: int) -> tuple[str, str]:
    """The key of a part."""
    return f"part#{stage}#{table}#{version}#{number}", "part"


def split(rows: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, bytes]]:
    """Rows in pieces that one item each can hold, and the pieces as Parquet."""
    for start in range(0, len(rows), ROWS):
        yield from _halved(rows[start : start + ROWS])


def _halved(rows: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, bytes]]:
    file = io.BytesIO()
    rows.write_parquet(file, compression="zstd", statistics=False)
    if file.tell() <= _MOST or len(rows) == 1:
        yield rows, file.getvalue()
        return
    yield from _halved(rows[: len(rows) // 2])
    yield from _halved(rows[len(rows) // 2 :])


def put(client: Client, key: tuple[str, str], packed: bytes, expires: int) -> None:
    """Write a part.

    Args:
        client: the tables.
        key: its key.
        packed: the Parquet file.
        expires: when DynamoDB may remove it, in seconds since 1970; 0 for never.
    """
    item: Item = {"what": {"S": key[0]}, "which": {"S": key[1]}, "rows": {"B": packed}}
    client.put(client.place.records, item | ({EXPIRES: {"N": str(expires)}} if expires else {}))


def read(client: Client, key: tuple[str, str]) -> pl.DataFrame | None:
    """The rows of a part; None where there is none."""
    item = client.get(client.place.records, *key)
    return None if item is None else pl.read_parquet(io.BytesIO(item["rows"]["B"]))
