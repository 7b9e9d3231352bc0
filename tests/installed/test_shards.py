"""A run that several processes execute together: by a folder that they share, and by a store of S3's protocol."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from listener import until
from rig import Project, change
from s3 import serving

SHARDS = 3
REFUSED = 3  # the exit code of a run that a gate refused


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """How to reach the bucket `shop`."""
    with serving("shop") as reach:
        yield reach


@pytest.fixture(params=["folder", "store"])
def shared(request: pytest.FixtureRequest, shop: Project, tmp_path: Path) -> Project:
    """The shop with three shards, whose files are shared in one of both ways."""
    mine = shop.with_env(RUNS__SHARDS=str(SHARDS))
    if request.param == "folder":
        return mine
    reach: dict[str, str] = request.getfixturevalue("bucket")
    mine = replace(mine, env=mine.env | reach)
    return mine.with_env(RUNS__STORE=f"s3://shop/{tmp_path.name}")


def machine(project: Project, number: int) -> Project:
    """The project as another machine has it, which shares no folder where there is a store."""
    if "BURGER_COMBOS_RUNS__STORE" not in project.env:
        return project
    return project.with_env(RUNS__FOLDER=f"{project.env['BURGER_COMBOS_RUNS__FOLDER']}-{number}")


def part(project: Project, number: int, run_id: str = "together") -> subprocess.Popen[str]:
    return machine(project, number).start("run", "--run-id", run_id, "--shard", str(number))


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def together(project: Project, run_id: str = "together") -> list[tuple[int, str]]:
    """How each of the processes ended, and what it said; the first begins last."""
    processes = [part(project, number, run_id) for number in reversed(range(SHARDS))]
    return [ended(process) for process in reversed(processes)]


def rows(project: Project) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "run_id"} for row in project.written()[0]]


def in_pipeline(shop: Project, tmp_path: Path, old: str, new: str) -> Project:
    """The project with another text in pipeline.py, beside the one whose environment it has."""
    source = tmp_path / "changed"
    shutil.copytree(shop.folder / "src", source)
    file = source / shop.package / "pipeline.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    return replace(shop, env=shop.env | {"PYTHONPATH": str(source)})


def test_the_sum_of_the_shards_is_the_unsplit_result(shared: Project) -> None:
    assert machine(shared, 9).with_env(RUNS__SHARDS="1").call("run").returncode == 0
    whole = rows(shared)
    assert [code for code, _ in together(shared)] == [0] * SHARDS
    assert rows(shared) == whole
    (*_, record) = shared.written()[1]
    assert (record["run_id"], record["status"]) == ("together", "ok")
    said = machine(shared, 7).call("logs").stdout
    for step in ("check", "train", "evaluate", "recommend"):
        assert said.count(f" {step} ") == SHARDS
    assert said.index(" gate ") < said.index(" recommend ") < said.index(" publish ")
    results = machine(shared, 8).call("results")
    report = Path(results.stdout.partition("report   ")[2].strip())
    assert (shared.folder / report).read_text().count("<svg") == 2


@pytest.mark.parametrize("shards", ["1", "2", "7", "90"])
def test_any_number_of_shards_gives_the_same_rows(shop: Project, shards: str) -> None:
    """Also where there are more than customers."""
    shop = shop.with_env(ORDERS__SAMPLE__CUSTOMERS="80", GATE__MIN_HITS="1", GATE__MIN_LIFT="0")
    assert shop.call("run").returncode == 0
    whole = rows(shop)
    assert shop.with_env(RUNS__SHARDS=shards).call("run").returncode == 0
    assert rows(shop) == whole


def waiting(shared: Project, tmp_path: Path) -> Project:
    """The project whose shard 1 does not recommend before there is a file `go`."""
    waits = "    customers = pl.read_parquet"
    slow = f"    import time\n\n    while shard.number == 1 and not __import__('os').path.exists('{tmp_path}/go'):\n"
    return in_pipeline(shared, tmp_path, waits, f"{slow}        time.sleep(0.1)\n{waits}")


def test_a_lost_shard_is_done_again_alone(shared: Project, tmp_path: Path) -> None:
    assert machine(shared, 9).call("run").returncode == 0
    whole = rows(shared)
    shared = waiting(shared, tmp_path)
    processes = [part(shared, number) for number in range(SHARDS)]
    assert ended(processes[2])[0] == 0
    until(lambda: "gate" in machine(shared, 6).call("logs").stdout)
    processes[1].kill()
    assert ended(processes[1])[0] == -signal.SIGKILL
    assert processes[0].poll() is None  # it waits
    (tmp_path / "go").touch()
    code, said = ended(part(shared, 1))
    assert code == 0
    assert said.count(" recommend ") == 1
    code, said = ended(processes[0])
    assert code == 0
    assert said.count(" recommend ") == 1
    assert rows(shared) == whole


def test_a_failed_shard_publishes_nothing_and_says_so(shared: Project, tmp_path: Path) -> None:
    first = "    customers = pl.read_parquet"
    fails = f"    if shard.number == 2 and not __import__('os').path.exists('{tmp_path}/mended'):\n"
    fails += "        raise Problem('no memory')\n"
    shared = in_pipeline(shared, tmp_path, first, fails + first)
    head = part(shared, 0)
    other = part(shared, 1)
    code, said = ended(part(shared, 2))
    assert (code, said.splitlines()[-1]) == (1, "error: no memory")
    assert ended(other)[0] == 0
    assert rows(shared) == []
    record = shared.written()[1][-1]
    assert record["status"] == "failed"
    assert "no memory" in record["record"]
    (tmp_path / "mended").touch()
    assert ended(part(shared, 2))[0] == 0
    assert ended(head)[0] == 0
    assert len(rows(shared)) > 250
    assert shared.written()[1][-1]["status"] == "ok"


def test_who_goes_on_where_the_first_process_was_killed_does_the_rest_only(shared: Project, tmp_path: Path) -> None:
    shared = waiting(shared, tmp_path)
    head, *others = [part(shared, number) for number in range(SHARDS)]
    until(lambda: re.search(r" recommend .*=0-of-3\b", machine(shared, 6).call("logs").stdout))
    head.kill()
    assert ended(head)[0] == -signal.SIGKILL
    (tmp_path / "go").touch()
    code, said = ended(part(shared, 0))
    assert code == 0
    for step in ("check", "train", "evaluate"):
        assert f" {step} " not in said
    assert " publish " in said
    assert [ended(other)[0] for other in others] == [0, 0]


def test_what_a_gate_refuses_none_of_them_goes_on_with(shared: Project) -> None:
    strict = shared.with_env(GATE__MIN_HITS="1", GATE__MIN_LIFT="99")
    for code, said in together(strict):
        assert code == REFUSED
        assert said.splitlines()[-1].startswith("error: the gate 'better than a baseline' refuses")
    assert rows(shared) == []
    assert shared.written()[1][-1]["status"] == "refused"


def test_one_step_at_a_time_on_machines_of_their_own(shared: Project) -> None:
    assert machine(shared, 9).call("run").returncode == 0
    whole = rows(shared)

    def parts(step: str) -> list[tuple[str, ...]]:
        return [(step, "--shard", str(number)) for number in (2, 0, 1)]

    steps = [("catalogue", "--catch-up"), *parts("train"), ("gate", "--catch-up"), *parts("recommend"), ("publish",)]
    for number, step in enumerate(steps):
        done = machine(shared, number).call("step", *step, "--run-id", "by-steps")
        assert done.returncode == 0, done.stderr
    assert rows(shared) == whole
    assert shared.written()[0][0]["run_id"] == "by-steps"
    early = shared.call("step", "publish", "--run-id", "another", "--catch-up")
    assert early.returncode == 0, early.stderr
    none = shared.call("step", "recommend", "--run-id", "by-steps", "--shard", "3")
    assert none.stderr == "error: --shard 3: run by-steps has the shards 0 to 2\n"


def test_old_runs_go_from_the_store(shop: Project, bucket: dict[str, str]) -> None:
    mine = replace(shop, env=shop.env | bucket).with_env(RUNS__STORE="s3://shop/old", RUNS__KEEP="2")
    for name in ("one", "two", "three"):
        assert mine.call("run", "--run-id", name).returncode == 0
    assert mine.call("logs", "--run", "one").stderr == "error: s3://shop/old: no run 'one'; the newest is three\n"
    assert mine.call("logs", "--run", "two").returncode == 0
    folder = Path(mine.env["BURGER_COMBOS_RUNS__FOLDER"])
    assert not [path for path in folder.rglob("*") if path.suffix == ".parquet"]  # what is in the store is not here


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ("s3://nobody/runs", "The specified bucket does not exist"),
        ("foo://shop/runs", 'Generic URL error: Unable to recognise URL "foo://shop/runs"'),
        ("/proc/runs", "No such file or directory (os error 2)"),
    ],
)
def test_a_store_out_of_reach_is_told_in_one_line(
    shop: Project, bucket: dict[str, str], store: str, problem: str
) -> None:
    done = replace(shop, env=shop.env | bucket).with_env(RUNS__STORE=store).call("run")
    assert done.returncode == 1
    assert done.stderr == f"error: {store}: {problem}\n"
    assert shop.written() == ([], [])


def measuring(shop: Project, tmp_path: Path, lines: str) -> Project:
    """The project whose split step does more at its end, in three shards."""
    last = '.write_parquet(run.path("recommendations.parquet", shard), compression="lz4", statistics=False)\n'
    added = "".join(f"    {line}\n" for line in lines.splitlines())
    return in_pipeline(shop, tmp_path, last, last + added).with_env(RUNS__SHARDS=str(SHARDS))


def record(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.written()[1][-1]["record"])
    return found


def test_what_shards_measure_is_the_same_in_one_process_as_in_many(shop: Project, tmp_path: Path) -> None:
    mine = measuring(
        shop,
        tmp_path,
        """run.count("scored", len(customers))
