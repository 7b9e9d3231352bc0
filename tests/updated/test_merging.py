"""`copier update` as it merges: from each release to the present and on, with the owner's edits, answers and files."""

import json
import re
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import copier
import migrate
import pytest
import rig
from answers import DEFAULTS, PAIRWISE, QUESTIONS, REPOSITORY, REVIEWERS, SETTINGS, Answers, called
from lived_in import change, live_in
from packaging.version import Version
from rig import ROOT, Project, commit, sh

pytestmark = pytest.mark.usefixtures("quick_migrations")

RELEASES = list(rig.earlier_releases())
# Written once.
ONCE = ["src/*/*.py", "tests/*", "explore/*.py", "explore/*.ipynb", "explore/README.md", "*/settings.toml", "README.md"]
OTHERS: list[Answers] = [
    {"database": "postgresql", "license": "MIT", "reviewers": REVIEWERS, "target": "kubernetes", "serving": "http"},
    {
        "ci": "gitlab",
        "license": "Apache-2.0",
        "target": "metaflow-argo",
        "notebooks": "jupyter",
        "repository": REPOSITORY,
    },
    {"ci": "none", "database": "dynamodb", "target": "metaflow-aws"},
    {"target": "kubeflow", "notebooks": "none", "tracking": "mlflow", "features": "feast"},
    {},
]
PLAIN = {name: value for name, value in DEFAULTS.items() if name != "package"}
# Each release with other answers, between them all; none before 0.11.0 asked for an example, and up to 0.9.0 a license
# was not merged.
LIVED_IN = [
    (release, answers | ({"license": "MIT"} if Version(release) < Version("0.10.0") else {}))
    for release, answers in zip(
        RELEASES,
        ({name: answer for name, answer in each.items() if name != "example"} for each in reversed(PAIRWISE)),
        strict=False,
    )
]

# The files that have another path since 0.17.0, and the path.
MOVED = dict(
    each.split("=")
    for migration in SETTINGS["_migrations"]
    if migration["version"] == "0.17.0"
    for each in migration["command"]
    if "=" in each
)
# The one of them that earlier releases end as this one does, since 0.6.0; of 0.16.0 all do, but for what has gone from
# the end of show.py to another file.
SINCE_EARLY = "src/{{ package }}/ops/artifacts.py"
SHOW = "src/{{ package }}/ops/show.py"


def update(project: Project, **answers: str) -> None:
    """Update as one who trusts the template."""
    copier.run_update(project.folder, data=answers, overwrite=True, defaults=True, quiet=True, unsafe=True)


def files(project: Project) -> dict[str, bytes]:
    """All files of a project but those that a template writes once."""
    listed = project.git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    chosen = [name for name in listed if "/ops/" in name or not any(fnmatch(name, pattern) for pattern in ONCE)]
    return {name: (project.folder / name).read_bytes() for name in chosen if (project.folder / name).exists()}


def as_new(project: Project) -> dict[str, bytes]:
    """The same, without what only a project of before 0.11.0 has to say, as its code does not."""
    found = {name: content for name, content in files(project).items() if not name.endswith("/ops/sample.py")}
    said = rb'(?m)^(metric = "hit_rate"|by = "customer"|artifact = "model\.npz").*\n'
    return found | {name: re.sub(said, b"", found[name]) for name in found if name.endswith("/platform.toml")}


def text(project: Project, name: str) -> str:
    return (project.folder / name).read_text(encoding="utf-8")


def conflicts(project: Project) -> list[str]:
    """The files with a conflict in them."""
    return project.git("grep", "--files-with-matches", "^<<<<<<< ").splitlines()


def lived_in(project: Project) -> Project:
    """The same project, once its owners have edited it, its license too, and committed that."""
    live_in(project)
    if (project.folder / "LICENSE").exists():
        change(project, "LICENSE", "", "\nOurs, too.\n")
    commit(project.folder, "lived-in")
    return project


def edit_moved(project: Project, release: str) -> dict[str, str]:
    """Edit files of a release that have another path since; return that of each as it was and as it is."""
    chosen = MOVED if release == "0.16.0" else {SINCE_EARLY: MOVED[SINCE_EARLY]}
    here = [(old, new) for old, new in chosen.items() if (project.folder / of(project, old)).exists()]
    for old, _ in here:
        edit(project, of(project, old), old)
    return dict(here)


