"""Who else gets a day's rows, once the database has them: each publisher that the settings or the answers choose."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

import polars as pl
import structlog

from . import catalogue, dry_run, earlier_rows
from .databases import open_store
from .problems import Problem
from .runs import Record, Run
from .settings import Stage, StageSettings

if TYPE_CHECKING:
    from .published import Table

log = structlog.get_logger()


class Replaced(Problem):
    """Another run has published the day meanwhile."""


@dataclass(frozen=True)
class Rows:
    """A table's rows of a day, as the database has them.

    Attributes:
        of: where they stand, of which stage, day, run and commit.
        any: whether there are any.
        settings: those of the stage.
    """

    of: earlier_rows.Published
    any: bool
    settings: StageSettings

    def parts(self) -> Iterator[pl.DataFrame]:
        """All columns but stage, date, run_id and git_commit, in the order of the key; some rows at a time.

        There is one part at least, if an empty one. What is made of them counts only once the last one was taken.

        Raises:
            Replaced: another run has replaced the rows meanwhile, so that these may not be all.
            Problem: the database cannot be read.
        """
        yield from self.of.read(self.settings.database.url)
        with open_store(self.settings.database.url) as store:
            there = earlier_rows.published(store, self.of.table, self.of.stage, self.of.date)
        if there != (self.of if self.any else None):
            raise Replaced(f"table {self.of.table.name}: another run has replaced the rows of {self.of.date} meanwhile")


class Publisher(Protocol):
    """Brings a day's rows to another place; each method raises Problem where that cannot be."""

    place: str  # where that is, for a person; without a password

    def prepare(self) -> None:
        """Find out whether rows can be brought there, before a run begins."""

    def put(self, day: Sequence[Rows]) -> None:
        """Put a day's rows, of all tables, in place of those that are there.

        It can be stopped at any moment, and is done again then. It lets `Replaced` through.
        """

    def forget(self, before: date) -> str:
        """Remove what there is of the stage's days before one; what that was, for the log, or nothing."""


def of(settings: StageSettings) -> list[Publisher]:
    """Those that are chosen; nothing is imported for another one.

    Raises:
        Problem: what one of them needs is not in the settings.
    """
    chosen: dict[str, bool] = {
        "publish_parquet": bool(settings.database.parquet_url),
        "publish_feast": bool(settings.database.feast_url),
    }
    if chosen["publish_feast"] and not find_spec(".publish_feast", __package__):
        raise Problem("database.feast_url: Feast is not chosen here: make answer features=feast")
    return [
        import_module(f".{name}", __package__).Publisher(settings) for name, is_chosen in chosen.items() if is_chosen
    ]


def prepare(settings: StageSettings) -> None:
    """Find out whether the rows of a run that is to begin can be brought everywhere.

    In production that is found out once the database has them, as others wait for those.

    Raises:
        Problem: they cannot, or what is set for a publisher is wrong.
    """
    for publisher in of(settings):
        if settings.stage is not Stage.production:
            publisher.prepare()


def follow(run: Run, settings: StageSettings, tables: Sequence["Table"]) -> None:
    """Let all publishers have what the database has of a run's day by now; in a trial nothing happens.

    Should another run have published the day meanwhile, they get its rows: what the database has counts.

    Args:
        run: the run that has put its rows in place.
        settings: those of its stage.
        tables: those that the pipeline declares.

    Raises:
        Problem: a publisher cannot do it; the database has the rows all the same.
    """
    if dry_run.running():
        return
    for publisher in of(settings):
        put = False
        while not put:
            try:
                day = _day(run.record, settings, tables)
                publisher.put(day)
                put = _day(run.record, settings, tables) == day
            except Replaced:
                continue
            except Problem as problem:
                raise Problem(
                    f"{problem}; the database has the rows of {run.record.date}, {publisher.place} may not: run that "
                    "day again, which does no harm"
                ) from None


def tell_unfollowed(run: Run, settings: StageSettings) -> None:
    """Warn of a run that has done all its steps and published nothing here, as code of early releases does."""
    if not run.record.tables:
        for publisher in of(settings):
            log.warning("not followed", place=publisher.place, problem="no step has called publish of ops.published")


def forget(record: Record, settings: StageSettings) -> None:
    """Let all publishers remove the days whose rows the database keeps no more, and log what that was.

    Args:
        record: the good run from whose day on days are counted.
        settings: those of its stage.

    Raises:
        Problem: a publisher cannot do it.
    """
    if not settings.database.keep_days:
        return
    before = record.date - timedelta(days=settings.database.keep_days)
    for publisher in of(settings):
        if removed := publisher.forget(before):
            log.info(f"removed {removed} before {before}")


def _day(record: Record, settings: StageSettings, tables: Sequence["Table"]) -> list[Rows]:
    """What the database has of the day, which is the run's unless another one has published it meanwhile."""
    day = []
    with open_store(settings.database.url) as store:
        known = catalogue.published(store)
        for table in tables:
            found = earlier_rows.published(store, known[table.name], record.stage, record.date)
            if found is None and record.tables[table.name]["rows"]:
                raise Problem(f"table {table.name}: another run has put no rows in place of those of {record.date}")
            none = earlier_rows.Published(
                known[table.name], record.stage, record.date, record.run_id, record.git_commit
            )
            day.append(Rows(found or none, found is not None, settings))
    return day
