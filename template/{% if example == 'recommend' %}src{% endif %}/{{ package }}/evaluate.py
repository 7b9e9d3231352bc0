"""Yours: how good the model is, and what is good enough."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt

from .model import Codes, Model, fit, histories, recommend
from .ops.settings import Section

BASELINES = ("popularity", "own_frequency")


class GateSettings(Section):
    """The section `[gate]` of a stage's settings: what is good enough to publish."""

    holdout_days: int = Field(default=7, ge=1, le=3650)
    min_lift: NonNegativeFloat = 1.0  # the model's hit rate has to be above this many times the better baseline's
    min_hits: NonNegativeInt = 30  # a comparison that rests on fewer hits is chance
    unjudged: Literal["pass", "refuse"] = "refuse"  # what to do then


@dataclass(frozen=True)
class Verdict:
    """What a gate found."""

    gate: str
    passed: bool
    finding: str
    margin: float | None = None  # how many times what is demanded was found


def backtest(
    customers: Codes, items: Codes, held_out: NDArray[np.bool_], shape: tuple[int, int], top_k: int
) -> dict[str, float]:
    """Fit on the earlier orders and see how many of the held-out ones are among what would have been recommended.

    Args:
        customers: shape (orders,).
        items: shape (orders,).
        held_out: shape (orders,); what the model does not see. Orders of customers without a history do not count.
        shape: the numbers of customers and items.
        top_k: how many items are recommended.

    Returns:
        `held_out_orders`; `hit_rate`, the share of them that was recommended, and `mrr`, their mean reciprocal rank, of
        the model; the hit rates of the baselines; `coverage`, the share of all items that is recommended to anybody.
    """
    history = histories(customers[~held_out], items[~held_out], shape)
    known = np.diff(history.indptr) > 0
    judged = held_out & known[customers]
    buyers, row = np.unique(customers[judged], return_inverse=True)
    bought = items[judged]
    metrics: dict[str, float] = {"held_out_orders": len(bought)}
    if not len(bought):
        return metrics

    model = fit(history)
    contenders = {
        "model": model,
        "popularity": Model(np.zeros_like(model.affinity), model.popularity),
        "own_frequency": Model(np.eye(shape[1], dtype=np.float32), model.popularity),
    }
    for name, contender in contenders.items():
        recommended = np.concatenate([best.items for best in recommend(contender, history[buyers], top_k)])
        hits = recommended[row] == bought[:, None]
        if name == "model":
            metrics["hit_rate"] = float(hits.any(axis=1).mean())
            metrics["mrr"] = float((hits / np.arange(1, hits.shape[1] + 1)).sum(axis=1).mean())
            metrics["coverage"] = len(np.unique(recommended)) / shape[1]
        else:
            metrics[f"hit_rate_{name}"] = float(hits.any(axis=1).mean())
    return metrics


def judge(metrics: dict[str, float], settings: GateSettings) -> list[Verdict]:
    """Hold the metrics of a backtest against what the settings demand."""
    orders = metrics["held_out_orders"]
    most = max((rate for name, rate in metrics.items() if name.startswith("hit_rate")), default=0) * orders
    enough = orders > 0 and round(most) >= settings.min_hits
    found = f"{most:,.0f} hits at best among {orders:,.0f} held-out orders, gate.min_hits is {settings.min_hits:,}"
    if not enough:
        found += f": too few to compare, and gate.unjudged is {settings.unjudged}"
    verdicts = [Verdict("enough to judge by", enough or settings.unjudged == "pass", found)]
    if enough:
        name = max(BASELINES, key=lambda each: metrics[f"hit_rate_{each}"])
        baseline = metrics[f"hit_rate_{name}"]
        verdicts.append(
            Verdict(
                "better than a baseline",
                metrics["hit_rate"] > settings.min_lift * baseline,
                f"hit rate {metrics['hit_rate']:.3f}, {name.replace('_', ' ')} {baseline:.3f}; gate.min_lift is "
                f"{settings.min_lift:g}",
                metrics["hit_rate"] / max(settings.min_lift * baseline, 1e-9),
            )
        )
    return verdicts
