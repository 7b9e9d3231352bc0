"""JSON with an object for each row: on a line of its own, or all in one array."""

import json
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import Any

import polars as pl

from ..problems import Problem
from .files import File
from .headers import no_column
from .rows import frames

_ABSENT = object()


def is_json(file: File, start: str) -> bool:
    """Whether this is JSON, by the file's name or by the first line of its text."""
    line = start.lstrip().partition("\n")[0]
    if file.suffix in (".jsonl", ".ndjson", ".json") or line.startswith("[{"):
        return True
    try:
        return line.startswith("{") and bool(json.loads(line))
    except ValueError:
        return False


def read_json_lines(file: File, wanted: Sequence[str], encoding: str) -> Iterator[pl.DataFrame]:
    """The wanted columns, some rows at a time.

    `user.id` is the field `id` of the object `user`, unless a key is called so.

    Raises:
        Problem: it is no such JSON, or no object has a column.
        UnicodeError: it is not in the encoding.
    """
    lacking = dict.fromkeys(wanted)
    keys: dict[str, None] = {}

    def values() -> Iterator[list[object]]:
        for where, record in _objects(file, encoding):
            keys.update(dict.fromkeys(record) if len(keys) < 20 else {})
            row = {name: _field(record, name) for name in wanted}
            for name, value in row.items():
                if isinstance(value, dict | list):
                    hint = (
                        f"; {name}.{next(iter(value))} is one of its fields"
                        if isinstance(value, dict) and value
                        else ""
                    )
                    raise Problem(f"{file.name}: {where}: {name} is no plain value: {json.dumps(value)[:60]}{hint}")
                if value is not _ABSENT:
                    lacking.pop(name, None)
            yield [None if value is _ABSENT else value for value in row.values()]

    yield from frames(wanted, values(), file.name)
    if lacking:
        raise no_column(file.name, list(lacking), list(keys))


def _objects(file: File, encoding: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects, and where each stands."""
    with TextIOWrapper(file.open(), encoding) as text:
        if text.read(1000).lstrip().startswith("["):
            text.seek(0)
            numbered = ((f"object {number}", each) for number, each in enumerate(_parsed(file.name, text.read()), 1))
        else:
            text.seek(0)
            lines = ((f"line {number}", line) for number, line in enumerate(text, 1) if line.strip())
            numbered = ((where, _parsed(f"{file.name}: {where}", line)) for where, line in lines)
        for where, found in numbered:
            if not isinstance(found, dict):
                raise Problem(f"{file.name}: {where}: no JSON object: {json.dumps(found)[:60]}")
            yield where, found


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(f"{where}: no JSON: {error}; JSON lines have an object on each") from None


def _field(record: dict[str, Any], name: str) -> object:
    if name in record:
        return record[name]
    outer, dot, inner = name.partition(".")
    while dot:
        if isinstance(record.get(outer), dict):
            return _field(record[outer], inner)
        more, dot, inner = inner.partition(".")
        outer = f"{outer}.{more}"
    return _ABSENT
