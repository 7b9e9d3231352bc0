"""A dry run: a trial of a version, which ends where a step would write to the database."""

from collections.abc import Iterator
from contextlib import contextmanager

from .problems import Problem

ROWS = "rows"  # what the size of a trial is counted in where no column is
_running = False


class WouldPublish(Problem):
    """A step wants to publish in a trial, which publishes nothing."""


@contextmanager
def no_writing() -> Iterator[None]:
    """Whatever would write to the database in here raises WouldPublish."""
    global _running
    _running = True
    try:
        yield
    finally:
        _running = False


def running() -> bool:
    """Whether this is a trial, in which nothing is written to the database."""
    return _running


def refuse_to_write() -> None:
    """Call this before anything is written to the database.

    Raises:
        WouldPublish: this is a trial.
    """
    if _running:
        raise WouldPublish("a trial publishes nothing")
