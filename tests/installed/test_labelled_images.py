"""The example images: killed in the middle of training, judged on data that nobody here wrote, fed with files."""

import json
import os
import re
import signal
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import rig
from listener import until
from rig import Project, change, sh

# The images of scikit-learn's digits as its documentation's "Recognizing hand-written digits" parts them, whose support
# vector machine has an accuracy of 0.97.
REAL = """
import json
import numpy as np
import torch
from sklearn import svm
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from digit_reader import evaluate, learning, model

digits = load_digits()
parts = train_test_split(digits.images, digits.target, test_size=0.5, shuffle=False)
machine = svm.SVC(gamma=0.001).fit(parts[0].reshape(len(parts[0]), -1), parts[2])
documented = machine.score(parts[1].reshape(len(parts[1]), -1), parts[3])
earlier, later = ((part[:, None] * 255 / 16).astype(np.uint8) for part in parts[:2])
settings = model.ModelSettings()
stops = np.arange(len(earlier)) % 7 == 0
spec = model.Spec.of([str(digit) for digit in range(10)], earlier, settings)
examples, validation = (learning.Examples(earlier[chosen], parts[2][chosen]) for chosen in (~stops, stops))
learnt, _ = learning.learn(examples, validation, spec, settings, torch.device("cpu"))
predicted = evaluate.baselines(earlier, parts[2], later, 10) | {"model": learnt.predict(later)}
found = {name: evaluate.score(parts[3], each)["accuracy"] for name, each in predicted.items()}
print(json.dumps(found | {"documented": documented}))
"""

# Labelled files, as somebody has them who begins to label: a table of paths beside a folder, with mistakes among them.
FILES = """
import csv
from datetime import date
from pathlib import Path
from digit_reader.images import decoded
from digit_reader.sample import SampleSettings, make_up

rows = make_up(SampleSettings(images_a_day=20, days=30), date(2026, 5, 1)).rows(named=True)
rows = [row for row in rows if len(row["content"]) > 150]  # not those that are spoilt
Path("data/scans").mkdir(parents=True)
for row in rows:
    (Path("data/scans") / f"{row['image']}.png").write_bytes(decoded(row["content"]))
with open("data/labels.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["path", "digit"])
    table.writerows([f"{row['image']}.png", row["label"] or ""] for row in rows)
    table.writerows([["lost.png", "7"], ["broken.png", "7"], [f"{rows[0]['image']}.png", "1"]])
(Path("data/scans") / "broken.png").write_bytes(b"no picture")
"""
BY_FILE = {
    'content = "content"': 'content = ""',
    'file = "" #': 'file = "path" #',
    'image = "image"': 'image = "path"',
    'label = "label"': 'label = "digit"',
    'added_at = "added_at"': 'added_at = ""',
    'labelled_at = "labelled_at"': 'labelled_at = ""',
    'time_column = "added_at"': 'time_column = ""',
    'folder = ""': 'folder = "data/scans"',
}

WEIGHTS = """
import hashlib, sys
from pathlib import Path
from digit_reader.model import Model
found = Model.load(Path(sys.argv[1]) / "model")
print(hashlib.sha256(b"".join(value.numpy().tobytes() for value in found.weights.values())).hexdigest())
"""


