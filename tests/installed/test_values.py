"""What values mean: names, dates, numbers and missing ones, by settings alone; compared with Python's own reading."""

import csv
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rig import Project

NOON = "2026-01-01 12:00"
# Reads and checks each case of a file: the orders, the rejected rows, what was changed, and the problem if any.
READ = """
import json, sys
from contextlib import suppress
from datetime import date
from pathlib import Path
from burger_combos import orders
from burger_combos.ops.ingest import parted, read
from burger_combos.ops.changed_values import noting
from burger_combos.ops.problems import Problem
from burger_combos.ops.rejected import refuse_too_many
from burger_combos.ops.runs import Record
from burger_combos.ops.settings import Stage

DAY = date(2026, 11, 1)

def tell(source, **settings):
    record = Record("one", Stage.develop, DAY, git_commit="c", image="", template="")
    told = {"problem": ""}
    try:
        with noting(record):
            mine = orders.OrderSettings(source=source, **settings)
            raw = read(mine)
            found, rejected = parted(raw, mine, orders.schema(DAY))
        told |= found.to_dict(as_series=False)
        told |= {"rejected": dict(rejected.select("row", "reason").rows()), "changed": record.facts.get("changed", {})}
        told["values_changed"] = record.numbers.get("values_changed", 0)
        refuse_too_many(rejected, len(raw), mine)
    except (Problem, ValueError) as problem:
        told["problem"] = str(problem)
    return told

print(json.dumps([tell(**case) for case in json.loads(Path(PATH).read_text())], default=str))
"""


@dataclass(frozen=True)
class Case:
    """Values of one column, the other columns being as they should, or rows; and settings."""

    values: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    column: str = "ordered_at"


def read(shop: Project, folder: Path, cases: list[Case]) -> list[dict[str, Any]]:
    """What the project makes of each case, in one process."""
    asked = []
    for number, case in enumerate(cases):
        good = {"customer": "Ana", "item": "burger", "ordered_at": NOON, "quantity": "1"}
        file = folder / f"{number}.csv"
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(good))
            writer.writeheader()
            writer.writerows(good | {case.column: value} for value in case.values)
        formats = {"date_formats": ["%Y-%m-%d %H:%M"]} if case.column != "ordered_at" else {}
        asked.append({"source": str(file), **formats, **case.settings})
    (folder / "cases.json").write_text(json.dumps(asked))
    done = shop.python(READ.replace("PATH", repr(str(folder / "cases.json"))))
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_missing_values_are_no_customers_and_no_items(shop: Project, tmp_path: Path) -> None:
    words = [
        "",
        " ",
        "-",
        "NA",
        "N/A",
        "n/a",
        "#N/A",
        "<NA>",
        "NULL",
        "null",
        "(null)",
        "None",
        "NaN",
        "nan",
        "NaT",
        "\\N",
    ]
    people = ["Nan", "Null", "Nana", "--", "0", "NULL & void"]  # names that people and things have
    customers, items, narrow = read(
        shop,
        tmp_path,
        [
            Case([*words, *people, " None\u00a0"], column="customer"),
            Case([*words, *people], column="item"),
            Case(["", "None", "NULL"], {"null_values": ["NULL"]}, column="item"),
        ],
    )
    for found, column, count in ((customers, "customer", 17), (items, "item", 16)):
        assert found[column] == people
        reasons = list(found["rejected"].values())
        assert reasons == [f"{column} is missing"] * count
    assert narrow["item"] == ["None"]
    assert narrow["rejected"] == {"1": "item is missing", "3": "item is missing"}
    done = shop.python(f"""
import polars as pl
from burger_combos.ops.tables import TableSettings, read_table
import adbc_driver_sqlite.dbapi as driver
frame = pl.DataFrame({{"c": ["a", "NULL", None, " <NA>"], "f": [1.5, float("nan"), None, 2.0]}})
frame.write_parquet("{tmp_path}/o.parquet")
with driver.connect("{tmp_path}/o.db") as connection, connection.cursor() as cursor:
    cursor.adbc_ingest("o", frame)
    connection.commit()
url = "sqlite:///{tmp_path}/o.db"
for source in ("{tmp_path}/o.parquet", "table:o"):
    read = read_table(TableSettings(source=source, database_url=url), {{"customer": "c", "f": "f"}})
    print(read["customer"].to_list(), read["f"].to_list())
""")
    read_ = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert read_ == ["['a', None, None, None] [1.5, None, None, 2.0]"] * 2, done.stderr


