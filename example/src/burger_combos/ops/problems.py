"""What a person can mend: told in one line, without a traceback."""

import errno
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

REFUSED = 3  # the exit code of a run that was refused: another attempt would be, too


class Problem(Exception):
    """Something outside the code is wrong; the message names the file, the key or the row."""


class Refused(Problem):
    """The run is sound, but its result is not good enough to publish."""


class Bug(Problem):
    """The code is wrong; the message says where, its notes the rest, and its cause is what was raised."""


class Stopped(SystemExit):
    """Somebody asked this process to stop; what it did is to be done again."""


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM raises Stopped here, so that what was begun is ended in order."""

    def stop(*_: object) -> None:
        raise Stopped(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """End the program with the problem's message on standard error and exit code 1, or REFUSED."""
    try:
        yield
    except Problem as problem:
        print(f"error: {problem}", *getattr(problem, "__notes__", ()), sep="\n", file=sys.stderr)
        sys.exit(REFUSED if isinstance(problem, Refused) else 1)
    except OSError as error:
        if not (told := outside(error)):
            raise
        sys.exit(f"error: {told}")


def outside(error: BaseException) -> str:
    """What is wrong outside the code, in a line; nothing where the code is to blame."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return f"{error.filename or 'writing'}: {error.strerror}"
    return str(error) if isinstance(error, Problem) else ""


def one_line(error: BaseException) -> str:
    """The line of the error's message that says what is wrong; the others are advice and echoes."""
    text = str(error)
    return (text.partition("ERROR:")[2] or text).strip().partition("\n")[0].rstrip(": ")


def meant(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Which of the known names may be meant, as the end of a complaint; nothing where none is like it."""
    names = {each.lower(): prefix + each for each in known}
    begun = [each for each in names if name and each.startswith(name.lower())]
    like = begun or get_close_matches(name.lower(), names, 1)
    return f"; {names[like[0]]} is meant?" if like else ""
