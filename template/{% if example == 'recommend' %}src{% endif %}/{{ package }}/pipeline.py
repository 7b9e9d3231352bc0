"""Yours: the steps, in order.

A step takes what it needs from the run's folder and leaves its result there, so that any of them can run in a process,
or on a machine, of its own. One that also takes a shard does its work in `runs.shards` parts, each of which can.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from itertools import chain

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic_settings import SettingsConfigDict

from . import evaluate as evaluation
from . import model as modelling
from . import orders as ordering
from . import pairs
from .ops import holdout, published, training
from .ops import review as reviewing
from .ops.ingest import checked, fetch, join_rejected
from .ops.problems import Problem
from .ops.progress import track
from .ops.published import Table
from .ops.runs import Run
from .ops.settings import StageSettings
from .ops.shards import Shard
from .ops.training import trains
from .ops.verdicts import enforce
from .sample import make_up


class Settings(StageSettings):
    """All that `<stage>/settings.toml` may hold."""

    model_config = SettingsConfigDict(extra="forbid")

    orders: ordering.OrderSettings = ordering.OrderSettings()
    model: modelling.ModelSettings = modelling.ModelSettings()
    gate: evaluation.GateSettings = evaluation.GateSettings()


def load(run: Run, settings: Settings) -> None:
    """Fetch the orders as they are, those of a customer into one shard."""
    fetch(run, settings.orders, lambda: make_up(settings.orders.sample, run.record.date), by="customer")


def check(run: Run, settings: Settings, shard: Shard) -> None:
    """Set aside what is no order; number the customers and items of the rest."""
    known = checked(run, settings.orders, ordering.schema(date.today()), shard)
    items, codes = ordering.numbered(known["item"])
    customers, ordered = ordering.by_customer(known.select("customer", codes, "ordered_at"))
    if settings.model.anybody and (customers == settings.model.anybody).any():
        raise Problem(f"a customer is called {settings.model.anybody!r}: model.anybody needs another name")
    customers.to_frame().write_parquet(run.path("customers.parquet", shard), compression="lz4", statistics=False)
    ordered.write_parquet(run.path("orders.parquet", shard), compression="lz4", statistics=False)
    counts = ordered["item"].value_counts(name="orders").sort("item")["orders"].cast(pl.Int64)  # each item is there
    pl.DataFrame([items, counts]).write_parquet(run.path("items.parquet", shard))
    days = ordered.lazy().group_by(pl.col("ordered_at").dt.date().alias("day")).agg(rows=pl.len())
    days.collect().write_parquet(run.path("days.parquet", shard))
    run.count("orders", len(known))
    run.count("customers", len(customers))


def catalogue(run: Run, settings: Settings) -> None:
    """Number the items of all orders, and say which may be recommended."""
    join_rejected(run, settings.orders)
    items = pl.concat([pl.read_parquet(file) for file in run.paths("items.parquet")])
    items = items.group_by("item").agg(pl.col("orders").sum()).sort("item")
    if items.is_empty():
        raise Problem(f"{settings.orders.source}: no order before {run.record.date}")
    available = ordering.available(settings.orders)
    items = items.with_columns(available=True if available is None else pl.col("item").is_in(available.implode()))
    if not items["available"].any():
        raise Problem(f"{settings.orders.catalogue}: none of its items was ordered: is it the right column?")
    items.write_parquet(run.path("catalogue.parquet"))
    run.count("items", len(items))
    run.count("items_available", int(items["available"].sum()))
    days = pl.concat([pl.read_parquet(file) for file in run.paths("days.parquet")])
    by_day = days.group_by("day").agg(pl.col("rows").sum()).sort("day")
    holdout.note_last_days(run, by_day, settings.gate.holdout_days)


@trains()
def train(run: Run, settings: Settings, shard: Shard) -> None:
    """Count what was ordered together: in all orders, and in those before the last days."""
    alone = settings.model.neighbours if shard.count == 1 else None  # whose counts are not added to others
    orders = _orders(run, shard)
    is_held_out = holdout.held_out(run, orders["ordered_at"])
    held_out = orders.filter(is_held_out)
    earlier = _history(run, shard, orders.filter(~is_held_out))
    late = _history(run, shard, held_out)
    del orders
    held_out.write_parquet(run.path("held_out.parquet", shard), compression="lz4", statistics=False)
    sp.save_npz(run.path("earlier.npz", shard), earlier, compressed=False)
    np.save(run.path("orders-earlier.npy", shard), earlier.sum(axis=0))
    np.save(run.path("orders-all.npy", shard), earlier.sum(axis=0) + late.sum(axis=0))
    folders = [pairs.emptied(run.path(f"pairs-{name}", shard)) for name in ("earlier", "all")]
    for both in pairs.count_both(earlier, late, alone):
        for block, folder in zip(both, folders, strict=True):
            block.save(folder)


@trains("model.npz", "model_items.parquet")
def neighbours(run: Run, settings: Settings) -> None:
    """Keep the best neighbours of each item: of the model that recommends, and of the one that is judged."""
    pl.read_parquet(run.path("catalogue.parquet"), columns=["item"]).write_parquet(run.path("model_items.parquet"))
    for name, file in (("all", "model.npz"), ("earlier", "backtest.npz")):
        counts = pairs.add_up(run.paths(f"pairs-{name}"))
        orders = np.sum([np.load(each) for each in run.paths(f"orders-{name}.npy")], axis=0)
        modelling.learnt(counts, orders, settings.model.neighbours).save(run.path(file))


@trains()
def evaluate(run: Run, settings: Settings, shard: Shard) -> None:
    """Measure the model that was learnt without the last days, on those days."""
    history = sp.csr_array(sp.load_npz(run.path("earlier.npz", shard)))
    late = pl.read_parquet(run.path("held_out.parquet", shard))
    late = late.filter(holdout.held_out(run, late["ordered_at"]))  # the scale check compares what asks this
    model = modelling.Model.load(run.path("backtest.npz"))
    found = evaluation.backtest(
        model, history, late["customer"].to_numpy(), late["item"].to_numpy(), settings.model.top_k
    )
    run.count("held_out_orders", found.orders if found else 0)
    if found:
        run.measure("hit_rate", found.hit_rate, better="higher", baselines=found.baselines, weight=found.orders)
        run.measure("mrr", found.mrr, better="higher", weight=found.orders)
    np.save(run.path("recommended.npy", shard), found.recommended if found else np.empty(0, np.uint32))


def review(run: Run, settings: Settings) -> None:
    """See how many of the orders that came since were of an item that had been recommended."""
    items = pl.read_parquet(run.path("catalogue.parquet"))["item"]
    first = run.record.date - timedelta(days=settings.monitoring.review.days)
    ordered = pl.concat([_ordered_since(run, shard, first) for shard in run.shards])
    for day in reviewing.days(run, settings, "recommendations", ordered, "ordered_at"):
        buyers = day.happened.select("customer").unique()
        rows = pl.concat([part.join(buyers, on="customer", how="semi") for part in day.rows()])
        found = evaluation.hits(rows, day.happened)
        if found.is_empty():
            continue  # nobody ordered to whom anything had been recommended
        customers = found["customer"].unique().sort()
        history, popularity = _ordered_before(run, day.date, customers, items)
        whose, bought = (pl.Series(found[each.name]).cast(pl.Enum(each)).to_physical() for each in (customers, items))
        places = sum(not each.is_null().all() for each in rows) - 1
        baselines = evaluation.baselines(history, popularity, whose.to_numpy(), bought.to_numpy(), places)
        hit_rate = float(found["hit"].to_numpy().mean())
        day.turned_out("hit_rate", hit_rate, better="higher", baselines=baselines, weight=len(found))
    reviewing.judge(run, settings)


def gate(run: Run, settings: Settings) -> None:
    """Let nothing pass that is not good enough."""
    run.remove("pairs-*", "earlier*.npz")  # which are large, and of no more use
    hit_rate = run.metric("hit_rate") if "hit_rate" in run.record.metrics else None
    if hit_rate:
        run.measure("coverage", _coverage(run), better="higher")
        run.bars(f"Hit rate at {settings.model.top_k}", {"model": hit_rate.value, **hit_rate.baselines})
    enforce(run, evaluation.judge(hit_rate, int(run.record.numbers["held_out_orders"]), settings.gate))


def recommend(run: Run, settings: Settings, shard: Shard) -> None:
    """Choose for the customers of a shard."""
    items = pl.read_parquet(run.path("catalogue.parquet"))
    model = model_of(run, items)
    customers = pl.read_parquet(run.path("customers.parquet", shard))
    history = _history(run, shard, _orders(run, shard))
    chunks = modelling.recommend(model, history, settings.model.top_k, items["available"].to_numpy())
    best = modelling.joined(track(chunks, "recommend", len(customers)), len(customers))
    names, order = ordering.alphabetical(customers["customer"])  # in which a database takes them
    rows = _rows(names.to_frame(), best.items[order], items["item"], settings)
    rows = rows.with_columns(pl.Series("score", best.scores[order, 0]))
    rows.write_parquet(run.path("recommendations.parquet", shard), compression="lz4", statistics=False)


def publish(run: Run, settings: Settings) -> None:
    """Put the day's rows in place, all at once."""
    files = run.paths("recommendations.parquet")
    rows = (pl.read_parquet(file, columns=["customer", *_places(settings)]) for file in files)
    published.publish(run, settings, {"recommendations": chain(rows, _anybody(run, settings))})
    scored = pl.concat([pl.read_parquet(file, columns=["item_1", "score"]) for file in files])
    most = scored["item_1"].value_counts(sort=True).head(10)
    run.bars("Recommended first, to how many", dict(most.iter_rows()))
    run.bars("Customers, by the score of the first", _distribution(scored["score"].to_numpy()))


