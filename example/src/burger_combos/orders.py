"""Yours: where orders come from, and what an order is."""

from datetime import date, datetime, time, timedelta

import pandera.polars as pa
import polars as pl
from pydantic import Field

from .ops.problems import Problem, one_line
from .ops.sample import SampleSettings, make_up
from .ops.settings import Section
from .ops.tables import TableSettings, read_table


class Columns(Section):
    """What the columns are called in the source; where `quantity` is empty, each row counts as one."""

    customer: str = "customer"
    item: str = "item"
    ordered_at: str = "ordered_at"
    quantity: str = "quantity"


class OrderSettings(TableSettings):
    """The section `[orders]` of a stage's settings."""

    source: str = Field(
        default="sample", min_length=1, description="sample, FILE.csv, FILE.parquet, their URL, or table:NAME"
    )
    columns: Columns = Columns()
    date_formats: tuple[str, ...] = Field(default=("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d"), min_length=1)
    max_rejected_share: float = Field(default=0.05, ge=0, le=1)
    sample: SampleSettings = SampleSettings()


def schema(today: date) -> pa.DataFrameSchema:
    """An order; a row that does not fit is set aside with the reason given here, so checks are to be of rows."""
    latest = datetime.combine(today + timedelta(days=1), time(14))  # the end of the day in any time zone
    return pa.DataFrameSchema(
        {
            "customer": pa.Column(pl.String),
            "item": pa.Column(pl.String),
            "ordered_at": pa.Column(pl.Datetime("us"), pa.Check.lt(latest, error="is in the future")),
            "quantity": pa.Column(pl.Float64, pa.Check.gt(0, error="is not positive")),
        }
    )


def read(settings: OrderSettings, day: date) -> pl.DataFrame:
    """The orders as they come: customer, item, ordered_at and quantity, whatever their types.

    Raises:
        Problem: the source cannot be read, lacks a column, or is empty.
    """
    if settings.source == "sample":
        raw = make_up(settings.sample, day)
    else:
        raw = read_table(settings, {ours: theirs for ours, theirs in settings.columns.model_dump().items() if theirs})
    if raw.is_empty():
        raise Problem(f"{settings.source}: no rows")
    return raw


def check(raw: pl.DataFrame, settings: OrderSettings, today: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part orders from rows that are none.

    Args:
        raw: the rows as they were read.
        settings: how dates are written.
        today: the day by the clock; an order cannot be later.

    Returns:
        The orders that fit the schema, and the rows that do not, as read, with their `row` (from 1) and the `reason`.

    Raises:
        Problem: a column is of a type that cannot be read so, or the schema demands one that is not there.
    """
    typed = _typed(raw, settings.date_formats)
    try:
        schema(today).validate(typed, lazy=True)
    except pa.errors.SchemaErrors as errors:
        of_no_row = errors.failure_cases.filter(pl.col("index").is_null())
        if len(of_no_row):
            raise Problem(f"{settings.source}: the schema of orders does not fit: {of_no_row['check'][0]}") from None
        failure = pl.when(pl.col("check") == "not_nullable").then(pl.lit("is missing or unreadable")).otherwise("check")
        reasons = (
            errors.failure_cases.select(
                row=pl.col("index") + 1, reason=pl.format("{} {}", pl.col("column").fill_null("row"), failure)
            )
            .group_by("row")
            .agg(pl.col("reason").sort().str.join("; "))
        )
    else:
        reasons = pl.DataFrame(schema={"row": pl.Int32, "reason": pl.String})
    row = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("row")
    rejected = raw.select(row, pl.all()).join(reasons, on="row").sort("row")
    orders = typed.with_columns(row).join(reasons, on="row", how="anti", maintain_order="left").drop("row")
    return orders, rejected


def refuse_too_many(rejected: pl.DataFrame, total: int, settings: OrderSettings) -> None:
    """Stop where so much was set aside that the rest cannot be trusted.

    Raises:
        Problem: the share of rejected rows is above the one that the settings allow, or no row is left.
    """
    share = len(rejected) / total
    if len(rejected) == total or share > settings.max_rejected_share:
        reason, count = rejected["reason"].value_counts(sort=True).row(0)
        raise Problem(
            f"{settings.source}: {len(rejected):,} of {total:,} rows rejected ({share:.1%}; orders.max_rejected_share "
            f"allows {settings.max_rejected_share:.1%}), {count:,} because {reason}; first in row {rejected['row'][0]}"
        )


def _typed(raw: pl.DataFrame, formats: tuple[str, ...]) -> pl.DataFrame:
    """The columns in the schema's types; what cannot be read becomes null."""
    quantity = raw["quantity"].cast(pl.Float64, strict=False) if "quantity" in raw.columns else pl.lit(1.0)
    return raw.select(
        customer=_name(raw["customer"]),
        item=_name(raw["item"]),
        ordered_at=_moment(raw["ordered_at"], formats),
        quantity=quantity,
    )


def _name(column: pl.Series) -> pl.Series:
    """Text; a whole number that was stored as a float, as 16466.0, loses its fraction."""
    if column.dtype.is_float():
        column = column.fill_nan(None)
        whole = column.cast(pl.Int64, strict=False)
        column = whole if whole.cast(column.dtype).eq_missing(column).all() else column
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:
        raise Problem(f"column {column.name}: {column.dtype} is no name") from None


def _moment(column: pl.Series, formats: tuple[str, ...]) -> pl.Series:
    """A time without zone, in UTC where there was one; of the formats the first that fits a row."""
    if column.dtype == pl.String:
        parsed = [_since_1900(_parsed(column, each)) for each in formats]
        return pl.select(pl.coalesce(parsed)).to_series()
    if not isinstance(column.dtype, pl.Date | pl.Datetime):
        raise Problem(f"column {column.name}: {column.dtype} is no date; text, dates and times are")
    return _since_1900(_without_zone(column).cast(pl.Datetime("us"), strict=False))


def _parsed(column: pl.Series, style: str) -> pl.Series:
    try:
        return _without_zone(column.str.strptime(pl.Datetime("us"), style, strict=False))
    except pl.exceptions.PolarsError as error:
        raise Problem(f"orders.date_formats: {style!r}: {one_line(error)}") from None


def _since_1900(column: pl.Series) -> pl.Series:
    """Null before 1900: a year of two digits is also a year 11 to %Y, and left to the next format."""
    return column.set((column.dt.year() < 1900).fill_null(False), None)


def _without_zone(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return column
