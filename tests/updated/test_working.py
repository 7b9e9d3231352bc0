"""A lived-in project after `copier update` from the first release and the last: set up, committed, checked, run.

Its owners do what the update asks them to, and no more.
"""

import re
from collections.abc import Callable
from pathlib import Path

import copier
import pytest
import rig
from lived_in import change, live_in
from rig import Project

RELEASES = list(rig.earlier_releases())


def add_what_it_asks_for(mine: Project, said: str) -> None:
    """The two lines that pipeline.py has to have, as the update prints them; none where it has them."""
    if "TABLES = " in (mine.folder / f"src/{mine.package}/pipeline.py").read_text(encoding="utf-8"):
        return
    asked = re.search(r"pipeline\.py has to say what it publishes.*\n    (from .*)\n    (TABLES = .*)\n", said)
    assert asked, said
    pipeline = f"src/{mine.package}/pipeline.py"
    change(mine, pipeline, "import track\n", f"import track\n{asked[1]}\n")
    change(mine, pipeline, "log = ", f"{asked[2]}\nlog = ")


@pytest.mark.parametrize("release", [RELEASES[0], "0.9.0", RELEASES[-1]])
def test_it_works_as_before_and_with_what_is_new(
    release: str, generate: Callable[..., Project], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = generate(tmp_path / "mine", release=release)
    live_in(mine)
    mine.make("setup")
    mine.git("add", "--all")
    mine.git("commit", "--quiet", "--no-verify", "--message", "Ours")
    mine.make("develop")
    copier.run_update(mine.folder, overwrite=True, defaults=True, quiet=True, unsafe=True)
    add_what_it_asks_for(mine, capfd.readouterr().err)
    mine.make("setup")
    mine.git("add", "--all")
    committed = mine.run("git", "commit", "--message", "Update from the template")
    assert committed.returncode == 0, committed.stdout + committed.stderr
    assert "passed" in mine.make("check")
    moved = release == "0.1.0"  # since then each branch has a database of its own, which the settings say
    assert ("1 commit behind HEAD" in mine.make("status", "STAGE=develop")) != moved
    shown = mine.make("develop")
    assert "item_4" not in shown
    assert "celebrate" in mine.make("logs")
    assert mine.make("mine") == "mine\n"
