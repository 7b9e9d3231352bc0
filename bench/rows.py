"""The rows of the table: what a person waits for, each with its floor; here those of the first copy and of size."""

import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import dynamodb
import needs
import rig
import yaml
from catalogues import catalogue, films, shards, since
from containers import npm
from deploying import deployed, on_a_cluster, on_an_account
from developing import again, committing, devcontainer, developed
from features import feast
from lab import Lab, Line, best
from serving import served
from warehouse import parquet


def copy(lab: Lab) -> Iterator[Line]:
    """Generating a project, beside copying as many files in which nothing is filled in."""
    ours, floor = best(
        7,
        lambda: lab.seconds("copier", "copy", "--quiet", "--defaults", lab.template, lab.fresh()),
        lambda: lab.seconds("copier", "copy", "--quiet", lab.trivial, lab.fresh()),
    )
    yield Line("`copier copy --defaults`", ours, "a template of as many trivial files", floor, 1.3)


def from_nothing(lab: Lab) -> Iterator[Line]:
    """From nothing to the first recommendations, packages in uv's cache and no network asked."""

    def least() -> float:
        folder = lab.fresh()
        seconds = lab.seconds("copier", "copy", "--quiet", lab.empty, folder)
        for name in ("pyproject.toml", "uv.lock", "README.md"):
            shutil.copy(lab.project.folder / name, folder)
        shutil.copytree(lab.project.folder / "src", folder / "src")
        return seconds + lab.seconds("uv", "sync", "--quiet", "--no-dev", cwd=folder, UV_OFFLINE="1")

    ours, floor = best(3, lambda: _everything(lab), least)
    python, folder = lab.project.folder / ".venv/bin/python", lab.fresh()
    first = lab.seconds(python, "-c", "import numpy, polars", PYTHONPYCACHEPREFIX=str(folder))
    remark = f"Python compiles libraries at their first import: numpy and polars alone take {first:.2f} s"
    yield Line(
        "from nothing to recommendations", ours, "an empty template + `uv sync` of the runtime", floor, 3.5, remark
    )


def from_nothing_by_kedro(lab: Lab) -> Iterator[Line]:
    """From nothing to recommendations, beside Kedro's way to the results of its starter."""
    starter = Path(os.environ["KEDRO_STARTERS"]).resolve() / "spaceflights-pandas"
    _spaceflights(lab, starter, "0")
    ours, theirs = best(3, lambda: _everything(lab), lambda: _spaceflights(lab, starter, "1"))
    yield Line("from nothing to recommendations", ours, "to Kedro's spaceflights-pandas", theirs, 1 / 8)


def _everything(lab: Lab) -> float:
    """How long it takes from nothing to the first recommendations."""
    folder = lab.fresh()
    copied = lab.seconds("copier", "copy", "--quiet", "--defaults", lab.template, folder)
    return copied + lab.seconds("make", "develop", cwd=folder, UV_OFFLINE="1")


def _spaceflights(lab: Lab, starter: Path, offline: str) -> float:
    """How long Kedro's starter takes from nothing to its results, by what its documentation says, and uv."""
    folder = lab.fresh()
    folder.mkdir()
    answers = {"project_name": "Flights", "repo_name": "flights", "python_package": "flights"}
    (folder / "answers.yml").write_text(yaml.safe_dump(answers), encoding="utf-8")
    project = folder / "flights"

    def seconds(*command: str | Path, cwd: Path = project) -> float:
        return lab.seconds(*command, cwd=cwd, UV_OFFLINE=offline, DO_NOT_TRACK="1", VIRTUAL_ENV=str(project / ".venv"))

    new = ("kedro", "new", f"--starter={starter}", "--config=answers.yml", "--telemetry=no")
    return (
        seconds("uv", "tool", "run", *new, cwd=folder)
        + seconds("uv", "venv", "--quiet")
        + seconds("uv", "pip", "install", "--quiet", "--requirements", "requirements.txt")
        + seconds(project / ".venv/bin/kedro", "run")
    )


def tracked(lab: Lab) -> Iterator[Line]:
    """A run that MLflow keeps in its SQLite file, beside one that nobody keeps and the bare import."""
    folder = lab.fresh()
    project = rig.generate(lab.template, folder, tracking="mlflow")
    project.make("setup")
    lab.seconds(project.command, "run", cwd=folder)  # which makes the file
    importing = ["-c", "from mlflow import MlflowClient; import sqlalchemy, alembic"]

    def least() -> float:
        alone = lab.seconds(lab.project.command, "run", cwd=lab.project.folder)
        return alone + lab.seconds(folder / ".venv/bin/python", *importing, cwd=folder)

    ours, floor = best(5, lambda: lab.seconds(project.command, "run", cwd=folder), least)
    yield Line("a run that MLflow keeps", ours, "a run that nobody keeps + Python importing MLflow", floor, 2)


