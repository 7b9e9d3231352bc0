"""What the terminal is, and what it is sent."""

import os
import sys
from io import TextIOWrapper
from typing import TextIO


def print_utf8() -> None:
    """Let this process print UTF-8 whatever the locale is, as files are written: names, signs, JSON, the report."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # None where it is closed
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def shows_colors(stream: TextIO) -> bool:
    """Whether a person reads the stream on a terminal that has colors, and wants them: https://no-color.org."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
