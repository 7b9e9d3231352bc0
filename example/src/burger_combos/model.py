"""Yours: the model. Arrays in, arrays out; nothing here knows of databases or stages.

Repeat-aware item co-occurrence: what a customer ordered speaks for what others ordered beside it and, where customers
come back for it, for itself. Each item keeps its best neighbours, so a large catalogue costs no more memory than what
is ordered in it. After Linden, Smith and York, "Amazon.com recommendations: item-to-item collaborative filtering", IEEE
Internet Computing 7 (2003), and Deshpande and Karypis, "Item-based top-N recommendation algorithms", ACM Transactions
on Information Systems 22 (2004).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import PositiveInt

from .ops.settings import Section
from .ops.threads import in_threads
from .pairs import Block, count, most_frequent
from .top_k import top, top_of_table

Codes = NDArray[np.uint32]
Scores = NDArray[np.float64]

CHUNK = 2**20  # products of a chunk of customers
CUSTOMERS = 2**14  # of a chunk, at most
FULL = 0.1  # the share of all pairs that are neighbours above which a dense table is faster
POPULARITY = 1e-6  # the weight that an item's popularity has beside its scores


class ModelSettings(Section):
    """The section `[model]` of a stage's settings."""

    top_k: PositiveInt = 5
    neighbours: PositiveInt = 200  # of each item
    anybody: str = "anybody"  # the key of the row for customers without orders; empty: no such row


