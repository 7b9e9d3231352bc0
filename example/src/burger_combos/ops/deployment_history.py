"""The deployment history of a stage: a file beside its runs, on the machine that runs them."""

import os
from pathlib import Path

from .problems import Problem
from .settings import Stage

MOST = 1000  # lines that are kept


def read(stage: Stage) -> list[str]:
    """All lines, oldest first."""
    try:
        text = _file(stage).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return text.split("\n")[:-1]  # what no line end follows was never finished


def add(stage: Stage, line: str) -> None:
    """One more line, at the end; as a whole or not at all. Of too many the oldest goes.

    Raises:
        Problem: the file cannot be written.
    """
    file = _file(stage)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = file.read_bytes() if file.exists() else b""
        partial = file.with_suffix(".partial")
        with partial.open("wb") as written:
            lines = [*whole[: whole.rfind(b"\n") + 1].splitlines(keepends=True), f"{line}\n".encode()]
            written.writelines(lines[-MOST:])
            written.flush()
            os.fsync(written.fileno())
        partial.replace(file)
    except OSError as error:
        raise Problem(f"{file}: cannot be written: {error.strerror}") from None


def _file(stage: Stage) -> Path:
    return Path("var", stage, "deployments.jsonl")
