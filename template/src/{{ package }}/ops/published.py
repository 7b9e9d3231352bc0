"""What a project publishes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table that the pipeline fills.

    Attributes:
        name: the table's.
        key: the columns that tell its rows of a stage and a day apart.
        order_by: the columns that a person would sort it by.
    """

    name: str
    key: tuple[str, ...]
    order_by: tuple[str, ...] = ()
