"""A project on another machine than the one on which it was copied: where its template is, and what comes from it."""

import shutil
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import rig
from rig import GIT_IDENTITY, ROOT, VERSION, Project, commit, environment, sh

ADDRESS = "https://git.example.org/team/copier-ml"
NEWS = """## 99.0.0
- Lines of the report are thicker. They were thin.
- A second thing, which
  takes two lines: it is not shown.

"""


def reached(repository: Path) -> dict[str, str]:
    """The environment of a machine on which the address is that of this repository."""
    more = {"GIT_CONFIG_KEY_2": f"url.{repository}.insteadOf", "GIT_CONFIG_VALUE_2": ADDRESS}
    return GIT_IDENTITY | more | {"GIT_CONFIG_COUNT": "3", "COPIER_CACHE_DIR": f"{repository}.cache"}


def git(folder: Path, *arguments: str | Path, env: dict[str, str]) -> None:
    done = sh("git", *arguments, cwd=folder, env=environment() | env)
    assert done.returncode == 0, done.stderr


def source(project: Project) -> str:
    """Where the project says that its template is."""
    lines = (project.folder / ".copier-answers.yml").read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix("_src_path: ") for line in lines if line.startswith("_src_path: "))


def described(project: Project) -> str:
    """The sentence that says what the project does."""
    text = (project.folder / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["description"])


@pytest.fixture
def copied(template: Path, tmp_path: Path) -> Project:
    """A project that was copied from a clone of a published repository, and committed."""
    published = tmp_path / "published.git"
    env = reached(published)
    git(tmp_path, "clone", "--quiet", "--bare", template, published, env=env)
    git(tmp_path, "clone", "--quiet", ADDRESS, "clone", env=env)
    git(tmp_path / "clone", "remote", "set-url", "origin", ADDRESS.replace("//", "//ada:secret@"), env=env)
    done = sh("copier", "copy", "--defaults", "--quiet", "clone", "project", cwd=tmp_path, env=environment() | env)
    assert done.returncode == 0, done.stderr
    return Project(tmp_path / "project", "burger_combos", env)


def test_what_was_copied_from_a_clone_is_updated_from_where_that_came_from(
    copied: Project, template: Path, tmp_path: Path
) -> None:
    assert source(copied) == "clone"
    said = copied.make("setup")
    assert f"setup: .copier-answers.yml names the template's address now: git+{ADDRESS}\n" in said
    assert source(copied) == f"git+{ADDRESS}"
    assert copied.git("status", "--porcelain") == ""
    shutil.rmtree(tmp_path / "clone")
    assert "this is the newest release" in copied.make("update")

    def improve(folder: Path) -> None:
        rig.change(folder / "CHANGELOG.md", {f"## {VERSION}\n": f"{NEWS}## {VERSION}\n"})
        rig.change(
            folder / "template/pyproject.toml.jinja", {"T00:00:00Z": "T01:00:00Z", '"tzdata>': '"six",\n    "tzdata>'}
        )

    newer = rig.next_release(template, tmp_path / "newer", improve)
    git(newer, "push", "--quiet", tmp_path / "published.git", "HEAD:main", "--tags", env=copied.env)
    elsewhere = replace(copied, folder=tmp_path / "elsewhere")
    git(tmp_path, "clone", "--quiet", copied.folder, elsewhere.folder, env=copied.env)
    rig.change(elsewhere.folder / "pyproject.toml", {"T00:00:00Z": "T02:00:00Z"})  # as make upgrade does, and a release
    elsewhere.git("commit", "--quiet", "--all", "--message", "Upgrade")
    done = elsewhere.run("env", "CI=true", "make", "update")  # as each week
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "\n      99.0.0  Lines of the report are thicker\n      99.0.0  A second thing, which takes two lines: it is"
        in (done.stderr)
    )
    assert f"      {VERSION}  " not in done.stderr
    assert "make setup" not in done.stderr
    assert "the environment of uv.lock into .venv" in done.stdout
    assert "git diff shows what is changed here" in done.stdout
    assert "to be resolved" not in done.stdout
    assert "T02:00:00Z" in (elsewhere.folder / "pyproject.toml").read_text()
    assert (
        elsewhere.git("status", "--porcelain", "--untracked-files=no")
        == "M .copier-answers.yml\n M pyproject.toml\n M uv.lock"
    )
    assert elsewhere.git("diff", "--name-only").split() == [".copier-answers.yml", "pyproject.toml", "uv.lock"]


