"""A table in parts: what any number of shards makes of it is what one makes, to the row and to the word."""

import json
from pathlib import Path
from typing import Any

import pytest
from rig import Project

COUNTS = (2, 3, 8)
# Fetches and checks a case whole, as one shard, and as several; what each makes of it is printed.
PARTS = """
import json, sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
import pandera.polars as pa
import polars as pl
import structlog
from structlog.testing import capture_logs
from burger_combos import orders
from burger_combos.ops import ingest, parts
from burger_combos.ops.execute import _note_data
from burger_combos.ops.notes import noting
from burger_combos.ops.problems import Problem
from burger_combos.ops.rejected import set_aside
from burger_combos.ops.runs import Record, Run
from burger_combos.ops.settings import Stage
from burger_combos.ops.shards import perform

FOLDER, ROWS = Path(PATH), 7  # of a batch
NOON = "2026-01-01 12:00"
real, dealt = ingest.read_batches, []

def few(settings, columns):
    for batch in real(settings, columns):
        yield from batch.iter_slices(ROWS)

ingest.read_batches, parts.BATCH, parts.CANDIDATES = few, ROWS, 2
ingest.BATCH = ROWS  # rejected rows that are joined at once

def typed(**types):
    return pa.DataFrameSchema({name: pa.Column(kind, nullable=name == "flag") for name, kind in types.items()})

def plain_orders():
    return orders.schema(date(2026, 11, 1))

def lines(name, rows, **columns):
    file = FOLDER / f"{name}.csv"
    good = {"customer": lambda n: f"C{n % 13}", "item": lambda n: f"I{n % 5}", "ordered_at": lambda n: NOON,
            "quantity": lambda n: "1"} | columns
    text = [",".join(good)] + [",".join(f'"{value(n)}"' for value in good.values()) for n in range(rows)]
    file.write_text("\\n".join(text) + "\\n", encoding="utf-8")
    return {"source": str(file)}

def files(name, *frames):
    folder = FOLDER / name
    folder.mkdir()
    for number, frame in enumerate(frames):
        frame.write_parquet(folder / f"{number}.parquet")
    return {"source": str(folder)}

def frame(rows, **columns):
    good = {"customer": [f"C{n % 13}" for n in range(rows)], "item": [f"I{n % 5}" for n in range(rows)],
            "ordered_at": [datetime(2026, 1, 1, 12)] * rows, "quantity": [1.0] * rows}
    return pl.DataFrame(good | columns)

def sqlite(name, customers):
    import sqlite3
    with sqlite3.connect(FOLDER / f"{name}.db") as database:
        database.execute("CREATE TABLE o (customer, item, ordered_at, quantity)")
        rows = [(each, "burger", NOON, 1 if number % 3 else 1.5) for number, each in enumerate(customers)]
        database.executemany("INSERT INTO o VALUES (?, ?, ?, ?)", rows)
    return {"source": "table:o", "database_url": f"sqlite:///{FOLDER}/{name}.db"}

class Logged(list):
    pass

def tell(run, steps):
    told = {"problem": "", "rows": [], "keys": []}
    with capture_logs() as logs:
        try:
            for step in steps:
                perform(step, run, None)
        except Problem as problem:
            told["problem"] = str(problem)
    kept = run.path("rejected.csv")
    numbers = {key: value for key, value in run.record.numbers.items()}
    told |= {"rejected": kept.read_text() if kept.exists() else "", "facts": run.record.facts, "numbers": numbers}
    told["log"] = sorted(json.dumps(each, default=str, sort_keys=True) for each in logs)
    _note_data(run)
    return told | {"data": run.record.data}

def of(case, count, whole=False):
    settings = orders.OrderSettings(**{"date_formats": ["%Y-%m-%d %H:%M"]} | case["settings"])
    schema, found = case.get("schema", plain_orders)(), []
    folder = FOLDER / f"{case['name']}-{count}{'-whole' * whole}"
    folder.mkdir()
    run = Run(folder, Record("one", Stage.develop, date(2026, 11, 1), git_commit="c", image="", shards=count))

    def load(run, _):
        ingest.fetch(run, settings, case.get("make_up"), **({} if whole else {"by": "customer"}))
    def check(run, _):
        found.append(ingest.checked(run, settings, schema))
    def check_shard(run, _, shard):
        found.append(ingest.checked(run, settings, schema, shard))
    def catalogue(run, _):
        ingest.join_rejected(run, settings)

    told = tell(run, [load, check] if whole else [load, check_shard, catalogue])
    if found and not told["problem"]:
        rows = pl.concat(found)
        told["rows"] = sorted(map(repr, rows.rows()))
        told["schema"] = str(rows.schema)
        held = [set(part["customer"]) for part in found]
        told["shared"] = sorted(map(str, {key for a in range(len(held)) for b in range(a) for key in held[a] & held[b]}))
    left = sorted(file.name for file in folder.iterdir() if file.name.endswith("partial"))
    return told | {"left": left}

CASES = []
def case(name, settings, **more):
    CASES.append({"name": name, "settings": settings, **more})

exec(Path(MORE).read_text())
print(json.dumps({each["name"]: {
    "whole": of(each, 1, whole=True), **{str(count): of(each, count) for count in (1, *COUNTS)}} for each in CASES},
    default=str))
"""
CASES = '''
odd = lambda n: n % 2
late = lambda usual, last, n, rows: last if n == rows - 1 else usual
# Fractions of zeros.
case("whole in some rows", lines("zeros", 40, item=lambda n: f"{n % 9}.0" if n < 20 else str(n % 9)))
case("whole but for one", lines("one", 40, item=lambda n: "A" if n == 39 else f"{n % 9}.0" if n < 20 else str(n % 4)))
case("whole keys", lines("keys", 40, customer=lambda n: f"{n % 9}.0" if n < 20 else str(n % 9)))
case("keys but for one", lines("keyone", 40, customer=lambda n: "A" if n == 39 else f"{n % 9}.0" if n < 20 else str(n % 4)))
case("quantities", lines("quantities", 40, quantity=lambda n: "2.5" if n == 33 else f"{n % 9 + 1}.0"))
# Floats as names.
case("float keys", files("floats", frame(20, customer=[float(n % 6) for n in range(20)]),
     frame(20, customer=[float(n % 6) for n in range(20)])))
case("float keys, one broken", files("broken", frame(20, customer=[float(n % 6) for n in range(20)]),
     frame(20, customer=[n % 6 + (n == 19) / 2 for n in range(20)])))
case("floats without an exact whole part", files("inexact", frame(120, item=[float(n % 6) if n else 2.0**53 for n in range(120)])))
case("decimals", files("decimals", frame(40, customer=pl.Series([Decimal(n % 6) for n in range(40)], dtype=pl.Decimal(10, 2)),
     item=pl.Series([Decimal(n % 6) + (n == 39) / Decimal(2) for n in range(40)], dtype=pl.Decimal(10, 2)))))
# Types that differ.
case("types of files", files("types", frame(20, customer=[n % 6 for n in range(20)], item=[1.5] * 20),
     frame(20, customer=[float(n % 6) for n in range(20)], item=list(range(20))),
     frame(20, customer=[f"{n % 6}.0" for n in range(20)], item=["burger"] * 20),
     frame(3, customer=[None] * 3), frame(20, customer=[f" {n % 6} " for n in range(20)])))
case("integers of files", files("widths", frame(20, customer=pl.Series([n % 6 for n in range(20)], dtype=pl.Int8)),
     frame(20, customer=pl.Series([n % 6 for n in range(20)], dtype=pl.Int32))), schema=lambda: typed(customer=pl.Int64, item=pl.String))
case("numbers of files", files("numbers", frame(20, customer=[n % 6 for n in range(20)]),
     frame(20, customer=[float(n % 6) for n in range(20)]), frame(20, customer=[f"{n % 6}e0" for n in range(20)])),
     schema=lambda: typed(customer=pl.Int64, item=pl.String))
case("categories of files", files("categories", frame(20).with_columns(pl.col("customer").cast(pl.Categorical)), frame(20)))
case("missing in numbers", files("missing", frame(20, item=[99, 1] * 10), frame(20, item=["99", "x"] * 10)) | {"null_values": ["99"],
     "max_rejected_share": 0.9})
case("a table of SQLite", sqlite("mixed", [n % 6 if n < 15 else float(n % 6) if n < 30 else f"{n % 6}.0" for n in range(45)]))
case("times of files", files("times", frame(20), frame(20, ordered_at=[date(2026, 1, 1)] * 20)))
# Spreadsheet's short forms.
case("short forms", lines("short", 40, item=lambda n: "1.7e4" if n in (3, 30) else str(n)) | {"max_rejected_share": 0.9})
case("no short forms", lines("noshort", 40, item=lambda n: "1.7e4" if n in (3, 30) else "A" if n == 35 else str(n)))
case("short forms of keys", lines("shortkeys", 40, customer=lambda n: "17e3" if n in (3, 30) else f"{n}.0") | {"max_rejected_share": 0.9})
case("short forms and zeros that stay", lines("stay", 40, item=lambda n: {3: "1.7e4", 30: "8.0", 31: "A"}.get(n, str(n % 7))))
# One order of day and month.
orders_ = {"date_formats": ["%m/%d/%Y", "%d/%m/%Y"]}
case("day before month", lines("dmy", 40, ordered_at=lambda n: "31/12/2025" if n == 38 else f"0{n % 9 + 1}/02/2026") | orders_)
case("month before day", lines("mdy", 40, ordered_at=lambda n: "12/31/2025" if n == 2 else f"0{n % 9 + 1}/02/2026") | orders_)
case("both orders", lines("both", 40, ordered_at=lambda n: {5: "31/12/2025", 36: "12/31/2025"}.get(n, f"0{n % 9 + 1}/02/2026")) | orders_)
case("either order", lines("either", 40, ordered_at=lambda n: "02/02/2026" if n < 25 else f"0{n % 9 + 1}/02/2026") | orders_)
case("the same in either", lines("same", 40, ordered_at=lambda n: "02/02/2026") | orders_)
case("days in one order", lines("days", 40, ordered_at=lambda n: "31/12/2025" if n == 38 else f"0{n % 9 + 1}/02/2026") | orders_,
     schema=lambda: typed(customer=pl.String, ordered_at=pl.Date))
case("a format that is none", lines("none", 40) | {"date_formats": ["%m/%d/%Y", "%d/%m/%Y", "%Q/%d/%Y"]})
# Zones.
zones = {"date_formats": ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M%#z"]}
case("a time with a zone", lines("zone", 40, ordered_at=lambda n: "2026-01-01T12:00+02:00" if n == 37 else NOON) | zones)
case("a time without", lines("nozone", 40, ordered_at=lambda n: NOON if n == 37 else "2026-01-01T12:00+02:00") | zones)
case("a time in a zone", lines("inzone", 40, ordered_at=lambda n: "2026-01-01T12:00+02:00" if n == 37 else NOON) | zones
     | {"timezone": "Europe/Lisbon"})
# Numbers as dates.
case("no date", files("nodate", frame(40, ordered_at=[1_767_268_800] * 40)))
case("one date", files("onedate", frame(40, ordered_at=[20260101 if n == 33 else 1 for n in range(40)]))
     | {"date_formats": ["%Y%m%d"], "max_rejected_share": 0.99})
case("days that are whole", files("excel", frame(40, ordered_at=[45_000.0 + n for n in range(40)])) | {"date_formats": ["excel", "%Y%m%d"]})
case("one day that is not", files("excel2", frame(40, ordered_at=[20260101.0 + (n == 39) / 2 for n in range(40)]))
     | {"date_formats": ["%Y%m%d"], "max_rejected_share": 0.99})
# Keys.
case("null keys", lines("nulls", 120, customer=lambda n: "" if n % 40 == 5 else f"C{n % 13}") | {"max_rejected_share": 0.5})
case("keys but for blanks", lines("blanks", 60, customer=lambda n: ["Ana B", " Ana  B", "Ana\\u00a0B", "A\\u200bna B", "C"][n % 5]))
case("keys as numbers", lines("asnumbers", 60, customer=lambda n: ["17", "17.0", "+17", "017", "1.7e1", "170"][n % 6]),
     schema=lambda: typed(customer=pl.Int64, item=pl.String))
case("keys with thousands", lines("thousands", 60, customer=lambda n: ["1.700", "1700", "1.700,0", "17"][n % 4])
     | {"decimal": ",", "thousands": "."}, schema=lambda: typed(customer=pl.Int64, item=pl.String))
case("one key", lines("onekey", 30, customer=lambda n: "Ana"))
case("keys that are days", lines("daykeys", 30, customer=lambda n: "2026-01-01"), schema=lambda: typed(customer=pl.Date))
case("unique in a part", lines("unique", 30), schema=lambda: pa.DataFrameSchema({"item": pa.Column(pl.String, unique=True)}))
# Rejected rows.
case("too many in a part", lines("part", 120, customer=lambda n: "Ana" if n % 24 == 0 else f"C{n % 13}",
     quantity=lambda n: "-1" if n % 24 == 0 else "1") | {"max_rejected_share": 0.1})
case("too many in all", lines("all", 120, quantity=lambda n: "one" if n % 2 else "0" if n % 4 else "1"))
case("all of them", lines("every", 60, ordered_at=lambda n: "yesterday"))
case("two reasons", lines("two", 60, ordered_at=lambda n: "01.02.2026" if n % 5 == 1 else NOON,
     quantity=lambda n: "1,5" if n % 7 == 2 else "1") | {"max_rejected_share": 0.5})
case("perhaps missing", lines("perhaps", 60, item=lambda n: "NONE" if n % 9 == 0 else "Null" if n % 7 == 0 else " I"))
case("no rows", lines("empty", 0))
case("made up", {"source": "sample"}, make_up=lambda: frame(60, customer=[f" {n % 7}" for n in range(60)]))
case("made up with floats", {"source": "sample"}, make_up=lambda: frame(60, customer=[n % 7 + (n == 59) / 2 for n in range(60)]))
'''
REFUSED = ("keys that are days", "unique in a part")  # what no part can tell, which one shard can


@pytest.fixture(scope="module")
def told(project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What one shard makes of each case, and what several do."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "cases").write_text(CASES, encoding="utf-8")
    script = PARTS.replace("PATH", repr(str(folder))).replace("MORE", repr(str(folder / "cases")))
    done = project.python(script.replace("COUNTS", repr(COUNTS)))
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found
