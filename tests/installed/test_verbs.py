"""A generated project as its user meets it: set up, checked, run and looked at through its verbs."""

import re
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rig import GIT_IDENTITY, Project, environment, path_without, sh


def test_setup_makes_environment_repository_hooks_and_first_commit(project: Project) -> None:
    assert (project.folder / "uv.lock").exists()
    assert (project.folder / ".git/hooks/pre-commit").exists()
    assert project.git("log", "--format=%s") == "Begin from copier-ml"
    assert project.git("status", "--porcelain") == ""


def test_setup_again_changes_nothing(project: Project) -> None:
    head, lock = project.git("rev-parse", "HEAD"), (project.folder / "uv.lock").read_bytes()
    said = project.make("setup")
    assert "git has commits already" in said
    assert "the pre-commit hook" in said
    assert (project.git("rev-parse", "HEAD"), (project.folder / "uv.lock").read_bytes()) == (head, lock)


def test_an_untouched_project_passes_its_own_check(project: Project) -> None:
    assert "passed" in project.make("check")
    assert project.git("status", "--porcelain") == ""


def test_make_alone_lists_every_verb(project: Project) -> None:
    listed = project.make()
    for verb in (
        "setup",
        "explore",
        "develop",
        "inside",
        "test",
        "check",
        "image",
        "scan",
        "deploy",
        "rollback",
        "status",
        "logs",
        "results",
        "upgrade",
        "update",
    ):
        assert f"make {verb} " in listed


def test_a_script_shows_orders_and_recommendations_and_writes_nothing(
    generate: Callable[..., Project], tmp_path: Path
) -> None:
    shop = generate(tmp_path / "shop", notebooks="none")
    shown = shop.make("explore")
    assert "What sells:" in shown
    assert "customer is missing or unreadable" in shown
    assert "would like" in shown
    assert shop.git("status", "--porcelain") == ""
    assert shop.written("explore") == ([], [])


def test_develop_then_status_logs_and_results(shop: Project) -> None:
    head = shop.git("rev-parse", "HEAD")
    shown = shop.make("develop")
    assert "299 customers" in shown or "300 customers" in shown
    assert head in shown
    rows, runs = shop.written()
    assert {row["git_commit"] for row in rows} == {head} == {run["git_commit"] for run in runs}

    for stage in ("explore", "production"):
        header, first, *_ = shop.make("status", f"STAGE={stage}").splitlines()
        assert header.split() == [stage]
        assert first.split() == ["commit", "none", "yet"]
    status = shop.make("status", "STAGE=develop")
    assert "production" not in status
    assert f"{head[:11]} (HEAD)" in status
    assert "ok" in status
    logs = shop.make("logs").splitlines()
    assert f"commit={head}" in logs[0]
    assert any("publish" in line for line in logs)
    assert rows[0]["item_1"] in shop.make("results", "CUSTOMER=" + rows[0]["customer"])
    assert """no row in develop for customer 'a"b `c`'""" in shop.run("make", "results", 'CUSTOMER=a"b `c`').stderr
    report = next(Path(shop.env["BURGER_COMBOS_RUNS__FOLDER"]).glob("*/report.html")).read_text()
    assert head[:11] in report
    assert not re.search(r"(src|href|url|import)[^ ]{1,3}https?:", report)


def test_looking_never_imports_what_the_model_needs(shop: Project) -> None:
    watched = """
import runpy, sys
try:
    runpy.run_path(sys.argv.pop(1), run_name="__main__")
finally:
    print("MODULES", *sys.modules)
"""

    def modules(verb: str, *options: str) -> set[str]:
        done = shop.run(
            shop.folder / ".venv/bin/python", "-c", watched, shop.command, verb, "--stage", "develop", *options
        )
        assert done.returncode == 0, done.stderr
        return set(done.stdout.partition("MODULES")[2].split())

    models = {"numpy", "scipy", "pandera"}
    assert models <= modules("run")
    for verb in ("status", "logs", "results"):
        assert not models & modules(verb), verb


def test_looking_before_the_first_run_says_so(shop: Project) -> None:
    assert shop.make("status").count("none yet") == 3
    for command in ("logs", "results"):
        done = shop.call(command)
        assert done.returncode == 1
        assert "yet in develop" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not Path(shop.env["BURGER_COMBOS_DATABASE__URL"].removeprefix("sqlite:///")).exists()


