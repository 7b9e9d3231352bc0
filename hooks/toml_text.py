"""The text of a TOML file in pieces, which are merged key by key: no line of one key disturbs the line beside it.

Python 3.11 or newer.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Keys = tuple[str, ...]
T = TypeVar("T")


@dataclass
class Entry:
    """A key with its value."""

    keys: Keys
    value: Any
    text: str  # with what stands behind it, and its end of line
    lead: str = ""  # comments and blank lines above it


@dataclass
class Table:
    """A table, or what stands above the first one."""

    name: Keys = ()
    header: str = ""
    lead: str = ""  # a blank line and comments above the header
    entries: list[Entry] = field(default_factory=list)
    tail: str = ""  # comments below the last entry

    def text(self) -> str:
        """The table as it stands in a file."""
        return self.lead + self.header + "".join(each.lead + each.text for each in self.entries) + self.tail

    def get(self, *keys: str) -> Entry | None:
        """The entry of a key."""
        return next((each for each in self.entries if each.keys == keys), None)


def read(text: str) -> list[Table]:
    """The tables of a file in their order; the first is what stands above them all.

    Raises:
        tomllib.TOMLDecodeError: it is not valid TOML.
    """
    tomllib.loads(text)
    tables, seen, lead, statement = [Table()], Counter[Keys](), "", ""
    for line in _lines(text):
        statement += line
        if not statement.strip() or statement.lstrip().startswith("#"):
            lead, statement = lead + statement, ""
            continue
        try:
            found = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # a value that goes on in the next line
        if statement.lstrip().startswith("["):
            below, lead = _parted(lead)
            tables[-1].tail += below
            name = _path(found)[0]
            seen[name] += 1  # an array has a table for each of its elements
            tables.append(Table(name if seen[name] == 1 else (*name, f"[{seen[name]}]"), statement, lead))
        else:
            tables[-1].entries.append(Entry(*_path(found), statement, lead))
        lead = statement = ""
    tables[-1].tail += lead
    return tables


def write(tables: Iterable[Table]) -> str:
    """The text of a file that has these tables; it neither begins nor ends with blank lines."""
    return "".join(table.text() for table in tables).strip("\n") + "\n"


def merge(mine: list[Table], base: list[Table], theirs: list[Table]) -> list[Table]:
    """What the template brings, with what the owner has changed since the last time.

    A value that the owner has changed stays, whatever the template says by now; what they deleted stays away. What they
    left alone becomes what the template has.

    Args:
        mine: as the owner has it.
        base: as the template gave it.
        theirs: as the template gives it now.
    """
    merged = []
    for name, new, own, old in _aligned(theirs, mine, base, lambda table: table.name):
        if own is None or new is None:
            only, unseen = own or new, old is None
            if only and (unseen or (own and old and own.text() != old.text())):
                merged.append(only)  # new, or the owner's
            continue
        old = old or Table(name)
        entries = [
            _entry(*three) for _, *three in _aligned(new.entries, own.entries, old.entries, lambda each: each.keys)
        ]
        merged.append(
            Table(
                name,
                _chosen(new.header, own.header, old.header),
                _chosen(new.lead, own.lead, old.lead),
                [each for each in entries if each],
                _chosen(new.tail, own.tail, old.tail),
            )
        )
    return merged


def _entry(new: Entry | None, own: Entry | None, old: Entry | None) -> Entry | None:
    if own is None:
        return new if old is None else None
    if new is None:
        return own if old is None or own.text != old.text else None
    chosen = own if old is None or own.text != old.text else new
    return Entry(chosen.keys, chosen.value, chosen.text, _chosen(new.lead, own.lead, old.lead if old else new.lead))


def _chosen(new: str, own: str, old: str) -> str:
    return new if own == old else own


def _aligned(
    new: list[T], own: list[T], old: list[T], key: Callable[[T], Keys]
) -> list[tuple[Keys, T | None, T | None, T | None]]:
    """All of the first two by key, with what each of the three has; what only the second has stays below the same."""
    known = [{key(each): each for each in some} for some in (new, own, old)]
    order = [key(each) for each in new]
    above = -1
    for each in own:
        if key(each) in order:
            above = order.index(key(each))
        else:
            above += 1
            order.insert(above, key(each))
    return [(name, known[0].get(name), known[1].get(name), known[2].get(name)) for name in order]


def _parted(lead: str) -> tuple[str, str]:
    """What stands between two tables: what belongs to the one above, and what to the header below."""
    lines = _lines(lead)
    blank = max((number for number, line in enumerate(lines) if not line.strip()), default=0)
    return "".join(lines[:blank]), "".join(lines[blank:])


def _lines(text: str) -> list[str]:
    """The lines as TOML has them, each with its end; Python's own splitlines knows more ends."""
    return re.findall(r"[^\n]*\n|[^\n]+$", text)


def _path(found: Any) -> tuple[Keys, Any]:
    """The keys that lead to the only value there is, and the value."""
    keys = []
    while isinstance(found, dict | list) and len(found) == 1:
        if isinstance(found, list):
            if not isinstance(found[0], dict):
                break
            found = found[0]
            continue
        ((key, found),) = found.items()
        keys.append(key)
    return tuple(keys), found
