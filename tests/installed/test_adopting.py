"""A repository that has code already takes the template on, at a terminal, and loses nothing."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import rig
from forked import COPIER
from rig import Project, sh
from terminal import Terminal

THEIRS = {
    "README.md": "# Recs\nOurs.\n",
    "pyproject.toml": '[project]\nname = "recs"\nversion = "1.2.3"\ndependencies = ["more-itertools>=10"]\n',
    "src/recs/__init__.py": '"""Recs."""\n',
    "src/recs/ranking.py": '"""Ranking."""\n\nfrom more_itertools import first\n\nbest = first([7, 8])\n',
    "tests/test_ranking.py": "from recs import ranking\n\n\ndef test_best() -> None:\n    assert ranking.best == 7\n",
    ".gitignore": "secret-recipes/\n",
}
KEPT = {"README.md", "src/recs/__init__.py"}


@pytest.fixture
def recs(tmp_path: Path) -> Project:
    """A repository of somebody's own."""
    for name, text in THEIRS.items():
        (tmp_path / "recs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "recs" / name).write_text(text)
    rig.commit(tmp_path / "recs", "ours")
    return Project(tmp_path / "recs", "recs")


def test_each_file_that_is_there_is_asked_about_and_the_rest_works(
    recs: Project, template: Path, tmp_path: Path
) -> None:
    terminal = Terminal("copy", "--defaults", "--data", "package=recs", str(template), ".", cwd=recs.folder)
    asked: dict[str, str] = {}
    while terminal.read():
        for name in re.findall(r"Overwrite (\S+)\?", " ".join(terminal.shown)):
            if name not in asked:
                asked[name] = "n" if name in KEPT else "y"
                terminal.child.send(asked[name])
    assert asked.keys() == THEIRS.keys() - {"src/recs/ranking.py", "tests/test_ranking.py"}
    changed = set(recs.git("diff", "--name-only").splitlines())
    assert changed == asked.keys() - KEPT  # which git shows, and can put back

    metadata = recs.folder / "pyproject.toml"
    needed = 'dependencies = [\n    "more-itertools>=10",\n'
    metadata.write_text(metadata.read_text().replace("dependencies = [\n", needed, 1))
    with (recs.folder / ".gitignore").open("a") as ignored:
        ignored.write(THEIRS[".gitignore"])
    recs.make("setup")
    recs.git("add", "--all")
    assert recs.run("git", "commit", "--message", "Follow copier-ml").returncode == 0
    assert "passed" in recs.make("check")
    assert "2,000 rows of recommendations for" in recs.make("develop")
    for name in KEPT | {"src/recs/ranking.py", "tests/test_ranking.py"}:
        assert (recs.folder / name).read_text() == THEIRS[name]

    newer = rig.next_release(template, tmp_path / "newer", rig.append("template/docs/updates.md", "Newer.\n"))
    rig.follow(recs, newer)
    rig.commit(recs.folder, "following")
    assert sh(COPIER, "update", "--defaults", cwd=recs.folder).returncode == 0
    assert (recs.folder / "README.md").read_text() == THEIRS["README.md"]
    assert (recs.folder / "docs/updates.md").read_text().endswith("Newer.\n")


FLAT = {
    "pyproject.toml": THEIRS["pyproject.toml"].replace("recs", "shop"),
    "shop/pricing.py": "from more_itertools import first\nimport os\ndef price(n): return first([n*2])\n",
    "shop.cfg": "[shop]\n",
    "till.py": "def pay(n): return n\n",
    "tests/test_shop.py": "import till\nfrom shop import pricing\ndef test(): assert till.pay(pricing.price(2)) == 4\n",
}


def test_modules_at_the_top_are_tested_and_the_hook_asks_for_what_a_commit_touches(
    template: Path, tmp_path: Path
) -> None:
    shop = Project(tmp_path / "our shop", "recs")
    for name, text in FLAT.items():
        (shop.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (shop.folder / name).write_text(text)
    rig.commit(shop.folder, "ours")
    given = ["--defaults", "--overwrite", "--quiet", "--data", "package=recs"]
    assert sh(COPIER, "copy", *given, str(template), ".", cwd=shop.folder).returncode == 0
    rig.change(shop.folder / "pyproject.toml", {"dependencies = [\n": 'dependencies = [\n    "more-itertools>=10",\n'})
    shop.make("setup")
    assert " passed" in shop.make("test")

    def committed() -> tuple[int, str]:
        shop.git("add", "--all")
        done = shop.run("git", "commit", "--message", "Follow copier-ml")
        return done.returncode, done.stdout + done.stderr

    adopted = committed()
    assert adopted[0] == 0, adopted[1]
    assert shop.git("status", "--porcelain") == ""
    rig.change(shop.folder / "shop/pricing.py", {"n*2": "n * 3"})
    code, said = committed()
    assert code != 0
    assert "shop/pricing.py:" in said and "no-untyped-def" in said
    assert "till.py" not in said
    module = '"""Prices."""\n\nfrom more_itertools import first\n\n\n'
    function = 'def price(n: int) -> int:\n    """Twice."""\n    return first([n * 2])\n'
    (shop.folder / "shop/pricing.py").write_text(module + function)
    mended = committed()
    assert mended[0] == 0, mended[1]


def test_where_nobody_can_be_asked_nothing_is_overwritten(
    recs: Project, generate: Callable[..., Project], template: Path
) -> None:
    done = sh(COPIER, "copy", "--defaults", "--data", "package=recs", str(template), ".", cwd=recs.folder)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "Interactive session required: Consider using `--overwrite`"
    assert recs.git("diff", "--name-only") == ""
