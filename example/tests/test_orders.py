from datetime import date, datetime

import polars as pl
import pytest

from burger_combos import orders
from burger_combos.ops.problems import Problem

TODAY = date(2026, 1, 31)
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
    found, rejected = orders.check(rows(), SETTINGS, TODAY)
    assert rejected.is_empty()
    assert found["ordered_at"].to_list() == [datetime(2026, 1, 30, 12), datetime(2026, 1, 29, 8, 15)]
    assert found["quantity"].to_list() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("column", "bad", "reason"),
    [
        ("customer", None, "customer is missing or unreadable"),
        ("item", None, "item is missing or unreadable"),
        ("ordered_at", "yesterday", "ordered_at is missing or unreadable"),
        ("ordered_at", "2/5/26 12:00", "ordered_at is in the future"),
        ("quantity", "0", "quantity is not positive"),
        ("quantity", "-2", "quantity is not positive"),
        ("quantity", "two", "quantity is missing or unreadable"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_reason(column: str, bad: object, reason: str) -> None:
    raw = rows()
    raw = rows(**{column: [raw[column][0], bad]})
    found, rejected = orders.check(raw, SETTINGS, TODAY)
    assert found["customer"].to_list() == ["7"]
    assert rejected.rows(named=True) == [{"row": 2, **raw.row(1, named=True), "reason": reason}]


def test_too_many_bad_rows_stop_the_run() -> None:
    _, rejected = orders.check(rows(quantity=["1", "0"]), SETTINGS, TODAY)
    with pytest.raises(Problem, match=r"1 of 2 rows rejected .* because quantity is not positive; first in row 2"):
        orders.refuse_too_many(rejected, 2, SETTINGS)
