"""Results by HTTP: a project's service on loopback, beside the rows that its runs have published."""

import json
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import rig
import snippets
from ports import free_port
from rig import Project, environment, sh
from served import Client, Load, service, started

TOKEN = "a-token-that-nobody-guesses"
SCHEMATHESIS = ("--exclude-newer", "2026-11-28T00:00:00Z", "schemathesis")
# A project's tables are other ones: of several kinds, with keys that a path has to quote.
TABLES = """
import sys
from datetime import date, datetime
import polars as pl
from {package} import pipeline
from {package}.ops.published import Table
from {package}.ops.runs import Record
from {package}.ops.settings import Stage, StageSettings, load
from {package}.ops.store import Store

settings = load(StageSettings, Stage.develop)
ODD, PLAIN = Table("größen", key=("shop", "day", "at", "size", "new")), Table("plain", key=("id",))
pipeline.TABLES = (ODD, PLAIN)
shops = ["a/b", "a", "O'Brien & 汉堡", "100 %", " "]
rows = pl.DataFrame({{"shop": shops, "day": [date(2026, 1, n + 1) for n in range(5)],
    "at": [datetime(2026, 1, 1, 12, 0, n, 5) for n in range(5)], "size": [-(2**62), 0, 1, 2, 3],
    "new": [True, False, True, False, True], "share": [0.5, None, float("inf"), 1e300, -0.0]}})
ids = pl.DataFrame({{"id": list(range(2500)), "told": [None if n % 2 else str(n) for n in range(2500)]}})

def publish(day, run_id, odd, plain):
    def added(frame, table):
        last = [pl.lit(run_id).alias("run_id"), pl.lit("c" * 40).alias("git_commit")]
        return frame.select(pl.lit("develop").alias("stage"), pl.lit(day).alias("date"), *table.key,
                            pl.exclude(table.key), *last)
    with Store(settings.database.url, create=True) as store:
        store.prepare()
        store.replace(Stage.develop, day, [(ODD, added(odd, ODD)), (PLAIN, added(plain, PLAIN))])
"""