def test_the_address_is_of_a_remote_that_has_the_release(copied: Project, tmp_path: Path) -> None:
    """Otherwise it stays a folder: whoever works on the template is not sent elsewhere."""
    clone = tmp_path / "clone"

    def found(name: str, url: str = "") -> str:
        if url:
            git(clone, "remote", "set-url", "origin", url, env={})
        return copied.run("sh", "-c", f". develop/template.sh; place '{name}'").stdout.strip()

    assert found("clone") == found(str(clone)) == f"git+{ADDRESS}"  # and no name, and no password
    for url in (
        "git@github.com:team/copier-ml",
        "https://github.com/team/copier-ml",
        "https://git.example.org/team/copier-ml.git",
        "ssh://git@git.example.org/copier-ml.git",
    ):
        assert found("clone", url) == url
    assert found("clone", "ada@git.example.org:copier-ml") == "git+ada@git.example.org:copier-ml"
    for url in (f"file://{clone}", str(clone), "../published.git"):
        assert found("clone", url) == str(clone)
    assert found("clone/template") == found("none") == found("") == ""
    git(clone, "remote", "set-url", "origin", ADDRESS, env={})
    (clone / "new").touch()
    commit(clone, "98.0.0")
    rig.change(copied.folder / ".copier-answers.yml", {f"_commit: {VERSION}": "_commit: 98.0.0"})
    assert found("clone") == str(clone)
    git(clone, "remote", "remove", "origin", env={})
    assert found("clone") == str(clone)
    rig.change(copied.folder / ".copier-answers.yml", {"_commit: 98.0.0": "_commit: 97.0.0"})
    assert found("clone") == ""


def test_an_update_says_where_it_finds_no_template(
    template: Path, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "mine")
    before = (mine.folder / ".copier-answers.yml").read_bytes()

    def refused(place: str, *given: str, verb: str = "update") -> str:
        rig.follow(mine, Path(place))
        mine.git("commit", "--quiet", "--all", "--message", "elsewhere")
        done = mine.run("make", verb, *given)
        assert done.returncode != 0
        assert mine.git("status", "--porcelain") == ""
        assert done.stdout == ""
        line, _ = done.stderr.splitlines()  # the other one is make's
        assert line.endswith(
            f": say where the template is, as in make {verb} SOURCE=https://github.com/OWNER/copier-ml"
        )
        return line.partition(": say")[0]

    assert "git has no commit here" in mine.run("make", "update").stderr
    commit(mine.folder, "mine")
    named = "update: _src_path in .copier-answers.yml"
    gone, plain, young = tmp_path / "gone", tmp_path / "plain", tmp_path / "young"
    plain.mkdir()
    young.mkdir()
    (young / "copier.yml").write_text("")
    commit(young, "latest")
    assert refused(str(gone)) == f"{named} is {gone}, a folder that is not on this machine"
    assert refused("clone") == f"{named} is clone, a folder that is not on this machine"
    assert refused(str(plain)).startswith(f"{named} is {plain}, where git finds no repository ('{plain}' does not")
    assert refused(str(young)) == f"{named} is {young}, which has no release: no tag as 1.0.0"
    away = "git+https://127.0.0.1:9/copier-ml"
    assert refused("x").endswith("on this machine")
    assert refused("x", f"SOURCE={gone}") == f"update: SOURCE is {gone}, a folder that is not on this machine"
    said = refused("x", f"SOURCE={away.removeprefix('git+')}")
    assert said.startswith(f"update: SOURCE is {away}, where git finds no repository (unable to access ")
    assert refused("x", "database=postgresql", verb="answer").endswith("on this machine")
    (mine.folder / ".copier-answers.yml").write_bytes(before.replace(b"_src_path", b"_src"))
    mine.git("commit", "--quiet", "--all", "--message", "nowhere")
    assert f"{named} says nothing: say where" in mine.run("make", "update").stderr


