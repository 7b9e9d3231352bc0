"""What goes on beside the API."""

import threading
import traceback
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from .store import Store


class Loop(ABC):
    """A thread that looks at the objects again whenever one has changed; what it did not foresee stands in `errors`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.errors: list[str] = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)

    @abstractmethod
    def look(self) -> None:
        """Do what the objects demand."""

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self.thread.join()

    def _run(self) -> None:
        while not self.ended.is_set() and len(self.errors) < 10:
            seen = self.store.version
            try:
                self.look()
            except Exception:
                self.errors.append(traceback.format_exc())
            with self.store.changed:
                if self.store.version == seen:
                    self.store.changed.wait(0.2)
