"""What a step changed in the values that it read: into the log and into the run's record."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from .runs import Record

log = structlog.get_logger()
_record: ContextVar["Record | None"] = ContextVar("_record", default=None)


@contextmanager
def noting(record: "Record") -> Iterator[None]:
    """Keep what is noted meanwhile in this record."""
    token = _record.set(record)
    try:
        yield
    finally:
        _record.reset(token)


def note_changed(column: str, change: str, values: int) -> None:
    """Say how many values of a column were changed, and how; what the same step noted before is replaced."""
    if values:
        log.info("changed", column=column, change=change, values=values)
    if (record := _record.get()) is None:
        return
    changed = record.facts.setdefault("changed", {})
    changed.setdefault(column, {})[change] = values
    record.facts["changed"] = {
        name: kept for name, each in changed.items() if (kept := {k: n for k, n in each.items() if n})
    }
    record.numbers["values_changed"] = sum(n for each in record.facts["changed"].values() for n in each.values())
