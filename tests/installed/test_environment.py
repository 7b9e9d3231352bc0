"""What surrounds a run: variables, locale, repository, branch, image, secrets as files, days, a server of one's own."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import rig
from rig import ROOT, Project, environment, sh

SECRETS = """
import os, pathlib
from burger_combos.ops import settings
from burger_combos.ops.problems import told_in_one_line
settings.SECRETS = pathlib.Path({folder!r})
with told_in_one_line():
    loaded = settings.load(settings.StageSettings, "develop")
    print(loaded.database.url.get_secret_value(), os.environ.get("PGPASSWORD"), os.environ.get("..data"))
"""

CACHE = sh("uv", "cache", "dir", cwd=ROOT).stdout.strip()

# What no locale tells Python to print with.
ASCII = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}

# As git 2.30 refuses what came later, with the release that it came with: gone where it is not in its documentation.
OLD_GIT = """#!/bin/sh
for word; do
    case $word in
    --path-format* | --show-ref-format | --ref-format* | --write-tree | --orphan | --show-signature-format) ;;
    --) break ;;
    *) continue ;;
    esac
    echo "git: unknown option $word" >&2
    exit 129
done
case "${{1:-}} ${{2:-}}" in
"config get" | "config set" | "config list" | "config unset" | "refs "* | "backfill "* | "replay "* | "for-each-repo "*)
    echo "git: $1 $2 is of a later release" >&2
    exit 1
    ;;
esac
exec {git} "$@"
"""

MOMENTS = """
import json
from datetime import UTC, datetime, timedelta
from burger_combos.ops.cron import Cron
from burger_combos.ops.settings import Schedule, Stage, StageSettings

