"""Yours: the steps, in order, and the tables that they publish.

A step takes what it needs from the run's folder and leaves its result there, so that each step can run in a process, or
on a machine, of its own. docs/own-model.md shows where a model, its metrics and its gates go.
"""

from collections.abc import Callable

import polars as pl
from pydantic_settings import SettingsConfigDict

from .data import SCHEMA, DataSettings, make_up
from .ops import published
from .ops.ingest import checked, fetch
from .ops.published import Table
from .ops.runs import Run
from .ops.settings import StageSettings

TABLES = (Table("predictions", key=("id",)),)


class Settings(StageSettings):
    """All that a stage's settings may hold."""

    model_config = SettingsConfigDict(extra="forbid")

    data: DataSettings = DataSettings()


def load(run: Run, settings: Settings) -> None:
    """Fetch the rows as they are."""
    fetch(run, settings.data, make_up)


def publish(run: Run, settings: Settings) -> None:
    """Predict the mean for every row that fits the schema, and put the day's rows in place, all at once."""
    rows = checked(run, settings.data, SCHEMA)
    predictions = rows.select("id", prediction=pl.col("value").mean())
    published.publish(run, settings, {"predictions": predictions})


Step = Callable[..., None]  # of the run, the settings and, if it does its work in shards, a shard
STEPS: tuple[Step, ...] = (load, publish)
