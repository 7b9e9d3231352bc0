"""Tables of every kind that people have, read by settings alone or refused in one line.

What is read is compared with what Python's csv, json and sqlite3 find in the same data.
"""

import bz2
import csv
import gzip
import json
import lzma
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rig import Project, new_database
from sources import NAMES, NUMBERS, ROWS, Case, case, columns, files_of, put, served, text, workbook, zipped

READ = """
import json
from {package}.ops.problems import Problem
from {package}.ops.tables import TableSettings, read_table

found = []
for settings, columns in json.loads({cases!r}):
    try:
        found.append(read_table(TableSettings(**settings), columns).to_dict(as_series=False))
    except Problem as problem:
        found.append(str(problem))
print(json.dumps(found, default=str))
"""


def read(shop: Project, *cases: Case) -> list[Any]:
    """The columns that each reading gives, or its one line; in one process for all."""
    done = shop.python(READ.format(package=shop.package, cases=json.dumps(cases)))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])  # the log may come before it
    assert all("\n" not in each for each in found if isinstance(each, str))
    return found


def refused(shop: Project, cases: dict[str, Case]) -> None:
    """Each reading is refused in a line with this text in it, all parts of which are divided by `…`."""
    for message, line in zip(cases, read(shop, *cases.values()), strict=True):
        assert isinstance(line, str), f"{message}: {line}"
        for part in message.split("…"):
            assert part in line, f"{part}\n{line}"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A web server on loopback for the files of the test's folder."""
    with served(files_of(tmp_path)) as url:
        yield url


def test_text_however_it_is_written(shop: Project, tmp_path: Path) -> None:
    long = [[each.replace("large", "two\nlines") for each in row] for row in ROWS]
    plain = text(ROWS)
    bars = "".join(
        "||".join([*row[:1], f'"{row[1].replace(chr(34), chr(34) * 2)} || more"', *row[2:]]) + "\n" for row in ROWS
    )
    blanks = [[row[0].replace(" ", "_"), f'"a  {row[3]}"', row[2].replace(" ", "T"), row[3]] for row in ROWS]
    aligned = "".join("  " + "   ".join(row) + " \t" + row[0] + " \r\n" for row in blanks)
    files: dict[str, tuple[Case, list[list[str]]]] = {
        "plain": (case(put(tmp_path / "a.csv", plain)), ROWS),
        "byte order mark": (case(put(tmp_path / "b.csv", plain, "utf-8-sig")), ROWS),
        "mark, no header": (
            case(put(tmp_path / "c.csv", text(ROWS, None), "utf-8-sig"), NUMBERS, header=False),
            ROWS,
        ),
        "several lines": (case(put(tmp_path / "d.csv", text(long, quoting=csv.QUOTE_ALL))), long),
        "several lines, latin-1": (case(put(tmp_path / "e.csv", text(long), "latin-1"), encoding="latin-1"), long),
        "Windows": (case(put(tmp_path / "f.csv", plain.replace("\n", "\r\n"))), ROWS),
        "old Mac": (case(put(tmp_path / "g.csv", plain.replace("\n", "\r"))), ROWS),
        "utf-16": (case(put(tmp_path / "h.csv", plain, "utf-16"), encoding="utf-16"), ROWS),
        "utf-16-le": (case(put(tmp_path / "i.csv", plain, "utf-16"), encoding="utf-16-le"), ROWS),
        "no mark": (case(put(tmp_path / "j.csv", plain, "utf-16-le"), encoding="utf-16-le"), ROWS),
        "cp1252": (case(put(tmp_path / "k.csv", plain, "cp1252"), encoding="cp1252"), ROWS),
        "title and blank line": (case(put(tmp_path / "l.csv", 'An "export\n\n' + plain), skip_rows=1), ROWS),
        "comments": (
            case(put(tmp_path / "m.csv", "# a\n\n# b\n" + plain + "# c,d,e,f,g\n"), comment_prefix="#"),
            ROWS,
        ),
        "comments, no header": (
            case(put(tmp_path / "n.csv", "// a\n\n" + text(ROWS, None)), NUMBERS, comment_prefix="//", header=False),
            ROWS,
        ),
        "Excel's sep": (
            case(put(tmp_path / "o.csv", "sep=;\n" + text(ROWS, delimiter=";")), skip_rows=1, separator=";"),
            ROWS,
        ),
        "two bars": (
            case(put(tmp_path / "p.csv", bars), NUMBERS, separator="||", header=False),
            [[row[0], row[1] + " || more", *row[2:]] for row in ROWS],
        ),
        "white space": (
            case(put(tmp_path / "q.txt", aligned), NUMBERS, separator="whitespace", header=False),
            [[row[0], row[1].strip('"'), *row[2:]] for row in blanks],
        ),
        "beyond ASCII": (
            case(put(tmp_path / "r.csv", text(ROWS, delimiter="¦")), separator="¦"),
            ROWS,
        ),
        "no quotes": (
            case(
                put(tmp_path / "s.tsv", "\t".join(NAMES) + "\n" + 'a\t"5 inch\t2026-01-01\t1\n'),
                separator="\t",
                quote="",
            ),
            [["a", '"5 inch', "2026-01-01", "1"]],
        ),
        "names with numbers": (
            case(put(tmp_path / "t.csv", plain), NUMBERS, header=False, skip_rows=1),
            ROWS,
        ),
    }
    found = read(shop, *(each for each, _ in files.values()))
    for (name, (_, rows)), got in zip(files.items(), found, strict=True):
        assert got == columns(rows), name


