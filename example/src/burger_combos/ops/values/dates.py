"""Columns of any type as times in UTC, or as days; what cannot be read becomes null."""

from dataclasses import dataclass, field

import polars as pl

from ..problems import Problem
from .date_formats import DateFormat, in_utc, known, possible
from .value_settings import ValueSettings, full_name

_TIME = pl.Datetime("us")


@dataclass
class Rows:
    """Rows of one kind: how many there are, and the first with its value; those of parts add up."""

    count: int = 0
    row: int = 0  # from 1
    value: str | None = None

    def add(self, text: pl.Series, where: pl.Series, rows: pl.Series | None) -> None:
        """Take the rows of a part into account that are of the kind.

        Args:
            text: the part's values.
            where: which of them are of the kind.
            rows: the number of each in the whole column; None where the part is all of it.
        """
        if count := int(where.sum()):
            first = where.arg_max() or 0
            self.join(Rows(count, first + 1 if rows is None else int(rows[first]), text[first]))

    def join(self, other: "Rows") -> None:
        """Take the rows of another part into account."""
        if other.count and (not self.count or other.row < self.row):
            self.row, self.value = other.row, other.value
        self.count += other.count

    def __str__(self) -> str:
        return f"{self.count:,} row{'s' if self.count > 1 else ''} (first row {self.row}: {self.value!r})"


@dataclass
class DateOrder:
    """Which order of year, month and day the values of a column fit, where the formats name several."""

    fits: dict[str, int] = field(default_factory=dict)  # by order, as `mdy`: how many values
    only: dict[str, Rows] = field(default_factory=dict)  # by `mdy dmy`: those that fit the first and not the second
    differ: dict[str, Rows] = field(default_factory=dict)  # by `mdy dmy`: those that fit both, as different days

    def look(self, text: pl.Series, contested: list[DateFormat], rows: pl.Series | None = None) -> None:
        """Take some rows into account.

        Args:
            text: their values.
            contested: the formats that compete.
            rows: their numbers in the whole column; None where they are all of it.

        Raises:
            Problem: a format is none.
        """
        readings: dict[str, pl.Series] = {}
        for each in contested:
            read = each.read(text)
            readings[each.order] = readings[each.order].fill_null(read) if each.order in readings else read
        fits = {order: read.is_not_null() for order, read in readings.items()}
        for order in fits:
            self.fits[order] = self.fits.get(order, 0) + int(fits[order].sum())
            for other in (each for each in fits if each != order):
                pair = f"{order} {other}"
                self.only.setdefault(pair, Rows()).add(text, fits[order] & ~fits[other], rows)
                differ = (readings[order] != readings[other]).fill_null(False)
                self.differ.setdefault(pair, Rows()).add(text, differ, rows)

    def one(self, column: str, contested: list[DateFormat], setting: str) -> str:
        """The order in which all values fit.

        Raises:
            Problem: some need another, or all fit two of them, as different days.
        """
        most = max(self.fits, key=lambda order: self.fits[order], default="")
        for order in (each for each in self.fits if each != most):
            left, lacking = self.only[f"{most} {order}"], self.only[f"{order} {most}"]
            says = {name: next(f'"{each.text}"' for each in contested if each.order == name) for name in (most, order)}
            if lacking.count:
                raise Problem(
                    f"column {column}: {left} need {says[most]} of {setting}, and "
                    f"{lacking} {says[order]}: one column has one order, so leave one of them"
                )
            if not left.count and (differ := self.differ[f"{most} {order}"]).count:
                raise Problem(
                    f"column {column}: all values fit both {says[most]} and {says[order]} of {setting}, and "
                    f"{differ} would be another day: leave the one that is meant"
                )
        return most


@dataclass
class Times:
    """What only all rows of a column tell of its times."""

    fraction: bool = False  # whether a number is not whole
    order: DateOrder = field(default_factory=DateOrder)
    problem: str = ""  # why the order is not known
    found: "Found" = field(default_factory=lambda: Found())

    def look(self, column: pl.Series) -> None:
        """Take into account whether the numbers of some rows are whole; before their order, which that changes."""
        if column.dtype.is_float() and not self.fraction:
            whole = column.cast(pl.Int64, strict=False)
            self.fraction = not whole.cast(column.dtype).eq_missing(column).all()

    def look_at_order(self, column: pl.Series, settings: ValueSettings, rows: pl.Series) -> None:
        """Take into account which order of year, month and day some rows fit; of no column that cannot be dates."""
        setting = full_name(settings, "date_formats")
        contested = contested_among([DateFormat(each, setting) for each in settings.date_formats])
        if contested and (column.dtype == pl.String or column.dtype.is_numeric()):
            try:
                self.order.look(self.as_text(column), contested, rows)
            except Problem as problem:
                self.problem = str(problem)

    def as_text(self, column: pl.Series) -> pl.Series:
        """Text or numbers as the formats read them: whole ones without a fraction, where all are."""
        if column.dtype.is_float() and not self.fraction:
            column = column.cast(pl.Int64, strict=False)
        return column.cast(pl.String)


