"""Programs from npm, each of one version, in the cache."""

import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

from . import engine


def install(package: str, version: str) -> Path:
    """Install a package, once, and return the folder of its programs.

    Raises:
        RuntimeError: there is no npm here, or it cannot install it.
    """
    name = f"{package.strip('@').replace('/', '-')}-{version}"
    folder = engine.CACHE / name
    engine.CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(engine.CACHE / f"{name}.lock"):
        if folder.exists():
            return folder / "node_modules/.bin"
        if not shutil.which("npm"):
            raise RuntimeError(f"no npm here, which installs {package}")
        place = engine.CACHE / f"{name}.new"
        command = ["npm", "install", "--no-save", "--silent", "--prefix", str(place), f"{package}@{version}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        place.rename(folder)
    return folder / "node_modules/.bin"
