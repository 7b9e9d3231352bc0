"""Runs in MLflow, on its real server and on its page, and in the SQLite file where there is none."""

import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rig
from listener import listening, until
from mlflow_server import Server, known, serving
from rig import Project, sh

A, B = "a" * 40, "b" * 40
REFUSED = 3  # the exit code of a run that a gate refused


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server."""
    with serving(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


@pytest.fixture(scope="module")
def tracked(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose runs MLflow keeps, set up; tests leave its files as they are."""
    made = generate(tmp_path_factory.mktemp("tracked") / "burger", tracking="mlflow")
    made.make("setup")
    return made


@pytest.fixture
def here(tracked: Project, tmp_path: Path) -> Project:
    """That project with a small sample, and database, runs and MLflow's own files of the test's own."""
    return tracked.with_env(
        ORDERS__SAMPLE__CUSTOMERS="300",
        DATABASE__URL=f"sqlite:///{tmp_path}/results.db",
        RUNS__FOLDER=str(tmp_path / "runs"),
        TRACKING__MLFLOW__URL=f"sqlite:///{tmp_path}/mlflow.db",
        TRACKING__MLFLOW__EXPERIMENT=tmp_path.name,
        TRACKING__MLFLOW__MODEL=tmp_path.name,
    )


@pytest.fixture
def there(here: Project, server: Server) -> Project:
    """The same, on the server."""
    return here.with_env(TRACKING__MLFLOW__URL=server.url)


def execute(project: Project, run_id: str, *options: str, code: int = 0) -> str:
    """What a run says on standard error."""
    done = project.call("run", "--run-id", run_id, *options)
    assert done.returncode == code, done.stderr
    return done.stderr


def record(project: Project, run_id: str) -> dict[str, Any]:
    """What the run itself knows."""
    kept = Path(project.env["BURGER_COMBOS_RUNS__FOLDER"], run_id, "run.json")
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def left(project: Project) -> list[str]:
    """What is in the project's folder that git does not keep, but for what Python compiles."""
    lines = project.git("status", "--porcelain", "--ignored").splitlines()
    return [line for line in lines if "__pycache__" not in line]


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_is_kept_is_what_the_run_knows(there: Project, tmp_path: Path) -> None:
    mine = there.with_env(IMAGE="sha256:" + "1" * 64, ORDERS__DATABASE_URL="postgresql://ada:geheim@database/app")
    said = execute(mine, "one")
    assert re.search(r"mlflow +run=\w+ version=1 seconds=[\d.]+\n", said)
    found, mine_known = known(mine, files=True), record(mine, "one")
    (run,) = found["runs"]["one"]
    steps = {f"seconds/{step}": seconds for step, seconds in mine_known["steps"].items()}
    baselines = {f"hit_rate/{name}": rate for name, rate in mine_known["metrics"]["hit_rate"]["baselines"].items()}
    assert set(baselines) == {"hit_rate/popularity", "hit_rate/own frequency"}
    seconds = steps | {"seconds": sum(mine_known["steps"].values())}
    assert run["metrics"] == mine_known["numbers"] | baselines | seconds
    assert run["params"]["orders.sample.customers"] == "300"
    assert run["params"]["gate.min_lift"] == "1.0"
    secret = {"alert.webhook", "alert.heartbeat", "database.url"}
    assert not {key for key in run["params"] if key.startswith("tracking") or key in secret}
    assert "geheim" not in json.dumps(found)
    assert run["status"] == "FINISHED"
    assert run["tags"] == run["tags"] | {
        "run_id": "one",
        "stage": "develop",
        "date": mine_known["date"],
        "status": "ok",
        "problem": "",
        "git_commit": mine_known["git_commit"],
        "mlflow.source.git.commit": mine_known["git_commit"],
        "image": "sha256:" + "1" * 64,
        "template": rig.VERSION,
        "headline": mine_known["headline"],
        "better.hit_rate": "higher",
        "data": f"sample: {mine_known['data']['rows']:,} rows, 4 columns, hash {mine_known['data']['hash']}",
        "data_hash": mine_known["data"]["hash"],
    }
    assert run["began"] <= run["ended"]
    assert run["files"] == ["log.jsonl", "report.html", "run.json"]
    assert found["champion"] == "1"
    assert found["model"] == sha256(tmp_path / "runs/one/model.npz")
    assert left(there) == ["!! .venv/"]


