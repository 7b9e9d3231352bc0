"""Work on parts of a table or an array in several threads: numpy, scipy and polars let others run meanwhile."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import polars as pl

ROWS = 2**19  # of a slice

Part = TypeVar("Part")
Result = TypeVar("Result")


def in_threads(work: Callable[[Part], Result], parts: Iterable[Part], spare: int = 0) -> Iterator[Result]:
    """What the work gives for each part, in their order; few results wait to be taken, so that memory is bounded.

    There are as many threads as polars has, which keeps to the limit of a container.

    Args:
        work: what to do with each part.
        parts: what there is to do.
        spare: how many processors are left to other work, as long as there is one for this.
    """
    threads = max(1, pl.thread_pool_size() - spare)
    with ThreadPoolExecutor(threads) as executor:
        waiting: deque[Future[Result]] = deque()
        for part in parts:
            if len(waiting) > threads:
                yield waiting.popleft().result()
            waiting.append(executor.submit(work, part))
        while waiting:
            yield waiting.popleft().result()


def by_slices(column: pl.Series, work: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """What the work gives for a column, of which each thread gets some rows at a time."""
    return pl.concat(in_threads(work, slices(column)))


def slices(column: pl.Series) -> list[pl.Series]:
    """A column in parts for several threads; at least one."""
    return [column[first : first + ROWS] for first in range(0, max(1, len(column)), ROWS)]
