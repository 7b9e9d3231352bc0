"""Shards: a step's work, split into parts that different processes do."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .notes import noting

if TYPE_CHECKING:
    from .runs import Run
    from .settings import StageSettings


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of the rows of a table, counted from 0."""

    number: int
    count: int

    def of(self, size: int) -> slice:
        """Its part of that many rows; the parts of all shards are the rows in their order, each of them once."""
        return slice(size * self.number // self.count, size * (self.number + 1) // self.count)

    def __str__(self) -> str:
        return f"{self.number}-of-{self.count}"


def all_of(count: int) -> list[Shard]:
    """The shards of a step that is split into `count` parts."""
    return [Shard(number, count) for number in range(count)]


def by_shard(step: Callable[..., None]) -> bool:
    """Whether a step does its work in shards: then it takes one, after the run and the settings."""
    return len(inspect.signature(step).parameters) > 2


def perform(step: Callable[..., None], run: "Run", settings: "StageSettings") -> None:
    """All of a step's work, here."""
    with noting(run.record):
        if by_shard(step):
            for shard in run.shards:
                step(run, settings, shard)
        else:
            step(run, settings)
