"""What must hold when a run is killed, repeated, or not alone, on both databases."""

import fcntl
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from rig import Project, new_database

STEPS = ["load", "check", "catalogue", "train", "neighbours", "evaluate", "review", "gate", "recommend", "publish"]
TODAY = date.today()

# Each stage notes what its scale check found of the same commit, and notes it anew.
TRIALS = """
from {package}.ops import records
from {package}.ops.settings import Stage, StageSettings, load
settings = {{stage: load(StageSettings, stage) for stage in (Stage.develop, Stage.production)}}
for stage, sizes in ((Stage.develop, [1]), (Stage.production, [1]), (Stage.develop, [1, 3])):
    records.note_trials(settings[stage], "c" * 40, [{{"size": size}} for size in sizes])
for stage, its in settings.items():
    print(stage, len(records.trials(its, "c" * 40)))
"""

# The named step does its work, in publish up to the moment before the commit, and then the process is killed.
KILLED = """
import functools, os, signal, sys
from {package}.ops import cli, execute, store

def die(): os.kill(os.getpid(), signal.SIGKILL)

def fatal(step):
    @functools.wraps(step)
    def with_end(*arguments):
        step(*arguments)
        die()
    return with_end

if "{step}" == "publish":
    written = store.Store._written
    def fatal_written(self, stage, day, table, parts):
        written(self, stage, day, table, parts)
        if table.name == store.ROWS:
            die()
    store.Store._written = fatal_written
else:
    execute.STEPS = tuple(fatal(s) if s.__name__ == "{step}" else s for s in execute.STEPS)
sys.argv = ["x", "run"]
cli.main()
"""


COMMITTED = """
import os, signal, sys
from {package}.ops import cli, store
replace = store.Store.replace
def fatal(self, *arguments):
    replace(self, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)
store.Store.replace = fatal
sys.argv = ["x", "run"]
cli.main()
"""


# A hundred times Ctrl-C at some moment of statements that follow each other, and once in the middle of a long one.
INTERRUPTED = """
import os, random, signal, threading, time
from {package}.ops import store
from {package}.ops.settings import Stage, StageSettings, load

url = load(StageSettings, Stage.develop).database.url

def interrupted(seconds, query="SELECT 1"):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    try:
        with store.Store(url, create=True) as opened:
            timer.start()
            while timer.is_alive():
                opened.query(query)
            time.sleep(0.01)
    except KeyboardInterrupt:
        return True
    return False

chance = random.Random(1)
print("stopped", sum(interrupted(chance.uniform(0.001, 0.02)) for _ in range(100)))
if "postgresql" in url.get_secret_value():  # SQLite's driver cannot
    begun = time.monotonic()
    print("cancelled", interrupted(0.1, "SELECT pg_sleep(600)::text"), time.monotonic() - begun < 300)
"""


def without_run(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "run_id"} for row in rows]


# Before `publish` no step has to do with the database.
KILLED_IN = [("sqlite", step) for step in STEPS] + [("postgresql", "publish")]


@pytest.mark.parametrize(("stored", "step"), KILLED_IN, indirect=["stored"])
def test_a_run_killed_anywhere_loses_nothing(step: str, stored: Project) -> None:
    assert stored.call("run", "--date", str(TODAY - timedelta(days=1))).returncode == 0
    yesterday, _ = stored.written()
    killed = stored.python(KILLED.format(package=stored.package, step=step))
    assert killed.returncode == -9, killed.stderr
    rows, runs = stored.written()
    assert rows == yesterday
    assert [run["status"] for run in runs] == ["ok", "running"]
    assert "stopped" in stored.make("status")

    assert stored.call("run", "--date", str(TODAY)).returncode == 0
    rows, _ = stored.written()
    assert [row for row in rows if row["date"] == str(TODAY - timedelta(days=1))] == yesterday
    after = [row for row in rows if row["date"] == str(TODAY)]
    assert stored.call("run", "--date", str(TODAY)).returncode == 0
    assert without_run([row for row in stored.written()[0] if row["date"] == str(TODAY)]) == without_run(after)
    assert len(after) == len(yesterday)


def test_a_killed_run_is_taken_up_at_the_step_it_left(stored: Project) -> None:
    for name in STEPS[:5]:
        assert stored.call("step", name, "--run-id", "mine").returncode == 0
    out_of_turn = stored.call("step", "gate", "--run-id", "mine")
    assert out_of_turn.returncode == 1
    assert "step gate comes after evaluate, review" in out_of_turn.stderr
    for name in STEPS[3:]:  # train once more: a retry
        assert stored.call("step", name, "--run-id", "mine").returncode == 0
    by_steps, runs = stored.written()
    assert [run["status"] for run in runs] == ["ok"]
    assert stored.call("run").returncode == 0
    assert without_run(stored.written()[0]) == without_run(by_steps)


