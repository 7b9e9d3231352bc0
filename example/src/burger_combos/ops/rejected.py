"""Rows that do not fit: parted from the others, kept with their reasons, and too many of them refused."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import pandera.polars as pa
import polars as pl
import structlog

from .problems import Problem
from .raw import REJECTED_OF_ALL
from .runs import Run
from .tables import TableSettings
from .values.date_formats import possible
from .values.hints import SAMPLE, hint
from .values.value_settings import full_name

log = structlog.get_logger()
_OWN = ("row", "reason")  # columns of rejected rows
_UNREADABLE: dict[str, tuple[Callable[[pl.DataType], bool], pl.DataType | None]] = {  # which types, read as what
    "is no name": (lambda dtype: dtype in (pl.String, pl.Categorical, pl.Enum), pl.String()),
    "is no whole number": (lambda dtype: dtype.is_integer(), pl.Float64()),
    "is no number": (lambda dtype: dtype.is_float(), pl.Float64()),
    "is neither true nor false": (lambda dtype: dtype == pl.Boolean, None),
    "fits none of ": (lambda dtype: dtype in (pl.Datetime, pl.Date), pl.Datetime()),
}


def part(
    raw: pl.DataFrame, typed: pl.DataFrame, schema: pa.DataFrameSchema, settings: TableSettings | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the rows that fit a schema from those that do not.

    Args:
        raw: the rows as they were read.
        typed: the same rows in the schema's types, null where a value could not be read.
        schema: what holds for each row that fits.
        settings: how the values were read. With them, a value that could not be read is a reason also where the schema
            lets it be null.

    Returns:
        The typed rows that fit, and the raw ones that do not, with their `row` (from 1) and the `reason`.

    Raises:
        Problem: the schema demands what is not of a row, as a column that is not there; or a column is called `row` or
            `reason`.
    """
    for name in _OWN:
        if name in raw.columns:
            raise Problem(
                f"{full_name(settings or _only_settings(), 'columns')}.{name}: {REJECTED_OF_ALL} has a column {name!r} "
                "of its own: call this one otherwise"
            )
    found = [pl.DataFrame(schema={"column": pl.String, "index": pl.Int32, "reason": pl.String})]
    try:
        schema.validate(typed, lazy=True)
    except pa.errors.SchemaErrors as errors:
        found.append(_failures(errors.failure_cases, raw, typed, settings))
    if settings:
        found += _unread(raw, typed, schema, settings)
    reasons = _by_row(pl.concat(found))
    row = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("row")
    places = reasons["row"] - 1
    rejected = raw.select(row, pl.all())[places].join(reasons, on="row").sort("row")
    return typed.filter(pl.repeat(True, len(typed), eager=True).scatter(places, False)), rejected


