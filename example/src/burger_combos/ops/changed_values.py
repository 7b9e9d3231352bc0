"""What a step changed in the values that it read: into the log and into the run's record."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from .runs import Record

Changed = dict[str, dict[str, int]]  # of each column: how many values were changed, and how

log = structlog.get_logger()
_record: ContextVar["Record | None"] = ContextVar("_record", default=None)
_collected: ContextVar[Changed | None] = ContextVar("_collected", default=None)


@contextmanager
def noting(record: "Record") -> Iterator[None]:
    """Keep what is noted meanwhile in this record."""
    token = _record.set(record)
    try:
        yield
    finally:
        _record.reset(token)


@contextmanager
def collecting() -> Iterator[Changed]:
    """Keep what is noted meanwhile in what this yields, and nowhere else: it is that of a part of the rows."""
    changed: Changed = {}
    token = _collected.set(changed)
    try:
        yield changed
    finally:
        _collected.reset(token)


def note_changed(column: str, change: str, values: int) -> None:
    """Say how many values of a column were changed, and how; what the same step noted before is replaced."""
    if (collected := _collected.get()) is not None:
        collected.setdefault(column, {})[change] = values
        return
    if values:
        log.info("changed", column=column, change=change, values=values)
    record = _record.get()
    if record is None or not (values or "changed" in record.facts):
        return
    changed = record.facts.get("changed", {})
    mine = {**changed.get(column, {}), change: values}
    changed = {**changed, column: {name: count for name, count in mine.items() if count}}
    record.facts["changed"] = {name: counts for name, counts in changed.items() if counts}
    record.numbers["values_changed"] = sum(sum(counts.values()) for counts in record.facts["changed"].values())
