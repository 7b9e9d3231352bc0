"""How fast, each beside its floor: `make bench` prints the table and keeps it in RESULTS.md.

With names of rows, as `python bench copy elsewhere`, only those are measured, and nothing is kept.
"""

import os
import platform
import sys
import tempfile
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import rig
from containers import engine, images
from lab import Lab
from rows import CONTAINED, ROWS

INTRODUCTION = """# How fast
Printed by `make bench` of {version} on {day}, on {cores} cores of a {machine} machine, Python {python}. Each row is
measured beside its floor in the same run, in turns, and the best of each counts: compare the ratios, not the seconds.

"""


def main() -> None:
    """Measure every row and write them down."""
    chosen = sys.argv[1:]
    if unknown := {*chosen} - {row.__name__ for row in ROWS}:
        sys.exit(f"bench: no row {', '.join(unknown)}; there are {', '.join(row.__name__ for row in ROWS)}")
    rows = [row for row in ROWS if not chosen or row.__name__ in chosen]
    contained = any(row in CONTAINED for row in rows)
    if contained and not engine.is_there():
        sys.exit("bench: no container engine here: python3 tests/containers/engine.py make bench")
    text = INTRODUCTION.format(
        version=rig.VERSION,
        day=date.today(),
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
    )
    text += "| what | measured | floor | measured at | ratio | at most | |\n|---|---|---|---|---|---|---|\n"
    print(text, end="", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        Path(folder).chmod(0o755)
        lab = Lab(Path(folder))
        if contained:
            images.provide(rig.generate(lab.template, lab.fresh(), database="postgresql").folder)
        for measure in rows:
            for line in measure(lab):
                print(line, flush=True)
                text += str(line) + "\n"
    if not chosen:
        (Path(__file__).parent / "RESULTS.md").write_text(text, encoding="utf-8")


main()
