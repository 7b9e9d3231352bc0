"""Yours: how often two items are ordered by the same customer, counted exactly, some items at a time.

Pairs arise within a customer, so the counts of several shards of customers add up to those of all. They are float64,
which is exact to 2^53. Each of several shards has to keep all its counts, some bytes a pair, until they are added up.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .ops.problems import Problem
from .ops.threads import in_threads

CELLS = 2**25  # pairs of items that a block may have


@dataclass(frozen=True)
class Block:
    """The pairs of some items with all items.

    Attributes:
        first: the code of the first of these items.
        counts: shape (items of the block, items); how often each pair was ordered, or the most frequent of these.
        totals: shape (items of the block,); the sum of all counts of an item.
    """

    first: int
    counts: sp.csr_array
    totals: NDArray[np.float64]


def count(history: sp.csr_array, most: int | None = None) -> Iterator[Block]:
    """Count the pairs of each item, for two different orders of a customer once.

    So an item pairs with itself where it is repeated.

    Args:
        history: shape (customers, items); how often each customer ordered each item.
        most: how many pairs of an item are kept, the most frequent; None for all, as counts that are to be added up.

    Yields:
        The items in their order, block by block.
    """
    orders = np.asarray(history.sum(axis=0), np.float64)
    of_items = history.T.tocsr()
    size = len(orders)

    def block(first: int) -> Block:
        counts = of_items[first : first + _length(size)] @ history
        codes = first + np.arange(counts.shape[0])
        itself = counts.indices == np.repeat(codes, np.diff(counts.indptr))
        counts.data[itself] -= orders[counts.indices[itself]]  # no order pairs with itself
        counts.eliminate_zeros()
        return Block(first, counts if most is None else most_frequent(counts, most), counts.sum(axis=1))

    yield from in_threads(block, range(0, size, _length(size)))


def most_frequent(counts: sp.csr_array, most: int) -> sp.csr_array:
    """The most frequent pairs of each row; of equals, those whose item comes first.

    Args:
        counts: shape (rows, items).
        most: how many of a row are kept.
    """
    if not np.any(np.diff(counts.indptr) > most):
        return counts
    last = counts.shape[1] - 1
    kept = []
    for start, end in zip(counts.indptr[:-1], counts.indptr[1:], strict=True):
        if end - start <= most:
            kept.append(np.arange(start, end))
            continue
        keys = counts.data[start:end] * counts.shape[1] + (last - counts.indices[start:end])  # each another one
        kept.append(start + np.sort(np.argpartition(keys, len(keys) - most)[len(keys) - most :]))
    chosen = np.concatenate(kept)
    ends = np.cumsum([0, *map(len, kept)])
    return sp.csr_array((counts.data[chosen], counts.indices[chosen], ends), shape=counts.shape)


def save(blocks: Iterable[Block], folder: Path) -> None:
    """Write each block to a file of a folder, which is made anew."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.npz"):
        file.unlink()
    for each in blocks:
        of = each.counts
        small = of.data.astype(np.min_scalar_type(int(of.data.max(initial=0))))  # one byte for most
        file = folder / f"{each.first}.npz"
        np.savez(file, data=small, indices=of.indices, indptr=of.indptr, shape=of.shape, totals=each.totals)


def add_up(folders: Sequence[Path]) -> Iterator[Block]:
    """The sums of the counts that several shards have saved, block by block.

    Raises:
        Problem: a folder has no blocks, or not those of the first.
    """
    names = sorted((file.name for file in folders[0].glob("*.npz")), key=lambda name: int(name.removesuffix(".npz")))
    for folder in folders:
        if not names or {file.name for file in folder.glob("*.npz")} != set(names):
            raise Problem(f"{folder}: the counts are not there: do the step again that makes them")
    for name in names:
        blocks = [_load(folder / name) for folder in folders]
        counts, totals = blocks[0].counts, blocks[0].totals
        for other in blocks[1:]:
            counts, totals = counts + other.counts, totals + other.totals
        yield Block(blocks[0].first, counts, totals)


def _load(file: Path) -> Block:
    with np.load(file) as saved:
        data = saved["data"].astype(np.float64)
        counts = sp.csr_array((data, saved["indices"], saved["indptr"]), shape=tuple(saved["shape"]))
        return Block(int(file.stem), counts, saved["totals"])


def _length(items: int) -> int:
    """How many items a block has: the same in each shard, as it follows from the number of items."""
    return max(1, CELLS // max(1, items))
