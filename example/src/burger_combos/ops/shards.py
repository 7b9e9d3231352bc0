"""Shards: a step's work, split into parts that different processes do.

What the parts of a step say of their result is joined by one function, whether one process does all parts or several
do: counts add up, metrics are weighted means. Anything else is refused, as it would depend on which part came last.
"""

import inspect
import math
from collections import ChainMap
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any, cast

from .changed_values import noting
from .metrics import Metric
from .problems import Problem

if TYPE_CHECKING:
    from .runs import Run
    from .settings import StageSettings

WHOLE = ("charts", "facts", "headline", "reviews")  # what of a record only a step that is not split may change


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


@dataclass
class Part:
    """What a shard adds to the record of its run."""

    step: str
    counts: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)  # each with its weight

    def measure(self, metric: Metric, weight: float | None) -> None:
        """Note a metric of this part.

        Raises:
            Problem: there is no weight, or it is not a finite number above nothing.
        """
        if weight is None:
            raise Problem(
                f"step {self.step} is split into shards, so metric {metric.name} needs a weight for the mean of all "
                f"shards: run.measure({metric.name!r}, …, weight=rows), or measure it in a step that is not split"
            )
        if not (math.isfinite(weight) and weight > 0):
            raise Problem(f"step {self.step}: metric {metric.name}: weight is {weight:g}; it has to be above 0")
        self.metrics[metric.name] = {**metric.to_dict(), "weight": float(weight)}


@dataclass(frozen=True)
class Joined:
    """What all parts of a step add to the record of their run."""

    counts: dict[str, int]
    metrics: list[Metric]


def all_of(count: int) -> list[Shard]:
    """The shards of a step that is split into `count` parts."""
    return [Shard(number, count) for number in range(count)]


def by_shard(step: Callable[..., None]) -> bool:
    """Whether a step does its work in shards: then it takes one, after the run and the settings."""
    return len(inspect.signature(step).parameters) > 2


def perform(step: Callable[..., None], run: "Run", settings: "StageSettings") -> None:
    """All of a step's work, here.

    Raises:
        Problem: the step is split and says what cannot be joined.
    """
    if by_shard(step):
        parts = [do_part(step, run, settings, shard) for shard in run.shards]
        run.take_over(step.__name__, joined(parts))
        return
    with noting(run.record), run.measuring() as names:
        step(run, settings)
    run.replace_numbers(step.__name__, names)


def do_part(step: Callable[..., None], run: "Run", settings: "StageSettings", shard: Shard) -> Part:
    """A shard's part of a step; the record stays as it was, and knows nothing of it before all parts are there.

    Raises:
        Problem: the part says what cannot be joined.
    """
    record = run.record
    before = {name: deepcopy(getattr(record, name)) for name in WHOLE}
    numbers, mine = record.numbers, record.given.get(step.__name__, [])
    earlier = {name: value for name, value in numbers.items() if name not in mine}
    part = Part(step.__name__)
    record.numbers = cast(dict[str, float], ChainMap({}, earlier))  # what the part writes is told from what it reads
    run.part = part
    try:
        with run.measuring():
            step(run, settings, shard)
        for name in WHOLE:
            if getattr(record, name) != before[name]:
                raise Problem(
                    f"step {part.step} is split into shards, so it cannot change record.{name}, which would be the "
                    "last shard's: do that in a step that is not split, as the next one"
                )
        part.counts = _counts(part.step, record.numbers, earlier)
    finally:
        run.part, record.numbers = None, numbers
        for name, value in before.items():
            setattr(record, name, value)
    return part


def joined(parts: Sequence[Part]) -> Joined:
    """What the parts of a step say together: counts add up, metrics and their baselines are weighted means.

    Raises:
        Problem: the parts do not measure the same.
    """
    counts: dict[str, int] = {}
    found: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        for name, count in part.counts.items():
            counts[name] = counts.get(name, 0) + count
        for name, values in part.metrics.items():
            found.setdefault(name, []).append(values)
    return Joined(counts, [_mean(parts[0].step, name, values) for name, values in found.items()])


def _mean(step: str, name: str, found: list[dict[str, Any]]) -> Metric:
    first = found[0]
    for other in found[1:]:
        if other["better"] != first["better"] or other["baselines"].keys() != first["baselines"].keys():
            raise Problem(
                f"step {step}: the shards measure metric {name} in other directions or beside other baselines"
            )
    total = math.fsum(each["weight"] for each in found)

    def mean(values: Sequence[float]) -> float:
        return math.fsum(value * each["weight"] for value, each in zip(values, found, strict=True)) / total

    baselines = {known: mean([each["baselines"][known] for each in found]) for known in first["baselines"]}
    return Metric(name, mean([each["value"] for each in found]), first["better"], baselines)


def _counts(step: str, numbers: dict[str, float], earlier: dict[str, float]) -> dict[str, int]:
    """What a part has written: counts, each under a name of its own."""
    if isinstance(numbers, ChainMap):
        written = numbers.maps[0]
    else:  # somebody put another dictionary in its place
        written = {name: value for name, value in numbers.items() if earlier.get(name) != value}
    for name, value in written.items():
        if name in earlier:
            raise Problem(f"step {step} is split into shards, so it cannot change {name}, which an earlier step wrote")
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise Problem(
                f"step {step} is split into shards, so {name} cannot be {value!r}: whole numbers add up, a mean is "
                f'run.measure({name!r}, value, better="higher" or "lower", weight=rows)'
            )
    return {name: int(value) for name, value in written.items()}
