"""Secrets that commands print, which a stage's secrets.toml names: taken at a deployment, and shown nowhere."""

import json
import shutil
import sys
import time
from pathlib import Path

import pytest
import rig
from rig import sh

SECRET = "hunter2-of-the-vault"
COLLECT = """
import json, sys
sys.path.insert(0, "src")
from {package}.ops.deploy import candidate_image, secret_commands
from {package}.ops.problems import Problem
secret_commands.SECONDS = 1
try:
    print(json.dumps({{name: value.decode() for name, value in candidate_image.collect_secrets("production").items()}}))
except Problem as problem:
    sys.exit(f"production: {{problem}}")
"""
# As a password manager has it: `op read op://VAULT/ITEM/FIELD`.
OP = f"""#!/bin/sh
echo "$@" >>"$0.log"
echo "{SECRET} is secret" >&2
case $2 in
op://shop/db/url) echo "postgresql://shop:{SECRET}@db/shop" ;;
op://shop/db/key) printf -- '-----BEGIN KEY-----\\n{SECRET}\\n\\n' ;;
op://shop/db/windows) printf '{SECRET}\\r\\n' ;;
op://shop/db/empty) echo ;;
op://shop/db/bytes) printf '\\377\\376' ;;
op://shop/db/slow) sleep 20 & wait ;;
*) echo "{SECRET}" && exit 3 ;;
esac
"""


class Place:
    """What is checked out, with a password manager."""

    def __init__(self, folder: Path, package: str) -> None:
        self.folder, self.package = folder, package
        self.log = folder / "bin/op.log"

    def collected(self, toml: str, **env: str) -> tuple[dict[str, str], str]:
        """The secrets, by variable, and what is said; PREFIX_ stands for the package's prefix."""
        prefix = f"{self.package.upper()}_"
        (self.folder / "production/secrets.toml").write_text(toml.replace("PREFIX_", prefix))
        given = {name.replace("PREFIX_", prefix): value for name, value in env.items()}
        path = f"{self.folder}/bin:{rig.environment()['PATH']}"
        program = COLLECT.format(package=self.package)
        done = sh(sys.executable, "-S", "-c", program, cwd=self.folder, env=rig.environment() | {"PATH": path} | given)
        assert SECRET not in done.stderr
        found = json.loads(done.stdout) if done.returncode == 0 else {}
        return {name.replace(prefix, "PREFIX_"): value for name, value in found.items()}, done.stderr

    def refused(self, toml: str, **env: str) -> str:
        """The one line that refuses it."""
        found, said = self.collected(toml, **env)
        assert (found, said.count("\n")) == ({}, 1), said
        return said


@pytest.fixture
def place(folders: dict[str, Path], tmp_path: Path) -> Place:
    """A copy of a project whose password manager is on the path."""
    folder = shutil.copytree(folders["docker"], tmp_path / "shop")
    (folder / "bin").mkdir()
    (folder / "bin/op").write_text(OP)
    (folder / "bin/op").chmod(0o755)
    return Place(folder, next(path.name for path in (folder / "src").iterdir()))


def test_what_a_command_prints_is_the_secret(place: Place) -> None:
    found, said = place.collected("""
PREFIX_DATABASE__URL = "op read op://shop/db/url"
PREFIX_ALERT__WEBHOOK = ["op", "read", "op://shop/db/key"]
AWS_SECRET_ACCESS_KEY = "op read 'op://shop/db/windows'"
""")
    assert said == ""
    assert found == {
        "PREFIX_DATABASE__URL": f"postgresql://shop:{SECRET}@db/shop",
        "PREFIX_ALERT__WEBHOOK": f"-----BEGIN KEY-----\n{SECRET}\n",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    place.log.unlink()
    found, _ = place.collected('PREFIX_ALERT__WEBHOOK = "op read op://shop/db/url; echo $HOME"')
    assert found == {}  # no shell reads the words
    assert place.log.read_text() == "read op://shop/db/url; echo $HOME\n"


def test_what_is_nearer_counts_and_then_no_command_runs(place: Place) -> None:
    (place.folder / "production/secrets").mkdir()
    file = place.folder / "production/secrets" / f"{place.package.upper()}_ALERT__WEBHOOK"
    file.write_text("of the file")
    toml = """
PREFIX_DATABASE__URL = "op read op://shop/db/none"
PREFIX_ALERT__WEBHOOK = "op read op://shop/db/none"
PREFIX_ALERT__HEARTBEAT = "op read op://shop/db/none"
TOKEN = "op read op://shop/db/windows"
"""
    found, said = place.collected(
        toml, PREFIX_DATABASE__URL="of the environment", SETTINGS="ALERT__HEARTBEAT=of CI\nALERT__WEBHOOK=of CI"
    )
    assert found == {
        "PREFIX_DATABASE__URL": "of the environment\n",
        "PREFIX_ALERT__WEBHOOK": "of CI\n",
        "PREFIX_ALERT__HEARTBEAT": "of CI\n",
        "TOKEN": SECRET,
    }
    assert said.count(" so its command in production/secrets.toml does not run\n") == 3
    assert "_DATABASE__URL comes from the environment, so" in said
    assert place.log.read_text().count("\n") == 1
    (_, said) = place.collected('PREFIX_ALERT__WEBHOOK = "op read op://shop/db/none"')
    assert "_ALERT__WEBHOOK comes from a file of production/secrets/, so its command" in said


def test_what_is_no_secret_is_refused_in_a_line_that_shows_nothing(place: Place) -> None:
    for toml, message in {
        'TOKEN = "op read op://shop/db/none"': "secrets.toml: TOKEN: op ended with exit code 3; what it printed is not",
        'TOKEN = "op read op://shop/db/empty"': "TOKEN: op printed nothing",
        'TOKEN = "op read op://shop/db/bytes"': "TOKEN: op printed no UTF-8 text",
        'TOKEN = "opp read op://shop/db/url"': "TOKEN: opp cannot be run: No such file or directory",
        f'TOKEN = "{SECRET}"': "TOKEN: its command cannot be run: No such file or directory",
        'TOKEN = "op read \'op://shop"': "TOKEN: a quote is not closed",
        'TOKEN = ""': "TOKEN: the command is empty",
        "TOKEN = 5": 'TOKEN: a command is expected, as "op read',
        "[TOKEN]\na = 1": 'TOKEN: a command is expected, as "op read',
        'token = "op"': "token: no name of a variable, as BURGER_",
        'PREFIX_DATABASE_URL = "op"': "_DATABASE_URL: no setting's name: section and key are divided by __",
        "TOKEN = op": "production/secrets.toml: not valid TOML: ",
    }.items():
        assert message in place.refused(toml), toml
    begun = time.monotonic()
    assert "TOKEN: op did not end within 1 seconds" in place.refused('TOKEN = "op read op://shop/db/slow"')
    assert time.monotonic() - begun < 15
