"""A Parquet file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from . import batches
from .files import File
from .headers import no_column


def read_parquet(file: File, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The wanted columns alone, some rows at a time.

    `user.id` is the field `id` of the column `user`, unless one is called so.

    Raises:
        Problem: it lacks a column.
        PolarsError: it is no such file, or is broken.
    """
    query = pl.scan_parquet(file.path, glob=False)
    schema = query.collect_schema()
    found = {name: _field(schema, name) for name in wanted}
    missing = [name for name, column in found.items() if column is None]
    if missing:
        raise no_column(file.name, missing, schema.names())
    columns = [column.alias(name) for name, column in found.items() if column is not None]
    yield from batches.of_parquet(query.select(columns))


def _field(fields: Mapping[str, Any], name: str, column: Callable[[str], pl.Expr] = pl.col) -> pl.Expr | None:
    if name in fields:
        return column(name)
    parts = name.split(".")
    for size in range(1, len(parts)):
        outer, inner = ".".join(parts[:size]), ".".join(parts[size:])
        kind = fields.get(outer)
        if isinstance(kind, pl.Struct):
            return _field(kind.to_schema(), inner, column(outer).struct.field)
    return None
