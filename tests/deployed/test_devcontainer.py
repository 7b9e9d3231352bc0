"""The devcontainer through its reference CLI: opened straight after `copier copy`, by anybody, and worked in."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from containers.devcontainer import install
from containers.docker import docker, inspected
from containers.users import UID, someone
from rig import ROOT, Project, environment, missing, sh

SCHEMA = ROOT.parent / "shared/data/devContainer.base.schema.json"


@dataclass
class Devcontainer:
    """A generated project, and whoever opens it."""

    cli: Path
    folder: Path
    become: list[str]

    def call(self, verb: str, *arguments: str) -> str:
        """What the CLI prints for a verb that has to succeed."""
        command = [*self.become, str(self.cli), verb, "--workspace-folder", str(self.folder), *arguments]
        env = environment(containers=True)
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self, *arguments: str) -> dict[str, Any]:
        """Open it; what the CLI says about the container."""
        answer: dict[str, Any] = json.loads(self.call("up", *arguments).splitlines()[-1])
        assert answer["outcome"] == "success"
        return answer


@pytest.fixture
def opened(containers: None, generate: Callable[..., Project]) -> Iterator[Callable[[str, bool], Devcontainer]]:
    """Generate a project for somebody, root or another user, and remove in the end what opening it made."""
    try:
        cli = install()
    except RuntimeError as error:
        missing("DOCKER", str(error))
    with tempfile.TemporaryDirectory(prefix="devcontainer") as place:
        Path(place).chmod(0o755)  # unlike pytest's own folders, open to other users
        folder = Path(place) / f"{Path(place).name} shop"

        def make(database: str, root: bool) -> Devcontainer:
            generate(folder, database=database)
            if root or os.geteuid() != 0:
                return Devcontainer(cli, folder, [])
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, UID, UID)
            return Devcontainer(cli, folder, someone(Path(place) / "home"))

        yield make
        label = f"label=devcontainer.local_folder={folder}"
        for container in docker("ps", "--all", "--quiet", "--filter", label).split():
            labels, image = inspected(container)["Config"]["Labels"], inspected(container)["Image"]
            if project := labels.get("com.docker.compose.project"):
                docker("compose", "--project-name", project, "down", "--volumes", "--timeout=1")
            else:
                docker("rm", "--force", container)
            docker("image", "rm", "--force", image)


@pytest.mark.parametrize(
    ("database", "root"),
    [("sqlite", True), ("postgresql", False)],
    ids=["sqlite, by root", "postgresql, by another user"],
)
@pytest.mark.docker
def test_it_opens_straight_after_copying_and_works(
    database: str, root: bool, opened: Callable[[str, bool], Devcontainer]
) -> None:
    mine = opened(database, root)
    assert not (mine.folder / "uv.lock").exists()
    first = mine.up()
    assert (mine.folder / "uv.lock").exists()
    owner = mine.folder.stat().st_uid
    assert mine.call("exec", "id", "--user").strip() == str(owner)
    assert " passed" in mine.call("exec", "make", "check" if root else "test")
    customers = "2,001" if database == "postgresql" else "2,000"  # those of seed.sql or made up, and anybody
    assert f"{customers} rows of recommendations for" in mine.call("exec", "make", "develop")
    assert ", ok, " in mine.call("exec", "make", "status")
    written = [path for path in mine.folder.rglob("*") if path.lstat().st_uid != owner]
    assert written == []

    assert mine.up()["containerId"] == first["containerId"]
    lock = (mine.folder / "uv.lock").read_bytes()
    assert mine.up("--remove-existing-container")["containerId"] != first["containerId"]
    assert (mine.folder / "uv.lock").read_bytes() == lock
    assert f"{customers} rows of recommendations for" in mine.call("exec", "make", "results")
    if not root:
        finds_interpreter_tests_formatter_and_checks_a_commit(mine)


def finds_interpreter_tests_formatter_and_checks_a_commit(mine: Devcontainer) -> None:
    """What the editor is told is there, and so are the hooks."""
    settings = json.loads((mine.folder / ".devcontainer/devcontainer.json").read_text())["customizations"]["vscode"]
    python = settings["settings"]["python.defaultInterpreterPath"]
    tests = json.loads((mine.folder / ".vscode/settings.json").read_text())["python.testing.pytestArgs"]
    assert "test_model.py" in mine.call("exec", python, "-m", "pytest", "--collect-only", *tests)
    for extension, module in {"charliermarsh.ruff": "ruff", "ms-python.mypy-type-checker": "mypy"}.items():
        assert extension in settings["extensions"]
        mine.call("exec", python, "-m", module, "--version")
    commit = "git -c user.name=A -c user.email=a@example.org commit --message=bad 2>&1 || echo refused"
    told = mine.call("exec", "sh", "-c", f"echo 'import  os' >src/burger_combos/bad.py && git add --all && {commit}")
    assert told.endswith("refused\n")
    assert "D100" in told


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_its_files_are_as_their_schemas_say(database: str, generate: Callable[..., Project], tmp_path: Path) -> None:
    made = generate(tmp_path / "burger", database=database, tracking="mlflow", project_name='"Größte" \\ Küche')
    compose = [str(path.relative_to(made.folder)) for path in made.folder.glob("develop/*.yaml")]
    files = {"compose": ["--builtin-schema", "vendor.compose-spec", *compose]}
    assert len(compose) == (1 if database == "sqlite" else 2)
    if SCHEMA.exists():
        files["devcontainer.json"] = ["--schemafile", str(SCHEMA), ".devcontainer/devcontainer.json"]
    for arguments in files.values():
        done = sh(ROOT / ".venv/bin/check-jsonschema", *arguments, cwd=made.folder)
        assert done.returncode == 0, done.stdout
    spoilt = made.folder / ".devcontainer/devcontainer.json"
    spoilt.write_text(spoilt.read_text().replace('"remoteUser"', '"remoteUsr"'))
    if SCHEMA.exists():
        assert sh(ROOT / ".venv/bin/check-jsonschema", *files["devcontainer.json"], cwd=made.folder).returncode != 0
