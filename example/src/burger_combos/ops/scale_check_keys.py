"""What a column holds in all parts of a table, and other values for copies of its rows, which no part has."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from .fingerprint import Words, hashes_of_texts
from .problems import Problem

COPIES = "copies.parquet"  # in a trial's folder, as raw.parquet is: each copy and the key that it is a copy of
DIGITS = 18  # as many fit any whole number of 64 bits
EXACT = 2**53  # the largest whole numbers that a float holds exactly
EXACT_SHORT = 2**24  # one of 32 bits
MARK = "~"
INSTEAD = "write resize(raw, factor) in pipeline.py, or name another column in "


def _none() -> Words:
    return np.empty(0, np.uint64)


@dataclass
class Column:
    """A column, of which `look` has seen each part: enough to choose some of its values, and new ones for copies.

    Attributes:
        name: the column's.
        setting: the one that names it.
        copies: how often there are to be others.
        dtype: its type, which the others have too.
        keys: a hash of each different value as text, ascending; those of one key, as "17" and "0017", are one.
        texts: a hash of each different text as it is written, ascending.
        low: the least number.
        high: the greatest.
        width: how many digits the longest whole number has that is written as text.
        all_digits: whether each text is such a number.
        marks: how many marks stand at most before a number at the end of a text, by that number.
    """

    name: str
    setting: str
    copies: int
    dtype: pl.DataType | None = None
    keys: Words = field(default_factory=_none)
    texts: Words = field(default_factory=_none)
    low: int = 0
    high: int = -1
    width: int = 0
    all_digits: bool = True
    marks: dict[int, int] = field(default_factory=dict)

    def look(self, part: pl.Series) -> None:
        """Take in the values of a part.

        Raises:
            Problem: the type has no other values to give, or it is not that of the part before.
        """
        self.dtype = self.dtype or part.dtype
        if part.dtype != self.dtype:
            types = f"{self.dtype} in one part, {part.dtype} in another"
            raise Problem(f"{self.setting}: column {self.name!r} holds {types}")
        if self.copies and isinstance(self.dtype, pl.Enum):
            raise Problem(
                f"deploy.scale: column {self.name!r} holds {self.dtype}, which has no other values for copies: "
                + INSTEAD
                + self.setting
            )
        values = part.drop_nulls().unique()
        digits = as_text(values, self.setting)
        seen = len(self.keys) > 0
        self.keys = np.union1d(self.keys, hashes_of_texts(digits))
        if values.is_empty():
            return
        if self.dtype.is_numeric():
            low: Any = values.min()
            high: Any = values.max()
            self.low, self.high = int(min(low, self.low if seen else low)), int(max(high, self.high if seen else high))
            return
        texts = values.cast(pl.String)
        self.texts = np.union1d(self.texts, hashes_of_texts(texts))
        self.all_digits = self.all_digits and bool(digits.str.contains(r"^\d+$").all())
        longest: Any = digits.str.len_chars().max()
        self.width = max(self.width, longest)
        self._look_for_marks(texts)

    def refuse_full(self) -> None:
        """Call this when all parts are seen.

        Raises:
            Problem: the type is too narrow for the others.
        """
        if self.dtype is None or not self.dtype.is_numeric():
            return
        if self.copies and self.high + self.copies * self._span > _greatest(self.dtype):
            raise Problem(
                f"deploy.scale: column {self.name!r} holds {self.dtype} up to {self.high:,}, and has no room for "
                f"{self.copies} times as many others: {INSTEAD}{self.setting}"
            )

    def some(self, values: pl.Series, share: float, least: int = 0) -> pl.Series:
        """Those of a part's values that belong to a share of all, at least to so many of them, chosen by a hash."""
        count = min(max(least, round(share * len(self.keys))), len(self.keys))
        if count == 0:
            return values.clear()
        values = values.drop_nulls().unique()
        return values.filter(pl.Series(hashes_of_texts(as_text(values)) <= self.keys[count - 1]))

    def others(self, values: pl.Series, number: int) -> pl.Series:
        """Other values of the same type, one for each of a part's: those of the copy of that number, from 1.

        They are not among the values of any part, nor those of another number; what is missing stays so.
        """
        if values.dtype.is_numeric():
            return values + number * self._span
        one_each = len(self.keys) == len(self.texts)
        if self.all_digits and one_each and self.width + len(str(self.copies)) <= DIGITS:
            texts = str(number) + as_text(values).str.zfill(self.width)  # numbers as text
        else:
            texts = values.cast(pl.String) + MARK * (1 + self.marks.get(number, 0)) + str(number)
        return texts.alias(values.name).cast(values.dtype)

    @property
    def _span(self) -> int:
        return self.high - self.low + 1

    def _look_for_marks(self, texts: pl.Series) -> None:
        """Note what at the end of a text looks as that of a copy does."""
        parts = texts.str.extract_groups(rf"({MARK}+)([1-9][0-9]{{0,8}})$").struct.unnest().drop_nulls()
        parts.columns = ["marks", "number"]
        found = parts.select(pl.col("marks").str.len_chars(), pl.col("number").cast(pl.Int64))
        most = found.filter(pl.col("number") <= self.copies).group_by("number").agg(pl.col("marks").max())
        for marks, number in most.select("marks", "number").iter_rows():
            self.marks[number] = max(marks, self.marks.get(number, 0))


def as_text(values: pl.Series, setting: str = "deploy.scale.by") -> pl.Series:
    """Keys as text, so that a key is the same whatever type it has: 17, 17.0, "17" and "0017" are one.

    Args:
        values: shape (rows,).
        setting: the one that names another column, for the message.

    Raises:
        Problem: they are neither text nor whole numbers.
    """
    if values.dtype.is_float() and _is_whole(values):
        values = values.cast(pl.Int64)
    if not (values.dtype.is_integer() or values.dtype in (pl.String, pl.Categorical, pl.Enum)):
        raise Problem(
            f"column {values.name!r} holds {values.dtype}, and only text and whole numbers can be copied as keys: "
            + INSTEAD
            + setting
        )
    text = values.cast(pl.String).str.strip_chars()
    return text.str.replace(r"^0*(\d+)(?:\.0+)?$", "$1")


def _greatest(dtype: pl.DataType) -> int:
    """The greatest whole number up to which a type, as Int32, UInt8 or Float64, holds all."""
    if dtype.is_float():
        return EXACT if dtype == pl.Float64 else EXACT_SHORT
    bits = int(str(dtype).removeprefix("U").removeprefix("Int"))
    return int(2 ** (bits - dtype.is_signed_integer()) - 1)


def _is_whole(values: pl.Series) -> bool:
    return bool((values.is_finite() & (values == values.round()) & (values.abs() <= EXACT)).all())