def test_films_rated_as_movielens_has_them(shop: Project, tmp_path: Path) -> None:
    rows = [[str(row % 9 + 1), str(row % 50 + 1), str(row % 5 + 1), str(881250949 + row)] for row in range(500)]
    names = {"customer": "1", "item": "2", "ordered_at": "4"}
    data = put(tmp_path / "u.data", text(rows, None, delimiter="\t"))
    ratings = put(tmp_path / "ratings.dat", "".join("::".join(row) + "\n" for row in rows))
    expected = columns([[row[0], row[1], row[3]] for row in rows], ["customer", "item", "ordered_at"])
    found = read(
        shop,
        case(data, names, separator="\t", header=False),
        case(data, names, separator="whitespace", header=False),
        case(ratings, names, separator="::", header=False),
    )
    assert found == [expected] * 3
    lost = {"customer": rows[0][0], "item": rows[0][1], "ordered_at": rows[0][3]}
    refused(
        shop,
        {
            f"'{rows[0][3]}': values of the first row…header = false": case(data, lost, separator="\t"),
            "separator = '::' is meant": case(ratings, names, separator=":", header=False),
            "nothing stands between each two ':'": case(ratings, lost, separator=":"),
            "columns go by number, from 1, and 'customer' is none; the first row has 4: '1', '1', '1'": case(
                data, separator="\t", header=False
            ),
            "no column 'customer'…if that is a row and there is no header, header = false": case(data, separator="\t"),
            "no column 7; the first row has 4": case(data, names | {"item": "7"}, separator="\t", header=False),
        },
    )


