"""Yours: made-up records of subscriptions to a burger box, of any number of customers, the same ones every time."""

from datetime import date, datetime, time, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt

from .ops.settings import Section

PLANS = ("Solo", "Duo", "Family")
ORDERS = (4.0, 6.0, 9.0)  # a month, of each plan
PAYMENTS = ("card", "direct debit", "invoice")
MONTH = 30  # days between two records of a customer
DAY = 86_400  # seconds


class SampleSettings(Section):
    """How many customers to make up."""

    customers: NonNegativeInt = 2_000
    days: int = Field(default=720, ge=MONTH, le=3600)
    seed: NonNegativeInt = 1
    shift_on: date | None = None  # from that day on customers leave for another reason, to see what notices it


def make_up(settings: SampleSettings, day: date) -> pl.DataFrame:
    """The records of the days before `day`, one row a customer and month; one in 500 is spoilt, as real ones are."""
    even = pl.col("number") % 2 == 0
    return lives(settings, day).select(
        pl.when(pl.col("spoilt") & even).then(None).otherwise("customer").alias("customer"),
        "recorded_at",
        "status",
        "joined_on",
        "plan",
        "payment",
        pl.when(pl.col("spoilt") & ~even).then(-1).otherwise("orders").alias("orders"),
        "complaints",
        "rating",
    )


def lives(settings: SampleSettings, day: date) -> pl.DataFrame:
    """What happens to each customer, and the chance by which they leave before their next record.

    It depends on what the records show, in ways that a sum of single effects cannot hold: orders that fall to half of
    what they were; a complaint, but only in the first half year; the end of the first year, but not for those who pay
    by direct debit. A good rating and a long time as a customer help a little. So there is something to learn, and a
    ceiling: nobody can know more than `chance`.

    A customer's life does not depend on `day`. From a day to the next all rows stay what they were but those of the
    customers who joined on the first day: they begin anew on the last. With `shift_on`, what is recorded before that
    day is the same as without it; from then on, those leave who pay by direct debit, and hardly anybody else.

    Returns:
        The columns of `make_up`; the customer's `number`; whether the row is to be `spoilt`; `chance`, which is null
        where the customer has left.
    """
    random = np.random.default_rng(settings.seed)
    size = (settings.customers, settings.days // MONTH + 1)
    months = np.arange(size[1])
    plan = random.choice(len(PLANS), size[0], p=(0.4, 0.35, 0.25))
    payment = random.choice(len(PAYMENTS), size[0], p=(0.5, 0.3, 0.2))
    age = (random.integers(0, settings.days, size[0]) + day.toordinal()) % settings.days  # full days since they joined
    second = random.integers(0, DAY, size[0])  # of the day, at which they are recorded

    fades = months >= 2 + random.geometric(0.07, size[0])[:, None]  # who loses interest orders less
    usual = np.array(ORDERS)[plan] * random.uniform(0.8, 1.2, size[0])
    orders = random.poisson(np.where(fades, 0.3, 1.0) * usual[:, None])
    complaints = random.poisson(0.12, size)
    rating = np.clip(5 - 1.5 * complaints - random.integers(0, 3, size), 1, 5).astype(int)
    rated = random.random(size) < 0.4

    fell = np.zeros(size, bool)
    fell[:, 2:] = orders[:, 2:] <= (orders[:, :-2] + orders[:, 1:-1]) / 4
    upset = (complaints > 0) & (months < 6)
    ends = np.isin(months, (11, 12)) & (payment != 1)[:, None]
    mood = np.where(rated, 0.3 * (3 - rating), 0) - 0.04 * months
    chance = 1 / (1 + np.exp(4.5 - 3.4 * fell - 3.0 * upset - 3.2 * ends - mood))
    draws = random.random(size)
    usually = _last_month(draws < chance)
    if settings.shift_on:
        recorded = (
            (day - timedelta(days=1)).toordinal() - age[:, None] + (months + 1) * MONTH
        )  # the record that follows
        chance = np.where(recorded > settings.shift_on.toordinal(), np.where(payment == 1, 0.2, 0.01)[:, None], chance)
    last = _last_month(draws < chance)
    spoilt = random.random(size) < 0.002

    there = (months <= last[:, None]) & (months * MONTH <= age[:, None])
    number, month = np.nonzero(there)
    active = pl.DataFrame(
        {
            "number": number,
            "after": month * MONTH * DAY + second[number],
            "status": np.full(len(number), "active"),
            "orders": orders[there],
            "complaints": complaints[there],
            "rating": pl.Series(rating[there]).set(pl.Series(~rated[there]), None),
            "spoilt": spoilt[there],
            "chance": chance[there],
        }
    )
    earlier = np.random.default_rng((settings.seed, 0)).integers(1, DAY, size[0])  # seconds before the next record
    usual_leavers = np.flatnonzero(usually < size[1])
    earlier[usual_leavers] = random.integers(1, DAY, len(usual_leavers))
    gone = np.flatnonzero(last < size[1])
    after = (last[gone] + 1) * MONTH * DAY + second[gone] - earlier[gone]  # on the month's last day
    past = after < (age[gone] + 1) * DAY
    left = pl.DataFrame({"number": gone[past], "after": after[past]}).with_columns(
        status=pl.lit("left"), orders=0, complaints=0, spoilt=False
    )
    rows = pl.concat([active, left], how="diagonal_relaxed")
    number = rows["number"].to_numpy()
    start = pl.lit(datetime.combine(day - timedelta(days=1), time()))
    joined = start - pl.duration(days="age")
    return (
        rows.with_columns(age=age[number])
        .select(
            customer=pl.lit("C") + pl.col("number").cast(pl.String).str.zfill(7),
            recorded_at=joined + pl.duration(seconds="after"),
            status="status",
            joined_on=joined.dt.date(),
            plan=pl.Series(PLANS).gather(plan[number]),
            payment=pl.Series(PAYMENTS).gather(payment[number]),
            orders="orders",
            complaints="complaints",
            rating="rating",
            number="number",
            spoilt="spoilt",
            chance="chance",
        )
        .sort("recorded_at", "customer")
    )


def _last_month(leaves: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The month in which each customer leaves, of the chances that came true, shape (customers, months); or the end."""
    found: NDArray[np.intp] = np.where(leaves.any(axis=1), leaves.argmax(axis=1), leaves.shape[1])
    return found
