"""The rows that were published for an earlier day, some at a time, as a day may have more than memory holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import polars as pl
from pydantic import SecretStr

from .catalogue import ADDED, Found
from .databases import AnyStore, Written, open_store
from .problems import Problem, meant
from .settings import Stage

ROWS = 200_000  # at a time


@dataclass(frozen=True)
class Published:
    """What a run has published for a day.

    Attributes:
        table: where it stands.
        stage: of which stage.
        date: for which day.
        run_id: by which run.
        git_commit: of which commit.
    """

    table: Found
    stage: Stage
    date: date
    run_id: str
    git_commit: str

    def read(self, url: SecretStr, *columns: str) -> Iterator[pl.DataFrame]:
        """The rows in parts, in the order of their key; there is one part at least, if an empty one.

        Args:
            url: the database's.
            columns: which columns beside the key's; all where none is named.

        Raises:
            Problem: there is no such column, or the database cannot be read.
        """
        known = [name for name in self.table.columns if name not in ADDED]
        for name in columns:
            if name not in known:
                there = meant(name, known) or f"; there are {', '.join(known)}"
                raise Problem(f"table {self.table.name}: no column {name!r}{there}")
        wanted = list(dict.fromkeys([*self.table.key, *(columns or known)]))
        written = Written(self.table, self.date, self.run_id, self.git_commit, rows=0)
        with open_store(url) as store:
            yield from store.parts(self.stage, written, wanted, ROWS)


def published(store: AnyStore, table: Found, stage: Stage, day: date) -> Published | None:
    """What stands there for a day, which is of one run; None where nothing does."""
    found = store.writer(stage, table, day)
    return Published(table, stage, day, *found) if found else None
