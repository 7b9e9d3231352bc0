"""Which setting would read a value that could not be read."""

from collections.abc import Iterator
from datetime import datetime
from itertools import product

import polars as pl

from .columns import numbers
from .date_formats import EXCEL, DateFormat
from .value_settings import ValueSettings, full_name

SAMPLE = 1_000  # values to judge by
_DAYS = (
    *("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d. %b %Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S%.f", "T%H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %I:%M %p", "T%H:%M")
_ZONES = ("", "%#z", " %#z")
_COUNTED = {
    "%s": "seconds since 1970, ",
    "unix_ms": "milliseconds since 1970, ",
    "unix_us": "microseconds since 1970, ",
    EXCEL: "Excel's days, ",
}
_PLAUSIBLE = datetime(1990, 1, 1), datetime(2100, 1, 1)
_SIGNS = ((",", ""), (",", "."), (".", ","), (",", " "), (".", " "), (",", "'"), (".", "'"))


def hint(values: pl.Series, kind: pl.DataType, settings: ValueSettings) -> str:
    """What would read the values, in words; empty where nothing known here would.

    Args:
        values: some that could not be read, all of them there.
        kind: of what type they were to be.
        settings: those that they could not be read with.
    """
    if values.dtype == pl.Binary:
        return ""
    text = values.head(SAMPLE).cast(pl.String).drop_nulls()
    if kind == pl.String:
        return _of_names(text)
    choices = list(_dates(text, settings) if kind == pl.Datetime else _signs(text, settings))
    most = max((found.count() for found, _ in choices), default=0)
    best: dict[tuple[object, ...], str] = {}  # one for each reading, the simplest
    for found, words in choices:
        if found.count() == most > 0:
            best.setdefault(tuple(found), words)
    return " or ".join(list(best.values())[:2]) + " is meant?" if best else ""


def _of_names(text: pl.Series) -> str:
    short = text.str.contains(r"^[+-]?\d(\.\d+)?[eE]\+?\d+$|^[+-]?\d{16,}|^(inf|-inf)$")
    return "a long number that lost its last digits: text or whole numbers keep them" if short.any() else ""


def _dates(text: pl.Series, settings: ValueSettings) -> Iterator[tuple[pl.Series, str]]:
    """What each other format reads, where it gives days of our time."""
    written = ("".join(parts) for parts in product(_DAYS, _TIMES, _ZONES) if parts[1] or not parts[2])
    for name in (*_COUNTED, *written):
        found = DateFormat(name).read(text)
        found = found.set(~found.is_between(*_PLAUSIBLE), None)
        if name not in settings.date_formats:
            yield found, f'{_COUNTED.get(name, "")}"{name}" in {full_name(settings, "date_formats")}'
        elif settings.timezone:
            yield found, f"an hour that {full_name(settings, 'timezone')} skips; another zone than {settings.timezone}"


def _signs(text: pl.Series, settings: ValueSettings) -> Iterator[tuple[pl.Series, str]]:
    """What other signs in numbers read."""
    for decimal, thousands in _SIGNS:
        signs = {"decimal": decimal, "thousands": thousands}
        changed = {key: sign for key, sign in signs.items() if getattr(settings, key) != sign}
        yield (
            numbers(text, settings.model_copy(update=signs)),
            " with ".join(f'{full_name(settings, key)} = "{sign}"' for key, sign in changed.items()),
        )
