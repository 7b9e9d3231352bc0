"""Text with a row on each line and a separator between its values, as CSV is."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ..problems import Problem, one_line
from . import batches
from .files import File, copied
from .headers import looks_like_data, positions
from .table_settings import WHITESPACE, TableSettings

if TYPE_CHECKING:
    from _csv import Reader

_STAND_IN = "\x1f"  # ASCII's own separator, for one that polars does not know
_MARGIN = re.compile(r"(?m)^[ \t]+|[ \t]+(?=\r?$)")
_QUOTED_OR_BLANK = re.compile(r'(?<![^ \t\r\n])"(?:[^"\r\n]|"")*"(?![^ \t\r\n])|[ \t]+')
_USUAL = (",", ";", "\t", "|", "::", "||", WHITESPACE)


def read_delimited(
    file: File, settings: TableSettings, wanted: Sequence[str], encoding: str, start: str, folder: Path | None = None
) -> Iterator[pl.DataFrame]:
    """The wanted columns, as text, some rows at a time.

    Args:
        file: where the text is.
        settings: how it is written.
        wanted: the columns' names or numbers.
        encoding: the codec to read it with.
        start: its first million characters or so.
        folder: the one for a temporary copy; the system's for temporary files if None.

    Raises:
        Problem: it is written in another way than the settings say, or lacks a column.
        UnicodeError: it is not in the encoding.
        PolarsError: it cannot be read.
    """
    lines = _lines(start)
    above = _above(lines, settings)
    if settings.skip_rows == 0 and (sign := re.fullmatch(r'"?sep=(.)"?\s*', lines[0], re.IGNORECASE)):
        raise Problem(
            f"{file.name}: the first line is Excel's {lines[0].strip()!r}: skip_rows = 1, separator = {sign[1]!r}"
        )
    first = _first_rows(lines[above:], settings)
    if not first:
        raise Problem(f"{file.name}: nothing follows the lines that skip_rows and comment_prefix leave out")
    _refuse_doubled(first, settings.separator, file.name)
    try:
        places = positions(wanted, first[0], settings, file.name)
    except Problem as problem:
        hint = _hint(lines, above, first[0], settings, wanted)
        raise Problem(f"{problem}; {hint}" if hint else str(problem)) from None
    plain = encoding == "utf-8-sig" and _is_simple(settings.separator) and "\n" in start
    source: AbstractContextManager[Path] = nullcontext(file.path)
    if not plain:
        text = _rewritten(file, settings.separator, encoding, "" if "\n" in start else None)
        source = copied(file.name, text, folder)
    with source as path:
        query = pl.scan_csv(
            path,
            has_header=settings.header,
            with_column_names=lambda names: [str(place) for place in range(len(names))],
            separator=settings.separator if _is_simple(settings.separator) else _STAND_IN,
            quote_char=settings.quote or None,
            comment_prefix=settings.comment_prefix or None,
            skip_lines=above,
            infer_schema=False,
            glob=False,
        )
        columns = [pl.col(str(place)).alias(each) for place, each in zip(places, wanted, strict=True)]
        if not _is_simple(settings.separator):
            columns = [column.str.replace_all(_STAND_IN, settings.separator, literal=True) for column in columns]
        try:
            yield from batches.of_text(query.select(columns))
        except pl.exceptions.ComputeError as error:
            raise _explained(error, file, settings, encoding, above, len(first[0])) from None


def _lines(text: str) -> list[str]:
    end = "\n" if "\n" in text else "\r"
    return [line + end for line in text.split(end)]


def _above(lines: list[str], settings: TableSettings) -> int:
    """How many lines there are above the first row."""
    above = settings.skip_rows
    while above < len(lines) - 1 and (not lines[above].strip() or _is_comment(lines[above], settings)):
        above += 1
    return above


def _is_comment(line: str, settings: TableSettings) -> bool:
    return bool(settings.comment_prefix) and line.startswith(settings.comment_prefix)


def _is_simple(separator: str) -> bool:
    return len(separator.encode()) == 1


def _converted(text: str, separator: str) -> str:
    """Lines with a separator of one character."""
    if _is_simple(separator):
        return text
    if separator == WHITESPACE:
        text = _MARGIN.sub("", text)
        return _QUOTED_OR_BLANK.sub(lambda found: found[0] if found[0].startswith('"') else _STAND_IN, text)
    return text.replace(separator, _STAND_IN)


def _rows(lines: Iterable[str], settings: TableSettings) -> "Reader":
    return csv.reader(
        (_converted(line, settings.separator) for line in lines if not _is_comment(line, settings)),
        delimiter=settings.separator if _is_simple(settings.separator) else _STAND_IN,
        quotechar=settings.quote or None,
        quoting=csv.QUOTE_MINIMAL if settings.quote else csv.QUOTE_NONE,
    )


def _first_rows(lines: list[str], settings: TableSettings) -> list[list[str]]:
    """At most five; fewer where a quote does not end."""
    rows = []
    try:
        for row in islice(_rows(lines, settings), 5):
            rows.append([value.replace(_STAND_IN, settings.separator) for value in row])
    except csv.Error:
        rows = rows or [lines[0].split(settings.separator)]
    return [row for row in rows if row]


def _rewritten(file: File, separator: str, encoding: str, newline: str | None) -> Iterator[bytes]:
    """The text in UTF-8, with a separator of one character."""
    with TextIOWrapper(file.open(), encoding, newline=newline) as text:
        while lines := text.readlines(1 << 24):
            chunk = "".join(lines)
            if not _is_simple(separator) and _STAND_IN in chunk:
                raise Problem(
                    f"{file.name}: holds the control character U+001F; a separator of one character can be read"
                )
            yield _converted(chunk, separator).encode()


def _refuse_doubled(rows: list[list[str]], separator: str, name: str) -> None:
    """A separator of two signs, given as one, leaves an empty column between each two."""
    if all(len(row) >= 3 and not any(row[1::2]) and any(row[::2]) for row in rows):
        meant = WHITESPACE if separator == " " else separator * 2
        raise Problem(f"{name}: nothing stands between each two {separator!r}: separator = {meant!r} is meant?")


def _hint(lines: list[str], above: int, first: list[str], settings: TableSettings, wanted: Sequence[str]) -> str:
    """Which setting would find the columns."""
    for place in range(above + 1, min(above + 50, len(lines))) if settings.header else ():
        row = next(iter(_first_rows([lines[place]], settings)), [])
        if set(wanted) <= set(row):
            sign = re.match(r"#|%|//|--|;", lines[above])
            if sign and all(line.startswith(sign[0]) for line in lines[above:place]):
                return f"line {place + 1} has them: comment_prefix = {sign[0]!r}"
            return f"line {place + 1} has them: skip_rows = {place}"
    if len(first) == 1:
        counts = {
            sign: len(_first_rows([lines[above]], settings.model_copy(update={"separator": sign}))[0])
            for sign in _USUAL
        }
        best = max(counts, key=lambda sign: counts[sign])
        better = f" {best!r} splits the line into {counts[best]}" if counts[best] > 1 else ""
        return f"is {settings.separator!r} the separator?{better}"
    if settings.header and 2 * sum(looks_like_data(value) for value in first) >= len(first):
        return "if that is a row and there is no header, header = false reads columns by number"
    return ""


def _explained(
    error: Exception, file: File, settings: TableSettings, encoding: str, above: int, width: int
) -> Exception:
    """What polars does not say: which line it is, and which setting may help."""
    if "more fields" in str(error):
        with suppress(csv.Error), TextIOWrapper(file.open(), encoding, newline="") as text:
            rows = _rows(islice(text, above, None), settings)
            for row in rows:
                if len(row) > width:
                    return Problem(
                        f"{file.name}: cannot be read: line {above + rows.line_num} has {len(row)} values and the "
                        f"first {width}; does one hold {settings.separator!r} without quotes?"
                    )
    if settings.quote and re.search("could not parse|malformed", str(error)):
        return Problem(
            f'{file.name}: cannot be read: {one_line(error)}; if {settings.quote} quotes nothing here, quote = ""'
        )
    return error
