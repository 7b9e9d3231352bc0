"""Text as it is meant: what cannot be seen makes no difference, and what stands for nothing is nothing."""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import polars as pl
import structlog

from ..changed_values import note_changed
from ..threads import by_slices, in_threads, slices
from .value_settings import MISSING

log = structlog.get_logger()

# Control and format characters. Joiners and variation selectors stay where they shape letters or emoji.
_UNSEEN = (
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
_JOINERS = r"(^|[\p{Latin}\p{Nd}\s])[\u200c\u200d]+|[\u200c\u200d]+$"
_TO_LOOK_AT = r"[^ -~]|^ | $"
_WHOLE = r"^([+-]?\d+)\.0+$"
_FEW = 1_000  # values
DIGITS = r"^[+-]?\d+$"


@dataclass
class Cleaning:
    """What cleaning changes in the values of a column; that of parts adds up."""

    characters: int = 0  # values with characters that cannot be seen, in another form, or with blanks around
    alike: Counter[str] = field(default_factory=Counter)  # how often a value is there that perhaps stands for nothing

    def join(self, other: Self) -> None:
        """Take what is changed in other values into account."""
        self.characters += other.characters
        self.alike.update(other.alike)

    def note(self, column: str, setting: str) -> None:
        """Say what was changed, and tell of values that stand for nothing elsewhere, or but for their capitals."""
        for value, count in self.alike.most_common():
            log.info("perhaps missing", column=column, value=value, values=count, setting=setting)
        note_changed(column, "characters", self.characters)


@dataclass
class Wholes:
    """Whether a column's whole numbers lose a fraction of zeros, as in 17000.0; only all of its rows tell."""

    long: int = 0  # values with such a fraction
    others: bool = False  # whether any value is no whole number
    there: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))  # those without it, where any is other

    def look(self, text: pl.Series) -> None:
        """Take some rows into account; `there` is another matter."""
        long = text.str.contains(_WHOLE).fill_null(False)
        self.long += int(long.sum())
        self.others = self.others or any_but(text.filter(~long) if long.any() else text, DIGITS)

    def shortened(self, text: pl.Series) -> pl.Series:
        """Some of the rows without a fraction of zeros, where all values are whole or 17000 is there, too."""
        if not self.long:
            return text
        short = short_of(text)
        if not self.others:
            return short
        lost = short.is_in(self.there.implode()) & text.str.contains(_WHOLE)
        return short.zip_with(lost.fill_null(False), text)


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
    changes = Cleaning()
    text = plain(column, null_values, changes)
    if text.dtype != pl.String:
        return text
    short = whole(text)
    changes.note(column.name, setting)
    note_changed(column.name, "fraction of zeros", 0 if short is text else int((short != text).sum()))
    return short


def plain(column: pl.Series, null_values: tuple[str, ...], changes: Cleaning) -> pl.Series:
    """Values as `cleaned` has them, but for fractions of zeros: what each value says of itself.

    Args:
        column: the values, or some of them.
        null_values: what stands for nothing.
        changes: gets what is changed in them.
    """
    if column.dtype.is_float():
        return column.fill_nan(None)
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        return column
    parts = slices(column)
    texts = []
    for text, changed in in_threads(partial(_plain, null_values=null_values), parts):
        texts.append(text)
        changes.join(changed)
    is_same = all(text is part for text, part in zip(texts, parts, strict=True))
    return column if is_same else pl.concat(texts)


def whole(text: pl.Series) -> pl.Series:
    """Without a fraction of zeros, as in 17000.0, where all values are whole or 17000 is there too."""
    if not by_slices(text, lambda some: some.filter(some.str.ends_with("0")).str.contains(_WHOLE)).any():
        return text
    wholes = Wholes()
    wholes.look(text)
    if wholes.long and wholes.others:
        wholes.there = digits_among(text, long_ones(text))
    return wholes.shortened(text)


def short_of(text: pl.Series) -> pl.Series:
    """Whole numbers without a fraction of zeros; other text as it is."""
    return text.str.replace(_WHOLE, "${1}")


def long_ones(text: pl.Series) -> pl.Series:
    """The different whole numbers that have a fraction of zeros, without it."""
    long = text.filter(text.str.contains(_WHOLE).fill_null(False)).unique()
    return short_of(long).unique()


def digits_among(text: pl.Series, numbers: pl.Series) -> pl.Series:
    """Those of some different numbers that are there as they are."""
    return numbers.filter(numbers.is_in(text.filter(text.is_in(numbers.implode())).unique().implode()))


def any_but(text: pl.Series, pattern: str) -> bool:
    """Whether any value is neither missing nor of a pattern; one of the first mostly is, if any is."""
    return any((~part.str.contains(pattern)).any() for part in (text.head(_FEW), text))


def _plain(text: pl.Series, null_values: tuple[str, ...]) -> tuple[pl.Series, Cleaning]:
    """Some values as `plain` has them, and what is changed in them; the same ones where nothing is."""
    seen = _seen(text)
    is_nothing = seen.is_in(["", *null_values])
    known = seen.set(is_nothing, None) if is_nothing.any() else seen
    return known, Cleaning(0 if seen is text else int((seen != text).sum()), _alike(known, null_values))


def _alike(text: pl.Series, null_values: tuple[str, ...]) -> Counter[str]:
    """How often each value is there that stands for nothing elsewhere; people and things have such names."""
    words = {word.lower() for word in (*null_values, *MISSING)}
    few = text.filter(text.str.len_chars() <= max(map(len, words)))
    return Counter(dict(few.filter(few.str.to_lowercase().is_in(words)).value_counts(sort=True).iter_rows()))


def _seen(text: pl.Series) -> pl.Series:
    to_look_at = text.str.contains(_TO_LOOK_AT)
    if not to_look_at.any():
        return text
    odd = text.filter(to_look_at).unique()
    mended = odd.str.replace_all(_UNSEEN, "").str.replace_all(_JOINERS, "${1}").str.normalize("NFC").str.strip_chars()
    changed = odd != mended
    return text.replace(odd.filter(changed), mended.filter(changed)) if changed.any() else text
