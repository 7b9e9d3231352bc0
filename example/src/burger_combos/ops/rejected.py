"""Rows that do not fit: parted from the others, kept with their reasons, and too many of them refused."""

import json
from collections.abc import Iterator
from typing import Any

import pandera.polars as pa
import polars as pl
import structlog

from .problems import Problem
from .runs import Run
from .tables import TableSettings
from .values.date_formats import possible
from .values.hints import hint

log = structlog.get_logger()
_UNREADABLE = {"is no name": pl.String, "is no number": pl.Float64, "fits none of orders.date_formats": pl.Datetime}


def part(raw: pl.DataFrame, typed: pl.DataFrame, schema: pa.DataFrameSchema) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the rows that fit a schema from those that do not.

    Args:
        raw: the rows as they were read.
        typed: the same rows in the schema's types, null where a value could not be read.
        schema: what holds for each row that fits.

    Returns:
        The typed rows that fit, and the raw ones that do not, with their `row` (from 1) and the `reason`.

    Raises:
        Problem: the schema demands what is not of a row, as a column that is not there.
    """
    reasons = pl.DataFrame(schema={"row": pl.Int32, "reason": pl.String})
    try:
        schema.validate(typed, lazy=True)
    except pa.errors.SchemaErrors as errors:
        reasons = _reasons(errors.failure_cases, raw, typed)
    row = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("row")
    rejected = raw.select(row, pl.all()).join(reasons, on="row").sort("row")
    fit = typed.with_columns(row).join(reasons, on="row", how="anti", maintain_order="left").drop("row")
    return fit, rejected


def set_aside(run: Run, rejected: pl.DataFrame, total: int, settings: TableSettings) -> None:
    """Keep the rejected rows in `rejected.csv`, count them in the record, and say why each kind is among them.

    Raises:
        Problem: they are more than `settings.max_rejected_share` of all rows, or all.
    """
    rejected.select(_as_text(column) for column in rejected).write_csv(run.path("rejected.csv"))
    run.record.numbers["rows_rejected"] = len(rejected)
    run.record.facts["rejected"] = dict(rejected["reason"].value_counts(sort=True).iter_rows())
    for reason in _explained(rejected, settings):
        log.info("rejected", **reason)
    refuse_too_many(rejected, total, settings)


def refuse_too_many(rejected: pl.DataFrame, total: int, settings: TableSettings) -> None:
    """Stop where so much was set aside that the rest cannot be trusted.

    Raises:
        Problem: the rejected rows are more than `settings.max_rejected_share` of all rows, or all.
    """
    share = len(rejected) / total
    if len(rejected) == total or share > settings.max_rejected_share:
        most = next(_explained(rejected, settings))
        value = f": {most['value']!r}" if "value" in most else ""
        words = f"; {most['hint']}" if "hint" in most else ""
        raise Problem(
            f"{settings.source}: {len(rejected):,} of {total:,} rows rejected ({share:.1%}; orders.max_rejected_share "
            f"allows {settings.max_rejected_share:.1%}), {most['rows']:,} because {most['reason']}; "
            f"first in row {most['first']}{value}{words}"
        )


def _reasons(failures: pl.DataFrame, raw: pl.DataFrame, typed: pl.DataFrame) -> pl.DataFrame:
    """For each row that does not fit, all that is wrong with it."""
    of_no_row = failures.filter(pl.col("index").is_null())
    if len(of_no_row):
        column, check, case = of_no_row.select("column", "check", "failure_case").row(0)
        where = f"column {column}" if column else "the table"
        raise Problem(f"the schema of orders does not fit {where} as a whole: {check}: {case}")
    told = failures.select("column", "index", reason="check")
    for name in told.filter(pl.col("reason") == "not_nullable")["column"].unique():
        unread = next((why for why, kind in _UNREADABLE.items() if typed[name].dtype == kind), "cannot be read")
        there = raw[name].is_not_null() if name in raw.columns else pl.repeat(False, len(raw), eager=True)
        why = pl.when(pl.lit(there).gather(pl.col("index"))).then(pl.lit(unread)).otherwise(pl.lit("is missing"))
        nulls = (pl.col("column") == name) & (pl.col("reason") == "not_nullable")
        told = told.with_columns(pl.when(nulls).then(why).otherwise("reason").alias("reason"))
    of_row = pl.format("{} {}", pl.col("column").fill_null("row"), "reason")
    return told.group_by(row=pl.col("index") + 1).agg(of_row.sort().str.join("; ").alias("reason"))


def _explained(rejected: pl.DataFrame, settings: TableSettings) -> Iterator[dict[str, Any]]:
    """For each reason, the most frequent first: the number of rows, the first and its value, and perhaps a hint."""
    for reason, count in rejected["reason"].value_counts(sort=True).iter_rows():
        rows = rejected.filter(pl.col("reason") == reason)
        told: dict[str, Any] = {"reason": reason, "rows": count, "first": rows["row"][0]}
        column, _, why = reason.partition("; ")[0].partition(" ")
        if column in rejected.columns and why != "is missing":
            told["value"] = str(_as_text(rows[column].head(1))[0])[:100]
            if why in _UNREADABLE and (words := hint(rows[column], _UNREADABLE[why](), settings)):
                told["hint"] = words
        yield told


def _as_text(column: pl.Series) -> pl.Series:
    """A column that CSV can hold: text in place of what it cannot, and the bare number of a time in no calendar."""
    dtype = column.dtype
    if isinstance(dtype, pl.Date | pl.Datetime):
        plain = column.to_physical().cast(pl.String)
        inside = possible(
            column.to_physical().cast(pl.Datetime(dtype.time_unit)) if isinstance(dtype, pl.Datetime) else column
        )
        return inside.dt.to_string("iso").fill_null(plain) if inside.null_count() > column.null_count() else column
    if dtype == pl.Duration:
        return column.dt.to_string("iso")
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        return pl.Series(column.name, [_written(each) for each in column.to_list()], pl.String)
    return column


def _written(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return json.dumps(
        value, ensure_ascii=False, default=lambda inner: _written(inner) if isinstance(inner, bytes) else str(inner)
    )
