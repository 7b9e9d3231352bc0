"""Yours: made-up orders of a shop that sells burgers online: any number of customers, the same ones every time."""

from datetime import date, datetime, time, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt

from .ops.settings import Section

BURGERS = ("Classic", "Cheese", "Bacon", "Chicken", "Veggie", "Smoky BBQ", "Jalapeño", "Mushroom", "Fish", "Double")
SIDES = ("fries", "onion rings", "salad", "nuggets", "coleslaw", "sweet potato", "cola", "lemonade", "shake", "beer")
TASTES = 8
DAY = 86_400  # seconds


class SampleSettings(Section):
    """How many orders to make up."""

    customers: NonNegativeInt = 2_000
    orders_per_customer: float = Field(default=5, ge=1, le=60)
    days: int = Field(default=60, ge=1, le=3650)
    seed: NonNegativeInt = 1
    shift_on: date | None = None  # from that day on customers have other tastes, to see what notices it


def make_up(settings: SampleSettings, day: date) -> pl.DataFrame:
    """Orders of the days before `day`, one row an order, with one row in 500 spoilt as real ones are.

    Each customer has one of eight tastes, a taste being a distribution over the 100 combos; a customer's number of
    orders is geometric. So there is something to learn, and a ceiling to what can be learnt. From a day to the next
    all orders stay what they were but those of the first day, which are made again as those of the last. With
    `shift_on`, the orders before that day are the same as without it; on that day and later ones each taste is another
    distribution.
    """
    random = np.random.default_rng(settings.seed)
    combos = np.array([f"{burger} & {side}" for burger in BURGERS for side in SIDES])
    popularity = random.dirichlet(np.full(len(combos), 1.0))
    tastes = 0.85 * random.dirichlet(np.full(len(combos), 0.08), TASTES) + 0.15 * popularity

    counts = np.minimum(random.geometric(1 / settings.orders_per_customer, settings.customers), 60)
    customer = np.repeat(np.arange(settings.customers), counts)
    taste = random.integers(0, TASTES, settings.customers)[customer]
    item = _chosen(taste, tastes, random)
    period = settings.days * DAY
    moments = (random.integers(0, period, len(customer)) - day.toordinal() * DAY) % period
    if settings.shift_on:
        after = np.random.default_rng((settings.seed, 1))
        others = 0.85 * after.dirichlet(np.full(len(combos), 0.08), TASTES) + 0.15 * popularity
        shifted = moments // DAY >= (settings.shift_on - day).days + settings.days
        item = np.where(shifted, _chosen(taste, others, after), item)
    spoilt = random.random(len(customer)) < 0.002

    start = datetime.combine(day - timedelta(days=settings.days), time())
    frame = pl.DataFrame({"customer": customer, "item": item, "seconds": moments, "spoilt": spoilt}).sort("seconds")
    digits = pl.col("customer").cast(pl.String).str.zfill(7)
    return frame.select(
        customer=pl.when(pl.col("spoilt") & (pl.col("seconds") % 2 == 0)).then(None).otherwise(pl.lit("C") + digits),
        item=pl.Series(combos).gather(frame["item"]),
        ordered_at=pl.lit(start) + pl.duration(seconds="seconds"),
        quantity=pl.when(pl.col("spoilt") & (pl.col("seconds") % 2 == 1)).then(0).otherwise(1),
    )


def _chosen(taste: NDArray[np.int64], tastes: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """A combo for each order, whose customer has a taste, shape (orders,); `tastes` has the chances of each combo."""
    item = np.empty(len(taste), np.int64)
    for number, chances in enumerate(tastes):
        chosen = taste == number
        item[chosen] = np.searchsorted(chances.cumsum(), random.random(chosen.sum())).clip(max=len(chances) - 1)
    return item
