"""Yours: how often two items are ordered by the same customer, counted exactly, some items at a time.

Pairs arise within a customer, so the counts of several shards of customers add up to those of all. They are float64,
which is exact to 2^53. Each of several shards has to keep all its counts, some bytes a pair, until they are added up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .ops.problems import Problem
from .ops.threads import in_threads

CELLS = 2**24  # pairs of items that a block may have
BLOCKS = 8  # at least, where there are as many items: several threads count


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

    def save(self, folder: Path) -> None:
        """Write it to a file of a folder."""
        of = self.counts
        small = of.data.astype(np.min_scalar_type(int(of.data.max(initial=0))))  # one byte for most
        file = folder / f"{self.first}.npz"
        np.savez(file, data=small, indices=of.indices, indptr=of.indptr, shape=of.shape, totals=self.totals)


def count(history: sp.csr_array, most: int | None = None) -> Iterator[Block]:
    """Count the pairs of each item, for two different orders of a customer once.

    So an item pairs with itself where it is repeated.

    Args:
        history: shape (customers, items); how often each customer ordered each item.
        most: how many pairs of an item are kept, the most frequent; None for all, as counts that are to be added up.

    Yields:
        The items in their order, block by block.
    """
    orders, of_items = _sums(history), history.T.tocsr()

    def block(items: slice) -> Block:
        return _block(items, of_items[items] @ history, orders, most)

    yield from in_threads(block, _slices(history.shape[1]))


def count_both(earlier: sp.csr_array, late: sp.csr_array, most: int | None = None) -> Iterator[tuple[Block, Block]]:
    """Count the pairs of the earlier orders, and of all, in little more than the time that one of them takes.

    Args:
        earlier: shape (customers, items), as for `count`.
        late: of the same shape; the orders that all have besides.
        most: as for `count`.

    Yields:
        As `count`, for the earlier orders and for all.
    """
    of_earlier, of_late = earlier.T.tocsr(), late.T.tocsr()
    of_all = of_earlier + of_late
    orders = _sums(earlier)
    orders_of_all = orders + _sums(late)

    def blocks(items: slice) -> tuple[Block, Block]:
        counts = of_earlier[items] @ earlier
        both = counts + (of_late[items] @ earlier + of_all[items] @ late)
        return _block(items, counts, orders, most), _block(items, both, orders_of_all, most)

    yield from in_threads(blocks, _slices(earlier.shape[1]))


def _block(items: slice, counts: sp.csr_array, orders: NDArray[np.float64], most: int | None) -> Block:
    """Of counts in which each order pairs with itself, too; they are overwritten."""
    itself = counts.indices == np.repeat(np.arange(items.start, items.stop), np.diff(counts.indptr))
    counts.data[itself] -= orders[counts.indices[itself]]
    counts.eliminate_zeros()
    totals = np.asarray(counts.sum(axis=1), np.float64)
    return Block(items.start, counts if most is None else most_frequent(counts, most), totals)


def _sums(history: sp.csr_array) -> NDArray[np.float64]:
    """How often each item was ordered."""
    return np.asarray(history.sum(axis=0), np.float64)


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


def emptied(folder: Path) -> Path:
    """A folder for blocks, in which there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.npz"):
        file.unlink()
    return folder


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


def _slices(items: int) -> Iterator[slice]:
    """The items of each block: the same in each shard, as they follow from the number of items."""
    length = max(1, min(CELLS // max(1, items), -(-items // BLOCKS)))
    for first in range(0, items, length):
        yield slice(first, min(first + length, items))
