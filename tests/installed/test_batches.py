"""Sources of every kind read some rows at a time: the same rows, messages and types as at once, in bounded memory."""

import gzip
import http.server
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rig import Project, new_database
from sources import NAMES, ROWS, Case, case, columns, files_of, put, served, text, workbook, zipped

SIZE = 40  # rows of a batch in these tests
READ = """
import json
from pathlib import Path
import polars as pl
from {package}.ops.problems import Problem
from {package}.ops.sources import batches
from {package}.ops.sources.rows import joined
from {package}.ops.tables import TableSettings, read_batches, read_table

found = []
place = Path({place!r})
for settings, columns in json.loads({cases!r}):
    settings = TableSettings(**settings)
    told = dict(copies=0)
    batches.ROWS = {size}
    try:
        parts = []
        for part in read_batches(settings, columns, place):
            parts.append(part)
            told["copies"] = max(told["copies"], len([each for each in place.rglob("*") if each.is_file()]))
        told["rows"] = {{name: joined([part[name] for part in parts]).to_list() for name in parts[0].columns}}
        told["sizes"] = list(map(len, parts))
        told["types"] = {{name: sorted({{str(part[name].dtype) for part in parts}}) for name in parts[0].columns}}
        small = read_table(settings, columns)
        batches.ROWS = 1 << 20
        whole = read_table(settings, columns)
        told["same"] = small.equals(whole) and small.schema == whole.schema
    except Problem as problem:
        told["problem"] = str(problem)
    told["left"] = list(map(str, place.iterdir()))
    found.append(told)
print(json.dumps(found, default=str))
"""
MEMORY = """
from pathlib import Path
from {package}.ops.sources import batches
from {package}.ops.tables import TableSettings, read_batches, read_table

def peak():  # of ru_maxrss, a process inherits its parent's
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024

batches.ROWS = 1 << 16
before = peak()
rows = size = 0
settings = TableSettings(**{settings!r})
for batch in read_batches(settings, {columns!r}):
    rows, size = rows + len(batch), size + batch.estimated_size()
in_batches = peak() - before
read_table(settings, {columns!r})
print(rows, in_batches / size, (peak() - before) / size)
"""


def in_batches(shop: Project, place: Path, *cases: Case) -> list[dict[str, Any]]:
    """What small batches give, and what is left of temporary copies in `place`."""
    place.mkdir(exist_ok=True)
    script = READ.format(package=shop.package, place=str(place), size=SIZE, cases=json.dumps(cases))
    done = shop.python(script)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_batches_of_any_file_are_the_whole(shop: Project, tmp_path: Path) -> None:
    plain = text(ROWS).encode()
    packed = gzip.compress(plain)
    objects = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    put(tmp_path / "days" / "1.csv", text(ROWS[:130]))
    put(tmp_path / "days" / "2.csv.gz", gzip.compress(text([row[::-1] for row in ROWS[130:]], NAMES[::-1]).encode()))
    put(tmp_path / "o.zip", zipped(("o.gz", packed)))
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute(f"CREATE TABLE orders ({', '.join(NAMES)})")
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", ROWS)
        database.commit()
    done = shop.python(f"""
import polars as pl
rows = pl.DataFrame({ROWS!r}, schema={NAMES!r}, orient="row")
rows.write_parquet("{tmp_path}/o.parquet", row_group_size=37)
""")
    assert done.returncode == 0, done.stderr
    with served(files_of(tmp_path)) as address:
        cases = {
            "text": (case(put(tmp_path / "o.csv", plain)), 0),
            "another encoding": (case(put(tmp_path / "l.csv", text(ROWS), "latin-1"), encoding="latin-1"), 1),
            "a separator of two signs": (
                case(put(tmp_path / "b.csv", text(ROWS, delimiter="|").replace("|", "||")), separator="||"),
                1,
            ),
            "gzip": (case(put(tmp_path / "o.csv.gz", packed)), 1),
            "a gzip in a zip by URL": (case(f"{address}/o.zip"), 3),
            "a folder": (case(tmp_path / "days"), 1),
            "Parquet": (case(tmp_path / "o.parquet"), 0),
            "JSON lines": (case(put(tmp_path / "o.jsonl", "".join(json.dumps(each) + "\n" for each in objects))), 0),
            "a JSON array": (case(put(tmp_path / "o.json", json.dumps(objects))), 0),
            "Excel": (case(put(tmp_path / "o.xlsx", workbook(Orders=[NAMES, *ROWS]))), 0),
            "SQLite": (case("table:orders", database_url=f"sqlite:///{tmp_path}/shop.db"), 0),
        }
        found = in_batches(shop, tmp_path / "place", *(each for each, _ in cases.values()))
    for (name, (_, copies)), got in zip(cases.items(), found, strict=True):
        assert got["rows"] == columns(ROWS), name
        assert len(got["sizes"]) > 4 and max(got["sizes"]) <= SIZE, (name, got["sizes"])
        assert got["same"], name
        assert (got["copies"], got["left"]) == (copies, []), name


