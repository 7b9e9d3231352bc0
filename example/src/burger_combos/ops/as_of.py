"""A table as of a day: its rows from before that day, so that a run for a past day reads what was known then."""

from datetime import date, datetime, time

import pandera.polars as pa
import polars as pl

from .problems import Problem
from .tables import TableSettings
from .values.value_settings import full_name


def time_column(settings: TableSettings, schema: pa.DataFrameSchema) -> str:
    """Our name of the column that says when a row happened; empty where the settings name none.

    Raises:
        Problem: the schema does not have that column, or it is no date or time, or may be null.
    """
    name = settings.time_column
    if not name:
        return ""
    where = f"{full_name(settings, 'time_column')} is {name!r}"
    column = schema.columns.get(name)
    if column is None:
        raise Problem(f"{where}, and the schema has no such column: it has {', '.join(schema.columns)}")
    kind = column.dtype.type if column.dtype is not None else None
    if not isinstance(kind, pl.Date | pl.Datetime) and kind not in (pl.Date, pl.Datetime):
        raise Problem(f"{where}, and the schema says that this is {kind or 'of any type'}: it has to be a date or time")
    if column.nullable:
        raise Problem(f"{where}, and the schema lets it be null: a row without a time is of no day; nullable=False")
    return name


def before(rows: pl.DataFrame, settings: TableSettings, day: date) -> pl.DataFrame:
    """The rows from before a day's midnight, which is that of the column's time zone, or UTC's where it has none.

    Args:
        rows: rows that fit the schema.
        settings: name the column.
        day: the day.

    Raises:
        Problem: there is no such column.
    """
    name = settings.time_column
    if name not in rows.columns:
        raise Problem(
            f"{settings.source}: there is no column {name!r}, which {full_name(settings, 'time_column')} names: "
            f"{full_name(settings, 'columns')}.{name} says what it is called in the source"
        )
    if rows[name].dtype == pl.Date:
        return rows.filter(pl.col(name) < day)
    return rows.filter(pl.col(name).dt.replace_time_zone(None) < datetime.combine(day, time()))