def growth(lab: Lab) -> Iterator[Line]:
    """The whole run at a million customers, beside a tenth of them."""

    def at(customers: int) -> tuple[float, float]:
        database = f"sqlite:///{lab.fresh()}.db"
        return lab.peak(lab.project.with_env(ORDERS__SAMPLE__CUSTOMERS=str(customers), DATABASE__URL=database))

    small, _ = min(at(100_000) for _ in range(3))
    seconds, memory = min(at(1_000_000) for _ in range(2))
    exponent = math.log10(seconds / small)
    over = "**over** " if exponent > 1.1 or memory > 3 or seconds > 20 else ""
    remark = f"{over}exponent {exponent:.2f} (at most 1.1), {memory:.1f} GB (at most 3), at most 20 s"
    yield Line("1 M customers, 5 M orders: the whole run", seconds, "100 k customers", small, 10**1.1, remark)


# In the project's environment: the same million rows published, and written in bulk into a table beside it.
PUBLISH = """
import json, time
from datetime import date
import polars as pl
from pydantic import SecretStr
from {package}.ops.store import Store

DAY, N = date(2026, 1, 1), 1_000_000
items = pl.Series([f"Burger {{n}} & fries" for n in range(100)])
rows = pl.DataFrame({{
    "stage": ["develop"] * N,
    "date": [DAY] * N,
    "customer": [f"C{{n:07d}}" for n in range(N)],
    **{{f"item_{{k}}": items.gather(pl.Series([(n * k) % 100 for n in range(N)])) for k in range(1, 6)}},
    "run_id": ["20260101T000000-abcdef"] * N,
    "git_commit": ["0123456789012345678901234567890123456789"] * N,
}})
times = []
for turn in range(3):
    with Store(SecretStr("{url}".format(turn=turn)), create=True) as store:
        connection = store._connection
        def write(sql):
            with connection.cursor() as cursor:
                cursor.execute(sql)
        if turn == 0 or store.kind == "sqlite":
            store.prepare()
            store.replace_day("develop", date(1999, 1, 1), rows.head(0))
        else:
            write("TRUNCATE recommendations")
            connection.commit()
        start = time.perf_counter()
        store.replace_day("develop", DAY, rows)
        ours = time.perf_counter() - start
        {floor}
        times.append((ours, *floors))
print(json.dumps([min(column) for column in zip(*times)]))
"""

FLOOR_POSTGRESQL = """
        rows.write_csv("{file}", include_header=False)
        floors = []
        for like in ("(LIKE recommendations INCLUDING ALL)", "(LIKE recommendations)"):
            write("DROP TABLE IF EXISTS floor")
            write("CREATE TABLE floor " + like)
            connection.commit()
            start = time.perf_counter()
            write("COPY floor FROM '{file}' CSV")
            connection.commit()
            floors.append(time.perf_counter() - start)
"""

FLOOR_SQLITE = """
        floors = []
        names = ", ".join('"' + name + '" TEXT' for name in rows.columns)
        for key in (", PRIMARY KEY (stage, date, customer)", ""):
            write("DROP TABLE IF EXISTS floor")
            write("CREATE TABLE floor (" + names + key + ")")
            connection.commit()
            start = time.perf_counter()
            store._append("floor", rows)
            connection.commit()
            floors.append(time.perf_counter() - start)
"""


def publish_postgresql(lab: Lab) -> Iterator[Line]:
    """A million rows to PostgreSQL, beside the bare bulk write of the same rows into the same and a bare table."""
    programs = rig.postgresql_programs()
    assert programs, "no PostgreSQL server's programs"
    with rig.postgresql_server(programs) as server:
        floor = FLOOR_POSTGRESQL.format(file=lab.folder / "rows.csv")
        yield _published(lab, "PostgreSQL", rig.new_database(server, lab.project), floor, "COPY from a file")


def publish_sqlite(lab: Lab) -> Iterator[Line]:
    """A million rows to SQLite, beside the bare bulk write of the same rows into the same and a bare table."""
    yield _published(lab, "SQLite", f"sqlite:///{lab.folder}/rows{{turn}}.db", FLOOR_SQLITE, "bulk insert")


def _published(lab: Lab, name: str, url: str, floor: str, bare: str) -> Line:
    script = PUBLISH.format(package=lab.project.package, url=url, floor=floor.strip())
    done = lab.project.python(script)
    assert done.returncode == 0, done.stderr
    ours, keyed, keyless = json.loads(done.stdout.splitlines()[-1])
    remark = f"into a table without a key the floor is {keyless:.2f} s: {ours / keyless:.2f} ×"
    return Line(f"1 M rows to {name}", ours, bare + ", same table", keyed, 2, remark)


