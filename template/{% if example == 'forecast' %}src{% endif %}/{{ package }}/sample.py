"""Yours: made-up sales, for as long as there are none of your own; the same ones every time."""

from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt

from .ops.settings import Section

WEEK = np.array(  # how much each weekday sells, from Monday: near offices, in a quarter with homes, in a resort
    [[1.2, 1.15, 1.15, 1.2, 1.3, 0.6, 0.4], [0.8, 0.8, 0.9, 0.95, 1.2, 1.45, 0.9], [0.7, 0.7, 0.7, 0.8, 1.2, 1.5, 1.4]]
)
SPOILT = 0.002  # of the rows


class SampleSettings(Section):
    """How many sales to make up."""

    stores: NonNegativeInt = Field(default=12, le=9_999)
    products: NonNegativeInt = Field(default=25, le=999_999)
    days: int = Field(default=365, ge=1, le=3650)
    seed: NonNegativeInt = 1
    shift_on: date | None = None  # from that day on other products sell well, to see what notices it


def make_up(settings: SampleSettings, day: date) -> pl.DataFrame:
    """The sales of each product in each store on the days before `day`, with one row in 500 spoilt as real ones are.

    Each series has a level (a quarter of them sell less than one piece a day), the weekdays of its store, and a slow
    wave, which is a trend for as long as one looks. A day is good or bad for the whole store; the rest is chance. Some
    series are sold for 200 days and then not for 400. A busy day of a series has two rows, one from each till; a day
    without a sale has none. Each day has random numbers of its own: the next day's sample has the same rows and one
    day more, less the oldest. With `shift_on`, the days before that are the same as without it; from then on, each
    series sells a third of what it did, or three times as much.
    """
    random = np.random.default_rng(settings.seed)
    shape = settings.stores, settings.products
    kinds = random.integers(0, len(WEEK), settings.stores)
    level = np.exp(random.normal(2.2, 0.8, settings.products) + random.normal(0, 0.4, settings.stores)[:, None])
    level = np.where(random.random(shape) < 0.25, random.uniform(0.1, 0.6, shape), level)
    height, length, phase = random.uniform(0, 0.4, shape), random.uniform(500, 1500, shape), random.random(shape)
    shifted = level * 3.0 ** np.random.default_rng((settings.seed, 0)).choice((-1, 1), shape)
    passing, begins = random.random(shape) < 0.05, random.integers(0, 600, shape)

    frames = []
    for number in range(day.toordinal() - settings.days, day.toordinal()):
        today = np.random.default_rng((settings.seed, number))
        levels = shifted if settings.shift_on and number >= settings.shift_on.toordinal() else level
        expected = levels * WEEK[kinds, (number - 1) % 7, None] * today.lognormal(0, 0.1, settings.stores)[:, None]
        expected *= 1 + height * np.sin(2 * np.pi * (number / length + phase))
        expected[passing & ((number - begins) % 600 >= 200)] = 0
        sold = today.poisson(expected * today.gamma(12, 1 / 12, shape))
        second = np.where(sold > 20, sold // 3, 0)
        frames.append(_rows(number, np.stack([sold - second, second]), today))
    empty = _rows(1, np.zeros((2, *shape), np.int64), random)
    return pl.concat([empty, *frames])


def _rows(number: int, sold: NDArray[np.int64], random: np.random.Generator) -> pl.DataFrame:
    """The rows of a day, from what each till, store and product sold."""
    _, store, product = sold.nonzero()
    spoilt = random.random(len(store)) < SPOILT
    nameless = random.random(len(store)) < 0.5
    frame = pl.DataFrame(
        {"store": store + 1, "product": product + 1, "quantity": sold[sold > 0], "how": spoilt * (1 + nameless)},
        {"store": pl.Int64, "product": pl.Int64, "quantity": pl.Int64, "how": pl.Int64},
    )
    return frame.select(
        store=pl.format("S{}", pl.col("store").cast(pl.String).str.zfill(2)),
        product=pl.when(pl.col("how") < 2).then(pl.format("P{}", pl.col("product").cast(pl.String).str.zfill(3))),
        sold_on=pl.lit(date.min + timedelta(days=number - 1)),
        quantity=pl.when(pl.col("how") == 1).then(-1).otherwise("quantity"),
    )
