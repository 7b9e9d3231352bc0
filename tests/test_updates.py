"""`copier update`: from each release to the present, and on, with the owner's edits in place."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import copier
import pytest
import rig
from containers.docker import belongings
from listener import until
from production import Production
from rig import VERSION, Project, commit

YOURS = ["src/*/*.py", "tests/*", "explore/*", "*/settings.toml", "LICENSE", ".copier-answers.yml"]
RELEASES = list(rig.earlier_releases())


def update(project: Project, **answers: str) -> None:
    copier.run_update(project.folder, data=answers, overwrite=True, defaults=True, quiet=True)


def files(project: Project) -> dict[str, bytes]:
    """All that is in git and the template's to change."""
    listed = project.git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    chosen = [name for name in listed if "/ops/" in name or not any(fnmatch(name, pattern) for pattern in YOURS)]
    return {name: (project.folder / name).read_bytes() for name in chosen if (project.folder / name).exists()}


ANSWERS = [{}, {"database": "postgresql"}, {"ci": "gitlab", "reviewers": "@ada"}, {"ci": "none"}]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("answers", ANSWERS, ids=str)
def test_an_untouched_project_becomes_what_a_new_one_is(
    release: str, answers: dict[str, str], generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine, fresh = generate(tmp_path / "mine", release=release), generate(tmp_path / "fresh", **answers)
    commit(mine.folder, "mine")
    commit(fresh.folder, "fresh")
    update(mine, **answers)
    assert files(mine) == files(fresh)
    assert f"_commit: {VERSION}" in (mine.folder / ".copier-answers.yml").read_text()


@pytest.mark.parametrize("release", RELEASES)
def test_a_project_that_is_lived_in_keeps_its_edits_and_works(
    release: str, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "mine", release=release)
    mine.make("setup")
    model, makefile, settings = (
        mine.folder / name for name in ("src/burger_combos/model.py", "Makefile", "develop/settings.toml")
    )
    edits = {
        model: model.read_text() + "\n\nEDITED = True\n",
        settings: settings.read_text().replace("top_k = 5", "top_k = 3"),
        makefile: makefile.read_text() + "\nmine: ## a verb of our own\n\t@echo mine\n",
    }
    for file, text in edits.items():
        file.write_text(text)
    metadata = mine.folder / "pyproject.toml"
    metadata.write_text(metadata.read_text().replace("dependencies = [\n", 'dependencies = [\n    "tzdata",\n', 1))
    shutil.rmtree(mine.folder / "production")
    mine.make("setup")
    mine.git("add", "--all")
    mine.git("commit", "--quiet", "--no-verify", "--message", "Ours")
    mine.make("develop")
    update(mine)
    assert "<<<<<<<" not in mine.git("grep", "<<<<<<<")
    assert model.read_text() == edits[model]
    assert settings.read_text() == edits[settings]
    assert "mine: ## a verb of our own" in makefile.read_text()
    assert "## without what make develop made" in makefile.read_text()
    assert '"tzdata",' in metadata.read_text()
    assert not (mine.folder / "production/settings.toml").exists()
    mine.make("setup")
    mine.git("add", "--all")
    committed = mine.run("git", "commit", "--message", "Update from the template")
    assert committed.returncode == 0, committed.stdout + committed.stderr
    assert "passed" in mine.make("check")
    assert "1 commit behind HEAD" in mine.make("status", "STAGE=develop")
    assert "item_4" not in mine.make("develop")
    assert mine.make("mine") == "mine\n"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.docker
@pytest.mark.usefixtures("containers")
def test_an_updated_project_runs_in_its_image(release: str, generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = replace(generate(tmp_path / "mine", release=release), containers=True)
    mine.make("develop")
    mine.git("add", "--all")
    mine.git("commit", "--quiet", "--no-verify", "--message", "Before")
    update(mine)
    mine.make("setup")
    mine.git("add", "--all")
    mine.git("commit", "--quiet", "--no-verify", "--message", "Update from the template")
    done = mine.run("make", "develop")
    assert "in production's image" in done.stderr
    assert f"commit   {mine.git('rev-parse', 'HEAD')}" in done.stdout
    mine.make("clean")
    assert belongings(mine) == []

    mine.git("checkout", "--quiet", "-b", f"updated-{release.replace('.', '-')}")
    production = Production(mine)
    production.deploy()  # with the settings and the model of before
    until(production.done_by(mine.git("rev-parse", "HEAD")))
    assert mine.status()["production"]["template"] == VERSION
    mine.make("clean", "STAGE=production", f"SURE={production.name}")
    assert production.containers() == []


def test_an_update_leaves_what_is_the_users(template: Path, generate: Callable[..., Project], tmp_path: Path) -> None:
    newer = tmp_path / "template"
    shutil.copytree(template, newer)
    mine = generate(tmp_path / "mine", licence="MIT")
    answers = mine.folder / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace(str(template), str(newer)))
    source = mine.folder / "src" / mine.package
    kept = ["model.py", "orders.py", "pipeline.py", "__init__.py"]
    kept = [f"src/{mine.package}/{name}" for name in kept]
    kept += ["develop/settings.toml", "tests/test_model.py", "explore/first_look.py", "LICENSE"]
    for name in kept:
        (mine.folder / name).write_text("# Mine.\n")
    (source / "evaluate.py").unlink()
    shutil.rmtree(mine.folder / "production")
    commit(mine.folder, "mine")
    for file in [path for path in (newer / "template").rglob("*") if path.suffix in (".py", ".toml", ".jinja", ".md")]:
        file.write_text(file.read_text() + "\n# NEWER = True\n")
    commit(newer, "99.0.0")
    copier.run_update(mine.folder, overwrite=True, defaults=True, quiet=True)
    for name in kept:
        assert (mine.folder / name).read_text() == "# Mine.\n", name
    assert not (source / "evaluate.py").exists()
    assert not (mine.folder / "production").exists()
    assert "NEWER" in (source / "ops/progress.py").read_text()
    assert "NEWER" in (mine.folder / "Makefile").read_text()
    assert "_commit: 99.0.0" in answers.read_text()
