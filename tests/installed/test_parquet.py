"""Each day as Parquet, in a bucket and in a folder: the rows that the database has, and a whole day at any moment."""

import hashlib
import http.server
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb_reader
import pytest
import rig
import s3
import snippets
from rig import Project

DAY = "date=2026-11-01"
DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))
RUN = """
import json, os, sys
from datetime import date, datetime
from pathlib import Path
import polars as pl
from acme import pipeline
from acme.ops import earlier_rows, execute, object_store, publish_parquet, published, publishers, retention
from acme.ops.problems import Problem
from acme.ops.published import Table, publish
from acme.ops.settings import Stage, load

def run(day, run_id, stage="production", **tables):
    "A run that publishes tables, each with its key."
    def step(run, settings):
        publish(run, settings, {name: rows for name, (_, rows) in tables.items()})

    pipeline.TABLES = tuple(Table(name, key=key) for name, (key, _) in tables.items())
    execute.STEPS, execute.NAMES = (step,), ["step"]
    return execute.run_all(load(pipeline.Settings, Stage(stage)), date.fromisoformat(day), run_id)

def visits(expected, shops=5):
    rows = {"shop": [f"S{n:02}" for n in range(shops)], "expected": [expected + n for n in range(shops)]}
    return ("shop",), pl.DataFrame(rows)

def marked(folder):
    "What who reads by the marker sees: whose rows, and how many."
    folder = Path(folder)
    if not (folder / "_SUCCESS").exists():
        return None
    marker = json.loads((folder / "_SUCCESS").read_text())
    rows = pl.read_parquet([folder / file["name"] for file in marker["files"]])
    assert len(rows) == marker["rows"] and set(rows["run_id"]) <= {marker["run_id"]}
    return [marker["run_id"], rows["expected"].sum()]

"""


