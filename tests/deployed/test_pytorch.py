"""The example images on a real engine: developed in its image, judged by the gates, deployed, asked, rolled back."""

import json
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import rig
from containers import pytorch_base
from containers.docker import docker, image_names
from listener import until
from ports import free_port
from production import Production, leave_out_what_takes_long
from rig import Project
from served import Client

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("containers")]

TOKEN = "a-token-that-nobody-guesses"
BUILD = "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())"
SAVED = '    model.save(run.path("model"))'
# A network that has learnt nothing.
LAZY = "    model = modelling.Model(spec, {name: 0 * each for name, each in model.weights.items()})\n"


@pytest.fixture
def production(generate: Callable[..., Project], tmp_path: Path) -> Iterator[tuple[Production, Client]]:
    """A project that labels images and serves, committed and not yet deployed; nothing of it is left behind."""
    project = replace(generate(tmp_path / "reader", example="images", serving="http"), containers=True)
    (tmp_path / "docker").mkdir()
    project = pytorch_base.begin_with(project, tmp_path / "docker")
    client = Client(free_port(), TOKEN)
    pieces = {"images_a_day = 30": "images_a_day = 20", "port = 8000": f"port = {client.port}"}
    rig.configure(project, "production", pieces)
    leave_out_what_takes_long(project)
    project.make("setup")
    project.git("checkout", "--quiet", "-b", f"test-{secrets.token_hex(3)}")
    made = Production(project)
    (project.folder / "production/secrets").mkdir(exist_ok=True)
    (project.folder / "production/secrets/DIGIT_READER_SERVING__TOKEN").write_text(f"{TOKEN}\n")
    yield made, client
    made.project.make("clean", "STAGE=production", f"SURE={made.name}")
    assert made.containers() == []
    for image in image_names(f"*:*{made.branch}*"):
        docker("image", "rm", image)


def test_from_a_copy_to_labels_by_http_and_back(production: tuple[Production, Client]) -> None:
    made, client = production
    developed = made.project.run("make", "develop")
    assert developed.returncode == 0, developed.stdout + developed.stderr
    assert "no container engine answers" not in developed.stdout + developed.stderr
    assert " rows of image_labels for " in developed.stdout

    first = made.commit()
    made.deploy()
    until(made.done_by(first))
    version, cuda, there = made.inside(f"python -c '{BUILD}'").split()
    assert version.endswith("+cpu") and (cuda, there) == ("None", "False")
    client.until("/ready")
    row = client.rows(limit=1)[0]
    model = made.inside("cat $(ls -d /app/var/production/runs/*/model/model.json | tail -n 1)")
    assert row["label"] in json.loads(model)["labels"]
    answer = client.ask("/predict", "POST", {"content": b64encode(b"P2 8 8 255 " + b"200 " * 64).decode()})
    assert answer.status == 200
    assert set(answer.json) == {"label", "probability", "probabilities"}
    assert client.ask("/predict", "POST", {"content": "bm90IGEgcGljdHVyZQ=="}).status == 422

    rig.change(made.project.folder / "src/digit_reader/pipeline.py", {SAVED: LAZY + SAVED})
    (made.project.folder / "tests/test_service.py").unlink()  # which would refuse it before the gates do
    made.commit_all()
    assert "better than a baseline" in made.refused()
    assert made.history() == [("deploy", first)]
    rig.change(made.project.folder / "src/digit_reader/pipeline.py", {LAZY: ""})
    second = made.commit_all()
    made.deploy()
    until(made.done_by(second))
    made.project.make("rollback")
    assert made.history()[-1] == ("rollback", first)
