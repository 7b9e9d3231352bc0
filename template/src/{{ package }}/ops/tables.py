"""Read a table from wherever it is: files by path or URL, or a database; what kind a file is, its content says."""

import codecs
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from http.client import HTTPException

import polars as pl

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
    source, wanted = settings.source, list(dict.fromkeys(columns.values()))
    _refuse_unread(settings)
    try:
        if source.startswith(("table:", "query:")):
            source = " ".join(source.split())
            if settings.database_url is None:
                raise Problem(f"{source}: database_url is not set")
            frame = read_database(settings.database_url, settings.source, wanted)
        else:
            parts = [_read(file, settings, wanted) for file in files(source)]
            frame = pl.DataFrame([joined([part[name] for part in parts]).alias(name) for name in wanted])
    except FileNotFoundError:
        raise Problem(f"{source}: no such file") from None
    except (OSError, HTTPException, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise Problem(f"{source}: cannot be read: {one_line(error)}") from None
    frame = frame.cast({pl.Null: pl.String})
    for name in wanted:
        _refuse_unplain(frame[name], source)
    missing = full_name(settings, "null_values")
    return pl.DataFrame(
        {ours: cleaned(frame[theirs].alias(ours), settings.null_values, missing) for ours, theirs in columns.items()}
    )


def read_batches(settings: TableSettings, columns: dict[str, str]) -> Iterator[pl.DataFrame]:
    """A stand-in until the branch `batches` is merged."""
    source, wanted = settings.source, list(dict.fromkeys(columns.values()))
    _refuse_unread(settings)
    if source.startswith(("table:", "query:")):
        assert settings.database_url
        parts = [read_database(settings.database_url, settings.source, wanted)]
    else:
        parts = [_read(file, settings, wanted) for file in files(source)]
    for part in parts:
        for piece in part.iter_slices(STAND_IN):
            yield pl.DataFrame({ours: piece[theirs] for ours, theirs in columns.items()})


STAND_IN = 2**20


def _refuse_unread(settings: TableSettings) -> None:
    """No key that changes what values mean, where the project's own code does not look at it."""
    for key, reader in {"decimal": "columns", "thousands": "columns", "timezone": "dates"}.items():
        default = TableSettings.model_fields[key].default
        if getattr(settings, key) != default and f"{__package__}.values.{reader}" not in sys.modules:
            raise Problem(
                f"{full_name(settings, key)} is set, and no code of this project reads it, as in an earlier release: "
                f"use ops/ingest.py or ops/values/{reader}.py, as a new project does, or leave {key} at {default!r}"
            )


def _read(file: File, settings: TableSettings, wanted: Sequence[str]) -> pl.DataFrame:
    """The wanted columns of a file, whatever it is by its content."""
    start = file.start(_START)
    for beginning, meaning in _OTHERS.items():
        if start[: len(beginning)].lower() == beginning.lower():
            raise Problem(f"{file.name}: cannot be read: it is {meaning}")
    try:
        if start.startswith(b"PAR1") or file.suffix in (".parquet", ".pq"):
            return read_parquet(file, wanted)
        if is_workbook(file) or file.suffix in (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"):
            return read_sheet(file, settings, wanted)
        encoding = encoding_of(file.name, start, settings.encoding)
        text = codecs.getincrementaldecoder(encoding)().decode(start).removeprefix("\ufeff")
        if not text.strip():
            raise Problem(f"{file.name}: the file is empty")
        if is_json(file, text):
            return read_json_lines(file, wanted, encoding)
        return read_delimited(file, settings, wanted, encoding, text)
    except (UnicodeError, pl.exceptions.ComputeError) as error:
        if isinstance(error, UnicodeError) or "invalid utf-8" in str(error).lower():
            raise Problem(
                f"{file.name}: not in the encoding {settings.encoding!r}{first_bad(file, settings.encoding)}"
            ) from None
        raise


def _refuse_unplain(column: pl.Series, source: str) -> None:
    """Nothing nested, no bytes, and no time that a calendar does not have."""
    kind = column.dtype
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        fields = [field.name for field in kind.fields] if isinstance(kind, pl.Struct) else []
        hint = f"; name one of its fields, as {column.name}.{fields[0]}" if fields else ""
        raise Problem(f"{source}: column {column.name}: {kind} is no plain value{hint}")
    if isinstance(kind, pl.Date | pl.Datetime):
        ticks = column.to_physical()
        unit = kind.time_unit if isinstance(kind, pl.Datetime) else "days"
        rows = ((ticks // _A_DAY[unit] < _FIRST) | (ticks // _A_DAY[unit] > _LAST)).fill_null(False).arg_true()
        if len(rows):
            raise Problem(
                f"{source}: column {column.name}, row {rows[0] + 1}: {ticks[rows[0]]} {unit} since 1970 is before year "
                f"1 or after 9999; rows of that kind: {len(rows):,}"
            )
