"""The pointers: for each day of a stage one item in the table of rows, which says whose rows are in place."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Self

from ...problems import Problem
from .client import EXPIRES, Client, Item, Unmet

_TRIES = 20  # to be the one that writes a pointer
_LONGER = timedelta(days=2)  # rows stay longer than what leads to them


@dataclass(frozen=True)
class Version:
    """The rows of a table that one run has written for a day.

    Attributes:
        name: the second part of the rows' keys: `2026-11-29#RUN#d41d8c`.
        run_id: the run.
        git_commit: its commit.
        rows: how many.
        parts: in how many parts the records have them.
        ordered: whether these are in the order of the rows' key.
    """

    name: str
    run_id: str
    git_commit: str
    rows: int
    parts: int
    ordered: bool

    def item(self) -> Item:
        """It as an attribute."""
        return {
            "M": {
                "version": {"S": self.name},
                "run_id": {"S": self.run_id},
                "git_commit": {"S": self.git_commit},
                "rows": {"N": str(self.rows)},
                "parts": {"N": str(self.parts)},
                "ordered": {"BOOL": self.ordered},
            }
        }

    @classmethod
    def of(cls, attribute: Item) -> Self:
        """Read an attribute."""
        found = attribute["M"]
        version, run_id, git_commit = (found[name]["S"] for name in ("version", "run_id", "git_commit"))
        rows, parts = int(found["rows"]["N"]), int(found["parts"]["N"])
        return cls(version, run_id, git_commit, rows, parts, bool(found["ordered"]["BOOL"]))


@dataclass(frozen=True)
class Pointer:
    """What is in place for a day of a stage.

    Attributes:
        day: the day.
        tables: by the names of tables what rows they have.
        replaced: by the names of tables the rows of another commit that were in place before; they may be gone.
        expires: when it may be removed, in seconds since 1970; 0 for never.
    """

    day: date
    tables: dict[str, Version] = field(default_factory=dict)
    replaced: dict[str, Version] = field(default_factory=dict)
    expires: int = 0

    def earlier(self, git_commit: str) -> dict[str, Version]:
        """The rows of a commit that another one's have replaced; none where those of one table would be of another."""
        others = {name for name, each in self.tables.items() if each.git_commit != git_commit}
        found = {name: each for name, each in self.replaced.items() if each.git_commit == git_commit}
        return found if found.keys() == others else {}


def expiry(day: date, keep_days: int, *, of_rows: bool) -> int:
    """When a pointer, or rows, of a day may be removed, in seconds since 1970; 0 for never."""
    if not keep_days:
        return 0
    last = day + timedelta(days=keep_days + 2) + (_LONGER if of_rows else timedelta())
    return int(datetime.combine(last, clock(), UTC).timestamp())


def newest_first(client: Client, stage: str) -> Iterator[Pointer]:
    """The pointers of a stage, that of the newest day first."""
    for item in client.query(client.place.rows, stage, newest=True):
        if found := _read(item):
            yield found


def of(client: Client, stage: str, day: date) -> Pointer | None:
    """The pointer of a day; None where there is none."""
    item = client.get(client.place.rows, stage, str(day))
    return _read(item) if item else None


def _read(item: Item) -> Pointer | None:
    expires = int(item[EXPIRES]["N"]) if EXPIRES in item else 0
    if expires and expires <= time.time():  # DynamoDB takes some days to remove it
        return None
    return Pointer(date.fromisoformat(item["day-run"]["S"]), _map(item, "tables"), _map(item, "replaced"), expires)


def _map(item: Item, name: str) -> dict[str, Version]:
    return {table: Version.of(each) for table, each in item[name]["M"].items()} if name in item else {}


def put_in_place(client: Client, stage: str, day: date, tables: dict[str, Version], expires: int) -> None:
    """Let the rows of these tables be the day's, all at once; other tables of the day keep theirs.

    Raises:
        Problem: others write the same day all the time.
    """
    _change(client, stage, day, lambda there: there.tables | tables, expires)


def put_back(client: Client, stage: str, day: date, git_commit: str) -> None:
    """Let the rows of an earlier commit be the day's again, in all tables or in none."""
    _change(client, stage, day, lambda there: there.tables | there.earlier(git_commit), None)


def take_away(client: Client, stage: str, day: date, tables: list[str]) -> None:
    """Let these tables have no rows of the day, all at once."""

    def without(there: Pointer) -> dict[str, Version]:
        return {name: each for name, each in there.tables.items() if name not in tables}

    _change(client, stage, day, without, None)


def _change(
    client: Client, stage: str, day: date, change: Callable[[Pointer], dict[str, Version]], expires: int | None
) -> None:
    for _ in range(_TRIES):
        item = client.get(client.place.rows, stage, str(day))
        there = _read(item) if item else None
        before = there or Pointer(day)
        after = change(before)
        if there and after == there.tables:
            return  # as where an answer was lost, and the write was not
        replaced = {name: each for name, each in before.replaced.items() if name in after} | {
            name: each
            for name, each in before.tables.items()
            if name in after and each.git_commit != after[name].git_commit
        }
        was = item["changes"] if item else None
        changes = int(was["N"]) + 1 if was else 1
        new: Item = {
            "row-key": {"S": stage},
            "day-run": {"S": str(day)},
            "tables": {"M": {name: each.item() for name, each in after.items()}},
            "replaced": {"M": {name: each.item() for name, each in replaced.items()}},
            "changes": {"N": str(changes)},
        }
        until = expires if expires is not None else before.expires
        if until:
            new[EXPIRES] = {"N": str(until)}
        try:
            client.put_if(client.place.rows, new, "changes", was)
        except Unmet:
            continue
        return
    raise Problem(
        f"{client.place.name}: others change what is in place for {day} in {stage} all the time: run this again"
    )