def test_a_name_has_one_form(shop: Project, tmp_path: Path) -> None:
    forms = {
        "é": ["é\x00", "é", "e\u0301"],  # the zero byte stands where UTF-16 would be known by its many
        "Café Crème": [
            "Cafe\u0301 Cre\u0300me",
            "Café  Crème",
            "Café\u00a0Crème",
            "\ufeffCafé Crème",
            "Café\tCrème\u3000",
        ],
        "Ana": ["Ana", " Ana", "Ana ", "A\u200bna", "An\u00ada", "Ana\u200e", "\u2060Ana", "A\u200dna", "Ana\x00"],
        "👩\u200d🍳": ["👩\u200d🍳", " 👩\u200d🍳", "👩\u200d🍳\u200d"],  # whose joiner makes one cook of two signs
        "می\u200cخواهم": ["می\u200cخواهم", "می\u200cخواهم\u200c"],  # and this one parts two letters
        "straße": ["straße"],
        "STRASSE": ["STRASSE"],
    }
    (found,) = read(shop, tmp_path, [Case([each for group in forms.values() for each in group], column="customer")])
    assert found["problem"] == ""
    assert found["customer"] == [form for form, group in forms.items() for _ in group]
    assert found["changed"] == {"customer": {"characters": 16, "blanks": 3}}
    assert found["values_changed"] == 19


def test_a_number_as_a_name_has_one_form(shop: Project, tmp_path: Path) -> None:
    big = str(2**53 + 1)
    cases = {
        "all whole": (
            ["17000", "17000.0", "16466.00", "-7.0", f"{big}.0", big],
            ["17000", "17000", "16466", "-7", big, big],
        ),
        "with a fraction": (["1.0", "1.5", "1.10", "2"], ["1.0", "1.5", "1.10", "2"]),
        "the same without": (["17000", "17000.0", "A7", "3.0"], ["17000", "17000", "A7", "3.0"]),
        "one that is missing": (["17000.0", "", "NaN", "16466.0"], ["17000", "16466"]),
        "leading zeros": (["007", "7", "7.0"], ["007", "7", "7"]),
        "codes": (["1E5", "85123A", "22e7"], ["1E5", "85123A", "22e7"]),
        "lost digits": (["1.23457E+12", "1.7e4", "17000"], ["17000"]),
    }
    found = read(shop, tmp_path, [Case(given, column="customer") for given, _ in cases.values()])
    for name, each, (_, expected) in zip(cases, found, cases.values(), strict=True):
        assert each["customer"] == expected, name
    assert found[0]["changed"] == {"customer": {"fraction of zeros": 4}}
    assert found[-1]["rejected"] == {"1": "customer is no name", "2": "customer is no name"}
    assert "first in row 1: '1.23457E+12'; a long number that lost its last digits" in found[-1]["problem"]
    done = shop.python("""
import polars as pl
from decimal import Decimal
from burger_combos.ops.values.columns import names
from burger_combos.ops.problems import Problem
for values in ([2**53 + 1, 2**53], [16466.0, None], [float(2**53), 2.0**53 - 1, float("inf")], [2.5, 1.0],
               [Decimal("17000.00"), Decimal("3.00")], [b"Ana", b"\\xff"]):
    print(names(pl.Series("customer", values)).to_list())
print(names(pl.Series("customer", [2.0**24, 2.0**24 - 1], pl.Float32)).to_list())
for values in ([True], [[1]], [{"a": 1}]):
    try:
        names(pl.Series("customer", values))
    except Problem as problem:
        print(problem)
""")
    assert done.stdout.splitlines() == [
        f"['{2**53 + 1}', '{2**53}']",
        "['16466', None]",
        f"[None, '{2**53 - 1}', None]",
        "['2.5', '1.0']",
        "['17000', '3']",
        "['Ana', None]",
        f"[None, '{2**24 - 1}']",
        "column customer: Boolean is no name",
        "column customer: List(Int64) is no name",
        "column customer: Struct({'a': Int64}) is no name",
    ], done.stderr


def plain(text: str, decimal: str = ".", thousands: str = "") -> Decimal:
    """The number that is written with these signs."""
    digits = "".join(text.split()).replace("’", "'")
    return Decimal(digits.replace(thousands, "").replace(decimal, ".") if thousands else digits.replace(decimal, "."))