run.record.numbers["scored again"] = len(rows)
value = (0.1, 0.2, 0.4)[shard.number]
if shard.number != 1:
    run.measure("share", value, better="lower", baselines={"all": 2 * value}, weight=1 + shard.number)""",
    )
    assert mine.call("run").returncode == 0
    one = record(mine)
    assert one["metrics"]["share"]["value"] == pytest.approx((0.1 * 1 + 0.4 * 3) / 4)
    assert one["metrics"]["share"]["baselines"] == {"all": pytest.approx((0.2 * 1 + 0.8 * 3) / 4)}
    assert one["numbers"]["share"] == one["metrics"]["share"]["value"]
    assert one["numbers"]["scored"] == one["numbers"]["scored again"] == one["numbers"]["customers"] > 250
    assert one["numbers"]["rows_published"] == one["numbers"]["scored"] + 1  # for customers without orders
    assert [code for code, _ in together(mine)] == [0] * SHARDS
    many = record(mine)
    assert many["run_id"] == "together"
    for known in ("numbers", "metrics", "given", "headline"):
        assert many[known] == one[known]
    again = mine.call("step", "recommend", "--run-id", "together", "--catch-up")
    assert again.returncode == 0, again.stderr
    assert record(mine)["numbers"] == one["numbers"]


JOINED = """
import json
from datetime import date
from pathlib import Path
from burger_combos.ops import runs, shards
from burger_combos.ops.problems import Problem
from burger_combos.ops.settings import Runs, Stage

