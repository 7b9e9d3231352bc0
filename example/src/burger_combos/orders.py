"""Yours: what the columns of your orders are called, and what an order is."""

from datetime import date, datetime, time, timedelta

import pandera.polars as pa
import polars as pl
from pydantic import Field

from .ops.settings import Section
from .ops.tables import TableSettings
from .sample import SampleSettings


class Columns(Section):
    """What the columns are called in the source; `quantity` is empty where there is none, and each row is one order."""

    customer: str = "customer"
    item: str = "item"
    ordered_at: str = "ordered_at"
    quantity: str = "quantity"


class OrderSettings(TableSettings):
    """The section `[orders]` of a stage's settings."""

    source: str = Field(
        default="sample", min_length=1, description="sample, FILE.csv, FILE.parquet, their URL, or table:NAME"
    )
    columns: Columns = Columns()
    sample: SampleSettings = SampleSettings()


def schema(today: date) -> pa.DataFrameSchema:
    """An order; a row that does not fit is set aside with the reason given here, so checks are to be of rows.

    Args:
        today: the day by the clock; an order cannot be later.
    """
    earliest = datetime(1900, 1, 1)
    latest = datetime.combine(today + timedelta(days=1), time(14))  # the end of the day in any time zone
    return pa.DataFrameSchema(
        {
            "customer": pa.Column(pl.String),
            "item": pa.Column(pl.String),
            "ordered_at": pa.Column(
                pl.Datetime("us"),
                [pa.Check.ge(earliest, error="is before 1900"), pa.Check.lt(latest, error="is in the future")],
            ),
            "quantity": pa.Column(pl.Float64, pa.Check.gt(0, error="is not positive"), required=False),
        }
    )
