"""The row of the feature store: a day's rows in Feast, beside Feast's own write of the same frame."""

import json
from collections.abc import Iterator

import rig
from lab import Lab, Line

# In the project's environment: a run that publishes rows, and what follows.
OURS = """
import json, time
from datetime import date
import polars as pl
from {package} import pipeline
from {package}.ops import execute, publishers
from {package}.ops.published import Table, publish
from {package}.ops.settings import Stage, load

N = {rows}
rows = pl.DataFrame({{
    "customer": [f"C{{n:07d}}" for n in range(N)],
    **{{f"item_{{k}}": [f"Burger {{n * k % 100}} & fries" for n in range(N)] for k in range(1, 6)}},
    "score": [(n * 7919 % N) / N for n in range(N)],
}})
follow, times = publishers.follow, []

def step(run, settings):
    publish(run, settings, {{"visits": rows}})

def timed(*arguments):
    start = time.perf_counter()
    follow(*arguments)
    times.append(time.perf_counter() - start)

publishers.follow = timed
pipeline.TABLES = (Table("visits", key=("customer",)),)
execute.STEPS, execute.NAMES = (step,), ["step"]
execute.run_all(load(pipeline.Settings, Stage.develop), date(2026, 1, {day}))
print(json.dumps(times[0]))
"""
# In Feast's: the file of that day, by what its documentation says, in a process that begins with the import as well.
FLOOR = """
import time
start = time.perf_counter()
from datetime import timedelta
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.data_format import ParquetFormat
from feast.types import Float64, String

store = FeatureStore(repo_path="{folder}")
customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.STRING)
types = dict.fromkeys(["customer", *(f"item_{{k}}" for k in range(1, 6)), "date", "run_id", "git_commit"], String)
fields = [Field(name=name, dtype=dtype) for name, dtype in (types | {{"score": Float64}}).items()]
source = FileSource(path="{file}", timestamp_field="event_timestamp", file_format=ParquetFormat())
store.apply([customer, FeatureView(name="visits", entities=[customer], ttl=timedelta(0), schema=fields, source=source)])
store.write_to_online_store("visits", pd.read_parquet("{file}"))
print(time.perf_counter() - start)
"""
YAML = """
project: floor
provider: local
registry: registry.db
online_store:
  type: sqlite
  path: online.db
entity_key_serialization_version: 3
"""


def feast(lab: Lab) -> Iterator[Line]:
    """A day's rows to both of Feast's stores, read back from the database; beside one call for the same frame."""
    made = rig.generate(lab.template, lab.fresh(), features="feast")
    made.make("setup")
    rows, turns = 50_000, []
    for day in (1, 2, 3):  # each new, as the runs of a schedule are
        place = lab.fresh()
        project = made.with_env(
            BRANCH=place.name,
            DATABASE__URL=f"sqlite:///{place}.db",
            DATABASE__FEAST_URL=str(place),
            RUNS__FOLDER=str(lab.fresh()),
        )
        done = project.python(OURS.format(package=made.package, rows=rows, day=day))
        assert done.returncode == 0, done.stderr
        ours = json.loads(done.stdout.splitlines()[-1])
        floor = lab.fresh()
        floor.mkdir()
        (floor / "feature_store.yaml").write_text(YAML, encoding="utf-8")
        file = place / f"develop/visits/2026-01-0{day}.parquet"
        done = project.run(".venv-feast/bin/python", "-c", FLOOR.format(folder=floor, file=file))
        assert done.returncode == 0, done.stderr
        turns.append((ours, float(done.stdout.splitlines()[-1])))
    ours, least = (min(column) for column in zip(*turns, strict=True))
    remark = "both begin with the import of Feast"
    yield Line(f"{rows:,} rows to Feast, on SQLite", ours, "Feast's own write of the same frame", least, 1.3, remark)
