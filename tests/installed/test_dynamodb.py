"""Rows that go to DynamoDB: two servers that know nothing of each other, moto's and dynalite of npm."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import copier
import dynamodb
import pytest
import rig
import snippets
from boto3.dynamodb.conditions import Key  # type: ignore[import-untyped]
from dynamodb import KEYS, REGION, Answer, Proxy, Request, error
from lived_in import change
from rig import Project

OWN = """
import json
import sys
from datetime import date, datetime, timedelta

import polars as pl
from {package}.ops import catalogue, dry_run, earlier_rows, records, results
from {package}.ops.problems import Problem
from {package}.ops.published import Table
from {package}.ops.runs import Record
from {package}.ops.settings import SecretStr, Stage
from {package}.ops.databases import Wanted, open_store

URL = SecretStr("{url}")
DAY, S = date(2026, 11, 1), Stage.develop
VISITS, TIMES = Table("visits", key=("shop", "day")), Table("times", key=("at", "open"))

def full(rows, run, day=DAY):
    own = [pl.lit("develop").alias("stage"), pl.lit(day).alias("date"), pl.all()]
    return rows.select(*own, pl.lit(run).alias("run_id"), pl.lit("c" * 40).alias("git_commit"))

def visits(count, value=0.5):
    shops = [f"S{{number:04}}" for number in range(count)]
    return pl.DataFrame({{"shop": shops}}).with_columns(day=pl.lit(DAY), sold=pl.lit(value), text=pl.col("shop"))

def times(count):
    at = [datetime(2026, 11, 1, 12) + timedelta(minutes=number) for number in range(count)]
    return pl.DataFrame({{"at": at}}).with_columns(open=pl.col("at").dt.minute() % 2 == 0, value=pl.lit(7))