def test_a_header_that_does_not_fit_says_what_does(shop: Project, tmp_path: Path) -> None:
    plain = text(ROWS)
    body = plain.partition("\n")[2]
    put(tmp_path / "twice.csv", "customer,item,item,ordered_at,quantity\na,b,c,2026-01-01,1\n")
    refused(
        shop,
        {
            "columns 2 and 3 are both called 'item'…header = false, skip_rows = 1": case(tmp_path / "twice.csv"),
            "no column 'item', only 'customer', ' item'…' item' is meant?": case(
                put(tmp_path / "blank.csv", "customer, item,ordered_at,quantity\n" + body)
            ),
            "'Customer' is meant?; 'ORDERED AT' is meant?": case(
                put(tmp_path / "capitals.csv", "Customer,item,ORDERED AT,quantity\n" + body)
            ),
            "'qantity' is meant?": case(put(tmp_path / "typo.csv", "customer,item,ordered_at,qantity\n" + body)),
            "line 4 has them: skip_rows = 3": case(put(tmp_path / "title.csv", "Orders, all\nof 2026\n\n" + plain)),
            "line 3 has them: comment_prefix = '#'": case(put(tmp_path / "comment.csv", "# Orders\n# all\n" + plain)),
            "Excel's 'sep=;': skip_rows = 1, separator = ';'": case(put(tmp_path / "sep.csv", "sep=;\n" + plain)),
            "is ',' the separator? ';' splits the line into 4": case(
                put(tmp_path / "semicolon.csv", text(ROWS, delimiter=";"))
            ),
            "not in the encoding 'utf-8': encoding = \"utf-16\"": case(put(tmp_path / "wide.csv", plain, "utf-16")),
            "zero bytes…utf-16-le": case(put(tmp_path / "wide_no_mark.csv", plain, "utf-16-le")),
            "not in the encoding 'utf-8': line 2 holds the byte 0xeb; is encoding = \"cp1252\"": case(
                put(tmp_path / "latin.csv", plain, "latin-1")
            ),
            "not in the encoding 'ascii'": case(tmp_path / "title.csv", encoding="ascii", skip_rows=3),
            "unknown encoding 'rot13'": case(tmp_path / "title.csv", encoding="rot13"),
            "line 4 has 6 values and the first 4": case(
                put(tmp_path / "ragged.csv", "\n\n" + plain.partition("\n")[0] + "\na,b,c,d,e,f\n")
            ),
            'quote = ""': case(put(tmp_path / "quote.csv", ",".join(NAMES) + '\na,"b" c,d,1\n')),
            'quote = ""…': case(put(tmp_path / "open.csv", plain + '"' + body * 20)),
            "never.csv: no column 'customer', 'item'": case(put(tmp_path / "never.csv", '"' + plain * 20)),
            'encoding = "utf-8", by its byte order mark': case(
                put(tmp_path / "mark.csv", plain, "utf-8-sig"), encoding="latin-1"
            ),
            "nothing follows": case(put(tmp_path / "short.csv", "# a\n# b"), comment_prefix="#"),
            "is empty": case(put(tmp_path / "empty.csv", " \n\n")),
        },
    )


def test_packed_files_in_any_encoding(shop: Project, tmp_path: Path, address: str) -> None:
    done = shop.python(
        f"""
import sys
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd
from pathlib import Path
for encoding in ("utf-8", "latin-1", "cp1252"):
    text = {text(ROWS)!r}.encode(encoding)
    Path("{tmp_path}", encoding + ".csv.zst").write_bytes(zstd.compress(text[:99]) + zstd.compress(text[99:]))
"""
    )
    assert done.returncode == 0, done.stderr
    cases = []
    for encoding in ("utf-8", "latin-1", "cp1252"):
        content = text(ROWS).encode(encoding)
        put(tmp_path / f"{encoding}.csv.gz", gzip.compress(content[:50]) + gzip.compress(content[50:]))
        put(tmp_path / f"{encoding}.csv.bz2", bz2.compress(content))
        put(tmp_path / f"{encoding}.csv.xz", lzma.compress(content))
        put(tmp_path / f"{encoding}.zip", zipped(("__MACOSX/._o.csv", b"x"), ("in/o.csv", content), ("empty", b"")))
        put(tmp_path / f"{encoding}_by_another_name.csv", zipped(("o.csv", content)))
        names = [f"{encoding}.{kind}" for kind in ("csv.gz", "csv.zst", "csv.bz2", "csv.xz", "zip")]
        cases += [case(tmp_path / name, encoding=encoding) for name in [*names, f"{encoding}_by_another_name.csv"]]
        cases.append(case(f"{address}/{encoding}.zip", encoding=encoding))
        cases.append(case(f"{address}/{encoding}.csv.zst?day=1", encoding=encoding))
    for (settings, _), found in zip(cases, read(shop, *cases), strict=True):
        assert found == columns(ROWS), settings
    packed = gzip.compress(text(ROWS).encode())
    refused(
        shop,
        {
            "cut.csv.gz: broken gzip": case(put(tmp_path / "cut.csv.gz", packed[:100])),
            "cut.csv.zst: broken zstandard": case(
                put(tmp_path / "cut.csv.zst", (tmp_path / "utf-8.csv.zst").read_bytes()[:120])
            ),
            "cut.csv: a broken zip or Excel file": case(put(tmp_path / "cut.csv", zipped(("a", b"a" * 99))[:60])),
            "nothing.zip: the archive has no file": case(
                put(tmp_path / "nothing.zip", zipped(("a/", b""), ("b", b"")))
            ),
        },
    )


