"""How fast, each beside its floor: `make bench` prints the table and keeps it in RESULTS.md.

Each row that is measured is kept in var/bench/rows.json. So a bench that is broken off goes on there, as long as the
template, the machine and Python are the same; `make bench FRESH=1` begins anew. A row that cannot be measured here says
why. With names of rows, as `python bench copy feast`, only those are measured, again, and RESULTS.md stays as it is.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path

import rig
from containers import images
from lab import Lab
from needs import container_engine
from rows import NEEDS, ROWS
from table import HEAD, Bench, Kept, State, commit

KEPT = rig.ROOT / "var/bench/rows.json"
RESULTS = Path(__file__).parent / "RESULTS.md"
INTRODUCTION = """# How fast
Printed by `make bench` of {version} ({commit}) on {day}, on {machine}, Python {python}. Its rows are of {days}. Each
row is measured beside its floor or its peer in the same run, in turns, and the best of each counts: compare the ratios,
not the seconds. A row that this machine could not measure says why.

"""


def main(words: Sequence[str] | None = None) -> None:
    """Measure the rows that are to do, and write all down; without `words`, as the command line says.

    Raises:
        SystemExit: a row fails, a row has no such name, or somebody breaks it off.
    """
    arguments = _arguments(words)
    state = State.present()
    if arguments.fresh:
        KEPT.unlink(missing_ok=True)
    kept = Kept(KEPT, state)
    rows = [row for row in ROWS if not arguments.rows or row.__name__ in arguments.rows]
    until = time.monotonic() + 60 * arguments.minutes
    bench = Bench(rows, NEEDS, kept, again=bool(arguments.rows), until=until)
    _tell(bench)
    contained = any(container_engine in NEEDS.get(row, ()) for row in rows if row.__name__ in bench.todo)
    lines = [HEAD]
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        Path(folder).chmod(0o755)

        @cache
        def lab() -> Lab:
            made = Lab(Path(folder))
            if contained:
                images.provide(rig.generate(made.template, made.fresh(), database="postgresql").folder)
            return made

        try:
            if bench.todo and time.monotonic() < until:
                lab()  # whose failure is none of a row
            for line in bench.lines(lab):
                print(line, flush=True)
                lines.append(line)
        except KeyboardInterrupt:
            print("bench: broken off; what is measured is kept, and make bench goes on there", file=sys.stderr)
            sys.exit(130)
    if not arguments.rows:
        text = INTRODUCTION.format(
            version=rig.VERSION,
            commit=commit(),
            day=date.today(),
            machine=state.machine,
            python=state.python,
            days=bench.days(),
        )
        RESULTS.write_text(text + "\n".join(lines) + "\n", encoding="utf-8")
    if bench.failed:
        sys.exit(f"bench: {', '.join(bench.failed)} failed; make bench measures what is missing")


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0] if __doc__ else "")
    names = [row.__name__ for row in ROWS]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"measure only these, again: {', '.join(names)}")
    parser.add_argument("--fresh", action="store_true", help="measure what is kept again")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no row after so many")
    arguments = parser.parse_args(words)
    if unknown := sorted({*arguments.rows} - {*names}):
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(names)}")
    return arguments


def _tell(bench: Bench[Lab]) -> None:
    """Say what is kept, what is to do, and what cannot be done, before hours of work."""
    if bench.kept.other:
        print(
            f"bench: the rows in {KEPT.relative_to(rig.ROOT)} do not count: other {bench.kept.other}", file=sys.stderr
        )
    for row in bench.rows:
        name = row.__name__
        if name in bench.missing:
            print(f"bench: {name} is not measured: {bench.missing[name]}", file=sys.stderr)
        elif name not in bench.todo:
            found = bench.kept.rows[name]
            print(f"bench: {name} is kept, of {found['at']}, {found['commit']}", file=sys.stderr)
    print(f"bench: {len(bench.todo)} of {len(bench.rows)} rows are to be measured", file=sys.stderr, flush=True)
