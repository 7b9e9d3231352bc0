"""Yours: the steps, in order.

A step takes what it needs from the run's folder and leaves its result there, so that any of them can run in a process,
or on a machine, of its own. One that also takes a shard does its work in `runs.shards` parts, each of which can.
"""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
from pydantic_settings import SettingsConfigDict

from . import evaluate as evaluation
from . import examples as making
from . import model as modelling
from .ops import holdout, published, training
from .ops import review as reviewing
from .ops.ingest import checked, fetch
from .ops.problems import Problem
from .ops.published import Table
from .ops.runs import Run
from .ops.settings import StageSettings
from .ops.shards import Shard
from .ops.training import trains
from .ops.verdicts import enforce
from .sample import make_up
from .subscriptions import SubscriptionSettings, schema

# What is published, a row for each customer: how likely they are to leave, and their rank, 1 being the likeliest.
TABLES = (Table("churn_scores", key=("customer",), order_by=("rank",)),)


class Settings(StageSettings):
    """All that `<stage>/settings.toml` may hold."""

    model_config = SettingsConfigDict(extra="forbid")

    subscriptions: SubscriptionSettings = SubscriptionSettings()
    examples: making.ExampleSettings = making.ExampleSettings()
    model: modelling.ModelSettings = modelling.ModelSettings()
    gate: evaluation.GateSettings = evaluation.GateSettings()


def load(run: Run, settings: Settings) -> None:
    """Fetch the records as they are."""
    fetch(run, settings.subscriptions, lambda: make_up(settings.subscriptions.sample, run.record.date))


def check(run: Run, settings: Settings) -> None:
    """Set aside what is no record; keep what was recorded before the run's day."""
    known = checked(run, settings.subscriptions, schema(date.today()))
    if known.is_empty():
        raise Problem(f"{settings.subscriptions.source}: no record before {run.record.date}")
    known.write_parquet(run.path("records.parquet"))
    run.count("records", len(known))
    run.count("customers", known["customer"].n_unique())
    left = known.filter(pl.col("status") == "left").group_by(pl.col("recorded_at").dt.strftime("%Y-%m")).len()
    run.bars("Customers who left, by month", dict(left.sort("recorded_at").tail(24).iter_rows()))


def prepare(run: Run, settings: Settings) -> None:
    """Make the examples: what was known of each customer at each past cut, and whether they left after it."""
    records = pl.read_parquet(run.path("records.parquet"))
    today = making.last_cut(records, run.record.date)
    judged = making.features(records, today, settings.examples)
    judged.write_parquet(run.path("today.parquet"))
    run.count("customers_today", len(judged))
    if training.taken(run):
        return  # nothing is learnt from the past ones
    examples = making.labelled(records, making.past_cuts(today, settings.examples), settings.examples)
    if examples["left"].n_unique() < 2:
        raise Problem(
            f"{settings.subscriptions.source}: of {len(examples):,} past customers {examples['left'].sum():,} left "
            f"within {settings.examples.horizon_days} days (examples.horizon_days): a model needs some who left, and "
            "some who stayed"
        )
    examples.write_parquet(run.path("examples.parquet"))
    run.count("examples", len(examples))


@trains("model.joblib")
def train(run: Run, settings: Settings) -> None:
    """Fit the model that will predict: to all examples."""
    examples = pl.read_parquet(run.path("examples.parquet"))
    model = modelling.learn(examples, making.FEATURES, making.CATEGORIES, settings.model)
    model.save(run.path("model.joblib"))