def test_files_by_day_and_home(shop: Project, tmp_path: Path) -> None:
    days = tmp_path / "days"
    put(days / "2026-01-02.csv", text([[row[3], *row[:3]] for row in ROWS[100:200]], ["quantity", *NAMES[:3]]))
    put(days / "2026-01-01.csv", text([[*row, "x"] for row in ROWS[:100]], [*NAMES, "remark"]))
    put(days / "2026-01-03.csv.gz", gzip.compress(text([row[::-1] for row in ROWS[200:]], NAMES[::-1]).encode()))
    put(days / ".DS_Store", b"\0\0\0\1Bud1")
    put(days / "2026-01-04.csv", "")
    (days / "older").mkdir()
    put(tmp_path / "days.zip", zipped(*((each.name, each.read_bytes()) for each in days.iterdir() if each.is_file())))
    put(tmp_path / "[1].csv", text(ROWS))
    shop.env["HOME"] = str(tmp_path)
    found = read(
        shop,
        case(days),
        case(f"{days}/2026-*"),
        case(f"{tmp_path}/d*s/2026-01-0[123].*"),
        case(tmp_path / "days.zip"),
        case("~/days"),
        case("~/da?s/2026*"),
        case(tmp_path / "[1].csv"),
    )
    assert found == [columns(ROWS)] * 7
    put(days / "2026-01-05.csv", "customer,item,quantity\na,b,1\n")
    put(tmp_path / "none" / ".hidden.csv", "customer")
    refused(
        shop,
        {
            "2026-01-05.csv: no column 'ordered_at'": case(days),
            "none: the folder has no file": case(tmp_path / "none"),
            "*.tsv: no file of such a name": case(f"{days}/*.tsv"),
            "~/nowhere.csv: no such file": case("~/nowhere.csv"),
        },
    )


def test_json_lines(shop: Project, tmp_path: Path) -> None:
    objects: list[dict[str, Any]] = [
        {
            "id": 2**53 + row,
            "user": {"name": row_[0], "at.home": {"zip": row % 4 or None}},
            "n": 1.5,
            "v": [1, "x"][row % 2],
        }
        for row, row_ in enumerate(ROWS)
    ]
    objects[7] |= {"user.name": "literal"}
    objects[8] = {"id": None, "extra": [1, 2]}
    lines = "".join(json.dumps(each) + "\n\n" for each in objects)
    names = {"customer": "user.name", "item": "id", "zip": "user.at.home.zip", "n": "n", "v": "v"}
    expected = columns(
        [
            [
                each.get("user.name", each.get("user", {}).get("name")),
                each["id"],
                each.get("user", {}).get("at.home", {}).get("zip"),
                each.get("n"),
                None if "v" not in each else str(each["v"]),
            ]
            for each in objects
        ],
        list(names),
    )
    put(tmp_path / "bad.jsonl", '{"customer": 1}\n{"customer": \n')
    found = read(
        shop,
        case(put(tmp_path / "a.jsonl", lines), names),
        case(put(tmp_path / "b.ndjson.gz", gzip.compress(lines.encode())), names),
        case(put(tmp_path / "c.csv", lines), names),
        case(put(tmp_path / "d.json", json.dumps(objects, indent=1)), names),
        case(
            put(tmp_path / "e.jsonl", lines.encode("utf-8").decode("unicode_escape"), "latin-1"),
            names,
            encoding="latin-1",
        ),
    )
    assert found == [expected] * 5
    refused(
        shop,
        {
            "bad.jsonl: line 2: no JSON": case(tmp_path / "bad.jsonl", {"customer": "customer"}),
            "no column 'buyer', only 'id', 'user'": case(tmp_path / "a.jsonl", {"customer": "buyer"}),
            "line 1: user is no plain value…user.name is one of its fields": case(
                tmp_path / "c.csv", {"customer": "user"}
            ),
            "line 1: no JSON: Exceeds the limit": case(put(tmp_path / "long.jsonl", "9" * 5000), {"customer": "n"}),
            "line 1: no JSON object: 5": case(put(tmp_path / "five.jsonl", "5\n"), {"customer": "user"}),
        },
    )