def test_a_run_killed_after_its_rows_are_in_place(stored: Project) -> None:
    assert stored.python(COMMITTED.format(package=stored.package)).returncode == -9
    rows, _ = stored.written()
    assert len(rows) > 250
    status = stored.make("status", "STAGE=develop")
    assert "stopped after recommend" in status
    assert "hit rate 0." in status  # from the run's folder, which knows more than the database
    assert stored.call("step", "publish", "--run-id", rows[0]["run_id"]).returncode == 0
    assert stored.written()[0] == rows
    assert "ok" in stored.make("status")


def test_a_gate_that_refuses_later_stops_what_follows(shop: Project) -> None:
    for name in STEPS:
        assert shop.call("step", name, "--run-id", "mine").returncode == 0
    file = Path(shop.env["BURGER_COMBOS_RUNS__FOLDER"], "mine", "run.json")
    values = json.loads(file.read_text(encoding="utf-8"))
    values["metrics"]["hit_rate"]["value"] = 0.0  # as if evaluate had been done again
    file.write_text(json.dumps(values) + "\n", encoding="utf-8")
    assert shop.call("step", "gate", "--run-id", "mine").returncode == 3
    late = shop.call("step", "publish", "--run-id", "mine")
    assert late.returncode == 1
    assert "step publish comes after gate, recommend" in late.stderr


def test_a_run_stays_with_its_commit(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "mine")
    mine.make("setup")
    assert mine.call("step", "load", "--run-id", "mine").returncode == 0
    (mine.folder / "new.py").write_text("")
    other = mine.call("step", "check", "--run-id", "mine")
    assert other.returncode == 1
    assert "-dirty: begin another run" in other.stderr


def test_stages_in_one_database_leave_each_other_alone(stored: Project) -> None:
    assert stored.call("run", "--stage", "production").returncode == 0
    production, _ = stored.written()
    assert stored.call("run", "--stage", "develop").returncode == 0
    rows, _ = stored.written()
    assert [row for row in rows if row["stage"] == "production"] == production
    assert len(rows) == 2 * len(production)
    assert production[0]["run_id"] in stored.make("results", "STAGE=production")
    noted = stored.python(TRIALS.format(package=stored.package))
    assert noted.stdout.split() == ["develop", "2", "production", "1"], noted.stderr


@pytest.mark.postgresql
def test_a_connection_lost_while_publishing_is_one_clear_line(postgresql: str, shop: Project) -> None:
    mine = shop.with_env(DATABASE__URL=new_database(postgresql, shop))
    assert mine.call("run").returncode == 0
    before, _ = mine.written()
    script = f"""
import sys
from {mine.package}.ops import cli, store
append = store.Store._append
def lost(self, table, rows):
    if table == store.ROWS:
        self._execute("SELECT pg_terminate_backend(pg_backend_pid())")
    append(self, table, rows)
store.Store._append = lost
sys.argv = ["x", "run"]
cli.main()
"""
    done = mine.python(script)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: postgresql://")
    rows, runs = mine.written()
    assert rows == before
    assert runs[-1]["status"] == "failed"


def test_a_report_that_cannot_be_drawn_does_not_fail_the_run(shop: Project) -> None:
    done = shop.python(f"""
import sys
from {shop.package} import pipeline
from {shop.package}.ops import cli, execute
import numpy as np
def gate(run, settings):
    run.record.charts["broken"] = {{"a": "high"}}
    run.record.numbers["of numpy"] = np.float32(0.5)
execute.STEPS = tuple(gate if s is pipeline.gate else s for s in execute.STEPS)
sys.argv = ["x", "run"]
cli.main()
""")
    assert done.returncode == 0, done.stderr
    assert "no report" in done.stderr
    (run,) = shop.written()[1]
    assert run["status"] == "ok"
    assert json.loads(run["record"])["numbers"]["of numpy"] == 0.5


