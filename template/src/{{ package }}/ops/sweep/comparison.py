"""What came of a sweep's trials: which are comparable, which is the best, and what that is worth."""

import math
from dataclasses import dataclass, field
from typing import Any

from ..metrics import Metric, words
from ..plots import distinct_digits
from ..runs import Run, sweeps
from ..settings import Runs
from .plan import Plan, compared

CLOSE = 1e-9  # by which share values may differ that are taken for the same, ...
ALIKE = 1e-6  # ... and those of a baseline, which is computed anew in each trial


@dataclass(frozen=True)
class Outcome:
    """What came of a trial."""

    index: int
    run_id: str
    settings: dict[str, Any]
    seconds: float
    metric: Metric | None
    problem: str = ""  # why it is not compared
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """All trials of a sweep: those that are compared, the best one first, and the others."""

    now: Outcome  # under the settings of now
    ranked: list[Outcome]
    left_out: list[Outcome]

    @property
    def best(self) -> list[Outcome]:
        """The trials with the best value; where the settings of now have it, these come first."""
        first = self.ranked[0]
        return [each for each in self.ranked if _same(value_of(each), value_of(first))]

    @property
    def alike(self) -> bool:
        """Whether all that are compared have the same value."""
        return len(self.best) == len(self.ranked)

    def line(self) -> str:
        """The best value beside that of the settings of now, and beside the best baseline's."""
        metric, baseline = metric_of(self.now), metric_of(self.now).best_baseline()
        values = [value_of(self.best[0]), metric.value, *([baseline[1]] if baseline else [])]
        best, now, *others = distinct_digits(values)
        told = f"{metric.label} {best} instead of {now}"
        return told + (f", baseline {words(baseline[0])} {others[0]}" if baseline else "")


def compare(plan: Plan, runs: Runs) -> Comparison:
    """Compare the trials of a sweep, the first of which has measured the metric.

    Args:
        plan: that of the sweep.
        runs: where the runs are, beside which the sweep is.
    """
    found = [_outcome(plan, runs, index) for index in range(len(plan.trials))]
    now = found[0]
    judged = [now, *(_beside(each, now) for each in found[1:])]
    ranked = [each for each in judged if not each.problem]
    sign = -1 if metric_of(now).better == "higher" else 1
    ranked.sort(key=lambda each: (sign * value_of(each), each.index))
    return Comparison(now, ranked, [each for each in judged if each.problem])


def metric_of(outcome: Outcome) -> Metric:
    """The metric of a trial that has measured it."""
    assert outcome.metric is not None
    return outcome.metric


def value_of(outcome: Outcome) -> float:
    """Its value."""
    return metric_of(outcome).value


def _outcome(plan: Plan, runs: Runs, index: int) -> Outcome:
    run_id = plan.run_id(index)
    about = (index, run_id, plan.trials[index])
    if not Run.exists(sweeps(runs), run_id):
        return Outcome(*about, 0, None, "did not begin")
    run = Run.open(sweeps(runs), run_id)
    record, metric = run.record, compared(plan, run)
    problem = "" if record.status == "ok" else record.problem or f"did not end: its status is {record.status}"
    return Outcome(*about, record.seconds, metric, problem, record.data)


def _beside(one: Outcome, now: Outcome) -> Outcome:
    """A trial with the reason why it cannot be compared with the settings of now, where there is any."""
    problem = one.problem or _other_data(one, now) or _other_question(metric_of(one), metric_of(now))
    return Outcome(one.index, one.run_id, one.settings, one.seconds, one.metric, problem, one.data)


def _other_data(one: Outcome, now: Outcome) -> str:
    mine, theirs = (each.data.get("hash", "") for each in (one, now))
    if mine == theirs:
        return ""
    known = [each or "unknown" for each in (mine, theirs)]
    return f"not compared: it has read other data, hash {known[0]}; with the settings of now it was {known[1]}"


def _other_question(one: Metric, now: Metric) -> str:
    """Whether a metric is of something else, as of another hold-out: a baseline knows nothing of a model's settings."""
    if one.better != now.better or one.baselines.keys() != now.baselines.keys():
        return "not compared: it measures in another direction or beside other baselines than the settings of now"
    for name, value in one.baselines.items():
        if not _same(value, now.baselines[name], ALIKE):
            mine, theirs = distinct_digits([value, now.baselines[name]])
            return (
                f"not compared: baseline {words(name)} is {mine}, and {theirs} with the settings of now: what is "
                "measured is another thing, as with another hold-out; leave out the setting that changes it"
            )
    return ""


def _same(one: float, other: float, share: float = CLOSE) -> bool:
    return math.isclose(one, other, rel_tol=share, abs_tol=CLOSE)