def edit(project: Project, name: str, old: str) -> None:
    """Say something in a file that an earlier release calls `old`."""
    change(project, name, *(("def _sparkline", "# Ours.\ndef _sparkline") if old == SHOW else ("", "# Ours.\n")))


def of(project: Project, name: str) -> str:
    """A path of the template as the project has it."""
    return name.replace("{{ package }}", project.package)


def own(project: Project) -> dict[str, str]:
    """What is in the owners' modules and tests."""
    listed = project.git("ls-files", "src/*/*.py", "tests").splitlines()
    return {name: text(project, name) for name in listed if "/ops/" not in name}


@pytest.mark.parametrize(
    ("release", "answers"), LIVED_IN, ids=lambda value: value if isinstance(value, str) else called(value)
)
def test_a_project_of_any_release_becomes_what_a_new_one_would_have_become(
    release: str, answers: Answers, generate: Callable[..., Project], tmp_path: Path
) -> None:
    """The template's files are a new project's, with the same edits; the owners' are as they were."""
    mine = generate(tmp_path / "mine", release=release, **answers)
    moved = edit_moved(mine, release)
    assert bool(moved) == (Version("0.6.0") <= Version(release) < Version("0.17.0"))  # since which nothing has moved
    lived_in(mine)
    before, page = own(mine), text(mine, "README.md")
    update(mine, **({"notebooks": DEFAULTS["notebooks"]} | answers))
    assert conflicts(mine) == []
    fresh = generate(tmp_path / "fresh", **answers)
    for old, new in moved.items():
        edit(fresh, of(fresh, new), old)
    lived_in(fresh)
    found, expected = as_new(mine), as_new(fresh)
    # The lines of the owners' libraries are where they were, and before 0.4.0 a job had no time that could be edited.
    assert sorted(found.pop("pyproject.toml").splitlines()) == sorted(expected.pop("pyproject.toml").splitlines())
    if Version(release) < Version("0.4.0") and (workflow := ".github/workflows/check.yml") in expected:
        expected[workflow] = expected[workflow].replace(b"timeout-minutes: 45", b"timeout-minutes: 30")
    found.pop("explore/feature_store.yaml", None)  # new with the answer, while that folder was deleted before
    assert found == expected
    assert own(mine) == before
    owned = Version(release) >= Version("0.11.0")  # since then the page is the project's own
    assert text(mine, "README.md") == (page if owned else text(fresh, "README.md"))
    assert not (mine.folder / "explore/settings.toml").exists()
    assert "top_k = 3" in text(mine, "develop/settings.toml")
    assert "holdout_days = 14" in text(mine, "production/settings.toml")


def test_each_answer_is_one_of_a_project_that_is_brought_up_to_date() -> None:
    given = {pair for _, answers in LIVED_IN for pair in (DEFAULTS | answers).items()}
    for name, question in QUESTIONS.items():
        asked = {(name, value) for value in question.get("choices", {}).values() if name != "example"}
        assert asked <= given


def test_a_project_that_was_not_asked_keeps_its_script_and_one_that_was_its_answer(
    generate: Callable[..., Project], tmp_path: Path
) -> None:
    earlier = generate(tmp_path / "a [folder] (of 2)", release="0.6.0")
    commit(earlier.folder, "mine")
    script = text(earlier, "explore/first_look.py")
    update(earlier)
    assert "notebooks: none\n" in text(earlier, ".copier-answers.yml")
    assert text(earlier, "explore/first_look.py") == script
    assert "marimo" not in text(earlier, "pyproject.toml")
    commit(earlier.folder, "updated")
    update(earlier, notebooks="jupyter", repository=REPOSITORY)
    commit(earlier.folder, "chosen")
    update(earlier)
    assert "notebooks: jupyter\n" in text(earlier, ".copier-answers.yml")
    assert "jupyterlab" in text(earlier, "pyproject.toml")
    assert text(earlier, "explore/first_look.py") == script


