"""Objects as some of kubectl's commands send them, `create job` among them: in protobuf.

What a field is, its schema says; its number `published.py`.
"""

import base64
from collections.abc import Iterator
from typing import Any

from .kinds import OF_KIND, Object, bad, unknown
from .published import KNOWN, Number, field, full, inner, short

MAGIC = b"k8s\0"


def read(content: bytes) -> Object:
    """The object of a request.

    Raises:
        Refused: the stand-in does not know it.
    """
    if not content.startswith(MAGIC):
        raise bad("no object in protobuf")
    whole = dict(_fields(content[len(MAGIC) :]))
    typed = {number: text.decode() for number, text in _fields(whole[1])}
    if typed[2] not in OF_KIND or not any(each.number for each in KNOWN[typed[2]].values()):
        raise unknown(f"{typed[2]} in protobuf; in JSON it comes by kubectl create --dry-run=client -o json")
    return {"apiVersion": typed[1], "kind": typed[2], **_message(whole[2], full(OF_KIND[typed[2]]))}


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """The numbers and values of a message."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = content[place]
            value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
            if byte < 128:
                return value

    while place < len(content):
        number, how = divmod(varint(), 8)
        if how == 0:
            yield number, varint()
        elif how == 2:
            length = varint()
            yield number, content[place : place + length]
            place += length
        else:
            raise bad(f"protobuf's wire type {how}")


def _message(content: bytes, of: str, above: Number = ()) -> Object:
    """The fields of a message of a type, or of one in it whose fields are its own."""
    read: Object = {}
    numbers = {known.number: name for name, known in KNOWN[short(of)].items() if known.number}
    for number, value in _fields(content):
        path = (*above, number)
        if path in numbers:
            schema = field(numbers[path], of)
            held = _value(value, schema.get("items") or schema)
            if "items" in schema:
                read.setdefault(numbers[path], []).append(held)
            elif "additionalProperties" in schema:
                read.setdefault(numbers[path], {}).update(held)
            elif held != "":
                read[numbers[path]] = held
        elif any(each[: len(path)] == path for each in numbers):
            read |= _message(value, of, path)
        elif _says(value):
            raise unknown(f"field {number} of {short(of)}")
    return read


def _says(value: Any) -> bool:
    return bool(value) and (isinstance(value, int) or any(_says(each) for _, each in _fields(value)))


def _value(value: Any, schema: Object) -> Any:
    if "additionalProperties" in schema:
        parts = dict(_fields(value))
        return {parts.get(1, b"").decode(): _value(parts.get(2, b""), schema["additionalProperties"])}
    if short(its := inner(schema)) == "Quantity":
        return dict(_fields(value))[1].decode()
    if its:
        return _message(value, its)
    kinds = schema["type"]
    if "boolean" in kinds or "integer" in kinds:
        return bool(value) if "boolean" in kinds else value
    return base64.b64encode(value).decode() if schema.get("format") == "byte" else value.decode()