@dataclass
class Found:
    """What was read of a column, as far as all of its rows have to agree; that of parts adds up."""

    kind: str = ""  # the column's type, where it holds numbers
    values: int = 0
    read: int = 0  # those that a format read
    zoned: Rows = field(default_factory=Rows)  # times that name their zone
    local: Rows = field(default_factory=Rows)  # times that name none

    def join(self, other: "Found") -> None:
        """Take another part into account."""
        self.kind = self.kind or other.kind
        self.values, self.read = self.values + other.values, self.read + other.read
        self.zoned.join(other.zoned)
        self.local.join(other.local)

    def refuse(self, column: str, settings: ValueSettings) -> None:
        """Stop where the whole column cannot be read as times.

        Raises:
            Problem: only some of its times name their zone, or it holds numbers that no format reads.
        """
        if self.zoned.count and self.local.count and not settings.timezone:
            raise Problem(
                f"column {column}: {self.zoned} with a time zone and {self.local} without: "
                f"{full_name(settings, 'timezone')} says in which those are, as UTC or Europe/Lisbon"
            )
        if self.kind and self.values and not self.read:
            formats = ", ".join(f'"{each}"' for each in settings.date_formats)
            raise Problem(
                f"column {column}: {self.kind} is no date in the formats {formats}; in "
                f'{full_name(settings, "date_formats")}, "%s" reads seconds since 1970, "unix_ms" milliseconds, '
                '"excel" Excel\'s days'
            )


def moments(
    column: pl.Series, settings: ValueSettings, times: Times | None = None, rows: pl.Series | None = None
) -> pl.Series:
    """Times without a zone, in UTC, of microseconds.

    Of the formats the first that fits reads a value. One column has one order of year, month and day: where the formats
    name several, it is the one in which all values fit.

    Args:
        column: dates, times, or the text or numbers that `settings.date_formats` read.
        settings: these, and the zone of the times that name none; empty for UTC.
        times: what all rows tell, where these are some of them; its `found` gets what they have to agree in.
        rows: the numbers of these rows, where they are some of them.

    Raises:
        Problem: the column's type is no date, a format is none, all values fit both month before day and day before
            month, or some need the one and some the other, or only some times name their zone.
    """
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        within = possible(column.to_physical().cast(pl.Datetime(dtype.time_unit)))  # in UTC, where there is a zone
        return within if dtype.time_zone else in_utc(within, settings.timezone)
    return _times(column, settings, times, rows)


def days(
    column: pl.Series, settings: ValueSettings, times: Times | None = None, rows: pl.Series | None = None
) -> pl.Series:
    """Days as they are written; a time that names its zone is of the day in `settings.timezone`, or else in UTC.

    Args:
        column: dates, times, or the text or numbers that `settings.date_formats` read.
        settings: these, and the zone.
        times: as for `moments`.
        rows: as for `moments`.

    Raises:
        Problem: as `moments`.
    """
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        within = possible(column.to_physical().cast(pl.Datetime(dtype.time_unit)))
        return (_in_zone(within, settings.timezone) if dtype.time_zone else within).dt.date()
    return _times(column, settings, times, rows, whole_days=True).dt.date()


def contested_among(formats: list[DateFormat]) -> list[DateFormat]:
    """Those formats that can read one value, each another day from it."""
    return [each for each in formats if any(map(each.competes, formats))]


def _times(
    column: pl.Series,
    settings: ValueSettings,
    times: Times | None,
    rows: pl.Series | None,
    *,
    whole_days: bool = False,
) -> pl.Series:
    """Times in UTC; for whole days, those that a clock there showed."""
    dtype = column.dtype
    if isinstance(dtype, pl.Date):
        return possible(column)
    if dtype != pl.String and dtype != pl.Null and not dtype.is_numeric():
        raise Problem(f"column {column.name}: {dtype} is no date; text, numbers, dates and times are")
    all_rows = Times() if times is None else times
    if times is None:
        all_rows.look(column)
    text = all_rows.as_text(column)
    setting = full_name(settings, "date_formats")
    formats = [known(each, setting) for each in settings.date_formats]
    if contested := contested_among(formats):
        if times is None:
            all_rows.order.look(text, contested)
        elif times.problem:
            raise Problem(times.problem)
        order = all_rows.order.one(column.name, contested, setting)
        formats = [each for each in formats if each not in contested or each.order == order]
    found, part = _read(text, formats, settings, rows, whole_days=whole_days)
    part.kind = str(dtype) if dtype.is_numeric() else ""
    if times is None:
        part.refuse(column.name, settings)
    all_rows.found.join(part)
    return found


def _in_zone(times: pl.Series, timezone: str) -> pl.Series:
    """Times in UTC as a clock in a zone showed them; in UTC where none is named."""
    if not timezone:
        return times
    return times.dt.replace_time_zone("UTC").dt.convert_time_zone(timezone).dt.replace_time_zone(None)


def _read(
    text: pl.Series, formats: list[DateFormat], settings: ValueSettings, rows: pl.Series | None, *, whole_days: bool
) -> tuple[pl.Series, Found]:
    """Times by the first format that fits, and what of them the rows have to agree in."""
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
    part = Found(values=len(text), read=found.count())
    part.zoned.add(text, zoned, rows)
    part.local.add(text, local, rows)
    return found.alias(text.name), part