@dataclass(frozen=True)
class Model:
    """What was learnt.

    Attributes:
        affinity: shape (items, items); row i has the best neighbours of item i, each with its share of all that was
            ordered beside item i.
        popularity: shape (items,); each item's share of all orders.
    """

    affinity: sp.csr_array
    popularity: Scores

    def save(self, file: Path) -> None:
        """Write it to a file."""
        rows = self.affinity
        np.savez(file, data=rows.data, indices=rows.indices, indptr=rows.indptr, popularity=self.popularity)

    @classmethod
    def load(cls, file: Path) -> Self:
        """The inverse of `save`."""
        with np.load(file) as saved:
            popularity = saved["popularity"]
            size = len(popularity)
            return cls(sp.csr_array((saved["data"], saved["indices"], saved["indptr"]), shape=(size, size)), popularity)


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
    ones = np.ones(len(items), np.float64)
    if (customers[1:] >= customers[:-1]).all():  # in their order, as the pipeline has them: three times as fast
        index = sp.get_index_dtype(maxval=max(len(items), *shape))  # int32 if that is enough: to multiply is faster
        ends = np.concatenate([[0], np.cumsum(np.bincount(customers, minlength=shape[0]))])
        matrix = sp.csr_array((ones, items.astype(index), ends.astype(index)), shape=shape)
    else:
        matrix = sp.csr_array((ones, (customers, items)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def fit(history: sp.csr_array, neighbours: int = 200) -> Model:
    """Learn from the histories, shape (customers, items), and keep the best neighbours of each item."""
    return learnt(count(history, neighbours), np.asarray(history.sum(axis=0)), neighbours)


def learnt(blocks: Iterable[Block], orders: Scores, neighbours: int) -> Model:
    """The model of counted pairs.

    Args:
        blocks: the pairs of all items, in their order.
        orders: shape (items,); how often each item was ordered.
        neighbours: how many neighbours of an item are kept.
    """
    rows = []
    for block in blocks:
        best = most_frequent(block.counts, neighbours)
        share = 1 / np.maximum(block.totals, 1)
        best.data = best.data * np.repeat(share, np.diff(best.indptr))
        rows.append(best)
    affinity = sp.csr_array(sp.vstack(rows, format="csr"))
    affinity.sort_indices()  # in which equals are found does not depend on how the pairs were counted
    return Model(affinity, orders / max(float(orders.sum()), 1.0))


def renumbered(model: Model, numbers: NDArray[np.int64], orders: NDArray[np.int64]) -> Model:
    """The same model for another catalogue: an item that is new has no neighbours, and one that is gone is none.

    Args:
        model: what was learnt.
        numbers: shape (items of the model,); the code of each in the other catalogue, -1 where it is gone.
        orders: shape (items of the other catalogue,); how often each was ordered, by which popularity is counted anew.
    """
    pairs = model.affinity.tocoo()
    one, other = (numbers[codes] for codes in pairs.coords)
    there = (one >= 0) & (other >= 0)
    affinity = sp.csr_array((pairs.data[there], (one[there], other[there])), shape=(len(orders), len(orders)))
    affinity.sort_indices()
    return Model(affinity, orders / max(float(orders.sum()), 1.0))


def popular(model: Model, top_k: int, available: NDArray[np.bool_] | None = None) -> Codes:
    """The items that are ordered most, the best first: for whom nothing is known of.

    Args:
        model: what was learnt.
        top_k: how many items, at most.
        available: shape (items,); which items may be recommended, or None for all.
    """
    order = np.argsort(-model.popularity, kind="stable")
    if available is not None:
        order = order[available[order]]
    return order[:top_k].astype(np.uint32)


def recommend(
    model: Model, history: sp.csr_array, top_k: int, available: NDArray[np.bool_] | None = None
) -> Iterator[Best]:
    """The best items for each customer, some thousand customers at a time.

    Where a customer's orders speak for fewer items than `top_k`, the most popular ones follow.

    Args:
        model: what was learnt.
        history: shape (customers, items).
        top_k: how many items.
        available: shape (items,); which items may be recommended, or None for all. Others speak for what was ordered
            beside them all the same.

    Yields:
        What is best for the customers, in their order.
    """
    first = popular(model, top_k, available)
    weights = _weights(model, first, available)
    is_full = weights.nnz > FULL * weights.shape[0] * weights.shape[1]
    table = weights.toarray() if is_full else weights

    def full(rows: slice) -> Best:
        scores = np.asarray(history[rows] @ table[:-1])
        scores += table[-1]
        return Best(*top_of_table(scores, len(first)))

    def sparse(rows: slice) -> Best:
        theirs = history[rows]
        everybody = sp.csr_array(np.ones((theirs.shape[0], 1)))
        return Best(*top(sp.hstack([theirs, everybody], format="csr") @ table, len(first)))

    yield from in_threads(full if is_full else sparse, _chunks(history, weights))


def joined(found: Iterable[Best], customers: int) -> Best:
    """What is best for all customers, of what `recommend` yields for some at a time.

    It is copied as it comes: to keep the parts, memory would be taken anew for each.

    Args:
        found: what is best for the customers, in their order.
        customers: how many they are.
    """
    items, scores = np.empty((0, 1), np.uint32), np.empty((0, 1))  # of nobody
    row = 0
    for best in found:
        if row == 0:
            items, scores = (np.empty((customers, each.shape[1]), each.dtype) for each in (best.items, best.scores))
        rows = slice(row, row + len(best))
        items[rows], scores[rows] = best.items, best.scores
        row = rows.stop
    return Best(items[:row], scores[:row])


def _weights(model: Model, first: Codes, available: NDArray[np.bool_] | None) -> sp.csr_array:
    """What an order of each item adds to the score of others, and below that what popular items have anyway.

    Popularity decides between equals.

    Returns:
        shape (items + 1, items).
    """
    weights = model.affinity.copy()
    weights.data = weights.data + POPULARITY * model.popularity[weights.indices]
    if available is not None:
        weights.data[~available[weights.indices]] = 0
        weights.eliminate_zeros()
    least = np.finfo(np.float64).tiny  # what was never ordered comes last, and not nowhere
    anyway = POPULARITY * model.popularity[first] + least
    row = sp.csr_array((anyway, (np.zeros(len(first), np.uint32), first)), shape=(1, weights.shape[1]))
    return sp.csr_array(sp.vstack([weights, row], format="csr"))


def _chunks(history: sp.csr_array, weights: sp.csr_array) -> Iterator[slice]:
    """The customers in their order, as many at a time as memory bounds."""
    products = np.diff(weights.indptr)[history.indices]
    spent = np.concatenate([[0], np.cumsum(products, dtype=np.int64)])[history.indptr]
    start = 0
    while start < history.shape[0]:
        end = int(np.searchsorted(spent, spent[start] + CHUNK, side="right")) - 1
        end = min(max(end, start + 1), start + CUSTOMERS, history.shape[0])
        yield slice(start, end)
        start = end
