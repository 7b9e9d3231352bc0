"""Where the measuring takes place: trivial templates as floors, a generated project, and a watch."""

import math
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rig

LIMIT = 3_600  # seconds of a whole run


@dataclass(frozen=True)
class Line:
    """A row of the table: something measured, its floor, and what their ratio may be, if there is a limit."""

    what: str
    seconds: float
    floor: str
    floor_seconds: float
    limit: float = math.inf
    remark: str = ""

    @property
    def ratio(self) -> float:
        """How many times the floor."""
        return self.seconds / self.floor_seconds

    def __str__(self) -> str:
        """As a row of a Markdown table."""
        limit = f"{self.limit:.3g} ×" if math.isfinite(self.limit) else ""
        verdict = "" if self.ratio <= self.limit else "**over** "
        return (
            f"| {self.what} | {self.seconds:.2f} s | {self.floor} | {self.floor_seconds:.2f} s | {self.ratio:.2f} × "
            f"| {limit} | {verdict}{self.remark} |"
        )


class Lab:
    """A folder with the template and a project of it, set up; an empty template, and one of trivial files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = rig.snapshot(self._new("template"))
        self.project = rig.generate(self.template, folder / "project")
        self.empty = self._trivial("empty", [Path("file")])
        files = [path.relative_to(self.project.folder) for path in self.project.folder.rglob("*") if path.is_file()]
        self.trivial = self._trivial("trivial", files)
        self.project.make("setup")

    def _new(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def _trivial(self, name: str, files: list[Path]) -> Path:
        folder = self._new(name)
        (folder / "copier.yml").write_text("_subdirectory: template\n")
        for file in files:
            (folder / "template" / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / "template" / file).write_text("one\n")
        rig.commit(folder, "1.0.0")
        return folder

    def fresh(self) -> Path:
        """A path at which there is nothing yet."""
        return self.folder / f"fresh-{time.time_ns()}"

    def seconds(self, *command: str | Path, cwd: Path | None = None, containers: bool = False, **env: str) -> float:
        """How long a command takes that has to succeed."""
        env = rig.environment(containers=containers) | env
        start = time.perf_counter()
        done = subprocess.run(command, cwd=cwd or self.folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return time.perf_counter() - start

    def peak(self, project: rig.Project) -> tuple[float, float]:
        """Seconds of a project's whole run, which has to succeed, and the most memory in GB that a process of it has.

        One that takes longer than LIMIT is ended.
        """
        start = time.perf_counter()
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                [project.command, "run"],
                cwd=project.folder,
                env=rig.environment() | project.env,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            timer = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            timer.cancel()
            said.seek(0)
            assert status == 0, (project.env, status, said.read().decode()[-2_000:])
        return time.perf_counter() - start, usage.ru_maxrss * 1024 / 1e9


def best(times: int, *measures: Callable[[], float]) -> list[float]:
    """The least of each, measured in turns, after one turn that does not count."""
    for measure in measures:
        measure()
    turns = [[measure() for measure in measures] for _ in range(times)]
    return [min(column) for column in zip(*turns, strict=True)]


def build(lab: Lab, project: rig.Project, target: str) -> float:
    """How long it takes to build one of a project's images where nothing has changed."""
    command = ("docker", "buildx", "build", "--load", "--quiet", f"--tag=bench-{target}", f"--target={target}")
    return lab.seconds(*command, project.folder, containers=True)


def confined(lab: Lab, target: str, *command: str) -> float:
    """How long a command takes in such an image, under production's restrictions, and with a volume named bench."""
    restricted = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--volume=bench:/app/var"]
    restricted.append("--env=BURGER_COMBOS_RUNS__STORE=")  # whatever the settings say
    return lab.seconds("docker", "run", "--rm", *restricted, f"bench-{target}", *command, containers=True)


# A user's change: one line of the model, another one each time, so that Python compiles it anew.
CHANGED = "\n# changed {}\n"


@contextmanager
def changing(project: rig.Project) -> Iterator[Callable[[], None]]:
    """A function that changes a line of the model; in the end it is as it was."""
    model = next(project.folder.glob("src/*/model.py"))
    original = model.read_text(encoding="utf-8")

    def change() -> None:
        model.write_text(original + CHANGED.format(time.time_ns()), encoding="utf-8")

    try:
        yield change
    finally:
        model.write_text(original, encoding="utf-8")
