from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from burger_combos import orders
from burger_combos.ops import threads
from burger_combos.ops.ingest import parted
from burger_combos.ops.problems import Problem
from burger_combos.sample import SampleSettings, make_up

SCHEMA = orders.schema(date(2026, 1, 31))
SETTINGS = orders.OrderSettings(date_formats=("%m/%d/%y %H:%M", "%m/%d/%Y %H:%M"))


def rows(**changes: list[object]) -> pl.DataFrame:
    good: dict[str, list[object]] = {
        "customer": ["7", "8"],
        "item": ["Cheese & cola", "Döner"],
        "ordered_at": ["1/30/26 12:00", "01/29/2026 08:15"],
        "quantity": ["1", "2"],
    }
    return pl.DataFrame(good | changes)


def test_orders_are_typed_and_both_date_styles_read() -> None:
    found, rejected = parted(rows(), SETTINGS, SCHEMA)
    assert rejected.is_empty()
    assert found["ordered_at"].to_list() == [datetime(2026, 1, 30, 12), datetime(2026, 1, 29, 8, 15)]
    assert found["quantity"].to_list() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("column", "bad", "reason"),
    [
        ("customer", None, "customer is missing"),
        ("item", None, "item is missing"),
        ("ordered_at", "yesterday", "ordered_at fits none of orders.date_formats"),
        ("ordered_at", "2/5/26 12:00", "ordered_at is in the future"),
        ("ordered_at", "12/31/1899 12:00", "ordered_at is before 1900"),
        ("quantity", "0", "quantity is not positive"),
        ("quantity", "-2", "quantity is not positive"),
        ("quantity", "two", "quantity is no number"),
        ("quantity", "1,234", "quantity is no number"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_reason(column: str, bad: object, reason: str) -> None:
    raw = rows()
    raw = rows(**{column: [raw[column][0], bad]})
    found, rejected = parted(raw, SETTINGS, SCHEMA)
    assert found["customer"].to_list() == ["7"]
    assert rejected.rows(named=True) == [{"row": 2, **raw.row(1, named=True), "reason": reason}]


def test_dates_that_fit_two_orders_of_day_and_month_are_refused() -> None:
    either = SETTINGS.model_copy(update={"date_formats": ("%m/%d/%y %H:%M", "%d/%m/%y %H:%M")})
    with pytest.raises(Problem, match="leave the one that is meant"):
        parted(rows(ordered_at=["1/2/26 12:00", "1/3/26 08:15"]), either, SCHEMA)


def test_orders_without_a_quantity_are_orders() -> None:
    found, rejected = parted(rows().drop("quantity"), SETTINGS, SCHEMA)
    assert found.columns == ["customer", "item", "ordered_at"]
    assert rejected.is_empty()


def catalogue(tmp_path: Path, text: str, **columns: str) -> orders.OrderSettings:
    file = tmp_path / "items.csv"
    file.write_text(text, encoding="utf-8")
    return orders.OrderSettings(catalogue=str(file), catalogue_columns=orders.CatalogueColumns(**columns))


def test_a_catalogue_says_what_may_be_recommended(tmp_path: Path) -> None:
    assert orders.available(SETTINGS) is None
    listed = catalogue(tmp_path, "item,stock\nDöner,3\n Fish ,0\nCheese,yes\n")
    assert orders.available(listed).sort().to_list() == ["Cheese", "Döner", "Fish"]  # type: ignore[union-attr]
    stocked = catalogue(tmp_path, "sku,stock\nDöner,3\nFish,0\nCheese,yes\n", item="sku", available="stock")
    assert orders.available(stocked).sort().to_list() == ["Cheese", "Döner"]  # type: ignore[union-attr]


def test_a_catalogue_that_does_not_say_what_is_available_is_refused(tmp_path: Path) -> None:
    unclear = catalogue(tmp_path, "item,stock\nDöner,3\nFish,perhaps\n", available="stock")
    with pytest.raises(Problem, match="row 2: column stock: 'perhaps' does not say"):
        orders.available(unclear)
    empty = catalogue(tmp_path, "item,stock\nDöner,0\n", available="stock")
    with pytest.raises(Problem, match="no item is available"):
        orders.available(empty)


def test_customers_are_numbered_in_the_order_of_their_rows() -> None:
    found = pl.DataFrame({"customer": ["b", "a", "b", "c", "a"], "item": ["1", "2", "3", "4", "5"]})
    names, ordered = orders.by_customer(found)
    assert sorted(names) == ["a", "b", "c"]
    assert ordered["customer"].is_sorted()
    back = ordered.select(names.gather(ordered["customer"]).alias("customer"), "item").sort("item")
    assert back.equals(found)
    nobody, nothing = orders.by_customer(found.clear())
    assert (len(nobody), len(nothing)) == (0, 0)


def test_customers_that_share_a_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.Expr, "hash", lambda name: name.str.len_chars())
    found = pl.DataFrame({"customer": ["b", "a", "b", "cc", "a"]})
    names, ordered = orders.by_customer(found)
    assert names.gather(ordered["customer"]).to_list() == ["a", "a", "b", "b", "cc"]


def test_other_tastes_change_no_order_of_before() -> None:
    day, shift_on = date(2026, 1, 31), date(2026, 1, 20)
    usual, shifted = (make_up(SampleSettings(customers=500, shift_on=shift), day) for shift in (None, shift_on))
    late = pl.Series(usual["ordered_at"].dt.date() >= shift_on)
    assert usual.drop("item").equals(shifted.drop("item"))
    assert usual.filter(~late).equals(shifted.filter(~late))
    assert (usual["item"] != shifted["item"]).filter(late).mean() > 0.9  # type: ignore[operator]
    tomorrow = make_up(SampleSettings(customers=500, shift_on=shift_on), date(2026, 2, 1))
    stays = shifted["ordered_at"].dt.date() > shifted["ordered_at"].dt.date().min()
    assert tomorrow.filter(pl.col("ordered_at").dt.date() < day).equals(shifted.filter(stays))


def test_names_are_numbered_by_the_alphabet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "ROWS", 2)  # of which each thread gets some
    given = ["tea", "Döner", "tea", "", "beer", *(f"{number % 50:02}" for number in range(200))]
    names, numbers = orders.numbered(pl.Series("item", given))
    assert names.to_list() == sorted(set(given))
    assert numbers.to_list() == [names.to_list().index(name) for name in given]
    nothing, none = orders.numbered(names.clear())
    assert nothing.is_empty() and none.is_empty()


@pytest.mark.parametrize("share_a_hash", [False, True])
def test_names_are_put_in_the_order_of_the_alphabet(share_a_hash: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if share_a_hash:
        monkeypatch.setattr(pl.Series, "hash", lambda names: names.str.len_chars())
    names = pl.Series([f"C{7 * number % 1000}" for number in range(1000)])
    ordered, rows = orders.alphabetical(names)
    assert ordered.equals(names.sort()) and names.gather(rows).equals(ordered)
    nothing, none = orders.alphabetical(names.clear())
    assert nothing.is_empty() and len(none) == 0
