"""Orders from every kind of source, good and bad; nothing bad gets out, and each fault is one clear line."""

import csv
import functools
import http.server
import json
import os
import re
import sqlite3
import stat
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from rig import ROOT, Project, environment, new_database, sh

RETAIL = ROOT.parent / "shared/data/online_retail_sample.csv"
FORMATS = '["%Y-%m-%d %H:%M"]'


def orders(rows: int = 400, customers: int = 40, items: int = 12) -> list[list[str]]:
    """Rows of an order file: what everybody orders depends on who they are."""
    return [
        [
            f"c{row % customers:03d}",
            f"item {(row % customers + row // customers % 3) % items}",
            f"2026-01-{1 + row % 28:02d} 12:00",
            "1",
        ]
        for row in range(rows)
    ]


def write(file: Path, rows: list[list[str]], header: str = "customer,item,ordered_at,quantity") -> Path:
    with file.open("w", encoding="utf-8", newline="") as out:
        out.write(header + "\n")
        csv.writer(out).writerows(rows)
    return file


def reading(shop: Project, source: object, **more: str) -> Project:
    return shop.with_env(
        ORDERS__SOURCE=str(source), ORDERS__DATE_FORMATS=FORMATS, GATE__UNJUDGED="pass", GATE__MIN_HITS="1000", **more
    )


def refused(project: Project, *arguments: str) -> str:
    """The one line of a run that fails and publishes nothing."""
    before = published(project)
    done = project.call("run", *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == errors[0]
    assert published(project) == before
    return errors[0]


def published(project: Project) -> list[tuple[str, ...]]:
    """The rows, where the database is one of SQLite."""
    database = Path(project.env["BURGER_COMBOS_DATABASE__URL"].removeprefix("sqlite:///"))
    if not database.is_file() or not database.read_bytes().startswith(b"SQLite"):
        return []
    with sqlite3.connect(database) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'recommendations'").fetchall()
        return connection.execute("SELECT * FROM recommendations").fetchall() if tables else []


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A web server on loopback for the files of the test's folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_csv_parquet_address_and_table_give_the_same_rows(shop: Project, tmp_path: Path, address: str) -> None:
    write(tmp_path / "orders.csv", orders())
    done = shop.python(
        f"""
import polars as pl
frame = pl.read_csv("{tmp_path}/orders.csv", try_parse_dates=True)
frame.write_parquet("{tmp_path}/orders.parquet")
import adbc_driver_sqlite.dbapi as d
with d.connect("{tmp_path}/shop.db") as c, c.cursor() as k:
    k.adbc_ingest("orders", pl.read_csv("{tmp_path}/orders.csv", infer_schema=False)); c.commit()
"""
    )
    assert done.returncode == 0, done.stderr
    sources = {
        "csv": reading(shop, tmp_path / "orders.csv"),
        "parquet": reading(shop, tmp_path / "orders.parquet"),
        "csv address": reading(shop, f"{address}/orders.csv"),
        "parquet address": reading(shop, f"{address}/orders.parquet"),
        "table": reading(shop, "table:orders", ORDERS__DATABASE_URL=f"sqlite:///{tmp_path}/shop.db"),
    }
    found = {}
    for name, project in sources.items():
        done = project.call("run")
        assert done.returncode == 0, f"{name}: {done.stderr}"
        found[name] = [[row["customer"], row["item_1"], row["item_5"]] for row in project.written()[0]]
    assert len(found["csv"]) == 41  # and for customers without orders
    assert all(rows == found["csv"] for rows in found.values())


@pytest.mark.postgresql
def test_a_table_of_postgresql_is_read(shop: Project, postgresql: str, tmp_path: Path) -> None:
    url = new_database(postgresql, shop)
    write(tmp_path / "orders.csv", orders())
    done = shop.python(
        f"""
import polars as pl, adbc_driver_postgresql.dbapi as d
with d.connect("{url}") as c, c.cursor() as k:
    k.adbc_ingest("orders", pl.read_csv("{tmp_path}/orders.csv", try_parse_dates=True)); c.commit()
"""
    )
    assert done.returncode == 0, done.stderr
    project = reading(shop, "table:orders", ORDERS__DATABASE_URL=url)
    assert project.call("run").returncode == 0
    assert len(project.written()[0]) == 41
    assert "nowhere" in refused(reading(shop, "table:nowhere", ORDERS__DATABASE_URL=url))


def moment(text: str) -> datetime:
    """A date in either style of the real data."""
    return datetime.strptime(text, "%m/%d/%Y %H:%M" if re.match(r"\d+/\d+/\d{4} ", text) else "%m/%d/%y %H:%M")


@pytest.mark.skipif(not RETAIL.exists(), reason="the real data is not beside the repository")
def test_real_orders_are_read_by_settings_alone(stored: Project) -> None:
    columns = {"CUSTOMER": "CustomerID", "ITEM": "Description", "ORDERED_AT": "InvoiceDate", "QUANTITY": "Quantity"}
    project = stored.with_env(
        ORDERS__SOURCE=str(RETAIL),
        ORDERS__SEPARATOR=";",
        ORDERS__DATE_FORMATS='["%m/%d/%Y %H:%M", "%m/%d/%y %H:%M"]',
        ORDERS__MAX_REJECTED_SHARE="0.4",
        **{f"ORDERS__COLUMNS__{ours}": theirs for ours, theirs in columns.items()},
    )
    done = project.call("run")
    assert done.returncode == 0, done.stderr
    rows, _ = project.written()
    assert len(rows) == 1040
    with RETAIL.open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file, delimiter=";"))
    bad = [number for number, line in enumerate(lines, 1) if line["CustomerID"] == "NA"]
    good = [line for line in lines if line["CustomerID"] != "NA" and int(line["Quantity"]) > 0]
    folder = Path(project.env["BURGER_COMBOS_RUNS__FOLDER"]) / rows[0]["run_id"]
    with (folder / "rejected.csv").open(encoding="utf-8") as file:
        rejected = list(csv.DictReader(file))
    assert [int(row["row"]) for row in rejected if "customer is missing" in row["reason"]] == bad
    assert len(bad) == 1792
    read = project.python(f"""
import json
from datetime import date
import polars as pl
from burger_combos import orders
from burger_combos.ops.ingest import parted
from burger_combos.ops.settings import Stage, load
from burger_combos.pipeline import Settings
settings = load(Settings, Stage.develop).orders
found, _ = parted(pl.read_parquet("{folder}/raw.parquet"), settings, orders.schema(date.today()))
assert found["ordered_at"].sort().equals(pl.read_parquet("{folder}/orders.parquet")["ordered_at"].sort())
print(json.dumps(found.to_dict(as_series=False), default=str))
""")
    assert read.returncode == 0, read.stderr
    found = json.loads(read.stdout.splitlines()[-1])
    assert found["ordered_at"] == [str(moment(line["InvoiceDate"])) for line in good]
    assert min(found["ordered_at"]) == str(min(moment(line["InvoiceDate"]) for line in good))
    assert sum(found["quantity"]) == sum(int(line["Quantity"]) for line in good)
    assert found["customer"] == [line["CustomerID"] for line in good]
    assert found["item"] == [" ".join(line["Description"].split()) for line in good]