def test_excel(shop: Project, tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, 12, 30, 15)
    rows = [
        [17000 + n, "007" if n % 2 else f"Döner & {n}", start.replace(day=n % 28 + 1), n + 0.1 + 0.2, 46000.25 + n]
        for n in range(60)
    ]
    mixed: list[list[Any]] = [[17000, "a", start], ["17001", "b", "13.01.2026"], ["", "", ""], [0.1 + 0.2, 5, start]]
    names = {name: name for name in ["customer", "item", "ordered_at", "quantity", "day"]}
    content = workbook(
        Orders=[["Orders of 2026"], [], list(names), *rows],
        Mixed=[["customer", "item", "ordered_at"], *mixed],
        Big=[["customer"], [2**53]],
        Empty=[],
    )
    one, two, three = read(
        shop,
        case(put(tmp_path / "o.xlsx", content), names, skip_rows=1),
        case(put(tmp_path / "o.csv", content), {"a": "1", "b": "3"}, header=False, skip_rows=3),
        case(tmp_path / "o.xlsx", {name: name for name in NAMES[:3]}, sheet="Mixed"),
    )
    assert one == columns([[*row[:2], str(row[2]), *row[3:]] for row in rows], list(names))
    assert two == {"a": one["customer"], "b": one["ordered_at"]}
    assert three == {
        "customer": ["17000", "17001", repr(0.1 + 0.2)],
        "item": ["a", "b", "5"],
        "ordered_at": [str(start), "13.01.2026", str(start)],
    }
    refused(
        shop,
        {
            "no sheet 'Nope', only 'Orders', 'Mixed'": case(tmp_path / "o.xlsx", names, sheet="Nope"),
            "no column 'customer', 'item'…other sheets: Mixed, Big": case(tmp_path / "o.xlsx", names),
            "row 2: 9007199254740992 is more than": case(tmp_path / "o.xlsx", {"customer": "customer"}, sheet="Big"),
            "'Empty' is empty": case(tmp_path / "o.xlsx", names, sheet="Empty"),
            "cut.xlsx: a broken zip or Excel file": case(put(tmp_path / "cut.xlsx", content[:900]), names),
            "no.xlsx: cannot be read as an Excel file": case(put(tmp_path / "no.xlsx", "text"), names),
            "old.csv: cannot be read as an Excel file": case(
                put(tmp_path / "old.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 999), names
            ),
        },
    )


def test_parquet_of_any_shape(shop: Project, tmp_path: Path) -> None:
    (tmp_path / "days").mkdir()
    done = shop.python(
        f"""
import polars as pl
from datetime import datetime
def write(name, **columns):
    pl.DataFrame(columns, strict=False).write_parquet("{tmp_path}/" + name)
write("a.parquet", customer=[2**53 + 1, 5], raw=[b"x", b"y"], tags=[["a"], []], **{{
    "user": [{{"id": 1, "of": {{"name": "x"}}}}, None], "user.id": ["p", "q"], "a.b": [{{"c": 1}}, {{"c": 2}}]}})
write("late.parquet", at=pl.Series([0, 2**62, -2**63 + 1]).cast(pl.Datetime("us")))
write("days/1.parquet", customer=[2**53 + 1, 7], n=[1, 2], at=[datetime(2026, 1, 1)] * 2)
write("days/2.parquet", customer=[8.0, None], n=pl.Series([3, None], dtype=pl.Int8), at=[None, None])
"""
    )
    assert done.returncode == 0, done.stderr
    fields = {"customer": "customer", "id": "user.id", "name": "user.of.name", "c": "a.b.c"}
    found = read(
        shop,
        case(tmp_path / "a.parquet", fields),
        case(tmp_path / "days", {"customer": "customer", "n": "n", "at": "at"}),
    )
    assert found == [
        {"customer": [2**53 + 1, 5], "id": ["p", "q"], "name": ["x", None], "c": [1, 2]},
        {
            "customer": [str(2**53 + 1), "7", "8", None],
            "n": [1, 2, 3, None],
            "at": ["2026-01-01 00:00:00"] * 2 + [None] * 2,
        },
    ]
    refused(
        shop,
        {
            "column raw: Binary is no plain value": case(tmp_path / "a.parquet", {"customer": "raw"}),
            "column tags: List(String) is no plain value": case(tmp_path / "a.parquet", {"customer": "tags"}),
            "column user: Struct…user.id": case(tmp_path / "a.parquet", {"customer": "user"}),
            "no column 'user.name', only 'customer'": case(tmp_path / "a.parquet", {"customer": "user.name"}),
            "column at, row 2: 4611686018427387904 us since 1970…rows of that kind: 2": case(
                tmp_path / "late.parquet", {"at": "at"}
            ),
            "text.parquet: cannot be read": case(put(tmp_path / "text.parquet", text(ROWS))),
            "it is a SQLite database: database_url": case(put(tmp_path / "x.csv", b"SQLite format 3\0...")),
            "it is a page of HTML": case(put(tmp_path / "y.csv", "<!DOCTYPE html><html>")),
        },
    )


def test_sqlite_as_people_have_it(shop: Project, tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    values = [(2**53 + 1, "a", 1, "2026-01-01"), (17000.0, "b", 2.5, 5), ("z", "c", None, None), (0.1 + 0.2, "d", 1, 6)]
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE orders (customer, Item TEXT, quantity INTEGER, at TIMESTAMP)")
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", values * 30_000)
        database.execute('CREATE TABLE "crm.orders" AS SELECT 2 AS n')
        database.execute('CREATE VIEW "a""b" AS SELECT 3 AS n')
        database.execute("CREATE TABLE bad AS SELECT 1 AS n, CAST(x'41e9' AS TEXT) AS item, x'00' AS raw")
        database.commit()
    with closing(sqlite3.connect(file)) as database:
        independent = database.execute(
            "SELECT sum(quantity), count(*), count(DISTINCT customer) FROM orders"
        ).fetchone()
    url = {"database_url": f"sqlite:///{file}"}
    names = {"customer": "customer", "item": "item", "quantity": "quantity", "at": "at"}
    whole, *others = read(
        shop,
        case("table:orders", names, **url),
        case("table:main.orders", {"item": "Item"}, **url),
        case("table:crm.orders", {"n": "n"}, **url),
        case('table:"crm.orders"', {"n": "n"}, **url),
        case('table:"a""b"', {"n": "n"}, **url),
        case("query:SELECT n + 5 AS n FROM bad; -- the only one", {"n": "n"}, **url),
    )
    assert {name: column[:4] for name, column in whole.items()} == {
        "customer": [str(2**53 + 1), "17000", "z", repr(0.1 + 0.2)],
        "item": ["a", "b", "c", "d"],
        "quantity": ["1", "2.5", None, "1"],
        "at": ["2026-01-01", "5", None, "6"],
    }
    found = [float(each) for each in whole["quantity"] if each is not None]
    assert (sum(found), len(whole["item"]), len(set(whole["customer"]))) == independent
    assert others == [{"item": whole["item"]}, {"n": [2]}, {"n": [2]}, {"n": [3]}, {"n": [6]}]
    refused(
        shop,
        {
            "table:orders: no column 'nowhere', only 'customer'": case("table:orders", {"n": "nowhere"}, **url),
            'no such table: ordres; there are a"b, bad, crm.orders, orders': case("table:ordres", {"n": "n"}, **url),
            "column item, row 1: not UTF-8: b'A\\xe9'": case("table:bad", {"n": "item"}, **url),
            "column raw, row 1: bytes": case("table:bad", {"n": "raw"}, **url),
            "two columns are called 'n'": case("query:SELECT 1 AS n, 2 AS n", {"n": "n"}, **url),
            "query:SELECT n FROM nowhere: no such table": case("query:SELECT n\n  FROM nowhere", {"n": "n"}, **url),
            "one statement at a time": case("query:SELECT 1 AS n) AS x; DELETE FROM orders; --", {"n": "n"}, **url),
            "table:orders: database_url is not set": case("table:orders", names),
            "file is not a database": case(
                "table:x", names, database_url=f"sqlite:///{put(tmp_path / 'text.db', 'no database' * 999)}"
            ),
        },
    )


def test_a_locked_database_is_waited_for_and_told_of(shop: Project, tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    script = f"""
from burger_combos.ops import locks
from burger_combos.ops.problems import Problem
from burger_combos.ops.store import SecretStr, Store
from burger_combos.ops.tables import TableSettings, read_table

locks.SILENT, locks.PATIENCE = 0.2, 1.0
url = SecretStr("sqlite:///{file}")

def by_store(do):
    with Store(url) as store:
        return do(store)

for do in (
    lambda: read_table(TableSettings(source="table:orders", database_url=url), {{"n": "n"}})["n"].to_list(),
    lambda: by_store(lambda store: store.query("SELECT n FROM orders")["n"].to_list()),
    lambda: by_store(lambda store: store.note_trials("develop", "c", "t")),
):
    try:
        print(do())
    except Problem as problem:
        print(problem)
"""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as database:
        database.execute("CREATE TABLE orders AS SELECT 5 AS n")
        database.execute("BEGIN EXCLUSIVE")
        held = shop.python(script)
        release = threading.Timer(1.5, lambda: database.execute("COMMIT"))
        release.start()
        freed = shop.python(script.replace("0.2, 1.0", "0.2, 60.0"))
        release.join()
    me = f"process {os.getpid()} ("
    waited, given_up = held.stderr.splitlines(), held.stdout.splitlines()
    assert len(waited) == len(given_up) == 3, held.stderr + held.stdout
    assert all(f"locked by {me}" in line and "waiting until it is free" in line for line in waited)
    assert all("shop.db" in line and f"still locked after 1 seconds by {me}" in line for line in given_up)
    assert freed.stdout.splitlines() == ["[5]", "[5]", "None"], freed.stderr


@pytest.mark.postgresql
def test_postgresql_as_people_have_it(shop: Project, postgresql: str) -> None:
    url = new_database(postgresql, shop)
    done = shop.python(
        f"""
import adbc_driver_postgresql.dbapi as driver
with driver.connect("{url}") as connection, connection.cursor() as cursor:
    for statement in (
        "CREATE SCHEMA crm",
        "CREATE TABLE crm.orders (u uuid, n numeric, j jsonb, b bytea, a int[], big bigint, at timestamp, c char(4))",
        "INSERT INTO crm.orders VALUES ('6d0c2b9a-0d5a-4a4c-9d7e-2b3a0f4c1d2e', 1234567890123456789.25, '5', 'x', "
        "ARRAY[1], 9007199254740993, 'infinity', 'ab')",
        'CREATE TABLE "my.orders" AS SELECT 2 AS n',
    ):
        cursor.execute(statement)
    connection.commit()
"""
    )
    assert done.returncode == 0, done.stderr
    of = {"database_url": url}
    found = read(
        shop,
        case("table:crm.orders", {name: name for name in ("u", "n", "j", "big", "c")}, **of),
        case('table:"my.orders"', {"n": "n"}, **of),
        case('query:SELECT n * 2 AS n FROM "my.orders";', {"n": "n"}, **of),
    )
    assert found == [
        {
            "u": ["6d0c2b9a-0d5a-4a4c-9d7e-2b3a0f4c1d2e"],
            "n": ["1234567890123456789.25"],
            "j": ["5"],
            "big": [2**53 + 1],
            "c": ["ab"],
        },
        {"n": [2]},
        {"n": [4]},
    ]
    refused(
        shop,
        {
            "no column 'x', only 'u', 'n'": case("table:crm.orders", {"n": "x"}, **of),
            "column b is bytea": case("table:crm.orders", {"n": "b"}, **of),
            "column a: List(Int32) is no plain value": case("table:crm.orders", {"n": "a"}, **of),
            "column at, row 1: …is before year 1 or after 9999": case("table:crm.orders", {"n": "at"}, **of),
            "two columns are called 'n'": case("query:SELECT 1 AS n, 2 AS n", {"n": "n"}, **of),
            'relation "my.orders" does not exist': case("table:my.orders", {"n": "n"}, **of),
        },
    )
