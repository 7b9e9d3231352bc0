"""Change values in the text of a TOML file, and nothing else: comments and the order of the lines stay."""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Keys = tuple[str, ...]


@dataclass
class Statement:
    """A key with its value, or the header of a table: where it stands in the text, and of what it is."""

    start: int
    end: int
    table: Keys
    keys: Keys  # empty: it is the header


def changed(text: str, values: Mapping[str, Any]) -> str | None:
    """The text with other values; None where that cannot be done line by line, as in a table within a line.

    Args:
        text: a TOML file.
        values: each by the full name of its key, as `model.trees`. A key that is missing is put below its table's last.
    """
    wanted, new = tomllib.loads(text), text
    for name, value in values.items():
        keys = tuple(name.split("."))
        new = _set(new, keys, as_toml(value))
        _put(wanted, keys, value)
    try:
        return new if tomllib.loads(new) == wanted else None
    except tomllib.TOMLDecodeError:
        return None


def diff(name: str, old: str, new: str) -> str:
    """What `git apply` takes, to make the new text of a file from the old one; names are relative to the repository."""
    lines = difflib.unified_diff(_lines(old), _lines(new), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def as_toml(value: Any) -> str:
    """A value of JSON as it stands in a TOML file."""
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def _set(text: str, keys: Keys, value: str) -> str:
    statements = list(_statements(text))
    newline = "\r\n" if "\r\n" in text else "\n"
    for each in statements:
        if each.keys and (*each.table, *each.keys) == keys:
            start, end = _value(text[each.start : each.end])
            return text[: each.start + start] + value + text[each.start + end :]
    line = f"{keys[-1]} = {value}{newline}"
    if mine := [each for each in statements if each.table == keys[:-1]]:
        before = text[: mine[-1].end]
        return before + ("" if before.endswith("\n") else newline) + line + text[mine[-1].end :]
    ended = text if text.endswith("\n") or not text else text + newline
    return f"{ended}{newline}[{'.'.join(keys[:-1])}]{newline}{line}"


def _statements(text: str) -> Iterator[Statement]:
    """Each statement of a valid file, without the comments and blank lines above it."""
    table: Keys = ()
    start = end = 0
    for line in _lines(text):
        end += len(line)
        statement = text[start:end]
        if not statement.strip() or statement.lstrip().startswith("#"):
            start = end
            continue
        try:
            found = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # a value that goes on in the next line
        if statement.lstrip().startswith("["):
            table = _path(found)
            if statement.lstrip().startswith("[["):
                table = (*table, "[]")  # an element of an array, which no setting names
            yield Statement(start, end, table, ())
        else:
            yield Statement(start, end, table, _path(found))
        start = end


def _value(statement: str) -> tuple[int, int]:
    """Where the value of a statement begins and ends, which may have a comment behind it."""
    for equals in (found.start() for found in re.finditer("=", statement)):
        if not _is_toml(f"{statement[:equals]}= 0"):
            continue  # it stands in the key
        start = equals + len(re.match(r"=[ \t]*", statement[equals:])[0])  # type: ignore[index]
        for end in range(start + 1, len(statement) + 1):
            rest = statement[end:].lstrip(" \t")
            if (not rest.strip() or rest.startswith("#")) and _is_toml(f"x = {statement[start:end]}"):
                return start, end
    raise AssertionError(f"no value in {statement!r}")


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _path(found: Any) -> Keys:
    """The keys that lead to the only value there is."""
    keys: list[str] = []
    while isinstance(found, dict | list) and len(found) == 1:
        if isinstance(found, list):
            if not isinstance(found[0], dict):
                break
            found = found[0]
            continue
        ((key, found),) = found.items()
        keys.append(key)
    return tuple(keys)


def _put(values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        values = values.setdefault(key, {})
    values[keys[-1]] = deepcopy(value)


def _lines(text: str) -> list[str]:
    """The lines as TOML has them, each with its end; Python's own splitlines knows more ends."""
    return re.findall(r"[^\n]*\n|[^\n]+$", text)