def test_umlauts_in_another_encoding(shop: Project, tmp_path: Path) -> None:
    rows = [[f"Jürgen {row % 9}", f"Döner {row % 4}", f"2026-01-{1 + row % 28:02d} 12:00", "1"] for row in range(99)]
    text = write(tmp_path / "utf8.csv", rows).read_text(encoding="utf-8")
    (tmp_path / "latin.csv").write_text(text, encoding="latin-1")
    assert "not in the encoding 'utf-8'" in refused(reading(shop, tmp_path / "latin.csv"))
    project = reading(shop, tmp_path / "latin.csv", ORDERS__ENCODING="latin-1")
    assert project.call("run").returncode == 0
    assert {row["customer"] for row in project.written()[0]} == {"anybody", *(f"Jürgen {n}" for n in range(9))}


@pytest.mark.parametrize(
    ("rows", "published"),
    [
        pytest.param([["Ana", "burger", "2026-01-01 12:00", "1"]], 1, id="one order"),
        pytest.param([["Ana", f"item {n}", f"2026-01-0{n} 12:00", "1"] for n in (1, 2, 3)], 1, id="one customer"),
        pytest.param([[f"c{n}", "burger", f"2026-01-{n + 1:02d} 12:00", "1"] for n in range(20)], 20, id="one item"),
        pytest.param(
            [[f"c{n}", f"i{n % 3}", f"2026-01-{n % 9 + 1:02d} 12:00", "1"] for n in range(20)], 20, id="3 items"
        ),
        pytest.param([["汉堡 🍔", 'the "big" one', "2026-01-01 12:00", "2.0"]], 1, id="any script"),
    ],
)
def test_small_worlds_work(rows: list[list[str]], published: int, stored: Project, tmp_path: Path) -> None:
    project = reading(stored, write(tmp_path / "orders.csv", rows))
    done = project.call("run")
    assert done.returncode == 0, done.stderr
    written, _ = project.written()
    assert len(written) == published + 1  # for customers without orders
    items = {row[1] for row in rows}
    for row in written:
        chosen = [row[f"item_{place}"] for place in range(1, 6)]
        assert set(filter(None, chosen)) == items
        assert chosen[len(items) :] == [None] * (5 - len(items))


