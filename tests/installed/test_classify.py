"""The example classify: judged on data that nobody here wrote, on a seeded database, and with a leak planted in it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import rig
from rig import Project, change, sh

# The split, the forest and the measure of scikit-learn's "Permutation Importance with Multicollinear or Correlated
# Features", which says of its test data: "The model can easily get about 97% accuracy".
REAL = """
import json
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from customer_churn import evaluate, model

features, benign = load_breast_cancer(return_X_y=True)
earlier, later, known, asked = train_test_split(features, benign, random_state=42)
forest = RandomForestClassifier(n_estimators=100, random_state=42).fit(earlier, known)
predicted = evaluate.backtest(earlier, known.astype(bool), later, [], model.ModelSettings())
found = {name: evaluate.score(asked.astype(bool), each) for name, each in predicted.items()}
accuracies = {name: float(((each > 0.5) == asked).mean()) for name, each in predicted.items()}
print(json.dumps([found, accuracies | {"documented": forest.score(later, asked)}]))
"""


@pytest.fixture(scope="module")
def churn(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The example classify, set up; tests leave its files as they are."""
    made = generate(tmp_path_factory.mktemp("churn") / "churn", example="classify", database="postgresql")
    made.make("setup")
    return made


def test_on_real_data_the_model_is_as_good_as_the_documentation_says_of_a_like_one(churn: Project) -> None:
    done = churn.python(REAL)
    assert done.returncode == 0, done.stderr
    found, accuracy = json.loads(done.stdout)
    assert round(accuracy["documented"], 2) == 0.97
    assert accuracy["model"] >= accuracy["documented"] - 0.01  # of 143, one or two
    assert found["model"]["average_precision"] > 0.99
    assert found["model"]["roc_auc"] > 0.99
    assert found["model"]["log_loss"] < found["prior"]["log_loss"] / 4
    assert found["prior"]["average_precision"] == pytest.approx(0.622, abs=0.001)  # the share of its second class


def test_a_feature_that_sees_beyond_the_cut_is_caught(churn: Project, tmp_path: Path) -> None:
    mine = replace(churn, folder=shutil.copytree(churn.folder, tmp_path / "leaking", symlinks=True))
    test = ("env", f"PYTHONPATH={mine.folder}/src", ".venv/bin/python", "-m", "pytest", "tests/test_examples.py")
    assert mine.run(*test).returncode == 0
    known = 'known = records.filter(pl.col("recorded_at") < moment)'
    beyond = known.replace("< moment", "< moment + timedelta(days=1)")
    change(mine.folder / "src/customer_churn/examples.py", {known: beyond})
    done = mine.run(*test)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED tests/test_examples.py::test_no_feature_sees_what_comes_after_the_cut" in done.stdout


@pytest.mark.postgresql
def test_the_seeded_database_holds_something_to_learn(churn: Project, postgresql: str) -> None:
    url = rig.new_database(postgresql, churn)
    programs = rig.postgresql_programs()
    assert programs
    done = sh(programs / "psql", url, "--quiet", "--set=ON_ERROR_STOP=1", "--file=develop/seed.sql", cwd=churn.folder)
    assert done.returncode == 0, done.stderr
    mine = churn.with_env(DATABASE__URL=url, SUBSCRIPTIONS__DATABASE_URL=url)
    done = mine.call("run", "--stage", "develop")
    assert done.returncode == 0, done.stdout + done.stderr
    _, (record,) = mine.written()
    metric = json.loads(record["record"])["metrics"]["average_precision"]
    assert metric["value"] > max(metric["baselines"].values())


TAKEN = """
import json
from datetime import date
from customer_churn import pipeline
from customer_churn.ops import execute
from customer_churn.ops.settings import Stage, load
from customer_churn.ops.store import Store

settings, found = load(pipeline.Settings, Stage.develop), []
for name, day in (("trained", 1), ("taken", 1), ("next", 2)):
    record = execute.run_all(settings, date(2025, 11, day), name).record
    with Store(settings.database.url) as store:
        rows = store.query(f"SELECT * FROM churn_scores WHERE run_id = '{name}' ORDER BY rank")
    found.append([record.model_run, record.metrics, record.numbers, rows.drop("run_id").rows()])
print("\\n" + json.dumps(found, default=str))
"""


def test_a_model_that_is_taken_scores_as_it_did(churn: Project, tmp_path: Path) -> None:
    mine = churn.with_env(COMMIT="1" * 40, SCHEDULE__TRAIN_EVERY="7d", RUNS__FOLDER=str(tmp_path / "runs"))
    mine = mine.with_env(DATABASE__URL=f"sqlite:///{tmp_path}/results.db", SUBSCRIPTIONS__SOURCE="sample")
    done = mine.python(TAKEN)
    assert done.returncode == 0, done.stderr
    trained, taken, following = json.loads(done.stdout.splitlines()[-1])
    assert [model for model, *_ in (trained, taken, following)] == ["trained"] * 3
    assert taken[1] == following[1] == trained[1] != {}
    assert taken[3] == trained[3] != following[3] != []
    assert "examples" in trained[2].keys() - taken[2].keys()
    assert taken[2]["held_out_leavers"] == trained[2]["held_out_leavers"]
