"""Yours: how good the model is, and what is good enough."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from .images import Pixels
from .model import Codes, Probabilities
from .ops.metrics import Metric
from .ops.settings import Section
from .ops.verdicts import Verdict, better_than_baselines

Better = Literal["higher", "lower"]

METRICS: dict[str, Better] = {
    "accuracy": "higher",  # the one that counts: the share of the images whose likeliest label is theirs
    "log_loss": "lower",
}
MODEL, LOGISTIC, MAJORITY = "model", "logistic regression", "majority"
SIDE = 16  # pixels that the baseline sees of an image, across and down
MOST_IMAGES = 20_000  # that it learns from
SHOWN = 20  # labels of a confusion matrix
OTHERS = "others"
LEAST = 1e-6  # probability that a loss is computed of


class GateSettings(Section):
    """The section `[gate]` of a stage's settings: what is good enough to publish."""

    holdout_share: float = Field(default=0.2, gt=0, lt=1)  # of the labelled images, on which the model is measured
    min_lift: NonNegativeFloat = 1.0  # the accuracy has to be above this many times the better baseline's
    min_recall: float = Field(default=0.5, ge=0, le=1)  # of each label, the share of its images that has to get it
    min_images: NonNegativeInt = 100  # a comparison that rests on fewer is chance
    unjudged: Literal["pass", "refuse"] = "refuse"  # what to do then


def baselines(pixels: Pixels, codes: Codes, judged: Pixels, labels: int, threads: int = 1) -> dict[str, Probabilities]:
    """What simple methods say of images, having learnt from others.

    Args:
        pixels: to learn from, shape (images, channels, size, size).
        codes: their labels', shape (images,).
        judged: shape (other images, channels, size, size).
        labels: how many there are.
        threads: of the processor.

    Returns:
        The probabilities of shape (other images, labels): by the share of each label, the same for all images; and by a
        logistic regression on the pixels, of 16 × 16 at most.
    """
    shares = np.bincount(codes, minlength=labels) / len(codes)
    found = {MAJORITY: np.tile(shares, (len(judged), 1))}
    known = np.unique(codes)
    if len(known) > 1:
        some = np.random.default_rng(1).permutation(len(codes))[:MOST_IMAGES]
        regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
        found[LOGISTIC] = np.zeros((len(judged), labels))
        with threadpool_limits(threads):
            regression.fit(_features(pixels[some]), codes[some])
            found[LOGISTIC][:, regression.classes_] = regression.predict_proba(_features(judged))
    return found


def _features(pixels: Pixels) -> NDArray[np.float64]:
    step = max(1, pixels.shape[2] // SIDE)
    return pixels[:, :, ::step, ::step].reshape(len(pixels), -1) / 255.0


def score(codes: Codes, predicted: Probabilities) -> dict[str, float]:
    """All of METRICS for the probabilities of images, whose codes are -1 where no output stands for their label."""
    of_label = np.where(codes >= 0, predicted[np.arange(len(codes)), codes], 0.0)
    return {
        "accuracy": float((predicted.argmax(1) == codes).mean()),
        "log_loss": float(-np.log(np.clip(of_label, LEAST, 1)).mean()),
    }


def confusion(truth: Sequence[str], predicted: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many images of each label got which; of very many labels the rare ones count together."""
    counts = Counter(truth) + Counter(predicted)
    shown = [label for label, _ in counts.most_common(SHOWN)] if len(counts) > SHOWN else list(counts)
    names = [*sorted(shown), *[OTHERS] * (len(counts) > SHOWN)]
    found = {each: dict.fromkeys(names, 0) for each in names}
    for one, other in zip(truth, predicted, strict=True):
        found[one if one in shown else OTHERS][other if other in shown else OTHERS] += 1
    return found


def worst_recall(truth: Sequence[str], predicted: Sequence[str], least: int = 10) -> tuple[str, float] | None:
    """The label whose images get it most seldom, and how often they do; of labels with so many images or more."""
    counts = Counter(truth)
    right = Counter(one for one, other in zip(truth, predicted, strict=True) if one == other)
    found = [(label, right[label] / count) for label, count in sorted(counts.items()) if count >= least]
    return min(found, key=lambda each: each[1], default=None)


def judge(
    images: int, metrics: dict[str, Metric], worst: tuple[str, float] | None, settings: GateSettings
) -> list[Verdict]:
    """Hold what was measured against what the settings demand.

    Args:
        images: how many were held out.
        metrics: those of METRICS, with their baselines.
        worst: what `worst_recall` found.
        settings: what is demanded.
    """
    enough = images >= settings.min_images
    found = f"{images:,} labelled images are held out, gate.min_images is {settings.min_images:,}"
    if not enough:
        found += f": too few to compare, and gate.unjudged is {settings.unjudged}"
    verdicts = [Verdict("enough to judge by", enough or settings.unjudged == "pass", found)]
    if enough:
        verdicts.append(better_than_baselines(metrics["accuracy"], settings.min_lift))
        if worst:
            label, recall = worst
            told = (
                f"{recall:.1%} of the images of {label!r} get that label; gate.min_recall is {settings.min_recall:.1%}"
            )
            margin = recall / settings.min_recall if settings.min_recall else None
            verdicts.append(Verdict("no label is lost", recall >= settings.min_recall, told, margin))
    return verdicts
