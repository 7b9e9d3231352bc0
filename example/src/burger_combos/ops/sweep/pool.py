"""The trials at once on this machine, each in a process of its own, with its share of the processors."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import polars as pl

from ..run_in_subprocess import GRACE, reason
from ..runs import Run, sweeps
from ..settings import StageSettings
from .plan import Plan, done

POLL = 0.1  # seconds between two looks at the processes
SPARED = 0.1  # of the memory that is free stays free
THREADS = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
CGROUP = Path("/sys/fs/cgroup")
# Of a container, as the second version and the first have them: its limit, and what it uses of that.
LIMITS = {"memory.max": "memory.current", "memory/memory.limit_in_bytes": "memory/memory.usage_in_bytes"}
MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Width:
    """How many trials are done at once, with how many threads each, and why not more; empty: nothing is in the way."""

    trials: int
    threads: int
    why: str = ""


def width(settings: StageSettings, trials: int, needed_mb: float = 0) -> Width:
    """How many trials fit on this machine at once.

    The threads do not depend on the memory, so that each trial, the first too, has as many: results may differ by them.

    Args:
        settings: those of the stage; `sweep.parallel` trials are done at once if they fit.
        trials: how many there are.
        needed_mb: the memory of one; 0 where it is not known.
    """
    processors, wanted = pl.thread_pool_size(), settings.sweep.parallel
    allowed, why = wanted or processors, ""
    amounts = [settings.resources, *settings.resources.named.values()]
    if any(each.gpu for each in amounts) and not wanted:
        allowed, why = 1, "as trials would share the GPU; sweep.parallel says otherwise"
    together = max(1, min(allowed, trials))
    threads = max(1, processors // together)
    needed_mb = max(needed_mb, *(each.memory_mb for each in amounts))
    free = free_mb() * (1 - SPARED)
    if needed_mb and free and (fitting := max(1, int(free // needed_mb))) < together:
        together, why = fitting, f"as one takes {needed_mb:,.0f} MB, and {free:,.0f} MB are free"
    return Width(together, threads, why)


def free_mb() -> float:
    """The memory that this machine, or this container, has free, in MB; 0 where that cannot be told."""
    found = []
    if MEMINFO.exists():
        text = MEMINFO.read_text(encoding="utf-8")
        found += [int(each) / 1024 for each in re.findall(r"MemAvailable:\s+(\d+) kB", text)]
    elif {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= os.sysconf_names.keys():  # of all, half may be free
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**21)
    for most, used in LIMITS.items():
        if (CGROUP / most).exists():
            limit = (CGROUP / most).read_text(encoding="utf-8").strip()
            if limit.isdecimal():
                found.append((int(limit) - int((CGROUP / used).read_text(encoding="utf-8"))) / 2**20)
    return max(0.0, min(found, default=0.0))


class Pool:
    """The processes of a sweep's trials; whatever ends this one ends them, too."""

    def __init__(self, settings: StageSettings, plan: Plan) -> None:
        self._settings = settings
        self._plan = plan
        self._working: dict[int, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}

    def each(self, indices: Sequence[int], width: Width, ended: Callable[[int, Run], None]) -> None:
        """Do trials, so many at once; one that fails does not stop the others.

        Args:
            indices: the numbers of the trials.
            width: how many at once.
            ended: is called with each trial's number and run, once it has ended.
        """
        waiting = list(indices)
        try:
            while waiting or self._working:
                while waiting and len(self._working) < width.trials:
                    self._begin(waiting.pop(0), width.threads)
                time.sleep(POLL)
                for index in [each for each, (process, _) in self._working.items() if process.poll() is not None]:
                    ended(index, self._end(index))
        except BaseException:
            self._stop()
            raise

    def _begin(self, index: int, threads: int) -> None:
        """Begin a process that holds one end of a pipe: it ends in order where this one is gone."""
        of = ("--stage", str(self._settings.stage), "--of", self._plan.sweep_id, "--trial", str(index), "--tied")
        command = [sys.executable, "-Pm", f"{__package__.rpartition('.')[0]}.cli", "sweep", *of]
        env = os.environ | dict.fromkeys(THREADS, str(threads))
        said = tempfile.TemporaryFile()  # noqa: SIM115 (closed by _end)
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, env=env, process_group=0
        )
        self._working[index] = (process, said)

    def _end(self, index: int) -> Run:
        """The run of a trial whose process has ended; where that could not tell its end itself, it is noted now."""
        process, said = self._working.pop(index)
        with said:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
        if process.stdin:
            process.stdin.close()
        if run := done(self._plan, self._settings.runs, index):
            return run
        place, run_id = sweeps(self._settings.runs), self._plan.run_id(index)
        told = "".join(each for each in last if each.startswith("error: ")).removeprefix("error: ")
        begun = Run.exists(place, run_id)
        run = Run.open(place, run_id) if begun else Run.create(place, self._settings.stage, self._plan.date, run_id)
        run.record.status, run.record.problem = "failed", told or reason(process.returncode)
        run.save()
        return run

    def _stop(self) -> None:
        """Ask each process to stop, and kill those that do not."""
        for process, _ in self._working.values():
            process.terminate()
        latest = time.monotonic() + GRACE
        for process, said in self._working.values():
            try:
                process.wait(max(0, latest - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            said.close()
        self._working.clear()
