"""A sheet of an Excel or OpenDocument file."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import polars as pl

from ..problems import Problem, one_line
from .files import File
from .headers import positions
from .rows import frames, written
from .table_settings import TableSettings


def read_sheet(file: File, settings: TableSettings, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The wanted columns of the sheet, some rows at a time.

    Text, numbers and times are as its cells have them; numbers are floats.

    Raises:
        Problem: it is broken, has no such sheet, or the sheet lacks a column.
    """
    from python_calamine import CalamineError, CalamineWorkbook, WorksheetNotFound

    try:
        with file.open() as stream:
            workbook = CalamineWorkbook.from_object(stream)
        name = settings.sheet or workbook.sheet_names[0]
        sheet = workbook.get_sheet_by_name(name)
        top, left = sheet.start or (0, 0)
        cells = ([*[""] * left, *row] for row in sheet.iter_rows())
    except WorksheetNotFound:
        found = ", ".join(map(repr, workbook.sheet_names))
        raise Problem(f"{file.name}: no sheet {settings.sheet!r}, only {found}") from None
    except CalamineError as error:
        raise Problem(
            f"{file.name}: cannot be read as an Excel file: {one_line(error)}; is it broken, or locked?"
        ) from None
    rows = _rows(cells, top, settings)
    first = next(rows, None)
    if first is None:
        raise Problem(
            f"{file.name}: the sheet {name!r} is empty; there are {', '.join(map(repr, workbook.sheet_names))}"
        )
    number, titles = first
    try:
        places = positions(wanted, [written(cell) or "" for cell in titles], settings, f"{file.name}: sheet {name!r}")
    except Problem as problem:
        others = [each for each in workbook.sheet_names if each != name]
        raise Problem(f"{problem}; other sheets: {', '.join(others)}" if others else str(problem)) from None
    data = rows if settings.header else chain([(number, titles)], rows)
    values = ([_value(row[place], number, file) for place in places] for number, row in data)
    yield from frames(wanted, values, file.name)


def _rows(
    cells: Iterable[Sequence[object]], top: int, settings: TableSettings
) -> Iterator[tuple[int, Sequence[object]]]:
    """The rows with anything in them, and their numbers in the sheet."""
    for number, row in enumerate(cells, top + 1):
        comment = settings.comment_prefix and str(row[0]).startswith(settings.comment_prefix)
        if number > settings.skip_rows and any(cell != "" for cell in row) and not comment:
            yield number, row


def _value(cell: object, number: int, file: File) -> object:
    if isinstance(cell, float) and abs(cell) >= 2**53 and cell.is_integer():
        raise Problem(
            f"{file.name}: row {number}: {cell:.0f} is more than a number of Excel's can hold exactly; make it text"
        )
    return None if cell == "" else cell
