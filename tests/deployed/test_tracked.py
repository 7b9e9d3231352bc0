"""Runs in MLflow, from production's image: on the server beside develop, and in the file where there is none.

Beside it Feast, whose environment is in the image, too.
"""

import json
import re
import secrets
import shutil
import sqlite3
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from containers import images
from containers.docker import belongings, docker, image_names, inspected
from listener import until
from mlflow_server import known
from production import Production, leave_out_what_takes_long
from rig import Project

pytestmark = pytest.mark.docker
NAME = "burger-combos-develop-main"
COPY = """
from pathlib import Path
from burger_combos.ops.deploy.chosen_target import Chosen

print(Chosen("develop").fetch_tracking(Path("{file}")))
"""


@pytest.fixture(scope="module")
def tracked(
    containers: None, generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """A project whose runs MLflow keeps and whose rows Feast gets, set up; nobody looks into the stage explore."""
    folder = tmp_path_factory.mktemp("tracked") / "a folder, mine"
    made = replace(generate(folder, tracking="mlflow", features="feast"), containers=True)
    shutil.rmtree(folder / "explore")
    images.provide(made.folder)
    leave_out_what_takes_long(made, "develop")
    made.make("setup")
    yield made
    made.make("clean", "YES=1")
    assert belongings(made) == []


def record(project: Project) -> tuple[Path, dict[str, Any]]:
    """The folder of the newest run, and its record."""
    file = max(project.folder.glob("var/develop/main/runs/*/run.json"))
    return file.parent, json.loads(file.read_text())


def online(project: Project, branch: str) -> dict[str, int]:
    """The runs whose rows are in Feast's online store on this machine, and how many rows each has there."""
    file = project.folder / f"var/develop/{branch}/feast/online.db"
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
        values = database.execute(
            "SELECT value FROM burger_combos_develop_recommendations WHERE feature_name = 'run_id'"
        )
        return dict(Counter(re.sub(r"[^\w-]", "", value.decode()) for (value,) in values))


def test_a_run_in_the_image_is_kept_by_the_server_beside_it(tracked: Project) -> None:
    done = tracked.run("make", "develop")
    assert done.returncode == 0, done.stderr
    said = re.search("MLflow runs on as container (.+), until make clean", done.stderr)
    assert said
    ports = inspected(said[1])["NetworkSettings"]["Ports"]["5000/tcp"]
    assert [each["HostIp"] for each in ports] == ["127.0.0.1"]
    address = tracked.make("tracking").strip()
    assert address == f"http://127.0.0.1:{ports[0]['HostPort']}"
    assert "MLflow" in urllib.request.urlopen(address, timeout=60).read().decode()

    folder, mine = record(tracked)
    found = known(tracked, address, NAME, files=True)
    (run,) = found["runs"][mine["run_id"]]
    assert (run["tags"]["image"], run["tags"]["git_commit"]) == (mine["image"], tracked.git("rev-parse", "HEAD"))
    assert run["metrics"] == run["metrics"] | mine["numbers"]
    assert run["files"] == ["log.jsonl", "report.html", "run.json"]
    report = f"{address}/get-artifact?path=report.html&run_uuid={run['id']}"
    assert urllib.request.urlopen(report, timeout=60).read() == (folder / "report.html").read_bytes()
    assert (found["champion"], len(found["model"])) == ("1", 64)
    assert online(tracked, "main") == {mine["run_id"]: mine["tables"]["recommendations"]["rows"]}


def test_without_a_server_the_image_keeps_it_read_only_and_without_a_home(tracked: Project) -> None:
    url = "sqlite:///var/develop/main/mlflow.db"
    mine = replace(tracked.with_env(TRACKING__MLFLOW__URL=url))
    done = mine.run("make", "develop")
    assert done.returncode == 0, done.stderr
    assert "MLflow runs on as container" not in done.stderr
    assert re.search(r"mlflow +run=\w+ version=\d+ seconds=[\d.]+", done.stderr), done.stderr
    assert "warning" not in done.stderr
    run_id = record(tracked)[1]["run_id"]
    assert online(tracked, "main").keys() == {run_id}
    (run,) = known(tracked, url, NAME)["runs"][run_id]
    assert run["metrics"] == run["metrics"] | record(tracked)[1]["numbers"]
    kept = tracked.folder / "var/develop/main/mlflow" / run["id"] / "artifacts"
    assert {file.name for file in kept.iterdir()} == {"log.jsonl", "report.html", "run.json"}


@pytest.fixture
def stage(tracked: Project) -> Iterator[Production]:
    """The stage develop of a branch of the test's own, not yet deployed; nothing of it is left behind."""
    tracked.git("switch", "--quiet", "--create", f"test-{secrets.token_hex(3)}")
    made = Production(tracked, stage="develop")
    yield made
    tracked.make("clean", "STAGE=develop", f"SURE={made.name}")
    for image in image_names(f"*:*{made.branch}*"):
        docker("image", "rm", image)
    tracked.git("switch", "--quiet", "main")


def test_the_champion_goes_with_the_version_that_is_deployed(stage: Production) -> None:
    project = stage.project

    def champion() -> str:
        """The commit of the champion, as the file has it that is deployed with the version."""
        copy = project.python(COPY.format(file=f"var/develop/{stage.branch}/mlflow.db")).stdout.strip()
        found = known(project, f"sqlite:///{copy}", stage.name)
        return str(found["versions"].get(found["champion"], {}).get("git_commit"))

    def settled(commit: str) -> None:
        """The file is copied when nobody writes to it any more."""
        until(stage.done_by(commit))
        until(lambda: re.search(r"mlflow +run=\w+ version=", project.make("logs", "STAGE=develop")))
        assert re.search(r"feast +table=recommendations rows=[1-9]", project.make("logs", "STAGE=develop"))
        assert champion() == commit

    first = project.git("rev-parse", "HEAD")
    stage.deploy("STAGE=develop")
    settled(first)
    second = stage.commit()
    stage.deploy("STAGE=develop")
    settled(second)
    assert "champion='version 1 of " in project.run("make", "rollback", "STAGE=develop").stderr
    settled(first)
