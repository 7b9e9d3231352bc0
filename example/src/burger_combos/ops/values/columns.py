"""Columns of any type as names and as numbers; what is none becomes null."""

import re
from dataclasses import dataclass

import polars as pl

from ..changed_values import note_changed
from ..problems import Problem
from ..threads import by_slices
from .text import DIGITS, Wholes, any_but, whole
from .value_settings import ValueSettings

_TRUTHS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False),
}
_BLANKS = r"\s\s|[^\S ]"  # several, or another one than the blank
_SPREADSHEET = r"^[+-]?\d(\.\d+)?[eE]\+\d+$"
_SCIENTIFIC = r"^[+-]?\d+(\.\d+)?[eE]\d+$"
_POWER = r"^[+-]?\d[\d.]*[eE]"  # as either of these begins
_TO_LOOK_AT = f"{_BLANKS}|{_POWER}"  # in one pass, as most columns have neither
_NUMBER = "|".join((DIGITS, _SPREADSHEET, _SCIENTIFIC))


@dataclass
class Forms:
    """Which forms the values of a column have, as far as they make another a name or none.

    Only all of its rows tell; what their parts say adds up, as each field is whether there is any.
    """

    fraction: bool = False  # a number with a fraction that is not of zeros
    digits: bool = False  # text of digits alone
    others: bool = False  # text that is no number, or has a fraction

    def look(self, column: pl.Series) -> None:
        """Take some rows into account."""
        dtype = column.dtype
        if dtype.is_float():
            self.fraction = self.fraction or _has_fraction(_exact(column))
        elif dtype.is_decimal():
            wholes = Wholes()
            wholes.look(column.cast(pl.String))
            self.fraction = self.fraction or wholes.others
        elif dtype == pl.String and not self.others:
            self.others = any_but(column, _NUMBER)
            self.digits = self.digits or bool(column.str.contains(DIGITS).any())


def names(column: pl.Series, forms: Forms | None = None) -> pl.Series:
    """Text that names something, with one blank where there are several.

    A float that has no exact whole part any more (from 2^53 on) names nothing, nor does a spreadsheet's short form of a
    long number, as 1.23457E+12: several names would become one. Where all others are whole numbers, 17e3 is one, too.

    Args:
        column: the values.
        forms: those of all rows, where these are some of them.

    Raises:
        Problem: the column's type names nothing.
    """
    dtype = column.dtype
    if dtype.is_nested() or dtype in (pl.Boolean, pl.Duration, pl.Object):
        raise Problem(f"column {column.name}: {dtype} is no name")
    if dtype.is_float():
        column = _exact(column)
        fraction = forms.fraction if forms else _has_fraction(column)
        column = column if fraction else column.cast(pl.Int64, strict=False)
    elif dtype == pl.Binary:
        column = pl.Series(column.name, [_decoded(each) for each in column], pl.String)
    text = column.cast(pl.String)
    if dtype.is_decimal():
        text = Wholes(long=1, others=forms.fraction).shortened(text) if forms else whole(text)
    if dtype != pl.String:
        return text
    is_odd = _contains(text, _TO_LOOK_AT).any()
    several = int(_contains(text, _BLANKS).sum()) if is_odd else 0
    note_changed(column.name, "blanks", several)
    if several:  # to look for them takes a fifth of the time that it takes to replace them
        text = text.str.replace_all(r"\s+", " ")
    return _without_short_forms(text, forms) if is_odd else text


def numbers(column: pl.Series, settings: ValueSettings) -> pl.Series:
    """Finite numbers, Float64.

    Args:
        column: numbers, or text in which they are written.
        settings: which signs stand for the decimal point and between thousands.

    Raises:
        Problem: the column's type is no number.
    """
    if column.dtype == pl.String:
        column = with_point(column, settings)
    elif not column.dtype.is_numeric() and column.dtype != pl.Null:
        raise Problem(f"column {column.name}: {column.dtype} is no number")
    found = column.cast(pl.Float64, strict=False)
    return found.set(~found.is_finite(), None)


def whole_numbers(column: pl.Series, settings: ValueSettings) -> pl.Series:
    """Whole numbers, Int64; exact also from 2^53 on, where a broken number is none any more.

    Args:
        column: numbers, or text in which they are written; a fraction of zeros is none.
        settings: which signs stand for the decimal point and between thousands.

    Raises:
        Problem: the column's type is no number.
    """
    if column.dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    if column.dtype == pl.String:
        text = with_point(column, settings)
    elif column.dtype.is_decimal():
        text = column.cast(pl.String)
    else:
        text = pl.Series(column.name, [None] * len(column), pl.String)
    exact = text.str.extract(r"^\s*([+-]?\d+)(?:\.0*)?\s*$").str.strip_prefix("+").cast(pl.Int64, strict=False)
    broken = numbers(column, settings)
    broken = broken.set((broken.abs() >= 2**53) | (broken % 1 != 0), None)
    return exact.fill_null(broken.cast(pl.Int64, strict=False)).alias(column.name)


def truths(column: pl.Series) -> pl.Series:
    """Booleans, of 1 and 0, or of text such as true and false, yes and no.

    Raises:
        Problem: the column's type is neither of these.
    """
    if column.dtype == pl.Boolean:
        return column
    if column.dtype == pl.String:
        return column.str.to_lowercase().replace_strict(_TRUTHS, default=None, return_dtype=pl.Boolean)
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        number = column.cast(pl.Float64, strict=False)
        return number.set(~number.is_in([0.0, 1.0]), None).cast(pl.Boolean)
    raise Problem(f"column {column.name}: {column.dtype} is neither true nor false")


def with_point(text: pl.Series, settings: ValueSettings) -> pl.Series:
    """Numbers as programs write them; null where the signs stand elsewhere than in a number."""
    if settings.decimal == "." and not settings.thousands:
        return text
    point = re.escape(settings.decimal)
    between = {"": "", " ": r"\s", "'": "['’]"}.get(settings.thousands, re.escape(settings.thousands))
    inner = r"\d{2,3}" if settings.thousands == "," else r"\d{3}"  # 12,34,567 is how India writes it
    grouped = rf"|\d{{1,3}}(?:{between}{inner})*{between}\d{{3}}" if between else ""
    number = rf"^[+-]?(?:\d*{grouped})(?:{point}\d*)?(?:[eE][+-]?\d+)?$"
    text = text.set(~text.str.contains(number), None)
    if between:
        text = text.str.replace_all(between, "")
    return text.str.replace(settings.decimal, ".", literal=True)


def _exact(column: pl.Series) -> pl.Series:
    """Those floats that have an exact whole part."""
    return column.set(~(column.is_finite() & (column.abs() < (2**24 if column.dtype == pl.Float32 else 2**53))), None)


def _has_fraction(column: pl.Series) -> bool:
    """Whether any of some floats is not whole."""
    return not column.cast(pl.Int64, strict=False).cast(column.dtype).eq_missing(column).all()


def _without_short_forms(text: pl.Series, forms: Forms | None) -> pl.Series:
    if not _contains(text, _POWER).any():
        return text
    short = text.str.contains(_SPREADSHEET).fill_null(False)
    scientific = text.str.contains(_SCIENTIFIC).fill_null(False)
    if scientific.any():
        if forms is None:
            forms = Forms()
            forms.look(text)
        if forms.digits and not forms.others:
            short |= scientific
    return text.set(short, None) if short.any() else text


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeError:
        return None


def _contains(text: pl.Series, pattern: str) -> pl.Series:
    """As polars' `str.contains`, in several threads."""
    return by_slices(text, lambda some: some.str.contains(pattern))