TABLES = (Table("recommendations", key=("customer",)),)
Step = Callable[..., None]  # of the run, the settings and, if it does its work in shards, a shard
STEPS: tuple[Step, ...] = (load, check, catalogue, train, neighbours, evaluate, review, gate, recommend, publish)


def _orders(run: Run, shard: Shard) -> pl.DataFrame:
    """The orders of a shard's customers: their `customer` and `item` by number, and when each was."""
    orders = pl.read_parquet(run.path("orders.parquet", shard))
    mine = pl.read_parquet(run.path("items.parquet", shard))["item"]
    items = pl.read_parquet(run.path("catalogue.parquet"))["item"]
    numbers = mine.cast(pl.Enum(items)).to_physical()
    return orders.with_columns(numbers.gather(orders["item"]).alias("item"))


def _ordered_since(run: Run, shard: Shard, first: date) -> pl.LazyFrame:
    """The orders of a shard's customers from a day on: `customer` and `item` by their names, and `ordered_at`."""
    late = pl.scan_parquet(run.path("orders.parquet", shard)).filter(
        pl.col("ordered_at") >= datetime.combine(first, time())
    )
    names = (pl.read_parquet(run.path(f"{name}s.parquet", shard))[name] for name in ("customer", "item"))
    return late.with_columns(pl.lit(each).gather(each.name).alias(each.name) for each in names)


