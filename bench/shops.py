"""Made-up orders of shops of any size, as Parquet files: the same ones every time, and never all in memory.

In a project's environment: `python bench/shops.py KIND CUSTOMERS ORDERS ITEMS FOLDER` prints the source that it wrote.
"""

import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

ROWS = 5_000_000  # of a file
TASTES = 50
TASTE = 0.6  # the share of the orders that come from a customer's taste; the others follow popularity
DAYS = 60
LEAST, MEDIAN, MOST = 20, 71, 5_000  # films that somebody rated

Codes: TypeAlias = NDArray[np.int64]
Shares: TypeAlias = NDArray[np.float64]


class Items:
    """What is ordered: by popularity, or by one of some tastes, each for a tenth of the items."""

    def __init__(self, random: np.random.Generator, popularity: Shares) -> None:
        self._random = random
        self._all = popularity.cumsum() / popularity.sum()
        size = max(min(10, len(popularity)), len(popularity) // 10)
        self._tastes = [random.choice(len(popularity), size, replace=False) for _ in range(TASTES)]
        self._within = [popularity[taste].cumsum() / popularity[taste].sum() for taste in self._tastes]

    def ordered(self, tastes: Codes) -> Codes:
        """An item for each order of customers of these tastes."""
        chance = self._random.random(len(tastes))
        items = np.searchsorted(self._all, chance).clip(max=len(self._all) - 1)
        theirs = self._random.random(len(tastes)) < TASTE
        for number, (taste, within) in enumerate(zip(self._tastes, self._within, strict=True)):
            chosen = np.flatnonzero(theirs & (tastes == number))
            items[chosen] = taste[np.searchsorted(within, chance[chosen]).clip(max=len(taste) - 1)]
        return items


def shop(customers: int, orders: int, items: int) -> Iterator[pl.DataFrame]:
    """Orders in the order of their times: some customers order often, and the items' popularity is Zipf's."""
    random = np.random.default_rng(1)
    counts = 1 + random.multinomial(orders - customers, _shares(random.exponential(size=customers)))
    customer = np.repeat(np.arange(customers, dtype=np.uint32), counts)
    random.shuffle(customer)
    tastes = random.integers(0, TASTES, customers, np.int8)
    catalogue = Items(random, random.permutation(1 / np.arange(1, items + 1)))
    names = _names("C", customers), _names("item ", items)
    for first in range(0, orders, ROWS):
        theirs = customer[first : first + ROWS]
        part = DAYS * len(theirs) / orders
        days = DAYS * first / orders + part * np.sort(random.random(len(theirs)))
        yield _frame(random, names, theirs, catalogue.ordered(tastes[theirs]), days)


def films(customers: int, orders: int, items: int) -> Iterator[pl.DataFrame]:
    """Ratings in the shape of MovieLens': customer after customer, each film once; few customers rate thousands."""
    random = np.random.default_rng(1)
    spread = np.sqrt(2 * np.log((orders / customers - LEAST) / (MEDIAN - LEAST)))
    counts = LEAST + random.lognormal(np.log(MEDIAN - LEAST), spread, customers).astype(np.int64)
    counts = np.minimum(counts, min(MOST, items // 2))
    tastes = random.integers(0, TASTES, customers, np.int8)
    catalogue = Items(random, random.lognormal(0, 2.5, items))
    names = _names("C", customers), _names("item ", items)
    size = max(1, int(ROWS * customers / orders))
    for first in range(0, customers, size):
        wanted = counts[first : first + size]
        found = np.empty(0, np.int64)  # customer * items + item
        for turn in range(20):
            lacking = wanted - np.bincount(found // items, minlength=len(wanted))
            if not lacking.any():
                break
            theirs = np.repeat(np.arange(len(wanted)), lacking)
            more = catalogue.ordered(tastes[first + theirs]) if turn < 6 else random.integers(0, items, len(theirs))
            found = np.sort(np.append(found, theirs * items + more), kind="stable")
            found = found[np.append(True, found[1:] != found[:-1])]  # faster than np.unique
        yield _frame(random, names, first + found // items, found % items, DAYS * random.random(len(found)))


KINDS = {"shop": shop, "films": films}


def write(frames: Iterator[pl.DataFrame], folder: Path) -> Path:
    """Write each frame into a file; the source that they are together."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        frame.write_parquet(folder / f"orders-{number:03d}.parquet")
    files = sorted(folder.iterdir())
    return files[0] if len(files) == 1 else folder / "*.parquet"


def _shares(weights: Shares) -> Shares:
    return weights / weights.sum()


def _names(begin: str, count: int) -> pl.Series:
    digits = pl.int_range(count, eager=True).cast(pl.String).str.zfill(len(str(count - 1)))
    return pl.select(pl.lit(begin) + digits).to_series()


def _frame(
    random: np.random.Generator, names: tuple[pl.Series, pl.Series], customers: Codes, items: Codes, days: Shares
) -> pl.DataFrame:
    """The columns of the example's orders; the days count from the first one."""
    start = datetime.combine(date.today() - timedelta(days=DAYS), time())
    return pl.DataFrame(
        {
            "customer": names[0].gather(customers),
            "item": names[1].gather(items),
            "ordered_at": pl.Series((days * 86_400e6).astype(np.int64)).cast(pl.Duration("us")) + start,
            "quantity": random.integers(1, 4, len(items)),
        }
    )


if __name__ == "__main__":
    kind, *sizes, folder = sys.argv[1:]
    print(write(KINDS[kind](*map(int, sizes)), Path(folder)))
