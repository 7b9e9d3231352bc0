"""Read a table from wherever it is: files by path or URL, or a database; what kind a file is, its content says."""

import codecs
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from http.client import HTTPException
from pathlib import Path

import polars as pl
from adbc_driver_manager import Error

from .problems import Problem, one_line
from .sources.databases import read_database
from .sources.delimited import read_delimited
from .sources.encodings import encoding_of, first_bad
from .sources.files import File, files, is_workbook
from .sources.json_lines import is_json, read_json_lines
from .sources.parquet import read_parquet
from .sources.rows import joined
from .sources.table_settings import TableSettings as TableSettings
from .sources.workbooks import read_sheet
from .values.text import cleaned
from .values.value_settings import full_name

_START = 1 << 20  # bytes, in which a header is found
_FIRST, _LAST = (day.toordinal() - date(1970, 1, 1).toordinal() for day in (date.min, date.max))
_A_DAY = {"days": 1, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_OTHERS = {
    b"SQLite format 3\0": 'a SQLite database: database_url = "sqlite:///FILE" and source = "table:NAME" read it',
    b"%PDF": "a PDF",
    b"<!doctype html": "a page of HTML",
    b"<html": "a page of HTML",
}


def read_table(settings: TableSettings, columns: dict[str, str]) -> pl.DataFrame:
    """All rows of a table, in their order, under this project's column names.

    Text files give text; all else gives the types that it has, and text where one column has several.

    Args:
        settings: where it is and how it is written.
        columns: the name in the table for each name used here; or its number, from 1, where there is no header.

    Raises:
        Problem: there is no such table, it cannot be read, or it lacks a column.
    """
    batches = list(read_batches(settings, columns))
    missing = full_name(settings, "null_values")
    found = {}
    for name in columns:
        column = joined([batch[name] for batch in batches]).alias(name)
        column = column.cast(pl.String) if column.dtype == pl.Null else column
        found[name] = cleaned(column, settings.null_values, missing)
    return pl.DataFrame(found)


def read_batches(
    settings: TableSettings, columns: dict[str, str], folder: Path | None = None
) -> Iterator[pl.DataFrame]:
    """The rows of a table, some at a time, in their order and as they are, under this project's column names.

    Memory holds a batch or a few of them: about a million rows each, or fewer. The types of a column may differ from
    batch to batch, as `sources.rows.joined` joins them; Null is that of one without values. There is at least one
    batch, and one may be empty.

    Args:
        settings: where it is and how it is written.
        columns: the name in the table for each name used here; or its number, from 1, where there is no header.
        folder: where temporary copies are put of what is packed, comes by URL or is in another encoding; the system's
            for temporary files if None. They are removed at the end, and when the iterator is closed.

    Raises:
        Problem: there is no such table, it cannot be read, or it lacks a column.
    """
    source, wanted = settings.source, list(dict.fromkeys(columns.values()))
    if _is_in_database(source):
        source = " ".join(source.split())
    _refuse_unread(settings)
    try:
        for batch in _plain(_batches(settings, wanted, folder), wanted, source):
            yield pl.DataFrame({ours: batch[theirs] for ours, theirs in columns.items()})
    except FileNotFoundError:
        raise Problem(f"{source}: no such file") from None
    except (OSError, HTTPException, Error, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise Problem(f"{source}: cannot be read: {one_line(error)}") from None


def _batches(settings: TableSettings, wanted: Sequence[str], folder: Path | None) -> Iterator[pl.DataFrame]:
    if _is_in_database(settings.source):
        if settings.database_url is None:
            raise Problem(f"{' '.join(settings.source.split())}: database_url is not set")
        yield from read_database(settings.database_url, settings.source, wanted)
    else:
        for file in files(settings.source, folder):
            yield from _read(file, settings, wanted, folder)


def _is_in_database(source: str) -> bool:
    return source.startswith(("table:", "query:"))


def _refuse_unread(settings: TableSettings) -> None:
    """No key that changes what values mean, where the project's own code does not look at it."""
    for key, reader in {"decimal": "columns", "thousands": "columns", "timezone": "dates"}.items():
        default = TableSettings.model_fields[key].default
        if getattr(settings, key) != default and f"{__package__}.values.{reader}" not in sys.modules:
            raise Problem(
                f"{full_name(settings, key)} is set, and no code of this project reads it, as in an earlier release: "
                f"use ops/ingest.py or ops/values/{reader}.py, as a new project does, or leave {key} at {default!r}"
            )


def _read(file: File, settings: TableSettings, wanted: Sequence[str], folder: Path | None) -> Iterator[pl.DataFrame]:
    """The wanted columns of a file, whatever it is by its content."""
    start = file.start(_START)
    for beginning, meaning in _OTHERS.items():
        if start[: len(beginning)].lower() == beginning.lower():
            raise Problem(f"{file.name}: cannot be read: it is {meaning}")
    try:
        if start.startswith(b"PAR1") or file.suffix in (".parquet", ".pq"):
            yield from read_parquet(file, wanted)
            return
        if is_workbook(file) or file.suffix in (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"):
            yield from read_sheet(file, settings, wanted)
            return
        encoding = encoding_of(file.name, start, settings.encoding)
        text = codecs.getincrementaldecoder(encoding)().decode(start).removeprefix("\ufeff")
        if not text.strip():
            raise Problem(f"{file.name}: the file is empty")
        if is_json(file, text):
            yield from read_json_lines(file, wanted, encoding)
        else:
            yield from read_delimited(file, settings, wanted, encoding, text, folder)
    except (UnicodeError, pl.exceptions.ComputeError) as error:
        if isinstance(error, UnicodeError) or "invalid utf-8" in str(error).lower():
            raise Problem(
                f"{file.name}: not in the encoding {settings.encoding!r}{first_bad(file, settings.encoding)}"
            ) from None
        raise


def _plain(batches: Iterable[pl.DataFrame], wanted: Sequence[str], source: str) -> Iterator[pl.DataFrame]:
    """Nothing nested, no bytes, and no time that a calendar does not have; how many of those, only the end tells."""
    read = 0
    wrong: dict[str, tuple[str, int]] = {}
    for batch in batches:
        for column in batch[wanted]:
            _refuse_nested(column, source)
            number, told = _beyond_calendar(column, read)
            if number:
                first, before = wrong.get(column.name, (told, 0))
                wrong[column.name] = first, before + number
        read += len(batch)
        if not wrong:
            yield batch
    for name in (name for name in wanted if name in wrong):
        first, number = wrong[name]
        raise Problem(f"{source}: column {name}, {first}; rows of that kind: {number:,}")


def _refuse_nested(column: pl.Series, source: str) -> None:
    kind = column.dtype
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        fields = [field.name for field in kind.fields] if isinstance(kind, pl.Struct) else []
        hint = f"; name one of its fields, as {column.name}.{fields[0]}" if fields else ""
        raise Problem(f"{source}: column {column.name}: {kind} is no plain value{hint}")


def _beyond_calendar(column: pl.Series, read: int) -> tuple[int, str]:
    """How many dates and times there are that a calendar does not have, and the first after `read` rows before."""
    kind = column.dtype
    if not isinstance(kind, pl.Date | pl.Datetime):
        return 0, ""
    ticks = column.to_physical()
    unit = kind.time_unit if isinstance(kind, pl.Datetime) else "days"
    rows = ((ticks // _A_DAY[unit] < _FIRST) | (ticks // _A_DAY[unit] > _LAST)).fill_null(False).arg_true()
    if rows.is_empty():
        return 0, ""
    told = f"row {read + rows[0] + 1}: {ticks[rows[0]]} {unit} since 1970 is before year 1 or after 9999"
    return len(rows), told
