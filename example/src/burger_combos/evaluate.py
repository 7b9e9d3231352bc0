"""Yours: how good the model is, and what is good enough."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt

from .model import Codes, Model, fit, histories, recommend
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
    """What came of recommending for days that are over.

    Attributes:
        orders: how many held-out orders the rates are shares of.
        hit_rate: the share of the orders whose item was recommended.
        baselines: the hit rate of each simple method.
        mrr: the mean reciprocal rank of the items that were ordered, 0 where one was not recommended.
        coverage: the share of all items that is recommended to anybody.
    """

    orders: int
    hit_rate: float
    baselines: dict[str, float]
    mrr: float
    coverage: float


def backtest(
    customers: Codes, items: Codes, held_out: NDArray[np.bool_], shape: tuple[int, int], top_k: int
) -> Backtest | None:
    """Fit on the earlier orders and see how many of the held-out ones are among what would have been recommended.

    Args:
        customers: shape (orders,).
        items: shape (orders,).
        held_out: shape (orders,); what the model does not see. Orders of customers without a history do not count.
        shape: the numbers of customers and items.
        top_k: how many items are recommended.

    Returns:
        What came of it; None where no order counts.
    """
    history = histories(customers[~held_out], items[~held_out], shape)
    known = np.diff(history.indptr) > 0
    judged = held_out & known[customers]
    buyers, row = np.unique(customers[judged], return_inverse=True)
    bought = items[judged]
    if not len(bought):
        return None

    def recommended(contender: Model) -> Codes:
        return np.concatenate([best.items for best in recommend(contender, history[buyers], top_k)])

    def hits(found: Codes) -> NDArray[np.bool_]:
        return found[row] == bought[:, None]

    model = fit(history)
    baselines = {
        "popularity": Model(np.zeros_like(model.affinity), model.popularity),
        "own frequency": Model(np.eye(shape[1], dtype=np.float32), model.popularity),
    }
    mine = recommended(model)
    places = np.arange(1, mine.shape[1] + 1)
    return Backtest(
        orders=len(bought),
        hit_rate=float(hits(mine).any(axis=1).mean()),
        baselines={name: float(hits(recommended(each)).any(axis=1).mean()) for name, each in baselines.items()},
        mrr=float((hits(mine) / places).sum(axis=1).mean()),
        coverage=len(np.unique(mine)) / shape[1],
    )


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
