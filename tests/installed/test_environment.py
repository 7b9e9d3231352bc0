"""What surrounds a run: the branch, the commit of the image, secrets as files, a server without its database."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rig import Project, sh

SECRETS = """
import os, pathlib
from burger_combos.ops import settings
from burger_combos.ops.problems import told_in_one_line
settings.SECRETS = pathlib.Path({folder!r})
with told_in_one_line():
    loaded = settings.load(settings.StageSettings, "develop")
    print(loaded.database.url.get_secret_value(), os.environ.get("PGPASSWORD"), os.environ.get("..data"))
"""


@pytest.mark.parametrize(
    ("branch", "known"),
    [
        ("main", "main"),
        ("fix-7", "fix-7"),
        ("feature/Next", "feature-next-0fe5d0be"),
        ("feature-next", "feature-next"),
        ("größe", "gr-e-5bd3a989"),
        ("汉堡", "6cd6bcf5"),
        ("a" * 80, "a" * 30 + "-1a998d7d"),
    ],
)
def test_a_branch_has_a_name_fit_for_folders_databases_and_containers(
    branch: str, known: str, generate: Callable[..., Project], project: Project, tmp_path: Path
) -> None:
    (tmp_path / "repository").mkdir()
    other = Project(tmp_path / "repository", project.package)
    other.run("git", "init", "-q", f"--initial-branch={branch}")
    shown = other.run(project.folder / ".venv/bin/python", "-m", "burger_combos.ops.version").stdout.split()
    assert shown == ["uncommitted", known]


@pytest.mark.parametrize(
    ("variables", "known"),
    [
        ({"GITHUB_HEAD_REF": "fix-7", "GITHUB_REF_NAME": "7/merge"}, "fix-7"),
        ({"GITHUB_HEAD_REF": "", "GITHUB_REF_NAME": "main"}, "main"),
        ({"CI_COMMIT_REF_NAME": "feature/Next"}, "feature-next-0fe5d0be"),
        ({}, "no-branch"),
    ],
)
def test_where_ci_has_checked_out_a_commit_alone_the_branch_is_the_one_that_it_names(
    variables: dict[str, str], known: str, project: Project, tmp_path: Path
) -> None:
    sh("git", "clone", "--quiet", str(project.folder), str(tmp_path / "p"), cwd=tmp_path)
    sh("git", "checkout", "--quiet", "--detach", cwd=tmp_path / "p")
    here = Project(tmp_path / "p", project.package, variables)
    shown = here.run(project.folder / ".venv/bin/python", "-m", "burger_combos.ops.version").stdout.split()
    assert shown == [project.git("rev-parse", "HEAD"), known]


def test_no_branch_is_said_so(project: Project, tmp_path: Path) -> None:
    nowhere = Project(tmp_path, project.package).run(
        project.folder / ".venv/bin/python", "-m", "burger_combos.ops.version"
    )
    assert nowhere.stdout == "unknown no-branch\n"


def test_the_image_says_which_commit_it_is_of(shop: Project) -> None:
    told = shop.with_env(COMMIT="c0ffee", BRANCH="theirs", IMAGE="sha256:1234").with_env(
        DATABASE__URL=shop.env["BURGER_COMBOS_DATABASE__URL"].replace("results.db", "{branch}.db")
    )
    done = told.call("run")
    assert done.returncode == 0, done.stderr
    rows, runs = told.written()
    assert {row["git_commit"] for row in rows} == {"c0ffee"}
    assert json.loads(runs[0]["record"])["image"] == "sha256:1234"
    assert "image=sha256:1234" in done.stderr
    assert "theirs.db" in done.stdout


def test_secrets_may_come_as_files(project: Project, tmp_path: Path) -> None:
    (tmp_path / "..data").write_text("not a variable's name")
    (tmp_path / "PGPASSWORD").write_text("hunter2\n")
    (tmp_path / "BURGER_COMBOS_DATABASE__URL").write_text("sqlite:///of-a-file.db\n")
    script = SECRETS.format(folder=str(tmp_path))
    assert project.python(script).stdout == "sqlite:///of-a-file.db hunter2 None\n"
    mine = project.with_env(DATABASE__URL="sqlite:///mine.db")
    assert mine.python(script).stdout == "sqlite:///mine.db hunter2 None\n"
    (tmp_path / "PGPASSWORD").write_bytes(b"\xff")
    refused = project.python(script)
    assert refused.stderr == f"error: {tmp_path}/PGPASSWORD: not UTF-8 text\n"


@pytest.mark.postgresql
def test_a_branch_gets_its_database_on_a_server_and_production_does_not(shop: Project, postgresql: str) -> None:
    mine = shop.with_env(DATABASE__URL=f"{postgresql}/shop-{{branch}}")
    for branch in ("main", 'odd "name"'):
        on_branch = mine.with_env(BRANCH=branch.replace(" ", "%20").replace('"', "%22"))
        assert "commit  none yet" in on_branch.call("status", "--stage", "develop").stdout
        assert "no results yet in develop" in on_branch.call("results").stderr
        for first in (True, False):
            done = on_branch.call("run")
            assert "customers for" in done.stdout
            assert ("made the database postgresql://shop@127.0.0.1" in done.stderr) == first
    refused = mine.with_env(BRANCH="elsewhere").call("run", "--stage", "production")
    assert refused.returncode == 1
    assert refused.stderr.endswith('database "shop-elsewhere" does not exist\n')
    assert len(refused.stderr.splitlines()) == 1


def test_a_record_of_another_version_is_read(shop: Project) -> None:
    shop.call("run")
    file = next(Path(shop.env["BURGER_COMBOS_RUNS__FOLDER"]).glob("*/run.json"))
    record = json.loads(file.read_text())
    del record["image"]
    record["a_key_of_later_days"] = 1
    script = f"from burger_combos.ops.runs import Record; print(Record.from_json({json.dumps(json.dumps(record))}))"
    assert "image=''" in shop.python(script).stdout


def test_a_first_lock_is_found_without_looking_through_old_versions(
    generate: Callable[..., Project], tmp_path: Path
) -> None:
    done = generate(tmp_path / "p", target="metaflow-argo").run("uv", "lock", "--verbose")
    assert done.returncode == 0, done.stderr
    packages = (tmp_path / "p/uv.lock").read_text().count("[[package]]")
    assert done.stderr.count("Searching for a compatible version") < 10 * packages
