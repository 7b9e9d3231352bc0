"""What a step says of its result: counts, metrics and charts, in the record of its run."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from typing import TYPE_CHECKING, Any

from . import chart_data
from .metrics import Better, Metric
from .problems import Problem

if TYPE_CHECKING:
    from .runs import Record
    from .shards import Part


class Measuring:
    """The part of a run that measures."""

    record: "Record"
    part: "Part | None" = None  # what the shard adds that is at work, in a step that is split
    names: list[str] | None = None  # of the counts and metrics that the step at work has noted so far
    asked = False  # whether the step at work has asked which rows are held out
    measured_otherwise: frozenset[str] = frozenset()  # the metrics of steps that have not, in this process

    def count(self, name: str, value: int) -> None:
        """Note a count; in a step that is split, the counts of the shards add up.

        Raises:
            Problem: the value is not a whole number.
        """
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise Problem(f"count {name} is {value!r}, not a whole number: run.measure is for other numbers")
        self.record.numbers[name] = int(value)
        if self.names is not None and name not in self.names:
            self.names.append(name)

    def measure(
        self,
        name: str,
        value: float,
        *,
        better: Better,
        baselines: Mapping[str, float] | None = None,
        weight: float | None = None,
    ) -> None:
        """Note a metric; the first that a run measures is the one that counts, unless `deploy.metric` names another.

        Args:
            name: what the metric is called, as `average_precision`.
            value: the model's.
            better: whether a higher or a lower value is better.
            baselines: the value of each simple method that the model has to beat, by its name, shown as it is.
            weight: in a step that is split: how much the shard's value counts in the mean of all shards, such as the
                number of rows that it was measured on. A shard without any measures nothing.

        Raises:
            Problem: a value is not finite, the step has measured it before, or it is split and there is no weight.
        """
        metric = Metric(name, value, better, baselines or {})
        if self.names is not None:
            if name in self.names:
                raise Problem(f"metric {name} is measured twice in one step: give each its own name")
            self.names.append(name)
        if not self.asked:
            self.measured_otherwise |= {name}
        if self.part:
            self.part.measure(metric, weight)
        else:
            self.note(metric)

    def metric(self, name: str) -> Metric:
        """What was measured under a name.

        Raises:
            Problem: nothing was.
        """
        if name not in self.record.metrics:
            known = ", ".join(self.record.metrics) or "none"
            raise Problem(f"metric {name} is not measured in this run; measured: {known}")
        return Metric.from_dict(name, self.record.metrics[name])

    def note(self, metric: Metric) -> None:
        """Put a metric into the record; its value is among the numbers, too."""
        self.record.metrics[metric.name] = metric.to_dict()
        self.record.numbers[metric.name] = metric.value

    def bars(self, title: str, values: Mapping[Any, float]) -> None:
        """Show bars in the report, one for each label; see `chart_data.bars`."""
        self._show(title, chart_data.bars(title, values))

    def lines(self, title: str, labels: Iterable[Any], series: Mapping[str, Iterable[float | None]]) -> None:
        """Show lines in the report, such as what was forecast beside what came; see `chart_data.lines`."""
        self._show(title, chart_data.lines(title, labels, series))

    def points(self, title: str, series: Mapping[str, Iterable[tuple[float, float]]], *, x: str, y: str) -> None:
        """Show points or curves of two numbers in the report, such as a calibration; see `chart_data.points`."""
        self._show(title, chart_data.points(title, series, x, y))

    def matrix(self, title: str, rows: Mapping[Any, Mapping[Any, float]]) -> None:
        """Show a table of numbers in the report, such as what was taken for what; see `chart_data.matrix`."""
        self._show(title, chart_data.matrix(title, rows))

    @contextmanager
    def measuring(self) -> Iterator[list[str]]:
        """A step at work, which may measure a name once; yields the names of what it notes."""
        names: list[str] = []
        self.names, self.asked = names, False
        try:
            yield names
        finally:
            self.names = None

    def replace_numbers(self, step: str, names: list[str]) -> None:
        """Keep which counts and metrics a step has noted; what it noted when it was done before, and not now, goes."""
        for name in self.record.given.get(step, []):
            if name not in names:
                self.record.numbers.pop(name, None)
                self.record.metrics.pop(name, None)
        if names:
            self.record.given[step] = names
        else:
            self.record.given.pop(step, None)

    def refuse_in_shard(self, what: str, advice: str) -> None:
        """Refuse what only one process can do.

        Raises:
            Problem: the step at work is split into shards.
        """
        if self.part:
            raise Problem(f"step {self.part.step} is split into shards, so it cannot have {what}: {advice}")

    def _show(self, title: str, chart: chart_data.Chart) -> None:
        self.refuse_in_shard(f"the chart {title!r}", "make it in a step that is not split, as the next one")
        self.record.charts[title] = chart