def test_what_the_command_line_does_not_know_is_one_clear_line(shop: Project) -> None:
    for arguments, message in (
        (("status", "--stage", "prod"), "'prod' is not one of 'explore', 'develop', 'production'"),
        (("results", "--row", "3"), "No such option: --row"),
        (("results", "--rows", "0"), "'--rows'"),
        (("run", "--date", "2026-13-01"), "'2026-13-01'"),
        (("step", "load"), "'--run-id'"),
        (("runn",), "'runn'"),
    ):
        done = shop.call(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(r"error: .*\n", done.stderr)
        assert message in done.stderr
    for options, code in (((), 2), (("--help",), 0)):
        done = shop.call(*options)
        assert (done.returncode, done.stderr) == (code, "")
        assert "results" in done.stdout


def test_a_changed_file_shows_as_dirty_everywhere(
    generate: Callable[..., Project], project: Project, tmp_path: Path
) -> None:
    mine = generate(tmp_path / "mine")
    mine.make("setup")
    head = mine.git("rev-parse", "HEAD")
    orders = mine.folder / "src" / mine.package / "orders.py"
    orders.write_text(orders.read_text() + "\n")
    mine.make("develop")
    rows, runs = mine.written()
    assert {row["git_commit"] for row in rows} == {run["git_commit"] for run in runs} == {f"{head}-dirty"}
    assert f"{head[:11]}-dirty (HEAD + changes)" in mine.make("status", "STAGE=develop")
    assert f"{head[:11]}-dirty" in next((mine.folder / "var/develop/main/runs").glob("*/report.html")).read_text()


def test_the_hooks_stop_a_bad_commit(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    mine.make("setup")
    (mine.folder / "src" / mine.package / "bad.py").write_text(
        '"""Bad."""\n\n\ndef bad() -> int:\n    """Bad."""\n    x = 1\n    return "a"\n'
    )
    mine.git("add", "-A")
    done = mine.run("git", "commit", "-m", "bad")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "F841" in said
    assert re.search(r"types\.+Failed", said)
    assert mine.git("log", "--format=%s") == "Begin from copier-ml"


def test_without_uv_the_project_brings_its_own(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    env = environment()
    env["PATH"] = path_without("uv")
    done = sh("make", "setup", cwd=mine.folder, env=env)
    assert done.returncode == 0, done.stderr
    assert "uv: not installed here" in done.stderr
    assert (mine.folder / ".venv-uv/bin/uv").exists()
    assert mine.git("status", "--porcelain") == ""


def test_each_step_that_is_skipped_says_why(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    image = re.search("FROM python:([0-9.]+)", (mine.folder / "Dockerfile").read_text())
    nobody = {key: value for key, value in environment().items() if key not in GIT_IDENTITY}
    done = sh("make", "develop", cwd=mine.folder, env=nobody)
    assert (
        "no first commit: git does not know you. Tell it, and make setup again:\n    git config --global user"
        in done.stdout
    )
    assert "commit   uncommitted" in done.stdout
    assert (
        "develop: no container engine answers (docker info says why): in the locked environment of .venv" in done.stderr
    )
    here = mine.run(".venv/bin/python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout.strip()
    assert image
    assert (f"Python {here} here, {image[1]} in the image" in done.stdout) == (here != image[1])
    hook = mine.folder / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nexit 0\n")
    assert "git has a pre-commit hook already: left as it is" in mine.make("setup")
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"

    outer = tmp_path / "outer"
    outer.mkdir()
    sh("git", "init", "-q", cwd=outer)
    inner = generate(outer / "inner")
    assert "part of the repository in" in inner.make("setup")
    assert not (inner.folder / ".git").exists()


def test_a_new_project_has_the_versions_of_the_release(project: Project) -> None:
    day = tomllib.loads((project.folder / "pyproject.toml").read_text())["tool"]["uv"]["exclude-newer"]
    lock = (project.folder / "uv.lock").read_text()
    uploads = re.findall(r'upload-time = "([^"]+)"', lock)
    assert len(uploads) > 100
    assert max(uploads) < day


def test_upgrade_moves_the_day_on(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    settings = mine.folder / "pyproject.toml"
    settings.write_text(re.sub(r'(exclude-newer = ")[^T]+', r"\g<1>2026-11-20", settings.read_text()))
    mine.make("setup")
    assert 'exclude-newer = "2026-11-20' in (mine.folder / "uv.lock").read_text()
    mine.make("upgrade")
    assert f'exclude-newer = "{datetime.now(UTC):%Y-%m-%d}' in (mine.folder / "uv.lock").read_text()


def test_a_moved_project_is_set_up_anew(generate: Callable[..., Project], tmp_path: Path) -> None:
    generate(tmp_path / "mine").make("setup")
    (tmp_path / "mine").rename(tmp_path / "moved")
    moved = Project(tmp_path / "moved", "burger_combos")
    assert "customers for" in moved.make("develop")
    assert "mine" not in (moved.folder / ".venv/bin/burger-combos").read_text()


def test_where_head_stands_from_the_last_run(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    mine.make("develop")
    mine.git("commit", "--allow-empty", "--no-verify", "-m", "next")
    assert "(1 commit behind HEAD)" in mine.make("status")
    mine.make("develop")
    mine.git("config", "status.showUntrackedFiles", "no")
    mine.git("reset", "-q", "--hard", "HEAD~1")
    assert "(1 commit ahead of HEAD)" in mine.make("status")
    (mine.folder / "new.py").write_text("")
    assert "-dirty" in mine.make("develop")
