"""Yours: how good the forecasts are, and what is good enough."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, NonNegativeInt

from .model import WEEK, Flags, ModelSettings, Values, ended, fit, forecast, too_short
from .ops.settings import Section
from .ops.verdicts import Verdict

MODEL, BASELINES = "forecast", ("seasonal naive", "4-week mean", "zero")


class GateSettings(Section):
    """The section `[gate]` of a stage's settings: what is good enough to publish."""

    min_lift: NonNegativeFloat = 1.0  # the better baseline's WAPE has to be above this many times the model's
    min_sales: NonNegativeInt = 100  # days on which a series sold; a comparison that rests on fewer is chance
    unjudged: Literal["pass", "refuse"] = "refuse"  # what to do then


@dataclass(frozen=True)
class Backtest:
    """Forecasts of days that were held out, beside what was sold on them.

    Attributes:
        judged: shape (all series,); the ones that would have been forecast. What follows is theirs alone.
        sold: shape (series, days).
        forecasts: the model's and each baseline's, of the same shape.
        scale: shape (series,); the mean error of the seasonal naive forecast a week ahead, before the held-out days.
    """

    judged: Flags
    sold: Values
    forecasts: dict[str, Values]
    scale: Values

    def wape(self, name: str, days: slice = slice(None)) -> float:
        """The weighted absolute percentage error: all absolute errors together, as a share of all that was sold.

        A mean over series of percentages would be infinite where a series sold nothing, and would count a product that
        sells one piece like one that sells a thousand. Above 1, it would be better to forecast zero everywhere.
        """
        sold = self.sold[:, days]
        return float(np.abs(self.forecasts[name][:, days] - sold).sum() / sold.sum())

    def bias(self, name: str) -> float:
        """What was forecast too much, as a share of all that was sold; below 0 where it was too little."""
        return float((self.forecasts[name] - self.sold).sum() / self.sold.sum())

    def mase(self, name: str) -> float:
        """The mean absolute scaled error: a series' mean error by its `scale`, then the mean of all series.

        After Hyndman and Koehler, "Another look at measures of forecast accuracy", International Journal of Forecasting
        22 (2006). A series that never changed from week to week has no scale, and does not count; NaN where none has.
        """
        error = np.abs(self.forecasts[name] - self.sold).mean(axis=1)
        scaled = self.scale > 0
        return float((error[scaled] / self.scale[scaled]).mean()) if scaled.any() else float("nan")


def backtest(history: NDArray[np.floating], later: NDArray[np.floating], settings: ModelSettings) -> Backtest:
    """Forecast what was held out from what was before it.

    Args:
        history: shape (series, days); NaN before a series begins.
        later: shape (series, days); what was sold on the days that follow, of which the last `horizon` are judged. The
            ones before them are those that the newest sales are old.
        settings: as for the forecast that is published.
    """
    judged = ~(too_short(history, settings) | ended(history, settings))
    known, ahead = history[judged].astype(np.float64), later.shape[1]
    if not judged.any():
        nothing = np.empty((0, settings.horizon))
        return Backtest(judged, nothing, dict.fromkeys((MODEL, *BASELINES), nothing), nothing[:, 0])
    found = {MODEL: forecast(fit(known, trend=settings.trend), ahead)} | _baselines(known, ahead)
    return Backtest(
        judged,
        np.nan_to_num(later[judged, -settings.horizon :].astype(np.float64)),
        {name: values[:, -settings.horizon :] for name, values in found.items()},
        _changes(known),
    )


def turned_out(forecasts: Values, history: NDArray[np.floating], sold: NDArray[np.floating]) -> Backtest:
    """What was published for some days, beside what was sold on them, and beside the baselines.

    Args:
        forecasts: shape (series, days); NaN where nothing was forecast, and then the series does not count.
        history: shape (series, days before); NaN before a series begins.
        sold: shape (series, days).
    """
    judged: Flags = ~np.any(np.isnan(forecasts), axis=1)
    known = history[judged].astype(np.float64)
    if not judged.any():
        return Backtest(judged, known, dict.fromkeys((MODEL, *BASELINES), known), np.empty(0))
    found = {MODEL: forecasts[judged]} | _baselines(known, forecasts.shape[1])
    return Backtest(judged, np.nan_to_num(sold[judged].astype(np.float64)), found, _changes(known))


def enough(sales: int, settings: GateSettings) -> Verdict:
    """Whether the held-out days on which a series sold, each series' counted, are enough to judge by."""
    found = f"{sales:,} held-out days on which a series sold; gate.min_sales is {settings.min_sales:,}"
    is_enough = sales > 0 and sales >= settings.min_sales
    if not is_enough:
        found += f": too few to compare, and gate.unjudged is {settings.unjudged}"
    return Verdict("enough to judge by", is_enough or settings.unjudged == "pass", found)


def _baselines(known: Values, ahead: int) -> dict[str, Values]:
    """What each of BASELINES forecasts for the next days, shape (series, ahead)."""
    return {
        "seasonal naive": known[:, np.arange(ahead) % WEEK - WEEK],
        "4-week mean": np.repeat(np.nanmean(known[:, -4 * WEEK :], axis=1, keepdims=True), ahead, axis=1),
        "zero": np.zeros((len(known), ahead)),
    }


def _changes(known: Values) -> Values:
    """How much each series changes from week to week, shape (series,)."""
    changes: Values = np.nanmean(np.abs(known[:, WEEK:] - known[:, :-WEEK]), axis=1)
    return changes
