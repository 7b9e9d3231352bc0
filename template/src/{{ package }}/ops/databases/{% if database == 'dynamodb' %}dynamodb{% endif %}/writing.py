"""Many rows at once: some requests at a time, no faster than a rate, and none is lost without a word."""

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self

from .client import BATCH, Client
from .items import Item

_UNIT = 1024  # bytes of an item that take one write request unit
_AHEAD = 4  # batches that wait for each writer


class Rate:
    """No more than so many write request units a second, whoever asks."""

    def __init__(self, units: float) -> None:
        """Begin.

        Args:
            units: how many a second; 0 for no limit.
        """
        self._units, self._lock, self._free = units, threading.Lock(), time.monotonic()

    def take(self, units: int) -> None:
        """Wait until so many are there."""
        if not self._units:
            return
        with self._lock:
            begin = max(self._free, time.monotonic())
            self._free = begin + units / self._units
        time.sleep(max(0.0, begin - time.monotonic()))


class Writers:
    """Writes items of the table of rows in batches; use it as a context manager.

    Attributes:
        written: how many items DynamoDB has taken.
    """

    def __init__(self, client: Client) -> None:
        self.written = 0
        self._client, self._rate = client, Rate(client.place.write_rate)
        self._pool = ThreadPoolExecutor(client.place.writers, thread_name_prefix="dynamodb")
        self._pending: set[Future[int]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=error is not None)

    def put(self, items: list[Item], size: int) -> None:
        """Write items, or let them be written soon.

        Args:
            items: the items.
            size: the bytes of one.

        Raises:
            Problem: earlier ones could not be written.
        """
        units = -(-max(1, size) // _UNIT)
        for start in range(0, len(items), BATCH):
            requests = [{"PutRequest": {"Item": item}} for item in items[start : start + BATCH]]
            while len(self._pending) >= _AHEAD * self._client.place.writers:
                self._take(wait(self._pending, return_when=FIRST_COMPLETED).done)
            self._pending.add(self._pool.submit(self._write, requests, units))

    def finish(self) -> int:
        """Wait until all are written; how many that were.

        Raises:
            Problem: some could not be written.
        """
        while self._pending:
            self._take(wait(self._pending, return_when=FIRST_COMPLETED).done)
        return self.written

    def _write(self, requests: list[dict[str, Any]], units: int) -> int:
        self._rate.take(units * len(requests))
        return self._client.write(self._client.place.rows, requests)

    def _take(self, done: set[Future[int]]) -> None:
        self._pending -= done
        for each in done:
            self.written += each.result()
