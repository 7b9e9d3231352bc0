"""Where the rows of each day and the records of the runs are kept: what every kind of database can do.

Only the modules of this folder know how a database is asked. The others open one by its URL.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import polars as pl
from pydantic import SecretStr

from .. import catalogue
from ..catalogue import Found
from ..problems import Problem
from ..runs import Record
from ..settings import Stage
from .urls import SQL, scheme, without_password

if TYPE_CHECKING:
    from ..published import Table

TRIALS = 500  # the versions run last whose scale checks are kept
DEPLOYMENTS = 1000  # lines of the deployment history that are kept of a stage


class NotThere(Problem):
    """There is no such database, or not yet."""


@dataclass(frozen=True)
class Wanted:
    """Which runs of a stage: those to which all of this applies, the newest first.

    Attributes:
        first: the first day that they are for; None for any.
        last: the last day; None for any.
        statuses: one of which they have; empty for any.
        not_statuses: none of which they have.
        daily: whether they are daily runs, or others; None for both.
        git_commit: their commit; empty for any.
        run_ids: one of which is theirs; None for any.
        but: an id that is not theirs.
        reviewed: whether only those that have reviewed earlier days.
        by_day: whether the newest is the one for the newest day, and of a day's the one that began last; otherwise it
            is the one that began last, whatever day it was for.
        most: how many of them; None for all.
    """

    first: date | None = None
    last: date | None = None
    statuses: tuple[str, ...] = ()
    not_statuses: tuple[str, ...] = ()
    daily: bool | None = None
    git_commit: str = ""
    run_ids: tuple[str, ...] | None = None
    but: str = ""
    reviewed: bool = False
    by_day: bool = False
    most: int | None = None


@dataclass(frozen=True)
class Written:
    """What a run has written to a table for a day."""

    table: Found
    day: date
    run_id: str
    git_commit: str
    rows: int


class AnyStore(ABC):
    """An open database; use it as a context manager.

    Attributes:
        name: what a person calls it: its URL without a password.
    """

    name: str

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def prepare(self) -> None:
        """Make what the records need, and so find out whether this database can be written."""

    @abstractmethod
    def save_run(self, record: Record) -> None:
        """Write the record of a run, in place of an earlier one of the same id."""

    @abstractmethod
    def run(self, run_id: str) -> Record | None:
        """The run of that id; None where there is none."""

    @abstractmethod
    def runs(self, stage: Stage, wanted: Wanted) -> list[Record]:
        """Those of a stage's runs that are wanted, the newest first."""

    @abstractmethod
    def run_ids(self, stage: Stage) -> set[str]:
        """The ids of all runs of a stage."""

    @abstractmethod
    def good_days(self, stage: Stage) -> set[date]:
        """The days for which a run of the stage ended well."""

    @abstractmethod
    def remove_records(self, stage: Stage, before: date, tables: Sequence[str], spared: Sequence[str]) -> int:
        """Remove the records of a stage's runs for days before one that have no rows in any table; how many.

        Args:
            stage: the stage.
            before: the first day whose records stay.
            tables: those that may have rows of a day.
            spared: the ids of runs whose records stay.
        """

    @abstractmethod
    def deployments(self, stage: str) -> list[str]:
        """The lines that were noted of a stage's deployments, the oldest first."""

    @abstractmethod
    def note_deployment(self, stage: str, noted_at: str, line: str) -> None:
        """Add a line to what is known of the stage's deployments."""

    @abstractmethod
    def trials(self, stage: str, git_commit: str) -> str | None:
        """What a stage's scale check found of a commit; None where there was none."""

    @abstractmethod
    def note_trials(self, stage: str, git_commit: str, trials: str) -> None:
        """Keep what a stage's scale check found of a commit, in place of what it found before.

        What it found of commits that have not run for long goes.
        """

    @abstractmethod
    def missing_told(self, stage: str) -> set[tuple[str, str]] | None:
        """Of which missing runs of a stage somebody was told: when each was due, and what; None before the first."""

    @abstractmethod
    def note_missing(self, stage: str, told_at: str, oldest: str, told: list[tuple[str, str]]) -> None:
        """Keep which missing runs of a stage somebody was told of: when each was due, the oldest one, and what."""

    @abstractmethod
    def tables(self) -> dict[str, Found]:
        """All tables that may hold rows, by their names: their columns, what each holds, and the primary key."""

    @abstractmethod
    def written(self, stage: Stage, table: Found, day: date | None = None, run_id: str = "") -> list[Written]:
        """What the stage's runs have written to a table.

        Args:
            stage: the stage.
            table: the table.
            day: for which day; without one for the newest that has rows, or for all days of the run.
            run_id: by which run; empty for any.
        """

    @abstractmethod
    def writer(self, stage: Stage, table: Found, day: date) -> tuple[str, str] | None:
        """The run and the commit that have written a day's rows of a table; None where there are none."""

    @abstractmethod
    def first_rows(
        self, stage: Stage, of: Written, conditions: Mapping[str, str], order: Sequence[str], most: int
    ) -> tuple[pl.DataFrame, int | None]:
        """The first rows of a day that fit conditions, without the columns that publishing adds.

        Args:
            stage: the stage.
            of: the day, the run and the table.
            conditions: for some columns the text of what they hold.
            order: the columns to sort by; "-score" begins with the greatest.
            most: how many rows.

        Returns:
            The rows, and how many fit; None instead of that number where there is no condition.

        Raises:
            Problem: a condition is nothing that the column holds.
        """

    @abstractmethod
    def parts(self, stage: Stage, of: Written, columns: Collection[str], rows: int) -> Iterator[pl.DataFrame]:
        """A day's rows in the order of their key, some at a time, in the types that the table declares.

        Args:
            stage: the stage.
            of: the day, the run and the table.
            columns: which columns.
            rows: how many at a time, or a few more.

        Returns:
            One part at least, if an empty one.
        """

    @abstractmethod
    def replace(
        self, stage: Stage, day: date, tables: "Sequence[tuple[Table, pl.DataFrame | Iterable[pl.DataFrame]]]"
    ) -> list[int]:
        """Put rows in place of the stage's of that day, in all tables or in none.

        Args:
            stage: the stage that the rows are of.
            day: the day that the rows are for.
            tables: each table with its rows, of all its columns: stage, date, key, others, run_id and git_commit; in
                one frame, or in parts, which are taken and written one after the other.

        Returns:
            For each table the number of its rows.

        Raises:
            Problem: a table is there with another key, or a column with other values; two rows have one key; a part
                has other columns than the first, or there is not one part.
        """

    def replace_day(self, stage: Stage, day: date, rows: pl.DataFrame) -> None:
        """Put rows in place of the stage's of that day in the first of TABLES, as code of earlier releases does."""
        self.replace(stage, day, [(self._first_table(rows), rows)])

    def put_back(self, stage: Stage, git_commit: str) -> list[date]:
        """Put the rows of a commit back in place where those of another have replaced them.

        A database that keeps no rows which were replaced puts none back.

        Returns:
            The days whose rows are in place again, of all tables.
        """
        return []

    @abstractmethod
    def remove_rows(self, stage: Stage, before: date, tables: Sequence[str]) -> dict[str, int]:
        """Remove a stage's rows of days before one, of all tables or of none; how many of each that had such."""

    @abstractmethod
    def remove_unread(self, stage: Stage) -> int:
        """Remove rows that no reader takes, as nothing leads to them; how many."""

    def _first_table(self, rows: pl.DataFrame) -> "Table":
        from ..published import declared, line_to_add  # which import this module

        tables = declared()
        if not tables:
            known = next(iter(catalogue.published(self).values()), None)
            own = [name for name in rows.columns if name not in catalogue.ADDED]
            raise Problem(line_to_add(known.name if known else "predictions", known.key[0] if known else own[0]))
        return tables[0]


