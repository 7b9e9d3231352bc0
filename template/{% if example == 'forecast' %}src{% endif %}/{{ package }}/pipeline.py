"""Yours: the steps, in order.

A step takes what it needs from the run's folder and leaves its result there, so that any of them can run in a process,
or on a machine, of its own. One that also takes a shard does its work in `runs.shards` parts, each of which can.
"""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import structlog
from numpy.typing import NDArray
from pydantic_settings import SettingsConfigDict

from . import evaluate as evaluation
from . import model as modelling
from . import sales as selling
from .ops import holdout, training
from .ops import review as reviewing
from .ops.ingest import checked, fetch
from .ops.problems import Problem
from .ops.published import Table, publish
from .ops.runs import Run
from .ops.settings import StageSettings
from .ops.shards import Shard
from .ops.training import trains
from .ops.verdicts import better_than_baselines, enforce
from .sample import make_up

log = structlog.get_logger()

TABLES = (Table("forecasts", key=("store", "product", "forecast_date")),)
SHOWN = 6 * modelling.WEEK  # days before the forecast that a chart shows
DECIMALS = 2  # of what is forecast, which is the mean of many days like that one


class Settings(StageSettings):
    """All that a stage's settings may hold."""

    model_config = SettingsConfigDict(extra="forbid")

    sales: selling.SalesSettings = selling.SalesSettings()
    model: modelling.ModelSettings = modelling.ModelSettings()
    gate: evaluation.GateSettings = evaluation.GateSettings()


def load(run: Run, settings: Settings) -> None:
    """Fetch the sales as they are."""
    fetch(run, settings.sales, lambda: make_up(settings.sales.sample, run.record.date))


def check(run: Run, settings: Settings) -> None:
    """Reject what is no sale; add up the rest by series and day."""
    rows = checked(run, settings.sales, selling.schema(date.today()))
    series, daily = selling.by_day(rows, run.record.date, settings.sales)
    series.write_parquet(run.path("series.parquet"))
    daily.write_parquet(run.path("daily.parquet"))
    run.count("sales", len(rows))
    run.count("series", len(series))
    run.count("days", (_last(daily) - daily.select(pl.min("sold_on")).item()).days + 1)


@trains("model.parquet", "left_out.csv")
def train(run: Run, settings: Settings) -> None:
    """Fit the model that will forecast, on all days; leave out what is too short or has ended, and say so."""
    series, daily = pl.read_parquet(run.path("series.parquet")), pl.read_parquet(run.path("daily.parquet"))
    history = selling.history(daily, len(series), _last(daily))
    short, ended = modelling.too_short(history, settings.model), modelling.ended(history, settings.model)
    reason = pl.Series(np.select([ended, short], ["has ended", "is too short"], ""))
    left_out = series.select(selling.SERIES).with_columns(reason=reason).filter(reason != "")
    left_out.write_csv(run.path("left_out.csv"))
    for name, count in {"series_ended": ended.sum(), "series_too_short": (short & ~ended).sum()}.items():
        run.count(name, int(count))
    log.info("left out", ended=int(ended.sum()), too_short=int((short & ~ended).sum()), of=len(series))
    kept = ~(short | ended)
    if not kept.any():
        raise Problem(
            f"{settings.sales.source}: no series to forecast: of {len(series):,}, {ended.sum():,} have sold nothing "
            f"for {settings.model.ended_days} days (model.ended_days), the others began less than "
            f"{settings.model.min_days} days ago (model.min_days)"
        )
    model = modelling.fit(history[kept], trend=settings.model.trend)
    series.filter(pl.Series(kept)).select(
        *selling.SERIES,
        level=pl.Series(model.level),
        drift=pl.Series(model.drift),
        season=pl.Series(model.season, dtype=pl.Array(pl.Float64, modelling.WEEK)),
        last_day=pl.lit(_last(daily)),
    ).write_parquet(run.path("model.parquet"))


