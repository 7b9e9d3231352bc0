"""What a gate of the project finds, and what follows from it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import structlog

from .metrics import Metric
from .problems import Refused

if TYPE_CHECKING:
    from .runs import Run

TURNED_OUT = "as it turned out"  # the gate of review.py, whose verdict stands beside those of the project's gate
log = structlog.get_logger()


@dataclass(frozen=True)
class Verdict:
    """What a gate found.

    Attributes:
        gate: the gate's name.
        passed: whether the result may be published, as far as this gate is concerned.
        finding: what was found and what is demanded, in one line.
        margin: what was found, as a multiple of what is demanded; None where there is no such ratio.
    """

    gate: str
    passed: bool
    finding: str
    margin: float | None = None


def better_than_baselines(metric: Metric, min_lift: float) -> Verdict:
    """Whether a model is better than the best of its baselines, in the direction of the metric.

    A metric without a baseline fails: there is nothing that the model was better than.

    Args:
        metric: what was measured.
        min_lift: the lift has to be above it: value / baseline where higher is better, baseline / value where lower is.
    """
    gate = "better than a baseline"
    if metric.best_baseline() is None:
        advice = f'run.measure("{metric.name}", …, baselines={{"name": value}}) gives one'
        return Verdict(gate, False, f"{metric.label} has no baseline to compare with: {advice}")
    lift = metric.lift()
    found = metric.in_short()
    if metric.better == "lower":
        found += " (less is better)"
    if lift is not None and math.isfinite(lift):
        found += f": lift {lift:.3g}"
    margin = lift / min_lift if lift is not None and math.isfinite(lift) and min_lift > 0 else None
    return Verdict(gate, metric.beats_baselines(min_lift), f"{found}; min_lift is {min_lift:g}", margin)


def add(run: "Run", verdict: Verdict) -> None:
    """Log a verdict, and keep it in the run's record beside those that are there."""
    others = [each for each in run.record.facts.get("gates", []) if each["gate"] != verdict.gate]
    run.record.facts["gates"] = [*others, asdict(verdict)]
    _tell(verdict)


def enforce(run: "Run", verdicts: Sequence[Verdict]) -> None:
    """Log each verdict, keep them in the run's record, and end the run at the first that failed.

    Raises:
        Refused: a verdict failed.
        Problem: the step is split into shards, each of which would judge by itself.
    """
    run.refuse_in_shard("enforce", "enforce verdicts in a step of its own")
    others = [each for each in run.record.facts.get("gates", []) if each["gate"] == TURNED_OUT]
    run.record.facts["gates"] = [*others, *(asdict(verdict) for verdict in verdicts)]
    for verdict in verdicts:
        _tell(verdict)
    for verdict in verdicts:
        if not verdict.passed:
            raise Refused(f"the gate {verdict.gate!r} refuses: {verdict.finding}")


def _tell(verdict: Verdict) -> None:
    tell = log.info if verdict.passed else log.warning
    tell("gate", name=verdict.gate, passed=verdict.passed, finding=verdict.finding)
