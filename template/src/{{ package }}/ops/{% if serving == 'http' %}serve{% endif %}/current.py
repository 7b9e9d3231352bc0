"""What is served: the newest day and, where the project predicts, the model of the run that wrote it.

A thread looks for a newer run every few seconds. It loads that run's model beside the present one, and only then puts
it in its place, so that no request waits for it.
"""

import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from ..code_errors import summary
from ..problems import Problem
from ..runs import Run
from ..settings import StageSettings
from .prediction import Service
from .reading import Day, Reader

POLL = 2.0  # seconds between two looks for a newer run
log = structlog.get_logger()


@dataclass(frozen=True)
class Loaded:
    """A model, and whose it is.

    Attributes:
        model: what the project's own `load` has returned.
        day: the day whose rows the run has written that it is of.
        model_run: the run that has trained it.
        folder: where the run's files are.
    """

    model: Any
    day: Day
    model_run: str
    folder: Path


class Current:
    """What is served at this moment; one thread changes it, all may read it."""

    def __init__(self, reader: Reader, settings: StageSettings, service: Service | None) -> None:
        self.reader, self._settings, self._service = reader, settings, service
        self.day: Day | None = None
        self.loaded: Loaded | None = None
        self.why = "no results yet"  # there is no model
        self._stopped = threading.Event()

    def look(self) -> None:
        """Take up a newer run, if there is one.

        Raises:
            Problem: the database, or the run's model, cannot be read.
        """
        day = self.reader.newest()
        if day is None or day != self.day:
            self.reader.look()  # a run may have made tables, and columns
            day = self.reader.newest()
        if day and day != self.day:
            log.info("results", date=day.date, run=day.run_id, commit=day.git_commit)
        self.day = day
        if day and self._service and (self.loaded is None or self.loaded.day != day):
            self._load(day, self._service)

    def begin(self) -> None:
        """Look once.

        Raises:
            Problem: the database cannot be reached. A model that cannot be loaded is logged, and tried again.
        """
        try:
            self.look()
        except Problem as problem:
            if self.day is None:
                raise
            log.warning("service", problem=str(problem))

    def watch(self) -> None:
        """Look again and again until `stop`; what fails is logged once, and tried again."""
        told = ""
        while not self._stopped.wait(POLL):
            try:
                self.look()
                told = ""
            except Exception as error:
                if (said := summary(error)) != told:
                    log.warning("service", problem=said)
                told = said

    def stop(self) -> None:
        """End `watch`."""
        self._stopped.set()

    def _load(self, day: Day, service: Service) -> None:
        """Put the model of the run that wrote a day in place of the present one, which goes on if that cannot be."""
        start, gone = time.perf_counter(), self.loaded.folder if self.loaded else None
        try:
            run = Run.open(self._settings.runs, day.run_id)
        except Problem as problem:
            self.why = f"the files of run {day.run_id} cannot be read"
            raise Problem(f"{self.why}: {problem}") from None
        try:
            loaded = Loaded(service.load(run), day, run.record.model_run or day.run_id, run.folder)
        except Exception as error:
            gone, self.why = run.folder, f"the model of run {day.run_id} cannot be loaded"
            raise Problem(f"{self.why}: {summary(error)}") from error
        else:
            self.loaded = loaded
            log.info("model", run=day.run_id, of=loaded.model_run, seconds=round(time.perf_counter() - start, 3))
        finally:
            if gone and self._settings.runs.store:  # a copy of this process's own
                shutil.rmtree(gone, ignore_errors=True)


def unusable(problem: Problem) -> str:
    """What a client is told where the database cannot be reached; the log has the rest."""
    log.warning("database", problem=str(problem))
    return "the database cannot be reached"
