"""Columns of any type as times in UTC, or as days; what cannot be read becomes null."""

import polars as pl

from ..problems import Problem
from .date_formats import DateFormat, in_utc, known, possible
from .value_settings import ValueSettings, full_name

_TIME = pl.Datetime("us")


def moments(column: pl.Series, settings: ValueSettings) -> pl.Series:
    """Times without a zone, in UTC, of microseconds.

    Of the formats the first that fits reads a value. One column has one order of year, month and day: where the formats
    name several, it is the one in which all values fit.

    Args:
        column: dates, times, or the text or numbers that `settings.date_formats` read.
        settings: these, and the zone of the times that name none; empty for UTC.

    Raises:
        Problem: the column's type is no date, a format is none, all values fit both month before day and day before
            month, or some need the one and some the other, or only some times name their zone.
    """
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        within = possible(column.to_physical().cast(pl.Datetime(dtype.time_unit)))  # in UTC, where there is a zone
        return within if dtype.time_zone else in_utc(within, settings.timezone)
    return _times(column, settings)


def days(column: pl.Series, settings: ValueSettings) -> pl.Series:
    """Days as they are written; a time that names its zone is of the day in `settings.timezone`, or else in UTC.

    Args:
        column: dates, times, or the text or numbers that `settings.date_formats` read.
        settings: these, and the zone.

    Raises:
        Problem: as `moments`.
    """
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        within = possible(column.to_physical().cast(pl.Datetime(dtype.time_unit)))
        return (_in_zone(within, settings.timezone) if dtype.time_zone else within).dt.date()
    return _times(column, settings, whole_days=True).dt.date()


def _times(column: pl.Series, settings: ValueSettings, *, whole_days: bool = False) -> pl.Series:
    """Times in UTC; for whole days, those that a clock there showed."""
    dtype = column.dtype
    if isinstance(dtype, pl.Date):
        return possible(column)
    if dtype == pl.String or dtype == pl.Null:
        return _read(column.cast(pl.String), settings, whole_days=whole_days)
    if not dtype.is_numeric():
        raise Problem(f"column {column.name}: {dtype} is no date; text, numbers, dates and times are")
    if dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        column = whole if whole.cast(dtype).eq_missing(column).all() else column
    found = _read(column.cast(pl.String), settings, whole_days=whole_days)
    if len(column) and found.is_null().all():
        formats = ", ".join(f'"{each}"' for each in settings.date_formats)
        raise Problem(
            f"column {column.name}: {dtype} is no date in the formats {formats}; in "
            f'{full_name(settings, "date_formats")}, "%s" reads seconds since 1970, "unix_ms" milliseconds, "excel" '
            "Excel's days"
        )
    return found


def _in_zone(times: pl.Series, timezone: str) -> pl.Series:
    """Times in UTC as a clock in a zone showed them; in UTC where none is named."""
    if not timezone:
        return times
    return times.dt.replace_time_zone("UTC").dt.convert_time_zone(timezone).dt.replace_time_zone(None)


def _read(text: pl.Series, settings: ValueSettings, *, whole_days: bool) -> pl.Series:
    setting = full_name(settings, "date_formats")
    formats = _in_one_order(text, [known(each, setting) for each in settings.date_formats], setting)
    found = pl.repeat(None, len(text), dtype=_TIME, eager=True)
    zoned = local = pl.repeat(False, len(text), eager=True)
    left = text
    for each in formats:
        read = each.read(left, "" if whole_days else settings.timezone)
        fits = read.is_not_null()
        if not fits.any():
            continue
        if whole_days and each.has_zone:
            read = _in_zone(read, settings.timezone)
        found = found.zip_with(~fits, read)
        left = left.set(fits, None)
        if each.has_time:
            zoned, local = (zoned | fits, local) if each.has_zone else (zoned, local | fits)
    if zoned.any() and local.any() and not settings.timezone:
        raise Problem(
            f"column {text.name}: {_rows(text, zoned)} with a time zone and {_rows(text, local)} without: "
            f"{full_name(settings, 'timezone')} says in which those are, as UTC or Europe/Lisbon"
        )
    return found.alias(text.name)


def _in_one_order(text: pl.Series, formats: list[DateFormat], setting: str) -> list[DateFormat]:
    """Those formats that have the column's order of year, month and day, and those that nothing is confused with."""
    contested = [each for each in formats if any(map(each.competes, formats))]
    readings: dict[str, pl.Series] = {}
    for each in contested:
        read = each.read(text)
        readings[each.order] = readings[each.order].fill_null(read) if each.order in readings else read
    fits = {order: read.is_not_null() for order, read in readings.items()}
    most = max(fits, key=lambda order: fits[order].sum(), default="")
    rivals = {order: ~fits[order] & fits[most] for order in fits if order != most}  # what each of them leaves
    for order, left in rivals.items():
        says = {name: next(f'"{each.text}"' for each in contested if each.order == name) for name in (most, order)}
        if (lacking := fits[order] & ~fits[most]).any():
            raise Problem(
                f"column {text.name}: {_rows(text, left)} need {says[most]} of {setting}, and "
                f"{_rows(text, lacking)} {says[order]}: one column has one order, so leave one of them"
            )
        if not left.any() and (differ := (readings[order] != readings[most]).fill_null(False)).any():
            raise Problem(
                f"column {text.name}: all values fit both {says[most]} and {says[order]} of {setting}, and "
                f"{_rows(text, differ)} would be another day: leave the one that is meant"
            )
    return [each for each in formats if each not in contested or each.order == most]


def _rows(text: pl.Series, where: pl.Series) -> str:
    """How many rows, and the first of them with its value."""
    first = where.arg_max() or 0
    count = int(where.sum())
    return f"{count:,} row{'s' if count > 1 else ''} (first row {first + 1}: {text[first]!r})"
