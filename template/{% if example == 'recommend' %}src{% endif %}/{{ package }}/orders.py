"""Yours: where orders come from, and what an order is."""

from datetime import date, datetime, time, timedelta

import pandera.polars as pa
import polars as pl
from pydantic import Field

from .ops.problems import Problem
from .ops.rejected import part
from .ops.sample import SampleSettings, make_up
from .ops.settings import Section
from .ops.tables import TableSettings, read_table
from .ops.values.columns import names, numbers
from .ops.values.dates import moments


class Columns(Section):
    """What the columns are called in the source; where `quantity` is empty, each row counts as one."""

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
    """An order; a row that does not fit is set aside with the reason given here, so checks are to be of rows."""
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
            "quantity": pa.Column(pl.Float64, pa.Check.gt(0, error="is not positive")),
        }
    )


def read(settings: OrderSettings, day: date) -> pl.DataFrame:
    """The orders as they come: customer, item, ordered_at and quantity, whatever their types.

    Raises:
        Problem: the source cannot be read, lacks a column, or is empty.
    """
    if settings.source == "sample":
        raw = make_up(settings.sample, day)
    else:
        raw = read_table(settings, {ours: theirs for ours, theirs in settings.columns.model_dump().items() if theirs})
    if raw.is_empty():
        raise Problem(f"{settings.source}: no rows")
    return raw


def check(raw: pl.DataFrame, settings: OrderSettings, today: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part orders from rows that are none.

    Args:
        raw: the rows as they were read.
        settings: how dates and numbers are written.
        today: the day by the clock; an order cannot be later.

    Returns:
        The orders that fit the schema, and the rows that do not, as read, with their `row` (from 1) and the `reason`.

    Raises:
        Problem: a column is of a type that cannot be read so, or the schema demands one that is not there.
    """
    quantity = numbers(raw["quantity"], settings) if "quantity" in raw.columns else pl.lit(1.0)
    typed = raw.select(
        customer=names(raw["customer"]),
        item=names(raw["item"]),
        ordered_at=moments(raw["ordered_at"], settings),
        quantity=quantity,
    )
    return part(raw, typed, schema(today))