def test_a_model_that_is_taken_is_no_new_version(there: Project) -> None:
    mine = there.with_env(COMMIT=A, SCHEDULE__TRAIN_EVERY="7d")
    assert " version=1 " in execute(mine, "one")
    assert " version=" not in execute(mine, "two")
    found = known(mine)
    assert found["champion"] == "1"
    assert [found["runs"][name][0]["tags"]["model_run"] for name in ("one", "two")] == ["one", "one"]


def test_trials_of_a_sweep_stand_side_by_side_and_none_is_a_model(there: Project) -> None:
    assert " version=1 " in execute(there, "one")
    done = there.call("sweep")
    assert done.returncode == 0, done.stderr
    found = known(there)
    assert found["champion"] == "1"
    trials = {name: run for name, (run,) in found["runs"].items() if run["tags"]["kind"] == "trial"}
    assert found["runs"].keys() - trials.keys() == {"one"}
    tried = {run["params"]["model.neighbours"]: run for run in trials.values()}
    assert {"5", "10", "20", "50", "200"} == tried.keys() and len(trials) == 5
    (sweep,) = {run["tags"]["sweep"] for run in trials.values()}
    assert all(name.startswith(f"{sweep}-") and run["status"] == "FINISHED" for name, run in trials.items())
    assert tried["200"]["metrics"]["hit_rate"] == found["runs"]["one"][0]["metrics"]["hit_rate"]
    assert " version=" not in done.stderr


def test_a_failure_is_kept_with_its_problem(there: Project, tmp_path: Path) -> None:
    nothing = there.with_env(ORDERS__SOURCE=str(tmp_path / "none.csv"))
    said = execute(nothing, "broken", code=1)
    assert "error: " in said
    (run,) = known(nothing)["runs"]["broken"]
    assert (run["status"], run["tags"]["status"]) == ("FAILED", "failed")
    assert run["tags"]["problem"] == record(there, "broken")["problem"] != ""


def test_the_champion_moves_by_the_gate_and_by_a_rollback_only(there: Project) -> None:
    def champion() -> str:
        return str(known(there)["champion"])

    of_a, of_b = there.with_env(COMMIT=A), there.with_env(COMMIT=B)
    execute(of_a, "first")
    assert champion() == "1"
    assert "the gate 'better than a baseline' refuses" in execute(
        of_b.with_env(GATE__MIN_LIFT="9"), "bad", code=REFUSED
    )
    found = known(there)
    assert (found["champion"], found["versions"]["2"]["status"]) == ("1", "refused")
    assert found["runs"]["bad"][0]["tags"]["status"] == "refused"
    execute(of_b, "second")
    assert champion() == "3"
    execute(there.with_env(COMMIT="d" * 40), "backfill", "--date", "2026-01-31")
    assert champion() == "3"  # as a model for a day long past is not what counts today

    def promote(project: Project, action: str) -> str:
        done = project.call("promote", "--by", "Ada", "--action", action, "--stage", "develop")
        assert done.returncode == 0, done.stderr
        return done.stderr

    promote(of_a, "deploy")
    assert champion() == "3"
    assert "champion='version 1 of" in promote(of_a, "rollback")
    assert champion() == "1"
    assert f"is of commit {'c' * 40}" in promote(there.with_env(COMMIT="c" * 40), "rollback")
    assert champion() == "1"


def test_steps_and_shards_make_one_run_and_one_that_is_taken_up_is_brought_up_to_date(there: Project) -> None:
    for name in ("load", "check", "catalogue", "train", "neighbours", "evaluate"):
        assert there.call("step", name, "--run-id", "parts").returncode == 0
    failing = there.with_env(RUNS__KEEP="3")  # and under another setting, which changes no row
    npz = Path(there.env["BURGER_COMBOS_RUNS__FOLDER"]) / "parts" / "model.npz"
    kept = npz.read_bytes()
    npz.unlink()
    assert failing.call("step", "recommend", "--run-id", "parts", "--catch-up").returncode == 1
    npz.write_bytes(kept)
    (before,) = known(there)["runs"]["parts"]
    assert (before["status"], before["tags"]["status"]) == ("FAILED", "failed")
    for name in ("recommend", "publish"):
        assert there.call("step", name, "--run-id", "parts").returncode == 0
    (run,) = known(there)["runs"]["parts"]
    assert run["id"] == before["id"]
    assert (run["status"], run["tags"]["status"], run["tags"]["problem"]) == ("FINISHED", "ok", "")
    assert run["metrics"] == run["metrics"] | record(there, "parts")["numbers"]
    assert run["metrics"]["rows_published"] == 301

    split = there.with_env(RUNS__SHARDS="2")
    processes = [split.start("run", "--run-id", "split", "--shard", str(number)) for number in (1, 0)]
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    found = known(there)
    assert [len(each) for each in found["runs"].values()] == [1, 1]
    assert found["runs"]["split"][0]["metrics"]["rows_published"] == 301
    assert len(found["versions"]) == 2