# In the environment of a project on DynamoDB: the same rows published, and written by boto3 into a table beside it.
PUBLISH_DYNAMODB = """
import json, time
from datetime import date
from decimal import Decimal
import boto3
import polars as pl
from pydantic import SecretStr
from {package}.ops.published import Table
from {package}.ops.settings import Stage
from {package}.ops.databases import open_store

DAY, N = date(2026, 1, 1), 5_000
names = pl.Series([f"Burger {{n}} & fries" for n in range(100)])
rows = pl.DataFrame({{
    "stage": ["develop"] * N,
    "date": [DAY] * N,
    "customer": [f"C{{n:07d}}" for n in range(N)],
    **{{f"item_{{k}}": names.gather(pl.Series([(n * k) % 100 for n in range(N)])) for k in range(1, 6)}},
    "score": [n / N for n in range(N)],
    "run_id": ["20260101T000000-abcdef"] * N,
    "git_commit": ["0123456789012345678901234567890123456789"] * N,
}})
bare = boto3.resource("dynamodb", region_name="eu-central-1", endpoint_url="{address}").create_table(
    TableName="bare", BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{{"AttributeName": name, "AttributeType": "S"}} for name in ("customer", "date")],
    KeySchema=[{{"AttributeName": "customer", "KeyType": "HASH"}}, {{"AttributeName": "date", "KeyType": "RANGE"}}],
)
bare.wait_until_exists()
times = []
for turn in range(3):
    url = f"dynamodb://bench{{turn}}?region=eu-central-1&endpoint={address}"
    with open_store(SecretStr(url), create=True) as store:
        store.prepare()
        start = time.perf_counter()
        store.replace(Stage.develop, DAY, [(Table("recommendations", key=("customer",)), rows)])
        ours = time.perf_counter() - start
    start = time.perf_counter()
    with bare.batch_writer() as batch:
        for row in rows.iter_rows(named=True):
            batch.put_item(Item=row | {{"date": str(row["date"]), "score": Decimal(repr(row["score"]))}})
    times.append((ours, time.perf_counter() - start))
print(json.dumps([min(column) for column in zip(*times)]))
"""


def publish_dynamodb(lab: Lab) -> Iterator[Line]:
    """Five thousand rows into DynamoDB, as dynalite has it, beside boto3's own writer of the same rows."""
    npm.install("dynalite", dynamodb.DYNALITE)
    project = rig.generate(lab.template, lab.fresh(), database="dynamodb")
    project.make("setup")
    with dynamodb.serving("dynalite") as address:
        script = PUBLISH_DYNAMODB.format(package=project.package, address=address)
        done = replace(project, env=project.env | dynamodb.KEYS).python(script)
    assert done.returncode == 0, done.stderr
    ours, floor = json.loads(done.stdout.splitlines()[-1])
    yield Line("5 k rows to DynamoDB (dynalite)", ours, "boto3's `batch_writer`", floor, 2)


def first_look(lab: Lab) -> Iterator[Line]:
    """The first look from end to end, beside its imports."""
    python, file = lab.project.folder / ".venv/bin/python", lab.project.folder / "explore/first_look.py"
    imports = "".join(re.findall(r"^ +((?:from|import) .*\n)", file.read_text(encoding="utf-8"), re.MULTILINE))
    ours, floor = best(
        5,
        lambda: lab.seconds("make", "explore", "CHECK=1", cwd=lab.project.folder),
        lambda: lab.seconds(python, "-c", imports, cwd=lab.project.folder),
    )
    work = ours - floor
    remark = f"{work:.2f} s of work (at most 3)" if work < 3 else f"**{work:.2f} s of work, over 3**"
    yield Line("`make explore CHECK=1`", ours, "its imports alone", floor, remark=remark)


ROWS: tuple[Callable[[Lab], Iterator[Line]], ...] = (
    copy,
    from_nothing,
    from_nothing_by_kedro,
    again,
    first_look,
    committing,
    developed,
    deployed,
    on_a_cluster,
    on_an_account,
    devcontainer,
    tracked,
    growth,
    publish_postgresql,
    publish_sqlite,
    parquet,
    publish_dynamodb,
    served,
    feast,
    since,
    catalogue,
    shards,
    films,
)
NEEDS: dict[Callable[[Lab], Iterator[Line]], tuple[needs.Check, ...]] = {
    from_nothing_by_kedro: (needs.kedro,),
    developed: (needs.container_engine,),
    deployed: (needs.container_engine,),
    on_a_cluster: (needs.container_engine,),
    on_an_account: (needs.container_engine, needs.postgresql),
    devcontainer: (needs.container_engine, needs.npm),
    publish_postgresql: (needs.postgresql,),
    publish_dynamodb: (needs.npm,),
    served: (needs.postgresql,),
    growth: (needs.memory(3),),  # the most that a row may take
    catalogue: (needs.memory(4),),
    shards: (needs.memory(6),),
    films: (needs.memory(8),),
}
