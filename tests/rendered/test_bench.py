"""The benchmark's table: whole, going on where it was broken off, and saying why a row is not measured."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cli
import needs
import pytest
import rig
from lab import Line
from rows import NEEDS, ROWS
from table import Bench, Kept, State

Row = Callable[[list[str]], Iterator[Line]]
STATE = State("files", "2 cores", "3.11.2")


def one(place: list[str]) -> Iterator[Line]:
    """One thing, beside another."""
    place.append("one")
    yield Line("one", 2, "floor", 1)


def two(place: list[str]) -> Iterator[Line]:
    """Two things, beside others."""
    place.append("two")
    yield Line("two", 3, "floor", 1)
    yield Line("two again", 4, "floor", 1)


def stopped(place: list[str]) -> Iterator[Line]:
    """What somebody stops in the middle."""
    place.append("stopped")
    yield Line("stopped", 1, "floor", 1)
    raise KeyboardInterrupt


def failing(_: list[str]) -> Iterator[Line]:
    """What fails."""
    raise AssertionError("Traceback\n  much\nboom | bang\n")
    yield


def raising(_: list[str]) -> Iterator[Line]:
    """What raises in a process of its own."""
    raise AssertionError("Traceback\n  much\nKeyError: 'no such'\nException ignored in: <function>\nTraceback\n  more")
    yield


def skipping(_: list[str]) -> Iterator[Line]:
    """What a helper of the tests skips."""
    pytest.skip("no kubectl here")
    yield


def measured(
    file: Path, *rows: Row, state: State = STATE, again: bool = False, until: float = 1e12, why: str = ""
) -> tuple[list[str], list[str], Bench[list[str]]]:
    """The lines of a bench, the rows that it measured, and the bench; `why` the row `one` cannot be measured."""
    bench = Bench(rows, {one: (lambda: "", lambda: why)}, Kept(file, state), again=again, until=until)
    place: list[str] = []
    return list(bench.lines(lambda: place)), place, bench


def test_what_was_broken_off_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "bench/rows.json"
    with pytest.raises(KeyboardInterrupt):
        measured(file, one, stopped, two)
    lines, place, bench = measured(file, one, two)
    assert place == ["two"]
    assert [line.split("|")[1].strip() for line in lines] == ["one", "two", "two again"]
    assert lines[0] == str(Line("one", 2, "floor", 1))
    assert measured(file, one, two)[:2] == (lines, [])
    assert measured(file, two, again=True)[:2] == (lines[1:], ["two"])
    assert bench.days() == bench.kept.rows["one"]["at"][:10]


def test_rows_of_another_state_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    measured(file, one)
    for other in (replace(STATE, files="x"), replace(STATE, machine="x"), replace(STATE, python="x")):
        assert measured(file, one, state=other)[1] == ["one"]
    assert Kept(file, STATE).other == "python"
    assert measured(file, one)[1] == ["one"]


def test_a_row_that_cannot_be_measured_says_why_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    lines, place, bench = measured(file, two, one, why="no engine here")
    assert place == ["two"]
    assert lines[2:] == ["| One thing, beside another | not measured: no engine here | | | | | |"]
    assert measured(file, two, one)[1] == ["one"]
    assert measured(file, one, why="no engine now")[0] == [str(Line("one", 2, "floor", 1))]  # of this very state
    assert measured(file, one, why="no engine here", again=True)[0] == lines[2:]
    assert measured(file, one, why="no engine here", state=replace(STATE, files="x"))[0] == lines[2:]
    assert measured(tmp_path / "new.json", one, until=0)[0][0].split("|")[2] == " not measured: no time was left "
    lines, _, bench = measured(file, skipping)
    assert lines == ["| What a helper of the tests skips | not measured: no kubectl here | | | | | |"]
    assert bench.failed == []


def test_a_row_that_fails_does_not_lose_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, place, bench = measured(tmp_path / "rows.json", failing, two)
    assert lines[0] == "| What fails | not measured: **failed**: boom \\| bang | | | | | |"
    assert place == ["two"]
    assert bench.failed == ["failing"]
    told = measured(tmp_path / "other.json", raising)[0]
    assert told == ["| What raises in a process of its own | not measured: **failed**: KeyError: 'no such' | | | | | |"]
    assert "much" in capsys.readouterr().err
    assert json.loads((tmp_path / "rows.json").read_text())["rows"].keys() == {"two"}


def test_a_change_of_what_is_measured_is_another_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("template/a.py", "docs/a.md", "bench/rows.py", "bench/RESULTS.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1\n")
    rig.commit(tmp_path, "first")
    monkeypatch.setattr(rig, "ROOT", tmp_path)
    first = State.present()
    for name in ("docs/a.md", "bench/RESULTS.md"):
        (tmp_path / name).write_text("2\n")
    assert State.present() == first
    for name in ("template/a.py", "bench/rows.py", "template/new.py"):
        (tmp_path / name).write_text("2\n")
        assert State.present() != first
        first = State.present()
    (tmp_path / "template/new.py").unlink()
    assert State.present() != first


def test_all_rows_are_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "RESULTS.md"
    monkeypatch.setattr(cli, "KEPT", rig.ROOT / "var" / tmp_path.name / "rows.json")
    monkeypatch.setattr(cli, "RESULTS", results)
    monkeypatch.setattr(cli, "ROWS", (one, failing, two))
    monkeypatch.setattr(cli, "NEEDS", {})
    monkeypatch.setattr(cli, "Lab", lambda folder: [])
    try:
        cli.main(["one"])
        assert not results.exists()
        with pytest.raises(SystemExit, match="failing failed"):
            cli.main([])
    finally:
        cli.KEPT.unlink()
        cli.KEPT.parent.rmdir()
    rows = [line.split("|")[1].strip() for line in results.read_text().splitlines() if line.startswith("|")]
    assert rows == ["what", "---", "one", "What fails", "two", "two again"]
    assert f"of {rig.VERSION} (" in results.read_text()


def test_each_row_has_words_of_its_own_and_needs_that_are_checked() -> None:
    words = [row.__doc__.partition("\n")[0] for row in ROWS if row.__doc__]
    assert len({*words}) == len(ROWS)
    assert NEEDS.keys() <= {*ROWS}
    assert needs.memory(0)() == ""
    assert needs.memory(1e6)().startswith("1e+06 GB of memory are needed, ")