def put(run, count=130, value=0.5, day=DAY, keep_days=0):
    with open_store(URL, create=True, keep_days=keep_days) as store:
        store.prepare()
        both = [(VISITS, full(visits(count, value), run, day)), (TIMES, full(times(count // 2), run, day))]
        return store.replace(S, day, both)
"""

# The runs of production, in the order in which they began: their kinds, their days, and which days they reviewed.
RUNS = """
import json
from {package}.ops.databases import Wanted, open_store
from {package}.ops.settings import Stage, StageSettings, load

with open_store(load(StageSettings, Stage.production).database.url) as store:
    runs = store.runs(Stage.production, Wanted())[::-1]
    told = [(run.run_id, run.kind, str(run.date), [review["date"] for review in run.reviews]) for run in runs]
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Place:
    """A server with tables of a test's own, by a proxy."""

    project: Project
    proxy: Proxy
    behind: str
    prefix: str

    @property
    def url(self) -> str:
        return f"dynamodb://{self.prefix}?region={REGION}&endpoint={self.proxy.address}&writers=3"

    def script(self, text: str) -> str:
        return OWN.format(package=self.project.package, url=self.url) + text

    def does(self, text: str) -> Any:
        """What a script puts into `out`."""
        done = self.project.python("out = {}\n" + self.script(text) + "\nprint(json.dumps(out, default=str))")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def begins(self, text: str) -> subprocess.Popen[str]:
        """A script in the background."""
        command = [str(self.project.folder / ".venv/bin/python"), "-c", self.script(text)]
        env = rig.environment() | self.project.env
        return subprocess.Popen(command, cwd=self.project.folder, env=env, stderr=subprocess.PIPE, text=True)

    def table(self, kind: str) -> Any:
        return _table(self.behind, f"{self.prefix}-{kind}")

    def snapshot(self, stage: str = "develop") -> tuple[str, int, int] | None:
        """What a reader sees of the newest day, by the documentation's two steps: the run, and its rows of each table.

        Each row is got by its key, as a service does; those that are not there are not counted.
        """
        rows = self.table("rows")
        found = rows.query(KeyConditionExpression=Key("row-key").eq(stage), ScanIndexForward=False, Limit=1)["Items"]
        if not found:
            return None
        tables = found[0]["tables"]
        there = []
        for name, count in (("visits", 130), ("times", 65)):
            at = [
                f"2026-11-01T{12 + n // 60}:{n % 60:02}:00.000000#{'true' if n % 2 == 0 else 'false'}"
                for n in range(count)
            ]
            keys = [f"S{n:04}#2026-11-01" for n in range(count)] if name == "visits" else at
            got = [
                rows.get_item(Key={"row-key": f"{stage}#{name}#{key}", "day-run": tables[name]["version"]}).get("Item")
                for key in (keys[0], keys[count // 3], keys[-1])
            ]
            there.append(sum(each is not None and each["run_id"] == tables[name]["run_id"] for each in got))
        assert len({each["run_id"] for each in tables.values()}) == 1, tables
        return (tables["visits"]["run_id"], *there)


@cache
def _table(address: str, name: str) -> Any:
    how = {"endpoint_url": address, "region_name": REGION}
    given = {"aws_access_key_id": "tests", "aws_secret_access_key": "tests"}  # pragma: allowlist secret
    return boto3.resource("dynamodb", **how, **given).Table(name)


@pytest.fixture(scope="module", params=dynamodb.SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of each of the servers."""
    with dynamodb.serving(request.param) as address:
        yield address


@pytest.fixture(scope="module")
def made(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose answer is DynamoDB, set up."""
    project = generate(tmp_path_factory.mktemp("dynamodb") / "burger", database="dynamodb")
    project.make("setup")
    return replace(project, env=project.env | KEYS)


@pytest.fixture
def place(server: str, made: Project, tmp_path: Path) -> Iterator[Place]:
    """Tables of a test's own."""
    proxy = Proxy(server)
    mine = made.with_env(RUNS__FOLDER=str(tmp_path / "runs"))
    yield Place(mine, proxy, server, f"t{time.time_ns()}")
    proxy.close()


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_a_day_from_the_run_to_the_trace_is_as_in_sqlite(place: Place, tmp_path: Path) -> None:
    here = place.project.with_env(ORDERS__SAMPLE__CUSTOMERS="150", DATABASE__URL=place.url)
    there = here.with_env(DATABASE__URL=f"sqlite:///{tmp_path}/results.db", RUNS__FOLDER=str(tmp_path / "others"))
    told = []
    for project in (there, here):
        for run in ("one", "two"):
            done = project.call("run", "--stage", "develop", "--date", "2026-11-02", "--run-id", run)
            assert done.returncode == 0, done.stdout + done.stderr
        all_of = json.loads(project.call("results", "--stage", "develop", "--rows", "1000", "--json").stdout)
        (table,) = all_of["tables"].values()
        key = table["rows"][3]["customer"]
        traced = json.loads(project.call("trace", "--stage", "develop", "--key", key, "--json").stdout)
        status = project.status()["develop"]["published"]
        told.append((all_of["run"], all_of["date"], all_of["tables"], traced["tables"], traced["inputs"]))
        assert re.match("151 rows of recommendations for 2026-11-02, .* by two of", status), status
        assert (all_of["run"], table["total"], len(table["rows"])) == ("two", 151, 151)
    assert told[0] == told[1]
    assert all_of["database"] == f"dynamodb://{place.prefix}"
    past = here.call("backfill", "--stage", "develop", "--from", "2026-11-01", "--to", "2026-11-02")
    assert past.returncode == 0, past.stdout + past.stderr
    days = place.table("rows").query(KeyConditionExpression=Key("row-key").eq("develop"))["Items"]
    assert [each["day-run"] for each in days] == ["2026-11-01", "2026-11-02"]


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_production_reviews_its_days_and_does_those_again_whose_data_came_late(place: Place, tmp_path: Path) -> None:
    """With the URL that production's settings have, and no other database anywhere."""
    today = datetime.now(UTC).date()
    earlier, before, day = (today - timedelta(days=number) for number in (2, 1, 0))
    file = tmp_path / "orders.csv"
    lines = [
        f"C{n % 40:02},I{n % 40 % 4}{n // 40 % 4},{today - timedelta(days=40 - n // 30)} {8 + n % 14:02}:00:00,1"
        for n in range(40 * 30)
    ]
    file.write_text("\n".join(["customer,item,ordered_at,quantity", *lines, ""]))
    project = place.project
    mine = replace(project, env=project.env | {"AWS_ENDPOINT_URL": place.behind})
    mine = mine.with_env(ORDERS__SOURCE=str(file), GATE__MIN_LIFT="0", GATE__MIN_HITS="0")
    mine = mine.with_env(BRANCH=f"b{time.time_ns()}", MONITORING__REVIEW__MIN_WEIGHT="0")
    prefix = f"burger-combos-{mine.env['BURGER_COMBOS_BRANCH']}"

    def does(*arguments: str) -> str:
        done = mine.call(*arguments, "--stage", "production")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    does("backfill", "--from", str(earlier), "--to", str(before))
    does("run", "--run-id", "daily")
    with file.open("a") as more:
        more.write(f"C01,I10,{earlier} 12:00:00,1\n")
    again = f"{before} is done again: its data changed: 30 rows of {earlier} then, 31 now"
    assert again in does("run", "--run-id", "second")
    assert again in does("logs", "--run", "second")
    assert "done again" not in does("logs")  # of the newest run, which is the one of the day before
    runs = json.loads(mine.python(RUNS.format(package=mine.package)).stdout)
    past, late = [["backfill", str(earlier)], ["backfill", str(before)]], [["late data", str(before)]]
    assert [run[1:3] for run in runs] == [*past, ["daily", str(day)], ["daily", str(day)], *late]
    assert [reviewed for *_, reviewed in runs[2:4]] == [[str(earlier), str(before)]] * 2
    traced = json.loads(does("trace", "--key", "C01", "--json"))
    assert (traced["date"], traced["run"], traced["inputs"]["matching"]) == (str(day), "second", 31)
    assert [row["customer"] for row in traced["tables"]["recommendations"]["rows"]] == ["C01"]
    of_before = json.loads(does("results", "--date", str(before), "--json"))
    assert of_before["run"] == runs[-1][0]
    pointers = _table(place.behind, f"{prefix}-rows").query(KeyConditionExpression=Key("row-key").eq("production"))
    assert [each["day-run"] for each in pointers["Items"]] == [str(earlier), str(before), str(day)]
    assert not list(project.folder.glob("var/production/*.db"))


def test_what_dynamodb_does_not_take_at_once_comes_in_the_end(place: Place) -> None:
    turns = {"count": 0}
    left: list[int] = []

    def fault(operation: str, asked: Request, forward: Callable[[Request], Answer]) -> Answer:
        turns["count"] += 1
        if operation == "BatchWriteItem" and turns["count"] % 2:
            ((table, requests),) = asked["RequestItems"].items()
            status, told = forward({"RequestItems": {table: requests[:7]}})
            left.append(len(requests[7:]))
            return status, told | {"UnprocessedItems": {table: requests[7:]} if requests[7:] else {}}
        if turns["count"] % 5 == 0:
            return error("ProvisionedThroughputExceededException")
        return forward(asked)

    place.proxy.fault = fault
    found = place.does("""
out["put"] = put("slow")
with open_store(URL) as store:
    out["all"] = [sum(map(len, earlier_rows.published(store, table, S, DAY).read(URL)))
        for table in catalogue.published(store).values()]
""")
    place.proxy.fault = None
    assert found == {"put": [130, 65], "all": [130, 65]}
    assert sum(left) > 20
    rows = place.table("rows").scan()["Items"]
    assert len(rows) == 130 + 65 + 1
    assert place.snapshot() == ("slow", 3, 3)


def test_a_kill_at_each_point_leaves_a_whole_day(place: Place) -> None:
    place.does('put("old", value=1.0)')
    old, new = ("old", 3, 3), ("new", 3, 3)
    assert place.snapshot() == old
    seen: set[Any] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(place.snapshot())

    def killed(point: str) -> None:
        """A run that is killed there."""
        batches = {"count": 0}
        process: list[subprocess.Popen[str]] = []

        def fault(operation: str, asked: Request, forward: Callable[[Request], Answer]) -> Answer:
            batches["count"] += operation == "BatchWriteItem"
            pointer = operation == "PutItem" and asked["Item"].get("row-key") == {"S": "develop"}
            early = {"before the rows": batches["count"] == 1, "in the middle": batches["count"] == 4}
            before = early.get(point, point == "before the pointer" and pointer)
            answer = error("InternalServerError") if before else forward(asked)
            if before or (point == "after it" and pointer):
                os.kill(process[0].pid, signal.SIGKILL)
            return answer

        place.proxy.fault = fault
        process.append(place.begins('put("new", value=2.0)'))
        process[0].wait(120)
        place.proxy.fault = None
        assert process[0].returncode == -signal.SIGKILL, point

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for point in ("before the rows", "in the middle", "before the pointer"):
            killed(point)
            assert place.snapshot() == old, point
        assert seen == {old}
        killed("after it")
        assert place.snapshot() == new
    finally:
        stop.set()
        reader.join()
    assert seen <= {old, new}

    # The same run again, and in the end nothing is left of what was not finished, or was replaced.
    found = place.does(
        """
from {package}.ops.databases.dynamodb import store as module
out["put"] = put("new", value=2.0)
with open_store(URL) as store:
    out["young"] = store.remove_unread(S)
    module._LEFT = module._GRACE = timedelta()
    out["marked"], out["removed"], out["none"] = (store.remove_unread(S) for _ in range(3))
    out["rows"] = [store.written(S, table)[0].rows for table in catalogue.published(store).values()]
""".replace("{package}", place.project.package)
    )
    assert place.snapshot() == new
    assert (found["put"], found["rows"]) == ([130, 65], [130, 65])
    assert (found["young"], found["marked"], found["none"]) == (0, 0, 0)
    assert found["removed"] > 2 * 195
    assert len(place.table("rows").scan()["Items"]) == 195 + 1
    parts = [each for each in place.table("records").scan()["Items"] if each["what"].startswith("part#")]
    assert len(parts) == 2


def test_numbers_are_exact_and_what_no_row_can_hold_is_refused_by_its_name(place: Place) -> None:
    found = place.does("""
def refused(name, rows, table=VISITS, run="bad"):
    rows = [full(each, run) for each in (rows if isinstance(rows, list) else [rows])]
    try:
        with open_store(URL) as store:
            store.replace(S, DAY, [(table, iter(rows))])
    except Problem as problem:
        out[name] = str(problem)

two = visits(2)
exact = two.with_columns(sold=pl.Series([0.1, -1e-17]), big=pl.lit(2**63 - 1), none=pl.lit(None, pl.Float64),
    text=pl.Series(["", "a#b%é\\0"]), yes=pl.lit(True), at=pl.lit(datetime(2026, 11, 1, 12, 0, 0, 250_000)))
with open_store(URL, create=True) as store:
    store.prepare()
    store.replace(S, DAY, [(VISITS, full(exact, "exact"))])
    (of,) = store.written(S, catalogue.published(store)["visits"])
    (again,) = store.parts(S, of, exact.columns, 10)
    one = results.find(store, S, 5, key="shop=S0001 day=2026-11-01").tables[0].rows
    out["same"] = [again.equals(exact), one.equals(exact[1:])]
    out["same"].append(results.find(store, S, 5, key="sold=0.1").tables[0].matching)
    # In parts whose keys do not ascend, of more than one in each, and with a column that came later.
    next_day = DAY + timedelta(days=1)
    mixed = [full(each, "mixed", next_day) for each in (visits(6)[4:], visits(4)[:1], visits(4)[1:])]
    store.replace(S, next_day, [(VISITS, iter(mixed))])
    (of,) = store.written(S, catalogue.published(store)["visits"])
    read = list(store.parts(S, of, ["shop", "big"], 4))
    whole = pl.concat(read)
    out["mixed"] = [[len(each) for each in read], whole["shop"].to_list(), whole["big"].null_count()]
    shown = results.find(store, S, 2, run_id="mixed").tables[0]
    out["first"] = [shown.rows["shop"].to_list(), shown.total]
refused("nan", two.with_columns(sold=pl.Series([1.0, float("nan")])))
refused("inf", two.with_columns(sold=pl.Series([1.0, float("-inf")])))
refused("tiny", two.with_columns(sold=pl.Series([1e-200, 0.0])))
refused("large", two.with_columns(text=pl.Series(["a", "é" * 205_000])))
refused("key", two.with_columns(shop=pl.Series(["a", "b" * 2100])))
refused("twice", pl.concat([two, two]))
refused("in parts", [two, visits(3)[1:]])
refused("unlike", two.with_columns(sold=pl.lit("x")))
refused("another key", two, table=Table("visits", key=("shop",)))
refused("whole", two.with_columns(sold=pl.lit(2**53 + 1)))
with open_store(URL) as store:
    out["still"] = [(each.run_id, each.rows) for each in store.written(S, catalogue.published(store)["visits"], DAY)]
""")
    where = "table visits: row 2 (shop=S0001 day=2026-11-01)"
    assert found["same"] == [True, True, 1]
    assert found["mixed"] == [[4, 2], [f"S000{number}" for number in range(6)], 6]
    assert found["first"] == [["S0000", "S0001"], 6]
    assert found["nan"].startswith(f"{where}: sold is nan, and DynamoDB holds finite numbers")
    assert found["inf"].startswith(f"{where}: sold is -inf, ")
    assert found["tiny"].startswith("table visits: row 1 (shop=S0000 day=2026-11-01): sold is 1e-200, ")
    assert found["large"].startswith(f"{where} has 410,")
    assert "409,600 at most" in found["large"]
    assert found["key"].startswith("table visits: row 2: its key is longer than 2048 bytes: develop#visits#bbb")
    assert found["twice"] == "table visits: row 3 shares its key with an earlier one, as shop=S0000 day=2026-11-01"
    assert found["in parts"] == (
        "table visits: part 2: row 1 shares its key with an earlier one, as shop=S0001 day=2026-11-01"
    )
    assert "column sold holds numbers there, and would get text" in found["unlike"]
    assert "has the key (stage, date, shop, day), and pipeline.py declares (stage, date, shop)" in found["another key"]
    assert "exact to 2^53" in found["whole"]
    assert found["still"] == [["exact", 2]]
    of_key = place.table("rows").query(KeyConditionExpression=Key("row-key").eq("develop#visits#S0001#2026-11-01"))
    (one,) = (each for each in of_key["Items"] if each["run_id"] == "exact")
    assert (one["sold"], one["big"], one["none"], one["yes"]) == (Decimal("-1e-17"), 2**63 - 1, None, True)
    assert (one["text"], one["day"], one["at"]) == ("a#b%é\0", "2026-11-01", "2026-11-01T12:00:00.250000")


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_writers_keep_to_the_rate(place: Place) -> None:
    found = place.does("""
import time
URL = SecretStr(URL.get_secret_value() + "&write_rate=100")
begun = time.monotonic()
out["put"], out["seconds"] = put("slow", 100), time.monotonic() - begun
""")
    assert found["put"] == [100, 50]
    assert found["seconds"] > (150 - 25) / 100


def test_the_documented_reader_gets_rows(place: Place) -> None:
    page = snippets.blocks(place.project.folder / "docs/dynamodb.md")
    blocks = "\n".join(block.code for block in page).replace("PREFIX", place.prefix)
    place.does('put("a")\nput("b", day=DAY + timedelta(days=1), value=2.5)')
    reader = place.project.python(f"""{blocks.replace('-central-1"', f'-central-1", endpoint_url="{place.behind}"', 1)}
one = newest_row("develop", "visits", "S0007", "2026-11-01")
print(one["date"], one["run_id"], one["sold"], newest_row("develop", "visits", "nobody", "2026-11-01"))
print(newest_row("develop", "times", "2026-11-01T12:02:00.000000", "true")["value"])
print(newest_row("production", "visits", "S0007", "2026-11-01"))
""")
    assert reader.returncode == 0, reader.stderr
    assert reader.stdout.splitlines() == ["2026-11-02 b 2.5 None", "7", "None"]


def test_old_days_go_and_what_expires_leads_nowhere(place: Place) -> None:
    found = place.does(
        """
from {package}.ops.databases.dynamodb import pointers
today = date.today()
for back in (3, 2, 1):
    put(f"r{back}", 4, day=today - timedelta(days=back), keep_days=30)
with open_store(URL) as store:
    visits_table = catalogue.published(store)["visits"]
    days = lambda: [str(today - store.written(S, visits_table, today - timedelta(days=back))[0].day)
        for back in (3, 2, 1) if store.written(S, visits_table, today - timedelta(days=back))]
    for back, status in ((3, "ok"), (2, "ok"), (1, "failed")):
        store.save_run(Record(f"r{back}", S, today - timedelta(days=back), status=status))
        store.save_run(Record(f"x{back}", S, today - timedelta(days=back + 10), status="ok", kind="backfill"))
    out["before"] = len(days())
    out["removed"] = store.remove_rows(S, today - timedelta(days=2), ["visits", "times", "nothing"])
    out["after"] = len(days())
    out["gone"] = store.remove_records(S, today - timedelta(days=2), ["visits", "times"], ["x1"])
    out["ids"] = sorted(store.run_ids(S))
    names = lambda **wanted: [run.run_id for run in store.runs(S, Wanted(**wanted))]
    out["wanted"] = [names(by_day=True), names(daily=False), names(statuses=("ok",), by_day=True, most=1),
        names(last=today - timedelta(days=2), but="r2"), names(git_commit="none"), names(run_ids=("r1", "q"))]
    real = pointers.time.time
    pointers.time.time = lambda: real() + 40 * 86400
    out["expired"] = len(days())
""".replace("{package}", place.project.package)
    )
    assert found["before"] == 3
    assert (found["removed"], found["after"]) == ({"visits": 4, "times": 2}, 2)
    assert (found["gone"], found["ids"]) == (3, ["r1", "r2", "x1"])
    assert found["wanted"] == [["r1", "r2", "x1"], ["x1"], ["r2"], ["x1"], [], ["r1"]]
    assert found["expired"] == 0
    items = place.table("rows").scan()["Items"]
    pointer = max(int(each["expires-at"]) for each in items if "changes" in each)
    row = max(int(each["expires-at"]) for each in items if "sold" in each)
    assert row - pointer == 2 * 86400
    assert 30 * 86400 < pointer - time.time() < 33 * 86400


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_a_rollback_puts_back_what_the_version_had_written(place: Place) -> None:
    here = place.project.with_env(ORDERS__SAMPLE__CUSTOMERS="150", DATABASE__URL=place.url)
    first, second = (here.with_env(COMMIT=letter * 40) for letter in "ab")

    def in_place(day: str) -> str:
        found = json.loads(here.call("results", "--stage", "develop", "--date", day, "--json").stdout)
        assert len(next(iter(found["tables"].values()))["rows"]) > 0
        return str(found["run"])

    for version, day, run in ((first, 2, "one"), (second, 2, "two"), (second, 3, "three")):
        done = version.call("run", "--stage", "develop", "--date", f"2026-11-0{day}", "--run-id", run)
        assert done.returncode == 0, done.stdout + done.stderr
    back = ("promote", "--by", "Ada", "--action", "rollback", "--stage", "develop")
    for version, run in ((first, "one"), (second, "two")):
        done = version.call(*back)
        assert (done.returncode, "back=1 of=2026-11-02" in done.stdout + done.stderr) == (0, True), done.stderr
        assert [in_place(day) for day in ("2026-11-02", "2026-11-03")] == [run, "three"]
        assert "back=" not in version.call(*back).stderr


def test_rows_are_put_back_in_all_tables_or_in_none(place: Place) -> None:
    found = place.does("""
def by(commit, run, *tables, count=130):
    rows = {VISITS: visits(130).head(count), TIMES: times(130).head(count)}
    both = [(table, full(rows[table], run).with_columns(git_commit=pl.lit(commit * 40))) for table in tables]
    with open_store(URL, create=True) as store:
        store.prepare()
        store.replace(S, DAY, both)

def back(commit):
    with open_store(URL) as store:
        days = store.put_back(S, commit * 40)
        known = catalogue.published(store)
        return [len(days), *(store.writer(S, known[name], DAY)[0] for name in ("visits", "times"))]

by("a", "one", VISITS, TIMES)
out["nothing"] = back("a")
by("b", "two", VISITS, TIMES)
out["both"] = back("a")
by("b", "three", VISITS)
by("c", "four", VISITS, TIMES)
out["of one alone"] = back("b")
by("d", "five", VISITS, TIMES)
by("e", "six", VISITS, TIMES, count=0)
out["to rows from none"] = back("d")
by("e", "seven", VISITS, TIMES)
with open_store(URL) as store:
    for item in list(store._client.query(store._records, f"writing#{S}")):
        if "five" in item["version"]["S"]:  # as once nobody has read it for days
            store._client.put(store._records, item | {"unread_since": {"S": datetime.now().isoformat()}})
out["soon gone"] = back("d")
""")
    assert found == {
        "nothing": [0, "one", "one"],
        "both": [1, "one", "one"],
        "of one alone": [0, "four", "four"],
        "to rows from none": [1, "five", "five"],
        "soon gone": [0, "seven", "seven"],
    }


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_what_is_wrong_is_said_in_one_line_without_a_secret(place: Place) -> None:
    project = place.project

    def said(url: str, **env: str) -> str:
        mine = replace(project, env=project.env | env).with_env(DATABASE__URL=url)
        done = mine.call("results", "--stage", "develop")
        assert done.returncode == 1
        assert "topsecret" not in done.stdout + done.stderr
        (line,) = done.stderr.splitlines()
        return line

    where = f"&endpoint={place.proxy.address}"
    assert "no results yet in develop" in said(f"{place.url}")
    assert "in which region?" in said("dynamodb://x")
    assert "no region 'moon-1' is known; there are" in said("dynamodb://x?region=moon-1")
    assert "no option 'regoin'; region is meant?" in said("dynamodb://x?regoin=eu-central-1")
    assert "no user and no password stand in it" in said("dynamodb://ada:topsecret@x?region=eu-central-1")
    assert "writers=0: a number from 1 to 99" in said("dynamodb://x?writers=0")
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    assert "no AWS credentials" in said(f"dynamodb://x?region={REGION}{where}", **none)
    assert "neither sqlite:///FILE" in said("redis://x")
    place.proxy.fault = lambda operation, asked, forward: error("AccessDeniedException", "User: x is not authorized")
    assert "is denied (" in said(place.url)
    place.proxy.fault = None
    place.does('put("b")')
    place.proxy.fault = lambda operation, asked, forward: (
        error("ThrottlingException") if operation == "BatchWriteItem" else forward(asked)
    )
    found = place.does(
        """
from {package}.ops.databases.dynamodb import client
client.PATIENCE = 1.0
try:
    put("c")
except Problem as problem:
    out["said"] = str(problem)
""".replace("{package}", project.package)
    )
    assert "throttled for 1 seconds" in found["said"]
    place.proxy.fault = None
    assert place.snapshot() == ("b", 3, 3)


@pytest.mark.parametrize("other", ["sqlite", "postgresql"])
def test_the_answer_is_changed_to_it_and_back(generate: Callable[..., Project], tmp_path: Path, other: str) -> None:
    mine = generate(tmp_path / "mine", database=other)
    rig.commit(mine.folder, "first")
    change(mine, "production/platform.toml", "keep = 30", "keep = 31")
    rig.commit(mine.folder, "ours")

    def update(answer: str) -> None:
        told = {"database": answer}
        copier.run_update(mine.folder, data=told, overwrite=True, defaults=True, quiet=True, unsafe=True)
        rig.commit(mine.folder, f"to-{answer}")

    module = mine.folder / f"src/{mine.package}/ops/databases/dynamodb"
    assert not module.exists()
    assert "boto3" not in (mine.folder / "pyproject.toml").read_text()
    update("dynamodb")
    assert (module / "client.py").exists()
    assert (mine.folder / "docs/dynamodb.md").exists()
    assert '"boto3>=' in (mine.folder / "pyproject.toml").read_text()
    settings = (mine.folder / "production/platform.toml").read_text()
    assert 'url = "dynamodb://burger-combos-{branch}?region=eu-central-1"' in settings
    assert "keep = 31" in settings
    assert 'url = "sqlite:///var/develop/' in (mine.folder / "develop/platform.toml").read_text()
    update(other)
    assert not module.exists()
    assert mine.git("diff", "--stat", "ours") == ""