@trains()
def evaluate(run: Run, settings: Settings) -> None:
    """Measure the same model, fitted without the last cut, on that cut: its customers left after all that it learnt."""
    examples = pl.read_parquet(run.path("examples.parquet"))
    held_out = holdout.last_days(run, examples["until"], settings.examples.horizon_days)
    earlier, later = examples.filter(~held_out), examples.filter(held_out)
    left = later["left"].to_numpy()
    run.count("held_out_customers", len(later))
    run.count("held_out_leavers", int(left.sum()))
    if min(earlier["left"].n_unique(), later["left"].n_unique()) < 2:
        return  # nothing can be measured, which the gate will say
    categories = {name: modelling.most_frequent(earlier[name]) for name in making.CATEGORIES}
    features, judged = (modelling.matrix(part, making.FEATURES, categories) for part in (earlier, later))
    categorical = [making.FEATURES.index(name) for name in making.CATEGORIES]
    predicted = evaluation.backtest(features, earlier["left"].to_numpy(), judged, categorical, settings.model)
    scores = {name: evaluation.score(left, each) for name, each in predicted.items()}
    for metric, better in evaluation.METRICS.items():
        values = {name: score[metric] for name, score in scores.items()}
        run.measure(metric, values.pop(evaluation.MODEL), better=better, baselines=values)
    calibration = evaluation.calibration(left, predicted[evaluation.MODEL])
    most = max(max(point) for point in calibration)
    run.points(
        "Calibration: who left, by probability",
        {evaluation.MODEL: calibration, "ideal": [(0, 0), (most, most)]},
        x="probability",
        y="share that left",
    )
    run.points(
        "Precision and recall, from the riskiest on",
        {name: evaluation.precision_recall(left, predicted[name]) for name in (evaluation.MODEL, evaluation.LOGISTIC)},
        x="recall: share of those who left",
        y="precision",
    )


def review(run: Run, settings: Settings) -> None:
    """See who has left of those who were judged, at each past day whose horizon is over."""
    records, horizon = pl.read_parquet(run.path("records.parquet")), settings.examples.horizon_days
    today = making.last_cut(records, run.record.date)
    for day in reviewing.days(run, settings, "churn_scores", records, "recorded_at", horizon=horizon, until=today):
        scores = pl.concat(day.rows("probability"))
        left = scores["customer"].is_in(making.left_within(day.happened, day.date, horizon).implode()).to_numpy()
        if left.all() or not left.any():
            continue  # nothing can be measured
        before = making.labelled(records, [day.date - timedelta(days=horizon)], settings.examples)["left"]
        predicted = {evaluation.MODEL: scores["probability"].to_numpy()}
        if len(before):
            predicted[evaluation.PRIOR] = np.full(len(left), before.mean())
        found = {name: evaluation.score(left, each) for name, each in predicted.items()}
        for metric, better in evaluation.METRICS.items():
            values = {name: each[metric] for name, each in found.items()}
            value = values.pop(evaluation.MODEL)
            day.turned_out(metric, value, better=better, baselines=values, weight=int(left.sum()))
    reviewing.judge(run, settings)


def gate(run: Run, settings: Settings) -> None:
    """Let nothing pass that is not good enough."""
    leavers = int(run.record.numbers["held_out_leavers"])
    measured = {name: run.metric(name) for name in evaluation.METRICS if name in run.record.numbers}
    enforce(run, evaluation.judge(leavers, measured, settings.gate))


def predict(run: Run, settings: Settings, shard: Shard) -> None:
    """Judge the customers of a shard."""
    model = modelling.Model.load(run.path("model.joblib"))
    customers = pl.read_parquet(run.path("today.parquet"))
    mine = customers[shard.of(len(customers))]
    probability = pl.Series("probability", model.predict(mine, settings.model.threads), pl.Float64)
    scored = mine.select("customer", probability, pl.col("last_record").dt.date())
    scored.write_parquet(run.path("scores.parquet", shard))


def publish(run: Run, settings: Settings) -> None:
    """Put the day's rows in place, all at once."""
    scores = pl.read_parquet(run.paths("scores.parquet")).sort("probability", "customer", descending=[True, False])
    rows = scores.select("customer", pl.int_range(1, pl.len() + 1).alias("rank"), "probability", "last_record")
    published.publish(run, settings, {"churn_scores": rows})
    counts, edges = np.histogram(rows["probability"], bins=20, range=(0, 1))
    run.bars("Customers, by their probability", {f"{edge:.2f}": int(n) for edge, n in zip(edges, counts, strict=False)})


Step = Callable[..., None]  # of the run, the settings and, if it does its work in shards, a shard
STEPS: tuple[Step, ...] = (load, check, prepare, train, evaluate, review, gate, predict, publish)
