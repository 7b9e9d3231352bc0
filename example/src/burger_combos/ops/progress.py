"""Progress bars for long work, where a person is watching."""

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T", bound=Sized)


def track(chunks: Iterable[T], what: str, total: int) -> Iterator[T]:
    """The chunks as they come, with a bar that counts their elements up to `total`; gone when all have come."""
    if not sys.stderr.isatty():
        yield from chunks
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        for chunk in chunks:
            yield chunk
            progress.advance(task, len(chunk))
