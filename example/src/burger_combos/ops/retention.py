"""Nothing grows for ever: what a good run removes of days and runs long past. The log says what that was."""

import re
import shutil
import time
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import filelock
import structlog

from . import catalogue, publishers
from .databases import AnyStore, open_store
from .problems import Problem
from .published import declared
from .runs import Record, listed, store_of, trials_folder
from .settings import StageSettings, settings_file

LEFT = timedelta(days=2)  # a file that was written later than that may belong to a run or a trial that goes on
_BY_ITSELF = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}")  # the id of a run that nobody has named
_BEFORE_THE_RECORD = re.compile(r".*lock|log.*\.jsonl|.*\.partial")  # what a run writes before its record is there
log = structlog.get_logger()


def refuse_day(day: date, settings: StageSettings) -> None:
    """Refuse a run for a day so long past that the next good run would remove its rows.

    Raises:
        Problem: it is.
    """
    days = settings.database.keep_days
    today = datetime.now(ZoneInfo(settings.schedule.timezone)).date()
    if days and day < today - timedelta(days=days):
        where = settings_file(settings.stage, "database", "keep_days")
        raise Problem(
            f"{where}: database.keep_days is {days}, so the next good run would remove the rows of {day}: set more, "
            "or 0 for all"
        )


def tidy(record: Record, settings: StageSettings, spared: Collection[str] = ()) -> None:
    """Remove what is older than the settings keep, and what killed processes left; all that is done is logged.

    What cannot be removed is no reason to fail a run that has done its work.

    Args:
        record: the good run after which this is done: from its day on days are counted.
        settings: those of its stage.
        spared: the ids of runs whose records stay, whatever their age.
    """
    try:
        with open_store(settings.database.url) as store:
            _rows(store, record, settings)
            _records(store, record, settings, {record.run_id, *spared})
            if removed := store.remove_unread(record.stage):
                log.info(f"removed {removed:,} row{'s' * (removed != 1)} that no reader takes")
            ids = store.run_ids(record.stage)
        left = [*_left_by_trials(settings), *_left_by_runs(settings, ids - {record.run_id})]
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        names = [folder.name for folder in left if not folder.exists()]
        names += _left_in_store(settings, ids - {record.run_id})
        if names:
            log.info(f"removed what ended halfway left: {listed(names)}")
        publishers.forget(record, settings)
    except Problem as problem:
        log.warning("not all is removed that is too old", problem=str(problem))
    except Exception:
        log.exception("not all is removed that is too old")


def _rows(store: AnyStore, record: Record, settings: StageSettings) -> None:
    """Remove the rows of days before those that are kept, of the tables that the pipeline declares."""
    if not settings.database.keep_days:
        return
    before = record.date - timedelta(days=settings.database.keep_days)
    known = catalogue.published(store)
    tables = [table.name for table in declared() if table.name in known]
    for table, rows in store.remove_rows(record.stage, before, tables).items():
        log.info(f"removed {rows:,} row{'s' * (rows != 1)} of {table} before {before}")


def _records(store: AnyStore, record: Record, settings: StageSettings, spared: Collection[str]) -> None:
    """Remove the records of days that are not kept and have no rows, but for some."""
    if not settings.runs.keep_records_days:
        return
    before = record.date - timedelta(days=settings.runs.keep_records_days)
    if removed := store.remove_records(record.stage, before, list(catalogue.published(store)), sorted(spared)):
        log.info(f"removed {removed:,} record{'s' * (removed != 1)} of runs before {before}")


def _left_by_trials(settings: StageSettings) -> Iterator[Path]:
    """The folders of trials that were killed, which remove theirs otherwise."""
    for folder in _folders(trials_folder(settings.runs)):
        if _BY_ITSELF.fullmatch(folder.name) and _is_left(folder, settings):
            yield folder


def _left_by_runs(settings: StageSettings, ids: set[str]) -> Iterator[Path]:
    """The folders of runs that were killed before they had a record, or while they were removed.

    Where a store has the files, it is each copy of a run's that its process did not remove.
    """
    runs = settings.runs
    for folder in _folders(runs.folder):
        name = folder.name
        if runs.store:
            ours = name in ids or name[:-9] in ids  # as tempfile names a copy: -, and eight characters
        elif (folder / "run.json").exists():
            continue
        else:
            ours = name in ids or all(_BEFORE_THE_RECORD.fullmatch(file.name) for file in folder.iterdir())
        if ours and _is_left(folder, settings) and not (not runs.store and _is_alive(folder)):
            yield folder


def _left_in_store(settings: StageSettings, ids: set[str]) -> list[str]:
    """Remove from the store what it has of runs that are known and have no record there any more, or not yet."""
    store = store_of(settings.runs)
    if store is None:
        return []
    written: dict[str, datetime] = {}
    whole: set[str] = set()
    names: dict[str, list[str]] = {}
    for name, when in store.written().items():
        run_id, _, file = name.partition("/")
        written[run_id] = max(when, written.get(run_id, when))
        names.setdefault(run_id, []).append(name)
        if file == "run.json":
            whole.add(run_id)
    now = datetime.now(UTC)
    left = [each for each in written if each in ids and each not in whole and now - written[each] > _age(settings)]
    for run_id in left:
        store.remove(names[run_id])
    return left


def _folders(parent: Path) -> list[Path]:
    return sorted(each for each in parent.iterdir() if each.is_dir()) if parent.is_dir() else []


def _age(settings: StageSettings) -> timedelta:
    return max(LEFT, 2 * timedelta(minutes=settings.schedule.deadline_minutes))


def _is_left(folder: Path, settings: StageSettings) -> bool:
    """Whether nothing has been written there for so long that nobody is at work any more."""
    last = max(file.stat().st_mtime for file in (folder, *folder.rglob("*")))
    return time.time() - last > _age(settings).total_seconds()


def _is_alive(folder: Path) -> bool:
    try:
        with filelock.FileLock(folder / "lock").acquire(timeout=0):
            return False
    except filelock.Timeout:
        return True
