"""Sweeps: which settings are tried, what is compared with what, and that no reader sees anything of it."""

import json
import re
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import snippets
from rig import Project, sh

SWEEP = """
[sweep]
{more}

[sweep.settings]
{settings}
"""

# What the module `combinations` finds, and how many trials fit on a machine, each as JSON.
FOUND = """
import json
from {package}.ops.settings import Stage, Sweep, enter_project, load
enter_project(Stage.develop)
from {package}.pipeline import Settings
from {package}.ops.sweep import pool
from {package}.ops.sweep.combinations import combinations

def tried(**section):
    return combinations(Sweep(**section), "here")

both = {{"model.a": [1, 2], "model": {{"b": {{"min": 1, "max": 100, "log": True}}, "c": {{"min": 0.5, "max": 2}}}}}}
few = {{"a": [1, 2], "b": {{"min": 1, "max": 3}}}}
pool.pl.thread_pool_size = lambda: 8
pool.free_mb = lambda: 5000
settings = load(Settings, Stage.develop)

def fits(parallel, trials, needed):
    width = pool.width(settings.model_copy(update={{"sweep": Sweep(parallel=parallel)}}), trials, needed)
    return [width.trials, width.threads, width.why]

print(json.dumps({{
    "grid": tried(settings={{"model.a": [1, 2], "model": {{"b": ["x", "y"]}}}}),
    "one": tried(search="random", trials=50, settings=both),
    "again": tried(search="random", trials=50, settings=both),
    "other": tried(search="random", trials=50, seed=2, settings=both),
    "all": tried(search="random", trials=6, settings=few),
    "fits": [fits(0, 20, 0), fits(0, 3, 0), fits(4, 20, 0), fits(0, 20, 1500), fits(4, 20, 9000)],
}}))
"""

# Each wrong section, one after the other; what is told of each as JSON.
REFUSED = """
import json
from pathlib import Path
from {package}.ops.settings import Stage, enter_project, load
enter_project(Stage.develop)
from {package}.pipeline import Settings
from {package}.ops.problems import Problem
from {package}.ops.sweep import phases

file = Path("develop/settings.toml")
before, told = file.read_text().partition("[sweep]")[0], []
for section in {sections!r}:
    file.write_text(before + section)
    try:
        phases.begin(load(Settings, Stage.develop))
        told.append("nothing")
    except Problem as problem:
        told.append(str(problem))
print(json.dumps(told))
"""

# What one task may use that does all steps, as JSON.
OF_TASK = """
import json
from {package}.ops import needs
from {package}.ops.settings import Stage, StageSettings, enter_project, load
enter_project(Stage.develop)
from {package}.ops.problems import Problem

try:
    print(json.dumps(needs.of_task(load(StageSettings, Stage.develop), ["load", "train", "publish"]).model_dump()))
except Problem as problem:
    print(json.dumps(str(problem)))
"""

NEIGHBOURS = '[sweep.settings]\n"model.neighbours" = '
CHANCE = '[sweep]\nsearch = "random"\ntrials = 3\n'
WRONG = {
    "": "[sweep.settings] names no setting to try",
    '[sweep.settings]\n"model.neighbour" = [1]': '"model.neighbour": no such setting; model.neighbours is meant?',
    '[sweep.settings]\n"model" = [1]': '"model": no such setting; model.top_k is meant?',
    '[sweep.settings]\n"runs.shards" = [1, 2]': '"runs.shards" changes no result',
    f"{NEIGHBOURS}[]": '"model.neighbours" is an empty list',
    f"{NEIGHBOURS}5": '"model.neighbours" is 5: a list of values',
    f"{NEIGHBOURS}[5, 5]": '"model.neighbours" has 5 twice',
    f'{NEIGHBOURS}[5, "many"]': 'a whole number is expected, not "many"',
    f'{NEIGHBOURS}["5"]': "'5' would be taken for 5",
    f"{NEIGHBOURS}[0]": "more than 0 is expected",
    f"{NEIGHBOURS}[200]": "tries the settings of now, and nothing else",
    f"{NEIGHBOURS}{{min = 1, max = 9}}": '"model.neighbours" is a range: a grid takes lists',
    f"[sweep]\ntrials = 3\n{NEIGHBOURS}[5, 9]": "trials is 3, and the grid has 2 combinations only",
    f"[sweep]\ntrials = 1\n{NEIGHBOURS}[5, 9]": "a grid tries all of its 2 combinations",
    f'[sweep]\nsearch = "random"\n{NEIGHBOURS}[5, 9]': "trials: how many?",
    f"{CHANCE}{NEIGHBOURS}[5, 9]": "there are 2 combinations only",
    f"{CHANCE}{NEIGHBOURS}{{min = 9, max = 5}}": "min is 9, and max 5",
    f"{CHANCE}{NEIGHBOURS}{{min = 1}}": "a range has min, max",
    '[sweep]\nsearch = "by hand"': "sweep.search: 'grid' or 'random' is expected",
    "[sweep]\ntrails = 3": "sweep.trails: unknown key; trials is meant?",
}


