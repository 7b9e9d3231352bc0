"""Rows that are served by HTTP: a read beside the bare query, and how much memory a million rows take page by page."""

import json
from collections.abc import Iterator

import rig
from lab import Lab, Line

# In the project's environment: a million rows, then each key asked for by the query alone, and through the service.
READ = """
import json, resource, time
from datetime import date
import polars as pl
import uvloop
from {package}.ops.published import Table
from {package}.ops.serve.app import Application
from {package}.ops.serve.reading import _Connection
from {package}.ops.settings import Stage, StageSettings, load
from {package}.ops.store import Store

N, READS = 1_000_000, 5_000
settings = load(StageSettings, Stage.develop)
items = pl.Series([f"Burger {{n}} & fries" for n in range(100)])
rows = pl.DataFrame({{
    "stage": ["develop"] * N, "date": [date(2026, 1, 1)] * N, "customer": [f"C{{n:07d}}" for n in range(N)],
    **{{f"item_{{k}}": items.gather(pl.Series([(n * k) % 100 for n in range(N)])) for k in range(1, 6)}},
    "run_id": ["20260101T000000-abcdef"] * N, "git_commit": ["0" * 40] * N,
}})
with Store(settings.database.url, create=True) as store:
    store.prepare()
    store.replace(Stage.develop, date(2026, 1, 1), [(Table("recommendations", key=("customer",)), rows)])
del rows
keys = [f"C{{n * 7919 % N:07d}}" for n in range(READS)]
application = Application(settings)
reader = application.reader
connection = _Connection(reader._kind, settings.database.url, reader._file, 60)
bare = "SELECT * FROM recommendations WHERE stage = 'develop' AND date = '2026-01-01' AND customer = $1"

async def ask(path):
    query, body = path.partition("?")[2].encode(), []
    scope = {{"type": "http", "method": "GET", "path": "", "raw_path": path.partition("?")[0].encode(), "headers": [],
              "query_string": query, "root_path": "", "scheme": "http", "http_version": "1.1",
              "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "asgi": {{"version": "3.0"}}}}
    async def send(message):
        body.append(message)
    async def receive():
        return {{"type": "http.request", "body": b"", "more_body": False}}
    await application.middleware(scope, receive, send)
    assert body[0]["status"] == 200, body
    return body[-1]["body"]

async def measure():
    async with application._lifespan(application._api):
        return await timed()

async def timed():
    for key in keys[:500]:
        connection.query(bare, [key])
        await ask("/results/" + key)
    ours, floor = [], []
    for key in keys:
        start = time.perf_counter()
        found = connection.query(bare, [key])
        floor.append(time.perf_counter() - start)
        start = time.perf_counter()
        answer = await ask("/results/" + key)
        ours.append(time.perf_counter() - start)
        assert json.loads(answer)["item_1"] == found["item_1"][0]
    before, page, count, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "", 0, time.perf_counter()
    while page is not None:
        answer = json.loads(await ask("/results?limit=10000" + (f"&cursor={{page}}" if page else "")))
        count, page = count + len(answer["rows"]), answer["next"]
    assert count == N, count
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return [sorted(each)[int(0.99 * READS)] for each in (ours, floor)], more, time.perf_counter() - begun

print(json.dumps(uvloop.run(measure())))
"""


def served(lab: Lab) -> Iterator[Line]:
    """The slowest of a hundred reads of a key beside that of the bare query, in one process, of a million rows."""
    programs = rig.postgresql_programs()
    assert programs, "no PostgreSQL server's programs"
    project = rig.generate(lab.template, lab.fresh(), serving="http")
    project.make("setup")
    with rig.postgresql_server(programs) as server:
        urls = {"SQLite": f"sqlite:///{lab.fresh()}.db", "PostgreSQL": rig.new_database(server, project)}
        for name, url in urls.items():
            done = project.with_env(DATABASE__URL=url).python(READ.format(package=project.package))
            assert done.returncode == 0, done.stderr
            (ours, floor), more, seconds = json.loads(done.stdout.splitlines()[-1])
            remark = (
                f"{1000 * ours:.2f} and {1000 * floor:.2f} ms; 1 M rows in pages: {seconds:.0f} s, {more:.0f} MB more"
            )
            yield Line(f"p99 of a read by HTTP, {name}", ours, "of the bare query", floor, 3, remark)
