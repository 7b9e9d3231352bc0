"""What is wrong in the code: told by what it is and where it stands in one's own files."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from . import PREFIX
from .problems import Bug, Problem, Stopped, outside

WHOLE = PREFIX + "TRACEBACK"  # the environment variable that leaves errors as they are, to a debugger or to Python
PACKAGE = Path(__file__).parents[1]
LONGEST = 300  # characters of a message that a line shows
MORE = 4  # lines that are shown of a longer one


class Place(NamedTuple):
    """A line of the code."""

    file: str
    line: int
    function: str  # nothing where the file cannot be read as Python
    text: str


@contextmanager
def named(step: str = "", whole: str = f"{WHOLE}=1 in the environment shows the whole traceback") -> Iterator[None]:
    """Raise Bug for whatever goes wrong here and is no Problem.

    Args:
        step: the pipeline's, if this is one.
        whole: where the whole traceback is.
    """
    try:
        yield
    except (KeyboardInterrupt, Stopped):
        raise
    except BaseException as error:
        if outside(error) or os.environ.get(WHOLE) or (isinstance(error, SystemExit) and not step):
            raise
        raise bug(error, step, whole) from error


def bug(error: BaseException, step: str = "", whole: str = "") -> Bug:
    """The Bug that tells of an error: a line, and in its notes where it is, the code there, and where to read on."""
    found = Bug(summary(error, step))
    if place := _place(error):
        file = os.path.relpath(place.file) if Path(place.file).is_relative_to(Path.cwd()) else place.file
        found.add_note(f'  File "{file}", line {place.line}' + f", in {place.function}" * bool(place.function))
        if place.text:
            found.add_note(f"    {place.text}")
    for line in _message(error)[1 : MORE + 1]:
        found.add_note(f"  {line[:LONGEST]}")
    if whole:
        found.add_note(f"  {whole}")
    return found


def summary(error: BaseException, step: str = "") -> str:
    """An error in a line, as `train: KeyError: 'itm' (model.py:41)`; of a Bug or Problem its message."""
    if isinstance(error, Problem):
        return str(error)
    place = _place(error)
    message = "".join(_message(error)[:1]).strip()[:LONGEST]
    told = ": ".join(filter(None, (step, type(error).__name__, message)))
    return told + (f" ({_short(place.file)}:{place.line})" if place else "")


def _message(error: BaseException) -> list[str]:
    """The lines of what an error says."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _place(error: BaseException) -> Place | None:
    """The innermost line of one's own code; of the machinery, or of a library, where none of that had a part."""
    if isinstance(error, SyntaxError) and error.filename and PACKAGE in Path(error.filename).parents:
        return Place(error.filename, error.lineno or 0, "", (error.text or "").strip())
    frames = traceback.extract_tb(error.__traceback__)
    here = [frame for frame in frames if PACKAGE in Path(frame.filename).parents]
    own = [frame for frame in here if Path(__file__).parent not in Path(frame.filename).parents]
    for frame in reversed(own or here or frames):
        return Place(frame.filename, frame.lineno or 0, frame.name, frame.line or "")
    return None


def _short(file: str) -> str:
    path = Path(file)
    return path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name
