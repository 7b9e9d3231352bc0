"""A shop in a simulated month: what it sells, and a server that tells it to production and is told how runs end."""

import json
import random
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rig import Project, change, configure

STORES, PRODUCTS = 3, 8
BEFORE = 120  # days of sales before the month
WEEK = (1.0, 0.9, 0.9, 1.0, 1.3, 1.6, 0.5)  # how much is sold on each day of a week
HEAD = "store,product,sold_on,quantity"
OF_THE_RUN = ("run_id", "git_commit", "model_run")  # columns that differ between two months with the same forecasts
FORECAST = "    quantity = modelling.forecast(model, old + horizon)[:, old:]\n"  # a line of the pipeline

Row = tuple[str, str, date, int]


@cache
def sold(first: date, number: int) -> tuple[Row, ...]:
    """What was really sold so many days after the first; the same each time, whatever day that is."""
    day = first + timedelta(days=number)
    return tuple(
        (
            f"S{store}",
            f"P{product}",
            day,
            round(_level(store, product) * WEEK[number % 7] * _luck(store, product, number)),
        )
        for store in range(STORES)
        for product in range(PRODUCTS)
    )


def _till(row: Row) -> str:
    """Each store has two, and the small one rings up two of its products."""
    return f"{row[0]} {'small' if row[1] in ('P0', 'P1') else 'large'}"


def _level(store: int, product: int) -> float:
    return random.Random(f"{store} {product}").uniform(20, 60)


def _luck(store: int, product: int, number: int) -> float:
    return max(0.0, random.Random(f"{store} {product} {number}").gauss(1, 0.2))


class Shop:
    """The source of a run on each day, and its faults."""

    def __init__(self, first: date) -> None:
        self.first = first
        self.today = first
        self.late: dict[tuple[str, date], date] = {}  # of a till's sales of a day, when they come at last
        self.spoilt = False
        self.holding = threading.Event()  # while it is set, who asks for the sales waits
        self.asked = threading.Event()
        self.url = ""
        self.told: list[str] = []  # the texts that the webhook got
        self.heard = 0

    def news(self) -> list[str]:
        """What the webhook was told since the last time that this was asked."""
        heard, self.heard = self.heard, len(self.told)
        return self.told[heard : self.heard]

    def sales(self, day: date, *, faults: bool = True) -> str:
        """What is known on the morning of a day, as CSV."""
        rows = [row for number in range(-BEFORE, (day - self.first).days) for row in sold(self.first, number)]
        if faults:
            rows = [row for row in rows if self.late.get((_till(row), row[2]), day) <= day]
        lines = [",".join(map(str, row)) for row in rows]
        if faults and self.spoilt:  # as half of an export whose columns have moved
            lines[len(lines) // 2 :] = [line.rpartition(",")[0] + ",?" for line in lines[len(lines) // 2 :]]
        return "\n".join([HEAD, *lines]) + "\n"


def prepare(project: Project, shop: Shop) -> None:
    """Let production forecast what this shop will sell, and leave out what other tests examine, and takes long."""
    configure(project, "production", {'source = "sample"': f'source = "{shop.url}/sales.csv"'})
    configure(project, "production", {"factors = [0.25, 0.5, 1, 2]": "factors = []"})
    for file in set((project.folder / "tests").glob("test_*.py")) - {project.folder / "tests/test_model.py"}:
        file.unlink()
    folder = project.folder / "production/secrets"
    folder.mkdir()
    for setting, value in {"ALERT__WEBHOOK": f"{shop.url}/webhook", "SCHEDULE__LATE_DAYS": "3"}.items():
        (folder / f"{project.package.upper()}_{setting}").write_text(value)


def calm(project: Project, shop: Shop, days: Iterable[date], folder: Path) -> list[tuple[Any, ...]]:
    """What is published of days without faults, by one process for each."""
    mine = project.with_env(DATABASE__URL=f"sqlite:///{folder}/calm.db", RUNS__FOLDER=f"{folder}/calm")
    for day in days:
        done = mine.with_env(SALES__SOURCE=f"{shop.url}/{day}.csv").call("run", "--date", str(day))
        assert done.returncode == 0, done.stderr
    return forecasts(folder / "calm.db")


def let_decay(project: Project, since: date) -> None:
    """Let the forecasts that are published get worse from day to day, which no backtest sees."""
    pipeline = project.folder / "src" / project.package / "pipeline.py"
    days = f"(run.record.date - date({since:%Y, %-m, %-d})).days"
    change(pipeline, {FORECAST: f"{FORECAST}    quantity *= 0.9 ** min(max(0, {days}), 20)\n"})


def forecasts(database: Path) -> list[tuple[Any, ...]]:
    """What is published of all days, without what tells two runs of the same data apart."""
    with closing(sqlite3.connect(database)) as opened:
        opened.row_factory = sqlite3.Row
        found = opened.execute("SELECT * FROM forecasts").fetchall()
    return sorted(tuple(row[name] for name in row.keys() if name not in OF_THE_RUN) for row in found)  # noqa: SIM118


@contextmanager
def open_shop(first: date, address: str) -> Iterator[Shop]:
    """A shop on a server at an address of this machine; it ends with the block.

    Raises:
        OSError: the address is none of this machine.
    """
    shop = Shop(first)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/sales.csv":
                shop.asked.set()
                while shop.holding.is_set():
                    shop.holding.wait(0.1)
                text = shop.sales(shop.today)
            else:
                text = shop.sales(date.fromisoformat(self.path.strip("/").removesuffix(".csv")), faults=False)
            with suppress(ConnectionError):  # whoever asked has been killed
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            shop.told.append(message["text"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    shop.url = f"http://{address}:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield shop
    finally:
        shop.holding.clear()
        server.shutdown()
        server.server_close()
