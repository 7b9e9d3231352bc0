"""Print a table or JSON to the terminal, a file or another program, whichever reads it."""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table


def print_table(table: Table) -> None:
    """As wide as the terminal; whole lines where the output goes to a file or another program."""
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    if not sys.stdout.isatty():  # where FORCE_COLOR would make a terminal of it, of the width that COLUMNS says
        plain |= {"width": 10_000, "force_terminal": False}
    _Console(**plain).print(table)


class _Console(Console):
    """One that leaves it to `read_in_part` what happens where nobody reads on."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


@contextmanager
def read_in_part() -> Iterator[None]:
    """End quietly where the reader of the output has seen enough, as `head` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        sys.exit(0)


def print_json(told: dict[str, Any]) -> None:
    """An object, with null for each number that JSON does not know."""
    print(json.dumps(_finite(told), default=str, ensure_ascii=False, indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """The same, with null for each number that JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
