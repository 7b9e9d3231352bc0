"""A clock of a test's own for what runs in containers: Debian's libfaketime in the image that a project begins from.

Each process there asks the clock's file at each look at the time, so that to write it moves the clock of all at once.
How long something takes is measured as ever.
"""

import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from . import engine
from .docker import docker

BASE = "python:3.13-slim-trixie"
LIBRARY = "usr/lib/*-linux-gnu/faketime/libfaketimeMT.so.1"
FILE = "var/clock"  # in /app; without it, clocks are right
IMAGE = "localhost/python-with-a-clock:3.13-slim-trixie"
RECIPE = f"""
FROM {BASE}
COPY --chmod=755 clock.so /usr/local/lib/
ENV LD_PRELOAD=/usr/local/lib/clock.so FAKETIME_TIMESTAMP_FILE=/app/{FILE} FAKETIME_NO_CACHE=1 \\
    FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DISABLE_SHM=1 NO_FAKE_STAT=1
"""


def provide() -> None:
    """Make the image of Python whose clock can be moved.

    Raises:
        OSError: the library cannot be had here.
    """
    if not shutil.which("apt-get"):
        raise OSError("libfaketime is Debian's, and there is no apt-get here")
    try:
        library = next(engine.unpacked("faketime", ["libfaketime"]).glob(LIBRARY))
    except (SystemExit, StopIteration) as reason:
        raise OSError(f"no libfaketime: {reason}") from None
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(library, Path(folder, "clock.so"))
        Path(folder, "Dockerfile").write_text(RECIPE)
        docker("buildx", "build", "--output=type=docker", f"--tag={IMAGE}", folder)


def offset(moment: datetime) -> str:
    """What the clock's file holds for that moment to be now."""
    return f"{(moment - datetime.now(UTC)).total_seconds():+.0f}"


def install(volume: str, image: str, moment: datetime) -> None:
    """Make the volume of a stage's data, which the stage may write, with a clock in it."""
    docker("volume", "create", volume)
    mount = f"--mount=type=volume,source={volume},target=/app/var"
    docker("run", "--rm", mount, image, "sh", "-c", f"chmod 777 /app/var && echo {offset(moment)} >/app/{FILE}")


def move(container: str, moment: datetime) -> None:
    """Let it be that moment in a container, which may be stopped: at once, as nobody may find the file empty."""
    running = docker("inspect", "--format={{.State.Running}}", container) == "true"
    if running:
        write = f"echo {offset(moment)} >{FILE}.next && mv {FILE}.next {FILE}"
        docker("exec", container, "sh", "-c", write)
        return
    with tempfile.TemporaryDirectory() as folder:
        clock = Path(folder, "clock")
        clock.write_text(offset(moment))
        subprocess.run(["docker", "cp", "--quiet", clock, f"{container}:/app/{FILE}"], check=True, capture_output=True)