@pytest.mark.postgresql
def test_batches_of_postgresql_are_the_whole(shop: Project, tmp_path: Path, postgresql: str) -> None:
    url = new_database(postgresql, shop)
    done = shop.python(f"""
import polars as pl
import adbc_driver_postgresql.dbapi as driver
rows = pl.DataFrame({ROWS!r}, schema={NAMES!r}, orient="row")
with driver.connect("{url}") as connection, connection.cursor() as cursor:
    cursor.adbc_ingest("orders", rows)
    cursor.execute("CREATE TABLE exact AS SELECT i, i / 8.0 AS n, date '2026-01-01' + i AS d, now() AS t, "
        "i % 2 = 0 AS b, NULLIF(i, 7)::float4 AS f FROM generate_series(1, 5 * 8) AS i")
    connection.commit()
""")
    assert done.returncode == 0, done.stderr
    of: dict[str, Any] = {"database_url": url}
    kinds = {name: name for name in "tfbdni"}
    orders, even, none, broken = in_batches(
        shop,
        tmp_path / "place",
        case("query:SELECT * FROM orders", **of),
        case("table:exact", kinds, **of),
        case("query:SELECT * FROM exact WHERE i < 0", kinds, **of),
        case("query:SELECT 6 / (i - 33) AS n  FROM exact", {"n": "n"}, **of),
    )
    assert broken["problem"] == "query:SELECT 6 / (i - 33) AS n FROM exact: cannot be read: division by zero"
    assert orders["rows"] == columns(ROWS)
    assert max(orders["sizes"]) == SIZE // 8
    assert even["rows"]["n"][:2] == ["0.12500000000000000000", "0.25000000000000000000"]
    assert (even["rows"]["i"], even["rows"]["b"][:2]) == (list(range(1, 41)), [False, True])
    assert (sum(none["sizes"]), none["types"]) == (0, even["types"])
    assert even["types"]["f"] == ["Float32"]
    assert orders["same"] and even["same"] and none["same"]


def test_types_and_rows_beyond_the_first_batch(shop: Project, tmp_path: Path) -> None:
    mixed = [(n, n / 2) for n in range(200)] + [("z", 7)] + [(None, None)] * 90
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("CREATE TABLE mixed (a, c)")
        database.executemany("INSERT INTO mixed VALUES (?, ?)", mixed)
        database.execute("CREATE TABLE raw AS SELECT CASE a WHEN 150 THEN x'00' ELSE 1 END AS r FROM mixed")
        database.execute("CREATE TABLE bad AS SELECT CAST(iif(a = 150, x'41e9', a) AS TEXT) AS t FROM mixed")
        database.commit()
    done = shop.python(f"""
import polars as pl
n = pl.int_range(300, eager=True)
late = pl.select(pl.when(n.is_in([133, 134, 290])).then(2**62).otherwise(n)).to_series().cast(pl.Datetime("us"))
pl.DataFrame(dict(at=late, n=n)).write_parquet("{tmp_path}/late.parquet", row_group_size=50)
""")
    assert done.returncode == 0, done.stderr
    of: dict[str, Any] = {"database_url": f"sqlite:///{tmp_path}/shop.db"}
    lines = [json.dumps({"n": n if n < 100 else str(n)}) for n in range(300)]
    types, json_types, none, *refused = in_batches(
        shop,
        tmp_path / "place",
        case("table:mixed", {"a": "a", "c": "c"}, **of),
        case(put(tmp_path / "t.jsonl", "\n".join(lines)), {"n": "n"}),
        case(put(tmp_path / "none.csv", "customer,item\n"), {"customer": "customer", "twice": "customer"}),
        case("table:raw", {"r": "r"}, **of),
        case("table:bad", {"t": "t"}, **of),
        case(tmp_path / "late.parquet", {"n": "n", "at": "at"}),
        case(put(tmp_path / "bad.jsonl", "\n".join([*lines[:250], "{"])), {"n": "n"}),
        case(put(tmp_path / "ragged.csv", text(ROWS) + "a,b,c,d,e,f\n"), {"item": "item"}),
        case(put(tmp_path / "ragged.csv.gz", gzip.compress((text(ROWS) + "a,b,c,d,e,f\n").encode()))),
        case(put(tmp_path / "late.csv", text(ROWS).encode() + b"a,b,c,\xe9\n")),
        case(put(tmp_path / "late16.csv", text(ROWS).encode("utf-16") + b"\x00"), encoding="utf-16"),
        case(put(tmp_path / "cut.csv.gz", gzip.compress(text(ROWS * 900).encode())[:-9])),
    )
    assert types["types"] == {"a": ["Int64", "Null", "String"], "c": ["Float64", "Int64", "Null"]}
    assert types["rows"]["a"][:3] + types["rows"]["a"][199:202] == ["0", "1", "2", "199", "z", None]
    assert types["rows"]["c"][:3] + types["rows"]["c"][199:202] == ["0", "0.5", "1", "99.5", "7", None]
    assert json_types["types"] == {"n": ["Int64", "String"]}
    assert (none["rows"], none["sizes"]) == ({"customer": [], "twice": []}, [0])
    assert types["same"] and json_types["same"] and none["same"]
    for got, message in zip(
        refused,
        [
            "column r, row 151: bytes",
            "column t, row 151: not UTF-8",
            "column at, row 134: 4611686018427387904 us since 1970…rows of that kind: 3",
            "bad.jsonl: line 251: no JSON",
            "ragged.csv: cannot be read: line 302 has 6 values and the first 4",
            "ragged.csv: cannot be read: line 302 has 6 values and the first 4",
            "late.csv: not in the encoding 'utf-8': line 302 holds the byte 0xe9",
            "late16.csv: not in the encoding 'utf-16'",
            "cut.csv.gz: broken gzip",
        ],
        strict=True,
    ):
        for part in message.split("…"):
            assert part in got["problem"], got
        assert got["left"] == [], got


