"""What made a result: the settings in force, where each comes from, and the data that was read.

The settings of the sections that the project declares itself make the result. Those of `StageSettings` tell where
things are kept, when a run is due and who is told: they are recorded, too, but no difference of theirs is told.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from . import settings_files
from .databases.urls import without_password
from .runs import Record
from .settings import PREFIX, Stage, StageSettings, of_branch, variables

if TYPE_CHECKING:
    from .sources.table_settings import TableSettings

MASK = "**********"  # in place of a secret
NOT_RECORDED = ("stage", "serving", "sweep", "tracking")  # known otherwise, of no run, or full of secrets


def note(record: Record, settings: StageSettings) -> None:
    """Put the settings into the record of a run that begins, and where they come from."""
    record.settings = in_force(settings)
    record.overrides = _overrides(record.settings)
    file = _in_file(settings.stage)
    record.in_file = {
        name: file.get(name)
        for name, value in record.settings.items()
        if name not in file or value not in (MASK, file[name])
    }
    record.data = {"sources": dict(_sources(settings))}


def in_force(settings: StageSettings) -> dict[str, Any]:
    """Each setting by its full name, as JSON has it; secrets are masked, and left out where they are empty."""
    return _flat({key: each for key, each in _plain(settings).items() if key not in NOT_RECORDED})


def makes_result(name: str) -> bool:
    """Whether a setting may change the rows, as the project's own do, and not those of the machinery."""
    return name.partition(".")[0] not in StageSettings.model_fields


def changed(record: Record, settings: StageSettings) -> list[str]:
    """Which settings that make the result are not those that the run began with; none if that is not known."""
    if not record.settings:
        return []
    now = in_force(settings)
    names = filter(makes_result, record.settings | now)
    return [
        f"{name} is {_text(now.get(name))}, it began with {_text(record.settings.get(name))}"
        for name in names
        if now.get(name) != record.settings.get(name)
    ]


def overridden(record: Record) -> dict[str, str]:
    """The settings that made the result and were not the file's: their values, variables, and what the file says."""
    found = {}
    for name, variable in record.overrides.items():
        if makes_result(name):
            value = record.settings[name]
            found[name] = f"by {variable}" if value == MASK else f"{_text(value)} by {variable}"
            if name in record.in_file:
                found[name] += _instead(record.in_file[name])
    return found


def differences(record: Record, stage: Stage) -> list[str]:
    """Where the settings of a run are not what the file says now; nothing of secrets."""
    if not record.settings:
        return []
    file, found = _in_file(stage), []
    for name, value in record.settings.items():
        if not makes_result(name) or value == MASK:
            continue
        now, variable = file.get(name), record.overrides.get(name)
        then = value if variable else record.in_file.get(name, value)
        if now != then and of_branch(now) != value:
            by = f" by {variable}" if variable else ""
            found.append(f"{name} {_text(value)}{by}" + (_instead(now) if value is not None else ", set in the file"))
    new = [name for name in file if makes_result(name) and name not in record.settings and file[name] != ""]
    return found + [f"{name} set in the file since" for name in new]


def data(record: Record) -> str:
    """What a run has read, in a line: where it came from, its size and its hash."""
    parts = [", ".join(record.data.get("sources", {}).values())]
    if "hash" in record.data:
        rows, columns = record.data["rows"], len(record.data["columns"])
        parts.append(f"{rows:,} rows, {columns} columns, hash {record.data['hash']}")
    return ": ".join(filter(None, parts))


def without_time(settings: StageSettings) -> list[str]:
    """The sections of the tables that the settings name, and whose rows tell no time."""
    return [name for name, table in _tables(settings) if not table.time_column]


def _instead(value: Any) -> str:
    return ", not in the file" if value is None else f", {_text(value)} in the file"


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _overrides(known: dict[str, Any]) -> dict[str, str]:
    """The environment variable that set a setting, by its name: one of its own, or one for its section."""
    found = {}
    names = {name.lower(): name for name in known}
    for written in sorted(variables().values(), key=lambda name: name.count("__")):
        key = written[len(PREFIX) :].lower().replace("__", ".")
        if key in names:
            found[names[key]] = written
        elif any(name.startswith(f"{key}.") for name in names):
            section = _flat(json.loads(os.environ[written]), key)
            found |= {name: written for name in known if name in section}
    return found


def _in_file(stage: Stage) -> dict[str, Any]:
    return _flat(_plain(settings_files.read(stage)))


def _sources(settings: StageSettings) -> Iterator[tuple[str, str]]:
    """Where each table is that the settings name, by the name of its section."""
    for name, each in _tables(settings):
        source = _plain(each.source)
        database = each.database_url if source.startswith(("table:", "query:")) else None
        where = f" of {without_password(database.get_secret_value())}" if database else ""
        yield name, source + where


def _tables(section: BaseModel, *keys: str) -> "Iterator[tuple[str, TableSettings]]":
    """Each table that the settings name, by the name of its section."""
    from .sources.table_settings import TableSettings  # which looking does without

    for key, each in section:
        if isinstance(each, TableSettings) and each.source:
            yield ".".join((*keys, key)), each
        if isinstance(each, BaseModel):
            yield from _tables(each, *keys, key)


def _flat(values: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Each value by its full name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, *keys, key)
        else:
            found[".".join((*keys, key))] = value
    return found


def _plain(value: Any) -> Any:
    """A value as JSON has it; secrets are masked, and left out of a section where they are empty."""
    if isinstance(value, BaseModel):
        return {key: _plain(each) for key, each in value if not _is_secret(each) or each.get_secret_value()}
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(map(_plain, value), key=str)
    if _is_secret(value):
        return MASK
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = str(value)
    return without_password(text) if re.match(r"[\w+.-]+://", text) else text


def _is_secret(value: Any) -> bool:
    return hasattr(value, "get_secret_value")
