"""The rows of size: whole runs on made-up orders of real catalogues and of more orders than memory holds."""

import math
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import rig
from lab import LIMIT, Lab, Line
from rig import Project

SHOPS = Path(__file__).with_name("shops.py")


@dataclass(frozen=True, order=True)
class Whole:
    """A whole run: its seconds, the most memory in GB, and the file that it published to."""

    seconds: float
    memory: float
    database: Path

    @property
    def told(self) -> str:
        """The memory, for a remark."""
        return f"{self.memory:.1f} GB"


@contextmanager
def orders(lab: Lab, kind: str, customers: int, count: int, items: int) -> Iterator[str]:
    """The source of made-up orders, which lie in a folder until the end."""
    with tempfile.TemporaryDirectory(dir=lab.folder) as folder:
        python = lab.project.folder / ".venv/bin/python"
        made = subprocess.run(
            [python, SHOPS, kind, str(customers), str(count), str(items), f"{folder}/orders"],
            env=rig.environment(),
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stderr
        yield made.stdout.strip()


@contextmanager
def whole(lab: Lab, source: str, project: Project | None = None, shards: int = 1) -> Iterator[Whole]:
    """A whole run on orders; what it writes is there until the end. The gate takes any result."""
    project = project or lab.project
    with tempfile.TemporaryDirectory(dir=lab.folder) as folder:
        database = Path(folder, "rows.db")
        settings = {
            "ORDERS__SOURCE": source,
            "DATABASE__URL": f"sqlite:///{database}",
            "RUNS__FOLDER": f"{folder}/runs",
            "RUNS__SHARDS": str(shards),
            "GATE__MIN_LIFT": "0",
        }
        seconds, memory = lab.peak(project.with_env(**settings))
        yield Whole(seconds, memory, database)


def least(lab: Lab, times: int, source: str, project: Project | None = None) -> Whole:
    """The fastest of some whole runs."""
    runs = []
    for _ in range(times):
        with whole(lab, source, project) as run:
            runs.append(run)
    return min(runs)


def since(lab: Lab) -> Iterator[Line]:
    """The whole run at a million customers, beside that of 0.9.0."""
    before = rig.generate(lab.template, lab.fresh(), "0.9.0")
    before.make("setup")
    with orders(lab, "shop", 1_000_000, 5_000_000, 100) as source:
        turns = [(least(lab, 1, source), least(lab, 1, source, before)) for _ in range(5)]
    now, then = (min(runs) for runs in zip(*turns, strict=True))
    what = "1 M customers, 5 M orders, 100 items: the whole run"
    yield Line(what, now.seconds, "0.9.0 on the same orders", then.seconds, 0.7, f"{now.told}, and {then.told}")


def catalogue(lab: Lab) -> Iterator[Line]:
    """200,000 customers with 5 M orders: of 10,000 items beside implicit, and of ten times as many."""
    with orders(lab, "shop", 200_000, 5_000_000, 10_000) as source:
        ours, theirs = _fitted(lab, source)
        small = least(lab, 2, source)
    what = "5 M orders, 200,000 customers, 10,000 items: fit and recommend for all"
    yield Line(what, ours, "implicit's ItemItemRecommender, K=100", theirs, 1, f"the whole run {small.seconds:.1f} s")
    with orders(lab, "shop", 200_000, 5_000_000, 100_000) as source:
        large = least(lab, 2, source)
    over = "**over** " if large.memory > 4 else ""
    remark = f"{over}{large.told} (at most 4), and {small.told}"
    yield Line("the same with 100,000 items: the whole run", large.seconds, "10,000 items", small.seconds, 2.5, remark)


def shards(lab: Lab) -> Iterator[Line]:
    """10 M customers in eight shards, one after the other, beside a tenth; whose shards give what one gives."""
    with orders(lab, "shop", 1_000_000, 5_000_000, 1_000) as source:
        with whole(lab, source) as one, whole(lab, source, shards=8) as eight:
            compared = _compared(one.database, eight.database)
        small = min(one, eight)
    with orders(lab, "shop", 10_000_000, 50_000_000, 1_000) as source, whole(lab, source, shards=8) as large:
        pass
    exponent = math.log10(large.seconds / small.seconds)
    over = "**over** " if exponent > 1.1 or large.memory > 6 or "differ" in compared else ""
    remark = f"{over}exponent {exponent:.2f} (at most 1.1), {large.told} (at most 6), {compared}"
    what = "10 M customers, 50 M orders, 1,000 items, 8 shards: the whole run"
    yield Line(what, large.seconds, "1 M customers, 5 M orders", small.seconds, 10**1.1, remark)


def films(lab: Lab) -> Iterator[Line]:
    """Ratings in MovieLens' shape: 25 M of 60,000 films; beside a tenth of the customers."""
    with orders(lab, "films", 16_000, 2_500_000, 60_000) as source:
        small = least(lab, 1, source)
    with orders(lab, "films", 160_000, 25_000_000, 60_000) as source:
        large = least(lab, 1, source)
    over = "**over** " if large.memory > 8 else ""
    remark = f"{over}{large.told} (at most 8)"
    what = "25 M ratings in MovieLens' shape, 160,000 customers, 60,000 items: the whole run"
    yield Line(what, large.seconds, "a tenth of the customers", small.seconds, remark=remark)


# Both get the matrix of all orders, customers by items, and their time is that of the fit and of all recommendations.
MATRIX = """
import sys, time
import numpy as np
import polars as pl
import scipy.sparse as sp

orders = pl.read_parquet(sys.argv[1], columns=["customer", "item"])
codes = [orders[name].cast(pl.Enum(orders[name].unique().sort())).to_physical().to_numpy() for name in orders.columns]
history = sp.csr_matrix((np.ones(len(orders)), codes))
"""
OURS = """
from {package} import model

history = sp.csr_array(history)
start = time.perf_counter()
found = sum(map(len, model.recommend(model.fit(history), history, 5)))
print(time.perf_counter() - start)
assert found == history.shape[0]
"""
THEIRS = """
from implicit.nearest_neighbours import ItemItemRecommender

start = time.perf_counter()
model = ItemItemRecommender(K=100)
model.fit(history, show_progress=False)
items, _ = model.recommend(np.arange(history.shape[0]), history, N=5, filter_already_liked_items=False)
print(time.perf_counter() - start)
assert len(items) == history.shape[0]
"""
LIBRARIES = ("implicit==0.7.*", "polars")


def _fitted(lab: Lab, source: str) -> tuple[float, float]:
    """Seconds to fit and to recommend for all: ours, and implicit's in an environment of its own."""
    others = lab.fresh() / "bin/python"
    lab.seconds("uv", "venv", "--quiet", others.parent.parent)
    lab.seconds("uv", "pip", "install", "--quiet", f"--python={others}", *LIBRARIES)
    mine = lab.project.folder / ".venv/bin/python", MATRIX + OURS.format(package=lab.project.package)
    turns = [[_printed(*mine, source), _printed(others, MATRIX + THEIRS, source)] for _ in range(3)]
    shutil.rmtree(others.parent.parent)
    ours, theirs = (min(seconds) for seconds in zip(*turns, strict=True))
    return ours, theirs


def _printed(python: Path, script: str, source: str) -> float:
    """The seconds that a script prints."""
    env = rig.environment() | {"OPENBLAS_NUM_THREADS": "1"}  # as implicit asks for
    done = subprocess.run([python, "-c", script, source], env=env, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def _compared(one: Path, other: Path) -> str:
    """Whether two databases have the same rows, in words."""
    with closing(sqlite3.connect(one)) as database:
        database.execute("ATTACH ? AS other", (str(other),))
        names = [name for _, name, *_ in database.execute("PRAGMA table_info(recommendations)") if name != "run_id"]
        rows = [f"SELECT {', '.join(names)} FROM {of}.recommendations" for of in ("main", "other")]
        count, others = (database.execute(f"SELECT count(*) FROM ({each})").fetchone()[0] for each in rows)
        (lacking,) = database.execute(f"SELECT count(*) FROM ({rows[0]} EXCEPT {rows[1]})").fetchone()
    if lacking or count != others:
        return f"{lacking:,} of {count:,} rows of 1 shard differ from the {others:,} of 8"
    return f"all {count:,} rows of 8 shards as of 1"
