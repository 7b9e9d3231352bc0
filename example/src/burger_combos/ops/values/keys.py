"""Keys as text that is the same for all values which can come to be equal, whatever their types."""

import polars as pl

from ..sources.rows import joined
from .columns import with_point
from .text import DIGITS, short_of
from .value_settings import ValueSettings

_DAY = r"^\d{4}-\d\d-\d\d"
_BEGINS_AS_NUMBER = r"^[+-]?[.,]?\d"


def alike(keys: pl.Series, settings: ValueSettings) -> pl.Series:
    """Text that is the same for all keys which can be one name or one whole number; others may have the same.

    Of a number it is the digits between the first and the last zeros: 17, 17.0, "0017", "1.7e1" and 170 have the same.

    Args:
        keys: those of some rows, of any type.
        settings: how numbers are written.
    """
    dtype = keys.dtype
    if dtype.is_integer():
        return _core(keys.cast(pl.String))
    if isinstance(dtype, pl.Date | pl.Datetime):
        return keys.dt.to_string("%Y-%m-%d")
    if dtype.is_float():
        numbers = keys.cast(pl.Float64)
        whole = numbers.set((numbers.abs() >= 2**53).fill_null(False), None).cast(pl.Int64, strict=False)
        fits = (whole.cast(pl.Float64) == numbers).fill_null(False)
        if fits.all():
            return _core(whole.cast(pl.String))
        text = joined([numbers.set(fits, None), pl.Series(dtype=pl.String)])
        return _of_text(whole.cast(pl.String).zip_with(fits, text), settings)
    return _of_text(keys.cast(pl.String), settings)


def _of_text(keys: pl.Series, settings: ValueSettings) -> pl.Series:
    text = keys.str.replace_all(r"\s+", " ") if keys.str.contains(r"\s").any() else keys
    text = text.str.strip_chars()
    numbers = text.str.contains(_BEGINS_AS_NUMBER).fill_null(False)
    if not numbers.any():
        return text
    if not numbers.all():
        places = numbers.arg_true()
        return text.scatter(places, _of_numbers(text.gather(places), settings))
    return _of_numbers(text, settings)


def _of_numbers(text: pl.Series, settings: ValueSettings) -> pl.Series:
    """Text that begins as a number: the digits that count; a day without its time; or the text itself."""
    days = text.str.extract(f"({_DAY})")
    point = with_point(short_of(text), settings)
    digits = point.set(~point.str.contains(DIGITS), None)
    if digits.null_count() > text.null_count():
        broken = point.cast(pl.Float64, strict=False)
        broken = broken.set(~broken.is_finite(), None)
        digits = digits.fill_null(broken.cast(pl.String).str.replace("[eE].*$", "").str.replace(".", "", literal=True))
    return days.fill_null(_core(digits)).fill_null(text)


def _core(digits: pl.Series) -> pl.Series:
    return digits.str.strip_chars("+-0")
