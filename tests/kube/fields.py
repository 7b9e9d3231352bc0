"""Fields of objects: paths, selectors, patches and who owns what of an object that is applied."""

import re
from collections.abc import Iterator
from typing import Any

import jsonpatch

from .kinds import Object, Refused, bad, unknown

Path = tuple[str, ...]
Owned = dict[Path, str]  # the field manager of each field; a list is one field


def at(tree: Any, path: str | Path, default: Any = None) -> Any:
    """What stands at a path, `spec.template` or its parts."""
    for part in path.split(".") if isinstance(path, str) else path:
        if not isinstance(tree, dict) or tree.get(part) is None:
            return default
        tree = tree[part]
    return tree


def leaves(tree: Object, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """All fields that hold a value, as their paths and values."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def selected(selector: str, labels: dict[str, str]) -> bool:
    """Whether labels are among those that a label selector means."""
    held = [_holds(term, labels) for term in re.split(r",(?![^(]*\))", selector)] if selector else []
    return all(held)


def _holds(term: str, labels: dict[str, str]) -> bool:
    if found := re.fullmatch(r"\s*(\S+)\s+(in|notin)\s+\((.*)\)\s*", term):
        key, word, values = found.groups()
        return (labels.get(key) in [value.strip() for value in values.split(",")]) == (word == "in")
    if found := re.fullmatch(r"\s*([\w./-]+)\s*(!?=)=?\s*([\w.-]*)\s*", term):
        return (labels.get(found[1]) == found[3]) == (found[2] == "=")
    if found := re.fullmatch(r"\s*(!?)\s*([\w./-]+)\s*", term):
        return (found[2] in labels) == (not found[1])
    raise bad(f"unable to parse requirement: {term!r}")


def field_selected(selector: str, thing: Object, allowed: tuple[str, ...]) -> bool:
    """Whether an object is among those that a field selector means."""
    holds = True
    for term in filter(None, selector.split(",")):
        found = re.fullmatch(r"([\w.]+)(!?=)=?(.*)", term)
        if not found or found[1] not in ("metadata.name", "metadata.namespace", *allowed):
            raise bad(f"field label not supported: {term}")
        holds &= (str(at(thing, found[1], "")) == found[3]) == (found[2] == "=")
    return holds


def merged(thing: Any, patch: Any) -> Any:
    """A JSON merge patch, applied."""
    if not isinstance(patch, dict):
        return patch
    result = dict(thing) if isinstance(thing, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def patched(thing: Object, operations: list[Object]) -> Object:
    """A JSON patch, applied: add, replace, remove and test."""
    for operation in operations:
        if operation["op"] not in ("add", "replace", "remove", "test"):
            raise unknown(f"the JSON patch operation {operation['op']}")
    try:
        result: Object = jsonpatch.apply_patch(thing, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as problem:
        raise Refused(422, "Invalid", f"the server rejected our request: {problem}") from problem
    return result


def strategic(thing: Object, patch: Object) -> Object:
    """A strategic merge patch, as far as it is a JSON merge patch."""
    for path, value in leaves(patch):
        if isinstance(value, list) or any(part.startswith("$") for part in path):
            raise unknown(f"strategic merge patches of lists: {'.'.join(path)}")
    result: Object = merged(thing, patch)
    return result


def applied(thing: Object, given: Object, owned: Owned, manager: str, force: bool) -> tuple[Object, Owned]:
    """An object with the fields that a manager applies, and who owns its fields then.

    What the manager applied before and does not any more goes.

    Raises:
        Refused: others own fields to which the manager gives another value.
    """
    wanted = dict(leaves(given))
    theirs = {path: who for path, who in owned.items() if path in wanted and who != manager}
    differ = {path: who for path, who in theirs.items() if at(thing, path) != wanted[path]}
    if differ and not force:
        told = ", ".join(f'conflict with "{who}": .{".".join(path)}' for path, who in differ.items())
        raise Refused(409, "Conflict", f"Apply failed with {len(differ)} conflict{'s'[: len(differ) > 1]}: {told}")
    kept = {path: who for path, who in owned.items() if who != manager}
    gone: Object = {}
    for path in [path for path, who in owned.items() if who == manager and path not in wanted]:
        if not any(each[: len(path)] == path for each in (*wanted, *kept)):
            place = gone
            for part in path[:-1]:
                place = place.setdefault(part, {})
            place[path[-1]] = None
    return merged(merged(thing, gone), given), kept | dict.fromkeys(wanted, manager)


def changed(before: Object, after: Object, owned: Owned, manager: str) -> Owned:
    """Who owns the fields after a manager has changed an object."""
    old, new = dict(leaves(before)), dict(leaves(after))
    mine = {path: manager for path, value in new.items() if path not in old or old[path] != value}
    return {path: who for path, who in owned.items() if path in new} | mine
