"""Other steps than the template's, in a project's pipeline.py: what its owners may do without touching another file."""

import re
from pathlib import Path

from rig import change

# Where the split step `recommend` begins.
CHOOSES = '    customers = pl.read_parquet(run.path("customers.parquet", shard))\n'

# `recommend` has another name, and two steps are new. The one whose name is longer than a label in Kubernetes is split,
# as is the one before it, all of whose shards it needs.
LONG = "weigh_each_part_of_the_rows_that_all_shards_of_choose_have_left_behind"
REWORKED = ["load", "check", "catalogue", "train", "neighbours", "evaluate", "review", "gate"]
REWORKED += ["audit_it", "choose", LONG, "publish"]
IN_SHARDS = ["check", "train", "evaluate", "choose", LONG]
BETWEEN = ["fork_train", "fork_evaluate", "join_choose", f"fork_{LONG}"]  # the tasks of Metaflow that do no step
ADDED = f'''

def audit_it(run: Run, settings: Settings) -> None:
    """Note that this step was here."""
    run.record.facts["audited"] = True


def {LONG}(run: Run, settings: Settings, shard: Shard) -> None:
    """Count a shard's part of all rows."""
    rows = pl.read_parquet(run.paths("recommendations.parquet"))
    part = shard.of(len(rows))
    run.count("weighed", part.stop - part.start)
'''

# Only steps of a few lines: the first, the last, and two after one another are split.
SPLIT = ["fetch_parts", "look", "double", "add_up"]
ALL_SPLIT = """

def fetch_parts(run: Run, settings: Settings, shard: Shard) -> None:
    run.path("part.txt", shard).write_text(f"{shard.number}")


def look(run: Run, settings: Settings) -> None:
    run.record.facts["parts"] = [file.read_text() for file in run.paths("part.txt")]


def double(run: Run, settings: Settings, shard: Shard) -> None:
    run.path("doubled.txt", shard).write_text(str(2 * int(run.path("part.txt", shard).read_text())))


def add_up(run: Run, settings: Settings, shard: Shard) -> None:
    run.count("sum", int(run.path("doubled.txt", shard).read_text()))
"""


def rework(pipeline: Path) -> None:
    """Rename a step, add one, and add one that is split."""
    change(pipeline, {"def recommend(": "def choose("})
    put(pipeline, ADDED, REWORKED)


def put(pipeline: Path, code: str, steps: list[str]) -> None:
    """Add code to a pipeline.py, and let it have these steps."""
    text = pipeline.read_text(encoding="utf-8")
    begin = text.index("Step = Callable")
    listed = f"STEPS: tuple[Step, ...] = ({''.join(f'{name}, ' for name in steps)})\n"
    rest = re.sub(r"STEPS: tuple\[Step, \.\.\.\] = \([^)]*\)\n", listed, text[begin:])
    assert listed in rest
    pipeline.write_text(f"{text[:begin].rstrip()}\n{code}\n\n{rest}", encoding="utf-8")
