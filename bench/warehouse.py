"""The row of what follows a day's rows: a million as Parquet, in a folder and in a bucket."""

import json
from collections.abc import Iterator
from dataclasses import replace

import s3
from lab import Lab, Line

# In the project's environment: a run that publishes a million rows, and what follows; beside polars' own file of them.
SCRIPT = """
import json, os, resource, time
from datetime import date
import polars as pl
from {package} import pipeline
from {package}.ops import execute, publishers
from {package}.ops.published import Table, publish
from {package}.ops.settings import Stage, load

N, place = 1_000_000, os.environ["{prefix}_DATABASE__PARQUET_URL"]
words = pl.Series([f"Burger {{n}} & fries" for n in range(100)])
rows = pl.DataFrame({{
    "customer": [f"C{{n:07d}}" for n in range(N)],
    **{{f"item_{{k}}": words.gather(pl.Series([(n * k) % 100 for n in range(N)])) for k in range(1, 6)}},
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
settings, floors, reads = load(pipeline.Settings, Stage.production), [], []
for turn in range(3):
    record = execute.run_all(settings, date(2026, 1, 1)).record
    by = pl.lit(record.run_id).alias("run_id"), pl.lit(record.git_commit).alias("git_commit")
    start = time.perf_counter()
    rows.with_columns(*by).write_parquet(f"{{place}}/floor.parquet", mkdir=True)
    floors.append(time.perf_counter() - start)
    start = time.perf_counter()
    for day in publishers._day(record, settings, pipeline.TABLES):
        for part in day.parts():
            pass
    reads.append(time.perf_counter() - start)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
print(json.dumps([min(times), min(floors), min(reads), memory]))
"""


def parquet(lab: Lab) -> Iterator[Line]:
    """A million rows, read back from the database, as Parquet; beside polars' own write of the frame to that place."""
    with s3.serving("warehouse") as reach:
        for name, place in (("a folder", str(lab.fresh())), ("S3, which moto serves", "s3://warehouse/results")):
            project = lab.project.with_env(
                DATABASE__URL=f"sqlite:///{lab.fresh()}.db",
                DATABASE__PARQUET_URL=place,
                RUNS__FOLDER=str(lab.fresh()),
            )
            project = replace(project, env=project.env | reach)
            done = project.python(SCRIPT.format(package=project.package, prefix=project.package.upper()))
            assert done.returncode == 0, done.stderr
            ours, floor, read, memory = json.loads(done.stdout.splitlines()[-1])
            remark = f"to read them back from SQLite takes {read:.2f} s of it; {memory:.1f} GB"
            yield Line(f"1 M rows as Parquet to {name}", ours, "polars' write of the same frame", floor, remark=remark)