def test_what_rich_takes_for_markup_is_shown_as_it_is(shop: Project, tmp_path: Path) -> None:
    rows = [["Ana", "Burger [/large] :hamburger:", "2026-01-01 12:00", "1"], ["B", "x [new]", "2026-01-01 12:00", "1"]]
    shown = reading(shop, write(tmp_path / "orders.csv", rows)).make("develop")
    assert "Burger [/large] :hamburger:" in shown
    assert "x [new]" in shown


def test_columns_of_other_types(shop: Project, tmp_path: Path) -> None:
    def frame(columns: str) -> Project:
        done = shop.python(f"""
import polars as pl
from datetime import date, datetime, timedelta
frame = dict(customer=["a", "b"], item=["x", "y"], ordered_at=[date(2026, 1, 1)] * 2, quantity=[1, 1]) | dict({columns})
pl.DataFrame(frame, strict=False).write_parquet("{tmp_path}/orders.parquet")
""")
        assert done.returncode == 0, done.stderr
        return reading(shop, tmp_path / "orders.parquet", ORDERS__MAX_REJECTED_SHARE="0.5")

    for columns, customers in {
        "customer=[16466.0, float('nan')]": ["16466"],
        "customer=[2.0**53 - 1, 2.0**53]": [str(2**53 - 1)],
        "customer=pl.Series([' ', 'b'], dtype=pl.Categorical)": ["b"],
        "customer=[1, 2], quantity=[1.5, float('inf')]": ["1"],
        "ordered_at=[date(2026, 1, 1), date(1066, 1, 1)]": ["a"],
    }.items():
        project = frame(columns)
        done = project.call("run")
        assert done.returncode == 0, f"{columns}: {done.stderr}"
        assert [row["customer"] for row in project.written()[0]] == sorted([*customers, "anybody"])
    for columns, message in {
        "customer=[[1], [2]]": "column customer: List(Int64) is no plain value",
        "ordered_at=[1767225600, 1767225601]": "column ordered_at: Int64 is no date",
        "ordered_at=[timedelta(1), timedelta(2)]": "is no date",
    }.items():
        assert message in refused(frame(columns))


def test_made_up_orders_stay_as_they_were_from_day_to_day(shop: Project) -> None:
    done = shop.python("""
from datetime import date, datetime
import polars as pl
from burger_combos.sample import SampleSettings, make_up

before, after = (make_up(SampleSettings(customers=300, days=7), date(2026, 1, day)) for day in (10, 11))
kept = before.filter(pl.col("ordered_at") >= datetime(2026, 1, 4))
print(0 < len(kept) < len(before) == len(after))
print(kept.sort(kept.columns).equals(after.filter(pl.col("ordered_at") < datetime(2026, 1, 10)).sort(kept.columns)))
print(after["ordered_at"].max() >= datetime(2026, 1, 10))
""")
    assert done.stdout.split() == ["True"] * 3, done.stderr


def test_no_customer_is_one_clear_line(shop: Project) -> None:
    assert "sample: no rows" in refused(shop.with_env(ORDERS__SAMPLE__CUSTOMERS="0"))
    assert shop.written()[0] == []


def test_orders_without_a_quantity_count_as_one(shop: Project, tmp_path: Path) -> None:
    file = write(tmp_path / "o.csv", [row[:3] for row in orders()], "customer,item,ordered_at")
    assert "no column 'quantity'" in refused(reading(shop, file))
    assert reading(shop, file, ORDERS__COLUMNS__QUANTITY="").call("run").returncode == 0


