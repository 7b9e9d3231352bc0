"""Yours: the model. Arrays in, arrays out; nothing here knows of files, databases or stages.

The Theta method on seasonally adjusted series (Assimakopoulos and Nikolopoulos, "The theta model: a decomposition
approach to forecasting", International Journal of Forecasting 16, 2000). It won the M3 competition and was among the
benchmarks that few methods of M4 could beat (Makridakis, Spiliotis and Assimakopoulos, the same journal 36, 2020). It
is the same as simple exponential smoothing with half the slope of a straight line as its drift (Hyndman and Billah,
"Unmasking the Theta method", the same journal 19, 2003), and that is how it is computed here, for all series at once.
Another share of the slope than half is another theta.

The season is the usual one of that method: by the ratio to a moving average, and only where a test of the
autocorrelation finds one. The ratio is of sums, so that days without a sale do it no harm.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from .ops.settings import Section

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

WEEK = 7  # days
CHUNK = 2**20  # values of some series, as float64, held at a time
ALPHAS = np.r_[0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1:1:0.05]  # how much a new value counts; the best is taken
HALF = 0.5  # of the slope, as the Theta method has it
CLOSED = 0.01  # a weekday with a smaller factor is one without sales, which tells nothing of the level
TESTED = 1.645  # standard errors: the seasonal autocorrelation is chance in 5 % of the series that have no season


class ModelSettings(Section):
    """The section `[model]` of a stage's settings."""

    horizon: PositiveInt = 14  # days ahead
    min_days: int = Field(default=28, ge=2 * WEEK)  # a series that began fewer days ago is too short to forecast
    ended_days: PositiveInt = 56  # one that has not sold for so many days has ended
    trend: float = Field(default=HALF, ge=0, le=1)  # of the slope of the past, so much goes on


@dataclass(frozen=True)
class Model:
    """What was learnt of each series. The first day is the one after the last of the history.

    Attributes:
        level: shape (series,); what is sold on the first day, without its season.
        drift: shape (series,); how much more it is a day later.
        season: shape (series, period); the factor of each day from the first on; 1 where there is no season.
    """

    level: Values
    drift: Values
    season: Values


def fit(history: NDArray[np.floating], period: int = WEEK, trend: float = HALF) -> Model:
    """Learn each series.

    Args:
        history: shape (series, days); NaN on the days before a series begins and nowhere else.
        period: days after which the season comes again.
        trend: the share of the slope of a straight line through the past that goes on.

    Raises:
        ValueError: a series has no day, or a gap.
    """
    known = ~np.isnan(history)
    if not known[:, -1:].all() or (np.diff(known.astype(np.int8), axis=1) < 0).any():
        raise ValueError("a series goes on without a gap to the last day")
    parts = [_fit(history[rows].astype(np.float64), period, trend) for rows in _chunks(history.shape)]
    return Model(*(np.concatenate([getattr(part, name) for part in parts]) for name in Model.__annotations__))


def forecast(model: Model, days: int) -> Values:
    """What each series will sell on each of the next days, shape (series, days); never less than nothing."""
    ahead = np.arange(days)
    trend = model.level[:, None] + model.drift[:, None] * ahead
    return np.maximum(trend, 0) * model.season[:, ahead % model.season.shape[1]]


def too_short(history: NDArray[np.floating], settings: ModelSettings) -> Flags:
    """Which series, shape (series,), began so late that there is too little to learn from."""
    known: Flags = ~np.isnan(history)
    days: NDArray[np.intp] = known.sum(axis=1)
    return days < settings.min_days


def ended(history: NDArray[np.floating], settings: ModelSettings) -> Flags:
    """Which series, shape (series,), have sold nothing for so long that nobody sells them any more."""
    return ~np.any(history[:, -settings.ended_days :] > 0, axis=1)


