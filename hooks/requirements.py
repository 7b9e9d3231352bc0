"""What a project needs, apart: its own requirements in `[project] dependencies`, the template's in groups.

Up to 0.10.0 both stood in `[project] dependencies`. A list is merged by its requirements, whatever lines they stand in.
"""

import re
from collections.abc import Iterable

import toml_text
from toml_text import Entry, Table

PLATFORM = "platform"
# Each requirement with the comments above and behind it; "" for the comments above the end.
Items = dict[str, tuple[str, str]]


def divided(mine: str, base: str, theirs: str) -> tuple[str, str]:
    """The first two of three `pyproject.toml` as if they had been divided from the beginning.

    What is left to be merged line by line is no requirement, or one that the owner added, which only the first has.

    Args:
        mine: as the owner has it.
        base: as the template gave it.
        theirs: as the template gives it now.

    Raises:
        tomllib.TOMLDecodeError: one is not valid TOML.
    """
    own, old, new = (toml_text.read(text) for text in (mine, base, theirs))
    if _table(own, "dependency-groups").get(PLATFORM):
        return mine, base
    _divide_dependencies(own, old, new)
    _divide_groups(own, old, new)
    _keep_the_later_day(own, old, new)
    return toml_text.write(own), toml_text.write(old)


def _divide_dependencies(own: list[Table], old: list[Table], new: list[Table]) -> None:
    mine, base, theirs = (_table(each, "project").get("dependencies") for each in (own, old, new))
    if not (mine and base and theirs):
        return
    before, now, next_ = (_items(each.text) for each in (base, mine, theirs))
    base.text = theirs.text
    mine.text = _written("dependencies", _merged(now, before, next_), like=theirs.text)


def _divide_groups(own: list[Table], old: list[Table], new: list[Table]) -> None:
    name = "dependency-groups"
    mine, base, theirs = (_table(each, name) for each in (own, old, new))
    lead = theirs.lead if mine.lead == base.lead else mine.lead
    merged = Table(theirs.name, theirs.header, lead, tail=theirs.tail)
    for entry in theirs.entries:
        (group,) = entry.keys
        here, before = (some.get(group) or Entry(entry.keys, None, "") for some in (mine, base))
        wanted = _merged(_items(here.text), _items(before.text), _items(entry.text))
        lead = entry.lead if here.lead == before.lead else here.lead
        merged.entries.append(Entry(entry.keys, None, _written(group, wanted, like=entry.text), lead))
    for entry in mine.entries:
        if not theirs.get(*entry.keys):
            (group,) = entry.keys
            known = _items(each.text) if (each := base.get(group)) else {}
            added = {item: notes for item, notes in _items(entry.text).items() if item not in known}
            if added or not known:
                merged.entries.append(Entry(entry.keys, None, _written(group, added, like=entry.text), entry.lead))
    for tables, table, replacement in ((own, mine, merged), (old, base, theirs)):
        if table in tables:
            tables[tables.index(table)] = replacement
        else:
            tables.append(replacement)


def _keep_the_later_day(own: list[Table], old: list[Table], new: list[Table]) -> None:
    """The lock's day is moved by `make upgrade` and by releases: the later one is what both want."""
    mine, base, theirs = (_table(each, "tool", "uv").get("exclude-newer") for each in (own, old, new))
    if mine and base and theirs and mine.value != base.value and isinstance(mine.value, str):
        base.text = theirs.text
        mine.text = max(mine, theirs, key=lambda each: str(each.value)).text


def _merged(mine: Items, base: Items, theirs: Items) -> Items:
    """The template's requirements but for those that the owner removed, and the owner's."""
    added = {item: notes for item, notes in mine.items() if item not in base}
    gone = _names(base) - _names(mine)
    kept = {item: notes for item, notes in theirs.items() if _name(item) not in gone | _names(added)}
    both = kept | added
    return {item: both[item] for item in sorted(both, key=lambda item: (item == "", item[:1] != "{", item.lower()))}


def _table(tables: list[Table], *name: str) -> Table:
    return next((table for table in tables if table.name == name), Table(name))


def _items(statement: str) -> Items:
    """The requirements of a list, as they stand in it."""
    found: Items = {}
    above = ""
    for line in statement.partition("[")[2].splitlines():
        code = _code(line)
        requirements = re.findall(r"""\{[^}]*\}|"[^"]*"|'[^']*'""", code)
        comment = line[len(code) :].strip()
        found |= dict.fromkeys(requirements, ("", ""))
        if requirements:
            found[requirements[-1]] = ("", comment)
            found[requirements[0]] = (above, found[requirements[0]][1])
            above = ""
        elif comment:
            above += f"    {comment}\n"
    return found | ({"": (above, "")} if above else {})


def _code(line: str) -> str:
    """A line without the comment at its end."""
    return re.match(r"""(?:"[^"]*"|'[^']*'|[^"'#])*""", line)[0]  # type: ignore[index]


def _written(key: str, items: Items, like: str) -> str:
    """A list as it stands in a file; as it does already, where it says the same."""
    if items == _items(like):
        return like
    lines = [
        above + (f"    {item},{f' {comment}' if comment else ''}\n" if item else "")
        for item, (above, comment) in items.items()
    ]
    return "".join([f"{key} = [\n", *lines, "]\n"])


def _names(items: Iterable[str]) -> set[str]:
    return {_name(item) for item in items}


def _name(item: str) -> str:
    """What is required, whatever the version."""
    found = re.match(r"""["']\s*([A-Za-z0-9._-]+)""", item)
    return re.sub("[-_.]+", "-", found[1]).lower() if found else item
