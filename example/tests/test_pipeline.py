import os
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
import scipy.sparse as sp
from pydantic import SecretStr

from burger_combos import model, orders, pipeline
from burger_combos.ops import execute
from burger_combos.ops.problems import Refused
from burger_combos.ops.settings import PREFIX, Database, Stage, load
from burger_combos.ops.store import Store
from burger_combos.ops.version import commit
from burger_combos.sample import SampleSettings

TODAY = date.today()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pipeline.Settings:
    """The develop settings on 300 customers, with a database and runs of the test's own that are kept nowhere else."""
    for variable in os.environ:
        if variable.startswith(PREFIX):
            monkeypatch.delenv(variable)
    mine = {
        "ORDERS__SOURCE": "sample",
        "ORDERS__SAMPLE__CUSTOMERS": "300",
        "GATE__MIN_HITS": "30",
        "GATE__MIN_LIFT": "1",
        "DATABASE__URL": f"sqlite:///{tmp_path}/results.db",
        "RUNS__FOLDER": str(tmp_path / "runs"),
        "RUNS__SHARDS": "1",
    }
    for name, value in mine.items():
        monkeypatch.setenv(PREFIX + name, value)
    found = load(pipeline.Settings, Stage.develop)
    return found.model_copy(update={"tracking": {}, "database": Database(url=found.database.url)})


def written(settings: pipeline.Settings) -> pl.DataFrame:
    with Store(settings.database.url) as store:
        return store.query("SELECT * FROM recommendations ORDER BY date, customer")


def test_a_run_writes_one_row_a_customer_with_its_commit(settings: pipeline.Settings) -> None:
    run = execute.run_all(settings, TODAY)
    rows = written(settings)
    assert len(rows) == rows["customer"].n_unique() == run.record.numbers["customers"] + 1  # and the row for anybody
    top_k = settings.model.top_k
    places = [f"item_{place + 1}" for place in range(top_k)]
    assert rows.columns == ["stage", "date", "customer", *places, "run_id", "git_commit"]
    assert rows["git_commit"].unique().to_list() == [run.record.git_commit] == [commit()]
    assert all(len(set(row)) == top_k for row in rows.select(places).iter_rows())
    hit_rate = run.metric("hit_rate")
    assert hit_rate.value > hit_rate.baselines["popularity"]
    report = run.path("report.html").read_text(encoding="utf-8")
    assert "<svg" in report
    assert run.record.run_id in report


def test_a_day_published_twice_is_there_once(settings: pipeline.Settings) -> None:
    execute.run_all(settings, TODAY)
    before = written(settings)
    run = execute.run_all(settings, TODAY)
    after = written(settings)
    assert after.drop("run_id").equals(before.drop("run_id"))
    assert after["run_id"].unique().to_list() == [run.record.run_id]


def test_another_day_leaves_the_first_in_place(settings: pipeline.Settings) -> None:
    execute.run_all(settings, TODAY - timedelta(days=1))
    execute.run_all(settings, TODAY)
    assert written(settings)["date"].n_unique() == 2


def test_steps_one_by_one_give_the_same_rows(settings: pipeline.Settings) -> None:
    execute.run_all(settings, TODAY)
    whole = written(settings)
    for name in execute.NAMES:
        execute.run_step(settings, name, "by-steps", TODAY)
    assert written(settings).drop("run_id").equals(whole.drop("run_id"))


def test_shards_give_the_rows_of_one_process(settings: pipeline.Settings) -> None:
    one = execute.run_all(settings, TODAY)
    whole = written(settings)
    runs = settings.runs.model_copy(update={"shards": 3})
    several = execute.run_all(settings.model_copy(update={"runs": runs}), TODAY)
    assert written(settings).drop("run_id").equals(whole.drop("run_id"))
    assert several.record.numbers == pytest.approx(one.record.numbers)
    assert several.record.facts == one.record.facts


def test_the_model_that_is_judged_has_not_seen_the_held_out_days(settings: pipeline.Settings) -> None:
    run = execute.run_all(settings, TODAY)
    found = pl.read_parquet(run.path("raw.parquet")).drop_nulls().filter(pl.col("quantity") > 0)
    items = pl.read_parquet(run.path("catalogue.parquet"))["item"]
    day = found["ordered_at"].dt.date()
    first = max(day) - timedelta(days=settings.gate.holdout_days - 1)
    for file, seen in (("backtest.npz", found.filter(day < first)), ("model.npz", found)):
        learnt = model.Model.load(run.path(file))
        customers = seen["customer"].rank("dense").to_numpy() - 1
        codes = seen["item"].cast(pl.Enum(items)).to_physical().to_numpy()
        expected = model.fit(model.histories(customers, codes, (seen["customer"].n_unique(), len(items))))
        assert learnt.popularity == pytest.approx(expected.popularity)
        assert learnt.affinity.toarray() == pytest.approx(expected.affinity.toarray())


