"""A table in parts: what any number of shards makes of it is what one makes of it whole, to the row and to the word."""

import json
from pathlib import Path
from typing import Any

import pytest
from rig import Project

COUNTS = (2, 3, 8)
CASES = r"""
NOON = "2026-01-01 12:00"

def frame(rows, **columns):
    good = {"customer": [f"C{n % 13}" for n in range(rows)], "item": [f"I{n % 5}" for n in range(rows)],
            "ordered_at": [datetime(2026, 1, 1, 12)] * rows, "quantity": [1.0] * rows}
    return pl.DataFrame(good | columns)

def lines(rows, settings=None, schema=None, **columns):
    "A file of CSV: by column, the value of each row."
    good = {"customer": lambda n: f"C{n % 13}", "item": lambda n: f"I{n % 5}", "ordered_at": lambda n: NOON,
            "quantity": lambda n: "1"} | columns
    file = FOLDER / f"{len(CASES)}.csv"
    text = [",".join(good), *(",".join(f'"{value(n)}"' for value in good.values()) for n in range(rows))]
    file.write_text("\n".join(text) + "\n", encoding="utf-8")
    return {"settings": {"source": str(file)} | (settings or {}), "schema": schema}

def files(*frames, settings=None, schema=None):
    "A folder with Parquet files."
    folder = FOLDER / str(len(CASES))
    folder.mkdir()
    for number, each in enumerate(frames):
        each.write_parquet(folder / f"{number}.parquet")
    return {"settings": {"source": str(folder)} | (settings or {}), "schema": schema}

def sqlite(customers):
    with closing(sqlite3.connect(FOLDER / "orders.db")) as database, database:
        database.execute("CREATE TABLE o (customer, item, ordered_at, quantity)")
        rows = [(each, "burger", NOON, 1 if number % 3 else 1.5) for number, each in enumerate(customers)]
        database.executemany("INSERT INTO o VALUES (?, ?, ?, ?)", rows)
    return {"settings": {"source": "table:o", "database_url": f"sqlite:///{FOLDER}/orders.db"}}

def made_up(rows):
    return {"settings": {"source": "sample"}, "make_up": lambda: rows}

def typed(**types):
    return pa.DataFrameSchema({name: pa.Column(kind) for name, kind in types.items()})

def decimals(values):
    return pl.Series([Decimal(value) for value in values], dtype=pl.Decimal(10, 2))

NUMBERS = typed(customer=pl.Int64, item=pl.String)
DAYS = typed(customer=pl.String, ordered_at=pl.Date)
MOST = {"max_rejected_share": 0.99}
ORDERS = {"date_formats": ["%m/%d/%Y", "%d/%m/%Y"]}
ZONES = {"date_formats": ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M%#z"]}
ZONE = "2026-01-01T12:00+02:00"
FEBRUARY = lambda n: f"0{n % 9 + 1}/02/2026"
ZEROS = lambda n: f"{n % 9}.0" if n < 20 else str(n % 9)
ZEROS_BUT_A = lambda n: "A" if n == 39 else f"{n % 9}.0" if n < 20 else str(n % 4)

add("zeros", lines(40, item=ZEROS))
add("zeros but for one", lines(40, item=ZEROS_BUT_A))
add("zeros of keys", lines(40, customer=ZEROS))
add("zeros of keys but for one", lines(40, customer=ZEROS_BUT_A))
add("zeros of quantities", lines(40, quantity=lambda n: "2.5" if n == 33 else f"{n % 9 + 1}.0"))
whole = [float(n % 6) for n in range(20)]
add("float keys", files(frame(20, customer=whole), frame(20, customer=whole)))
add("float keys, one broken", files(frame(20, customer=whole), frame(20, customer=[*whole[:19], 0.5])))
add("floats too great", files(frame(100, item=[*whole[:19], 2.0**53] * 5), settings=MOST))
add("decimals", files(frame(20, customer=decimals(whole), item=decimals([*whole[:19], 0.5]))))
kinds = ([n % 6 for n in range(20)], whole, [f"{n % 6}.0" for n in range(20)], [f" {n % 6} " for n in range(20)])
add("types of files", files(*(frame(20, customer=each) for each in kinds), frame(3, customer=[None] * 3)))
add("a broken item", files(frame(20, item=[1.5, 2.0] * 10), frame(20, item=[2] * 20), frame(20)))
by_key = frame(20, customer=["A"] * 20, item=[1] * 20), frame(20, customer=["B"] * 20, item=[1.0, 1.5] * 10)
add("types of keys", files(*by_key))
integers = [pl.Series(kinds[0], dtype=kind) for kind in (pl.Int8, pl.Int32)]
add("widths of integers", files(*(frame(20, customer=each) for each in integers), schema=NUMBERS))
powers = [f"{n % 6}e0" for n in range(20)]
add("numbers of files", files(*(frame(20, customer=each) for each in (*kinds, powers)), schema=NUMBERS))
add("categories", files(frame(20).cast({"customer": pl.Categorical}), frame(20)))
add("missing as a number", files(frame(20, item=[99, 1] * 10), frame(20), settings=MOST | {"null_values": ["99"]}))
add("days and times", files(frame(20), frame(20, ordered_at=[date(2026, 1, 1)] * 20)))
add("a table of SQLite", sqlite([*kinds[0], *whole, *kinds[2]]))
add("short forms", lines(40, MOST, item=lambda n: "1.7e4" if n in (3, 30) else str(n)))
add("no short forms", lines(40, item=lambda n: {3: "1.7e4", 30: "1.7e4", 35: "A"}.get(n, str(n))))
add("short forms of keys", lines(40, MOST, customer=lambda n: "17e3" if n in (3, 30) else str(n)))
add("short forms and zeros", lines(40, MOST, item=lambda n: {3: "1.7e4", 30: "8.0", 31: "8"}.get(n, str(n % 7))))
add("zeros that stay", lines(40, item=lambda n: {3: "1.7e4", 30: "8.0"}.get(n, str(n % 7))))
add("day first", lines(40, ORDERS, ordered_at=lambda n: "31/12/2025" if n == 38 else FEBRUARY(n)))
add("month first", lines(40, ORDERS, ordered_at=lambda n: "12/31/2025" if n == 2 else FEBRUARY(n)))
add("both orders", lines(40, ORDERS, ordered_at=lambda n: {5: "31/12/2025", 36: "12/31/2025"}.get(n, FEBRUARY(n))))
add("either order", lines(40, ORDERS, ordered_at=lambda n: "02/02/2026" if n < 25 else FEBRUARY(n)))
add("the same in either", lines(40, ORDERS, ordered_at=lambda n: "02/02/2026"))
add("days", lines(40, ORDERS, DAYS, ordered_at=lambda n: "31/12/2025" if n == 38 else FEBRUARY(n)))
add("a format that is none", lines(40, {"date_formats": ["%m/%d/%Y %H", "%d/%m/%Y %H"]}))
add("a time with a zone", lines(40, ZONES, ordered_at=lambda n: ZONE if n == 37 else NOON))
add("a time without", lines(40, ZONES, ordered_at=lambda n: NOON if n in (30, 37) else ZONE))
add("a known zone", lines(40, ZONES | {"timezone": "Asia/Tokyo"}, ordered_at=lambda n: ZONE if n == 37 else NOON))
add("no date", files(frame(40, ordered_at=[1_767_268_800] * 40)))
add("one date", files(frame(40, ordered_at=[*range(39), 20260101]), settings=MOST | {"date_formats": ["%Y%m%d"]}))
excel = {"date_formats": ["excel", "%Y%m%d"]}
add("whole days", files(frame(40, ordered_at=[45_000.0 + n for n in range(40)]), settings=excel))
plain = {"date_formats": ["%Y%m%d"]}
add("one broken day", files(frame(40, ordered_at=[20260101.0] * 39 + [20260101.5]), settings=plain))
add("null keys", lines(400, MOST, customer=lambda n: "" if n % 2 else f"C{n % 13}"))
add("blanks in keys", lines(60, customer=lambda n: ["Ana B", " Ana  B", "Ana\u00a0B", "A\u200bna B", "C"][n % 5]))
add("numbers as keys", lines(60, {}, NUMBERS, customer=lambda n: ["17", "17.0", "+17", "017", "1.7e1", "170"][n % 6]))
german = {"decimal": ",", "thousands": "."}
add("thousands in keys", lines(60, german, NUMBERS, customer=lambda n: ["1.700", "1700", "1.700,0"][n % 3]))
add("one key", lines(30, customer=lambda n: "Ana"))
add("too many in a part", lines(120, customer=lambda n: "Ana" if n % 24 == 0 else f"C{n % 13}",
    quantity=lambda n: "-1" if n % 24 == 0 else "1"))
add("too many", lines(120, quantity=lambda n: "one" if n % 2 else "0" if n % 4 else "1"))
add("all rejected", lines(60, ordered_at=lambda n: "yesterday"))
add("two reasons", lines(60, MOST, ordered_at=lambda n: "01.02.2026" if n % 5 == 1 else NOON,
    quantity=lambda n: "1,5" if n % 7 == 2 else "1"))
add("perhaps missing", lines(60, item=lambda n: "NONE" if n % 9 == 0 else "Null" if n % 7 == 0 else " I"))
add("no rows", lines(0))
add("made up", made_up(frame(60, customer=[f" {n % 7}" for n in range(60)])))
add("made up with floats", made_up(frame(60, customer=[*whole, *whole, *whole[:19], 0.5])))
add("a key that is a day", lines(30, {}, typed(customer=pl.Date)))
add("a row that is there once", lines(30, {}, pa.DataFrameSchema({"item": pa.Column(pl.String, unique=True)})))
add("a column called row", made_up(frame(30, row=[1] * 30)))
add("no such column", made_up(frame(30).drop("customer")))
"""
# Fetches and checks each case whole, as one shard and as several, and prints what comes of it.
PARTS = r"""
import json, sqlite3
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
import pandera.polars as pa
import polars as pl
from structlog.testing import capture_logs
from burger_combos import orders
from burger_combos.ops import ingest, parts, threads
from burger_combos.ops.execute import _note_data
from burger_combos.ops.problems import Problem
from burger_combos.ops.raw import refuse_unjoined
from burger_combos.ops.runs import Record, Run
from burger_combos.ops.settings import Stage
from burger_combos.ops.shards import perform

FOLDER, DAY, ROWS, CASES = Path(GIVEN), date(2026, 11, 1), 7, {}
read_batches = ingest.read_batches

def few(settings, columns, folder):
    for batch in read_batches(settings, columns, folder):
        yield from batch.iter_slices(ROWS)

ingest.read_batches, ingest.BATCH, parts.BATCH, parts.CANDIDATES = few, ROWS, ROWS, 2
threads.ROWS = ROWS

def add(name, case):
    CASES[name] = case

def tell(name, case, count, whole=False):
    settings = orders.OrderSettings(**{"date_formats": ["%Y-%m-%d %H:%M"]} | case["settings"])
    schema, found = case.get("schema") or orders.schema(DAY), []
    if settings.time_column not in schema.columns:
        settings = settings.model_copy(update={"time_column": ""})
    folder = FOLDER / f"{name} {count} {whole}"
    folder.mkdir()
    run = Run(folder, Record("one", Stage.develop, DAY, git_commit="c", image="", shards=count))

    def load(run, _):
        ingest.fetch(run, settings, case.get("make_up"), **({} if whole else {"by": "customer"}))
    def check_whole(run, _):
        found.append(ingest.checked(run, settings, schema))
    def check(run, _, shard):
        found.append(ingest.checked(run, settings, schema, shard))
    def catalogue(run, _):
        ingest.join_rejected(run, settings)

    problem, unjoined = "", ""
    with capture_logs() as logs:
        try:
            for step in (load, check_whole) if whole else (load, check, catalogue):
                perform(step, run, None)
                if step is check:
                    try:
                        refuse_unjoined(run)
                    except Problem as one:
                        unjoined = str(one)
            refuse_unjoined(run)
        except Problem as one:
            problem = str(one)
    _note_data(run)
    rejected = folder / "rejected.csv"
    told = {
        "problem": problem,
        "rejected": rejected.read_text() if rejected.exists() else "",
        "facts": run.record.facts,
        "numbers": run.record.numbers,
        "data": run.record.data,
        "log": sorted(json.dumps(each, default=str, sort_keys=True) for each in logs),
        "rows": [] if problem or not found else sorted(map(repr, pl.concat(found).rows())),
        "types": "" if problem or not found else str(found[0].schema),
    }
    raw = [pl.read_parquet(file) for file in sorted(folder.glob("raw-*.parquet"))]
    keys = [set(part.to_dict().get("customer", [])) - {None} for part in found]
    return told | {
        "unjoined": unjoined,
        "twice": sorted(map(str, (key for a, one in enumerate(keys) for other in keys[:a] for key in one & other))),
        "sizes": [len(part) for part in raw],
        "sorted": all(part["row"].is_sorted() for part in raw),
        "files": sorted(each.name for each in folder.iterdir()),
    }

exec((FOLDER / "cases").read_text())
print(json.dumps({name: {"whole": tell(name, case, 1, True), **{str(n): tell(name, case, n) for n in (1, *COUNTS)}}
                  for name, case in CASES.items()}, default=str))
"""
SAME = ("problem", "rejected", "facts", "numbers", "data", "log", "rows", "types")
REFUSED = {  # what no part can tell, and so more than one shard refuses
    "a key that is a day": "column customer: Date, and the rows are in parts by it: names and whole numbers part them",
    "a row that is there once": "unique: item: no part of the rows tells that, as they are in parts by customer",
    "a column called row": "orders.columns.row: a table in parts has a column 'row' of its own, the number of each row",
    "no such column": "sample: no column 'customer' to part the rows by, only item, ordered_at, quantity",
}