def test_numbers_with_other_signs(shop: Project, tmp_path: Path) -> None:
    cases = [  # what is written, with what signs, and which of it cannot be read
        (["1,5", "2", "1.234", "0,25", ",5"], {"decimal": ","}, {3}),
        (["1.234,5", "1.234.567", "12,5", "1.5", "1234", "1.23.456"], {"decimal": ",", "thousands": "."}, {4, 6}),
        (["1,234.5", "12,34,567", "1,23", "12"], {"thousands": ","}, {3}),
        (["1 234,5", "1\u00a0234", "1\u202f234\u202f567,25", "1 2"], {"decimal": ",", "thousands": " "}, {4}),
        (["1'234.5", "1’234", "12"], {"thousands": "'"}, set()),
        (["1,234", "2", "1e2", "inf", "nan", "1_0", "many", "0x1F", "12 kg"], {}, {1, 4, 5, 6, 7, 8, 9}),
    ]
    found = read(
        shop, tmp_path, [Case(given, {**signs, "max_rejected_share": 1}, "quantity") for given, signs, _ in cases]
    )
    for told, (given, signs, unread) in zip(found, cases, strict=True):
        expected = [plain(text, **signs) for row, text in enumerate(given, 1) if row not in unread]
        assert [Decimal(str(number)) for number in told["quantity"]] == expected
        assert sum(told["quantity"]) == pytest.approx(float(sum(expected)))
        missing = {"5"} if "nan" in given else set()
        assert told["rejected"] == {
            str(row): f"quantity is {'missing' if str(row) in missing else 'no number'}" for row in sorted(unread)
        }
    asking = read(
        shop,
        tmp_path,
        [
            Case(["1,234", "2"], column="quantity"),
            Case(["1.234,5", "2"], column="quantity"),
            Case(["2"], {"decimal": ",", "thousands": ","}, column="quantity"),
        ],
    )
    assert "1 because quantity is no number; first in row 1: '1,234'" in asking[0]["problem"]
    assert 'orders.decimal = "," or orders.thousands = "," is meant?' in asking[0]["problem"]
    assert 'orders.decimal = "," with orders.thousands = "." is meant?' in asking[1]["problem"]
    assert "decimal and thousands are both ','" in asking[2]["problem"]


def month_first(count: int = 400) -> list[str]:
    """Dates of every day of a year and more, written month first."""
    return [f"{datetime(2024, 6, 1) + timedelta(days=number):%m/%d/%Y}" for number in range(count)]


def test_one_column_has_one_order_of_day_and_month(shop: Project, tmp_path: Path) -> None:
    both = ["%d/%m/%Y", "%m/%d/%Y"]
    dates = month_first()
    found, swapped, needed, alike, same, mixed, years, other, names = read(
        shop,
        tmp_path,
        [
            Case(dates, {"date_formats": both}),
            Case([f"{day[3:5]}/{day[:2]}/{day[6:]}" for day in dates], {"date_formats": both}),
            Case(["02/03/2026", "13/03/2026", "03/14/2026", "04/15/2026"], {"date_formats": both}),
            Case(["02/02/2026", "02/03/2026"], {"date_formats": both}),
            Case(["02/02/2026", "03/03/2026"], {"date_formats": both}),
            Case(["12/06/2025 10:08", "2/20/26 11:39"], {"date_formats": ["%m/%d/%Y %H:%M", "%m/%d/%y %H:%M"]}),
            Case(["12/06/2025", "2/20/26"], {"date_formats": ["%d/%m/%Y", "%m/%d/%y"]}),
            Case(["2026-02-03", "03.02.2026"], {"date_formats": ["%d.%m.%Y", "%Y-%m-%d"]}),
            Case(["11-02-03", "99-02-28"], {"date_formats": ["%d-%m-%y", "%y-%m-%d"]}),
        ],
    )
    expected = [str(datetime.strptime(day, "%m/%d/%Y")) for day in dates]
    assert found["ordered_at"] == swapped["ordered_at"] == expected
    assert found["rejected"] == {}
    assert "2 rows (first row 3: '03/14/2026') need \"%m/%d/%Y\"" in needed["problem"]
    assert "1 row (first row 2: '13/03/2026') \"%d/%m/%Y\"" in needed["problem"]
    assert 'all values fit both "%d/%m/%Y" and "%m/%d/%Y"' in alike["problem"]
    assert "first row 2: '02/03/2026'" in alike["problem"]
    assert same["ordered_at"] == ["2026-02-02 00:00:00", "2026-03-03 00:00:00"]
    assert mixed["ordered_at"] == ["2025-12-06 10:08:00", "2026-02-20 11:39:00"]
    assert "one column has one order" in years["problem"]
    assert other["ordered_at"] == ["2026-02-03 00:00:00"] * 2
    assert names["ordered_at"] == ["2011-02-03 00:00:00", "1999-02-28 00:00:00"]