@pytest.fixture(scope="module")
def made(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that serves, set up; tests leave its files as they are."""
    made = generate(tmp_path_factory.mktemp("served") / "burger", serving="http")
    made.make("setup")
    return made


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def shop(request: pytest.FixtureRequest, made: Project, tmp_path: Path) -> Project:
    """That project with a small sample and runs of the test's own, once on SQLite and once on PostgreSQL."""
    url = f"sqlite:///{tmp_path}/results.db"
    if request.param == "postgresql":
        url = rig.new_database(request.getfixturevalue("postgresql"), made)
    return made.with_env(
        ORDERS__SAMPLE__CUSTOMERS="300", DATABASE__URL=url, RUNS__FOLDER=str(tmp_path / "runs"), COMMIT="c" * 40
    )


@pytest.fixture
def sqlite(made: Project, tmp_path: Path) -> Project:
    """The same on SQLite only."""
    return made.with_env(
        ORDERS__SAMPLE__CUSTOMERS="300",
        DATABASE__URL=f"sqlite:///{tmp_path}/results.db",
        RUNS__FOLDER=str(tmp_path / "runs"),
        COMMIT="c" * 40,
    )


@pytest.fixture(scope="module")
def finished(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same with a run that has published; tests only read it."""
    folder = tmp_path_factory.mktemp("finished")
    mine = made.with_env(
        ORDERS__SAMPLE__CUSTOMERS="300",
        DATABASE__URL=f"sqlite:///{folder}/results.db",
        RUNS__FOLDER=str(folder / "runs"),
        COMMIT="c" * 40,
    )
    execute(mine, "one")
    return mine


def execute(project: Project, run_id: str, *options: str) -> None:
    done = project.call("run", "--run-id", run_id, *options)
    assert done.returncode == 0, done.stderr


def published(project: Project, run_id: str) -> list[dict[str, str]]:
    """The rows of a run, without what publishing adds."""
    rows, _ = project.written()
    added = {"stage", "date", "run_id", "git_commit"}
    return [{key: row[key] for key in row.keys() - added} for row in rows if row["run_id"] == run_id]


def test_all_that_is_published_is_served_and_nothing_else(shop: Project) -> None:
    with service(shop, ready=503) as client:
        assert client.ask("/health").status == 200
        for path in ("/results", "/results/C0000003"):
            answer = client.ask(path)
            assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
            assert answer.json["detail"] == "no results yet"
        assert client.ask("/predict", "POST", {"ordered": []}).status == 503

        execute(shop, "two", "--date", "2026-11-02")
        client.until("/ready")
        rows = published(shop, "two")
        assert client.rows(limit=7) == rows
        first = client.ask(f"/results/{rows[0]['customer']}")
        assert first.json == rows[0]
        told = {"x-result-date": "2026-11-02", "x-run-id": "two", "x-git-commit": "c" * 40}
        assert first.headers == first.headers | told
        etag = first.headers["etag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = client.ask(f"/results/{rows[0]['customer']}", If_None_Match=known)
            assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
        assert client.ask(f"/results/{rows[0]['customer']}", If_None_Match='"other"').status == 200
        missing = client.ask("/results/nobody")
        assert (missing.status, missing.json["detail"]) == (404, "recommendations: no row with customer=nobody")
        nothing = client.ask("/")
        assert (nothing.status, nothing.json["detail"]) == (404, "nothing is at /: /openapi.json lists what there is")
        assert client.ask("/results?customer=nobody").json == {"rows": [], "next": None}
        assert client.ask(f"/results?customer={rows[3]['customer']}").json["rows"] == [rows[3]]
        for asked, why in {
            "limit=0": "limit: '0' is no whole number from 1 to 10000",
            "limit=1_0": "limit: '1_0' is no",
            "limit=1&limit=2": "each parameter is given once",
            "costumer=C0000003": "no parameter 'costumer'; there are limit, cursor, customer",
            "cursor=W10": "cursor: not one that a page",
            "cursor=%F0%9F%8D%94": "cursor: not one that a page",
        }.items():
            wrong = client.ask(f"/results?{asked}")
            assert (wrong.status, wrong.json["detail"][: len(why)]) == (422, why)

        page = client.ask("/results?limit=5").json
        execute(shop, "again", "--date", "2026-11-02")
        gone = client.ask(f"/results?limit=5&cursor={page['next']}")
        assert (gone.status, gone.json["title"]) == (410, "Gone")
        page = client.ask("/results?limit=5").json
        execute(shop, "three", "--date", "2026-11-03")
        following = client.ask(f"/results?limit=5&cursor={page['next']}")
        assert following.headers["x-run-id"] == "again"
        assert client.ask("/results?limit=5").headers["x-run-id"] == "three"


def test_the_model_in_charge_predicts_and_is_swapped_when_a_run_ends(sqlite: Project, tmp_path: Path) -> None:
    execute(sqlite, "one")
    script = f"""
import json
import polars as pl
raw = pl.read_parquet("{tmp_path}/runs/one/raw.parquet").filter(pl.col("customer").is_not_null())
print(json.dumps(raw.group_by("customer").agg("item").rows()))
"""
    ordered = dict(json.loads(sqlite.python(script).stdout))
    rows = published(sqlite, "one")
    with service(sqlite) as client:
        for row in rows[:40]:
            if row["customer"] not in ordered:
                continue
            items = [row[f"item_{place}"] for place in range(1, 6)]
            answer = client.ask("/predict", "POST", {"ordered": ordered[row["customer"]]})
            assert (answer.status, answer.json) == (200, {"items": items, "unknown": []})
            assert (answer.headers["x-run-id"], answer.headers["x-model-run"]) == ("one", "one")
        unknown = client.ask("/predict", "POST", {"ordered": ["never sold"], "count": 3}).json
        assert (len(unknown["items"]), unknown["unknown"]) == (3, ["never sold"])
        invalid: tuple[Any, ...] = ({"ordered": "x"}, {"order": []}, {"ordered": [], "count": 0}, b"{", b"\xff")
        for wrong in invalid:
            refused = client.ask("/predict", "POST", wrong)
            assert (refused.status, refused.headers["content-type"]) == (422, "application/problem+json"), wrong

        with Load(client.port, ["/results/C0000003", "/results?limit=3", "/ready"]) as load:
            load.done(50)
            execute(sqlite.with_env(SCHEDULE__TRAIN_EVERY="7d", MODEL__TOP_K="5"), "two")
            while client.ask("/predict", "POST", {"ordered": []}).headers["x-run-id"] != "two":
                load.done(1)
        assert (set(load.statuses), load.failed) == ({200}, [])
        answer = client.ask("/predict", "POST", {"ordered": []})
        assert (answer.status, answer.headers["x-model-run"]) == (200, "one")

        metrics = client.ask("/metrics").body.decode()
        assert 'http_requests_total{route="/results/{key_0}",status="200"}' in metrics
        assert re.search("^model_loaded 1.0$", metrics, re.MULTILINE)


def test_no_request_is_lost_when_one_service_takes_over_from_another(finished: Project, tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "port.sock"
    client, paths = Client(port), [f"/results/C{number:07d}" for number in range(40)]
    with holding(finished, file, port), ExitStack() as ended:
        present = ended.enter_context(started(finished, "serve", "--held", str(file)))
        client.until("/ready")
        expected = {path: {client.ask(path).body} for path in paths}
        load = ended.enter_context(Load(port, paths))
        for number in range(2):  # a deployment, and a rollback
            mark = tmp_path / f"mark{number}"
            options = ("--held", str(file), "--mark", str(mark))
            following = ended.enter_context(started(finished, "serve", *options))
            while not mark.exists():
                load.done(1)
            present.send_signal(signal.SIGTERM)
            assert present.wait(60) == -signal.SIGTERM
            load.done(200)
            present = following
        load.__exit__()
        assert (set(load.statuses), load.failed) == ({200}, [])
        assert load.bodies == expected


def test_a_service_ends_with_the_one_that_holds_its_port(finished: Project, tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "port.sock"
    with holding(finished, file, port) as held, started(finished, "serve", "--held", str(file)) as process:
        Client(port).until("/ready")
        held.kill()
        assert process.wait(60) == -signal.SIGTERM


@contextmanager
def holding(project: Project, file: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """What holds a port open for services that come and go."""
    python, module = project.folder / ".venv/bin/python", "burger_combos.ops.serve.port"
    command = [str(python), "-P", "-m", module, str(file), "127.0.0.1", str(port)]
    held = subprocess.Popen(command, cwd=project.folder, env=environment(), stderr=subprocess.DEVNULL)
    try:
        yield held
    finally:
        held.kill()
        held.wait(10)


def test_others_than_this_machine_are_served_with_a_token_only(finished: Project, sqlite: Project) -> None:
    refused = finished.call("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 1
    assert refused.stderr == (
        "error: develop/platform.toml: serving.token is empty, and 0.0.0.0 is not this machine alone: set it, as a "
        "secret\n"
    )
    guarded = finished.with_env(SERVING__TOKEN=TOKEN)
    with service(guarded, "--host", "0.0.0.0") as client:
        for path in ("/results", "/results/C0000003", "/openapi.json", "/metrics", "/nothing"):
            answer = client.ask(path)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer"), path
        assert client.ask("/results", Authorization=f"Bearer {TOKEN}x").status == 401
        assert client.ask("/results", Authorization=f"Basic {TOKEN}").status == 401
        assert client.ask("/results", Authorization=f"bearer {TOKEN}").status == 200
        assert [client.ask(path).status for path in ("/health", "/ready")] == [200, 200]
        told = client.ask("/openapi.json", Authorization=f"Bearer {TOKEN}").json
        assert told["paths"]["/results"]["get"]["security"] == [{"token": []}]
    execute(sqlite.with_env(SERVING__TOKEN=TOKEN), "two")
    assert TOKEN not in json.dumps(sqlite.written()[1])


def test_the_service_keeps_to_its_own_description(finished: Project) -> None:
    with service(finished) as client:
        url = f"http://127.0.0.1:{client.port}/openapi.json"
        asked = ("--max-examples", "15", "--no-color", "--exclude-checks", "positive_data_acceptance")
        done = sh("uv", "tool", "run", *SCHEMATHESIS, "run", url, *asked, cwd=finished.folder)
        assert done.returncode == 0, done.stdout
        assert "Tested: 5" in done.stdout


def test_tables_of_several_kinds_are_served_by_any_key(shop: Project) -> None:
    script = TABLES.format(package=shop.package)
    done = shop.python(script + "publish(date(2026, 1, 1), 'alt', rows.head(1), ids.head(1))\n"
                       "publish(date(2026, 1, 2), 'größe', rows, ids)")  # fmt: skip
    assert done.returncode == 0, done.stderr
    port = free_port()
    serving = f"{script}\nfrom {shop.package}.ops.serve import server\nserver.serve(settings, '127.0.0.1', {port})"
    process = subprocess.Popen(
        [shop.folder / ".venv/bin/python", "-c", serving], cwd=shop.folder, env=environment() | shop.env
    )
    try:
        client = Client(port)
        client.until("/ready")
        rows = client.rows(f"/results/{quote('größen')}", limit=2)
        assert sorted(row["shop"] for row in rows) == sorted(["a/b", "a", "O'Brien & 汉堡", "100 %", " "])
        first = next(row for row in rows if row["shop"] == "a/b")
        assert first == {
            "shop": "a/b", "day": "2026-01-01", "at": "2026-01-01T12:00:00.000005", "size": -(2**62), "new": True,
            "share": 0.5,
        }  # fmt: skip
        assert [row["share"] for row in rows if row["shop"] in ("a", "O'Brien & 汉堡")] == [None, None]
        for row in rows:
            key = "/".join(quote(str(row[name]).lower() if name == "new" else str(row[name]), safe="")
                           for name in ("shop", "day", "at", "size", "new"))  # fmt: skip
            answer = client.ask(f"/results/{quote('größen')}/{key}")
            assert (answer.status, answer.json) == (200, row)
            assert answer.headers["x-run-id"] == quote("größe")
            found = client.ask(f"/results/{quote('größen')}?shop={quote(row['shop'], safe='')}")
            assert found.json["rows"] == [row]
        assert client.rows("/results/plain", limit=999) == [
            {"id": number, "told": None if number % 2 else str(number)} for number in range(2500)
        ]
        assert client.ask("/results/plain/7").json == {"id": 7, "told": None}
        for path, status in {
            "/results": 404,
            "/results/plain/2500": 404,
            "/results/plain/-0": 200,
            "/results/plain/9223372036854775808": 422,
            "/results/plain/1e3": 422,
            "/results/plain/%F0%9F%8D%94": 422,
            f"/results/{quote('größen')}/a/b/2026-01-01/2026-01-01T12:00:00.000005/-4611686018427387904/true": 404,
            f"/results/{quote('größen')}/a/2026-13-01/2026-01-01T12:00:00/0/true": 422,
            f"/results/{quote('größen')}/a/2026-01-01/yesterday/0/true": 422,
            f"/results/{quote('größen')}/a/2026-01-01/2026-01-01T12:00:00/0/yes": 422,
            f"/results/{quote('größen')}/a%00/2026-01-01/2026-01-01T12:00:00/0/true": 422,
            f"/results/{quote('größen')}?day=2026-01-01": 422,
        }.items():
            assert client.ask(path).status == status, path
        told = client.ask("/openapi.json").json
        columns = told["components"]["schemas"]["größen"]["properties"]
        assert columns["size"] == {"type": "integer"}
        assert columns["share"] == {"type": ["number", "null"]}
        assert columns["day"] == {"type": "string", "format": "date"}
    finally:
        process.terminate()
        process.wait(60)


def test_what_is_wrong_with_the_projects_own_part_is_told_in_a_line(finished: Project, tmp_path: Path) -> None:
    mine = replace(finished, folder=tmp_path / "copy")
    shutil.copytree(finished.folder, mine.folder, symlinks=True, ignore=shutil.ignore_patterns(".venv", "var", ".git"))
    env = {"PYTHONPATH": str(mine.folder / "src"), "PYTHONSAFEPATH": "1"}
    mine = replace(mine, env=mine.env | env)
    (mine.folder / ".venv").symlink_to(finished.folder / ".venv")
    own = mine.folder / "src/burger_combos/service.py"
    for text, why in {
        "def load(run): ...\n": "there is no function predict",
        "def load(run): ...\ndef predict(model, request): ...\n": "does not say what it takes and gives",
    }.items():
        own.write_text(text, encoding="utf-8")
        done = mine.call("serve", "--check")
        assert done.returncode == 1
        assert re.fullmatch(f"error: service.py: .*{why}.*\n", done.stderr), done.stderr
    own.unlink()
    with service(mine) as client:
        assert client.ask("/predict", "POST", {"ordered": []}).status == 404
        assert client.ask("/results/C0000003").status == 200


def test_who_asks_while_a_run_writes_waits_and_nobody_else(sqlite: Project) -> None:
    execute(sqlite, "one")
    file = Path(sqlite.env["BURGER_COMBOS_DATABASE__URL"].removeprefix("sqlite:///"))
    with service(sqlite) as client, ThreadPoolExecutor() as others, closing(sqlite3.connect(file)) as writer:
        row = client.ask("/results/C0000003")
        writer.execute("BEGIN EXCLUSIVE")
        waiting = others.submit(client.ask, "/results/C0000003")
        for path in ("/health", "/ready", "/openapi.json"):
            assert client.ask(path).status == 200
        assert not waiting.done()
        writer.rollback()
        assert waiting.result().body == row.body


def test_the_page_of_the_manual_does_what_it_says(finished: Project, tmp_path: Path) -> None:
    snippet, *own = (block.code for block in snippets.blocks(finished.folder / "docs/serving.md"))
    (row,) = [row for row in published(finished, "one") if row["customer"] == "C0000003"]
    with service(finished.with_env(SERVING__TOKEN=TOKEN), token=TOKEN) as client:
        asked = (
            f"import json\n{snippet}\nprint(json.dumps(row('http://127.0.0.1:{client.port}', 'C0000003', '{TOKEN}')))"
        )
        assert json.loads(finished.python(asked).stdout) == row
    (tmp_path / "price.txt").write_text("2.5")
    imports = "from pathlib import Path\nfrom pydantic import BaseModel\nfrom burger_combos.ops.runs import Run\n"
    run = f"type('Run', (), {{'path': lambda _, name: Path('{tmp_path}', name)}})()"
    done = finished.python("\n".join([imports, *own, f"print(repr(predict(load({run}), Known(size=4))))"]))
    assert done.stdout == "Answer(price=10.0)\n", done.stderr


def test_a_project_without_the_answer_knows_nothing_of_it(project: Project) -> None:
    assert "No such command 'serve'" in project.call("serve").stderr
    assert "serve" not in project.make()
    lock = (project.folder / "uv.lock").read_text(encoding="utf-8")
    assert 'name = "uvloop"' not in lock
