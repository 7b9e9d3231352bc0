"""What does the verbs that need containers: on a machine that has Python and a shell, and nothing else, as in CI."""

import json
import shutil
import sys
from pathlib import Path

import rig
from rig import sh

IMPORTED = "import sys; sys.path.insert(0, 'src'); import {package}.ops.deploy.__main__"


def verb(folder: Path, name: str, **env: str) -> tuple[int, str]:
    """The exit code of a verb, and what it says on standard error."""
    done = sh("sh", "develop/verb.sh", name, cwd=folder, env=rig.environment() | env)
    return done.returncode, done.stderr


def test_the_standard_library_is_all_it_needs(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        (package,) = (path.name for path in (folder / "src").iterdir())
        done = sh(sys.executable, "-S", "-c", IMPORTED.format(package=package), cwd=folder)
        assert done.returncode == 0, done.stderr


def test_what_it_makes_of_cis_secrets_is_gone_when_it_ends(folders: dict[str, Path], tmp_path: Path) -> None:
    given = {"SSH_KEY": "key", "KUBE_CONFIG": "kind: Config", "TMPDIR": str(tmp_path)}
    for target in ("docker", "kubernetes"):
        code, said = verb(folders[target], "deploy", **given)
        assert code == 1
        assert said.count("\n") == 1, said
        assert list(tmp_path.iterdir()) == []


def test_a_verb_or_a_stage_that_is_not_there_is_one_line(folders: dict[str, Path]) -> None:
    code, said = verb(folders["docker"], "deploi")
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("production: no verb deploi: there are backfill, clean, deploy, develop, ")
    code, said = verb(folders["docker"], "deploy", STAGE="explore")
    assert (code, said) == (1, "explore: STAGE=explore: what is deployed are develop and production\n")
    code, said = verb(folders["docker"], "results")
    assert (code, said.count("\n")) == (1, 1)
    assert "make setup" in said


def test_a_connection_ends_though_its_socket_goes_at_the_same_time(folders: dict[str, Path], tmp_path: Path) -> None:
    (package,) = (path.name for path in (folders["docker"] / "src").iterdir())
    program = f"""
import os, sys
sys.path.insert(0, "src")
from {package}.ops.deploy import ssh

remove = os.unlink
def gone(path, *arguments, **named):
    remove(path, *arguments, **named)
    if str(path).endswith(".socket"):
        raise FileNotFoundError(path)

connection = ssh.Connection()
with connection:
    (connection.folder / "a.socket").touch()
    os.unlink = gone
assert not connection.folder.exists()
"""
    env = rig.environment() | {"SSH_KEY": "key", "TMPDIR": str(tmp_path)}
    done = sh(sys.executable, "-c", program, cwd=folders["docker"], env=env)
    assert done.returncode == 0, done.stderr


# Stand-ins that note how they are called: an engine with a deployed stage, and a cluster with one.
DOCKER = """#!/bin/sh
case "$*" in
"info "*) echo "28 [] buildx compose" ;;
*"container inspect "*-backfill | *"container inspect "*-sweep) cat at-work 2>/dev/null || exit 1 ;;
*"container inspect --format "*-main-database-1) exit 1 ;;
*"container inspect --format "*) echo sha256:1 ;;
*.ops.needs" "*) echo "{}" ;;
run*) printf '%s\\n' "$@" >called; echo done by it ;;
esac
"""
KUBECTL = """#!/bin/sh
case "$*" in
"get job "*"{.status.active}"*) cat at-work 2>/dev/null ;;
*--dry-run=client*) cat job ;;
"create --filename"*) cat >called ;;
"get job "*) echo 1/ ;;
"logs "*) echo done by it ;;
esac
"""


JOB = {"metadata": {}, "spec": {"activeDeadlineSeconds": 60, "template": {"spec": {"containers": [{}]}}}}


def test_a_backfill_runs_where_the_stage_is_and_as_long_as_its_days_take(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    days = {"FROM": "2026-10-01", "TO": "2026-10-31", "REDO": "1"}
    words, of_production = ["--from", "2026-10-01", "--to", "2026-10-31", "--redo"], {"STAGE": "production"}
    for target, name, program in (("docker", "docker", DOCKER), ("kubernetes", "kubectl", KUBECTL)):
        folder = shutil.copytree(folders[target], tmp_path / f"on {target}", symlinks=True)
        for command in (["init", "--quiet", "--initial-branch", "main"], ["add", "--all"], ["commit", "-qm", "First"]):
            assert sh("git", *command, cwd=folder).returncode == 0
        (folder / "job").write_text(json.dumps(JOB))
        stand_in = tmp_path / name
        stand_in.write_text(program)
        stand_in.chmod(0o755)
        env = rig.environment(containers=True)
        env["PATH"] = f"{tmp_path}:{env['PATH']}"
        done = sh("sh", "develop/verb.sh", "backfill", cwd=folder, env=env | days)
        assert (done.returncode, done.stdout) == (0, "done by it\n"), done.stderr
        called = (folder / "called").read_text()
        if target == "docker":
            assert called.split()[-8:] == ["backfill", "--stage", "production", *words]
            assert "IMAGE=sha256:1" in called
        else:
            job = json.loads(called)
            assert job["spec"]["activeDeadlineSeconds"] == 31 * 60
            args = job["spec"]["template"]["spec"]["containers"][0]["args"]
            assert args == ["backfill", "--stage", "production", *words]
        if target == "docker":
            done = sh("sh", "develop/verb.sh", "sweep", "--stage", "production", cwd=folder, env=env | of_production)
            assert (done.returncode, done.stdout) == (0, "done by it\n"), done.stderr
            assert (folder / "called").read_text().split()[-4:] == ["sha256:1", "sweep", "--stage", "production"]
        (folder / "at-work").write_text("1\n")
        sweeping = sh("sh", "develop/verb.sh", "sweep", "--stage", "production", cwd=folder, env=env | of_production)
        assert sweeping.stderr.startswith("production: a sweep is at work ")
        busy = sh("sh", "develop/verb.sh", "backfill", cwd=folder, env=env | days)
        assert busy.returncode == 1
        assert busy.stderr.startswith("production: a backfill is at work ")
        assert busy.stderr.count("\n") == 1
