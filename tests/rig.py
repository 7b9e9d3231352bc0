"""What tests and benchmarks stand on: a snapshot of the template, generated projects, a PostgreSQL server."""

import json
import os
import pwd
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import copier
import fork_server
import pytest
import pytorch
from packaging.version import Version
from ports import free_port

ROOT = Path(__file__).parent.parent
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
UNNAMED = {  # releases, by what the last commit of each says
    "Remove the history of the backtest once a model is judged": "0.13.0",
    "Delete the flow of a sweep that was stopped when the stage is uninstalled": "0.15.0",
    "Take an empty answer to folder for none": "0.16.0",
    "Return no row of recommendations that did not come": "0.18.0",
}

GIT_IDENTITY = {
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "user.email",
    "GIT_CONFIG_VALUE_0": "ada@example.org",
    "GIT_CONFIG_KEY_1": "user.name",
    "GIT_CONFIG_VALUE_1": "Ada",
}

ROWS = """
import json
from {package}.ops.settings import StageSettings, load
from {package}.ops.store import ROWS, NotThere, Store

found = runs = []
try:
    with Store(load(StageSettings, "{stage}").database.url) as store:
        if store.has(ROWS):
            found = store.query(f"SELECT * FROM {{ROWS}} ORDER BY date, customer").rows(named=True)
        if store.has("runs"):
            runs = store.query("SELECT * FROM runs ORDER BY started_at").rows(named=True)
except NotThere:
    pass
print(json.dumps([found, runs], default=str))
"""


def environment(*, containers: bool = False) -> dict[str, str]:
    """The environment of a person who has uv and git, and whom git knows; with a container engine or with none."""
    unusual = ("GIT_", "BURGER_", "CI", "GITHUB_", "MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
    env = {key: value for key, value in os.environ.items() if not key.startswith(unusual)}
    env["PATH"] = f"{ROOT}/.venv/bin{os.pathsep}{env['PATH']}"
    if not containers:
        env["DOCKER_HOST"] = "unix:///no/engine"
    # What mypy knows of the libraries is the same in all projects.
    env["MYPY_CACHE_DIR"] = f"{ROOT}/var/mypy/{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    return env | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"} | GIT_IDENTITY


def path_without(*programs: str) -> str:
    """The PATH of `environment` without the folders in which one of these lies."""
    folders = environment()["PATH"].split(os.pathsep)
    return os.pathsep.join(each for each in folders if not any((Path(each) / name).exists() for name in programs))


def sh(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it printed; a failure is the caller's to judge."""
    return subprocess.run(
        command, cwd=cwd, env=environment() if env is None else env, text=True, capture_output=True, timeout=1200
    )


@dataclass(frozen=True)
class Project:
    """A generated project and the environment in which its commands run."""

    folder: Path
    package: str
    env: dict[str, str] = field(default_factory=dict)
    containers: bool = False

    def with_env(self, **variables: str) -> "Project":
        """The same project under other settings, given without the package's prefix."""
        return replace(self, env=self.env | {f"{self.package.upper()}_{key}": text for key, text in variables.items()})

    @property
    def command(self) -> str:
        """The project's command line, relative to its folder."""
        return f".venv/bin/{self.package.replace('_', '-')}"

    def environment(self) -> dict[str, str]:
        """That in which its commands run; where its lock names PyTorch, uv finds that."""
        found = environment(containers=self.containers)
        file = self.folder / "pyproject.toml"
        if file.exists() and 'name = "pytorch-cpu"' in file.read_text(encoding="utf-8"):
            found |= pytorch.environment()
        return found | self.env

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Any command in the project's folder."""
        env = self.environment()
        server = fork_server.of(self.folder, command, env)
        return server.run(command, self.folder, env) if server else sh(*command, cwd=self.folder, env=env)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The project's own command line."""
        return self.run(self.command, *arguments)

    def python(self, script: str) -> subprocess.CompletedProcess[str]:
        """A script in the project's environment."""
        return self.run(".venv/bin/python", "-c", script)

    def make(self, *arguments: str) -> str:
        """Standard output of a verb that has to succeed."""
        done = self.run("make", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self, *options: str) -> dict[str, dict[str, str]]:
        """What `make status` shows of each stage."""
        said = self.make("status", *options)
        table = said.partition("\n\n")[0].splitlines()
        assert table[0].split()[0] in ("explore", "develop", "production"), said
        starts = [found.start() for found in re.finditer(r"\S+", table[0])]
        bounds = list(zip(starts, [*starts[1:], None], strict=True))
        shown: dict[str, dict[str, str]] = {table[0][start:end].strip(): {} for start, end in bounds}
        for line in table[1:]:
            for stage, (start, end) in zip(shown, bounds, strict=True):
                shown[stage][line[: starts[0]].strip()] = line[start:end].strip()
        return shown

    def git(self, *arguments: str) -> str:
        """What git prints."""
        return self.run("git", *arguments).stdout.strip()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The project's own command line in the background, its output kept."""
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        env = self.environment()
        return subprocess.Popen([self.command, *arguments], cwd=self.folder, env=env, text=True, **pipes)

    def written(self, stage: str = "develop") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The rows and the runs' records that stand in the stage's database."""
        url = self.env.get(f"{self.package.upper()}_DATABASE__URL", "")
        # Read at once, where the project's Python takes a second to begin; {branch} is for that to fill in.
        if url.startswith("sqlite:///") and "{" not in url:
            return _in_sqlite(self.folder / url.removeprefix("sqlite:///"))
        done = self.python(ROWS.format(package=self.package, stage=stage))
        assert done.returncode == 0, done.stderr
        rows, runs = json.loads(done.stdout)
        return rows, runs


def _in_sqlite(file: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What ROWS gives, of a SQLite file."""
    if not file.exists():
        return [], []
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        there = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}

        def of(table: str, order: str) -> list[dict[str, Any]]:
            found = database.execute(f"SELECT * FROM {table} ORDER BY {order}") if table in there else []
            return [dict(row) for row in found]

        return of("recommendations", "date, customer"), of("runs", "started_at")


