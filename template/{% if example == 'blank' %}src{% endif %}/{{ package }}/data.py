"""Yours: where the rows come from, and what a row is."""

import pandera.polars as pa
import polars as pl
from pydantic import Field

from .ops.settings import Section
from .ops.tables import TableSettings


class Columns(Section):
    """What the columns are called in the source."""

    id: str = "id"
    value: str = "value"


class DataSettings(TableSettings):
    """The section `[data]` of a stage's settings."""

    source: str = Field(
        default="sample", min_length=1, description="sample, FILE.csv, FILE.parquet, their URL, or table:NAME"
    )
    columns: Columns = Columns()


SCHEMA = pa.DataFrameSchema({"id": pa.Column(pl.Int64), "value": pa.Column(pl.Float64)})


def make_up() -> pl.DataFrame:
    """A hundred rows, the same ones every time, for `source = "sample"`."""
    return pl.DataFrame({"id": range(1, 101)}).with_columns(value=pl.col("id") * 37 % 100 / 10)
