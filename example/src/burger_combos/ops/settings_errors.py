"""What is wrong with a setting, in this project's words."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from .problems import meant

LONGEST = 60  # characters of a value that are shown
# What a setting has to be, by the type of pydantic's error or, for all others of its family, by the first word of it.
EXPECTED = {
    "bool": "true or false",
    "date": "a date, as 2026-01-31",
    "datetime": "a date and time, as 2026-01-31T05:00:00",
    "decimal": "a number",
    "dict": "a section",
    "enum": "{expected}",
    "finite": "a finite number",
    "float": "a number",
    "frozen": "a list",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "int": "a whole number",
    "less_than": "less than {lt:g}",
    "less_than_equal": "{le:g} or less",
    "list": "a list",
    "literal": "{expected}",
    "mapping": "a section",
    "model": "a section",
    "multiple": "a multiple of {multiple_of:g}",
    "path": "a path",
    "set": "a list",
    "string": "text",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_long": "text of at most {max_length} characters",
    "string_too_short": "text of at least {min_length} characters",
    "time": "a time, as 05:00",
    "time_delta": "a duration, as PT5M",
    "too_long": "a list of at most {max_length} values",
    "too_short": "a list of at least {min_length} values",
    "tuple": "a list",
    "url": "a URL",
    "uuid": "a UUID",
}


def complaint(kind: type[BaseModel], keys: tuple[Any, ...], detail: Any) -> str:
    """What is wrong, without where.

    Args:
        kind: the settings, or the section of them, in which the keys are.
        keys: those that lead to the value.
        detail: the error, as pydantic tells it.
    """
    problem = str(detail["type"])
    if problem == "extra_forbidden":
        section = _at(kind, keys[:-1])[1] or kind
        what = "section" if isinstance(detail["input"], dict) else "key"
        known = ", ".join(name for name in section.model_fields if name != "stage")
        return f"unknown {what}" + (meant(str(keys[-1]), section.model_fields) or f"; known: {known}")
    if problem == "missing":
        return "is missing"
    field, _ = _at(kind, keys)
    return expectation(detail, secret=field is not None and SecretStr in _parts(field.annotation))


def expectation(detail: Any, *, secret: bool = False) -> str:
    """The value that was given, and what is expected in its place."""
    problem = str(detail["type"])
    if problem in ("value_error", "assertion_error"):
        return str(detail["ctx"]["error"])
    value = "***" if secret else _written(detail["input"])
    families = (problem, "_".join(problem.split("_")[:2]), problem.partition("_")[0])
    expected = next((EXPECTED[each] for each in families if each in EXPECTED), None)
    if expected is None:
        return f"{detail['msg'].removeprefix('Input should be ')}, not {value}"
    expected = re.sub(r"\b1 (value|character)s", r"1 \1", expected.format(**detail.get("ctx", {})))
    return f"{expected} is expected, not {value}"


def all_variables(kind: type[BaseModel]) -> Iterator[str]:
    """The names of the environment variables of all settings, without the package's prefix."""
    for name, field in kind.model_fields.items():
        section = _section(field)
        yield name.upper()
        if section:
            yield from (f"{name.upper()}__{inner}" for inner in all_variables(section))


def open_variables(kind: type[BaseModel]) -> Iterator[str]:
    """Those of `all_variables` under which any other may be, as their section takes every key."""
    for name, field in kind.model_fields.items():
        section = _section(field)
        if section and section.model_config.get("extra") == "allow":
            yield name.upper()
        elif section:
            yield from (f"{name.upper()}__{inner}" for inner in open_variables(section))
        elif any(get_origin(part) is dict for part in _parts(field.annotation)):
            yield name.upper()


def _at(kind: type[BaseModel], keys: tuple[Any, ...]) -> tuple[FieldInfo | None, type[BaseModel] | None]:
    """The field that the keys lead to, and the section that it is."""
    field: FieldInfo | None = None
    section: type[BaseModel] | None = kind
    for key in keys:
        field = section.model_fields.get(str(key).lower(), field) if section else field  # the same for an element
        section = _section(field) if field else None
    return field, section


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field is; nothing where it is a value."""
    found = [part for part in _parts(field.annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return found[0] if found else None


def _parts(annotation: Any) -> list[Any]:
    """A type, and all that it is made of."""
    return [annotation, *(part for each in get_args(annotation) for part in _parts(each))]


def _written(value: Any) -> str:
    """A value as it stands in a file, without a password."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    text = re.sub(r"(://[^:/@\s]*:)[^@\s]*@", r"\1***@", text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