def test_bad_rows_are_kept_with_their_reasons_and_counted(shop: Project, tmp_path: Path) -> None:
    bad = {
        "customer is missing": ["", "burger", "2026-01-01 12:00", "1"],
        "ordered_at fits none of orders.date_formats": ["Ana", "burger", "31.12.2025", "1"],
        "quantity is not positive": ["Ana", "burger", "2026-01-01 12:00", "-1"],
        "ordered_at is in the future": ["Ana", "burger", "2999-01-01 12:00", "1"],
    }
    project = reading(shop, write(tmp_path / "orders.csv", orders() + list(bad.values())))
    assert project.call("run").returncode == 0
    rows, _ = project.written()
    assert len(rows) == 41
    with (tmp_path / "runs" / rows[0]["run_id"] / "rejected.csv").open() as file:
        rejected = {int(row["row"]): row["reason"] for row in csv.DictReader(file)}
    assert rejected == dict(enumerate(bad, 401))
    logged = project.make("logs")
    assert "rows_rejected=4" in logged
    (told,) = (line for line in logged.splitlines() if "ordered_at fits none" in line)
    for what in ("rows=1", "first=402", "31.12.2025", "%d.%m.%Y"):
        assert what in told


def test_what_was_changed_is_counted_in_the_log_and_in_the_record(shop: Project, tmp_path: Path) -> None:
    names = [
        ["17000", "burger"],
        ["17000.0", " burger"],
        ["17000", "bur\u200bger"],
        ["16466", "Cola  zero"],
        ["1", "NONE"],
    ]
    rows = [[*row, f"2026-01-0{day} 12:00", "1"] for day, row in enumerate(names, 1)]
    assert reading(shop, write(tmp_path / "orders.csv", rows)).call("run").returncode == 0
    written, (run,) = shop.written()
    assert sorted(row["customer"] for row in written) == ["1", "16466", "17000", "anybody"]
    record = json.loads(run["record"])
    assert record["facts"]["changed"] == {"customer": {"fraction of zeros": 1}, "item": {"characters": 2, "blanks": 1}}
    assert record["numbers"]["values_changed"] == 4
    logged = shop.make("logs").splitlines()
    for words in ("customer fraction values=1", "item characters values=2", "item blanks values=1"):
        assert any(all(word in line for word in ("changed", *words.split())) for line in logged), words
    assert any("perhaps missing" in line and "NONE" in line for line in logged)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("", "is empty", id="empty file"),
        pytest.param("customer,item,ordered_at,quantity\n", "no rows", id="header only"),
        pytest.param("customer,item,when,quantity\nAna,x,y,1\n", "no column 'ordered_at'", id="missing column"),
        pytest.param("customer;item;ordered_at;quantity\nAna;x;y;1\n", "is ',' the separator?", id="wrong separator"),
        pytest.param(
            "customer,item,ordered_at,quantity\n,x,2026-01-01 12:00,1\n", "1 of 1 rows rejected", id="all rejected"
        ),
        pytest.param("customer,item,ordered_at,quantity\nA,x,2026-01-01 12:00,1,2,3\n", "cannot be read", id="ragged"),
    ],
)
def test_a_bad_file_is_one_clear_line(content: str, message: str, shop: Project, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(content)
    line = refused(reading(shop, file, ORDERS__MAX_REJECTED_SHARE="1"))
    assert message in line
    assert str(file) in line
    assert shop.written()[0] == []
    assert "failed" in shop.make("status")


def test_dates_with_zones_and_fractions(shop: Project, tmp_path: Path) -> None:
    dates = ["2026-01-01T01:00:00+02:00", "2026-01-01T23:00:00.5Z", "2026-01-02 10:11:12.25", "2026-01-03"]
    file = write(tmp_path / "orders.csv", [["Ana", "burger", date, "1"] for date in dates])
    project = shop.with_env(ORDERS__SOURCE=str(file), GATE__UNJUDGED="pass")
    assert "2 rows (first row 1: '2026-01-01T01:00:00+02:00') with a time zone and 1 row (first row 3" in refused(
        project
    )
    assert project.with_env(ORDERS__TIMEZONE="UTC").call("run").returncode == 0
    found = shop.python(f"""
import glob, polars as pl
moments = pl.read_parquet(glob.glob("{tmp_path}/runs/*/orders.parquet"))["ordered_at"]
print(*moments.dt.to_string("%d %H:%M:%S%.3f"), sep=",")
""").stdout
    assert found == "31 23:00:00.000,01 23:00:00.500,02 10:11:12.250,03 00:00:00.000\n"


def test_a_missing_file_and_a_broken_parquet(shop: Project, tmp_path: Path, address: str) -> None:
    assert "no such file" in refused(reading(shop, tmp_path / "nowhere.csv"))
    assert "nowhere.csv: cannot be read: HTTP Error 404" in refused(reading(shop, f"{address}/nowhere.csv"))
    assert "cannot be read" in refused(reading(shop, "http://127.0.0.1:9/orders.csv"))
    (tmp_path / "broken.parquet").write_text("no parquet")
    assert "broken.parquet: cannot be read" in refused(reading(shop, tmp_path / "broken.parquet"))
    assert "unknown encoding 'klingon'" in refused(
        reading(shop, write(tmp_path / "o.csv", orders()), ORDERS__ENCODING="klingon")
    )
    assert "orders.date_formats: '%Y %H': Invalid format" in refused(
        reading(shop, tmp_path / "o.csv").with_env(ORDERS__DATE_FORMATS='["%Y %H"]')
    )
    assert "nowhere.db: no such file" in refused(
        reading(shop, "table:orders", ORDERS__DATABASE_URL=f"sqlite:///{tmp_path}/nowhere.db")
    )
    (tmp_path / "folder.csv").mkdir()
    assert "folder.csv" in refused(reading(shop, tmp_path / "folder.csv"))


def test_wrong_settings_are_one_clear_line_and_leave_no_trace(shop: Project, tmp_path: Path) -> None:
    cases = {
        "environment variable BURGER_COMBOS_ORDERS__SOURC: orders.sourc: unknown key": {"ORDERS__SOURC": "x"},
        "environment variable BURGER_COMBOS_ORDER__SOURCE: no such setting": {"ORDER__SOURCE": "x"},
        "environment variable BURGER_COMBOS_MODEL__TOP_K: model.top_k: ": {"MODEL__TOP_K": "five"},
        "BURGER_COMBOS_GATE__UNJUDGED: gate.unjudged: ": {"GATE__UNJUDGED": "perhaps"},
        "orders.date_formats: a list of at least 1 value is expected, not []": {"ORDERS__DATE_FORMATS": "[]"},
        "environment variable BURGER_COMBOS_ORDERS__NULL_VALUES: not JSON, as a list": {"ORDERS__NULL_VALUES": "NA"},
        "environment variable BURGER_COMBOS_ORDERS: not JSON": {"ORDERS": "foo"},
        'orders.source: text of at least 1 character is expected, not ""': {"ORDERS__SOURCE": ""},
        "orders.separator: 'ab' is no separator": {"ORDERS__SEPARATOR": "ab"},
        "neither sqlite:///FILE nor postgresql://": {"DATABASE__URL": "mysql://user:secret@host/x"},
        "dynamodb://x: DynamoDB is not chosen here: make answer database=dynamodb": {"DATABASE__URL": "dynamodb://x"},
    }
    for message, variables in cases.items():
        line = refused(shop.with_env(**variables))
        assert message in line
        assert "secret" not in line
    assert "--date 2999-01-01 is in the future" in refused(shop, "--date", "2999-01-01")
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "results.db").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('source = "sample"', 'sourc = "sample"', "develop/settings.toml: orders.sourc: unknown key; source is meant?"),
        ("top_k = 5", 'top_k = "many"', 'develop/settings.toml: model.top_k: a whole number is expected, not "many"'),
        ("top_k = 5", "top_k = 0", "develop/settings.toml: model.top_k: more than 0 is expected, not 0"),
        ("[gate]", "[gates]", "develop/settings.toml: gates: unknown section; gate is meant?"),
        ("top_k = 5", "top_k =", "develop/settings.toml: not valid TOML"),
        ("keep = 30", "keep =", "develop/platform.toml: not valid TOML"),
        ("keep = 30", "keep = 0", "develop/platform.toml: runs.keep: more than 0 is expected, not 0"),
        ("keep = 30", "kept = 30", "develop/platform.toml: runs.kept: unknown key; keep is meant?"),
        (
            "\n[model]\n",
            "\n[deploy.scale]\nmax_seconds = 1\n\n[model]\n",
            "develop/settings.toml: deploy.scale.max_seconds: stands in develop/platform.toml, too: leave it in one",
        ),
        (
            "\n[model]\n",
            "\n[deploy]\nmax_seconds = 1\n\n[model]\n",
            "develop/settings.toml: deploy.max_seconds: unknown key",
        ),
    ],
)
def test_a_wrong_settings_file_is_named(old: str, new: str, message: str, shop: Project, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    for stage in ("develop", "explore", "production"):
        (folder / stage).mkdir(parents=True)
        for name in ("settings.toml", "platform.toml"):
            text = (shop.folder / stage / name).read_text()
            (folder / stage / name).write_text(text.replace(old, new))
    done = sh(shop.folder / shop.command, "run", cwd=folder, env=environment() | shop.env)
    assert done.returncode == 1
    assert done.stderr.startswith("error: " + message), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_one_settings_file_may_say_all_and_its_keys_go_where_they_please(shop: Project, tmp_path: Path) -> None:
    """As where somebody merged the files by hand; and a key of the machinery's may stand beside one's own."""
    script = """
from burger_combos.ops.settings import Stage, StageSettings, load, settings_file
settings = load(StageSettings, Stage.develop)
print(settings.runs.keep, settings.schedule.late_minutes, settings_file(Stage.develop, "runs", "keep"))
"""
    folder = tmp_path / "copy/develop"
    folder.mkdir(parents=True)
    own = (shop.folder / "develop/settings.toml").read_text()
    platform = (shop.folder / "develop/platform.toml").read_text()

    def told() -> str:
        done = sh(shop.folder / ".venv/bin/python", "-c", script, cwd=folder.parent, env=environment() | shop.env)
        return done.stdout or done.stderr

    (folder / "settings.toml").write_text(own + platform.replace("keep = 30", "keep = 3"))
    assert told() == "3 60.0 develop/settings.toml\n"
    (folder / "settings.toml").write_text(f"{own}\n[runs]\nkeep = 4\n")
    (folder / "platform.toml").write_text(platform.replace("keep = 30\n", ""))
    assert told() == "4 60.0 develop/settings.toml\n"
    (folder / "settings.toml").write_text(own)
    (folder / "platform.toml").write_text(platform)
    assert told() == "30 60.0 develop/platform.toml\n"


def test_a_database_that_cannot_be_written_is_one_clear_line(shop: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert "file" in refused(shop.with_env(DATABASE__URL=f"sqlite:///{tmp_path}/file/results.db"))
    (tmp_path / "text.db").write_text("no database" * 1000)
    assert "text.db" in refused(shop.with_env(DATABASE__URL=f"sqlite:///{tmp_path}/text.db"))
    for password in ("secret", "my#secret", "my/secret", "my[secret", "my?secret"):
        line = refused(shop.with_env(DATABASE__URL=f"postgresql://shop:{password}@127.0.0.1:9/shop"))
        assert line.startswith("error: postgresql://shop@127.0.0.1:9/shop: ")
        assert "secret" not in line
    assert not (tmp_path / "runs").exists()
    assert "runs" in refused(shop.with_env(RUNS__FOLDER=f"{tmp_path}/file/runs"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
def test_a_read_only_database_or_folder_is_one_clear_line(shop: Project, tmp_path: Path) -> None:
    assert shop.call("run").returncode == 0
    before = shop.written()
    for folder in (tmp_path, *tmp_path.parents[:-2], shop.folder, *shop.folder.parents[:-2]):
        folder.chmod(folder.stat().st_mode | stat.S_IROTH | stat.S_IXOTH)
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    git = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    for variables, named in (
        ({"RUNS__FOLDER": f"{tmp_path}/new", "DATABASE__URL": f"sqlite:///{tmp_path}/open/results.db"}, "/new"),
        ({"RUNS__FOLDER": f"{tmp_path}/open/runs"}, "results.db"),
    ):
        project = shop.with_env(**variables)
        env = environment() | project.env | git
        done = sh(*nobody, shop.command, "run", cwd=shop.folder, env=env)
        assert done.returncode == 1, done.stdout
        assert named in done.stderr.splitlines()[-1]
        assert done.stderr.splitlines()[-1].startswith("error: ")
        assert "Traceback" not in done.stderr
    assert shop.written() == before


@pytest.mark.postgresql
def test_a_read_only_postgresql_is_one_clear_line(shop: Project, postgresql: str, tmp_path: Path) -> None:
    url = new_database(postgresql, shop) + "?options=-cdefault_transaction_read_only%3Don"
    line = refused(shop.with_env(DATABASE__URL=url))
    assert "read-only transaction" in line