@trains()
def evaluate(run: Run, settings: Settings) -> None:
    """Forecast the last days from what was before them, as many days ahead as what is published; measure that."""
    series, daily = pl.read_parquet(run.path("series.parquet")), pl.read_parquet(run.path("daily.parquet"))
    last, ahead = _last(daily), _old(run, daily) + settings.model.horizon
    held_out = holdout.last_days(run, daily["sold_on"], ahead)
    before = selling.history(daily.filter(~held_out), len(series), last - timedelta(days=ahead))
    whole = selling.history(daily, len(series), last)
    found = evaluation.backtest(before, whole[:, -ahead:], settings.model)
    sales = int(np.count_nonzero(found.sold))
    run.count("series_judged", len(found.sold))
    run.count("sales_judged", sales)
    if not sales:
        return

    for name, error in {"wape": found.wape, "mase": found.mase}.items():
        value = error(evaluation.MODEL)
        if np.isfinite(value):
            baselines = {baseline: error(baseline) for baseline in evaluation.BASELINES}
            run.measure(name, value, better="lower", baselines=baselines)
    run.record.numbers["bias"] = found.bias(evaluation.MODEL)
    _draw(
        run,
        f"The last {settings.model.horizon} days: sold and forecast",
        _by_day(np.nansum(whole[found.judged], axis=0)[-SHOWN:], last),
        _by_day(found.forecasts[evaluation.MODEL].sum(axis=0), last),
    )
    days = range(settings.model.horizon)
    if all(found.sold[:, day].any() for day in days):
        shown = (evaluation.MODEL, *evaluation.BASELINES[:2])  # to forecast zero is always wrong by 1
        by_day = {name: [found.wape(name, slice(day, day + 1)) for day in days] for name in shown}
        run.lines("WAPE by day ahead", [ahead - len(days) + day + 1 for day in days], by_day)


def review(run: Run, settings: Settings) -> None:
    """Hold what was forecast for days that are over against what was sold on them."""
    series, daily = pl.read_parquet(run.path("series.parquet")), pl.read_parquet(run.path("daily.parquet"))
    last = _last(daily)
    whole = selling.history(daily, len(series), last)
    sold = daily.lazy().join(series.lazy(), on="series")
    horizon, until = settings.model.horizon, last + timedelta(days=1)
    for day in reviewing.days(
        run, settings, "forecasts", sold, "sold_on", horizon=horizon, unfinished=True, until=until
    ):
        rows = pl.concat([part.filter(pl.col("forecast_date") < day.until) for part in day.rows("quantity")])
        rows = rows.join(series, on=selling.SERIES)
        at = (rows["forecast_date"] - day.date).dt.total_days().to_numpy()
        forecasts = np.full((len(series), at.max(initial=-1) + 1), np.nan)
        forecasts[rows["series"].to_numpy(), at] = rows["quantity"].to_numpy()
        begins = whole.shape[1] - (until - day.date).days
        found = evaluation.turned_out(forecasts, whole[:, :begins], whole[:, begins : begins + forecasts.shape[1]])
        if sales := int(np.count_nonzero(found.sold)):
            for name, error in {"wape": found.wape, "mase": found.mase}.items():
                if np.isfinite(value := error(evaluation.MODEL)):
                    baselines = {baseline: error(baseline) for baseline in evaluation.BASELINES[:2]}  # zero is far off
                    day.turned_out(name, value, better="lower", baselines=baselines, weight=sales)
    reviewing.judge(run, settings)


def gate(run: Run, settings: Settings) -> None:
    """Let nothing pass that is not good enough."""
    sales = int(run.record.numbers["sales_judged"])
    verdicts = [evaluation.enough(sales, settings.gate)]
    if sales and sales >= settings.gate.min_sales:
        verdicts.append(better_than_baselines(run.metric("wape"), settings.gate.min_lift))
    enforce(run, verdicts)


