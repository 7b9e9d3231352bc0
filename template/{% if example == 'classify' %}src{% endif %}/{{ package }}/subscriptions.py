"""Yours: where the records of subscriptions come from, and what a record is."""

from datetime import date, datetime, time, timedelta

import pandera.polars as pa
import polars as pl
from pydantic import Field

from .ops.settings import Section
from .ops.tables import TableSettings
from .sample import SampleSettings

ANY_ZONE = timedelta(hours=14)  # by which a day may end later, or begin earlier, than in UTC
EARLY, LATE = "is before 1900", "is in the future"


class Columns(Section):
    """What the columns are called in the source; `rating` may be empty, where there is none."""

    customer: str = "customer"
    recorded_at: str = "recorded_at"
    status: str = "status"
    joined_on: str = "joined_on"
    plan: str = "plan"
    payment: str = "payment"
    orders: str = "orders"
    complaints: str = "complaints"
    rating: str = "rating"


class SubscriptionSettings(TableSettings):
    """The section `[subscriptions]` of a stage's settings."""

    source: str = Field(
        default="sample", min_length=1, description="sample, FILE.csv, FILE.parquet, their URL, or table:NAME"
    )
    time_column: str = Field(default="recorded_at", min_length=1)  # rows of the run's day, or later, are left out
    columns: Columns = Columns()
    sample: SampleSettings = SampleSettings()


def schema(today: date) -> pa.DataFrameSchema:
    """A record: what one customer did since the one before it, and whether they are still a customer.

    A row that does not fit is set aside with the reason given here, so checks are to be of rows.
    """
    latest = datetime.combine(today + timedelta(days=1), time()) + ANY_ZONE
    in_time = [pa.Check.ge(datetime(1900, 1, 1), error=EARLY), pa.Check.lt(latest, error=LATE)]
    on_time = [pa.Check.ge(date(1900, 1, 1), error=EARLY), pa.Check.lt(latest.date(), error=LATE)]
    return pa.DataFrameSchema(
        {
            "customer": pa.Column(pl.String),
            "recorded_at": pa.Column(pl.Datetime("us"), in_time),
            "status": pa.Column(pl.String, pa.Check.isin(["active", "left"], error="is neither active nor left")),
            "joined_on": pa.Column(pl.Date, on_time),
            "plan": pa.Column(pl.String, nullable=True),
            "payment": pa.Column(pl.String, nullable=True),
            "orders": pa.Column(pl.Float64, pa.Check.ge(0, error="is negative")),
            "complaints": pa.Column(pl.Float64, pa.Check.ge(0, error="is negative")),
            "rating": pa.Column(pl.Float64, nullable=True, required=False),
        },
        checks=pa.Check(_joined_first, error="has a joined_on after its recorded_at"),
    )


def _joined_first(data: pa.PolarsData) -> pl.LazyFrame:
    return data.lazyframe.select(pl.col("joined_on") <= (pl.col("recorded_at") + ANY_ZONE).dt.date())
