"""What does the verbs that need containers: on a machine that has Python and a shell, and nothing else, as in CI."""

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
    assert said.startswith("production: no verb deploi: there are backfill, clean, deploy, ")
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
