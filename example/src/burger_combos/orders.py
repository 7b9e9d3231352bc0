"""Yours: what the columns of your orders are called, and what an order is."""

from datetime import date, datetime, time, timedelta

import numpy as np
import pandera.polars as pa
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from .ops.ingest import read
from .ops.problems import Problem
from .ops.settings import Section
from .ops.tables import TableSettings
from .ops.threads import by_slices
from .ops.values import columns
from .sample import SampleSettings


class Columns(Section):
    """What the columns are called in the source; `quantity` is empty where there is none, and each row is one order."""

    customer: str = "customer"
    item: str = "item"
    ordered_at: str = "ordered_at"
    quantity: str = "quantity"


class CatalogueColumns(Section):
    """What the columns of the catalogue are called in its source."""

    item: str = ""  # empty: as in the orders
    available: str = ""  # true, yes or a stock above 0; empty: each item of the catalogue is


class OrderSettings(TableSettings):
    """The section `[orders]` of a stage's settings."""

    source: str = Field(
        default="sample", min_length=1, description="sample, FILE.csv, FILE.parquet, their URL, or table:NAME"
    )
    time_column: str = Field(default="ordered_at", min_length=1)  # rows of the run's day, or later, are left out
    columns: Columns = Columns()
    catalogue: str = ""  # what may be recommended today; a source that is written as the orders are
    catalogue_columns: CatalogueColumns = CatalogueColumns()
    sample: SampleSettings = SampleSettings()


def available(settings: OrderSettings) -> pl.Series | None:
    """The names of the items that may be recommended today; None where no catalogue says so.

    Raises:
        Problem: the catalogue cannot be read, or names no item that is available.
    """
    if not settings.catalogue:
        return None
    named = settings.catalogue_columns.model_copy(
        update={"item": settings.catalogue_columns.item or settings.columns.item}
    )
    found = read(settings.model_copy(update={"source": settings.catalogue, "columns": named}))
    items = columns.names(found["item"])
    if named.available:
        items = items.filter(_is_available(found["available"], settings))
    items = items.drop_nulls().unique()
    if items.is_empty():
        raise Problem(f"{settings.catalogue}: no item is available: orders.catalogue names what may be recommended")
    return items


def _is_available(column: pl.Series, settings: OrderSettings) -> pl.Series:
    """Of true and false, yes and no, or a stock.

    Raises:
        Problem: a value is neither.
    """
    stock = columns.numbers(column, settings) if column.dtype != pl.Boolean else column.cast(pl.Float64)
    truths = columns.truths(column) if column.dtype in (pl.String, pl.Boolean) else stock > 0
    found = pl.DataFrame({"stock": stock > 0, "truth": truths}).select(pl.coalesce("stock", "truth")).to_series()
    if found.has_nulls():
        row = found.is_null().arg_max() or 0
        raise Problem(
            f"{settings.catalogue}: row {row + 1}: column {settings.catalogue_columns.available}: {column[row]!r} does "
            "not say whether the item is available: write true or false, yes or no, or its stock"
        )
    return found


def by_customer(orders: pl.DataFrame) -> tuple[pl.Series, pl.DataFrame]:
    """Number the customers.

    Args:
        orders: with a column `customer`, of names.

    Returns:
        The names, each once; and the orders in the order of their customers' numbers, which replace the names.
    """
    ordered = orders.with_columns(hash=pl.col("customer").hash()).sort("hash")  # faster than by name
    numbers = ordered["customer"].rle_id()
    if numbers.n_unique() > ordered["hash"].rle_id().n_unique():  # two customers share a hash
        ordered = orders.sort("customer")
        numbers = ordered["customer"].rle_id()
    names = ordered["customer"].filter((numbers != numbers.shift()).fill_null(True))
    return names, ordered.select(numbers.alias("customer"), pl.exclude("customer", "hash"))


def numbered(names: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Number names by the alphabet.

    Args:
        names: of which one may stand in many rows.

    Returns:
        The names, each once, in the order of their numbers; and the number of each row's name.
    """
    # Categories are fast, and have no order. Two slices have the same codes only while both are kept as categories.
    codes = by_slices(names, lambda some: some.cast(pl.Categorical)).to_physical()
    first = codes.arg_unique()
    known = names.gather(first)
    order = known.arg_sort()
    numbers = np.empty(np.max(codes.to_numpy(), initial=0) + 1, np.uint32)
    numbers[codes.gather(first.gather(order)).to_numpy()] = np.arange(len(known))
    return known.gather(order), pl.Series(names.name, numbers[codes.to_numpy()])


def alphabetical(names: pl.Series) -> tuple[pl.Series, NDArray[np.uint32]]:
    """Sort names by the alphabet; each is there once.

    Returns:
        The names in their order, and the row that each had before, of shape (names,).
    """
    ordered = names.sort()
    rows = np.empty(len(names), np.uint32)  # by their hashes, as to sort text is fast, and to tell its order is not
    rows[ordered.hash().arg_sort().to_numpy()] = names.hash().arg_sort().to_numpy()
    if not names.gather(rows).equals(ordered):  # two names share a hash
        rows = names.arg_sort().to_numpy()
    return ordered, rows


def schema(today: date) -> pa.DataFrameSchema:
    """An order; a row that does not fit is set aside with the reason given here, so checks are to be of rows.

    Args:
        today: the day by the clock; an order cannot be later.
    """
    earliest = datetime(1900, 1, 1)
    latest = datetime.combine(today + timedelta(days=1), time(14))  # the end of the day in any time zone
    return pa.DataFrameSchema(
        {
            "customer": pa.Column(pl.String),
            "item": pa.Column(pl.String),
            "ordered_at": pa.Column(
                pl.Datetime("us"),
                [pa.Check.ge(earliest, error="is before 1900"), pa.Check.lt(latest, error="is in the future")],
            ),
            "quantity": pa.Column(pl.Float64, pa.Check.gt(0, error="is not positive"), required=False),
        }
    )
