"""Which columns of a table are meant; what is wrong is told with what was probably meant."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from ..problems import Problem
from .table_settings import TableSettings


def positions(wanted: Sequence[str], first: Sequence[str], settings: TableSettings, name: str) -> list[int]:
    """Where the wanted columns stand, from 0.

    Args:
        wanted: the columns' names, or where the table has no header their numbers.
        first: the values of the header, or where there is none of the first row.
        settings: whether there is a header.
        name: the file, for messages.

    Raises:
        Problem: one of them is not there, or there twice.
    """
    if settings.header:
        missing = [each for each in wanted if each not in first]
        if missing:
            raise no_column(name, missing, first)
        _refuse_data(wanted, name)
        for each in wanted:
            if first.count(each) > 1:
                places = [place for place, title in enumerate(first, 1) if title == each]
                raise Problem(
                    f"{name}: columns {' and '.join(map(str, places))} are both called {each!r}; name them by number: "
                    f'header = false, skip_rows = {settings.skip_rows + 1}, and columns as "{places[0]}"'
                )
        return [first.index(each) for each in wanted]
    for each in wanted:
        if not re.fullmatch(r"[1-9]\d*", each):
            raise Problem(
                f"{name}: header = false: columns go by number, from 1, and {each!r} is none; {_shown(first)}"
            )
        if int(each) > len(first):
            raise Problem(f"{name}: no column {each}; {_shown(first)}")
    return [int(each) - 1 for each in wanted]


def no_column(name: str, missing: Sequence[str], there: Sequence[str], *hints: str) -> Problem:
    """What to raise where a table lacks columns.

    Args:
        name: the file or table.
        missing: the columns that it lacks.
        there: those that it has.
        hints: what else may be meant.
    """
    similar = [f"{_similar(each, there)!r} is meant?" for each in missing if _similar(each, there)]
    found = ", ".join(repr(each if len(each) < 60 else each[:57] + "...") for each in there[:20])
    said = f"{name}: no column {', '.join(map(repr, missing))}, only {found or 'none at all'}"
    return Problem("; ".join([said, *(similar or filter(None, hints))]))


def looks_like_data(text: str) -> bool:
    """Whether this is a number or a date rather than a column's name."""
    return bool(re.fullmatch(r"[-+]?\d+([.,]\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?", text.strip()))


def _refuse_data(wanted: Sequence[str], name: str) -> None:
    values = [each for each in wanted if looks_like_data(each)]
    if 2 * len(values) >= len(wanted) > 1:
        raise Problem(
            f"{name}: {', '.join(map(repr, values))}: values of the first row, not names of columns? With header = "
            "false columns go by number and no row is lost; if these are names, add skip_rows = 1 to that"
        )


def _similar(missing: str, there: Sequence[str]) -> str:
    plain = {re.sub(r"[\W_]", "", each.casefold()): each for each in reversed(there)}
    close = get_close_matches(re.sub(r"[\W_]", "", missing.casefold()), plain, n=1, cutoff=0.8)
    return plain[close[0]] if close else ""


def _shown(first: Sequence[str]) -> str:
    return f"the first row has {len(first)}: {', '.join(map(repr, first[:20]))}"