def test_years_of_two_digits_and_names_of_months(shop: Project, tmp_path: Path) -> None:
    short = [f"1/2/{year:02d}" for year in range(0, 100) if year not in range(26, 69)]
    cases = [
        (short, "%m/%d/%y"),
        ([f"{day} 10:00" for day in short], "%m/%d/%y %H:%M"),
        (["Jan 5, 2026", "feb 28, 2025", "Dec 01, 1999"], "%b %d, %Y"),
        (["5-Jan-26", "28-Feb-25"], "%d-%b-%y"),
        (["Thursday, January 01, 2026 1:05 PM"], "%A, %B %d, %Y %I:%M %p"),
    ]
    found = read(shop, tmp_path, [Case(given, {"date_formats": [style]}) for given, style in cases])
    for told, (given, style) in zip(found, cases, strict=True):
        assert told["ordered_at"] == [str(datetime.strptime(text, style)) for text in given]
    early = read(
        shop,
        tmp_path,
        [
            Case(["1/1/11", "1/1/2011", "12/31/1899", "1/1/1900"], {"date_formats": ["%m/%d/%Y"]}),
            Case(["12/31/11"], {"date_formats": ["%m/%d/%Y"]}),
            Case(["1/1/11", "1/1/2011"], {"date_formats": ["%m/%d/%Y", "%m/%d/%y"]}),
        ],
    )
    assert early[0]["ordered_at"] == ["2011-01-01 00:00:00", "1900-01-01 00:00:00"]
    assert early[0]["rejected"] == {
        "1": "ordered_at fits none of orders.date_formats",
        "3": "ordered_at is before 1900",
    }
    assert '"%m/%d/%y"' in early[1]["problem"]
    assert early[2]["ordered_at"] == ["2011-01-01 00:00:00"] * 2


def test_numbers_as_dates(shop: Project, tmp_path: Path) -> None:
    moments = [datetime(2026, 1, day, 12, 30, 15, tzinfo=UTC) for day in (1, 17, 31)]
    seconds = [str(round(moment.timestamp())) for moment in moments]
    days = {"1": "1900-01-01", "59": "1900-02-28", "61": "1900-03-01", "45000": "2023-03-15"}  # as Excel shows them
    cases = [
        Case(seconds, {"date_formats": ["%s"]}),
        Case([f"{text}.0" for text in seconds], {"date_formats": ["%s"]}),
        Case([f"{text}000" for text in seconds], {"date_formats": ["unix_ms"]}),
        Case([f"{text}000000" for text in seconds], {"date_formats": ["unix_us"]}),
        Case([*days, "60", "0.5", "45000.75", "45000.541666666664"], {"date_formats": ["excel"]}),
        Case([f"{text}000" for text in seconds], {"date_formats": ["%s"]}),
        Case(seconds, {"date_formats": ["unix_ms"]}),
        Case(seconds, {"date_formats": ["%s", "unix_ms"]}),
    ]
    *found, excel, milliseconds, too_early, two = read(shop, tmp_path, cases)
    for told in found:
        assert told["ordered_at"] == [str(moment.replace(tzinfo=None)) for moment in moments]
    expected = [f"{day} 00:00:00" for day in days.values()]
    assert excel["ordered_at"] == [*expected, "2023-03-15 18:00:00", "2023-03-15 13:00:00"]
    assert set(excel["rejected"]) == {"5", "6"}
    assert f"first in row 1: '{seconds[0]}000'; milliseconds since 1970, \"unix_ms\" in" in milliseconds["problem"]
    assert too_early["ordered_at"][0].startswith("1970-01-21")
    assert 'all values fit both "%s" and "unix_ms"' in two["problem"]
    done = shop.python(f"""
import polars as pl
from decimal import Decimal
from burger_combos.ops.values.dates import moments
from burger_combos.ops.problems import Problem
from burger_combos.ops.values.value_settings import ValueSettings
seconds = [{", ".join(seconds)}]
for values, name in (
    (seconds, "%s"),
    ([each * 1000 for each in seconds], "unix_ms"),
    ([float(each) for each in seconds], "%s"),
    ([Decimal(each) for each in seconds], "%s"),
    ([20260101, 20260117, 20260131], "%Y%m%d"),
    ([46023.5, 46039, 46053.25], "excel"),
    (seconds, "%Y-%m-%d"),
    ([True], "%s"),
):
    try:
        print(*moments(pl.Series("ordered_at", values, strict=False), ValueSettings(date_formats=[name])), sep=", ")
    except Problem as problem:
        print(problem)
""")
    *read_, days_, excel_, unknown, boolean = done.stdout.splitlines()
    assert read_ == [", ".join(str(moment.replace(tzinfo=None)) for moment in moments)] * 4, done.stderr
    assert days_ == "2026-01-01 00:00:00, 2026-01-17 00:00:00, 2026-01-31 00:00:00"
    assert excel_ == "2026-01-01 12:00:00, 2026-01-17 00:00:00, 2026-01-31 06:00:00"
    assert unknown.startswith('column ordered_at: Int64 is no date in the formats "%Y-%m-%d"; in date_formats, "%s"')
    assert boolean.startswith("column ordered_at: Boolean is no date")