def open_store(url: SecretStr, *, create: bool = False, keep_days: int = 0) -> AnyStore:
    """Open a database.

    Args:
        url: as `sqlite:///FILE`.
        create: whether what is not there is made: SQLite's file.
        keep_days: for how many days rows stay, where the database itself removes them; 0 for ever.

    Raises:
        NotThere: there is no such database.
        Problem: the URL is of no kind known here, or the database cannot be reached.
    """
    kind = scheme(url)
    if kind in SQL:
        from .sql import Store

        return Store(url, create=create)
    if not kind.isidentifier() or find_spec(f".{kind}", __package__) is None:
        name = without_password(url.get_secret_value())
        if kind == "dynamodb":
            raise Problem(f"database.url: {name}: DynamoDB is not chosen here: make answer database=dynamodb")
        raise Problem(f"database.url: {name}: neither sqlite:///FILE nor postgresql://USER@HOST/NAME")
    module = import_module(f".{kind}", __package__)
    return cast("AnyStore", module.open_store(url, create=create, keep_days=keep_days))


def make_database(url: SecretStr) -> None:
    """Make the database where its PostgreSQL server has none of that name, and say so; `open_store` makes others.

    Raises:
        Problem: the server cannot be reached, or does not allow it.
    """
    if scheme(url) in SQL:
        from . import sql

        sql.make_database(url)