@pytest.fixture(scope="module")
def reader(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The example images, set up; tests leave its files as they are."""
    made = generate(tmp_path_factory.mktemp("reader") / "reader", example="images", database="postgresql")
    made.make("setup")
    return made


@pytest.fixture
def mine(reader: Project, tmp_path: Path) -> Project:
    """The same with a small sample, and a database and runs of the test's own."""
    return reader.with_env(
        IMAGES__SOURCE="sample",
        IMAGES__SAMPLE__IMAGES_A_DAY="10",
        DATABASE__URL=f"sqlite:///{tmp_path}/results.db",
        RUNS__FOLDER=str(tmp_path / "runs"),
    )


def weights(project: Project, run: Path) -> str:
    """A hash of the model of a run."""
    done = project.run(".venv/bin/python", "-c", WEIGHTS, run)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_on_real_data_the_model_is_better_than_what_the_documentation_shows(reader: Project) -> None:
    done = reader.python(REAL)
    assert done.returncode == 0, done.stderr
    accuracy = json.loads(done.stdout)
    assert round(accuracy["documented"], 2) == 0.97
    assert accuracy["model"] >= accuracy["documented"] - 0.01  # of 899, nine
    assert accuracy["model"] > accuracy["logistic regression"] > accuracy["majority"]


@pytest.mark.parametrize("again", ["the same run", "a new run"])
def test_training_that_was_killed_in_an_epoch_goes_on_to_the_same_result(
    again: str, mine: Project, tmp_path: Path
) -> None:
    mine = mine.with_env(MODEL__CHECKPOINT_BATCHES="3", MODEL__BATCH="32", MODEL__EPOCHS="20", COMMIT="1" * 40)
    day = ("--date", "2026-05-01")
    done = mine.call("run", *day, "--run-id", "straight")
    assert done.returncode == 0, done.stderr
    state = tmp_path / "runs/killed/training/state.pt"
    with mine.start("run", *day, "--run-id", "killed") as killed:
        until(lambda: state.exists() and state.stat().st_mtime_ns > first(state) and killed.poll() is None)
        os.kill(killed.pid, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    epochs = stopped(mine, state)
    if again == "the same run":
        done = mine.call("step", "train", "--run-id", "killed", *day)
        name = "killed"
    else:
        done = mine.call("run", *day, "--run-id", "next")
        name = "next"
    assert done.returncode == 0, done.stderr
    assert f"goes_on='from the checkpoint of {'this run' if name == 'killed' else 'run killed'}'" in done.stderr
    assert epochs < 20
    assert weights(mine, tmp_path / "runs" / name) == weights(mine, tmp_path / "runs/straight")
    assert not (tmp_path / "runs" / name / "training").exists()
    told = [json.loads((tmp_path / f"runs/{each}/run.json").read_text()) for each in (name, "straight")]
    curves = [next(chart for title, chart in each["charts"].items() if "curve" in title) for each in told]
    assert curves[0] == curves[1]


_FIRST: dict[Path, int] = {}


def first(state: Path) -> int:
    """When a checkpoint was first seen."""
    return _FIRST.setdefault(state, state.stat().st_mtime_ns)


def stopped(project: Project, state: Path) -> int:
    """How many epochs were done where training stopped, in the middle of the next."""
    script = (
        "import sys, torch; found = torch.load(sys.argv[1]); print(found['batch'], len(found['history']['training']))"
    )
    done = project.run(".venv/bin/python", "-c", script, state)
    assert done.returncode == 0, done.stderr
    _, epochs = map(int, done.stdout.split())
    return epochs


def test_a_table_of_files_is_read_by_settings_alone(reader: Project, tmp_path: Path) -> None:
    project = replace(reader, folder=tmp_path / "p")
    for name in ("develop", "explore", "production"):
        (project.folder / name).mkdir(parents=True)
        for file in ("settings.toml", "platform.toml"):
            (project.folder / name / file).write_bytes((reader.folder / name / file).read_bytes())
    (project.folder / ".venv").symlink_to(reader.folder / ".venv")
    (project.folder / "pyproject.toml").write_bytes((reader.folder / "pyproject.toml").read_bytes())
    change(project.folder / "develop/settings.toml", BY_FILE)
    project = project.with_env(
        IMAGES__SOURCE="data/labels.csv",
        DATABASE__URL=f"sqlite:///{tmp_path}/results.db",
        RUNS__FOLDER=str(tmp_path / "runs"),
        GATE__MIN_RECALL="0",
    )
    done = project.python(FILES)
    assert done.returncode == 0, done.stderr
    done = project.call("run", "--run-id", "files")
    assert done.returncode == 0, done.stderr
    set_aside = (tmp_path / "runs/files/rejected.csv").read_text().splitlines()
    rows = (project.folder / "data/labels.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in set_aside[1:]] == [str(len(rows) - each) for each in (3, 2, 1)]
    for line, told in zip(
        set_aside[1:],
        ("lost.png,lost.png,,7,file is no file in images.folder", "broken.png", "image is there twice"),
        strict=True,
    ):
        assert told.split(",")[0] in line
    assert "file is no file in images.folder" in set_aside[1]
    assert "file is no picture that can be read" in set_aside[2]
    strict = project.with_env(IMAGES__MAX_REJECTED_SHARE="0.001", IMAGES__LABELS='["0", "1"]')
    done = strict.call("run")
    assert done.returncode == 1
    assert re.search(
        r"^error: data/labels\.csv: \d+ of \d+ rows rejected .* label is none of images\.labels", done.stderr, re.M
    )
    wrong = project.with_env(IMAGES__FOLDER="")
    done = wrong.call("run")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "columns.file names a column of paths: folder says where these files lie" in done.stderr


@pytest.mark.postgresql
def test_the_seeded_database_holds_something_to_learn(reader: Project, postgresql: str, tmp_path: Path) -> None:
    url = rig.new_database(postgresql, reader)
    programs = rig.postgresql_programs()
    assert programs
    done = sh(programs / "psql", url, "--quiet", "--set=ON_ERROR_STOP=1", "--file=develop/seed.sql", cwd=reader.folder)
    assert done.returncode == 0, done.stderr
    mine = reader.with_env(DATABASE__URL=url, IMAGES__DATABASE_URL=url, RUNS__FOLDER=str(tmp_path / "runs"))
    done = mine.call("run", "--run-id", "seeded")
    assert done.returncode == 0, done.stdout + done.stderr
    metric = json.loads((tmp_path / "runs/seeded/run.json").read_text())["metrics"]["accuracy"]
    assert metric["value"] > max(metric["baselines"].values())


TAKEN = """
import json
from datetime import date
from digit_reader import pipeline
from digit_reader.ops import execute
from digit_reader.ops.settings import Stage, load

settings, found = load(pipeline.Settings, Stage.develop), []
for number in range(14):
    record = execute.run_all(settings, date(2026, 3, 1 + number), f"day-{number}").record
    found.append([record.model_run, record.metrics, [each["findings"] for each in record.profile.values()]])
print("\\n" + json.dumps(found))
"""


def test_two_weeks_are_as_usual_and_take_the_model_of_their_first_day(mine: Project) -> None:
    mine = mine.with_env(COMMIT="1" * 40, SCHEDULE__TRAIN_EVERY="7d", IMAGES__SAMPLE__DAYS="40", MODEL__EPOCHS="8")
    done = mine.with_env(GATE__MIN_RECALL="0").python(TAKEN)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert [model for model, *_ in found] == ["day-0"] * 7 + ["day-7"] * 7
    assert found[1][1] == found[0][1] != found[7][1]
    assert [unusual for *_, tables in found for unusual in tables if unusual] == []


def test_one_lock_has_the_build_for_processors_and_the_one_for_gpus(reader: Project, mine: Project) -> None:
    lock = tomllib.loads((reader.folder / "uv.lock").read_text())
    builds = {each["version"].partition("+")[2]: each for each in lock["package"] if each["name"] == "torch"}
    assert builds.keys() == {"cpu", "cu130"}
    assert not any("nvidia" in each["name"] for each in builds["cpu"]["dependencies"])
    assert any("nvidia" in each["name"] for each in builds["cu130"]["dependencies"])
    listed = reader.run(".venv/bin/python", "-c", "import torch; print(torch.__version__)")
    assert listed.stdout.strip().endswith("+cpu")
    assert not list(reader.folder.glob(".venv/lib/*/site-packages/nvidia*"))
    for setting, why in (
        ({"MODEL__DEVICE": "cuda"}, 'model.device is "cuda"'),
        ({"RESOURCES__GPU": "1"}, "[resources] gives training 1 GPU"),
    ):
        refused = mine.with_env(**setting).call("run")
        assert refused.returncode == 1
        assert (
            f"error: {why}, and PyTorch 2.13.0+cpu is the build for processors: write ARG TORCH=cuda in Dockerfile"
            in (refused.stderr)
        )
    other = replace(reader, env=reader.env | {"TORCH": "gpu"}).run("sh", "develop/environment.sh", "runtime")
    assert other.returncode == 1
    assert other.stderr == "setup: TORCH is gpu: cpu or cuda is expected, here or by ARG TORCH in Dockerfile\n"
