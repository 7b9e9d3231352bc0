"""The cursor of a page: where the one before it has ended, for the client to hand back as it is."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple

from .reading import Day, Value


class Cursor(NamedTuple):
    """Where a page begins.

    Attributes:
        day: whose rows are paged, which stays the same when a newer day comes.
        such: what was asked for of the first columns of the key.
        after: the key of the row before the first.
    """

    day: Day
    such: dict[str, str]
    after: list[Value]

    def __str__(self) -> str:
        told = json.dumps([list(self.day), self.such, self.after], separators=(",", ":"))
        return urlsafe_b64encode(told.encode()).decode().rstrip("=")


def read(text: str, key: Sequence[str]) -> Cursor:
    """The inverse, for a table of that key.

    Raises:
        ValueError: it is no cursor, or another table's.
    """
    day, such, after = json.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    plain = (str, int, bool)
    if (
        len(day) != len(Day._fields)
        or not all(isinstance(each, str) and "\0" not in each for each in day)
        or not isinstance(such, dict)
        or list(such) != list(key[: len(such)])
        or not all(isinstance(each, str) for each in such.values())
        or not isinstance(after, list)
        or len(after) != len(key)
        or not all(isinstance(each, plain) for each in after)
    ):
        raise ValueError(text)
    return Cursor(Day(*day), such, after)
