"""Yours: how good the model is, and what is good enough."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
)

from .model import Labels, Matrix, ModelSettings, Probabilities, fit, logistic_regression, probabilities, trees
from .ops.metrics import Metric
from .ops.settings import Section
from .ops.verdicts import Verdict, better_than_baselines

Better = Literal["higher", "lower"]
Points = list[tuple[float, float]]

METRICS: dict[str, Better] = {
    "average_precision": "higher",  # the one that counts: whether those who leave are at the top of the list
    "roc_auc": "higher",
    "log_loss": "lower",
    "brier_score": "lower",
}
MODEL, LOGISTIC, PRIOR = "model", "logistic regression", "prior"


class GateSettings(Section):
    """The section `[gate]` of a stage's settings: what is good enough to publish."""

    min_lift: NonNegativeFloat = 1.0  # the average precision has to be above this many times the better baseline's
    min_leavers: NonNegativeInt = 30  # a comparison that rests on fewer who left is chance
    unjudged: Literal["pass", "refuse"] = "refuse"  # what to do then


def backtest(
    features: Matrix, left: Labels, judged: Matrix, categorical: Sequence[int], settings: ModelSettings
) -> dict[str, Probabilities]:
    """Fit the model and its baselines to earlier examples, and have them judge later ones.

    Args:
        features: shape (examples, features), of the earlier examples.
        left: shape (examples,); both values have to occur.
        judged: shape (later examples, features).
        categorical: the columns that hold codes.
        settings: the model's.

    Returns:
        The probabilities of the later examples, shape (later examples,): by the model; by a logistic regression; and by
        the prior, which is the share of the earlier examples that left, for each of them.
    """
    contenders = {
        MODEL: trees(len(features), categorical, settings),
        LOGISTIC: logistic_regression(categorical, features.shape[1]),
    }
    for contender in contenders.values():
        fit(contender, features, left, settings.threads)
    predicted = {name: probabilities(each, judged, settings.threads) for name, each in contenders.items()}
    return predicted | {PRIOR: np.full(len(judged), left.mean())}


def score(left: Labels, predicted: Probabilities) -> dict[str, float]:
    """All of METRICS for the probabilities of examples, shape (examples,); both labels have to occur."""
    return {
        "average_precision": float(average_precision_score(left, predicted)),
        "roc_auc": float(roc_auc_score(left, predicted)),
        "log_loss": float(log_loss(left, predicted)),
        "brier_score": float(brier_score_loss(left, predicted)),
    }


def calibration(left: Labels, predicted: Probabilities, groups: int = 10) -> Points:
    """For groups of as many examples each, by their probability: its mean, and the share of them that left."""
    share, mean = calibration_curve(left, predicted, n_bins=groups, strategy="quantile")
    return list(zip(mean.tolist(), share.tolist(), strict=True))


def precision_recall(left: Labels, predicted: Probabilities, points: int = 50) -> Points:
    """For ever longer lists of the riskiest: the share of all who left that is on it, and the share of it that left."""
    precision, recall, _ = precision_recall_curve(left, predicted)
    shown = np.unique(np.linspace(0, len(recall) - 2, points).astype(int))[::-1]  # the last one is of an empty list
    return list(zip(recall[shown].tolist(), precision[shown].tolist(), strict=True))


def judge(leavers: int, metrics: dict[str, Metric], settings: GateSettings) -> list[Verdict]:
    """Hold what was measured against what the settings demand.

    Args:
        leavers: how many of the held-out customers left.
        metrics: those of METRICS, with their baselines; none where they could not be measured.
        settings: what is demanded.
    """
    enough = bool(metrics) and leavers >= settings.min_leavers
    found = f"{leavers:,} of the held-out customers left, gate.min_leavers is {settings.min_leavers:,}"
    if not enough:
        found += f": too few to compare, and gate.unjudged is {settings.unjudged}"
    verdicts = [Verdict("enough to judge by", enough or settings.unjudged == "pass", found)]
    if enough:
        loss = metrics["log_loss"]
        prior = loss.baselines[PRIOR]
        told = f"log loss {loss.value:.4f}, prior {prior:.4f}; less is better"
        verdicts += [
            better_than_baselines(metrics["average_precision"], settings.min_lift),
            Verdict("sound probabilities", loss.value < prior, told, prior / max(loss.value, 1e-9)),
        ]
    return verdicts
