"""The rows that were published for an earlier day, some at a time, as a day may have more than memory holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import polars as pl
from pydantic import SecretStr

from .catalogue import ADDED, Found
from .problems import Problem, meant
from .settings import Stage
from .store import Store

ROWS = 200_000  # at a time
_TYPES = {
    "whole numbers": pl.Int64(),
    "numbers": pl.Float64(),
    "text": pl.String(),
    "times": pl.Datetime("us"),
    "true or false": pl.Boolean(),
    "dates": pl.Date(),
}


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
        key = self.table.key
        wanted = ", ".join(map(_quoted, dict.fromkeys([*key, *(columns or known)])))
        such = f"stage = '{self.stage}' AND date = '{self.date}' AND run_id = $1"
        order = ", ".join(map(_quoted, key))
        in_parts = all(self.table.columns[name] in ("text", "whole numbers", "dates") for name in key)
        limit = f" LIMIT {ROWS}" if in_parts else ""
        after, values = "", [self.run_id]
        with Store(url) as store:
            while True:
                sql = f"SELECT {wanted} FROM {_quoted(self.table.name)} WHERE {such}{after} ORDER BY {order}{limit}"
                part = self._typed(store.query(sql, *values))
                yield part
                if not in_parts or len(part) < ROWS:
                    return
                after, values = self._after(part)

    def _after(self, part: pl.DataFrame) -> tuple[str, list[str]]:
        """The condition for the rows that follow, and what it takes beside the run's id."""
        values, places = [self.run_id], []
        for name, value in part.select(self.table.key).row(-1, named=True).items():
            if self.table.columns[name] == "text":
                values.append(value)
                places.append(f"${len(values)}")
            else:
                places.append(str(value) if isinstance(value, int) else f"'{value}'")
        return f" AND ({', '.join(map(_quoted, self.table.key))}) > ({', '.join(places)})", values

    def _typed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows in the types that the table declares, of which SQLite knows fewer."""
        return rows.with_columns(_typed(rows[name], self.table.columns[name]) for name in rows.columns)


def published(store: Store, table: Found, stage: Stage, day: date) -> Published | None:
    """What stands there for a day, which is of one run; None where nothing does."""
    sql = f"SELECT run_id, git_commit FROM {_quoted(table.name)} WHERE stage = '{stage}' AND date = '{day}' LIMIT 1"
    found = store.query(sql)
    return None if found.is_empty() else Published(table, stage, day, *found.row(0))


def _typed(column: pl.Series, kind: str) -> pl.Series:
    wanted = _TYPES.get(kind, column.dtype)
    if column.dtype == pl.String and isinstance(wanted, pl.Date):
        return column.str.to_date()
    if column.dtype == pl.String and isinstance(wanted, pl.Datetime):
        return column.str.to_datetime(time_unit="us")
    return column.cast(wanted)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