@pytest.fixture(scope="module")
def made(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of the example with a composite key, set up."""
    project = generate(tmp_path_factory.mktemp("parquet") / "acme", example="forecast", package="acme")
    project.make("setup")
    return project


@pytest.fixture
def shop(made: Project, tmp_path: Path) -> Project:
    """The project with a database, runs and a folder of Parquet files of the test's own."""
    return made.with_env(
        DATABASE__URL=f"sqlite:///{tmp_path}/results.db",
        DATABASE__PARQUET_URL=str(tmp_path / "out"),
        RUNS__FOLDER=str(tmp_path / "runs"),
    )


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """The environment by which programs reach a server with the bucket `warehouse`."""
    with s3.serving("warehouse") as reach:
        yield reach


def stored(shop: Project, database: str, request: pytest.FixtureRequest) -> Project:
    """The project with a database of that kind, empty."""
    if database == "sqlite":
        return shop
    return shop.with_env(DATABASE__URL=rig.new_database(request.getfixturevalue("postgresql"), shop))


def done(project: Project, script: str) -> Any:
    """What a script prints last, which follows RUN."""
    ended = project.python(RUN + script)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def in_database(project: Project, select: str) -> list[dict[str, Any]]:
    file = project.env["ACME_DATABASE__URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(select)]


BY_POLARS = """
import json, sys
import polars as pl
markers = pl.read_ndjson(sys.argv[1] + "/date=*/_SUCCESS", include_file_paths="marker").explode("files")
paths = [row["marker"].replace("_SUCCESS", row["files"]["name"]) for row in markers.iter_rows(named=True)]
rows = pl.read_parquet(paths, hive_partitioning=True)
print(json.dumps(rows.rows(named=True), default=str))
"""
BY_DUCKDB = """
SET VARIABLE files = (
    SELECT list(replace(filename, '_SUCCESS', file.name))
    FROM (SELECT filename, unnest(files) AS file FROM read_json('{table}/date=*/_SUCCESS', filename = true))
)"""


def read_by_both(project: Project, table: str, order: list[str], home: Path, reach: dict[str, str]) -> list[Any]:
    """A table's rows of all days, as Polars and DuckDB read them by their markers; they have to be the same."""
    done = project.run(".venv/bin/python", "-c", BY_POLARS, table)
    assert done.returncode == 0, done.stderr
    rows = sorted(json.loads(done.stdout), key=lambda row: [row[name] for name in order])
    select = f"SELECT * FROM read_parquet(getvariable('files'), hive_partitioning = true) ORDER BY {', '.join(order)}"
    assert duckdb_reader.read(home, reach, BY_DUCKDB.format(table=table), select) == rows
    return rows


def test_a_forecast_is_in_the_bucket_as_in_the_database(shop: Project, bucket: dict[str, str], tmp_path: Path) -> None:
    mine = replace(shop, env=shop.env | bucket).with_env(DATABASE__PARQUET_URL="s3://warehouse/results")
    for day in ("2026-11-01", "2026-11-02", "2026-11-02"):
        ended = mine.call("run", "--date", day)
        assert ended.returncode == 0, ended.stderr
    order = ["date", "store", "product", "forecast_date"]
    rows = read_by_both(mine, "s3://warehouse/results/forecasts/stage=develop", order, tmp_path, bucket)
    there = in_database(mine, f"SELECT * FROM forecasts ORDER BY {', '.join(order)}")
    assert len(rows) > 1000
    assert len({row["run_id"] for row in rows}) == 2
    assert rows == [{name: row[name] for name in rows[0]} for row in there]
    assert rows[0].keys() == there[0].keys()
    by_all = "SELECT count(*) AS rows FROM read_parquet('s3://warehouse/results/**/*.parquet')"
    assert duckdb_reader.read(tmp_path, bucket, by_all) == [{"rows": len(rows)}]  # those of the second run are gone


KINDS = """
earlier_rows.ROWS, publish_parquet.ROWS = 20, 50
rows = 130
whole = pl.DataFrame({
    "store": [f"Ä{n % 13}" for n in range(rows)],
    "until": [date(2026, 12, n // 13 + 1) for n in range(rows)],
    "number": [n - 2**60 for n in range(rows)],
    "share": [n / 7 if n % 3 else None for n in range(rows)],
    "good": [n % 2 == 0 for n in range(rows)],
    "moment": [datetime(2026, 1, 1, 12, 0, 0, n) for n in range(rows)],
    "said": [None if n % 5 else "it's, \\"so\\"\\n" for n in range(rows)],
}).sort("store", "until")
nothing = pl.DataFrame({"shop": [], "expected": []}, schema={"shop": pl.String, "expected": pl.Float64})
run("2026-11-01", "first", forecasts=(("store", "until"), whole), visits=(("shop",), nothing))
folder = Path(os.environ["ACME_DATABASE__PARQUET_URL"])
day = folder / "forecasts/stage=production/date=2026-11-01"
marker = json.loads((day / "_SUCCESS").read_text())
read = pl.read_parquet([day / file["name"] for file in marker["files"]])
assert read.drop("run_id", "git_commit").equals(whole), read
assert read.schema == whole.schema | {"run_id": pl.String, "git_commit": pl.String}, read.schema
empty = pl.read_parquet(folder / "visits/stage=production/date=2026-11-01/*.parquet")
assert empty.schema == nothing.schema | {"run_id": pl.String, "git_commit": pl.String} and empty.is_empty()
print(json.dumps(marker))
"""


@pytest.mark.parametrize("database", DATABASES)
def test_each_kind_of_column_comes_back_in_files_of_some_rows(
    shop: Project, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    marker = done(stored(shop, database, request), KINDS)
    day = tmp_path / "out/forecasts/stage=production" / DAY
    files = marker.pop("files")
    assert [file["rows"] for file in files] == [40, 40, 50]
    for file in files:
        content = (day / file["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    assert {file.name for file in day.iterdir()} == {"_SUCCESS", *(file["name"] for file in files)}
    assert marker.pop("written_at")
    assert marker == {
        "table": "forecasts",
        "key": ["store", "until"],
        "stage": "production",
        "date": "2026-11-01",
        "run_id": "first",
        "git_commit": shop.git("rev-parse", "HEAD"),
        "rows": 130,
    }
    where = f"'{tmp_path}/out/forecasts/**/*.parquet', hive_partitioning = true"
    both = "CAST(date AS TEXT) AS date, stage, min(moment) AS first, count(said) AS said, sum(share) AS share"
    rows = duckdb_reader.read(tmp_path, {}, f"SELECT {both} FROM read_parquet({where}) GROUP BY date, stage")
    assert rows == [
        {
            "date": "2026-11-01",
            "stage": "production",
            "first": "2026-01-01 12:00:00",
            "said": 26,
            "share": pytest.approx(sum(n / 7 for n in range(130) if n % 3)),
        }
    ]


KILLS = """
class Killed(BaseException):
    "This process is dead: nothing that it does reaches the store any more."

store, dead, calls = object_store.ObjectStore, [False], [0]

def killed_at(call, name):
    real = getattr(store, name)

    def acts(self, *arguments):
        if name != "remove" or arguments[0]:
            calls[0] += 1
            dead[0] = dead[0] or calls[0] == call
        if dead[0]:
            raise Killed
        return real(self, *arguments)

    return acts

root = os.environ["ACME_DATABASE__PARQUET_URL"]
places = [f"{root}/{table}/stage=production/date=2026-11-01" for table in ("sales", "visits")]
run("2026-11-01", "before", sales=visits(0), visits=visits(100))
old = [marked(place) for place in places]
real = {name: getattr(store, name) for name in ("put", "remove")}
seen, ended, call = [], False, 0
while not ended:
    call += 1
    dead[0], calls[0] = False, 0
    for name in real:
        setattr(store, name, killed_at(call, name))
    try:
        run("2026-11-01", f"at-{call}", sales=visits(1), visits=visits(101))
        ended = True
    except Problem:  # as which a run tells whatever it does not know
        assert dead[0]
    for name, method in real.items():
        setattr(store, name, method)
    seen.append([marked(place) for place in places])
left = [sorted(file.name for file in Path(place).iterdir()) for place in places]
print(json.dumps([old, seen, left]))
"""


def test_a_kill_at_any_point_leaves_the_day_before_the_run_or_after_it(shop: Project) -> None:
    old, seen, left = done(shop, KILLS)
    before, after = [10, 510], [15, 515]  # the sums of both tables
    assert old == [["before", 10], ["before", 510]]
    # At a file of each table, at the marker of each, and where the files of the run before go.
    sums = [[found[1] for found in tables] for tables in seen]
    assert sums == [before, before, before, [15, 510], after, after, after]
    runs = [[found[0] for found in tables] for tables in seen]
    assert runs[:5] == [["before", "before"]] * 3 + [["at-4", "before"], ["at-5", "at-5"]]
    assert runs[-1] == ["at-7", "at-7"]
    for names in left:  # what the killed ones left is gone
        assert len(names) == 2
        assert names[0] == "_SUCCESS"
        assert names[1].startswith("part-00000-at-7-")


KILLED = """
real = object_store.ObjectStore.put
def put(self, name, file):
    if sys.argv[1] == "killed" and name.endswith("_SUCCESS"):
        os.kill(os.getpid(), 9)
    real(self, name, file)
object_store.ObjectStore.put = put
run("2026-11-01", sys.argv[1], visits=visits(float(len(sys.argv[1]))))
"""


def test_a_run_that_is_killed_before_the_marker_is_done_again(shop: Project, tmp_path: Path) -> None:
    day = tmp_path / "out/visits/stage=production" / DAY

    def runs(name: str) -> tuple[int, str, int]:
        ended = shop.run(".venv/bin/python", "-c", RUN + KILLED, name)
        marker = json.loads((day / "_SUCCESS").read_text())
        return ended.returncode, marker["run_id"], len(list(day.glob("*.parquet")))

    assert runs("first") == (0, "first", 1)
    assert runs("killed") == (-9, "first", 2)
    assert {row["run_id"] for row in in_database(shop, "SELECT * FROM visits")} == {"killed"}
    assert list((tmp_path / "runs").glob("killed-*/*.partial"))  # which retention knows
    assert runs("again") == (0, "again", 1)


MEANWHILE = """
real, read = earlier_rows.Published.read, []
def reads(self, *arguments):
    yield from real(self, *arguments)
    read.append(self.run_id)
    if read == ["slow", "slow"]:
        run("2026-11-01", "quick", sales=visits(1), visits=visits(101, shops=3))
earlier_rows.Published.read = reads
slow = run("2026-11-01", "slow", sales=visits(0), visits=visits(100))
root = Path(os.environ["ACME_DATABASE__PARQUET_URL"])
found = [marked(place) for place in sorted(root.glob("*/stage=production/date=*"))]
print(json.dumps([slow.record.status, found, read, [file.name[:16] for file in root.rglob("*.parquet")]]))
"""


def test_another_run_of_the_day_meanwhile_is_the_one_that_counts(shop: Project) -> None:
    status, found, read, files = done(shop, MEANWHILE)
    assert status == "ok"
    assert found == [["quick", 15], ["quick", 306]]
    assert read == ["slow"] * 2 + ["quick"] * 4  # by itself, and once more by the slow one
    assert files == ["part-00000-quick"] * 2


OLD = """
root = Path(os.environ["ACME_DATABASE__PARQUET_URL"])
for day in ("2026-11-01", "2026-11-04", "2026-11-06"):
    run(day, f"run-{day}", visits=visits(0), sales=visits(1))
run("2026-11-01", "other", stage="develop", visits=visits(0), sales=visits(1))
os.environ["ACME_DATABASE__KEEP_DAYS"] = "100000"
run("2026-11-06", "all", visits=visits(0))
before = sorted(str(file.parent.relative_to(root)) for file in root.rglob("_SUCCESS"))
settings = load(pipeline.Settings, Stage.production)
settings = settings.model_copy(update={"database": settings.database.model_copy(update={"keep_days": 2})})
real, order = object_store.ObjectStore.remove, []
def remove(self, names):
    order.extend(name.rpartition("/")[2][:8] for name in names)
    real(self, names)
object_store.ObjectStore.remove = remove
retention.tidy(run("2026-11-06", "last", visits=visits(0)).record, settings)
after = sorted(str(file.parent.relative_to(root)) for file in root.rglob("*") if file.is_file())
print()
print(json.dumps([before, sorted(set(after)), order[-2:]]))
"""


def test_days_that_the_database_keeps_no_more_go(shop: Project) -> None:
    ended = shop.python(RUN + OLD)
    assert ended.returncode == 0, ended.stderr
    before, after, order = json.loads(ended.stdout.splitlines()[-1])
    assert set(before) - set(after) == {"visits/stage=production/date=2026-11-01"}  # sales are not declared any more
    assert set(after) <= set(before)
    assert order == ["_SUCCESS", "part-000"]
    assert "removed the Parquet files of 1 day before 2026-11-04" in ended.stderr + ended.stdout
    kept = {row["date"] for row in in_database(shop, "SELECT * FROM visits") if row["stage"] == "production"}
    assert kept == {"2026-11-04", "2026-11-06"}


class Denying(http.server.BaseHTTPRequestHandler):
    """An S3 server that lets nobody in."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


WRONG = """
import contextlib
found = []
stage = sys.argv[2]
for url, endpoint in json.loads(sys.argv[1]):
    os.environ["ACME_DATABASE__PARQUET_URL"], os.environ["AWS_ENDPOINT_URL"] = url, endpoint
    try:
        run("2026-11-01", None, stage, visits=visits(0))
        found.append("")
    except Problem as problem:
        found.append(str(problem))
runs = list(Path(os.environ["ACME_RUNS__FOLDER"]).glob("*"))
print(json.dumps([found, len(runs)]))
"""


def test_a_place_that_is_none_is_told_before_anything_is_done(
    shop: Project, bucket: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    server = http.server.HTTPServer(("127.0.0.1", 0), Denying)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mine = replace(shop, env=shop.env | bucket | {"AWS_SECRET_ACCESS_KEY": "hidden"})  # pragma: allowlist secret
    there = bucket["AWS_ENDPOINT_URL"]
    known = "s3://, gs://, az://, file:// and a folder's path are"
    where = "develop/platform.toml: database.parquet_url"
    told = {
        ("s3://nowhere/x", there): "s3://nowhere/x: The specified bucket does not exist",
        ("s3://warehouse/x", f"http://127.0.0.1:{server.server_port}"): "s3://warehouse/x: Access Denied",
        ("http://warehouse/x", there): f"{where}: http:// is not known: {known}",
        ("s3:/warehouse", there): f"{where}: s3: is not known: {known}",
        ("s3://" + "key:hidden@warehouse", there): f"{where}: a place alone is expected: credentials come from the "
        "environment",
        ("az://container", there): "az://container: Generic MicrosoftAzure error: Account must be specified",
        ("file://folder", there): f"{where}: file:///FOLDER is expected, or a folder's path alone",
        (f"{tmp_path}/file", there): f"{tmp_path}/file: File exists (os error 17)",
        (f"file://{tmp_path}/a%20folder", there): "",
    }
    ended = mine.run(".venv/bin/python", "-c", RUN + WRONG, json.dumps(list(told)), "develop")
    server.shutdown()
    assert ended.returncode == 0, ended.stderr
    found, runs = json.loads(ended.stdout.splitlines()[-1])
    assert found == list(told.values())
    assert runs == 1  # that of the place that is there
    assert "hidden" not in ended.stdout + ended.stderr
    assert (tmp_path / "a folder/visits/stage=develop" / DAY / "_SUCCESS").exists()
    ended = mine.run(".venv/bin/python", "-c", RUN + WRONG, json.dumps([["s3://nowhere", there]]), "production")
    problem = "s3://nowhere: The specified bucket does not exist"
    assert json.loads(ended.stdout.splitlines()[-1])[0] == [
        f"{problem}; the database has the rows of 2026-11-01, s3://nowhere may not: run that day again, which does no "
        "harm"
    ]
    stages = [row["stage"] for row in in_database(mine, "SELECT stage FROM visits")]
    assert stages.count("production") == 5  # of whoever reads the database


LOST = """
real = object_store.ObjectStore.put
def put(self, name, file):
    if "part-" in name:
        raise Problem(f"{self.url}: Service Unavailable")
    real(self, name, file)
object_store.ObjectStore.put = put
problem = ""
try:
    run("2026-11-01", "lost", visits=visits(0))
except Problem as error:
    problem = str(error)
object_store.ObjectStore.put = real
run("2026-11-01", "again", visits=visits(0))
root = os.environ["ACME_DATABASE__PARQUET_URL"]
print(json.dumps([problem, marked(f"{root}/visits/stage=production/date=2026-11-01")]))
"""


def test_a_place_that_is_lost_meanwhile_fails_the_run_and_not_the_rows(shop: Project, tmp_path: Path) -> None:
    problem, found = done(shop, LOST)
    place = tmp_path / "out"
    assert problem == (
        f"{place}: Service Unavailable; the database has the rows of 2026-11-01, {place} may not: run that day again, "
        "which does no harm"
    )
    assert found == ["again", 10]


NOTHING = """
from acme.ops import dry_run
with dry_run.no_writing():
    publishers.follow(None, load(pipeline.Settings, Stage.production), [])
os.environ["ACME_DATABASE__PARQUET_URL"] = ""
del sys.modules["acme.ops.publish_parquet"]
run("2026-11-01", "first", visits=visits(0))
print(json.dumps([name for name in ("obstore", "acme.ops.publish_parquet") if name in sys.modules]))
"""


def test_nothing_follows_in_a_trial_nor_where_no_place_is_named(shop: Project, tmp_path: Path) -> None:
    assert done(shop, NOTHING) == []
    assert not (tmp_path / "out").exists()
    assert len(in_database(shop, "SELECT * FROM visits")) == 5


UNFOLLOWED = """
from acme.ops.store import Store
def step(run, settings):
    with Store(settings.database.url) as store:
        store.replace_day(run.record.stage, run.record.date, pl.DataFrame({
            "stage": ["production"], "date": [run.record.date], "shop": ["A"], "run_id": ["r"], "git_commit": ["c"]}))
pipeline.TABLES = (Table("visits", key=("shop",)),)
execute.STEPS, execute.NAMES = (step,), ["step"]
execute.run_all(load(pipeline.Settings, Stage.production), date(2026, 11, 1), "old")
"""


def test_a_pipeline_of_an_early_release_is_told_that_nothing_follows(shop: Project, tmp_path: Path) -> None:
    ended = shop.python(RUN + UNFOLLOWED)
    assert ended.returncode == 0, ended.stderr
    assert "no step has called publish of ops.published" in ended.stderr + ended.stdout


PAGE = "read-the-results.md"
# The other pages whose code is executed, by which file of tests, and in which language each block is.
ELSEWHERE = {
    "dynamodb.md": ("tests/installed/test_dynamodb.py", ["python"] * 2),
    "feast.md": ("tests/installed/test_feast.py", ["python"] * 2 + ["yaml"]),
    "serving.md": ("tests/installed/test_serving.py", ["python"] * 5),
    "sweeps.md": ("tests/installed/test_sweep.py", ["toml", "toml", "sh"]),
}
VISITS = """
for number, day in enumerate(("2026-10-31", "2026-11-01")):
    run(day, f"run-{day}", visits=visits(number * 100.0))
print(1)
"""
OF_POSTGRESQL = """
import json, sys
import adbc_driver_postgresql.dbapi as driver
with driver.connect(sys.argv[1]) as connection, connection.cursor() as cursor:
    cursor.execute(sys.argv[2])
    print(json.dumps(cursor.fetch_polars().rows(named=True), default=str))
"""
CALL = """
import json, sys
exec(sys.argv[1])
print(json.dumps(rows.rows(named=True), default=str))
"""


def newest(project: Project, *columns: str) -> list[dict[str, Any]]:
    """The rows of the newest day that VISITS publishes."""
    by = {"date": "2026-11-01", "run_id": "run-2026-11-01", "git_commit": project.git("rev-parse", "HEAD")}
    rows = [by | {"stage": "production", "shop": f"S{n:02}", "expected": 100.0 + n} for n in range(5)]
    return [{name: row[name] for name in columns or row} for row in rows]


def test_all_code_on_a_page_that_says_so_is_executed(made: Project) -> None:
    pages = snippets.marked()
    assert pages.keys() == {PAGE, *ELSEWHERE}
    for page, (file, languages) in ELSEWHERE.items():
        text = (rig.ROOT / file).read_text(encoding="utf-8")
        assert "snippets.blocks(" in text, file
        assert page in text, file
        found = snippets.blocks(pages[page])
        assert [block.language for block in found] == languages, page
        for name in (name for block in found for name in block.defines()):
            assert re.search(rf"\b{name}\(", text), f"{page}: {file} does not call {name}"
    blocks = [(block.heading, block.language) for block in snippets.blocks(made.folder / "docs" / PAGE)]
    assert blocks == [("SQL", "sql")] * 2 + [("DuckDB", "sql"), ("Polars", "python")]


@pytest.mark.parametrize("database", DATABASES)
def test_the_sql_of_the_page_finds_the_newest_day(
    shop: Project, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    mine = stored(shop, database, request)
    done(mine, VISITS)
    found: list[list[dict[str, Any]]] = []
    for block in snippets.blocks(mine.folder / "docs" / PAGE)[:2]:
        bare = block.code.strip().removesuffix(";")  # which not every driver takes
        if database == "sqlite":
            found.append(in_database(mine, bare))
        else:
            ended = mine.run(".venv/bin/python", "-c", OF_POSTGRESQL, mine.env["ACME_DATABASE__URL"], bare)
            assert ended.returncode == 0, ended.stderr
            found.append(json.loads(ended.stdout))
    assert found[0] == [newest(mine, "date", "shop", "expected", "run_id", "git_commit")[3]]
    assert all(row.pop("started_at") for row in found[1])
    assert found[1] == newest(mine, "shop", "expected", "run_id", "git_commit")


def test_the_code_of_the_page_reads_the_bucket(shop: Project, bucket: dict[str, str], tmp_path: Path) -> None:
    mine = replace(shop, env=shop.env | bucket).with_env(DATABASE__PARQUET_URL="s3://warehouse/results")
    done(mine, VISITS)
    by_duckdb, by_polars = snippets.blocks(mine.folder / "docs" / PAGE)[2:]
    statements = [statement for statement in re.split(r";\n", by_duckdb.code) if statement.strip()]
    rows = duckdb_reader.read(tmp_path, bucket, *statements)
    assert [row for row in sorted(rows, key=str) if row["date"] == "2026-11-01"] == newest(mine)
    assert len(rows) == 10
    ended = mine.run(".venv/bin/python", "-c", CALL, by_polars.code)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == newest(mine)
