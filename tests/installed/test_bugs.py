"""A bug of one's own: told by step, error, file and line, with the whole traceback a command away."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from rig import Project, change

LEARNT = "    rows = []\n    for block in blocks:\n"
# What stands in `learnt` before that, and what is told of it; LINE is where it stands.
BUGS = {
    "{}['itm']": "neighbours: KeyError: 'itm' (model.py:LINE)",
    "np.zeros((2, 2)) @ np.zeros((3, 3))": "neighbours: ValueError: matmul: .* (model.py:LINE)",
    "sp.csr_array(7)": "neighbours: ValueError: scipy .* (model.py:LINE)",
    "raise MemoryError": "neighbours: MemoryError (model.py:LINE)",
    "raise EOFError('no more')": "neighbours: EOFError: no more (model.py:LINE)",
    "raise type('Panic', (BaseException,), {})('of Rust')": "neighbours: Panic: of Rust (model.py:LINE)",
    "raise SystemExit(0)": "neighbours: SystemExit: 0 (model.py:LINE)",
    r"raise ValueError('\n\nfirst\nsecond')": "neighbours: ValueError: first (model.py:LINE)",
    "(lambda: 1 / 0)()": "neighbours: ZeroDivisionError: division by zero (model.py:LINE)",
}


@pytest.fixture(scope="module")
def mine(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose files tests change, and put back."""
    made = generate(tmp_path_factory.mktemp("bugs") / "burger")
    made.make("setup")
    return made.with_env(ORDERS__SAMPLE__CUSTOMERS="300")


@contextmanager
def broken(project: Project, name: str, old: str, new: str) -> Iterator[int]:
    """A file of the package with other text in the place of some; yields the line where that begins."""
    file = project.folder / "src" / project.package / name
    text = file.read_text(encoding="utf-8")
    change(file, {old: new})
    try:
        yield text[: text.index(old)].count("\n") + 1
    finally:
        file.write_text(text, encoding="utf-8")


def pattern(told: str, line: int) -> str:
    """A regular expression of a line that is told, in which only `.*` is one already."""
    return re.escape(told.replace("LINE", str(line))).replace(r"\.\*", ".*")


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_in_a_step_is_told_by_step_error_and_line(bug: str, mine: Project) -> None:
    with broken(mine, "model.py", LEARNT, f"    {bug}\n{LEARNT}") as line:
        done = mine.call("run")
    told = pattern(BUGS[bug], line)
    said = [each for each in done.stderr.splitlines() if not re.match(r"\d\d:\d\d:\d\d \[info\]", each)]
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(f"error: {told}", said[0])
    assert said[1] == f'  File "src/burger_combos/model.py", line {line}, in ' + (
        "<lambda>" if "lambda" in bug else "learnt"
    )
    assert said[2] == f"    {bug}"
    assert said[-1].startswith("  the whole traceback: make logs RUN=")
    assert len(said) == (5 if "second" in bug else 4)
    if bug == next(iter(BUGS)):
        assert re.fullmatch(told, mine.status("STAGE=develop")["develop"]["result"])
        logged = mine.make(*said[-1].partition("make ")[2].split())
        assert re.search(told, logged)
        assert "Traceback (most recent call last)" in logged
        assert 'pipeline.py", line' in logged
        (report,) = mine.folder.glob(f"var/develop/main/runs/{said[-1].partition('RUN=')[2]}/report.html")
        assert "KeyError: &#39;itm&#39; (model.py" in report.read_text(encoding="utf-8")


def test_a_bug_of_a_shard_and_on_trial_is_told_too_and_a_debugger_gets_it_as_it_is(mine: Project) -> None:
    in_a_thread = "        theirs = history[rows]\n"
    with broken(mine, "model.py", in_a_thread, "        theirs = history.itm\n") as line:
        told = f"recommend: AttributeError: 'csr_array' object has no attribute 'itm' (model.py:{line})"
        split = mine.with_env(RUNS__SHARDS="2", DEPLOY__SCALE__FACTORS="[1]", GATE__UNJUDGED="pass")
        whole = split.with_env(TRACEBACK="1").call("run")
        tried = split.call("gates", "--stage", "develop")
    assert whole.returncode == 1
    assert whole.stderr.splitlines()[-1].startswith(told.partition(": ")[2].partition(" (")[0])
    assert "Traceback (most recent call last)" in whole.stderr
    assert tried.returncode == 3
    assert told.replace("recommend", "evaluate") in tried.stdout
    assert f'  File "src/burger_combos/model.py", line {line}, in sparse' in tried.stderr

    with broken(mine, "pipeline.py", "rows = _rows(names.to_frame(", "rows = _rows(names.itm(") as line:
        for step in ("load", "check", "catalogue", "train", "neighbours", "evaluate", "review", "gate"):
            assert split.call("step", step, "--run-id", "split").returncode == 0
        done = split.call("step", "recommend", "--run-id", "split", "--shard", "1")
    assert done.returncode == 1
    told = f"recommend: AttributeError: 'Series' object has no attribute 'itm' (pipeline.py:{line})"
    assert f"error: {told}\n" in done.stderr
    assert done.stderr.splitlines()[-1] == "  the whole traceback: make logs RUN=split"
    assert told in mine.make("status", "STAGE=develop")
    assert "Traceback" in mine.make("logs", "RUN=split")


def test_what_cannot_be_imported_is_told_by_file_and_line(mine: Project) -> None:
    for name, old, new, told in (
        (
            "pipeline.py",
            "def train(run: Run, settings: Settings, shard: Shard) -> None:",
            "def train(run: Run",
            "'(' was never closed",
        ),
        ("orders.py", "import pandera.polars as pa", "import panderra as pa", "No module named 'panderra'"),
        ("model.py", "CHUNK = 2**20", "CHUNK = 2**twenty", "name 'twenty' is not defined"),
        ("evaluate.py", "from .model import Codes", "from .model import Cods", "cannot import name 'Cods' from "),
    ):
        with broken(mine, name, old, new) as line:
            done = mine.call("run")
            looked = mine.call("status")  # which needs none of that
        first, place, code, *more = done.stderr.splitlines()
        assert done.returncode == 1
        assert re.fullmatch(rf"error: \w+Error: {re.escape(told)}.* \({name}:{line}\)", first)
        assert place.startswith(f'  File "src/burger_combos/{name}", line {line}')
        assert code.strip() == new or new in code
        assert more == ["  BURGER_COMBOS_TRACEBACK=1 in the environment shows the whole traceback"]
        assert looked.returncode == 0


def test_who_interrupts_is_told_one_line_and_the_run_is_to_be_done_again(mine: Project) -> None:
    with broken(mine, "model.py", LEARNT, f"    raise KeyboardInterrupt\n{LEARNT}"):
        done = mine.call("run")
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "error: interrupted"
    assert "Traceback" not in done.stderr
    assert "stopped" in mine.status("STAGE=develop")["develop"]["last run"]


def test_a_bug_where_one_only_looks_is_told_too(shop: Project) -> None:
    done = shop.python("""
import sys
from burger_combos.ops import cli, records
records.last = lambda *_: {}["nothing"]
sys.argv = ["x", "status"]
cli.main()
""")
    first, place, *_, last = done.stderr.splitlines()
    assert done.returncode == 1
    assert first.startswith("error: KeyError: 'nothing' (ops/status.py:")
    assert place.startswith('  File "src/burger_combos/ops/status.py", line ')
    assert last == "  BURGER_COMBOS_TRACEBACK=1 in the environment shows the whole traceback"