def _fit(history: Values, period: int, trend: float) -> Model:
    """Learn some series, which are short of memory."""
    season = _season(history, period)
    days = history.shape[1]
    factors = season[:, (np.arange(days) - days) % period]
    known = ~np.isnan(history) & (factors > CLOSED)
    adjusted = np.divide(history, factors, out=np.zeros_like(history), where=known)
    drift = _slope(adjusted, known) * trend
    level, alpha = _smoothed(adjusted, known, _start(adjusted, known, 2 * period))
    return Model(level + drift * (1 - (1 - alpha) ** known.sum(axis=1)) / alpha, drift, season)


def _season(history: Values, period: int) -> Values:
    """The factors, shape (series, period), of the days that follow the history; their mean is 1."""
    series, days = history.shape
    factors = np.ones((series, period))
    if period == 1 or days <= 2 * period:
        return factors
    trend = _moving_average(history, period)
    sold = np.where(np.isnan(trend), 0, history)
    trend = np.nan_to_num(trend)
    for day in range(period):  # that comes `day` days after the last
        on_it = slice((day + days) % period, None, period)
        factors[:, day] = sold[:, on_it].sum(axis=1) / np.maximum(trend[:, on_it].sum(axis=1), 1e-9)
    mean = factors.mean(axis=1, keepdims=True)
    seasonal = _is_seasonal(history, period)[:, None] & (mean > 0)
    return np.divide(factors, mean, out=np.ones_like(factors), where=seasonal)


def _moving_average(history: Values, period: int) -> Values:
    """The mean of a whole period around each day, shape (series, days); NaN where a part of it is not known."""
    half = period // 2
    weights = np.ones(2 * half + 1) if period % 2 else np.r_[0.5, np.ones(period - 1), 0.5]
    found = np.full(history.shape, np.nan)
    inner = history.shape[1] - 2 * half
    found[:, half : half + inner] = sum(weight * history[:, at : at + inner] for at, weight in enumerate(weights))
    return found / period


def _is_seasonal(history: Values, period: int) -> Flags:
    """Whether a series, shape (series,), is like itself a period ago by more than chance (as M3 and M4 tested it)."""
    known = ~np.isnan(history)
    length = known.sum(axis=1)
    mean = np.where(known, history, 0).sum(axis=1) / length
    centred = np.where(known, history - mean[:, None], 0)
    variance = np.maximum((centred**2).sum(axis=1), 1e-12)
    alike = [(centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / variance for lag in range(1, period + 1)]
    error = np.sqrt((1 + 2 * np.sum(np.square(alike[:-1]), axis=0)) / length)
    return (np.abs(alike[-1]) > TESTED * error) & (length > 2 * period)


def _slope(values: Values, known: Flags) -> Values:
    """The slope of the straight line, by least squares, through the known values of each row; the others are 0."""
    count = known.sum(axis=1)
    day = np.where(known, np.arange(values.shape[1]), 0)
    day = np.where(known, day - (day.sum(axis=1) / count)[:, None], 0)
    return (day * values).sum(axis=1) / np.maximum((day**2).sum(axis=1), 1)


def _start(values: Values, known: Flags, days: int) -> Values:
    """Where the smoothing of each row begins: the mean of its first days."""
    first = known & (np.cumsum(known, axis=1) <= days)
    return (first * values).sum(axis=1) / first.sum(axis=1)


def _smoothed(values: Values, known: Flags, start: Values) -> tuple[Values, Values]:
    """Simple exponential smoothing with the alpha whose one-step errors are least in square.

    Args:
        values: shape (series, days).
        known: of the same shape; what is not leaves the level as it is.
        start: shape (series,); the first level.

    Returns:
        The last level and the alpha, shape (series,) each.
    """
    alphas = ALPHAS[:, None]
    level = np.repeat(start[None, :], len(ALPHAS), axis=0)
    squares = np.zeros_like(level)
    for day, counts in zip(np.ascontiguousarray(values.T), np.ascontiguousarray(known.T), strict=True):
        error = (day - level) * counts
        squares += error**2
        level += alphas * error
    best = squares.argmin(axis=0)
    return level[best, np.arange(len(start))], ALPHAS[best]


def _chunks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Some series at a time; of no series, one chunk of none."""
    size = max(1, CHUNK // max(1, shape[1]))
    return (slice(at, at + size) for at in range(0, max(1, shape[0]), size))
