"""What a person can mend: told in one line, without a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Problem(Exception):
    """Something outside the code is wrong; the message names the file, the key or the row."""


class Refused(Problem):
    """The run is sound, but its result is not good enough to publish."""


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """End the program with the problem's message on standard error and exit code 1."""
    try:
        yield
    except Problem as problem:
        sys.exit(f"error: {problem}")


def one_line(error: BaseException) -> str:
    """The line of the error's message that says what is wrong; the others are advice and echoes."""
    text = str(error)
    return (text.partition("ERROR:")[2] or text).strip().partition("\n")[0].rstrip(": ")
