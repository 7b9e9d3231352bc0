"""What was unusual in a run's input, as its record knows it, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .runs import Record


@dataclass(frozen=True)
class Finding:
    """Something unusual in a table."""

    kind: str  # fresh, rows, nulls, new, gone, moved
    column: str  # empty: the table as a whole
    text: str  # what was found, beside what is usual
    value: str = ""  # the category

    def is_like(self, other: "Finding") -> bool:
        """Whether both are one fault, perhaps on two days."""
        return (self.kind, self.column, self.value) == (other.kind, other.column, other.value)


@dataclass(frozen=True)
class OfTable:
    """A finding, and the table that it is of."""

    table: str
    finding: Finding

    def __str__(self) -> str:
        return f"{self.table}: {self.finding.text}"

    def is_like(self, other: "OfTable") -> bool:
        """Whether both are one fault, perhaps on two days."""
        return self.table == other.table and self.finding.is_like(other.finding)


def found(record: Record) -> list[OfTable]:
    """All that was unusual in a run's input."""
    tables: dict[str, dict[str, Any]] = record.profile
    return [OfTable(name, Finding(**each)) for name, table in tables.items() for each in table["findings"]]


def in_words(record: Record) -> str:
    """What came of looking at a run's input; nothing where nobody did."""
    if unusual := found(record):
        return "; ".join(map(str, unusual))
    if not record.profile:
        return ""
    return (
        "as usual" if any(each["compared_with"] for each in record.profile.values()) else "nothing to compare it with"
    )


def sentence(record: Record, unusual: Sequence[OfTable]) -> str:
    """What is unusual, for which day, and what to do."""
    told = "; ".join(map(str, unusual))
    return f"the input for {record.date} is unusual: {told}: see whether the source is right"
