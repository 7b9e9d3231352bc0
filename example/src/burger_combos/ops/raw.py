"""The files of the table that a run fetched: one, or a part for each shard."""

from pathlib import Path

from .fingerprint import RAW
from .problems import Problem
from .runs import Run

KNOWN = "columns.json"  # beside the parts: what only all rows tell
REJECTED = "rejected.parquet"  # of each shard: the rows that it has set aside
CHECKED = "rejected.json"  # of each shard: what else of its rows all shards have to say together
REJECTED_OF_ALL = "rejected.csv"


def raw_files(run: Run) -> list[Path]:
    """The file of what the first step fetched, or those of its parts; a file need not be there."""
    return run.paths(RAW) if is_parted(run) else [run.path(RAW)]


def is_parted(run: Run) -> bool:
    """Whether what the first step fetched is in parts, one for each shard."""
    return len(run.shards) > 1 and run.path(RAW, run.shards[0]).exists()


def refuse_unjoined(run: Run) -> None:
    """Stop where shards have set rows aside, and nobody has looked whether they are too many.

    Raises:
        Problem: no step has called `join_rejected`.
    """
    if run.path(CHECKED, run.shards[0]).exists() and not run.path(REJECTED_OF_ALL).exists():
        raise Problem(
            "checked has set rows aside in shards, and no step has judged them: call join_rejected(run, settings) in a "
            "step after it that is not split"
        )