@pytest.fixture(scope="module")
def told(project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, Any]]]:
    """What comes of each case, whole and by the number of shards."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "cases").write_text(CASES, encoding="utf-8")
    done = project.python(PARTS.replace("GIVEN", repr(str(folder))).replace("COUNTS", repr(COUNTS)))
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_any_number_of_shards_makes_the_same_of_a_table(told: dict[str, dict[str, dict[str, Any]]]) -> None:
    for name, found in told.items():
        whole = found["whole"]
        for count in (1, *COUNTS) if name not in REFUSED else (1,):
            mine = found[str(count)]
            if whole["problem"]:  # told by all, after each has counted
                counted = {name for name in ("rows_rejected", "rows_later") if name not in whole["numbers"]}
                mine = mine | {"numbers": {key: each for key, each in mine["numbers"].items() if key not in counted}}
            for each in SAME:
                assert mine[each] == whole[each], (name, count, each)
            assert mine["twice"] == [], (name, count)
            assert mine["sorted"], (name, count)
            assert not [file for file in mine["files"] if file.endswith("partial")], (name, count)


def test_what_no_part_can_tell_is_refused(told: dict[str, dict[str, dict[str, Any]]]) -> None:
    for name, problem in REFUSED.items():
        for count in COUNTS:
            assert problem in told[name][str(count)]["problem"], (name, count)


def test_all_rows_decide(told: dict[str, dict[str, dict[str, Any]]]) -> None:
    """The cases are such that their parts would decide otherwise."""
    problems = {name: found["8"]["problem"] for name, found in told.items()}
    for name, problem in {
        "both orders": """1 row (first row 37: '12/31/2025') need "%m/%d/%Y" of orders.date_formats, and 1 row""",
        "either order": "13 rows (first row 26: '08/02/2026') would be another day: leave the one that is meant",
        "a time with a zone": "1 row (first row 38: '2026-01-01T12:00+02:00') with a time zone and 39 rows (first",
        "a time without": "38 rows (first row 1: '2026-01-01T12:00+02:00') with a time zone and 2 rows (first",
        "no date": "column ordered_at: Int64 is no date in the formats",
        "one broken day": "column ordered_at: Float64 is no date in the formats",
        "a format that is none": "orders.date_formats: '%m/%d/%Y %H': Invalid format string",
        "too many": "90 of 120 rows rejected (75.0%; orders.max_rejected_share allows 5.0%), 60 because quantity is no",
        "all rejected": "60 of 60 rows rejected",
        "no rows": "no rows",
    }.items():
        assert problem in problems.pop(name), name
    assert {name for name, problem in problems.items() if problem} == set(REFUSED)
    for name, changed in {
        "zeros": {"item": {"fraction of zeros": 20}},
        "zeros but for one": {"item": {"fraction of zeros": 10}},
        "types of files": {"customer": {"characters": 20, "fraction of zeros": 20}},
        "blanks in keys": {"customer": {"characters": 24, "blanks": 24}},
    }.items():
        assert told[name]["8"]["facts"]["changed"] == changed
    assert told["one key"]["8"]["sizes"].count(0) == 7
    assert min(told["null keys"]["8"]["sizes"]) > 10  # of the 200 without a key, each has its share
    assert told["too many in a part"]["8"]["numbers"]["rows_rejected"] == 5


def test_rejected_rows_have_to_be_judged(told: dict[str, dict[str, dict[str, Any]]]) -> None:
    for count in (1, *COUNTS):
        assert "call join_rejected(run, settings)" in told["two reasons"][str(count)]["unjoined"]
    assert told["two reasons"]["whole"]["files"] == ["raw.parquet", "rejected.csv"]


def test_a_step_says_whether_it_has_a_part(shop: Project, tmp_path: Path) -> None:
    done = shop.python(f"""