def test_copies_are_removed_whoever_ends_the_reading(shop: Project, tmp_path: Path) -> None:
    class Short(http.server.BaseHTTPRequestHandler):
        """Ends a download before its end, as a connection that breaks does."""

        def do_GET(self) -> None:
            content = text(ROWS).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content) + 100))
            self.end_headers()
            self.wfile.write(content)

    put(tmp_path / "o.csv.gz", gzip.compress(text(ROWS).encode()))
    (tmp_path / "place").mkdir()
    with served(Short) as address:
        done = shop.python(f"""
from pathlib import Path
from {shop.package}.ops.problems import Problem
from {shop.package}.ops.sources import batches
from {shop.package}.ops.tables import TableSettings, read_batches
batches.ROWS = {SIZE}
def read(source, place):
    return read_batches(TableSettings(source=source), {{"customer": "customer"}}, place)
place = Path("{tmp_path}/place")
def number():
    return len(list(place.rglob("copy")))
parts = read("{tmp_path}/o.csv.gz", place)
next(parts)
print(number())
parts.close()
print(number())
try:
    for part in read("{tmp_path}/o.csv.gz", place):
        raise KeyError(number())
except KeyError as error:
    print(error)
print(number())
for source, folder in (("{address}/o.csv", place), ("{tmp_path}/o.csv.gz", place / "none")):
    try:
        list(read(source, folder))
    except Problem as problem:
        print(problem)
print(list(place.iterdir()))
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *("1", "0", "1", "0"),
        f"{address}/o.csv: cannot be read: the download ended 100 bytes too soon",
        f"{tmp_path}/o.csv.gz: there is no folder for a temporary copy of it: No such file or directory",
        "[]",
    ]


@pytest.mark.parametrize(
    "kind", ["csv", "csv.gz", "parquet", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def test_memory_is_bounded(request: pytest.FixtureRequest, shop: Project, tmp_path: Path, kind: str) -> None:
    """Beyond what the imports take, as a share of the frame of all rows, which reading at once takes and more."""
    shop.env["POLARS_MAX_THREADS"] = "2"  # each of which holds something
    settings: dict[str, str] = {}
    source = str(tmp_path / f"o.{kind}")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
    values = "SELECT 'the customer ' || (i % 200000) AS customer, 'the item ' || (i % 999) AS item, i AS n"
    if kind in ("csv", "csv.gz"):
        lines = "".join(f"the customer {n},{'an item with a long name ' * 6}{n % 999},{n}\n" for n in range(250_000))
        body = gzip.compress(lines.encode(), 1) if kind == "csv.gz" else lines.encode()
        header = gzip.compress(b"customer,item,n\n") if kind == "csv.gz" else b"customer,item,n\n"
        Path(source).write_bytes(header + body * 12)
    elif kind == "parquet":
        done = shop.python(f"""
import polars as pl
n = pl.int_range(3_000_000, dtype=pl.Int64, eager=True)
rows = pl.select(customer=pl.format("the customer {{}}", n % 200_000), item=pl.format("the item {{}}", n % 999), n=n)
rows.write_parquet("{source}", row_group_size=100_000)
""")
        assert done.returncode == 0, done.stderr
    elif kind == "sqlite":
        with closing(sqlite3.connect(source)) as database:
            database.execute(f"CREATE TABLE orders AS {numbers} {values} FROM n")
        source, settings = "table:orders", {"database_url": f"sqlite:///{source}"}
    else:
        url = new_database(request.getfixturevalue("postgresql"), shop)
        done = shop.python(f"""
import adbc_driver_postgresql.dbapi as driver
with driver.connect("{url}") as connection, connection.cursor() as cursor:
    cursor.execute("CREATE TABLE orders AS {values} FROM generate_series(1, 3000000) AS i")
    connection.commit()
""")
        assert done.returncode == 0, done.stderr
        source, settings = "table:orders", {"database_url": url}
    names = {name: name for name in ("customer", "item", "n")}
    done = shop.python(MEMORY.format(package=shop.package, settings={"source": source, **settings}, columns=names))
    assert done.returncode == 0, done.stderr
    rows, in_batches, whole = done.stdout.splitlines()[-1].split()
    assert int(rows) == (1_000_000 if kind == "sqlite" else 3_000_000)
    assert float(in_batches) < 0.5 and float(whole) > 1, (in_batches, whole)
