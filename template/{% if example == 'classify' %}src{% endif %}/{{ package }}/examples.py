"""Yours: what is known of a customer at a moment, and whether they left after it.

A moment is called a cut. Features are made of what was recorded before it, the label of what was recorded from it on.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

import polars as pl
from pydantic import PositiveInt

from .ops.settings import Section

CATEGORIES = ("plan", "payment")
NUMBERS = (
    "tenure_days",
    "days_since_record",
    "orders",
    "orders_before",
    "orders_change",
    "complaints",
    "complaints_before",
    "rating",
)
FEATURES = CATEGORIES + NUMBERS


class ExampleSettings(Section):
    """The section `[examples]` of a stage's settings."""

    horizon_days: PositiveInt = 30  # who leaves within so many days after a cut counts as one who left
    window_days: PositiveInt = 95  # what was recorded so many days before a cut counts as recent
    active_days: PositiveInt = 45  # who has no record for longer is no customer any more
    cuts: PositiveInt = 8  # how many cuts to learn from, a horizon apart


def last_cut(records: pl.DataFrame, day: date) -> date:
    """The first day of which nothing is known: the day itself, or the one after the newest record, if that is earlier.

    So old data is judged as of its end: nobody has left who only is not recorded any more.
    """
    newest: datetime = records["recorded_at"].max()  # type: ignore[assignment]
    return min(day, newest.date() + timedelta(days=1))


def past_cuts(cut: date, settings: ExampleSettings) -> list[date]:
    """The cuts to learn from, the newest first: the labels of each are known before the one that follows it begins."""
    return [cut - timedelta(days=settings.horizon_days * (back + 1)) for back in range(settings.cuts)]


def features(records: pl.DataFrame, cut: date, settings: ExampleSettings) -> pl.DataFrame:
    """What is known of each customer at the beginning of a day, of nothing but what was recorded before it.

    Args:
        records: customer, recorded_at, status, joined_on, plan, payment, orders, complaints and, if there is one,
            rating.
        cut: the day.
        settings: what counts as recent, and who as a customer.

    Returns:
        A row for each customer who has not left: `customer`, `cut`, `last_record` and FEATURES; null is unknown.
    """
    moment = datetime.combine(cut, time())
    known = records.filter(pl.col("recorded_at") < moment).with_columns(left=pl.col("status") == "left")
    if "rating" not in known.columns:
        known = known.with_columns(rating=pl.lit(None, pl.Float64))
    window = pl.col("recorded_at") >= moment - timedelta(days=settings.window_days)
    earlier = window & (pl.int_range(pl.len()) < pl.len() - 1)
    return (
        known.sort("customer", "recorded_at", "left")
        .group_by("customer", maintain_order=True)
        .agg(
            pl.col("recorded_at", "left", "joined_on", "plan", "payment", "orders", "complaints").last(),
            orders_before=pl.col("orders").filter(earlier).mean(),
            complaints_before=pl.col("complaints").filter(earlier).sum(),
            rating=pl.col("rating").drop_nulls().last(),
        )
        .filter(~pl.col("left") & (pl.col("recorded_at") >= moment - timedelta(days=settings.active_days)))
        .select(
            "customer",
            pl.lit(cut).alias("cut"),
            pl.col("recorded_at").alias("last_record"),
            *CATEGORIES,
            (pl.lit(cut) - pl.col("joined_on")).dt.total_days().clip(0).alias("tenure_days"),
            (pl.lit(moment) - pl.col("recorded_at")).dt.total_days().alias("days_since_record"),
            "orders",
            "orders_before",
            ((pl.col("orders") + 1) / (pl.col("orders_before") + 1)).alias("orders_change"),
            "complaints",
            "complaints_before",
            "rating",
        )
    )


def left_within(records: pl.DataFrame, cut: date, days: int) -> pl.Series:
    """The customers who left on the day of the cut or on one of those that follow it, `days` in all."""
    start = datetime.combine(cut, time())
    within = pl.col("recorded_at").is_between(start, start + timedelta(days=days), closed="left")
    return records.filter(within & (pl.col("status") == "left"))["customer"].unique()


def labelled(records: pl.DataFrame, cuts: Sequence[date], settings: ExampleSettings) -> pl.DataFrame:
    """What was known at each cut; `left`, whether the customer left within the horizon; and `until`, its last day."""
    days = settings.horizon_days
    return pl.concat(
        features(records, cut, settings).with_columns(
            pl.col("customer").is_in(left_within(records, cut, days).implode()).alias("left"),
            pl.lit(cut + timedelta(days=days - 1)).alias("until"),
        )
        for cut in cuts
    )