def with_sweep(place: Project, settings: dict[str, Any], **more: Any) -> None:
    """Let a project's develop stage try these settings."""
    file = place.folder / "develop/settings.toml"
    text = file.read_text(encoding="utf-8").partition("\n[sweep]")[0]
    lines = [f'"{name}" = {json.dumps(values)}' for name, values in settings.items()]
    told = [f"{name} = {json.dumps(value)}" for name, value in more.items()]
    file.write_text(text + SWEEP.format(more="\n".join(told), settings="\n".join(lines)), encoding="utf-8")


def trials(place: Project) -> dict[int, dict[str, Any]]:
    """The records of all trials, by their numbers."""
    found = [json.loads(file.read_text()) for file in (place.folder / "var").rglob("sweeps/*/run.json")]
    return {each["facts"]["sweep"]["trial"]: each for each in found}


def settings_of(place: Project) -> dict[str, Any]:
    return tomllib.loads((place.folder / "develop/settings.toml").read_text(encoding="utf-8"))


def told(place: Project, script: str) -> Any:
    done = place.python(script)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def here(place: Project) -> Project:
    """A place under git, so that a diff can be applied to it."""
    for command in (["init", "-q"], ["add", "develop"], ["commit", "-q", "-m", "as it was"]):
        assert sh("git", *command, cwd=place.folder).returncode == 0
    return place


def test_what_is_tried_is_each_combination_or_some_by_chance(place: Project) -> None:
    found = told(place, FOUND.format(package=place.package))
    assert found["grid"] == [{"model.a": a, "model.b": b} for a in (1, 2) for b in ("x", "y")]
    assert found["one"] == found["again"] != found["other"]
    assert len({json.dumps(each) for each in found["one"]}) == 50
    assert {each["model.a"] for each in found["one"]} == {1, 2}
    assert all(isinstance(each["model.b"], int) and 1 <= each["model.b"] <= 100 for each in found["one"])
    assert 15 <= sum(each["model.b"] <= 10 for each in found["one"]) <= 35  # half of them, as each factor is as likely
    assert all(0.5 <= each["model.c"] <= 2 and len(f"{each['model.c']:g}") <= 6 for each in found["one"])
    assert sorted(found["all"], key=str) == [{"a": a, "b": b} for a in (1, 2) for b in (1, 2, 3)]
    whys = ["", "", "", "as one takes 1,500 MB, and 4,500 MB are free", "as one takes 9,000 MB, and 4,500 MB are free"]
    assert found["fits"] == [
        [*fits, why] for fits, why in zip([[8, 1], [3, 2], [4, 2], [3, 1], [1, 2]], whys, strict=True)
    ]


def test_what_cannot_be_tried_is_told_in_a_line_before_anything_runs(place: Project) -> None:
    found = told(place, REFUSED.format(package=place.package, sections=list(WRONG)))
    for line, (section, expected) in zip(found, WRONG.items(), strict=True):
        assert expected in line, section
        assert line.startswith("develop/settings.toml: ") and "\n" not in line, section
    assert not list(place.folder.rglob("sweeps/*/run.json"))
    with_sweep(place, {"model.neighbours": [5]})
    set_already = place.with_env(MODEL__NEIGHBOURS="7").call("sweep")
    assert "environment variable BURGER_COMBOS_MODEL__NEIGHBOURS sets it, for every trial" in set_already.stderr


def test_a_trials_task_may_use_what_the_step_may_that_needs_most(place: Project) -> None:
    common = place.with_env(RESOURCES__CPU="1", RESOURCES__MEMORY_MB="2000", RESOURCES__LOAD__MEMORY_MB="9000")
    more = common.with_env(RESOURCES__TRAIN__GPU="1", RESOURCES__TRAIN__NODE="pool=gpu", RESOURCES__TRAIN__CPU="4")
    found = told(more, OF_TASK.format(package=place.package))
    assert found == {"cpu": 4, "memory_mb": 9000, "gpu": 1, "shm_mb": 0, "node": "pool=gpu"}
    refused = told(more.with_env(RESOURCES__LOAD__NODE="pool=large"), OF_TASK.format(package=place.package))
    variable = "environment variable BURGER_COMBOS_RESOURCES__{step}__NODE: resources.{name}.node"
    first, other = (variable.format(step=name.upper(), name=name) for name in ("load", "train"))
    assert refused == f"{other}: a trial does all steps on one machine, and {first} is pool=large"


