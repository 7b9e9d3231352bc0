"""How good earlier days' rows turned out to be, as the record of a run keeps it: in words, and for a chart."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .metrics import Metric, words
from .plots import distinct_digits

if TYPE_CHECKING:
    from .runs import Record

Review = dict[str, Any]


def counting(record: "Record", wanted: str = "") -> list[Review]:
    """The reviews by the metric that counts, the earliest day first, but for days too thin to compare.

    Args:
        record: that of the run.
        wanted: the metric that counts, as `deploy.metric` has it; where none is reviewed, the first that is counts.
    """
    by_metric = _by_metric(record)
    return by_metric.get(wanted) or next(iter(by_metric.values()), [])


def together(reviews: Sequence[Review]) -> tuple[Metric, float]:
    """The weighted mean of some days, and that of what their backtests said; NaN where one has said nothing."""
    total = math.fsum(each["weight"] for each in reviews)

    def mean(name: str) -> float:
        if any(each[name] is None for each in reviews):
            return math.nan
        return math.fsum(each[name] * each["weight"] for each in reviews) / total

    return Metric(reviews[0]["metric"], mean("value"), reviews[0]["better"]), mean("backtest")


def newest(record: "Record", wanted: str = "") -> tuple[str, str, str] | None:
    """The last day that was reviewed: the metric's name, its value, and of which day it is beside what else."""
    reviews = counting(record, wanted)
    if not reviews:
        return None
    last = reviews[-1]
    best = Metric(last["metric"], last["value"], last["better"], last["baselines"]).best_baseline()
    said = last["backtest"]
    there = [value for value in (last["value"], said, best[1] if best else None) if value is not None]
    told = dict(zip(there, distinct_digits(there), strict=True))
    against = f"for {last['date']}" + (f" (backtest said {told[said]})" if said is not None else "")
    against += f", {words(best[0])} {told[best[1]]}" if best else ""
    return last["label"], told[last["value"]], against + ", less is better" * (last["better"] == "lower")


def lines(record: "Record") -> dict[str, tuple[list[str], dict[str, list[float | None]]]]:
    """For each metric that was reviewed on several days, by its label: the days, and a line for each of the values."""
    found = {}
    for reviews in _by_metric(record).values():
        series = {"model": [each["value"] for each in reviews]}
        for baseline in dict.fromkeys(name for each in reviews for name in each["baselines"]):
            series[words(baseline)] = [each["baselines"].get(baseline) for each in reviews]
        series["backtest"] = [each["backtest"] for each in reviews]
        found[reviews[0]["label"]] = ([each["date"] for each in reviews], series)
    return found


def _by_metric(record: "Record") -> dict[str, list[Review]]:
    found: dict[str, list[Review]] = {}
    for each in sorted(record.reviews, key=lambda review: str(review["date"])):
        if not each.get("thin"):
            found.setdefault(each["metric"], []).append(each)
    return found
