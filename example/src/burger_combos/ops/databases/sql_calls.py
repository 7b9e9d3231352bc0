"""Calls that wait for a database, made so that no Ctrl-C is lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import ParamSpec, TypeVar

from adbc_driver_manager import Error, dbapi

SIGNALS = (signal.SIGINT, signal.SIGTERM)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def call(
    connection: dbapi.Connection,
    work: Callable[Parameters, Result],
    *arguments: Parameters.args,
    **named: Parameters.kwargs,
) -> Result:
    """Do work on a connection; a signal that comes meanwhile cancels it and takes effect as it ends.

    ADBC would take SIGINT itself, as it does in the main thread, and lose one that comes as a statement ends. So a
    thread of its own does the work.

    Args:
        connection: where the work is done. SQLite's driver cannot cancel any, so that its end is waited for.
        work: what to do.
        arguments: what it takes.
        named: what it takes by name.
    """
    if threading.current_thread() is not threading.main_thread():
        return work(*arguments, **named)
    with _cancelled_by_signals(connection), ThreadPoolExecutor(1) as thread:
        return thread.submit(work, *arguments, **named).result()


@contextmanager
def _cancelled_by_signals(connection: dbapi.Connection) -> Iterator[None]:
    """An exception of a handler would come anywhere, also where the thread would go on working unnoticed."""
    came: list[signal.Signals] = []

    def cancel(number: int, _: object) -> None:
        came.append(signal.Signals(number))
        with suppress(Error):
            connection.adbc_cancel()

    handlers = {number: signal.signal(number, cancel) for number in SIGNALS if callable(signal.getsignal(number))}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)