def test_the_best_of_a_grid_is_shown_as_a_diff_and_readers_see_nothing(here: Project) -> None:
    assert here.call("run", "--run-id", "before").returncode == 0
    before = here.written()
    with_sweep(here, {"model.neighbours": [1, 2, 200]})
    done = here.call("sweep")
    assert done.returncode == 0, done.stderr
    assert here.written() == before
    found = trials(here)
    assert [each["facts"]["sweep"]["settings"] for _, each in sorted(found.items())] == [
        {},
        {"model.neighbours": 1},
        {"model.neighbours": 2},
    ]
    assert {(each["status"], each["git_commit"], each["kind"]) for each in found.values()} == {
        ("ok", "c" * 40, "trial")
    }
    assert found[1]["overrides"] == found[0]["overrides"] | {"model.neighbours": "BURGER_COMBOS_MODEL__NEIGHBOURS"}
    assert sorted(file.name for file in (here.folder / "var").rglob("sweeps/*-1/*")) == [
        "lock",
        "log.jsonl",
        "run.json",
    ]
    # A run under the same settings measures the same.
    under = here.with_env(MODEL__NEIGHBOURS="1", GATE__MIN_LIFT="0")
    assert under.call("run", "--run-id", "same").returncode == 0
    same = json.loads(next((here.folder / "var").rglob("runs/same/run.json")).read_text())
    assert same["metrics"]["hit_rate"] == found[1]["metrics"]["hit_rate"]
    assert {each["data"]["hash"] for each in found.values()} == {same["data"]["hash"]}
    values = {number: each["metrics"]["hit_rate"]["value"] for number, each in found.items()}
    assert len({*values.values()}) == 3
    best = max(values, key=lambda number: values[number])
    shown = here.call("results", "--sweep", "last")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(here.call("results", "--sweep", "last", "--json").stdout)["best"] == [best]
    assert best == 0 and "The settings of now are the best: hit rate " in shown.stdout and "@@" not in shown.stdout


def test_it_goes_on_where_it_was_killed(here: Project) -> None:
    with_sweep(here, {"model.neighbours": [1, 2, 3, 4, 5]}, parallel=1)
    first = here.start("sweep")
    wait_for(lambda: trials(here).get(2, {}).get("status") == "ok")
    first.kill()
    first.communicate()
    wait_for(lambda: all(each["status"] != "running" for each in trials(here).values()))  # none is left to itself
    known = {number: each for number, each in trials(here).items() if each["status"] == "ok"}
    assert {0, 1, 2} <= known.keys() and len(known) < 6
    again = here.call("sweep")
    assert again.returncode == 0, again.stderr
    assert f"goes on: {len(known) - 1} of them done already" in again.stdout
    found = trials(here)
    assert {each["status"] for each in found.values()} == {"ok"} and len(found) == 6
    assert {number: found[number] for number in known} == known
    assert len(list((here.folder / "var").rglob("sweeps/*/sweep.json"))) == 1


def test_an_interrupt_ends_its_trials_in_order(here: Project) -> None:
    with_sweep(here, {"model.neighbours": [1, 2, 3, 4, 5]}, parallel=2)
    begun = here.start("sweep")
    wait_for(lambda: 1 in trials(here))
    begun.send_signal(signal.SIGINT)
    out, err = begun.communicate(timeout=60)
    assert begun.returncode == 130 and "Traceback" not in err
    assert re.search(r"stopped after \d of 5 trials; the same command goes on", out)
    assert {each["status"] for each in trials(here).values()} <= {"ok", "stopped"}


def test_what_fails_or_is_of_something_else_is_told_and_left_out(here: Project) -> None:
    with_sweep(
        here,
        {"orders.max_rejected_share": [0.05, 0.0], "orders.sample.seed": [1, 2], "model.top_k": [5, 100]},
        search="random",
        trials=8,
    )
    done = here.call("sweep")
    assert done.returncode == 1
    assert "error: no trial can be compared with the settings of now; the first: " in done.stderr
    assert len(re.findall("(?m)not compared *$", done.stdout)) == 7
    assert "it has read other data, hash " in done.stdout
    assert "baseline popularity is " in done.stdout
    failed = min(number for number, each in trials(here).items() if each["status"] == "failed")
    run_id = trials(here)[failed]["run_id"]
    assert f"make logs RUN={run_id}" in done.stdout
    assert "rejected" in here.call("logs", "--run", run_id).stdout
    assert f"trial    {failed} of sweep " in here.call("results", "--run", run_id).stdout


