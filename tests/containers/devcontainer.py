"""The devcontainer CLI, which opens a devcontainer as an editor does."""

from pathlib import Path

from . import npm


def install() -> Path:
    """Install the CLI into the cache, once, and return the program.

    Raises:
        RuntimeError: there is no npm here, or it cannot install it.
    """
    return npm.install("@devcontainers/cli", "0.89.0") / "devcontainer"
