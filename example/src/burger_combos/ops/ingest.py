"""The first steps of any pipeline: fetch a table as it is, and part the rows that fit a schema from the others."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pandera.polars as pa
import polars as pl
from pydantic import BaseModel, TypeAdapter

from . import as_of, late_data
from .changed_values import Changed, collecting, note_changed
from .fingerprint import RAW, ROW
from .parts import BATCH, Column, Known, deal
from .problems import Problem
from .raw import CHECKED, KNOWN, REJECTED, is_parted
from .rejected import keep, part, set_aside
from .runs import Run
from .shards import Shard
from .tables import TableSettings, read_batches, read_table
from .values.columns import names, numbers, truths, whole_numbers
from .values.dates import Found, days, moments
from .values.value_settings import full_name

SAMPLE = "sample"  # the source that is made up


@dataclass
class Checked:
    """What a shard knows of its rows, and all shards have to say together."""

    rows: int
    rejected: int
    changed: Changed = field(default_factory=dict)
    times: dict[str, Found] = field(default_factory=dict)  # by column
    days: late_data.Days | None = None


def fetch(run: Run, settings: TableSettings, make_up: Callable[[], pl.DataFrame] | None = None, by: str = "") -> None:
    """Read a table as it is into the run's `raw.parquet`, under this project's column names; count its rows.

    With `by`, and where steps are split into shards, each shard gets a part of its own, with the number of each row in
    `row`: all rows that may come to have the same value in that column are in one part. So no more than one part of the
    table is held in memory at once.

    Args:
        run: the run.
        settings: where the table is; `settings.columns` tells for each of our names the one in the source.
        make_up: gives the rows where the source is "sample".
        by: our name of a column of names or whole numbers.

    Raises:
        Problem: the source cannot be read, lacks a column, or is empty.
    """
    if not by or len(run.shards) == 1:
        raw = read(settings, make_up)
        raw.write_parquet(run.path(RAW), compression="lz4", statistics=False)
        run.count("rows_read", len(raw))
        return
    if settings.source == SAMPLE:
        made_up = _made_up(settings, make_up)
        total = deal(run, settings, lambda _: made_up.iter_slices(BATCH), by, clean=False)
    else:
        total = deal(run, settings, lambda folder: read_batches(settings, _named(settings), folder), by, clean=True)
    if not total:
        raise Problem(f"{settings.source}: no rows")
    run.count("rows_read", total)


def checked(run: Run, settings: TableSettings, schema: pa.DataFrameSchema, shard: Shard | None = None) -> pl.DataFrame:
    """The rows that were fetched and fit a schema, in its types; `rejected.csv` gets the others, with the reasons.

    Where `settings.time_column` names the column that says when a row happened, rows of the run's day, or later, are
    left out and counted: a run for a past day has what was known then.

    A step that is split gives its shard, and gets the rows of that; there may be none. `join_rejected`, in a later step
    that is not split, then writes `rejected.csv` and refuses too many.

    Raises:
        Problem: too many rows do not fit, or a column is of a type that cannot be read so; or the time column is none.
    """
    time = as_of.time_column(settings, schema)
    if shard is None:
        if is_parted(run):
            raise Problem(f"{RAW} is in parts, one for each shard: let the step take its shard and give it to checked")
        raw = pl.read_parquet(run.path(RAW), glob=False)
        fit, rejected = parted(raw, settings, schema)
        set_aside(run, rejected, len(raw), settings)
        rows, days = _as_of(run, fit, settings) if time else (fit, None)
        if days:
            late_data.note(run, settings, days)
        if run.watch:
            run.watch.look(run, settings, fit, _numbers(raw, rejected))
        return rows
    known = _known(run, settings, schema, shard)
    raw = pl.read_parquet(run.path(RAW, shard), glob=False)
    with collecting() as changed:
        if known is None:
            fit, rejected = parted(raw, settings, schema)
        else:
            fit, rejected = _parted(raw.drop(ROW), settings, schema, known, raw[ROW])
    rejected.write_parquet(run.path(REJECTED, shard))
    rows, days = _as_of(run, fit, settings) if time else (fit, None)
    mine = Checked(len(raw), len(rejected), changed, days=days)
    if known:
        mine.times = {name: column.times.found for name, column in known.columns.items()}
    run.path(CHECKED, shard).write_bytes(TypeAdapter(Checked).dump_json(mine, indent=1) + b"\n")
    run.count("rows_rejected", len(rejected))
    if run.watch:
        run.watch.look_at_part(run, settings, fit, _numbers(raw, rejected), shard)
    return rows


def join_rejected(run: Run, settings: TableSettings) -> None:
    """Write what all shards of `checked` have set aside to `rejected.csv`, and say why each kind is among it.

    Raises:
        Problem: too many rows do not fit, or the shards show together that a column cannot be read so.
    """
    files = run.paths(CHECKED)
    if lacking := [file.name for file in files if not file.exists()]:
        raise Problem(f"{lacking[0]} is not there: join_rejected comes after a step that gives its shard to checked")
    found = [TypeAdapter(Checked).validate_json(file.read_bytes()) for file in files]
    hows = dict.fromkeys((column, how) for each in found for column in each.changed for how in each.changed[column])
    for column, how in hows:
        note_changed(column, how, sum(each.changed.get(column, {}).get(how, 0) for each in found))
    for column in dict.fromkeys(name for each in found for name in each.times):
        times = Found()
        for each in found:
            times.join(each.times[column])
        times.refuse(column, settings)
    if days := [each.days for each in found if each.days]:
        late_data.note(run, settings, late_data.joined(days))
    total = sum(each.rows for each in found)
    keep(run, _in_order(run, total, sum(each.rejected for each in found)), total, settings)
    if run.watch:
        run.watch.join(run, settings)


def read(settings: TableSettings, make_up: Callable[[], pl.DataFrame] | None = None) -> pl.DataFrame:
    """All rows of a table as they come, under this project's column names, whatever their types.

    Raises:
        Problem: the source cannot be read, lacks a column, or is empty.
    """
    raw = _made_up(settings, make_up) if settings.source == SAMPLE else read_table(settings, _named(settings))
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
    return _parted(raw, settings, schema)


def _parted(
    raw: pl.DataFrame,
    settings: TableSettings,
    schema: pa.DataFrameSchema,
    known: Known | None = None,
    rows: pl.Series | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As `parted`; with what all rows tell and their numbers, where these are some of them."""
    lacking = [name for name in schema.columns if name not in raw.columns]
    for name in lacking:
        if schema.columns[name].required and not schema.columns[name].nullable:
            raise Problem(
                f"{settings.source}: there is no column {name!r}, which the schema requires: "
                f"{full_name(settings, 'columns')}.{name} says what it is called in the source"
            )
    schema = schema.remove_columns(lacking)
    typed = pl.DataFrame(
        [
            _typed(raw[name], column.dtype, settings, known.columns[name] if known else None, rows)
            for name, column in schema.columns.items()
        ]
    )
    fit, rejected = part(raw, typed, schema, settings)
    return fit, rejected if rows is None else rejected.with_columns(rows.gather(rejected[ROW] - 1).alias(ROW))


