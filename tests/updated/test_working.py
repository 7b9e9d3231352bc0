"""A lived-in project after `copier update` from the first release and the last: set up, committed, checked, run.

Its owners do what the update asks them to, and no more.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import copier
import pytest
import rig
from answers import Answers
from lived_in import change, live_in
from packaging.version import Version
from rig import Project, commit

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


def keep_tests_apart(mine: Project) -> None:
    """What docs/feast.md asks of tests that run the pipeline; those of 0.14.0 do so by themselves."""
    old = 'return load(pipeline.Settings, Stage.develop).model_copy(update={"tracking": {}})\n'
    if old in (mine.folder / "tests/test_pipeline.py").read_text(encoding="utf-8"):
        apart = 'found.model_copy(update={"tracking": {}, "database": Database(url=found.database.url)})'
        new = f"found = load(pipeline.Settings, Stage.develop)\n    return {apart}\n"
        change(mine, "tests/test_pipeline.py", old, new)
        change(mine, "tests/test_pipeline.py", "import PREFIX, Stage", "import PREFIX, Database, Stage")


def update(project: Project, answers: Answers) -> None:
    """Update as one who trusts the template."""
    copier.run_update(project.folder, data=answers, overwrite=True, defaults=True, quiet=True, unsafe=True)


@pytest.mark.parametrize(
    ("release", "answers"),
    [(RELEASES[0], {}), ("0.9.0", {"database": "dynamodb"}), (RELEASES[-1], {"serving": "http", "features": "feast"})],
)
def test_it_works_as_before_and_with_what_is_new(
    release: str, answers: Answers, generate: Callable[..., Project], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = generate(tmp_path / "mine", release=release)
    live_in(mine)
    mine.make("setup")
    mine.git("add", "--all")
    mine.git("commit", "--quiet", "--no-verify", "--message", "Ours")
    mine.make("develop")
    update(mine, answers)
    change(mine, "develop/platform.toml", 'parquet_url = ""', 'parquet_url = "var/develop/{branch}/days"')
    add_what_it_asks_for(mine, capfd.readouterr().err)
    keep_tests_apart(mine)
    mine.make("setup")
    mine.git("add", "--all")
    committed = mine.run("git", "commit", "--message", "Update from the template")
    assert committed.returncode == 0, committed.stdout + committed.stderr
    assert "passed" in mine.make("check")
    assert not [*mine.folder.glob("var/develop/*/feast"), *mine.folder.glob("var/develop/*/days/**/_SUCCESS")]
    moved = release == "0.1.0"  # since then each branch has a database of its own, which the settings say
    assert ("1 commit behind HEAD" in mine.make("status", "STAGE=develop")) != moved
    shown = mine.make("develop")
    assert "item_4" not in shown
    assert "celebrate" in mine.make("logs")
    assert mine.make("mine") == "mine\n"
    markers = mine.folder.glob("var/develop/*/days/recommendations/*/*/_SUCCESS")
    by = [json.loads(marker.read_text())["git_commit"] for marker in markers]
    follows = Version(release) >= Version("0.11.0")  # before, publishing was the pipeline's own
    assert by == ([mine.git("rev-parse", "HEAD")] if follows else [])
    assert ("no step has called publish of ops.published" in mine.make("logs")) != follows
    assert (mine.folder / "var/develop/main/feast/online.db").exists() == ("features" in answers)


def test_it_works_once_answers_are_taken_back(generate: Callable[..., Project], tmp_path: Path) -> None:
    """A service and a feature store; what its owners have written for the service stays."""
    mine = generate(tmp_path / "mine", serving="http", features="feast")
    live_in(mine)
    change(mine, "develop/platform.toml", "keep = 30", "keep = 31")
    service = f"src/{mine.package}/service.py"
    change(mine, service, "Yours: what", "Ours: what")
    commit(mine.folder, "ours")
    written = (mine.folder / service).read_text(encoding="utf-8")
    update(mine, {"serving": "none", "features": "none"})
    assert (mine.folder / service).read_text(encoding="utf-8") == written
    assert "keep = 31" in (mine.folder / "develop/platform.toml").read_text(encoding="utf-8")
    (mine.folder / ".venv-feast/bin").mkdir(parents=True)  # as make setup has left it before
    mine.make("setup")
    assert not (mine.folder / ".venv-feast").exists()
    assert "passed" in mine.make("check")
    assert "celebrate" in mine.make("develop") + mine.make("logs")
    assert "No such command 'serve'" in mine.call("serve").stderr
