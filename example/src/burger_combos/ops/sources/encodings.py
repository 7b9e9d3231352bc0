"""How text is encoded: as the settings say, and as a byte order mark at its beginning has it."""

import codecs

from ..problems import Problem
from .files import File

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

_HEADER = 64  # bytes


def encoding_of(name: str, start: bytes, encoding: str) -> str:
    """The codec to read a text with.

    Args:
        name: the file, for messages.
        start: its first bytes.
        encoding: what it is said to be.

    Raises:
        Problem: there is no such encoding, or the text begins as another does.
    """
    try:
        "".encode(encoding)
    except LookupError:
        raise Problem(f"{name}: unknown encoding {encoding!r}") from None
    codec = codecs.lookup(encoding).name
    for mark, meant in _MARKS.items():
        if start.startswith(mark):
            if codec.startswith(meant):
                codec = meant  # which reads the mark, as utf-16-le does not
                break
            raise Problem(f'{name}: not in the encoding {encoding!r}: encoding = "{meant}", by its byte order mark')
    # A header of two bytes a sign is half zeros; one zero byte is dirt, which `values/text.py` takes out.
    if start[:_HEADER].count(0) > len(start[:_HEADER]) / 4 and not codec.startswith(("utf-16", "utf-32")):
        raise Problem(
            f'{name}: not in the encoding {encoding!r}: it holds zero bytes; is encoding = "utf-16-le" meant?'
        )
    return "utf-8-sig" if codec == "utf-8" else codec


def first_bad(file: File, encoding: str) -> str:
    """Where the first byte is that UTF-8 has not, and what may be meant."""
    if codecs.lookup(encoding).name.removesuffix("-sig") == "utf-8":
        with file.open() as lines:
            for number, line in enumerate(lines, 1):
                try:
                    line.decode()
                except UnicodeDecodeError as error:
                    return f': line {number} holds the byte 0x{line[error.start]:02x}; is encoding = "cp1252" meant?'
    return ""