def test_a_tie_is_told_and_what_changes_nothing_is_no_diff(here: Project) -> None:
    with_sweep(here, {"model.anybody": ["a", "b"]})
    done = here.call("sweep")
    assert done.returncode == 0, done.stderr
    assert "All 3 have the same hit rate: it does not depend on these settings." in done.stdout
    assert "@@" not in done.stdout and " best" not in done.stdout


def test_a_metric_that_is_not_measured_is_told_by_the_first_trial(here: Project) -> None:
    with_sweep(here, {"model.neighbours": [5]}, metric="hit_rat")
    done = here.call("sweep")
    assert done.returncode == 1 and len(trials(here)) == 1
    assert "develop/settings.toml: sweep.metric: 'hit_rat' is not measured; hit_rate is meant?" in done.stderr
    assert here.call("run").returncode == 0
    at_once = here.call("sweep")
    assert (
        at_once.stderr == "error: develop/settings.toml: sweep.metric: 'hit_rat' is not measured; hit_rate is meant?\n"
    )
    assert len(trials(here)) == 1


@pytest.mark.parametrize(
    ("example", "better"), [("recommend", max), ("classify", max), ("forecast", min), ("images", max)]
)
def test_each_example_brings_a_sweep_that_works(
    example: str, better: Callable[[Any], float], generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "p", example=example, notebooks="none")
    mine.make("setup")
    before = settings_of(mine)
    shown = mine.make("sweep")
    found = trials(mine)
    metric = next(iter(found[0]["metrics"]))
    values = {number: each["metrics"][metric]["value"] for number, each in found.items()}
    best = better(values.values())
    if example == "images" and values[0] == best:  # a network's last digits are those of the processor
        assert "The settings of now are the best" in shown
        return
    assert values[0] != best, "the example's sweep has something to find"
    chosen = found[next(number for number, value in values.items() if value == best)]["facts"]["sweep"]["settings"]
    applied = subprocess.run(
        ["git", "apply"], cwd=mine.folder, input=mine.make("results", "SWEEP=last"), text=True, env=mine.env or None
    )
    assert applied.returncode == 0
    assert mine.git("diff", "--name-only") == "develop/settings.toml"
    after = settings_of(mine)
    for name, value in chosen.items():
        section, key = name.split(".")
        assert after[section][key] == value
        after[section][key] = before[section][key]
    assert after == before
    assert "on the same held-out rows is partly luck" in shown
    diff = mine.git("diff", "--unified=0").splitlines()
    old, new = (sorted(line[1:] for line in diff if re.match(rf"[{sign}]\w", line)) for sign in "-+")
    assert [re.sub("=[^#]*", "", line) for line in old] == [re.sub("=[^#]*", "", line) for line in new]  # comments stay
    if example == "classify":
        mine.git("checkout", "--quiet", "develop")
        the_page_works_as_it_stands(mine)


def test_the_blank_example_has_nothing_to_try(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "p", example="blank", notebooks="none")
    mine.make("setup")
    done = mine.run("make", "sweep")
    assert "error: develop/settings.toml: [sweep.settings] names no setting to try" in done.stderr


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so."""
    latest = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < latest
        time.sleep(0.05)


def the_page_works_as_it_stands(mine: Project) -> None:
    """The blocks of the manual's page `sweeps.md`, in the example that has the settings which they name."""
    grid, chance, commands = (block.code for block in snippets.blocks(mine.folder / "docs/sweeps.md"))
    file = mine.folder / "develop/settings.toml"
    text = file.read_text(encoding="utf-8").partition("\n[sweep]")[0]
    for section, number, metric in ((grid, 6, "average precision"), (chance, 5, "log loss, less is better")):
        file.write_text(f"{text}\n{section}", encoding="utf-8")
        done = mine.run("sh", "-c", commands)
        assert f"metric   {metric}\n" in done.stdout, done.stderr
        assert len(re.findall(r"(?m)^trial \d +\d+\.\d s ", done.stdout)) == number
        before, after = tomllib.loads(f"{text}\n{section}"), settings_of(mine)
        assert done.returncode == 0, done.stderr
        assert before["sweep"] == after["sweep"] and before["model"] != after["model"]