def predict(run: Run, settings: Settings, shard: Shard) -> None:
    """Forecast the series of a shard, from the last day that the model has learnt of."""
    learnt = pl.read_parquet(run.path("model.parquet"))
    mine = learnt[shard.of(len(learnt))]
    model = modelling.Model(*(mine[name].to_numpy() for name in ("level", "drift", "season")))
    old, horizon = (run.record.date - learnt["last_day"][0]).days - 1, settings.model.horizon
    quantity = modelling.forecast(model, old + horizon)[:, old:]
    days = [run.record.date + timedelta(days=day) for day in range(horizon)]
    rows = pl.DataFrame(
        {
            **{name: mine[name].gather(np.arange(len(mine)).repeat(horizon)) for name in selling.SERIES},
            "forecast_date": days * len(mine),
            "quantity": quantity.round(DECIMALS).ravel(),
        }
    )
    rows.write_parquet(run.path("forecasts.parquet", shard))
    run.count("series_forecast", len(mine))


def publish_rows(run: Run, settings: Settings) -> None:
    """Put the day's forecasts in place, all at once."""
    rows = pl.read_parquet(run.paths("forecasts.parquet"))
    publish(run, settings, {"forecasts": rows})
    series, daily = pl.read_parquet(run.path("series.parquet")), pl.read_parquet(run.path("daily.parquet"))
    if training.taken(run):
        run.count("series_since_training", len(_since(run, series)))
    forecast = series.join(rows, on=selling.SERIES, how="semi")
    history = selling.history(daily.join(forecast, on="series", how="semi"), len(series), _last(daily))
    ahead = rows.group_by("forecast_date").agg(pl.sum("quantity")).sort("forecast_date")
    _draw(
        run,
        f"Sold, and forecast for the next {settings.model.horizon} days",
        _by_day(np.nansum(history, axis=0)[-SHOWN:], _last(daily)),
        dict(ahead.iter_rows()),
    )
    most = rows.group_by("product").agg(pl.sum("quantity")).sort("quantity", descending=True).head(10)
    run.bars(f"Forecast for {settings.model.horizon} days, by product", dict(most.iter_rows()))


Step = Callable[..., None]  # of the run, the settings and, if it does its work in shards, a shard
STEPS: tuple[Step, ...] = (load, check, train, evaluate, review, gate, predict, publish_rows)


def _since(run: Run, series: pl.DataFrame) -> pl.DataFrame:
    """The series that the training of the model knew nothing of: they are forecast from the next one on."""
    learnt = pl.read_parquet(run.path("model.parquet"), columns=selling.SERIES)
    left_out = pl.read_csv(run.path("left_out.csv"), columns=selling.SERIES, schema_overrides=learnt.schema)
    return series.join(pl.concat([learnt, left_out]), on=selling.SERIES, how="anti")


def _last(daily: pl.DataFrame | pl.LazyFrame) -> date:
    """The last day of which sales are known."""
    found: date = daily.lazy().select(pl.max("sold_on")).collect().item()
    return found


def _old(run: Run, daily: pl.DataFrame | pl.LazyFrame) -> int:
    """How many days between the newest sales and the first day that is to be forecast nothing is known of."""
    return (run.record.date - _last(daily)).days - 1


def _by_day(values: NDArray[np.floating], last: date) -> dict[date, float]:
    """Values of the days that end with the last."""
    return {last - timedelta(days=len(values) - 1 - at): float(value) for at, value in enumerate(values)}


def _draw(run: Run, title: str, sold: dict[date, float], forecast: dict[date, float]) -> None:
    """What was sold by day, of all series together, beside what was forecast."""
    first, last = min(sold), max(*sold, *forecast)
    days = [first + timedelta(days=at) for at in range((last - first).days + 1)]
    series = {"forecast": [forecast.get(day) for day in days], "sold": [sold.get(day) for day in days]}
    run.lines(title, [f"{day:%d %b}" for day in days], series)
