"""Yours: the model, gradient-boosted trees; arrays in, arrays out.

Each tree mends what those before it got wrong, by the log loss, so what comes out is a probability. Trees find by
themselves what matters only beside something else, and take missing values and categories as they are. After Friedman,
"Greedy function approximation: a gradient boosting machine", Annals of Statistics 29 (2001); scikit-learn's is modelled
on Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", NeurIPS 2017.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from .ops.settings import Section

Matrix = NDArray[np.float64]
Labels = NDArray[np.bool_]
Probabilities = NDArray[np.float64]

FEWEST = 20  # examples in a leaf, whatever their share
MOST_CATEGORIES = 250  # of a feature, which the trees hold; rarer ones count as missing


class ModelSettings(Section):
    """The section `[model]` of a stage's settings."""

    trees: PositiveInt = 100
    leaves: int = Field(default=8, ge=2)  # of a tree; more find more that matters together, and more that is chance
    leaf_share: float = Field(default=0.006, ge=0, lt=0.5)  # of the examples, in a leaf at least: copies change nothing
    learning_rate: float = Field(default=0.08, gt=0, le=1)
    seed: NonNegativeInt = 1
    threads: PositiveInt = 1  # of the processor; where fewer are free, many are much slower than one


@dataclass(frozen=True)
class Model:
    """What was learnt.

    Attributes:
        features: the names of the matrix's columns.
        categories: of each column that holds codes, what they stand for.
        classifier: scikit-learn's, fitted.
    """

    features: Sequence[str]
    categories: Mapping[str, Sequence[str]]
    classifier: Any

    def predict(self, examples: pl.DataFrame, threads: int = 1) -> Probabilities:
        """The probability that each of them leaves, shape (examples,)."""
        return probabilities(self.classifier, matrix(examples, self.features, self.categories), threads)

    def save(self, file: Path) -> None:
        """Write it to a file, which the same version of scikit-learn reads."""
        joblib.dump(self, file)

    @classmethod
    def load(cls, file: Path) -> "Model":
        """Read what `save` wrote; as any pickle, it may run code, so only from where nobody else writes."""
        model: Model = joblib.load(file)
        return model


def learn(examples: pl.DataFrame, features: Sequence[str], categories: Sequence[str], settings: ModelSettings) -> Model:
    """Fit the model to examples: these features, some of them categories, and `left`."""
    known = {name: most_frequent(examples[name]) for name in categories}
    classifier = trees(len(examples), [features.index(name) for name in categories], settings)
    fit(classifier, matrix(examples, features, known), examples["left"].to_numpy(), settings.threads)
    return Model(tuple(features), known, classifier)


def most_frequent(column: pl.Series) -> list[str]:
    """The categories that a feature's codes stand for, in the order of the alphabet."""
    counts = column.drop_nulls().value_counts(sort=True).sort("count", column.name, descending=[True, False])
    return sorted(counts[column.name].head(MOST_CATEGORIES))


def matrix(examples: pl.DataFrame, features: Sequence[str], categories: Mapping[str, Sequence[str]]) -> Matrix:
    """Features as numbers, shape (examples, features): of categories the codes; NaN for what is missing or infinite."""
    numbers = examples.select(
        pl.col(name).replace_strict(list(categories[name]), range(len(categories[name])), default=None)
        if name in categories
        else pl.col(name)
        for name in features
    ).cast(pl.Float64)
    return numbers.with_columns(pl.when(pl.all().is_finite()).then(pl.all())).to_numpy()


def trees(examples: int, categorical: Sequence[int], settings: ModelSettings) -> HistGradientBoostingClassifier:
    """The model, not yet fitted, for so many examples; `categorical` are the columns that hold codes."""
    return HistGradientBoostingClassifier(
        max_iter=settings.trees,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=max(FEWEST, round(settings.leaf_share * examples)),
        learning_rate=settings.learning_rate,
        categorical_features=list(categorical),
        early_stopping=False,  # which would hold out examples by chance
        random_state=settings.seed,
    )


def logistic_regression(categorical: Sequence[int], width: int) -> Any:
    """The baseline, not yet fitted: a weight for each category and number; `width` is the matrix's."""
    numeric = [column for column in range(width) if column not in categorical]
    prepared = ColumnTransformer(
        [
            ("categories", OneHotEncoder(handle_unknown="ignore"), list(categorical)),
            ("numbers", make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numeric),
        ]
    )
    return make_pipeline(prepared, LogisticRegression(max_iter=1000))


def fit(classifier: Any, features: Matrix, left: Labels, threads: int) -> Any:
    """Fit a classifier of scikit-learn's in so many threads, which do not change the result; returns it."""
    with threadpool_limits(threads):
        return classifier.fit(features, left)


def probabilities(classifier: Any, features: Matrix, threads: int) -> Probabilities:
    """The probability of having left, shape (examples,)."""
    if not len(features):
        return np.empty(0)
    with threadpool_limits(threads):
        result: Probabilities = classifier.predict_proba(features)[:, 1]
    return result