def test_what_is_large_and_of_no_more_use_is_removed(settings: pipeline.Settings) -> None:
    run = execute.run_all(settings, TODAY)
    assert run.found("model.npz", "pairs-*", "earlier*.npz") == ["model.npz"]


def test_anybody_gets_what_is_popular(settings: pipeline.Settings) -> None:
    run = execute.run_all(settings, TODAY)
    ordered = dict(pl.read_parquet(run.path("catalogue.parquet"), columns=["item", "orders"]).iter_rows())
    mine = written(settings).filter(customer="anybody").select(pl.selectors.starts_with("item_")).row(0)
    assert [ordered[item] for item in mine] == sorted(ordered.values(), reverse=True)[: settings.model.top_k]


def test_what_the_catalogue_does_not_have_is_not_recommended(settings: pipeline.Settings, tmp_path: Path) -> None:
    before = execute.run_all(settings, TODAY)
    items = pl.read_parquet(before.path("catalogue.parquet"))["item"]
    file = tmp_path / "items.csv"
    stock = pl.DataFrame({"item": items, "stock": [number % 3 for number in range(len(items))]})
    stock.write_csv(file)
    stocked = {"catalogue": str(file), "catalogue_columns": orders.CatalogueColumns(available="stock")}
    mine = settings.orders.model_copy(update=stocked)
    run = execute.run_all(settings.model_copy(update={"orders": mine}), TODAY)
    found = written(settings).select(pl.selectors.starts_with("item_")).unpivot()["value"].unique()
    assert set(found) <= set(stock.filter(pl.col("stock") > 0)["item"])
    assert run.record.numbers["items_available"] == (stock["stock"] > 0).sum()


def test_a_bad_model_is_not_published(settings: pipeline.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    execute.run_all(settings, TODAY)
    before = written(settings)

    def bad(file: Path) -> model.Model:
        popularity = good(file).popularity
        nothing = sp.csr_array((len(popularity), len(popularity)))
        return model.Model(nothing, (1 - popularity) / len(popularity))  # the least popular first

    good = model.Model.load
    monkeypatch.setattr(model.Model, "load", bad)
    with pytest.raises(Refused, match="better than a baseline"):
        execute.run_all(settings, TODAY)
    assert written(settings).equals(before)


def test_how_good_it_really_was_shows_a_change_of_tastes_on_its_day(settings: pipeline.Settings) -> None:
    before, changed, last = (TODAY - timedelta(days=back) for back in (2, 1, 0))
    shares = {}
    for shift_on in (None, changed):
        sample = SampleSettings(customers=1_500, shift_on=shift_on)
        mine = settings.model_copy(update={"orders": settings.orders.model_copy(update={"sample": sample})})
        runs = [execute.run_all(mine, day) for day in (before, changed, last)]
        assert runs[0].record.reviews == []
        reviews = runs[-1].record.reviews
        assert [(each["date"], each["run_id"]) for each in reviews] == [
            (str(run.record.date), run.record.run_id) for run in runs[:-1]
        ]
        assert [each["backtest"] for each in reviews] == [run.metric("hit_rate").value for run in runs[:-1]]
        shares[shift_on] = [each["value"] / each["backtest"] for each in reviews]
    usual, shifted = shares.values()
    assert min(usual) > 0.6
    assert shifted[0] == usual[0]
    assert shifted[1] < 0.4


def test_shards_review_what_one_process_does(settings: pipeline.Settings, tmp_path: Path) -> None:
    found = []
    for shards in (1, 3):
        database = settings.database.model_copy(update={"url": SecretStr(f"sqlite:///{tmp_path}/{shards}.db")})
        runs = settings.runs.model_copy(update={"shards": shards})
        mine = settings.model_copy(update={"database": database, "runs": runs})
        execute.run_all(mine, TODAY - timedelta(days=1))
        found += execute.run_all(mine, TODAY).record.reviews
    one, several = found
    assert several["baselines"] == pytest.approx(one["baselines"])
    for name in ("date", "value", "weight", "data"):
        assert several[name] == one[name]