def begun(count):
    run = runs.Run.create(Runs(folder=Path({folder!r}), shards=count), Stage.develop, date(2026, 1, 1))
    run.count("items", 100)
    return run

def in_one(run, step):
    shards.perform(step, run, None)

def in_many(run, step):
    for shard in run.shards:
        run.finish(1.0, shard, shards.do_part(step, run, None, shard))
    run.join(step.__name__)

def what(way, count, line):
    def recommend(run, settings, shard):
        exec(line)
    run = begun(count)
    before = run.record.to_json()
    try:
        way(run, recommend)
    except Problem as problem:
        assert run.record.to_json() == before
        return str(problem)
    return [run.record.numbers, run.record.metrics]

lines = {lines!r}
print(json.dumps([[[what(way, count, line) for way in (in_one, in_many)] for count in (1, 3)] for line in lines]))
"""
MEAN = "weight=1 + shard.number)"
MEASURES = [
    f'run.measure("share", (0.1, 0.2, 0.4)[shard.number], better="lower", baselines={{"all": 0.5}}, {MEAN}',
    'run.record.numbers["scored"] = run.record.numbers.get("scored", 0) + 7',
    'run.record.numbers = {**run.record.numbers, "scored": 7}',
]
REFUSED_LINES = {
    'run.measure("share", 0.1, better="lower")': "so metric share needs a weight for the mean of all shards",
    'run.measure("share", 0.1, better="lower", weight=0)': "metric share: weight is 0; it has to be above 0",
    'run.record.numbers["share"] = 0.14': "so share cannot be 0.14: whole numbers add up, a mean is run.measure(",
    'run.count("share", 0.14)': "count share is 0.14, not a whole number",
    'run.record.numbers["items"] += 7': "so it cannot change items, which an earlier step wrote",
    'run.record.facts["mine"] = 1': "so it cannot change record.facts, which would be the last shard's",
    'run.record.headline = "good"': "so it cannot change record.headline, which would be the last shard's",
    'run.bars("Rows", {"mine": 1})': "so it cannot have the chart 'Rows'",
    'run.measure("n", 1, better="lower", weight=1); run.measure("n", 1, better="lower", weight=1)': "measured twice",
}
OTHERWISE = 'run.measure("share", 1, better=("lower", "higher", "lower")[shard.number], weight=1)'


def test_one_function_joins_what_shards_say(shop: Project, tmp_path: Path) -> None:
    lines = [*MEASURES, *REFUSED_LINES, OTHERWISE]
    done = shop.python(JOINED.format(folder=str(tmp_path / "runs"), lines=lines))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for line, of_counts in zip(lines, found, strict=True):
        for in_one_process, in_many in of_counts:
            assert in_one_process == in_many, line
    share, scored, replaced = ([one for one, _ in found[place]] for place in range(3))
    assert [numbers["share"] for numbers, _ in share] == pytest.approx([0.1, (0.1 + 2 * 0.2 + 3 * 0.4) / 6])
    assert [metrics["share"]["baselines"] for _, metrics in share] == [{"all": pytest.approx(0.5)}] * 2
    assert [numbers for numbers, _ in scored] == [numbers for numbers, _ in replaced]
    assert [numbers for numbers, _ in scored] == [{"items": 100, "scored": 7}, {"items": 100, "scored": 21}]
    for (line, problem), told in zip(REFUSED_LINES.items(), found[3:], strict=False):
        for one, _ in told:
            assert problem in one, line
    (whole, _), (split, _) = found[-1]
    assert whole[0]["share"] == 1
    assert split == "step recommend: the shards measure metric share in other directions or beside other baselines"


# The model is a folder, in which a file goes and another comes when it is trained again.
SAVED = "modelling.learnt(counts, orders, settings.model.neighbours).save(run.path(file))"
SAVES = """learnt = modelling.learnt(counts, orders, settings.model.neighbours)
        run.path(file).parent.mkdir(parents=True, exist_ok=True)
        learnt.save(run.path(file))"""
IS_WHOLE = """
import sys
from burger_combos.ops.object_store import ObjectStore
from burger_combos.ops.runs import Run, names, prune
from burger_combos.ops.settings import Runs, Stage, StageSettings, load