def test_time_zones_move_the_hour_or_are_refused(shop: Project, tmp_path: Path) -> None:
    default = ["2026-01-01T01:00:00+02:00", "2026-01-01T23:00:00.5Z", "2026-01-02T00:00:00-0530"]
    lisbon = ["2026-03-29 00:30", "2026-03-29 01:30", "2026-03-29 02:30", "2025-10-26 01:30", "2025-07-01 12:00"]
    plain = {"date_formats": ["%Y-%m-%d %H:%M"]}
    zoned, none, mixed, told, named, literal, there, days, zulu = read(
        shop,
        tmp_path,
        [
            Case(default),
            Case(["2026-01-01T01:00:00", "2026-01-01 23:00:00.5", "2026-01-02"]),
            Case(["2026-01-01T01:00:00Z", "2026-01-01T01:00:00", "2026-01-01 02:00:00"]),
            Case(["2026-01-01T01:00:00Z", "2026-07-01T01:00:00"], {"timezone": "Europe/Berlin"}),
            Case(["2026-01-01 12:00 CET"], {"date_formats": ["%Y-%m-%d %H:%M %Z"]}),
            Case(["2026-01-01 12:00 CET"], {"date_formats": ["%Y-%m-%d %H:%M CET"], "timezone": "Europe/Berlin"}),
            Case(lisbon, plain | {"timezone": "Europe/Lisbon"}),
            Case(["2026-01-01T01:00:00+02:00", "2026-01-02"], {"timezone": "Asia/Tokyo"}),
            Case(["2026-01-01 01:00Z", "2026-01-01 01:00"], {"date_formats": ["%Y-%m-%d %H:%MZ", "%Y-%m-%d %H:%M"]}),
        ],
    )
    expected = [datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None) for text in default]
    assert zoned["ordered_at"] == [str(moment) for moment in expected]
    assert none["ordered_at"] == ["2026-01-01 01:00:00", "2026-01-01 23:00:00.500000", "2026-01-02 00:00:00"]
    assert "1 row (first row 1: '2026-01-01T01:00:00Z') with a time zone and 2 rows (first row 2:" in mixed["problem"]
    assert "orders.timezone" in mixed["problem"]
    assert told["ordered_at"] == ["2026-01-01 01:00:00", "2026-06-30 23:00:00"]
    assert "%Z would skip a zone's name" in named["problem"]
    assert literal["ordered_at"] == ["2026-01-01 11:00:00"]
    zone = ZoneInfo("Europe/Lisbon")
    there_is = [datetime.fromisoformat(text).replace(tzinfo=zone) for text in lisbon if text != lisbon[1]]
    assert there["ordered_at"] == [str(moment.astimezone(UTC).replace(tzinfo=None)) for moment in there_is]
    assert there["rejected"] == {"2": "ordered_at fits none of orders.date_formats"}
    assert "an hour that orders.timezone skips" in there["problem"]
    assert days["ordered_at"] == ["2025-12-31 23:00:00", "2026-01-02 00:00:00"]
    assert "with a time zone" in zulu["problem"]


