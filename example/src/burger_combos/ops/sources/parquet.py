"""A Parquet file."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from .files import File
from .headers import no_column


def read_parquet(file: File, wanted: Sequence[str]) -> pl.DataFrame:
    """The wanted columns alone; `user.id` is the field `id` of the column `user`, unless one is called so.

    Raises:
        Problem: it lacks a column.
        PolarsError: it is no such file, or is broken.
    """
    frame = pl.scan_parquet(file.content, glob=False)
    schema = frame.collect_schema()
    found = {name: _field(schema, name) for name in wanted}
    missing = [name for name, column in found.items() if column is None]
    if missing:
        raise no_column(file.name, missing, schema.names())
    return frame.select(column.alias(name) for name, column in found.items() if column is not None).collect()


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