# What another MLflow keeps in a file of its own form.
EARLIER = """
import sys
from mlflow import MlflowClient

client = MlflowClient(sys.argv[1], sys.argv[1])
began = client.create_run(client.create_experiment(sys.argv[2]), None, {"run_id": "earlier"}, run_name="earlier")
client.set_terminated(began.info.run_id)
"""
TABLES = "SELECT version_num FROM alembic_version", "SELECT name FROM runs ORDER BY start_time"


def test_a_file_of_an_earlier_mlflow_is_brought_to_the_form_of_this_one(here: Project, tmp_path: Path) -> None:
    url = here.env["BURGER_COMBOS_TRACKING__MLFLOW__URL"]

    def kept() -> list[list[str]]:
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
            return [[value for (value,) in database.execute(query)] for query in TABLES]

    earlier = ["--with=mlflow-skinny==3.6.0", "--with=alembic", "--with=sqlalchemy<2.1"]
    made = sh("uv", "run", "--no-project", *earlier, "python", "-c", EARLIER, url, tmp_path.name, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    before, _ = kept()
    execute(here, "now")
    after, runs = kept()
    assert before != after
    assert runs == ["earlier", "now"]
    assert known(here)["champion"] == "1"


def test_a_server_that_is_down_stops_nothing_and_is_caught_up(there: Project, server: Server, tmp_path: Path) -> None:
    shared = there.with_env(RUNS__STORE=str(tmp_path / "store"))  # by machines that have no folder in common
    server.stop()
    try:
        with listening() as listener:
            beating = there.with_env(
                ALERT__HEARTBEAT=f"{listener.url}/heartbeat", ALERT__WEBHOOK=f"{listener.url}/webhook"
            )
            said = execute(beating, "alone", code=0)
            execute(beating.with_env(GATE__MIN_LIFT="9"), "refused", code=REFUSED)
            assert [path for path, _ in listener.received] == ["/heartbeat", "/webhook"]
        warnings = [line for line in said.splitlines() if "warning" in line]
        assert len(warnings) == 1
        assert re.search(r"mlflow +lost=.tracking\.mlflow\.url: .*; the next run catches up", warnings[0])
        assert "Traceback" not in said
        assert "lost=" in execute(shared.with_env(RUNS__FOLDER=str(tmp_path / "one")), "far")
        assert record(there, "alone")["status"] == "ok"
    finally:
        server.start()
    said = execute(there.with_env(GATE__MIN_LIFT="9"), "next", code=REFUSED)
    assert re.findall(r"caught_up=(\w+)", said) == ["alone", "refused"]
    for caught_up in (["far"], []):
        said = execute(shared.with_env(RUNS__FOLDER=str(tmp_path / "other"), GATE__MIN_LIFT="9"), "near", code=REFUSED)
        assert re.findall(r"caught_up=(\w+)", said) == caught_up
    found = known(there)
    assert {run_id: each["tags"]["status"] for run_id, (each,) in found["runs"].items()} == {
        "alone": "ok",
        "refused": "refused",
        "next": "refused",
        "far": "ok",
        "near": "refused",
    }
    assert found["runs"]["alone"][0]["params"]["gate.min_lift"] == "1.0"  # and not those of whoever catches up
    assert found["versions"][found["champion"]]["run_id"] == "far"
    assert "caught_up" not in execute(there, "later")


# Where the registry has a folder as the champion's model: the names and contents of its files.
FOLDER = """
import json, os, sys, tempfile
from pathlib import Path
os.environ |= dict.fromkeys(("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"), sys.argv[1])
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
from mlflow.artifacts import download_artifacts

with tempfile.TemporaryDirectory() as folder:
    place = Path(download_artifacts(f"models:/{sys.argv[2]}@champion", dst_path=folder))
    files = (each for each in (place / "model").rglob("*") if each.is_file())
    print(json.dumps({str(each.relative_to(place)): each.read_text() for each in files}))
"""


def test_the_model_may_be_a_folder_and_its_name_follows(there: Project, tmp_path: Path) -> None:
    source = tmp_path / "changed"
    shutil.copytree(there.folder / "src", source)
    pipeline = source / there.package / "pipeline.py"
    text = pipeline.read_text().replace('"model.npz"', '"weights.npz"')
    trained = "settings.model.neighbours).save(run.path(file))\n"
    saved = """    model = modelling.Model.load(run.path("weights.npz"))
    (run.path("model") / "of it").mkdir(parents=True)
    (run.path("model") / "of it" / "weights").write_text(str(model.popularity.sum()))
    (run.path("model") / "kind").write_text("folder")
"""
    assert trained in text
    pipeline.write_text(text.replace(trained, trained + saved))
    env = there.with_env(TRACKING__MLFLOW__ARTIFACT="").env | {"PYTHONPATH": str(source)}
    mine = replace(there, env=env)
    execute(mine, "one")
    url = mine.env["BURGER_COMBOS_TRACKING__MLFLOW__URL"]
    shown = mine.run(".venv/bin/python", "-W", "ignore", "-c", FOLDER, url, tmp_path.name)
    assert shown.returncode == 0, shown.stderr
    folder = tmp_path / "runs" / "one" / "model"
    assert json.loads(shown.stdout) == {
        f"model/{name}": (folder / name).read_text() for name in ("kind", "of it/weights")
    }
    told = "".join(f"{sha256(folder / name)}  {name}\n" for name in ("kind", "of it/weights"))
    found = known(mine, files=False)
    assert [each["sha256"] for each in found["versions"].values()] == [hashlib.sha256(told.encode()).hexdigest()]

    pipeline.write_text(pipeline.read_text().replace('"weights.npz"', '"model.npz"'))
    said = execute(mine, "two")
    assert "tracking.mlflow.artifact: the run has left model, model.npz; which is the model?" in said
    assert len(known(mine, files=False)["versions"]) == 1
    execute(mine.with_env(TRACKING__MLFLOW__ARTIFACT="model.npz"), "three")
    assert len(known(mine)["versions"]) == 2


def test_a_password_is_in_no_message(here: Project) -> None:
    nobody = here.with_env(TRACKING__MLFLOW__URL="http://ada:geheim@127.0.0.1:9")  # discard: nobody listens there
    said = execute(nobody, "secret")
    assert "lost=" in said
    for file in Path(here.env["BURGER_COMBOS_RUNS__FOLDER"]).rglob("*"):
        assert not file.is_file() or b"geheim" not in file.read_bytes()
    assert "geheim" not in said


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"TRACKING__MLFLOW__URI": "x"}, "environment variable BURGER_COMBOS_TRACKING__MLFLOW__URI: "),
        ({"TRACKING__MLFLOW__URL": "mlflow.example.org"}, "neither sqlite:///FILE nor http(s)://SERVER"),
        ({"TRACKING__MLFLOW__MODEL": "a/b"}, "environment variable BURGER_COMBOS_TRACKING__MLFLOW__MODEL: "),
        ({"TRACKING__NOBODY__URL": "x"}, "develop/platform.toml: tracking.nobody: nothing here keeps runs so"),
    ],
)
def test_a_wrong_key_is_told_in_one_line_before_anything_runs(
    keys: dict[str, str], problem: str, here: Project, tmp_path: Path
) -> None:
    wrong = here.with_env(**keys)
    for command in (["run"], ["gates", "--stage", "develop"], ["promote", "--by", "Ada", "--stage", "develop"]):
        done = wrong.call(*command)
        assert done.returncode == 1
        assert problem in done.stderr
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_mlflow_is_imported_only_by_a_run_that_it_keeps(here: Project) -> None:
    script = """
import sys
sys.argv = ["burger-combos", *{arguments}]
from burger_combos.ops import cli, settings
if {without}:
    settings.settings_files.read = lambda stage: {{}}
try:
    cli.main()
except SystemExit as end:
    assert not end.code, end.code
print("imported", "mlflow" in sys.modules)
"""
    plain = {key: value for key, value in here.env.items() if "TRACKING" not in key}
    alone = Project(here.folder, here.package, plain)
    for project, arguments, without, imported in (
        (alone, ["run"], True, False),
        (here, ["run"], False, True),
        (here, ["status"], False, False),
        (here, ["results"], False, False),
    ):
        done = project.python(script.format(arguments=arguments, without=without))
        assert done.stdout.splitlines()[-1] == f"imported {imported}", done.stderr


