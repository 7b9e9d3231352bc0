"""Yours: the model. Arrays in, arrays out; nothing here knows of files, databases or stages.

Repeat-aware item co-occurrence: what a customer ordered speaks for what others ordered beside it and, where customers
come back for it, for itself. After Linden, Smith and York, "Amazon.com recommendations: item-to-item collaborative
filtering", IEEE Internet Computing 7 (2003).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import PositiveInt

from .ops.settings import Section

Codes = NDArray[np.uint32]
Scores = NDArray[np.float32]

CHUNK = 2**22  # scores held at a time
MAX_ITEMS = 10_000  # the affinity of all pairs of items is held, 400 MB of these


class ModelSettings(Section):
    """The section `[model]` of a stage's settings."""

    top_k: PositiveInt = 5


@dataclass(frozen=True)
class Model:
    """What was learnt.

    Attributes:
        affinity: shape (items, items); row i tells what was ordered beside item i, and how often.
        popularity: shape (items,); each item's share of all orders.
    """

    affinity: Scores
    popularity: Scores


@dataclass(frozen=True)
class Best:
    """What is recommended to some customers.

    Attributes:
        items: shape (customers, min(top_k, items)), the best first.
        scores: of the same shape; how many of the customer's orders speak for an item, each by the share that the item
            has of what was ordered beside it.
    """

    items: Codes
    scores: Scores

    def __len__(self) -> int:
        return len(self.items)


def histories(customers: Codes, items: Codes, shape: tuple[int, int]) -> sp.csr_array:
    """How often each customer ordered each item: from one code an order to a matrix (customers, items).

    Counts are float64, which is exact to 2^53.
    """
    matrix = sp.csr_array((np.ones(len(items), np.float64), (customers, items)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def fit(history: sp.csr_array) -> Model:
    """Learn from the histories, shape (customers, items).

    A pair counts once for each two different orders of a customer, so an item pairs with itself where it is repeated.
    """
    orders = np.asarray(history.sum(axis=0), np.float64)
    size = len(orders)
    affinity = np.empty((size, size), np.float32)
    of_items = history.T.tocsr()
    chunk = max(1, CHUNK // max(1, size))
    for start in range(0, size, chunk):  # some rows at a time: all pairs in float64 would take three times the memory
        pairs = (of_items[start : start + chunk] @ history).toarray()
        rows = np.arange(len(pairs))
        pairs[rows, start + rows] -= orders[start : start + chunk]
        affinity[start : start + chunk] = pairs / np.maximum(pairs.sum(axis=1, keepdims=True), 1)
    return Model(affinity, (orders / max(orders.sum(), 1)).astype(np.float32))


def recommend(model: Model, history: sp.csr_array, top_k: int) -> Iterator[Best]:
    """The best items for each customer, some thousand customers at a time.

    Yields:
        What is best for them.
    """
    chunk = max(1, CHUNK // max(1, history.shape[1]))
    for start in range(0, max(1, history.shape[0]), chunk):  # of no customers, one chunk of none
        theirs = history[start : start + chunk].astype(np.float32)  # as the affinity is, which is not to be copied
        yield best(theirs @ model.affinity, model.popularity, top_k)


def best(scores: Scores, popularity: Scores, top_k: int) -> Best:
    """The top items of each row of scores, shape (customers, items); popularity decides between equals."""
    scores = scores + 1e-6 * popularity
    rows = np.arange(len(scores))
    items = np.empty((len(scores), min(top_k, scores.shape[1])), np.uint32)
    theirs = np.empty(items.shape, np.float32)
    for place in range(items.shape[1]):  # for a few places faster than sorting or partitioning
        items[:, place] = scores.argmax(axis=1)
        theirs[:, place] = scores[rows, items[:, place]]
        scores[rows, items[:, place]] = -1
    return Best(items, theirs)