@dataclass
class Reasons:
    """Why rows were set aside: for each reason how many, and some of the first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, pl.DataFrame] = field(default_factory=dict)

    @classmethod
    def of(cls, rejected: pl.DataFrame) -> Self:
        """Those of all rejected rows."""
        reasons = cls()
        reasons.add(rejected)
        return reasons

    def add(self, rejected: pl.DataFrame) -> None:
        """Take further rows into account, which come after those before."""
        for (reason,), rows in rejected.group_by("reason", maintain_order=True):
            known = self.first.get(str(reason), rows.clear())
            self.first[str(reason)] = pl.concat([known, rows.head(SAMPLE - len(known))])
            self.counts[str(reason)] += len(rows)

    def explained(self, settings: TableSettings) -> Iterator[dict[str, Any]]:
        """For each, the most frequent first: the number of rows, the first and its value, and perhaps a hint."""
        for reason, count in self.counts.most_common():
            rows = self.first[reason]
            told: dict[str, Any] = {"reason": reason, "rows": count, "first": rows["row"][0]}
            column, _, why = reason.partition("; ")[0].partition(" ")
            if column in rows.columns and why != "is missing":
                told["value"] = str(_as_text(rows[column].head(1))[0])[:100]
                kind = next((kind for begun, (_, kind) in _UNREADABLE.items() if why.startswith(begun)), None)
                if kind is not None and (words := hint(rows[column], kind, settings)):
                    told["hint"] = words
            yield told


def set_aside(run: Run, rejected: pl.DataFrame, total: int, settings: TableSettings) -> None:
    """Keep the rejected rows in `rejected.csv`, count them in the record, and say why each kind is among them.

    Raises:
        Problem: they are more than `settings.max_rejected_share` of all rows, or all.
    """
    run.count("rows_rejected", len(rejected))
    keep(run, [rejected], total, settings)


def keep(run: Run, rejected: Iterable[pl.DataFrame], total: int, settings: TableSettings) -> None:
    """Keep the rejected rows in `rejected.csv`, and say why each kind is among them; they have been counted before.

    Args:
        run: the run.
        rejected: the rows, some at a time, in their order.
        total: how many rows there are in all.
        settings: how they were read.

    Raises:
        Problem: they are more than `settings.max_rejected_share` of all rows, or all.
    """
    reasons = Reasons()
    with run.path(REJECTED_OF_ALL).open("wb") as file:
        for place, rows in enumerate(rejected):
            rows.select(_as_text(column) for column in rows).write_csv(file, include_header=place == 0)
            reasons.add(rows)
    run.record.facts["rejected"] = dict(reasons.counts.most_common())
    for reason in reasons.explained(settings):
        log.info("rejected", **reason)
    _refuse(reasons, total, settings)


def refuse_too_many(rejected: pl.DataFrame, total: int, settings: TableSettings) -> None:
    """Stop where so much was set aside that the rest cannot be trusted.

    Raises:
        Problem: the rejected rows are more than `settings.max_rejected_share` of all rows, or all.
    """
    _refuse(Reasons.of(rejected), total, settings)


def _refuse(reasons: Reasons, total: int, settings: TableSettings) -> None:
    rejected = reasons.counts.total()
    share = rejected / total
    if rejected == total or share > settings.max_rejected_share:
        most = next(reasons.explained(settings))
        value = f": {most['value']!r}" if "value" in most else ""
        words = f"; {most['hint']}" if "hint" in most else ""
        raise Problem(
            f"{settings.source}: {rejected:,} of {total:,} rows rejected ({share:.1%}; "
            f"{full_name(settings, 'max_rejected_share')} allows {settings.max_rejected_share:.1%}), "
            f"{most['rows']:,} because {most['reason']}; "
            f"first in row {most['first']}{value}{words}"
        )


def _failures(
    failures: pl.DataFrame, raw: pl.DataFrame, typed: pl.DataFrame, settings: TableSettings | None
) -> pl.DataFrame:
    """What is wrong with which value: `column`, `index` and `reason`."""
    of_no_row = failures.filter(pl.col("index").is_null())
    if len(of_no_row):
        column, check, case = of_no_row.select("column", "check", "failure_case").row(0)
        where = f"column {column}" if column else "the table"
        schema = f"the schema of {full_name(settings)}" if settings else "the schema"
        raise Problem(f"{schema} does not fit {where} as a whole: {check}: {case}")
    told = failures.select("column", "index", reason="check")
    for name in told.filter(pl.col("reason") == "not_nullable")["column"].unique():
        there = raw[name].is_not_null() if name in raw.columns else pl.repeat(False, len(raw), eager=True)
        unread = pl.lit(_why(typed[name].dtype, settings))
        why = pl.when(pl.lit(there).gather(pl.col("index"))).then(unread).otherwise(pl.lit("is missing"))
        nulls = (pl.col("column") == name) & (pl.col("reason") == "not_nullable")
        told = told.with_columns(pl.when(nulls).then(why).otherwise("reason").alias("reason"))
    return told.cast({"index": pl.Int32})


def _unread(
    raw: pl.DataFrame, typed: pl.DataFrame, schema: pa.DataFrameSchema, settings: TableSettings
) -> Iterator[pl.DataFrame]:
    """The values that could not be read, of columns that may be null."""
    for name, column in schema.columns.items():
        if column.nullable and name in typed.columns:
            rows = (raw[name].is_not_null() & typed[name].is_null()).arg_true().cast(pl.Int32)
            why = _why(typed[name].dtype, settings)
            yield pl.DataFrame({"index": rows}).select(column=pl.lit(name), index="index", reason=pl.lit(why))


def _by_row(told: pl.DataFrame) -> pl.DataFrame:
    """For each row that does not fit, all that is wrong with it."""
    of_row = pl.format("{} {}", pl.col("column").fill_null("row"), "reason")
    return told.group_by(row=pl.col("index") + 1).agg(of_row.sort().str.join("; ").alias("reason"))


def _why(dtype: pl.DataType, settings: TableSettings | None) -> str:
    """What is to be said of a value that could not be read as this type."""
    why = next((why for why, (fits, _) in _UNREADABLE.items() if fits(dtype)), "cannot be read")
    return why + (full_name(settings or _only_settings(), "date_formats") if why.endswith(" ") else "")


def _only_settings() -> TableSettings:
    """Those of the project's one table, for code of earlier releases, which does not name them."""
    own = [kind for kind in TableSettings.__subclasses__() if not kind.__module__.startswith(f"{__package__}.")]
    return (own[0] if len(own) == 1 else TableSettings).model_construct()


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