def test_without_a_server_a_file_keeps_them_and_a_page_is_served_of_it(tracked: Project) -> None:
    mine = tracked.with_env(ORDERS__SAMPLE__CUSTOMERS="300")
    before = mine.run("make", "tracking")
    assert before.returncode != 0
    assert "nothing was tracked in develop yet: no var/develop/main/mlflow.db" in before.stderr
    assert mine.call("run", "--run-id", "mine").returncode == 0
    try:
        # A group of its own, all of which ends with the test.
        with tempfile.TemporaryFile("w+") as said:
            env = rig.environment() | mine.env
            page = subprocess.Popen(["make", "tracking"], cwd=mine.folder, env=env, stderr=said, start_new_session=True)
            try:

                def address() -> str:
                    said.seek(0)
                    found = re.search(r"until Ctrl-C: (http://127\.0\.0\.1:\d+)\n", said.read())
                    return found[1] if found else ""

                def answers() -> bool:
                    assert page.poll() is None
                    try:
                        return bool(urllib.request.urlopen(f"{address()}/health", timeout=5).status)
                    except (OSError, ValueError):
                        return False

                until(answers, 600)
                found = known(mine, address(), "burger-combos-develop-main", files=True)
                begun = sh("ps", "-ww", "-o", "args=", "-s", str(page.pid), cwd=mine.folder).stdout
                assert "mlflow server" in begun
                assert "mlflow.server.jobs" not in begun  # nine processes for what has no use here
            finally:
                os.killpg(page.pid, signal.SIGTERM)
                page.wait(60)
        assert found["runs"]["mine"][0]["files"] == ["log.jsonl", "report.html", "run.json"]
        assert found["model"] == sha256(mine.folder / "var/develop/main/runs/mine/model.npz")
        assert left(mine) == ["!! .venv/", "!! var/"]
    finally:
        shutil.rmtree(mine.folder / "var")


