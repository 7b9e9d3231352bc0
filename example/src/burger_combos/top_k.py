"""Yours: the best items of each customer, by their scores."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

GROUP = 16  # scores of a customer whose greatest is found at once


def top(scores: sp.csr_array, places: int) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """The items with the greatest scores of each customer.

    The greatest scores of groups of items give a bound that few items reach, and only these are sorted.

    Args:
        scores: shape (customers, items), with at least `places` scores for each customer.
        places: how many items.

    Returns:
        The items' codes and their scores, each of shape (customers, places), the best first.
    """
    sizes = np.diff(scores.indptr)
    customers = len(sizes)
    if not customers or not places:
        return np.empty((customers, places), np.uint32), np.empty((customers, places), np.float64)
    reached = np.flatnonzero(scores.data >= np.repeat(_bounds(scores, sizes, places), sizes))
    owner = np.searchsorted(scores.indptr, reached, side="right") - 1
    first = np.searchsorted(owner, np.arange(customers))
    place = np.arange(len(reached)) - first[owner]
    candidates = np.full((customers, int(place.max()) + 1), -np.inf)
    candidates[owner, place] = scores.data[reached]
    order = np.argsort(-candidates, axis=1, kind="stable")[:, :places]
    chosen = reached[first[:, None] + order]
    return scores.indices[chosen].astype(np.uint32), scores.data[chosen]


def top_of_table(scores: NDArray[np.float64], places: int) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """As `top`, of scores for all items, none below 0; they are overwritten.

    Args:
        scores: shape (customers, items).
        places: how many items.
    """
    rows = np.arange(len(scores))
    items = np.empty((len(scores), places), np.uint32)
    theirs = np.empty(items.shape, np.float64)
    for place in range(places):  # for a few places faster than sorting or partitioning
        items[:, place] = scores.argmax(axis=1)
        theirs[:, place] = scores[rows, items[:, place]]
        scores[rows, items[:, place]] = -1
    return items, theirs


def _bounds(scores: sp.csr_array, sizes: NDArray[np.int64], places: int) -> NDArray[np.float64]:
    """For each customer a score that at least so many items reach; shape (customers,)."""
    groups = -(-sizes // GROUP)
    end = np.cumsum(groups)
    number = np.arange(end[-1]) - np.repeat(end - groups, groups)
    greatest = np.maximum.reduceat(scores.data, np.repeat(scores.indptr[:-1], groups) + GROUP * number)
    by_customer = np.full((len(sizes), max(int(groups.max()), places)), -np.inf)
    by_customer[np.repeat(np.arange(len(sizes)), groups), number] = greatest
    return np.partition(by_customer, -places, axis=1)[:, -places]
