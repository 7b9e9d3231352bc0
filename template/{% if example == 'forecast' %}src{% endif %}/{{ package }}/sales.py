"""Yours: where sales come from, what a sale is, and what becomes of the days without one."""

from datetime import date, timedelta

import numpy as np
import pandera.polars as pa
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt

from .ops.problems import Problem
from .ops.settings import Section
from .ops.tables import TableSettings
from .sample import SampleSettings

SERIES = ["store", "product"]  # what one series is: a column each
ONE_STORE = "all"  # where the source names no store


class Columns(Section):
    """What the columns are called in the source.

    Where `store` is empty, all is sold in one store; where `quantity` is empty, each row is one piece.
    """

    store: str = "store"
    product: str = Field(default="product", min_length=1)
    sold_on: str = Field(default="sold_on", min_length=1)
    quantity: str = "quantity"


class SalesSettings(TableSettings):
    """The section `[sales]` of a stage's settings."""

    source: str = Field(
        default="sample", min_length=1, description="sample, FILE.csv, FILE.parquet, their URL, or table:NAME"
    )
    time_column: str = Field(default="sold_on", min_length=1)  # rows of the run's day, or later, are left out
    columns: Columns = Columns()
    sample: SampleSettings = SampleSettings()
    max_age_days: NonNegativeInt = 14  # days between the newest sale and the day of the run; more stop it


def schema(today: date) -> pa.DataFrameSchema:
    """A sale; a row that does not fit is rejected with the reason given here, so checks are to be of rows.

    A quantity of nothing says that the product was there and nobody bought it. One below nothing is what was brought
    back, and brings back nobody's wish to buy on the day of the sale.
    """
    return pa.DataFrameSchema(
        {
            "store": pa.Column(pl.String, required=False),
            "product": pa.Column(pl.String),
            "sold_on": pa.Column(
                pl.Date,
                [
                    pa.Check.ge(date(1900, 1, 1), error="is before 1900"),
                    pa.Check.le(today + timedelta(days=1), error="is in the future"),  # it is tomorrow somewhere
                ],
            ),
            "quantity": pa.Column(pl.Float64, pa.Check.ge(0, error="is negative"), required=False),
        }
    )


def by_day(rows: pl.DataFrame, day: date, settings: SalesSettings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What was sold of each product in each store on each day before `day`: several rows of a day add up.

    Args:
        rows: rows that fit the schema.
        day: the first that is to be forecast.
        settings: how old the newest sale may be.

    Returns:
        The series, sorted: series (its number), store and product. And what they sold, sorted: series, sold_on and
        quantity, with no row for a day on which a series has none.

    Raises:
        Problem: there is no sale before that day, or the newest is too old to forecast from.
    """
    absent = {"store": pl.lit(ONE_STORE), "quantity": pl.lit(1.0)}
    known = rows.lazy().with_columns(value.alias(name) for name, value in absent.items() if name not in rows.columns)
    known = known.filter(pl.col("sold_on") < day)
    newest = known.select(pl.max("sold_on")).collect().item()
    if newest is None:
        raise Problem(f"{settings.source}: no sale before {day}")
    if day - newest > timedelta(days=settings.max_age_days + 1):
        after = newest + timedelta(days=1)
        raise Problem(
            f"{settings.source}: the newest sale before {day} is of {newest}, and sales.max_age_days is "
            f"{settings.max_age_days}: forecast from --date {after}, or bring newer sales"
        )
    series = known.select(SERIES).unique().sort(SERIES).with_row_index("series").collect()
    numbered = known.join(series.lazy(), on=SERIES).group_by("series", "sold_on").agg(pl.sum("quantity"))
    return series, numbered.sort("series", "sold_on").collect()


def history(daily: pl.DataFrame, series: int, last: date) -> NDArray[np.float32]:
    """What each series sold on each day.

    A series begins with its first row and goes on to the last day of all: a day without a row in between is one on
    which nothing was sold. So is a day on which the shop is closed, and if it is so each week, the model learns it.

    Args:
        daily: the number of a series, sold_on and quantity.
        series: how many there are.
        last: the last day.

    Returns:
        Shape (series, days), from the first day of `daily` to the last; NaN before a series begins.
    """
    if daily.is_empty():
        return np.empty((series, 0), np.float32)
    first = daily.select(pl.min("sold_on")).item()
    rows, days = daily["series"].to_numpy(), (daily["sold_on"] - first).dt.total_days().to_numpy()
    sold = np.zeros((series, (last - first).days + 1), np.float32)
    sold[rows, days] = daily["quantity"].to_numpy()
    begins = np.full(series, sold.shape[1])
    np.minimum.at(begins, rows, days)
    sold[np.arange(sold.shape[1]) < begins[:, None]] = np.nan
    return sold
