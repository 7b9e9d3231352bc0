"""Text as it is meant: what cannot be seen makes no difference, and what stands for nothing is nothing."""

import polars as pl
import structlog

from ..notes import note_changed
from .value_settings import MISSING

log = structlog.get_logger()

# Control and format characters. Joiners and variation selectors stay where they shape letters or emoji.
_UNSEEN = (
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
_JOINERS = r"(^|[\p{Latin}\p{Nd}\s])[\u200c\u200d]+|[\u200c\u200d]+$"
_TO_LOOK_AT = r"[^ -~]|^ | $"
_WHOLE = r"^([+-]?\d+)\.0+$"


def cleaned(column: pl.Series, null_values: tuple[str, ...], setting: str = "null_values") -> pl.Series:
    """Text in one form (Unicode's NFC), without what cannot be seen and without blanks around it.

    It is null where it stands for nothing: empty, or one of `null_values`, with these capitals. A whole number loses a
    fraction of zeros where every value of the column is whole, or where the same one is there without it. NaN is null;
    other types stay as they are. What was changed is noted.

    Args:
        column: the values.
        null_values: what stands for nothing.
        setting: which setting these are, for the log.
    """
    if column.dtype.is_float():
        return column.fill_nan(None)
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        return column
    seen = _seen(column)
    text = seen.set(seen.is_in(["", *null_values]), None)
    short = whole(text)
    _say_alike(text, null_values, setting)
    note_changed(column.name, "characters", int((seen != column).sum()))
    note_changed(column.name, "fraction of zeros", int((short != text).sum()))
    return short


def whole(text: pl.Series) -> pl.Series:
    """Without a fraction of zeros, as in 17000.0, where all values are whole or 17000 is there too."""
    long = text.str.contains(_WHOLE).fill_null(False)
    if not long.any():
        return text
    short = text.str.replace(_WHOLE, "${1}")
    others = text.filter(~long)
    if others.drop_nulls().str.contains(r"^[+-]?\d+$").all():
        return short
    return (
        pl.select(pl.when(long & short.is_in(others.unique().implode())).then(short).otherwise(text))
        .to_series()
        .alias(text.name)
    )


def _say_alike(text: pl.Series, null_values: tuple[str, ...], setting: str) -> None:
    """Tell of values that stand for nothing elsewhere, or but for their capitals; people and things have such names."""
    words = {word.lower() for word in (*null_values, *MISSING)}
    few = text.filter(text.str.len_chars() <= max(map(len, words)))
    for value, count in few.filter(few.str.to_lowercase().is_in(words)).value_counts(sort=True).iter_rows():
        log.info("perhaps missing", column=text.name, value=value, values=count, setting=setting)


def _seen(text: pl.Series) -> pl.Series:
    odd = text.filter(text.str.contains(_TO_LOOK_AT).fill_null(False)).unique()
    mended = odd.str.replace_all(_UNSEEN, "").str.replace_all(_JOINERS, "${1}").str.normalize("NFC").str.strip_chars()
    changed = odd != mended
    return text.replace(odd.filter(changed), mended.filter(changed)) if changed.any() else text
