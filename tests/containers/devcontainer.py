"""The devcontainer CLI, which opens a devcontainer as an editor does."""

import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

from . import engine

PACKAGE = "@devcontainers/cli@0.89.0"


def install() -> Path:
    """Install the CLI into the cache, once, and return the program.

    Raises:
        RuntimeError: there is no npm here, or it cannot install it.
    """
    if not shutil.which("npm"):
        raise RuntimeError("no npm here, which installs the devcontainer CLI")
    folder = engine.CACHE / "devcontainer-cli"
    engine.CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(engine.CACHE / "devcontainer-cli.lock"):
        command = ["npm", "install", "--no-save", "--silent", "--prefix", str(folder), PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return folder / "node_modules/.bin/devcontainer"
