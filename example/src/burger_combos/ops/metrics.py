"""A metric: its value, which direction is better, and its baselines. Every comparison of metrics is made here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from .plots import distinct_digits
from .problems import Problem

if TYPE_CHECKING:
    from .runs import Record

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Metric:
    """How good a model is, by one measure.

    Attributes:
        name: what the metric is called, as `average_precision`.
        value: the model's.
        better: whether a higher or a lower value is better.
        baselines: the value of each simple method that the model has to beat, by the method's name.

    Raises:
        Problem: a value is not a finite number, or the direction is unknown.
    """

    name: str
    value: float
    better: Better
    baselines: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.better not in get_args(Better):
            raise Problem(f'metric {self.name}: better is {self.better!r}; it is "higher" or "lower"')
        object.__setattr__(self, "value", _finite(self.value, f"metric {self.name}"))
        checked = {
            name: _finite(value, f"metric {self.name}: baseline {name}") for name, value in self.baselines.items()
        }
        object.__setattr__(self, "baselines", checked)

    @property
    def label(self) -> str:
        """The name as people write it."""
        return words(self.name)

    def is_better(self, one: float, other: float) -> bool:
        """Whether one value is strictly better than another."""
        return one > other if self.better == "higher" else one < other

    def best_baseline(self) -> tuple[str, float] | None:
        """The name and the value of the baseline that is hardest to beat; None where there is none."""
        if not self.baselines:
            return None
        choose = max if self.better == "higher" else min
        return choose(self.baselines.items(), key=lambda each: each[1])

    def lift(self) -> float | None:
        """How many times better than the best baseline the model is; more than 1 is better, in both directions.

        Returns:
            value / baseline where higher is better, baseline / value where lower is. None where there is no baseline,
            and where the values are such that a ratio says nothing: a negative one, or both zero.
        """
        best = self.best_baseline()
        if best is None or min(self.value, best[1]) < 0:
            return None
        over, under = (self.value, best[1]) if self.better == "higher" else (best[1], self.value)
        if under == 0:
            return math.inf if over > 0 else None
        return over / under

    def beats_baselines(self, min_lift: float) -> bool:
        """Whether the lift over the best baseline is above `min_lift`.

        Where a ratio says nothing, the value has to be better than the baseline by (min_lift - 1) times its size.
        """
        best = self.best_baseline()
        if best is None:
            return False
        lift = self.lift()
        if lift is not None:
            return lift > min_lift
        distance = (min_lift - 1) * abs(best[1])
        return self.is_better(self.value, best[1] + (distance if self.better == "higher" else -distance))

    def good_enough_beside(self, theirs: float, share: float) -> bool:
        """Whether the value is as good as another one, but for a tolerance of (1 - share) times the other's size.

        A value that is not finite is never good enough, and nothing is good enough beside one.
        """
        if not math.isfinite(theirs):
            return False
        tolerance = (1 - share) * abs(theirs)
        if self.better == "higher":
            return self.value >= theirs - tolerance
        return self.value <= theirs + tolerance

    def in_short(self) -> str:
        """The value beside the best baseline's, in a few words."""
        best = self.best_baseline()
        if best is None:
            return f"{self.label} {distinct_digits([self.value])[0]}"
        mine, theirs = distinct_digits([self.value, best[1]])
        return f"{self.label} {mine}, baseline {words(best[0])} {theirs}"

    def to_dict(self) -> dict[str, Any]:
        """The metric as a record keeps it, under its name."""
        return {"value": self.value, "better": self.better, "baselines": dict(self.baselines)}

    @classmethod
    def from_dict(cls, name: str, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(name, values["value"], values["better"], values["baselines"])


def measured(metrics: Mapping[str, Mapping[str, Any]], wanted: str = "") -> Metric | None:
    """The metric that counts: the wanted one, or the first where none is named; None where it is not measured.

    Args:
        metrics: those of a record.
        wanted: what `deploy.metric` says.
    """
    name = wanted or next(iter(metrics), "")
    return Metric.from_dict(name, metrics[name]) if name in metrics else None


def headline(record: "Record", wanted: str = "") -> str:
    """How good a run's result is, in a few words; empty where the metric that counts is not measured."""
    metric = measured(record.metrics, wanted)
    return metric.in_short() if metric else ""


def all_of(record: "Record", wanted: str = "") -> list[Metric]:
    """The metrics of a record, the one that counts first."""
    found = [Metric.from_dict(name, values) for name, values in record.metrics.items()]
    return sorted(found, key=lambda metric: metric.name != wanted)


def value_of(record: "Record", name: str) -> float | None:
    """A metric's value in a record, which may be of a release that kept numbers only."""
    found = record.metrics.get(name, {}).get("value", record.numbers.get(name))
    return None if found is None else float(found)


def words(name: str) -> str:
    """A name as people write it."""
    return name.replace("_", " ")


def _finite(value: Any, what: str) -> float:
    if not isinstance(value, Real) and not hasattr(value, "item"):
        raise Problem(f"{what} is {value!r}, not a number")
    number = float(value)
    if not math.isfinite(number):
        raise Problem(f"{what} is {number}: measure a finite number, or do not measure it where it cannot be computed")
    return number