def _ordered_before(
    run: Run, day: date, customers: pl.Series, items: pl.Series
) -> tuple[sp.csr_array, NDArray[np.float64]]:
    """How often each of some customers had ordered each item before a day, and each item's share of all orders then."""
    parts, counts = [], np.zeros(len(items))
    for shard in run.shards:
        early = pl.scan_parquet(run.path("orders.parquet", shard)).filter(
            pl.col("ordered_at") < datetime.combine(day, time())
        )
        orders = early.select("customer", "item").collect()
        mine = pl.read_parquet(run.path("customers.parquet", shard))["customer"]
        theirs = pl.read_parquet(run.path("items.parquet", shard))["item"]
        codes = (mine.cast(pl.Enum(customers), strict=False), theirs.cast(pl.Enum(items)))
        orders = orders.with_columns(each.to_physical().gather(orders[each.name]) for each in codes)
        counts += np.bincount(orders["item"], minlength=len(items))
        parts.append(orders.drop_nulls())
    known = pl.concat(parts)
    history = modelling.histories(known["customer"].to_numpy(), known["item"].to_numpy(), (len(customers), len(items)))
    return history, counts / max(counts.sum(), 1)


def _history(run: Run, shard: Shard, orders: pl.DataFrame) -> sp.csr_array:
    customers = pl.scan_parquet(run.path("customers.parquet", shard)).select(pl.len()).collect().item()
    shape = (customers, int(run.record.numbers["items"]))
    return modelling.histories(orders["customer"].to_numpy(), orders["item"].to_numpy(), shape)


def _coverage(run: Run) -> float:
    """The share of the items that the backtest recommended to anybody; that of the run which measured the model."""
    if training.taken(run):
        return run.metric("coverage").value
    recommended = np.unique(np.concatenate([np.load(each) for each in run.paths("recommended.npy")]))
    return float(len(recommended) / run.record.numbers["items"])


def model_of(run: Run, items: pl.DataFrame) -> modelling.Model:
    """The model, for the items of today's catalogue: an earlier run that trained it may have numbered others."""
    model = modelling.Model.load(run.path("model.npz"))
    if not training.taken(run):
        return model
    learnt = pl.read_parquet(run.path("model_items.parquet"))["item"]
    today = pl.int_range(len(items), eager=True)
    numbers = learnt.replace_strict(items["item"], today, default=-1, return_dtype=pl.Int64).to_numpy()
    return modelling.renumbered(model, numbers, items["orders"].to_numpy())


def _places(settings: Settings) -> list[str]:
    return [f"item_{place + 1}" for place in range(settings.model.top_k)]


def _rows(keys: pl.DataFrame, chosen: modelling.Codes, items: pl.Series, settings: Settings) -> pl.DataFrame:
    """The chosen items of each key by their names; null in the places for which there are no items."""
    return keys.with_columns(
        items.gather(chosen[:, place]).alias(name) if place < chosen.shape[1] else pl.lit(None, pl.String).alias(name)
        for place, name in enumerate(_places(settings))
    )


def _anybody(run: Run, settings: Settings) -> Iterator[pl.DataFrame]:
    """The row for customers without orders: what is popular."""
    if settings.model.anybody:
        items = pl.read_parquet(run.path("catalogue.parquet"))
        model = model_of(run, items)
        popular = modelling.popular(model, settings.model.top_k, items["available"].to_numpy())
        yield _rows(pl.DataFrame({"customer": [settings.model.anybody]}), popular[None], items["item"], settings)


def _distribution(scores: NDArray[np.float64]) -> dict[str, float]:
    """How many scores lie in each of some intervals, by where it begins; the last takes the few that are greater."""
    counts, edges = np.histogram(np.minimum(scores, np.quantile(scores, 0.99)), bins=24)
    decimals = max(0, int(np.ceil(-np.log10(edges[1] - edges[0]))))  # which tell one interval from the next
    return {f"{edge:.{decimals}f}": int(count) for edge, count in zip(edges, counts, strict=False)}
