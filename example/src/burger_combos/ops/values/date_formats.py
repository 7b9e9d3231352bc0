"""Formats of dates: what each reads, and which of them cannot stand beside each other."""

import itertools
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import polars as pl

from ..problems import Problem, one_line

UNIX = {"%s": 1_000_000, "unix_ms": 1_000, "unix_us": 1}  # numbers since 1970, each of so many microseconds
EXCEL = "excel"  # days since 1900, where Excel takes that year's February to have 29

_SHORT = {
    **{"%D": "%m/%d/%y", "%x": "%m/%d/%y", "%F": "%Y-%m-%d", "%v": "%e-%b-%Y", "%c": "%a %b %e %H:%M:%S %Y"},
    **{"%T": "%H:%M:%S", "%X": "%H:%M:%S", "%R": "%H:%M", "%r": "%I:%M:%S %p", "%+": "%Y-%m-%dT%H:%M:%S%.f%:z"},
}
_FIELDS = {"%d": "d", "%e": "d", "%m": "m", "%y": "y", "%Y": "Y", "%b": "b", "%B": "b", "%h": "b"}
_ALIKE = ({"d", "m", "y"}, {"y", "Y"})  # what can be read from the same digits
_EPOCH = datetime(1970, 1, 1)
_DAY = 86_400_000_000  # microseconds
_FIRST = (datetime(1, 1, 1) - _EPOCH).days * _DAY
_LAST = (datetime(9999, 12, 31) - _EPOCH).days * _DAY
_THREE_DIGITS = (datetime(100, 1, 1) - _EPOCH).days * _DAY  # earlier, %Y has read a year of two digits
_CENTURY = (datetime(2069, 1, 1) - _EPOCH).days * _DAY  # what %y takes for later years are those of the last century


@dataclass(frozen=True)
class DateFormat:
    """One way in which a date is written: of strptime's, or a number of `UNIX` or `EXCEL`."""

    text: str
    setting: str = field(default="date_formats", compare=False)  # whose it is, for a complaint

    @property
    def is_number(self) -> bool:
        """Whether it counts from a day on."""
        return self.text in UNIX or self.text == EXCEL

    @cached_property
    def order(self) -> str:
        """The order of year, month and day, as `mdy`."""
        return self.text if self.is_number else "".join(self._fields).lower().replace("b", "m")

    @cached_property
    def has_zone(self) -> bool:
        """Whether the value says which time zone it is in."""
        said = re.search(r"%[:#]*z|%[-_0]?\.?\d*[SMHfp](Z| ?UTC| ?GMT)$", self._long)
        return self.text in UNIX or said is not None

    @cached_property
    def has_time(self) -> bool:
        """Whether it reads more than the day."""
        return self.is_number or re.search("%[-_0]?[HIkl]", self._long) is not None

    def competes(self, other: "DateFormat") -> bool:
        """Whether both can read one value, each another day from it."""
        if self.order == other.order:
            return False
        if self.is_number or other.is_number:
            return self._is_digits and other._is_digits
        if self._between != other._between or len(self._fields) != len(other._fields):
            return False
        pairs = zip(self._fields, other._fields, strict=True)
        return all(a == b or any({a, b} <= group for group in _ALIKE) for a, b in pairs)

    def read(self, text: pl.Series, timezone: str = "") -> pl.Series:
        """Times in UTC, of microseconds; null where the text is none of this format, or a year of one or two digits.

        Args:
            text: the values.
            timezone: which zone times are in that name none; empty for UTC.

        Raises:
            Problem: this is no format.
        """
        if self.is_number:
            found = self._counted(text)
        else:
            try:
                found = text.str.strptime(pl.Datetime("us"), self.text, strict=False)
            except pl.exceptions.PolarsError as error:
                raise Problem(f"{self.setting}: {self.text!r}: {one_line(error)}") from None
        found = possible(in_utc(found))
        found = found.set((found.to_physical() < _THREE_DIGITS).fill_null(False), None)
        if "y" in self._fields:
            late = (found.to_physical() >= _CENTURY).fill_null(False)
            found = found.zip_with(~late, found.dt.offset_by("-100y")) if late.any() else found
        return in_utc(found, "" if self.has_zone or not self.has_time else timezone)

    def _counted(self, text: pl.Series) -> pl.Series:
        whole = text.cast(pl.Int64, strict=False)
        any_number = text.cast(pl.Float64, strict=False)
        if self.text == EXCEL:
            days = any_number.set((any_number < 1) | (any_number.floor() == 60), None)  # 60 is that 29 February
            since_1970 = days - 25_569 + (days < 60).cast(pl.Float64)
            return ((since_1970 * 86_400_000).round() * 1_000).cast(pl.Int64, strict=False).cast(pl.Datetime("us"))
        unit = UNIX[self.text]
        most = 2**62 // unit
        exact = whole.set(whole.abs() > most, None) * unit
        return exact.fill_null((any_number * unit).round().cast(pl.Int64, strict=False)).cast(pl.Datetime("us"))

    @cached_property
    def _long(self) -> str:
        return re.sub("%[DxFvcTXRr+]", lambda found: _SHORT[found[0]], self.text)

    @cached_property
    def _parts(self) -> list[str]:
        return re.findall(r"%[-_0]?[.:#]*\d*[A-Za-z%]|[^%]+", self._long)

    @cached_property
    def _fields(self) -> list[str]:
        """Day, month and year, in their order."""
        return [] if self.is_number else [_FIELDS[_plain(part)] for part in self._parts if _plain(part) in _FIELDS]

    @cached_property
    def _between(self) -> list[str]:
        """What stands between day, month and year."""
        places = [place for place, part in enumerate(self._parts) if _plain(part) in _FIELDS]
        return ["".join(self._parts[a + 1 : b]) for a, b in itertools.pairwise(places)]

    @property
    def _is_digits(self) -> bool:
        return self.is_number or all(part.startswith("%") and _plain(part) not in ("%b", "%p") for part in self._parts)


def known(text: str, setting: str = "date_formats") -> DateFormat:
    """The format of that name, which a setting has.

    Raises:
        Problem: it reads the name of a time zone, which says too little: several zones have the same.
    """
    if re.search("(?<!%)(%%)*%Z", text):
        raise Problem(
            f"{setting}: {text!r}: %Z would skip a zone's name without moving the hour: use %z for offsets as +02:00, "
            f"or write the name into the format as it stands and set {setting.removesuffix('date_formats')}timezone"
        )
    return DateFormat(text, setting)


def in_utc(times: pl.Series, timezone: str = "") -> pl.Series:
    """Times without a zone, in UTC.

    Args:
        times: with a zone or without.
        timezone: which zone times are in that name none; empty for UTC. An hour that a clock shows twice is the first,
            one that it skips is null.
    """
    if times.dtype.time_zone:  # type: ignore[attr-defined]
        return times.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if not timezone:
        return times
    there = times.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return in_utc(there)


def possible(times: pl.Series) -> pl.Series:
    """Dates or times without a zone as times of microseconds; null for those outside of the years 1 to 9999."""
    found = times.cast(pl.Datetime("us"), strict=False)
    since = found.to_physical()
    return found.set(((since < _FIRST) | (since > _LAST)).fill_null(False), None)


def _plain(directive: str) -> str:
    return re.sub("^%[-_0]", "%", directive)
