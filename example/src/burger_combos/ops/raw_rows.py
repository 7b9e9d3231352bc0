"""The rows of a run's raw table that have the values of a key: what the run has read of it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from .changed_values import collecting
from .problems import Problem
from .raw import REJECTED_OF_ALL, is_parted, raw_files
from .runs import Record, Run
from .values.columns import names, numbers, truths, whole_numbers
from .values.dates import days, moments
from .values.keys import alike
from .values.text import Cleaning, plain, short_of
from .values.value_settings import ValueSettings

AT_ONCE = 2**20  # rows in memory
ROW, LEFT_OUT = "row", "left out"  # what is told of a row beside its values


@dataclass
class Inputs:
    """What a run has read of a key."""

    columns: list[str] = field(default_factory=list)  # those of the key that the raw table has
    lacking: list[str] = field(default_factory=list)  # the others
    known: list[str] = field(default_factory=list)  # all columns of the raw table
    read: int = 0  # its rows
    matching: int = 0  # those that have the key
    with_value: dict[str, int] = field(default_factory=dict)  # by column: those that have its value
    reasons: dict[str, int] = field(default_factory=dict)  # why how many of those with the key were left out
    rows: pl.DataFrame = field(default_factory=pl.DataFrame)  # the first of them
    problem: str = ""  # why nothing is known


def of(run: Run, key: Mapping[str, str], kinds: Mapping[str, str], most: int) -> Inputs:
    """Find the rows of the raw table that have a key, and which of them were left out, and why.

    A value is looked for as it is meant: C0000003 is found with blanks around it, 17 as 17.0 and "0017", and a number,
    day or time in each form that the run's settings allow.

    Args:
        run: the run.
        key: the value of each column.
        kinds: what each column holds where it is published, in the catalogue's words.
        most: how many rows are wanted.
    """
    files = raw_files(run)
    if not all(file.exists() for file in files):
        return Inputs(problem=f"run {run.record.run_id} has kept no {files[0].name}")
    schema = pl.read_parquet_schema(files[0])
    parted = is_parted(run)
    found = Inputs(known=[name for name in schema if not (parted and name == ROW)])
    found.columns = [name for name in key if name in found.known]
    found.lacking = [name for name in key if name not in found.known]
    if not found.columns:
        return found
    settings = _settings(run.record)
    wanted = {name: (key[name], kinds[name]) for name in found.columns}
    first, places = [], []
    for file in files:
        mine: list[pl.DataFrame] = []
        for rows, hits in _batches(file, wanted, settings, found, parted=parted):
            places.append(hits[ROW])
            if (lacking := most - sum(map(len, mine))) > 0:
                mine.append(rows.collect()[hits["place"].head(lacking)].with_columns(hits[ROW].head(lacking)))
        first += mine
    found.rows = pl.concat(first, how="diagonal_relaxed").sort(ROW).head(most) if first else pl.DataFrame(schema=schema)
    found.rows = found.rows.select(ROW, pl.exclude(ROW)) if first else found.rows
    if first:
        _note_left_out(run, found, pl.concat(places))
        _note_later(run.record, settings, found)
        found.rows = _without_empty(found.rows)
    return found


def _batches(
    file: Path, wanted: Mapping[str, tuple[str, str]], settings: ValueSettings, found: Inputs, *, parted: bool
) -> Iterator[tuple[pl.LazyFrame, pl.DataFrame]]:
    """Rows of a file in which some have the key; with `place` of each of these among them, and `row` in the source."""
    table = pl.scan_parquet(file, glob=False)
    size = int(table.select(pl.len()).collect().item())
    for begin in range(0, size, AT_ONCE):
        rows = table.slice(begin, AT_ONCE)
        values = rows.select(*wanted, *([ROW] if parted else [])).collect()
        fits = pl.repeat(True, len(values), eager=True)
        for name, (value, kind) in wanted.items():
            this = has_value(values[name], value, kind, settings)
            found.with_value[name] = found.with_value.get(name, 0) + int(this.sum())
            fits &= this
        place = fits.arg_true()
        found.read += len(values)
        found.matching += len(place)
        if len(place):
            number = values[ROW].gather(place).cast(pl.Int64) if parted else place.cast(pl.Int64) + begin + 1
            yield rows, pl.DataFrame({"place": place, ROW: number})


def has_value(column: pl.Series, value: str, kind: str, settings: ValueSettings) -> pl.Series:
    """Whether each value of a raw column is one that was published, whatever the form in which it was read.

    Args:
        column: the raw values.
        value: the published one, as a person writes it.
        kind: what the published column holds, in the catalogue's words.
        settings: how values are written in the source.
    """
    text = plain(column, settings.null_values, Cleaning())
    none = pl.repeat(False, len(column), eager=True)
    with collecting(), suppress(Problem, ValueError):
        if kind == "whole numbers":
            return (whole_numbers(text, settings) == int(value)).fill_null(False)
        if kind == "numbers":
            return (numbers(text, settings) == float(value)).fill_null(False)
        if kind == "true or false":
            return (truths(text) == (value.lower() == "true")).fill_null(False)
        if kind == "dates":
            return (days(text, settings) == date.fromisoformat(value)).fill_null(False)
        if kind == "times":
            return (moments(text, settings) == datetime.fromisoformat(value).replace(tzinfo=None)).fill_null(False)
        asked = pl.Series([value])
        perhaps = (alike(text, settings) == alike(asked, settings)[0]).fill_null(False).arg_true()
        named = short_of(names(text.gather(perhaps)))
        return none.scatter(perhaps, (named == short_of(asked)[0]).fill_null(False))
    return none  # as of a type that holds nothing of the kind


def _settings(record: Record) -> ValueSettings:
    """How values were written in the source of the run, where it had one; otherwise as they mostly are."""
    sections = list(record.data.get("sources", {}))
    prefix = f"{sections[0]}." if len(sections) == 1 else "."
    known = {name: record.settings.get(prefix + name) for name in ValueSettings.model_fields}
    try:
        return ValueSettings(**{name: value for name, value in known.items() if value is not None})
    except ValidationError:  # of a release that knew others
        return ValueSettings()


def _note_left_out(run: Run, found: Inputs, places: pl.Series) -> None:
    """Say why rows were set aside that have the key."""
    file = run.path(REJECTED_OF_ALL)
    left_out = pl.DataFrame(schema={ROW: pl.Int64, LEFT_OUT: pl.String})
    if file.exists():
        told = pl.scan_csv(file, infer_schema=False).select(
            pl.col(ROW).cast(pl.Int64), pl.col("reason").alias(LEFT_OUT)
        )
        left_out = told.filter(pl.col(ROW).is_in(places.implode())).collect()
    found.reasons = dict(left_out[LEFT_OUT].value_counts(sort=True).iter_rows())
    found.rows = found.rows.join(left_out, on=ROW, how="left", maintain_order="left")


def _without_empty(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.drop(LEFT_OUT) if rows[LEFT_OUT].null_count() == len(rows) else rows


def _note_later(record: Record, settings: ValueSettings, found: Inputs) -> None:
    """Say of the rows shown which are left out as they are not from before the run's day."""
    (section, *others) = list(record.data.get("sources", {})) or [""]
    name = str(record.settings.get(f"{section}.time_column") or "") if not others else ""
    if name not in found.rows.columns:
        return
    with collecting(), suppress(Problem):
        when = moments(plain(found.rows[name], settings.null_values, Cleaning()), settings)
        later = (when >= datetime.combine(record.date, datetime.min.time())).fill_null(False)
        why = pl.when(later).then(pl.lit(f"not before {record.date}"))
        found.rows = found.rows.with_columns(pl.coalesce(LEFT_OUT, why).alias(LEFT_OUT))