@pytest.mark.browser
def test_the_page_lists_the_run_with_its_metrics(there: Project, server: Server, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        rig.missing("CHROMIUM", "no chromium here to draw pages")
    execute(there, "shown")
    (run,) = known(there)["runs"]["shown"]

    def page(path: str, *options: str) -> str:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1500,1100"]
        command += ["--disable-background-networking", f"--user-data-dir={tmp_path}/profile", *options]
        command += ["--virtual-time-budget=60000", f"{server.url}/#/{path}"]
        return subprocess.run(command, check=True, text=True, capture_output=True, timeout=300).stdout

    of_experiment = f"experiments/{run['experiment']}/runs"
    assert ">shown<" in page(of_experiment, "--dump-dom")
    shown = page(f"{of_experiment}/{run['id']}", "--dump-dom")
    assert "hit_rate" in shown
    assert str(run["metrics"]["hit_rate"])[:6] in shown
    page(f"{of_experiment}/{run['id']}", f"--screenshot={tmp_path}/run.png")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


EARLIER_DAYS = """
from datetime import date
from {package}.ops import execute
from {package}.ops.settings import Stage, load
from {package}.pipeline import Settings

settings = load(Settings, Stage.develop).model_copy(update={{"tracking": {{}}}})
for day in (1, 2):
    execute.run_all(settings, date(2026, 10, day))
"""


def test_earlier_days_as_they_turned_out_have_a_step_each(here: Project, tmp_path: Path) -> None:
    done = here.python(EARLIER_DAYS.format(package=here.package))
    assert done.returncode == 0, done.stderr
    execute(here, "third", "--date", "2026-10-03")
    reviews = {int(each["date"].replace("-", "")): each for each in record(here, "third")["reviews"]}
    assert list(reviews) == [20261001, 20261002]
    found: dict[str, dict[int, float]] = {}
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        sql = "SELECT key, step, value FROM metrics WHERE key LIKE 'turned_out/%' ORDER BY step"
        for key, step, value in database.execute(sql):
            found.setdefault(key, {})[step] = value
    assert found == {
        "turned_out/hit_rate": {step: each["value"] for step, each in reviews.items()},
        **{
            f"turned_out/hit_rate/{name}": {step: each["baselines"][name] for step, each in reviews.items()}
            for name in ("popularity", "own frequency")
        },
    }