def hide(folder: Path) -> None:
    """Keep a folder from all other accounts, as a umask of 077 does."""
    done = sh("chmod", "-R", "go=", str(folder), cwd=folder)
    assert done.returncode == 0, done.stderr


def earlier_releases() -> dict[str, str]:
    """The commit of each release before the present one, oldest first: `Release 0.1.0` is what such a commit says."""
    said = ["--grep=^Release [0-9.]*$", *(f"--grep=^{subject}$" for subject in UNNAMED)]
    log = sh("git", "log", "--reverse", "--format=%H %s", *said, cwd=ROOT).stdout.splitlines()
    found = (line.split(" ", 1) for line in log)
    releases = {UNNAMED.get(subject, subject.split()[1]): revision for revision, subject in found}
    return {version: revision for version, revision in releases.items() if version != VERSION}


def snapshot(folder: Path) -> Path:
    """A repository in `folder` of all releases, each tagged with its version; the last is the work tree."""

    def git(*arguments: str) -> str:
        done = sh("git", *arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    git("init", "-q")
    objects = Path(sh("git", "rev-parse", "--path-format=absolute", "--git-path", "objects", cwd=ROOT).stdout.strip())
    borrowed = folder / ".git/objects/info/alternates"
    borrowed.write_text(f"{objects}\n", encoding="utf-8")
    parent: list[str] = []
    for version, revision in earlier_releases().items():
        parent = ["-p", git("commit-tree", *parent, "-m", version, f"{revision}^{{tree}}")]
        git("tag", version, parent[1])
    git("reset", "-q", *parent[1:])
    copy_work_tree(folder)
    commit(folder, VERSION)
    git("repack", "-a", "-d", "-q")  # one file of all, where each clone has thousands to link
    borrowed.unlink()
    return folder


def copy_work_tree(folder: Path) -> None:
    """Copy what git keeps here, or would keep, into a folder that is there."""
    listed = sh("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def commit(folder: Path, tag: str) -> None:
    """Commit all of a folder, a repository or not yet one, and tag it."""
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", tag], ["tag", tag]):
        done = sh("git", *arguments, cwd=folder)
        assert done.returncode == 0, done.stderr


@contextmanager
def thrown_away(project: Project) -> Iterator[None]:
    """Do something to a committed project on a branch of which nothing stays."""
    files = [project.folder / name for name in project.git("ls-files", "-z").split("\0") if name]
    changed_at = {file: file.stat().st_mtime_ns for file in files}
    project.git("switch", "--quiet", "--create", "tried")
    yield
    project.git("reset", "--quiet", "--hard", "main")
    for file, moment in changed_at.items():
        os.utime(file, ns=(moment, moment))  # or the next verb would set up anew
    project.git("clean", "--quiet", "-d", "--force")
    project.git("switch", "--quiet", "main")
    project.git("branch", "--quiet", "--delete", "--force", "tried")


def generate(template: Path, folder: Path, release: str | None = None, **answers: str) -> Project:
    """Generate a project of a release, or of the newest, with the default answers but for those given."""
    copier.run_copy(
        str(template), folder, data=_as_asked_by(release, answers), vcs_ref=release, defaults=True, quiet=True
    )
    return Project(folder, next(path.name for path in (folder / "src").iterdir()))


def _as_asked_by(release: str | None, answers: dict[str, str]) -> dict[str, str]:
    if release is None or release == VERSION:
        return answers
    _, _, place = answers.get("target", "").partition("metaflow-")
    if place and Version(release) < Version("0.8.0"):
        answers = answers | {"target": "metaflow", "metaflow_on": place}
    if Version(release) < Version("0.14.0"):
        later = [("database", "dynamodb"), ("serving", "http"), ("features", "feast")]
        answers = dict(answer for answer in answers.items() if answer not in later)
    if Version(release) < Version("0.10.0"):
        answers = {"licence" if name == "license" else name: answer for name, answer in answers.items()}
    return answers


def next_release(template: Path, folder: Path, change: Callable[[Path], object]) -> Path:
    """The template's repository with one more release, 99.0.0, once its files are changed; in `folder`."""
    shutil.copytree(template, folder)
    change(folder)
    commit(folder, "99.0.0")
    return folder


def append(name: str, text: str) -> Callable[[Path], object]:
    """A change of one file: more at its end."""

    def change(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(text)

    return change


def change(file: Path, pieces: dict[str, str]) -> None:
    """Put other pieces of text in place of some that the file has."""
    text = file.read_text(encoding="utf-8")
    for old, new in pieces.items():
        assert old in text, f"{file}: no {old}"
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def configure(project: Project, stage: str, pieces: dict[str, str]) -> None:
    """Put other pieces of text in place of some of a stage's settings, whichever of its files has them."""
    files = [file for name in ("settings", "platform") if (file := project.folder / stage / f"{name}.toml").exists()]
    for old, new in pieces.items():
        holder = next((file for file in files if old in file.read_text(encoding="utf-8")), files[0])
        change(holder, {old: new})


def follow(project: Project, template: Path) -> None:
    """Let a project follow another repository of the template."""
    answers = project.folder / ".copier-answers.yml"
    answers.write_text(re.sub("(?m)^_src_path: .*$", f"_src_path: {template}", answers.read_text(encoding="utf-8")))


def postgresql_programs() -> Path | None:
    """The folder of a PostgreSQL server's programs, Debian's newest first."""
    program = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return debian[-1] if debian else Path(program).resolve().parent if program else None


@contextmanager
def postgresql_server(programs: Path, *options: str) -> Iterator[str]:
    """A new server on loopback; yields its URL without a database's name, and ends with this process at the latest."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        port = str(free_port())
        become = ["setpriv", "--pdeathsig=INT"]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            become += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
        init = [*become, str(programs / "initdb"), "-D", f"{folder}/data", "-U", "shop", "-A", "trust", "-N"]
        subprocess.run(init, check=True, capture_output=True, cwd=folder)
        serve = [*become, str(programs / "postgres"), "-D", f"{folder}/data", "-p", port, "-k", folder, *options]
        server = subprocess.Popen([*serve, "-h", "127.0.0.1"], stderr=subprocess.DEVNULL, cwd=folder)
        try:
            while subprocess.run([programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", port]).returncode:
                assert server.poll() is None, "the PostgreSQL server did not start"
                time.sleep(0.1)
            yield f"postgresql://shop@127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)


def new_database(server: str, project: Project) -> str:
    """Create an empty database on the server and return its URL."""
    name = f"test_{time.time_ns()}"
    done = project.python(f"""
import adbc_driver_postgresql.dbapi as driver
with driver.connect("{server}/postgres", autocommit=True) as connection, connection.cursor() as cursor:
    cursor.execute("CREATE DATABASE {name}")
""")
    assert done.returncode == 0, done.stderr
    return f"{server}/{name}"


def missing(what: str, reason: str) -> NoReturn:
    """Skip for this reason, or fail where the environment says that nothing of the kind may be missing."""
    if os.environ.get(f"REQUIRE_{what}") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
