"""The first steps of any pipeline: fetch a table as it is, and part the rows that fit a schema from the others."""

from collections.abc import Callable

import pandera.polars as pa
import polars as pl
from pydantic import BaseModel

from .fingerprint import RAW
from .problems import Problem
from .rejected import part, set_aside
from .runs import Run
from .tables import TableSettings, read_table
from .values.columns import names, numbers, truths, whole_numbers
from .values.dates import days, moments
from .values.value_settings import full_name

SAMPLE = "sample"  # the source that is made up


def fetch(run: Run, settings: TableSettings, make_up: Callable[[], pl.DataFrame] | None = None) -> None:
    """Read a table as it is into the run's `raw.parquet`, under this project's column names; count its rows.

    Args:
        run: the run.
        settings: where the table is; `settings.columns` tells for each of our names the one in the source.
        make_up: gives the rows where the source is "sample".

    Raises:
        Problem: the source cannot be read, lacks a column, or is empty.
    """
    raw = read(settings, make_up)
    raw.write_parquet(run.path(RAW))
    run.count("rows_read", len(raw))


def checked(run: Run, settings: TableSettings, schema: pa.DataFrameSchema) -> pl.DataFrame:
    """The rows of `raw.parquet` that fit a schema, in its types; `rejected.csv` gets the others, with the reasons.

    Raises:
        Problem: too many rows do not fit, or a column is of a type that cannot be read so.
    """
    raw = pl.read_parquet(run.path(RAW), glob=False)
    fit, rejected = parted(raw, settings, schema)
    set_aside(run, rejected, len(raw), settings)
    return fit


def read(settings: TableSettings, make_up: Callable[[], pl.DataFrame] | None = None) -> pl.DataFrame:
    """All rows of a table as they come, under this project's column names, whatever their types.

    Raises:
        Problem: the source cannot be read, lacks a column, or is empty.
    """
    if settings.source == SAMPLE:
        if make_up is None:
            raise Problem(
                f'{full_name(settings, "source")} is "{SAMPLE}", and this project makes up none: name a file or a table'
            )
        raw = make_up()
    else:
        raw = read_table(settings, {ours: theirs for ours, theirs in _columns(settings).items() if theirs})
    if raw.is_empty():
        raise Problem(f"{settings.source}: no rows")
    return raw


def parted(raw: pl.DataFrame, settings: TableSettings, schema: pa.DataFrameSchema) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the rows that fit a schema from those that do not.

    A column that the source does not have is left out, where the schema does not require it or lets it be null.

    Args:
        raw: the rows as they were read.
        settings: how dates and numbers are written.
        schema: what holds for each row that fits; its types are those of the result.

    Returns:
        The typed rows that fit, and the raw ones that do not, with their `row` (from 1) and the `reason`.

    Raises:
        Problem: a column is of a type that cannot be read so, or the schema requires one that is not there.
    """
    if raw.is_empty():
        raise Problem(f"{settings.source}: no rows")
    lacking = [name for name in schema.columns if name not in raw.columns]
    for name in lacking:
        if schema.columns[name].required and not schema.columns[name].nullable:
            raise Problem(
                f"{settings.source}: there is no column {name!r}, which the schema requires: "
                f"{full_name(settings, 'columns')}.{name} says what it is called in the source"
            )
    schema = schema.remove_columns(lacking)
    typed = pl.DataFrame([_typed(raw[name], column.dtype, settings) for name, column in schema.columns.items()])
    return part(raw, typed, schema, settings)


def _columns(settings: TableSettings) -> dict[str, str]:
    columns = getattr(settings, "columns", None)
    if not isinstance(columns, BaseModel):
        raise Problem(
            f"{type(settings).__name__} has no columns: give it a Section with the name in the source for each of ours"
        )
    return dict(columns.model_dump())


def _typed(column: pl.Series, wanted: object, settings: TableSettings) -> pl.Series:
    """A column in the type that the schema wants; null where a value cannot be read so."""
    dtype: object = getattr(wanted, "type", None)
    if dtype is None:  # the schema wants none
        return column
    if not isinstance(dtype, pl.DataType):
        dtype = dtype() if isinstance(dtype, type) and issubclass(dtype, pl.DataType) else dtype
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return names(column).cast(dtype, strict=False)
    if isinstance(dtype, pl.Boolean):
        return truths(column)
    if isinstance(dtype, pl.Date):
        return days(column, settings)
    if isinstance(dtype, pl.Datetime):
        found = moments(column, settings)
        if dtype.time_zone:
            found = found.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
        return found.cast(dtype)
    if isinstance(dtype, pl.DataType) and dtype.is_integer():
        return whole_numbers(column, settings).cast(dtype, strict=False)
    if isinstance(dtype, pl.DataType) and dtype.is_float():
        return numbers(column, settings).cast(dtype)
    raise Problem(
        f"the schema of {full_name(settings)}: column {column.name}: {dtype} is none of text, numbers, dates, times "
        "and booleans, as which a source is read"
    )