from datetime import date
from pathlib import Path
from burger_combos import orders
from burger_combos.ops import ingest
from burger_combos.ops.problems import Problem
from burger_combos.ops.runs import Record, Run
from burger_combos.ops.settings import Stage
from burger_combos.sample import make_up
DAY = date(2026, 11, 1)
mine, schema = orders.OrderSettings(), orders.schema(DAY)
for by in ("", "customer"):
    record = Record("one", Stage.develop, DAY, git_commit="c", image="", shards=2)
    run = Run(Path({str(tmp_path)!r}) / f"by {{by}}", record)
    run.folder.mkdir()
    ingest.fetch(run, mine, lambda: make_up(mine.sample, DAY), by=by)
    for call in (lambda: ingest.checked(run, mine, schema), lambda: ingest.checked(run, mine, schema, run.shards[1]),
                 lambda: ingest.join_rejected(run, mine)):
        try:
            call()
            print("> done")
        except Problem as problem:
            print(">", problem)
""")
    assert [line[2:] for line in done.stdout.splitlines() if line.startswith("> ")] == [
        "done",
        "raw.parquet is not in parts, one for each shard: fetch(…, by=COLUMN) parts it",
        "rejected-0-of-2.json is not there: join_rejected comes after a step that gives its shard to checked",
        "raw.parquet is in parts, one for each shard: let the step take its shard and give it to checked",
        "done",
        "rejected-0-of-2.json is not there: join_rejected comes after a step that gives its shard to checked",
    ], done.stderr
