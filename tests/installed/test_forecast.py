"""The example forecast: beside what others report of the same method, on real sales, and as a user meets it."""

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from rig import ROOT, Project

RETAIL = ROOT.parent / "shared/data/online_retail_sample.csv"
SKTIME = "sktime==1.2.0"  # ships the airline passengers, and reports in its README how far its Theta method is off
AIRLINE = """
import sys
import numpy as np
from {package} import model

passengers = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1, usecols=1)
known, later = passengers[None, :-36], passengers[-36:]  # its temporal_train_test_split holds out a quarter
naive = np.resize(known[0, -12:], 36)
for ahead in (model.forecast(model.fit(known, period=12), 36)[0], naive):
    print(np.mean(np.abs(ahead - later) / later))
"""


@pytest.fixture(scope="module")
def forecasts(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of the example, set up; tests leave its files as they are."""
    made = generate(tmp_path_factory.mktemp("forecast") / "demand", example="forecast", project_name="Demand Forecast")
    made.make("setup")
    return made


@pytest.fixture
def sales(forecasts: Project, tmp_path: Path) -> Project:
    """The project with a database and runs of the test's own."""
    return forecasts.with_env(DATABASE__URL=f"sqlite:///{tmp_path}/results.db", RUNS__FOLDER=str(tmp_path / "runs"))


@pytest.fixture
def retail(sales: Project) -> Project:
    """The project on a real shop's order lines, by settings alone: each country is a store."""
    return sales.with_env(
        SALES__SOURCE=str(RETAIL),
        SALES__SEPARATOR=";",
        SALES__DATE_FORMATS='["%m/%d/%y %H:%M", "%m/%d/%Y %H:%M"]',
        SALES__COLUMNS__STORE="Country",
        SALES__COLUMNS__PRODUCT="StockCode",
        SALES__COLUMNS__SOLD_ON="InvoiceDate",
        SALES__COLUMNS__QUANTITY="Quantity",
    )


def test_airline_passengers_are_forecast_as_well_as_sktime_reports(forecasts: Project, tmp_path: Path) -> None:
    done = forecasts.run("uv", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path, SKTIME)
    assert done.returncode == 0, done.stderr
    readme = next(tmp_path.glob("sktime-*.dist-info/METADATA")).read_text(encoding="utf-8")
    found = re.search(r"ThetaForecaster\(sp=12\).*?mean_absolute_percentage_error.*?>>> ([\d.]+)", readme, re.DOTALL)
    assert found, readme
    reported = float(found[1])  # 0.0866
    airline = tmp_path / "sktime/datasets/data/Airline/Airline.csv"
    done = forecasts.run(".venv/bin/python", "-c", AIRLINE.format(package=forecasts.package), airline)
    assert done.returncode == 0, done.stderr
    mine, naive = map(float, done.stdout.split())
    assert mine == pytest.approx(reported, rel=0.1)
    assert mine < 0.7 * naive


def test_each_series_of_the_sample_gets_fourteen_days(sales: Project) -> None:
    sales.make("develop")
    found = json.loads(sales.make("results", "KEY=store=S03 product=P011", "ROWS=100", "JSON=1"))
    rows = found["tables"]["forecasts"]["rows"]
    days = [str(date.fromisoformat(found["date"]) + timedelta(days=ahead)) for ahead in range(14)]
    assert [row["forecast_date"] for row in rows] == days
    assert {(row["store"], row["product"]) for row in rows} == {("S03", "P011")}
    wape = found["metrics"]["wape"]
    assert wape["better"] == "lower"
    assert wape["value"] < 0.85 * min(wape["baselines"].values())


def test_sales_that_have_ended_are_not_forecast_for_today(retail: Project) -> None:
    done = retail.call("run")
    assert done.returncode == 1
    assert "the newest sale before" in done.stderr
    assert "is of 2011-02-23, and sales.max_age_days is 14: forecast from --date 2011-02-24" in done.stderr


def test_sales_too_rare_to_forecast_by_day_are_refused(retail: Project) -> None:
    done = retail.call("run", "--date", "2011-02-24")
    assert done.returncode == 3
    assert "error: the gate 'better than a baseline' refuses: wape 1.90, baseline zero 1.00" in done.stderr


def test_a_real_shop_is_forecast_by_settings_alone(retail: Project) -> None:
    shop = retail.with_env(SALES__COLUMNS__STORE="", SALES__COLUMNS__PRODUCT="Country")
    done = shop.call("run", "--date", "2011-02-24")
    assert done.returncode == 0, done.stderr
    found = json.loads(shop.make("results", "DATE=2011-02-24", 'KEY=store=all product="United Kingdom"', "JSON=1"))
    rows = found["tables"]["forecasts"]["rows"]
    saturdays = [row["quantity"] for row in rows if date.fromisoformat(row["forecast_date"]).weekday() == 5]
    assert saturdays == [0, 0]  # on which it is closed, as the model has learnt


TAKEN = """
import json
from datetime import date
import polars as pl
from {package} import pipeline
from {package}.ops import execute
from {package}.ops.settings import Stage, load
from {package}.ops.store import Store
from {package}.sample import make_up

settings, found = load(pipeline.Settings, Stage.develop), []
whole = make_up(settings.sales.sample, date(2025, 11, 4))
for name, day in (("trained", 1), ("taken", 1), ("later", 4)):
    new = whole.head(50).with_columns(store=pl.lit("new")) if name == "later" else whole.clear()
    pl.concat([whole, new]).write_csv(settings.sales.source)
    record = execute.run_all(settings, date(2025, 11, day), name).record
    with Store(settings.database.url) as store:
        rows = store.query(f"SELECT * FROM forecasts WHERE run_id = '{{name}}' ORDER BY store, product, forecast_date")
    rows = rows.select("store", "product", "forecast_date", "quantity")
    found.append([record.model_run, record.metrics, record.numbers, rows.rows()])
print("\\n" + json.dumps(found, default=str))
"""


def test_a_model_that_is_taken_forecasts_from_where_it_had_learnt(sales: Project, tmp_path: Path) -> None:
    mine = sales.with_env(COMMIT="1" * 40, SCHEDULE__TRAIN_EVERY="7d", SALES__SOURCE=str(tmp_path / "sales.csv"))
    done = mine.python(TAKEN.format(package=mine.package))
    assert done.returncode == 0, done.stderr
    trained, taken, later = json.loads(done.stdout.splitlines()[-1])
    assert [model for model, *_ in (trained, taken, later)] == ["trained"] * 3
    assert taken[3] == trained[3] != []
    assert taken[1] == later[1] == trained[1]
    assert taken[2]["bias"] == trained[2]["bias"]
    before, after = ({tuple(row[:3]): row[3] for row in rows} for rows in (trained[3], later[3]))
    both = before.keys() & after.keys()
    assert len(both) == 11 / 14 * len(before)  # of fourteen days, three are past, and the season repeats
    assert {key: before[key] for key in both} == {key: after[key] for key in both}
    assert not any(store == "new" for store, *_ in after)
    assert later[2]["series_since_training"] > taken[2]["series_since_training"] == 0