def test_a_run_in_progress_is_not_cleared_away(shop: Project, tmp_path: Path) -> None:
    assert shop.call("step", "load", "--run-id", "long").returncode == 0
    with (tmp_path / "runs/long/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for _ in range(2):
            assert shop.with_env(RUNS__KEEP="1").call("run").returncode == 0
    assert (tmp_path / "runs/long/raw.parquet").exists()
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_a_step_of_no_run_or_no_name_is_one_clear_line(shop: Project) -> None:
    for arguments, message in (
        (("train", "--run-id", "nobody"), "nobody: no such run"),
        (("tain", "--run-id", "x"), "no step 'tain': the steps are load, check"),
        (("load", "--run-id", "../x"), "run id '../x'"),
        (("check", "--run-id", ".."), "run id '..'"),
        (("load", "--run-id", ""), "run id ''"),
    ):
        done = shop.call("step", *arguments)
        assert done.returncode == 1
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_same_day_twice_at_once(stored: Project) -> None:
    big = stored.with_env(ORDERS__SAMPLE__CUSTOMERS="20000")
    processes = [big.start("run") for _ in range(4)]
    ended = [process.communicate(timeout=300) for process in processes]
    for process, (_, errors) in zip(processes, ended, strict=True):
        assert process.returncode == 0, errors  # who comes second waits
    rows, runs = big.written()
    assert len({row["run_id"] for row in rows}) == 1
    assert len(rows) == len({row["customer"] for row in rows}) > 19_000
    assert len(runs) == 4


def test_the_same_run_is_not_executed_twice_at_once(shop: Project, tmp_path: Path) -> None:
    assert shop.call("step", "load", "--run-id", "mine").returncode == 0
    with (tmp_path / "runs/mine/lock").open("w") as lock:  # as the other process holds it
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = shop.call("step", "check", "--run-id", "mine")
        assert second.returncode == 1
        assert second.stderr == "error: run mine is being executed by another process\n"
        assert "running" in shop.make("status")
    assert "stopped after load" in shop.make("status")


def test_more_or_fewer_items_fit_the_table_that_is_there(stored: Project) -> None:
    for count in ("3", "6", "2"):
        done = stored.with_env(MODEL__TOP_K=count).call("run")
        assert done.returncode == 0, done.stderr
    rows, _ = stored.written()
    assert rows[0]["item_2"] is not None
    assert rows[0]["item_3"] is rows[0]["item_6"] is None


def test_a_bad_model_is_refused_and_yesterday_stays(stored: Project) -> None:
    assert stored.call("run", "--date", str(TODAY - timedelta(days=1))).returncode == 0
    yesterday, _ = stored.written()
    bad = f"""
import sys, scipy.sparse as sp
from {stored.package} import model
from {stored.package}.ops import cli
learnt = model.learnt
def worst(blocks, orders, neighbours):
    good = learnt(blocks, orders, neighbours)
    return model.Model(sp.csr_array(good.affinity.shape), 1 - good.popularity)
model.learnt = worst
sys.argv = ["x", "run"]
cli.main()
"""
    done = stored.python(bad)
    assert done.returncode == 3
    assert "error: the gate 'better than a baseline' refuses: hit rate" in done.stderr
    rows, runs = stored.written()
    assert rows == yesterday
    assert runs[-1]["status"] == "refused"
    assert "refused" in stored.make("status")


def test_ctrl_c_ends_a_statement_whenever_it_comes(stored: Project) -> None:
    done = stored.python(INTERRUPTED.format(package=stored.package))
    assert done.returncode == 0, done.stderr
    on_postgresql = "postgresql" in stored.env[f"{stored.package.upper()}_DATABASE__URL"]
    assert done.stdout.split() == ["stopped", "100", *["cancelled", "True", "True"] * on_postgresql]


def test_an_error_in_the_users_code_shows_where(shop: Project) -> None:
    done = shop.python(
        f"""
import sys
from {shop.package} import model
from {shop.package}.ops import cli
def broken(blocks, orders, neighbours): raise ZeroDivisionError("of the test")
model.learnt = broken
sys.argv = ["x", "run"]
cli.main()
"""
    )
    assert done.returncode == 1
    assert "error: neighbours: ZeroDivisionError: of the test (pipeline.py:" in done.stderr  # by whom it was called
    assert "Traceback" not in done.stderr
    logged = shop.make("logs")
    assert "ZeroDivisionError: of the test" in logged
    assert "in broken" in logged
    assert "results.db" not in logged  # no values of variables, which may be secrets
    assert "failed" in shop.make("status")


def test_only_the_newest_runs_are_kept(shop: Project, tmp_path: Path) -> None:
    for _ in range(4):
        assert shop.with_env(RUNS__KEEP="2").call("run").returncode == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2
    assert len(shop.written()[1]) == 4