@pytest.mark.parametrize("target", ["metaflow-argo", "metaflow-aws"])
def test_where_metaflow_runs_it_was_a_question_of_its_own_and_stays_answered(
    target: str, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine, fresh = (
        generate(tmp_path / "mine", release="0.7.2", target=target),
        generate(tmp_path / "fresh", target=target),
    )
    commit(mine.folder, "mine")
    assert "target: metaflow\n" in text(mine, ".copier-answers.yml")
    commit(fresh.folder, "fresh")
    update(mine)
    assert as_new(mine) == as_new(fresh)
    assert f"target: {target}\n" in text(mine, ".copier-answers.yml")
    commit(mine.folder, "updated")
    update(mine)
    assert mine.git("status", "--porcelain") == ""


def test_a_package_keeps_its_name_where_a_later_release_brings_one_that_is_called_so(
    generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "mine", release="0.6.0", package="babel")
    commit(mine.folder, "mine")
    update(mine)
    assert "package: babel\n" in text(mine, ".copier-answers.yml")
    assert [folder.name for folder in (mine.folder / "src").iterdir()] == ["babel"]
    assert (mine.folder / "src/babel/ops/plots.py").exists()
    commit(mine.folder, "updated")
    update(mine, database="postgresql")
    assert "package: babel\n" in text(mine, ".copier-answers.yml")
    with pytest.raises(ValueError, match="the project itself uses babel"):
        generate(tmp_path / "new", package="babel")


def test_a_project_moves_on_with_its_own_files_as_they_are(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine", database="postgresql")
    live_in(mine)
    commit(mine.folder, "ours")

    def owned() -> dict[str, bytes]:
        listed = [name for name in mine.git("ls-files").splitlines() if any(fnmatch(name, each) for each in ONCE)]
        return {name: (mine.folder / name).read_bytes() for name in listed if "/ops/" not in name}

    before = owned()
    assert {"quality.py", "pipeline.py", "test_pipeline.py"} <= {Path(name).name for name in before}
    for target, brings in {
        "kubernetes": "production/kubernetes/base/pipeline.yaml",
        "metaflow-argo": "production/runs.py",
        "metaflow-aws": "production/flow_schedule.py",
        "kubeflow": "production/graph.py",
        "docker": f"src/{mine.package}/ops/deploy/docker.py",
    }.items():
        update(mine, target=target)
        commit(mine.folder, target)
        assert conflicts(mine) == []
        assert owned() == before
        assert (mine.folder / brings).exists()
        assert "top_k = 3" in text(mine, "develop/settings.toml")


def test_other_answers_are_taken_and_taken_back(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    commit(mine.folder, "begun")
    for number, answers in enumerate(OTHERS):
        update(mine, **(PLAIN | answers))
        fresh = generate(tmp_path / str(number), **answers)
        commit(fresh.folder, "fresh")
        assert files(mine) == files(fresh)
        commit(mine.folder, str(number))
    chosen = {(name, value) for answers in OTHERS for name, value in (DEFAULTS | answers).items()}
    assert {
        (name, value)
        for name, question in QUESTIONS.items()
        for value in question.get("choices", {}).values()
        if name != "example"  # which a project keeps
    } <= chosen


def test_what_was_edited_stays_and_what_is_new_comes(
    template: Path, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = lived_in(generate(tmp_path / "mine", license="MIT"))
    before = own(mine)

    def improve(folder: Path) -> None:
        for name in ("Makefile.jinja", "production/platform.toml.jinja", "src/{{ package }}/ops/progress.py"):
            file = folder / "template" / name
            file.write_text(f"# Newer.\n{file.read_text()}")
        workflow = (
            folder / "template/{% if ci == 'github' and not folder %}.github{% endif %}/workflows/check.yml.jinja"
        )
        workflow.write_text(f"# Newer.\n{workflow.read_text()}".replace("timeout-minutes: 30", "timeout-minutes: 31"))

    rig.follow(mine, rig.next_release(template, tmp_path / "template", improve))
    commit(mine.folder, "following")
    update(mine)
    assert own(mine) == before
    assert not (mine.folder / "explore").exists()
    assert not (mine.folder / f"src/{mine.package}/evaluate.py").exists()
    assert "top_k = 3" in text(mine, "develop/settings.toml")
    assert "\nmine: ## a verb of our own\n" in text(mine, "Makefile")
    assert '\n    "tzdata",\n' in text(mine, "pyproject.toml")
    assert text(mine, "LICENSE").endswith("Ours, too.\n")
    for name in ("Makefile", "production/platform.toml", f"src/{mine.package}/ops/progress.py"):
        assert text(mine, name).startswith("# Newer.\n"), name
    workflow = text(mine, ".github/workflows/check.yml")
    assert workflow.startswith("# Newer.\n")
    assert "timeout-minutes: 45" in workflow  # a line that both have changed
    assert conflicts(mine) == [".github/workflows/check.yml"]


def test_an_update_without_anything_new_does_nothing(
    template: Path, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "mine", release=RELEASES[-1])
    live_in(mine)
    commit(mine.folder, "lived-in")
    update(mine)
    commit(mine.folder, "updated")
    update(mine)
    assert mine.git("status", "--porcelain") == ""


def test_trust_is_asked_for_only_where_a_migration_is_crossed(
    template: Path, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "mine", release="0.4.0")
    commit(mine.folder, "mine")
    asked = sh(sys.executable, "-m", "copier", "update", "--defaults", cwd=mine.folder)
    assert asked.returncode == 4
    assert "--trust" in asked.stderr
    assert mine.git("status", "--porcelain") == ""
    update(mine)
    commit(mine.folder, "updated")
    rig.follow(
        mine, rig.next_release(template, tmp_path / "template", rig.append("template/Makefile.jinja", "# Newer.\n"))
    )
    commit(mine.folder, "following")
    copier.run_update(mine.folder, overwrite=True, defaults=True, quiet=True)
    assert text(mine, "Makefile").endswith("# Newer.\n")


def test_merging_what_was_left_alone_before_can_be_done_again(
    generate: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = generate(tmp_path / "mine", release="0.1.0", license="MIT")
    live_in(mine)
    commit(mine.folder, "lived-in")
    update(mine, database="postgresql")
    once = files(mine)
    assert "top_k = 3" in text(mine, "develop/settings.toml")
    assert "app@database/develop" in text(mine, "develop/platform.toml")
    assert "[alert]" in text(mine, "develop/platform.toml")
    monkeypatch.chdir(mine.folder)
    migrate.merge("LICENSE")
    migrate.divide(f"src/{mine.package}/ops/sample.py")
    assert files(mine) == once
    commit(mine.folder, "updated")
    migrate.merge("LICENSE", "not/here/before.py=not/here/now.py")
    migrate.divide(f"src/{mine.package}/ops/sample.py")
    assert mine.git("status", "--porcelain") == ""
    assert not (mine.folder / "not").exists()


def test_settings_that_both_changed_are_a_conflict_of_those_lines(
    generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "mine")
    change(mine, "develop/platform.toml", 'url = "sqlite', 'url = "postgresql://ours/shop" # sqlite')
    commit(mine.folder, "mine")
    update(mine, database="postgresql")
    assert conflicts(mine) == ["develop/platform.toml"]
    found = re.findall(
        r"<<<<<<< before updating\n(.*)\n=======\n(.*)\n>>>>>>> after", text(mine, "develop/platform.toml")
    )
    assert [(ours[:21], theirs[:21]) for ours, theirs in found] == [('url = "postgresql://o', 'url = "postgresql://a')]
    assert "UU develop/platform.toml" in mine.git("status", "--porcelain")


def moves(*, migrates: bool) -> Callable[[Path], None]:
    """A release in which a script has another name, with or without the migration that the rules ask for."""

    def change(folder: Path) -> None:
        script = (folder / "template/develop/check.sh").rename(folder / "template/develop/gate.sh")
        script.write_text(script.read_text() + "# Newer.\n")
        makefile = folder / "template/Makefile.jinja"
        makefile.write_text(makefile.read_text().replace("develop/check.sh", "develop/gate.sh"))
        if migrates:
            call = '["{{ _copier_python }}", "{{ _copier_conf.src_path }}/hooks/migrate.py"'
            entry = f"  - version: 99.0.0\n    command: {call}, develop/check.sh=develop/gate.sh]\n"
            questions = folder / "copier.yml"
            questions.write_text(questions.read_text().replace("_migrations:\n", f"_migrations:\n{entry}"))

    return change


@pytest.mark.parametrize("migrates", [True, False])
def test_a_file_that_is_renamed_keeps_what_was_edited_in_it(
    migrates: bool, template: Path, generate: Callable[..., Project], tmp_path: Path
) -> None:
    """With the migration; without it Copier deletes the file, edit and all."""
    mine = generate(tmp_path / "mine")
    change(mine, "develop/check.sh", "#!/bin/sh\n", "#!/bin/sh\n# Ours.\n")
    rig.follow(mine, rig.next_release(template, tmp_path / "template", moves(migrates=migrates)))
    commit(mine.folder, "mine")
    update(mine)
    renamed = text(mine, "develop/gate.sh")
    assert renamed.endswith("# Newer.\n")
    assert renamed.startswith("#!/bin/sh\n# Ours.\n") == migrates
    assert not (mine.folder / "develop/check.sh").exists()
    assert conflicts(mine) == []


def test_make_update_says_what_it_has_to_be_trusted_with(
    template: Path, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "mine")
    rig.follow(mine, rig.next_release(template, tmp_path / "template", moves(migrates=True)))
    mine.make("setup")
    asked = mine.run("make", "update")
    assert asked.returncode != 0
    assert "hooks/migrate.py of the template, which this update runs, then make update TRUST=1\n" in asked.stderr
    assert mine.git("status", "--porcelain") == ""
    mine.make("update", "TRUST=1")
    assert text(mine, "develop/gate.sh").endswith("# Newer.\n")


def test_a_script_that_is_gone_stays_where_somebody_has_changed_it(
    generate: Callable[..., Project], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = generate(tmp_path / "mine", release="0.10.0")
    change(mine, "production/deploy.sh", "#!/bin/sh\n", "#!/bin/sh\n# Ours.\n")
    commit(mine.folder, "mine")
    update(mine)
    assert "production/deploy.sh is not the template's any more; it stays" in capfd.readouterr().err
    assert text(mine, "production/deploy.sh").startswith("#!/bin/sh\n# Ours.\n")
    assert not (mine.folder / "production/look.sh").exists()
    assert conflicts(mine) == []


def paths(revision: str) -> set[str]:
    """What a release could write, by path, its conditions left out."""
    listed = sh("git", "ls-tree", "-r", "--name-only", revision, "template/", cwd=ROOT).stdout.splitlines()
    return {re.sub(r"\{% .*? %\}|\.jinja$|^template/", "", name) for name in listed}


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_that_a_release_wrote_is_gone_without_a_migration(release: str) -> None:
    present = {re.sub(r"\{% .*? %\}|\.jinja$", "", p.relative_to(ROOT / "template").as_posix()) for p in written()}
    merged = {name for migration in SETTINGS["_migrations"] for name in migration["command"][2:]}
    moved = {name.partition("=")[0] for name in merged}
    assert {name.partition("=")[2] for name in merged if "=" in name} <= present
    gone = paths(rig.earlier_releases()[release]) - present - moved
    # The user's own files are not an update's to remove.
    assert {name for name in gone if Path(name).parent != Path("src/{{ package }}")} == set()


def written() -> list[Path]:
    return [path for path in (ROOT / "template").rglob("*") if path.is_file()]


def test_an_editors_settings_are_merged(generate: Callable[..., Project], template: Path, tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    settings = mine.folder / ".vscode/settings.json"
    settings.write_text(settings.read_text(encoding="utf-8").replace("{", '{\n    "editor.rulers": [100],', 1))
    rig.change(settings, {'"editor.formatOnSave": true': '"editor.tabSize": 4'})
    (mine.folder / ".vscode/launch.json").unlink()
    rules = mine.folder / ".vscode/extensions.json"
    rig.change(rules, {"ms-python.python": "ms-python.python-ours"})
    commit(mine.folder, "ours")
    newer = {'"ruff.importStrategy": "fromEnvironment"': '"ruff.importStrategy": "useBundled"'}
    release = rig.next_release(
        template, tmp_path / "next", lambda folder: rig.change(folder / "template/.vscode/settings.json", newer)
    )
    rig.follow(mine, release)
    commit(mine.folder, "follow")
    update(mine)
    assert conflicts(mine) == []
    merged = json.loads(settings.read_text(encoding="utf-8"))
    assert merged["editor.rulers"] == [100]
    assert merged["ruff.importStrategy"] == "useBundled"
    assert merged["[python]"] == {"editor.defaultFormatter": "charliermarsh.ruff", "editor.tabSize": 4}
    assert "ms-python.python-ours" in rules.read_text(encoding="utf-8")
    assert not (mine.folder / ".vscode/launch.json").exists()
