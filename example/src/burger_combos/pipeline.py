"""Yours: the steps, in order.

A step takes what it needs from the run's folder and leaves its result there, so that any of them can run in a process,
or on a machine, of its own. One that also takes a shard does its work in `runs.shards` parts, each of which can.
"""

from collections.abc import Callable
from datetime import date, datetime, time

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic_settings import SettingsConfigDict

from . import evaluate as evaluation
from . import model as modelling
from . import orders as ordering
from .ops import holdout, published
from .ops.ingest import checked, fetch
from .ops.problems import Problem
from .ops.progress import track
from .ops.published import Table
from .ops.runs import Run
from .ops.settings import StageSettings
from .ops.shards import Shard
from .ops.verdicts import enforce
from .sample import make_up


class Settings(StageSettings):
    """All that `<stage>/settings.toml` may hold."""

    model_config = SettingsConfigDict(extra="forbid")

    orders: ordering.OrderSettings = ordering.OrderSettings()
    model: modelling.ModelSettings = modelling.ModelSettings()
    gate: evaluation.GateSettings = evaluation.GateSettings()


def load(run: Run, settings: Settings) -> None:
    """Fetch the orders as they are."""
    fetch(run, settings.orders, lambda: make_up(settings.orders.sample, run.record.date))


def check(run: Run, settings: Settings) -> None:
    """Set aside what is no order; number the customers and items of the rest."""
    orders = checked(run, settings.orders, ordering.schema(date.today()))
    known = orders.filter(pl.col("ordered_at") < datetime.combine(run.record.date, time()))
    if known.is_empty():
        raise Problem(f"{settings.orders.source}: no order before {run.record.date}")
    customers, items = (known[name].unique().sort() for name in ("customer", "item"))
    if len(items) > modelling.MAX_ITEMS:
        raise Problem(f"{settings.orders.source}: {len(items):,} items, and this model is for {modelling.MAX_ITEMS:,}")
    known.select(
        pl.col("customer").cast(pl.Enum(customers)).to_physical(),
        pl.col("item").cast(pl.Enum(items)).to_physical(),
        "ordered_at",
    ).write_parquet(run.path("orders.parquet"))
    customers.to_frame().write_parquet(run.path("customers.parquet"))
    items.to_frame().write_parquet(run.path("items.parquet"))
    run.count("orders", len(known))
    run.count("customers", len(customers))
    run.count("items", len(items))
    by_day = known.group_by(pl.col("ordered_at").dt.date()).len().sort("ordered_at").tail(60)
    run.bars("Orders a day", {str(day): count for day, count in by_day.iter_rows()})


def train(run: Run, settings: Settings) -> None:
    """Fit the model that will recommend: on all orders."""
    model = modelling.fit(_history(run))
    np.savez(run.path("model.npz"), affinity=model.affinity, popularity=model.popularity)


def evaluate(run: Run, settings: Settings) -> None:
    """Measure the same model, fitted without the last days, on those days."""
    orders = pl.read_parquet(run.path("orders.parquet"))
    held_out = holdout.last_days(run, orders["ordered_at"], settings.gate.holdout_days).to_numpy()
    customers, items = orders["customer"].to_numpy(), orders["item"].to_numpy()
    found = evaluation.backtest(customers, items, held_out, _shape(run), settings.model.top_k)
    run.count("held_out_orders", found.orders if found else 0)
    if found:
        run.measure("hit_rate", found.hit_rate, better="higher", baselines=found.baselines)
        run.measure("mrr", found.mrr, better="higher")
        run.measure("coverage", found.coverage, better="higher")
        run.bars(f"Hit rate at {settings.model.top_k}", {"model": found.hit_rate, **found.baselines})


def gate(run: Run, settings: Settings) -> None:
    """Let nothing pass that is not good enough."""
    hit_rate = run.metric("hit_rate") if "hit_rate" in run.record.metrics else None
    enforce(run, evaluation.judge(hit_rate, int(run.record.numbers["held_out_orders"]), settings.gate))


def recommend(run: Run, settings: Settings, shard: Shard) -> None:
    """Choose for the customers of a shard."""
    with np.load(run.path("model.npz")) as saved:
        model = modelling.Model(saved["affinity"], saved["popularity"])
    all_customers = pl.read_parquet(run.path("customers.parquet"))
    mine = shard.of(len(all_customers))
    history = _history(run)[mine]
    chunks = modelling.recommend(model, history, settings.model.top_k)
    best = list(track(chunks, "recommend", history.shape[0]))
    chosen = np.concatenate([each.items for each in best])
    items = pl.read_parquet(run.path("items.parquet"))["item"]
    rows = all_customers[mine].with_columns(
        items.gather(chosen[:, place]).alias(f"item_{place + 1}")
        if place < chosen.shape[1]
        else pl.lit(None, pl.String).alias(f"item_{place + 1}")
        for place in range(settings.model.top_k)
    )
    scored = rows.with_columns(pl.Series("score", np.concatenate([each.scores[:, 0] for each in best])))
    scored.write_parquet(run.path("recommendations.parquet", shard))


def publish(run: Run, settings: Settings) -> None:
    """Put the day's rows in place, all at once."""
    scored = pl.read_parquet(run.paths("recommendations.parquet"))
    rows = scored.drop("score")
    published.publish(run, settings, {"recommendations": rows})
    most = rows["item_1"].value_counts(sort=True).head(10)
    run.bars("Recommended first, to how many", dict(most.iter_rows()))
    run.bars("Customers, by the score of the first", _distribution(scored["score"].to_numpy()))


TABLES = (Table("recommendations", key=("customer",)),)
Step = Callable[..., None]  # of the run, the settings and, if it does its work in shards, a shard
STEPS: tuple[Step, ...] = (load, check, train, evaluate, gate, recommend, publish)


def _distribution(scores: NDArray[np.float32]) -> dict[str, float]:
    """How many scores lie in each of some intervals, by where it begins; the last takes the few that are greater."""
    counts, edges = np.histogram(np.minimum(scores, np.quantile(scores, 0.99)), bins=24)
    decimals = max(0, int(np.ceil(-np.log10(edges[1] - edges[0]))))  # which tell one interval from the next
    return {f"{edge:.{decimals}f}": int(count) for edge, count in zip(edges, counts, strict=False)}


def _shape(run: Run) -> tuple[int, int]:
    return int(run.record.numbers["customers"]), int(run.record.numbers["items"])


def _history(run: Run) -> sp.csr_array:
    orders = pl.read_parquet(run.path("orders.parquet"), columns=["customer", "item"])
    return modelling.histories(orders["customer"].to_numpy(), orders["item"].to_numpy(), _shape(run))
