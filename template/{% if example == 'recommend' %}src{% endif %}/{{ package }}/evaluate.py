"""Yours: how good the model is, and what is good enough."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt

from .model import Codes, Model, joined, popular, recommend
from .ops.metrics import Metric
from .ops.settings import Section
from .ops.verdicts import Verdict, better_than_baselines


class GateSettings(Section):
    """The section `[gate]` of a stage's settings: what is good enough to publish."""

    holdout_days: int = Field(default=7, ge=1, le=3650)
    min_lift: NonNegativeFloat = 1.0  # the model's hit rate has to be above this many times the best baseline's
    min_hits: NonNegativeInt = 30  # a comparison that rests on fewer hits is chance
    unjudged: Literal["pass", "refuse"] = "refuse"  # what to do then


@dataclass(frozen=True)
class Backtest:
    """What came of recommending for days that are over, to the customers of a shard.

    Attributes:
        orders: how many held-out orders the rates are shares of.
        hit_rate: the share of the orders whose item was recommended.
        baselines: the hit rate of each simple method.
        mrr: the mean reciprocal rank of the items that were ordered, 0 where one was not recommended.
        recommended: the items that were recommended to anybody, each once.
    """

    orders: int
    hit_rate: float
    baselines: dict[str, float]
    mrr: float
    recommended: Codes


def backtest(model: Model, history: sp.csr_array, customers: Codes, items: Codes, top_k: int) -> Backtest | None:
    """See how many held-out orders are among what would have been recommended before.

    Args:
        model: learnt from the earlier orders of all customers.
        history: shape (customers, items); their earlier orders.
        customers: shape (orders,); of the held-out orders. Those of customers without a history do not count.
        items: shape (orders,).
        top_k: how many items are recommended.

    Returns:
        What came of it; None where no order counts.
    """
    judged = np.diff(history.indptr)[customers] > 0
    bought = items[judged]
    if not len(bought):
        return None
    buyers, row = np.unique(customers[judged], return_inverse=True)
    theirs = history[buyers]
    mine = _recommended(model, theirs, top_k)
    hit = mine[row] == bought[:, None]
    return Backtest(
        orders=len(bought),
        hit_rate=float(hit.any(axis=1).mean()),
        baselines=baselines(theirs, model.popularity, row, bought, top_k),
        mrr=float((hit / np.arange(1, mine.shape[1] + 1)).sum(axis=1).mean()),
        recommended=np.unique(mine),
    )


def baselines(
    history: sp.csr_array, popularity: NDArray[np.float64], row: NDArray[np.intp], bought: Codes, top_k: int
) -> dict[str, float]:
    """The hit rate of each simple method.

    Args:
        history: shape (customers, items); what they ordered before.
        popularity: shape (items,); each item's share of all orders before.
        row: shape (orders,); whose order it is, a row of `history`.
        bought: shape (orders,); the item of each order.
        top_k: how many items are recommended.
    """
    own = Model(sp.csr_array(sp.eye_array(history.shape[1], format="csr")), popularity)
    hits = {
        "popularity": np.isin(bought, popular(own, top_k)),
        "own frequency": (_recommended(own, history, top_k)[row] == bought[:, None]).any(axis=1),
    }
    return {name: float(each.mean()) for name, each in hits.items()}


def hits(recommended: pl.DataFrame, ordered: pl.DataFrame) -> pl.DataFrame:
    """Which orders are of an item that was recommended to their customer before.

    Args:
        recommended: `customer`, and a column for each place; null where there was no item for it.
        ordered: `customer` and `item` of each order.

    Returns:
        The orders of the customers to whom something was recommended, each with `hit`.
    """
    places = [pl.col(name) == pl.col("item") for name in recommended.columns if name != "customer"]
    found = ordered.select("customer", "item").join(recommended, on="customer", maintain_order="left")
    return found.select("customer", "item", hit=pl.any_horizontal(places).fill_null(False))


def judge(hit_rate: Metric | None, orders: int, settings: GateSettings) -> list[Verdict]:
    """Hold the result of a backtest against what the settings demand.

    Args:
        hit_rate: the model's, beside the baselines'; None where nothing could be measured.
        orders: how many held-out orders it was measured on.
        settings: what is demanded.
    """
    most = max([hit_rate.value, *hit_rate.baselines.values()]) * orders if hit_rate else 0
    enough = hit_rate is not None and round(most) >= settings.min_hits
    found = f"{most:,.0f} hits at best among {orders:,} held-out orders, gate.min_hits is {settings.min_hits:,}"
    if not enough:
        found += f": too few to compare, and gate.unjudged is {settings.unjudged}"
    verdicts = [Verdict("enough to judge by", enough or settings.unjudged == "pass", found)]
    if hit_rate and enough:
        verdicts.append(better_than_baselines(hit_rate, settings.min_lift))
    return verdicts


def _recommended(model: Model, history: sp.csr_array, top_k: int) -> Codes:
    return joined(recommend(model, history, top_k), history.shape[0]).items