def _numbers(raw: pl.DataFrame, rejected: pl.DataFrame) -> pl.Series:
    """The number in the source of each row that was not rejected."""
    rows = raw[ROW] if ROW in raw.columns else pl.int_range(1, len(raw) + 1, dtype=pl.Int64, eager=True)
    return rows.filter(~rows.is_in(rejected[ROW].cast(pl.Int64).implode())) if len(rejected) else rows


def _as_of(run: Run, rows: pl.DataFrame, settings: TableSettings) -> tuple[pl.DataFrame, late_data.Days | None]:
    """The rows from before the run's day, and what they add up to; the others are counted."""
    known = as_of.before(rows, settings, run.record.date)
    run.count("rows_later", len(rows) - len(known))
    return known, late_data.days_of(run, known, settings)


def _in_order(run: Run, total: int, rejected: int) -> Iterator[pl.DataFrame]:
    """The rows that all shards have set aside, in the order of their numbers, as many at a time as memory holds."""
    blocks = max(1, -(-rejected // BATCH))
    for block in range(blocks):
        mine = pl.col(ROW).is_between(total * block // blocks, total * (block + 1) // blocks, closed="right")
        parts = [pl.scan_parquet(file, glob=False).filter(mine).collect() for file in run.paths(REJECTED)]
        yield pl.concat(parts).sort(ROW)


def _known(run: Run, settings: TableSettings, schema: pa.DataFrameSchema, shard: Shard) -> Known | None:
    """What all rows tell, where a shard has some of them.

    Raises:
        Problem: the rows are not in parts, or the schema asks what a part cannot tell.
    """
    if shard.count == 1:
        return None
    if not run.path(KNOWN).exists():
        raise Problem(f"{RAW} is not in parts, one for each shard: fetch(…, by=COLUMN) parts it")
    known = Known.of(run)
    by = schema.columns.get(known.by)
    kind = by.dtype.type if by is not None and by.dtype is not None else None
    if kind is not None and not (kind in (pl.String, pl.Categorical, pl.Enum) or kind.is_integer()):
        raise Problem(
            f"the schema of {full_name(settings)}: column {known.by}: {kind}, and the rows are in parts by it: "
            "names and whole numbers part them"
        )
    unique = [[name] for name, column in schema.columns.items() if column.unique]
    for columns in [*unique, list(schema.unique or [])]:
        if columns and known.by not in columns:
            raise Problem(
                f"the schema of {full_name(settings)}: unique: {', '.join(columns)}: no part of the rows tells that, "
                f"as they are in parts by {known.by}"
            )
    return known


def _made_up(settings: TableSettings, make_up: Callable[[], pl.DataFrame] | None) -> pl.DataFrame:
    if make_up is None:
        raise Problem(
            f'{full_name(settings, "source")} is "{SAMPLE}", and this project makes up none: name a file or a table'
        )
    return make_up()


def _named(settings: TableSettings) -> dict[str, str]:
    """The columns that the source has: for each of our names the one in it."""
    return {ours: theirs for ours, theirs in _columns(settings).items() if theirs}


def _columns(settings: TableSettings) -> dict[str, str]:
    columns = getattr(settings, "columns", None)
    if not isinstance(columns, BaseModel):
        raise Problem(
            f"{type(settings).__name__} has no columns: give it a Section with the name in the source for each of ours"
        )
    return dict(columns.model_dump())


def _typed(
    column: pl.Series, wanted: object, settings: TableSettings, known: Column | None, rows: pl.Series | None
) -> pl.Series:
    """A column in the type that the schema wants; null where a value cannot be read so."""
    forms, times = (known.forms, known.times) if known else (None, None)
    dtype: object = getattr(wanted, "type", None)
    if dtype is None:  # the schema wants none
        return column
    if not isinstance(dtype, pl.DataType):
        dtype = dtype() if isinstance(dtype, type) and issubclass(dtype, pl.DataType) else dtype
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return names(column, forms).cast(dtype, strict=False)
    if isinstance(dtype, pl.Boolean):
        return truths(column)
    if isinstance(dtype, pl.Date):
        return days(column, settings, times, rows)
    if isinstance(dtype, pl.Datetime):
        found = moments(column, settings, times, rows)
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