runs = load(StageSettings, Stage.develop).runs
store = ObjectStore(runs.store)
run = Run.open(runs, "together")
folder = run.path("model")
assert [each.name for each in sorted(folder.rglob("*"))] == ["of it", "100 %.npz"], list(folder.rglob("*"))
assert run.kept("model") == f"{runs.store}/together/model"
assert run.found("model", "model.*") == ["model"]

before = store.names("together")
run.share()
assert store.names("together") == before  # nothing is put there twice
(folder / "of it" / "100 %.npz").rename(folder / "new.npz")
run.share()
assert "together/model/new.npz" in store.names("together")
assert "together/model/of it/100 %.npz" not in store.names("together")
again = Run.open(runs, "together").path("model")
assert [each.name for each in sorted(again.rglob("*"))] == ["new.npz", "of it"]

put = store.put
def lost(name, file):
    if name.endswith("second"):
        raise ConnectionError
    put(name, file)
for name in ("first", "second"):
    (folder / name).write_text("x")
store.put = lost
try:
    store.put_folder("together/model", folder)
except ConnectionError:
    assert not Run.open(runs, "together").path("model").exists()  # half of it is none of it
else:
    raise AssertionError
store.put = put
store.put_folder("together/model", folder)
assert Run.open(runs, "together").path("model/second").read_text() == "x"
store.remove(["together/model/second"])
assert not Run.open(runs, "together").path("model").exists()
run.remove("mod*")
assert [name for name in store.names("together") if "model" in name] == []
prune(runs.model_copy(update={"keep": 1}), spared=names(runs)[-1])
"""


@pytest.fixture(params=["s3", "a folder"])
def stored(request: pytest.FixtureRequest, shop: Project, tmp_path: Path) -> Project:
    """The shop with two shards, whose machines share a bucket or a folder."""
    mine = shop.with_env(RUNS__SHARDS="2")
    if request.param == "a folder":
        return mine.with_env(RUNS__STORE=str(tmp_path / "store"))
    reach: dict[str, str] = request.getfixturevalue("bucket")
    return replace(mine, env=mine.env | reach).with_env(RUNS__STORE=f"s3://shop/{tmp_path.name}")


def test_an_artifact_may_be_a_folder(stored: Project, tmp_path: Path) -> None:
    mine = in_pipeline(stored, tmp_path, SAVED, SAVES)
    change(tmp_path / "changed" / mine.package / "pipeline.py", {'"model.npz"': '"model/of it/100 %.npz"'})
    first, second = part(mine, 0), part(mine, 1)
    assert [ended(first)[0], ended(second)[0]] == [0, 0]
    assert len({row["customer"] for row in rows(mine)}) > 250
    looked = machine(mine, 5).python(IS_WHOLE)
    assert looked.returncode == 0, looked.stderr


def test_a_shard_of_any_name_has_its_own_path(shop: Project) -> None:
    done = shop.python("""
from pathlib import Path
from burger_combos.ops.runs import Run
from burger_combos.ops.shards import Shard
run = Run(Path("."), None)
for name in ("rows.parquet", "parts", "parts/a.bin", "rows.tar.gz"):
    print(run.path(name, Shard(1, 3)), run.path(name, Shard(0, 1)))
""")
    assert done.stdout.splitlines() == [
        "rows-1-of-3.parquet rows.parquet",
        "parts-1-of-3 parts",
        "parts/a-1-of-3.bin parts/a.bin",
        "rows.tar-1-of-3.gz rows.tar.gz",
    ], done.stderr