found = []
for line, zone, first, last in {cases}:
    schedule = Schedule(cron=line, timezone=zone)
    cron = Cron(StageSettings(stage=Stage.develop, schedule=schedule))
    moment, until, told = datetime.fromisoformat(first), datetime.fromisoformat(last), []
    while (moment := cron.after(moment)) and moment < until:
        told.append(moment.isoformat())
        moment = moment.astimezone(UTC)  # as a record has it
    found.append(told)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All at once that a shell may be set to, each of which leads astray who follows it."""
    folder = tmp_path_factory.mktemp("surroundings")
    other, shadows, elsewhere = folder / "other", folder / "shadows", folder / "elsewhere"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", other], check=True)
    for module in ("polars", "burger_combos", "typing_extensions", "tomllib", "yaml"):
        (shadows / module).mkdir(parents=True)
        (shadows / module / "__init__.py").write_text(f"raise RuntimeError('the {module} of PYTHONPATH')\n")
    (elsewhere / "develop").mkdir(parents=True)
    (elsewhere / "README.md").write_text("Theirs.\n")
    rig.commit(elsewhere, "theirs")
    (folder / "file").touch()
    home = {"HOME": str(folder / "file"), "XDG_CACHE_HOME": "", "XDG_DATA_HOME": ""}  # where nothing can be kept
    python = {
        "VIRTUAL_ENV": str(other),
        "CONDA_PREFIX": str(other),
        "CONDA_DEFAULT_ENV": "other",
        "PYTHONOPTIMIZE": "2",
    }
    python |= {"PYTHONPATH": str(shadows), "PYTHONHOME": str(folder), "PYTHONSAFEPATH": "1", "MYPYPATH": str(shadows)}
    pip = {"PIP_USER": "1", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_TARGET": str(folder / "target")}
    uv = dict.fromkeys(("FROZEN", "NO_DEV", "NO_EDITABLE", "NO_INSTALL_PROJECT", "NO_SYNC", "SYSTEM_PYTHON"), "1")
    uv |= {
        "PROJECT": str(elsewhere),
        "WORKING_DIR": str(elsewhere),
        "RESOLUTION": "lowest",
        "EXCLUDE_NEWER": "2020-01-01",
    }
    git = {"GIT_DIR": str(elsewhere / ".git"), "GIT_WORK_TREE": str(elsewhere), "GIT_PREFIX": "develop/"}
    git |= {"GIT_INDEX_FILE": str(elsewhere / ".git/index")}
    shell = {"CDPATH": str(elsewhere), "GREP_OPTIONS": "--color=always", "MAKEFLAGS": "-j4", "SHELL": "/usr/bin/fish"}
    shell |= {"TERM": "dumb", "COLUMNS": "40", "FORCE_COLOR": "1", "TZ": "Asia/Kolkata"}
    path = {"PATH": f"{other}/bin{os.pathsep}{environment()['PATH']}"}
    return ASCII | home | python | pip | {f"UV_{name}": value for name, value in uv.items()} | git | shell | path


def told(project: Project, *command: str) -> str:
    """What a command prints that has to succeed, without standard input, where files are kept from other accounts."""
    done = project.run("sh", "-c", f"umask 077; exec {shlex.join(command)} <&-")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_a_shell_is_set_to_leads_no_verb_astray(
    surroundings: dict[str, str], generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "größe & co's #1 $HOME 100% [x]")
    kept = told(replace(mine, env=surroundings), "sh", "develop/uv.sh", "cache", "dir")
    assert "cannot be written: downloads are kept in .venv-uv/cache" in kept
    assert f"{mine.folder}/.venv-uv/cache/uv" in kept
    there = replace(mine, env=surroundings | {"UV_CACHE_DIR": CACHE})  # all the same, as others have filled it
    setup = told(there, "make", "setup")
    assert "the first commit" in setup
    head = mine.git("rev-parse", "HEAD")
    shown = told(there, "make", "develop")
    assert f"commit   {head}" in shown
    assert "Jalapeño" in shown
    assert "✓" in shown
    assert "\x1b" not in shown
    assert re.match("customer .* item_5 ", shown)  # in a line, whatever COLUMNS says
    rows, runs = mine.written()
    assert {row["git_commit"] for row in rows} == {head} == {run["git_commit"] for run in runs}
    assert f"{head[:11]} (HEAD)" in told(there, "make", "status")
    assert "Jalapeño" in told(there, "make", "results")
    assert "publish" in told(there, "make", "logs")
    assert "passed" in told(there, "make", "check")
    assert mine.git("status", "--porcelain") == ""
    place = told(there, "sh", "develop/tool.sh", "python", "-c", "import burger_combos as b; print(b.__file__)")
    assert place == f"{mine.folder}/src/burger_combos/__init__.py\n"  # the source itself, which is edited
    model = mine.folder / "src/burger_combos/model.py"
    model.write_text(model.read_text(encoding="utf-8") + "\nunused = [  1 ]\n", encoding="utf-8")
    without = {name: value for name, value in there.env.items() if not name.startswith("GIT_")}
    refused = replace(mine, env=without).run("git", "commit", "--all", "--message", "Badly formed")
    assert refused.returncode == 1
    assert "types....................................................................Passed" in refused.stderr
    assert "format...................................................................Failed" in refused.stderr


def test_the_demo_runs_whatever_is_active(surroundings: dict[str, str], template: Path, tmp_path: Path) -> None:
    folder = tmp_path / "größe & co"
    sh("git", "clone", "--quiet", str(template), str(folder), cwd=tmp_path)
    done = sh("make", "demo", cwd=folder, env=environment() | surroundings | {"UV_CACHE_DIR": CACHE})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Jalapeño" in done.stdout
    assert "rows of recommendations for" in done.stdout
    assert (folder / ".venv/bin/copier").exists()


def test_in_a_folder_whose_name_no_environment_can_have_setup_says_so(
    generate: Callable[..., Project], tmp_path: Path
) -> None:
    done = generate(tmp_path / "a: b").run("make", "develop")
    assert done.returncode == 2
    assert (
        "setup: no environment can be in a folder with a colon in its path: move the project"
        in done.stdout + done.stderr
    )


@pytest.fixture(scope="module")
def repositories(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Project]:
    """A project in each kind of repository, beside a git of 2021; they share an environment, to be set up once."""
    top = tmp_path_factory.mktemp("repositories")
    old = top / "bin/git"
    old.parent.mkdir()
    old.write_text(OLD_GIT.format(git=shutil.which("git")))
    old.chmod(0o755)
    env = {"UV_PROJECT_ENVIRONMENT": str(top / "venv"), "GIT_ALLOW_PROTOCOL": "file"}
    env |= {"PATH": f"{old.parent}{os.pathsep}{environment()['PATH']}"}
    whole = replace(generate(top / "whole"), env=env)
    rig.commit(whole.folder, "a-tag")
    whole.git("commit", "--quiet", "--allow-empty", "--message", "Another")
    whole.git("worktree", "add", "--quiet", "-b", "feature/Next", "../worktree")
    sh("git", "clone", "--quiet", "--depth", "1", whole.folder.as_uri(), "shallow", cwd=top)
    sh("git", "clone", "--quiet", str(whole.folder), "detached", cwd=top)
    sh("git", "checkout", "--quiet", "a-tag", cwd=top / "detached")
    generate(top / "monorepo/shops/burger")
    rig.commit(top / "monorepo", "theirs")
    (top / "above").mkdir()
    (top / "above/README.md").write_text("Above.\n")
    rig.commit(top / "above", "above")
    added = sh(
        "git", "submodule", "--quiet", "add", str(whole.folder), "burger", cwd=top / "above", env=environment() | env
    )
    assert added.returncode == 0, added.stderr
    names = ("worktree", "shallow", "detached", "monorepo/shops/burger", "above/burger")
    return {name: replace(whole, folder=top / name) for name in names}


@pytest.mark.parametrize(
    ("name", "branch", "hook"),
    [
        ("worktree", "feature-next-0fe5d0be", True),
        ("shallow", "BRANCH", True),
        ("detached", "no-branch", True),
        ("monorepo/shops/burger", "BRANCH", False),
        ("above/burger", "BRANCH", True),
    ],
)
def test_in_every_kind_of_repository_the_commit_is_known_and_another_is_made(
    name: str, branch: str, hook: bool, repositories: dict[str, Project]
) -> None:
    mine = repositories[name].with_env(ORDERS__SAMPLE__CUSTOMERS="300")
    head = mine.git("rev-parse", "HEAD")
    branch = branch.replace("BRANCH", mine.git("symbolic-ref", "--quiet", "--short", "HEAD"))
    done = mine.run("make", "develop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("setup: the pre-commit hook" in done.stderr) == hook
    assert ("setup: part of the repository in " in done.stderr) != hook
    assert mine.git("log", "-1", "--format=%H") == head
    mine.git("add", "uv.lock")
    assert f"commit   {head}" in done.stdout  # which the new lock makes -dirty
    assert f"sqlite:///var/develop/{branch}/results.db" in done.stdout
    assert f"{head[:11]}-dirty (HEAD + changes)" in mine.make("status")
    made = mine.run("git", "commit", "--message", "The lock")
    assert made.returncode == 0, made.stderr
    assert ("the lock is of this pyproject.toml" in made.stderr) == hook
    if name in ("monorepo/shops/burger", "above/burger"):
        assert "passed" in mine.make("check")


def test_a_repository_that_git_refuses_is_told_and_no_commit_is_made_up(
    project: Project, generate: Callable[..., Project], tmp_path: Path
) -> None:
    """As where a folder belongs to somebody else, or a worktree's repository is elsewhere."""
    theirs = generate(tmp_path / "p")
    rig.commit(theirs.folder, "theirs")
    head = theirs.git("rev-parse", "HEAD")
    venv = {"UV_PROJECT_ENVIRONMENT": str(tmp_path / "venv")}
    owned = replace(theirs, env=venv | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
    assert "no first commit and no hook: git refuses, detected dubious ownership" in owned.make("setup")
    assert (theirs.git("rev-parse", "HEAD"), (theirs.folder / ".git/hooks/pre-commit").exists()) == (head, False)
    for verb in ("develop", "status"):
        done = owned.run("make", verb)
        assert (done.returncode, done.stdout) == (2, "")
        advice = f"git config --global --add safe.directory {theirs.folder}"
        line = f"git: detected dubious ownership in repository at '{theirs.folder}': {advice}"
        assert done.stderr.splitlines()[-2].partition(": ")[2] == line
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost/.git").write_text("gitdir: /no/such/repository\n")
    lost = Project(tmp_path / "lost", project.package)
    asked = (project.folder / ".venv/bin/python", "-m", "burger_combos.ops.version")
    said = "error: git: not a git repository: /no/such/repository: BURGER_COMBOS_COMMIT= names the commit instead\n"
    assert lost.run(*asked).stderr == said
    told = lost.with_env(COMMIT="c0ffee", BRANCH="theirs").run(*asked)
    assert told.stdout == "c0ffee theirs\n"


def test_a_hook_of_another_repository_leads_no_run_astray(shop: Project, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("Theirs.\n")
    rig.commit(tmp_path, "theirs")
    inside = {"GIT_DIR": f"{tmp_path}/.git", "GIT_INDEX_FILE": f"{tmp_path}/.git/index", "GIT_WORK_TREE": str(tmp_path)}
    done = replace(shop, env=shop.env | inside).call("run")
    assert f"commit   {shop.git('rev-parse', 'HEAD')}\n" in done.stdout


def test_in_any_locale_what_is_printed_is_utf8_and_files_are_read_and_written_as_such(shop: Project) -> None:
    done = replace(shop, env=shop.env | {"PYTHONWARNDEFAULTENCODING": "1"}).call("run")
    assert done.returncode == 0, done.stderr
    assert not re.search("^.*src/burger_combos/.*EncodingWarning", done.stderr, re.MULTILINE)
    assert shop.call("run", "--date", "2026-01-01").returncode == 0
    plain = shop.call("results").stdout
    assert "Jalapeño" in plain
    assert "█" in plain
    assert replace(shop, env=shop.env | {"PYTHONIOENCODING": "latin-1"}).call("results").stdout == plain
    there = replace(shop, env=shop.env | ASCII)
    assert there.call("results").stdout == plain
    assert "×" in there.call("status").stdout
    assert "Jalapeño" in there.call("report", "--stage", "develop").stdout


def test_only_a_terminal_that_shows_colors_gets_them(shop: Project) -> None:
    script = """
import json, os
from burger_combos.ops.terminal import shows_colors

class Stream:
    def __init__(self, terminal): self.terminal = terminal
    def isatty(self): return self.terminal

def seen(terminal=True, **variables):
    os.environ.update({"TERM": "xterm-256color", "NO_COLOR": ""} | variables)
    return shows_colors(Stream(terminal))

print(json.dumps([seen(), seen(False), seen(NO_COLOR="1"), seen(TERM="dumb")]))
"""
    assert json.loads(shop.python(script).stdout) == [True, False, False, False]


def test_what_is_due_on_the_days_that_lack_an_hour_or_have_it_twice_is_due_once(shop: Project) -> None:
    lisbon, new_york = "Europe/Lisbon", "America/New_York"
    cases = {
        # No 01:30 on the first, two of them on the second; what is due each hour is due each hour.
        ("30 1 * * *", lisbon, "2026-03-28T12:00Z", "2026-03-31T00:00Z"): [
            "2026-03-29T02:00:00+01:00",
            "2026-03-30T01:30:00+01:00",
        ],
        ("30 1 * * *", lisbon, "2026-10-24T12:00Z", "2026-10-27T00:00Z"): [
            "2026-10-25T01:30:00+01:00",
            "2026-10-26T01:30:00+00:00",
        ],
        ("30 2 * * *", new_york, "2026-03-07T12:00Z", "2026-03-10T00:00Z"): [
            "2026-03-08T03:00:00-04:00",
            "2026-03-09T02:30:00-04:00",
        ],
        ("30 1 * * *", new_york, "2026-10-31T12:00Z", "2026-11-03T00:00Z"): [
            "2026-11-01T01:30:00-04:00",
            "2026-11-02T01:30:00-05:00",
        ],
        ("30 1-2 * * *", lisbon, "2026-03-28T12:00Z", "2026-03-29T12:00Z"): [
            "2026-03-29T02:00:00+01:00",
            "2026-03-29T02:30:00+01:00",
        ],
        ("0 5 * * *", "Asia/Kolkata", "2026-03-28T12:00Z", "2026-03-29T12:00Z"): ["2026-03-29T05:00:00+05:30"],
        ("0 5 29 2 *", "UTC", "2026-03-01T00:00Z", "2033-01-01T00:00Z"): [
            "2028-02-29T05:00:00+00:00",
            "2032-02-29T05:00:00+00:00",
        ],
    }
    done = shop.python(MOMENTS.format(cases=list(cases)))
    assert done.returncode == 0, done.stderr
    for case, found, expected in zip(cases, json.loads(done.stdout), cases.values(), strict=True):
        assert found == expected, case


def test_the_day_is_that_of_the_schedule_and_a_leap_day_is_one(shop: Project) -> None:
    done = shop.call("run", "--date", "2024-02-29")
    assert "rows of recommendations for 2024-02-29" in done.stdout
    assert {row["date"] for row in shop.written()[0]} == {"2024-02-29"}
    script = """
from datetime import UTC, datetime
from zoneinfo import ZoneInfo
from burger_combos.ops.cli import _day
from burger_combos.ops.settings import Schedule, Stage, StageSettings
for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):  # of which at each moment one has another day than UTC
    found = _day(None, StageSettings(stage=Stage.develop, schedule=Schedule(timezone=zone)))
    assert found == datetime.now(ZoneInfo(zone)).date(), zone
"""
    done = replace(shop, env=shop.env | {"TZ": "Asia/Kolkata"}).python(script)
    assert done.returncode == 0, done.stderr


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
            assert "rows of recommendations for" in done.stdout
            assert ("made the database postgresql://shop@127.0.0.1" in done.stderr) == first
    refused = mine.with_env(BRANCH="elsewhere").call("run", "--stage", "production")
    assert refused.returncode == 1
    assert refused.stderr.endswith('database "shop-elsewhere" does not exist\n')
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.postgresql
def test_without_an_engine_another_server_does_what_the_container_would_as_it_is_told(
    generate: Callable[..., Project], postgresql: str, tmp_path: Path
) -> None:
    """Whoever does what stands there comes to the end, and one line says what is missing before."""
    mine = generate(tmp_path / "p", database="postgresql")
    mine.make("setup")
    lacking = re.compile(
        "no container engine .*, and so no database in a container: make develop tells how to name another"
    )
    for verb, code, said in (
        ("status", 0, lacking),
        ("results", 2, lacking),
        ("logs", 2, re.compile("no runs yet in develop")),
    ):
        looked = mine.run("make", verb)
        assert looked.returncode == code
        assert [line for line in looked.stderr.splitlines() if not line.startswith("make: ")][0:] == [
            looked.stderr.splitlines()[0]
        ]
        assert said.search(looked.stderr)

    refused = mine.run("make", "develop")
    assert refused.returncode == 2
    assert "name one of a PostgreSQL server of your own" in refused.stderr.splitlines()[0]
    advice = refused.stderr.replace("postgresql://USER@localhost", postgresql)
    exports = dict(re.findall(r"^    export (BURGER_\w+)=(\S+)", advice, re.MULTILINE))
    assert exports.keys() == {"BURGER_COMBOS_DATABASE__URL", "BURGER_COMBOS_ORDERS__DATABASE_URL"}
    there = replace(mine, env={name: shlex.split(value)[0] for name, value in exports.items()})
    for half in exports:  # and one of them alone tells of the other
        alone = replace(mine, env={half: there.env[half]}).run("make", "develop")
        assert re.findall(r"^    export (BURGER_\w+)", alone.stderr, re.MULTILINE) == [
            each for each in exports if each != half
        ]
    programs = {"PATH": f"{rig.postgresql_programs()}{os.pathsep}{environment()['PATH']}"}
    for command in re.findall("^    (psql .*)$", advice, re.MULTILINE):
        done = replace(there, env=there.env | programs).run("sh", "-c", f"{command} --set ON_ERROR_STOP=1")
        assert done.returncode == 0, done.stderr
    assert "rows_read=1" in there.run("make", "develop").stderr
    assert "postgresql://shop@127.0.0.1" in there.make("results")
    assert ", ok, " in there.make("status")
    assert "publish" in there.make("logs")

    sample = {"BURGER_COMBOS_DATABASE__URL": there.env["BURGER_COMBOS_DATABASE__URL"]}
    sample |= dict(re.findall(r"export (BURGER_COMBOS_ORDERS__SOURCE)=(\w+)$", advice, re.MULTILINE))
    assert "rows of recommendations for" in replace(mine, env=sample).make("develop")


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