def test_a_rejection_says_which_setting_would_help(shop: Project, tmp_path: Path) -> None:
    cases = {
        "31.12.2025": '"%d.%m.%Y" in',
        "31.12.2025 14:05": '"%d.%m.%Y %H:%M" in',
        "12/31/25": '"%m/%d/%y" in',
        "Dec 31, 2025 2:05 PM": '"%b %d, %Y %I:%M %p" in',
        "03/04/2025": '"%d/%m/%Y" in orders.date_formats or "%m/%d/%Y" in orders.date_formats is meant?',
        "2025-12-31T10:00:00+01:00": '"%Y-%m-%dT%H:%M:%S%.f%#z" in',
        "1767225600": '"%s" in',
        "1767225600000": '"unix_ms" in',
        "45000.5": '"excel" in',
        "20251231": '"%Y%m%d" in',
        "soon": "first in row 1: 'soon'",
    }
    found = read(shop, tmp_path, [Case([value], {"date_formats": ["%Y:%m:%d"]}) for value in cases])
    for told, (value, words) in zip(found, cases.items(), strict=True):
        assert f"first in row 1: '{value}'" in told["problem"]
        assert words in told["problem"]
        assert told["problem"].count("\n") == 0
    assert "is meant" not in found[-1]["problem"]


def test_rejected_rows_of_any_type_are_kept(shop: Project, tmp_path: Path) -> None:
    done = shop.python(f"""
import polars as pl
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from burger_combos.ops.rejected import set_aside
from burger_combos.ops.runs import Record, Run
from burger_combos.ops.settings import Stage
from burger_combos.ops.tables import TableSettings
from pathlib import Path

record = Record("one", Stage.develop, date(2026, 1, 1), git_commit="c", image="", template="")
beyond = pl.Series([2**62])
raw = pl.DataFrame({{
    "row": [7],
    "customer": ["a,b"],
    "list": [[1, None]],
    "tree": [{{"user": {{"id": 7, "tags": ["ä"]}}}}],
    "bytes": [b"a\\xff"],
    "both": [[b"a", b"\\xff"]],
    "decimal": [Decimal("1.50")],
    "span": [timedelta(hours=1)],
    "time": [time(1)],
    "late": beyond.cast(pl.Datetime("us")),
    "later": beyond.cast(pl.Datetime("ms", "Europe/Berlin")),
    "day": pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date),
    "kind": pl.Series(["x"], dtype=pl.Categorical),
    "none": [None],
    "old": [date(11, 1, 1)],
    "reason": ["list is odd"],
}})
set_aside(Run(Path("{tmp_path}"), record), raw, 100, TableSettings(source="x"))
print(record.numbers, record.facts)
""")
    assert done.returncode == 0, done.stderr
    assert "{'rows_rejected': 1} {'rejected': {'list is odd': 1}}" in done.stdout
    with (tmp_path / "rejected.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["row"] == "7"
    assert row["reason"] == "list is odd"
    assert row["customer"] == "a,b"
    assert json.loads(row["list"]) == [1, None]
    assert json.loads(row["tree"]) == {"user": {"id": 7, "tags": ["ä"]}}
    assert row["bytes"] == "a\\xff"
    assert json.loads(row["both"]) == ["a", "\\xff"]
    assert Decimal(row["decimal"]) == Decimal("1.5")
    assert row["span"] == "PT1H"
    assert row["late"] == row["later"] == str(2**62)
    assert row["day"] == str(2**31 - 1)
    assert row["old"] == "0011-01-01"


def test_pairs_are_counted_exactly(shop: Project) -> None:
    """Beyond 2^24, where float32 cannot count one by one any more."""
    done = shop.python("""
import json
import numpy as np, scipy.sparse as sp
from burger_combos import model
much, others = 4096, 100_000
one = np.repeat(np.array([0, 1], np.uint32), much)
history = model.histories(
    np.r_[np.zeros(2 * much, np.uint32), np.repeat(np.arange(1, others + 1, dtype=np.uint32), 2)],
    np.r_[one, np.tile(np.array([0, 1], np.uint32), others)],
    (others + 1, 3),
)
found = model.fit(history)
(best,) = model.recommend(found, history[:1], 2)
print(json.dumps([found.affinity.toarray().tolist(), found.popularity.tolist(), str(best.scores.dtype)]))
""")
    assert done.returncode == 0, done.stderr
    affinity, popularity, kind = json.loads(done.stdout)
    much, others = 4096, 100_000
    beside = much * much + others  # as pairs of different items
    itself = much * much + others - (much + others)  # an order is not paired with itself
    assert affinity[0][:2] == pytest.approx([itself / (itself + beside), beside / (itself + beside)], rel=1e-6)
    assert affinity[2] == [0, 0, 0]
    assert popularity == pytest.approx([0.5, 0.5, 0])
    assert kind == "float64"


def test_a_key_that_nothing_reads_is_refused(shop: Project, tmp_path: Path) -> None:
    """As in a project of 0.9.0, whose own orders.py knows nothing of it."""
    (tmp_path / "orders.csv").write_text(f"customer,item,ordered_at\nA,x,{NOON}\n")
    done = shop.python(f"""
from burger_combos.ops.problems import Problem
from burger_combos.ops.tables import TableSettings, read_table
for settings in ({{}}, {{"decimal": ","}}, {{"timezone": "Europe/Lisbon"}}):
    try:
        print(len(read_table(TableSettings(source="{tmp_path}/orders.csv", **settings), {{"customer": "customer"}})))
    except Problem as problem:
        print(problem)
""")
    assert done.returncode == 0, done.stderr
    read, decimal, timezone = done.stdout.splitlines()
    assert read == "1"
    assert decimal.startswith(
        "decimal is set, and no code of this project reads it, as in an earlier release: use ops/ingest.py"
    )
    assert "ops/values/dates.py" in timezone


# What another project reads, whose section is [sales]: columns of each type, some of which may be empty.
SALES = """
import json
from datetime import date
import pandera.polars as pa
import polars as pl
from burger_combos.ops.ingest import fetch, parted, read
from burger_combos.ops.problems import Problem
from burger_combos.ops.rejected import refuse_too_many
from burger_combos.ops.settings import Section, StageSettings
from burger_combos.ops.tables import TableSettings

class Columns(Section):
    store: str = "store"
    day: str = "day"
    units: str = "units"
    price: str = "price"
    promo: str = "promo"
    remark: str = ""
    weather: str = ""

class SaleSettings(TableSettings):
    columns: Columns = Columns()

class Settings(StageSettings):
    sales: SaleSettings = SaleSettings(source="sample")

SCHEMA = pa.DataFrameSchema({
    "store": pa.Column(pl.String),
    "day": pa.Column(pl.Date),
    "units": pa.Column(pl.Int32, pa.Check.ge(0, error="is negative")),
    "price": pa.Column(pl.Float32, nullable=True),
    "promo": pa.Column(pl.Boolean, nullable=True),
    "remark": pa.Column(pl.String, nullable=True),
    "weather": pa.Column(pl.String, required=False),
})

def said(call, *arguments):
    try:
        return str(call(*arguments))
    except Problem as problem:
        return str(problem)

settings = SaleSettings(source="FILE")
raw = read(settings)
found, rejected = parted(raw, settings, SCHEMA)
print(json.dumps([found.rows(), {name: str(kind) for name, kind in found.schema.items()}], default=str))
print(json.dumps(dict(rejected.select("row", "reason").rows())))
print(said(refuse_too_many, rejected, len(raw), settings))
print(said(read, Settings(stage="develop").sales))
print(said(parted, raw.drop("units"), settings, SCHEMA))
print(said(parted, raw, settings, SCHEMA.add_columns({"store": pa.Column(pl.List(pl.Int8))})))
print(said(read, TableSettings(source="FILE")))
ours = read(Settings(stage="develop").sales, lambda: raw.head(1))
print(len(ours))

def days(values, **how):
    table = pl.DataFrame({"day": values})
    schema = pa.DataFrameSchema({"day": pa.Column(pl.Date)})
    found, _ = parted(table, SaleSettings(source="x", **how), schema)
    return [str(day) for day in found["day"]]

written = ["2026-01-31", "2026-01-31 23:30:00", "2026-01-31T00:30:00"]
print(json.dumps([days(written, timezone=zone) for zone in ("", "America/New_York", "Asia/Tokyo")]))
zoned = ["2026-01-31T23:30:00-05:00"]
print(json.dumps([days(zoned), days(zoned, timezone="America/New_York")]))
moments = pl.Series(written[1:]).str.to_datetime(strict=True)
zone = moments.dt.replace_time_zone("America/New_York")
print(json.dumps([days(moments, timezone="Asia/Tokyo"), days(zone, timezone="America/New_York"), days(zone)]))
"""


def test_another_projects_table_is_parted_by_its_schema_and_named_by_its_section(shop: Project, tmp_path: Path) -> None:
    rows = [
        ["S1", "2026-01-31", "3", "1.5", "yes"],
        ["S1", "2026-02-01", "12.0", "", ""],
        ["", "2026-01-31", "1", "1", "no"],
        ["S2", "31.01.2026", "1", "1", "no"],
        ["S2", "2026-01-31", "1.5", "1", "no"],
        ["S2", "2026-01-31", "3000000000", "1", "0"],
        ["S2", "2026-01-31", "-1", "1", "no"],
        ["S2", "2026-01-31", "1", "dear", "no"],
        ["S2", "2026-01-31", "1", "1", "perhaps"],
        ["S2", "2026-01-31", "1", "1", "0"],
    ]
    file = tmp_path / "sales.csv"
    file.write_text("store,day,units,price,promo\n" + "".join(",".join(row) + "\n" for row in rows))
    done = shop.python(SALES.replace("FILE", str(file)))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    found, kinds = json.loads(lines[0])
    assert found == [
        ["S1", "2026-01-31", 3, 1.5, True],
        ["S1", "2026-02-01", 12, None, None],
        ["S2", "2026-01-31", 1, 1.0, False],
    ]
    assert kinds == {"store": "String", "day": "Date", "units": "Int32", "price": "Float32", "promo": "Boolean"}
    assert json.loads(lines[1]) == {
        "3": "store is missing",
        "4": "day fits none of sales.date_formats",
        "5": "units is no whole number",
        "6": "units is no whole number",
        "7": "units is negative",
        "8": "price is no number",
        "9": "promo is neither true nor false",
    }
    assert "sales.max_rejected_share allows 5.0%" in lines[2]
    assert lines[3] == 'sales.source is "sample", and this project makes up none: name a file or a table'
    assert lines[4].endswith(
        "no column 'units', which the schema requires: sales.columns.units says what it is called in the source"
    )
    assert "the schema of sales: column store: List(Int8) is none of text, numbers" in lines[5]
    assert lines[6].startswith("TableSettings has no columns")
    assert lines[7] == "1"
    assert json.loads(lines[8]) == [["2026-01-31"] * 3] * 3
    assert json.loads(lines[9]) == [["2026-02-01"], ["2026-01-31"]]
    assert json.loads(lines[10]) == [["2026-01-31"] * 2, ["2026-01-31"] * 2, ["2026-02-01", "2026-01-31"]]


def test_whole_numbers_are_exact_and_booleans_are_few_words(shop: Project) -> None:
    done = shop.python("""
import polars as pl
from decimal import Decimal
from burger_combos.ops.values.columns import truths, whole_numbers
from burger_combos.ops.values.value_settings import ValueSettings

plain, german = ValueSettings(), ValueSettings(decimal=",", thousands=".")
for settings, values in (
    (plain, ["9007199254740993", "+5", "-7.00", "1e3", "1.5", "9223372036854775808", None]),
    (german, ["9.007.199.254.740.993", "1.234,00", "1,5"]),
    (plain, [1.0, 2.5, float(2**53), None]),
    (plain, [Decimal("9007199254740993"), Decimal("2.5")]),
    (plain, pl.Series([2**64 - 1, 1], dtype=pl.UInt64)),
):
    print(whole_numbers(pl.Series("n", values), settings).to_list())
for values in (["True", "NO", "y", "1", "2", None], [1, 0, 2, None], [1.0, 0.5], [True, None]):
    print(truths(pl.Series("b", values)).to_list())
""")
    assert done.stdout.splitlines() == [
        "[9007199254740993, 5, -7, 1000, None, None, None]",
        "[9007199254740993, 1234, None]",
        "[1, None, None, None]",
        "[9007199254740993, None]",
        "[None, 1]",
        "[True, False, True, True, None, None]",
        "[True, False, None, None]",
        "[True, None]",
        "[True, None]",
    ], done.stderr