def test_another_address_is_taken_with_the_update_or_not_at_all(
    template: Path, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "mine")
    mine.make("setup")
    rig.follow(mine, Path("gone"))
    commit(mine.folder, "mine")
    newer = rig.next_release(template, tmp_path / "newer", rig.append("template/Makefile.jinja", "# Newer.\n"))
    wrong = mine.run("make", "answer", "lisence=MIT", f"SOURCE={newer}")
    assert wrong.returncode != 0
    assert "There is no question lisence; there are example, folder, project_name, " in wrong.stderr.splitlines()[0]
    assert mine.git("status", "--porcelain") == mine.git("diff", "HEAD") == ""
    assert source(mine) == "gone"
    said = mine.make("update", f"SOURCE={newer}")
    assert "git diff shows" in said
    assert source(mine) == str(newer)
    assert (mine.folder / "Makefile").read_text().endswith("# Newer.\n")
    assert mine.git("diff", "--name-only").split() == [".copier-answers.yml", "Makefile"]
    commit(mine.folder, "updated")
    missing = mine.run("make", "update", f"SOURCE={template}")
    assert f"SOURCE is {template}, which does not have 99.0.0, the release of this project: say" in missing.stderr
    assert missing.returncode != 0
    moved = newer.rename(tmp_path / "moved")
    said = mine.make("update", f"SOURCE={moved}")
    assert said == f"update: this is the newest release; .copier-answers.yml names {moved} now, to be committed\n"
    assert mine.git("status", "--porcelain") == "M .copier-answers.yml"


def test_another_answer_is_one_command_and_brings_no_release(
    template: Path, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = replace(generate(tmp_path / "mine"), env={"PATH": rig.path_without("uv", "copier")})
    (mine.folder / ".venv-uv/bin").mkdir(parents=True)
    (mine.folder / ".venv-uv/bin/uv").symlink_to(ROOT / ".venv/bin/uv")  # where one has no other
    mine.make("setup")
    rig.follow(
        mine, rig.next_release(template, tmp_path / "newer", rig.append("template/Makefile.jinja", "# Newer.\n"))
    )
    commit(mine.folder, "mine")
    shown = mine.make("answer")
    assert "\ndatabase: sqlite\n" in shown and "\nlicense: Proprietary\n" in shown
    assert "_src_path" not in shown
    for given, why in {
        "license=GPL": "'GPL' is not in ['Proprietary', 'MIT', 'Apache-2.0']",
        "licence=MIT": "There is no question licence: license is meant.",
        "package=other": "the package keeps its name",
        "example=classify": "a project keeps the example it began with",
    }.items():
        refused = mine.run("make", "answer", given)
        assert refused.returncode != 0
        assert refused.stderr.startswith("answer: ") and why in refused.stderr.splitlines()[0]
    assert mine.git("status", "--porcelain") == ""
    sentence = """It's "good" \\ a=b  twice; -- c=d"""
    said = mine.make("answer", "database=postgresql", f"description={sentence}", "license=MIT")
    assert "answer: git diff shows" in said
    assert "app@database" in (mine.folder / "develop/platform.toml").read_text()
    assert (
        "answer: your data comes from where settings.toml says, as before; to read what develop/seed.sql puts" in said
    )
    assert described(mine) == sentence
    assert mine.git("diff", "HEAD", "--name-only", "README.md", "develop/settings.toml") == ""  # the owner's
    assert "MIT License" in (mine.folder / "LICENSE").read_text()
    assert not (mine.folder / "Makefile").read_text().endswith("# Newer.\n")
    assert f"_commit: {VERSION}\n" in (mine.folder / ".copier-answers.yml").read_text()
    dirty = mine.run("make", "answer", "database=sqlite")
    assert dirty.returncode != 0 and "changes that no commit holds" in dirty.stderr
    commit(mine.folder, "answered")
    rig.change(
        mine.folder / "develop/settings.toml", {'source = "sample"': 'database_url = "postgresql://app@database/app"'}
    )
    apart = {"PREFIX, Database, Stage": "PREFIX, Stage", "Database(url=found.database.url)": "found.database"}
    rig.change(mine.folder / "tests/test_pipeline.py", apart)  # as a project of before 0.14.0 has it
    commit(mine.folder, "read")
    answers = (f"description={sentence}!", "database=sqlite", "features=feast")
    done = mine.run("sh", "develop/update.sh", "answer", *answers)
    assert "answer: tests that run the pipeline would write to develop's feature store: " in done.stdout
    assert described(mine) == f"{sentence}!"
    assert "these name it; set another source there:\n./develop/settings.toml\n" in done.stdout
