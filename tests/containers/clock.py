"""A clock of a test's own for what runs in containers: Debian's libfaketime in the image that a project begins from.

Each process there asks the clock's file at each look at the time, so that to write it moves the clock of all at once.
How long something takes is measured as ever.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rig import Project, change, missing

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


def begin_with(project: Project) -> None:
    """Let a project's images begin from Python's image with a clock that can be moved; skip where none can be made."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        missing("DOCKER", "no libfaketime: it is unpacked from Debian's packages, by root on Debian")
    library = next(engine.unpacked("faketime", ["libfaketime"]).glob(LIBRARY))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(library, Path(folder, "clock.so"))
        Path(folder, "Dockerfile").write_text(RECIPE)
        docker("buildx", "build", "--output=type=docker", f"--tag={IMAGE}", folder)
    change(project.folder / "Dockerfile", {f"FROM {BASE} AS base": f"FROM {IMAGE} AS base"})


def here() -> str:
    """The address by which containers reach this machine; skip where the engine is on another one."""
    address = docker("network", "inspect", "bridge", "--format={{(index .IPAM.Config 0).Gateway}}")
    try:
        socket.create_server((address, 0)).close()
    except OSError:
        missing("DOCKER", f"{address} is none of this machine: containers cannot reach what tests serve")
    return address


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
