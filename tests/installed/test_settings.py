"""A wrong setting is told in plain words: where it is, its key, what is expected there, and what was given."""

import json

from rig import Project

# Each of these sets one variable of the environment; what is told of it follows the variable's name, or is all of it.
WRONG = {
    "MODEL__TOPK=3": "model.topk: unknown key; top_k is meant?",
    "MODEL__DEPTH=3": "model.depth: unknown key; known: top_k, neighbours, anybody",
    "ORDERS__COLUMNS__CUSTMER=x": "orders.columns.custmer: unknown key; customer is meant?",
    "DEPLOY__SCALE__MAX_SECOND=1": "deploy.scale.max_second: unknown key; max_seconds is meant?",
    "MODLE__TOP_K=3": "no such setting; BURGER_COMBOS_MODEL__TOP_K is meant?",
    "MODEL_TOP_K=3": "no such setting; BURGER_COMBOS_MODEL__TOP_K is meant?",
    "DEPLOY_SCALE__FACTORS=[1]": "no such setting; BURGER_COMBOS_DEPLOY__SCALE__FACTORS is meant?",
    "WEATHER__KEY=3": "no such setting",
    "MODEL__TOP_K=five": 'model.top_k: a whole number is expected, not "five"',
    "MODEL__TOP_K=1.5": 'model.top_k: a whole number is expected, not "1.5"',
    "MODEL__TOP_K=0": 'model.top_k: more than 0 is expected, not "0"',
    "MODEL=5": "model: a section is expected, not 5",
    "GATE__HOLDOUT_DAYS=0": 'gate.holdout_days: 1 or more is expected, not "0"',
    "GATE__HOLDOUT_DAYS=4000": 'gate.holdout_days: 3650 or less is expected, not "4000"',
    "GATE__MIN_LIFT=much": 'gate.min_lift: a number is expected, not "much"',
    "GATE__MIN_LIFT=-1": 'gate.min_lift: 0 or more is expected, not "-1"',
    "GATE__UNJUDGED=maybe": "gate.unjudged: 'pass' or 'refuse' is expected, not \"maybe\"",
    "ORDERS__SOURCE=": 'orders.source: text of at least 1 character is expected, not ""',
    "ORDERS__DATE_FORMATS=[]": "orders.date_formats: a list of at least 1 value is expected, not []",
    "ORDERS__DATE_FORMATS=[1]": "orders.date_formats.0: text is expected, not 1",
    'ORDERS__DATE_FORMATS={"a": 1}': 'orders.date_formats: a list is expected, not {"a": 1}',
    "DEPLOY__SCALE__FACTORS=[1, 0]": "deploy.scale.factors.1: more than 0 is expected, not 0",
    'RUNS={"folder": 1}': "runs.folder: a path is expected, not 1",
    'ALERT={"webhook": 12345}': "alert.webhook: text is expected, not ***",
    'DATABASE={"url": ["postgresql://a:geheim@b"]}': "database.url: text is expected, not ***",
    'MODEL={"top_k": "postgresql://a:geheim@b"}': (
        'model.top_k: a whole number is expected, not "postgresql://a:***@b"'
    ),
    "SCHEDULE__TIMEZONE=Mars": "schedule.timezone: 'Mars' is no time zone, as Europe/Lisbon is",
    "TRACKING=[1]": "tracking: a section is expected, not [1]",
    "RESOURCES=4": "resources: a section is expected, not 4",
    "RESOURCES__MEMORY=4": "resources.memory: unknown key; memory_mb is meant?",
    "RESOURCES__GPU=1.5": 'resources.gpu: a whole number is expected, not "1.5"',
    "RESOURCES__CPU=inf": 'resources.cpu: a finite number is expected, not "inf"',
    "RESOURCES__TRAIN=4": "resources.train: unknown key; known: cpu, memory_mb, gpu, shm_mb, node",
    "RESOURCES__TRAIN__CPUS=4": "resources.train.cpus: unknown key; cpu is meant?",
    "RESOURCES__TRAIN__SHM_MB=-1": 'resources.train.shm_mb: 0 or more is expected, not "-1"',
}
EACH = """
import json, os, sys
from burger_combos.ops.problems import Problem
from burger_combos.ops.settings import Stage, load
from burger_combos.pipeline import Settings

told = {}
for each in json.loads(sys.stdin.read()):
    name, _, value = each.partition("=")
    os.environ[f"BURGER_COMBOS_{name}"] = value
    try:
        load(Settings, Stage.develop)
        told[each] = "nothing"
    except Problem as problem:
        told[each] = str(problem)
    del os.environ[f"BURGER_COMBOS_{name}"]
print(json.dumps(told))
"""
# What pydantic can say of a value of each type that settings have, and of some more that a project's own may have.
TYPES = """
import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID
from pydantic import AnyUrl, Field, FiniteFloat, SecretStr, create_model
from burger_combos.ops.problems import Problem
from burger_combos.ops.settings import Section, Stage, section

class Size(Enum):
    small = "small"

cases = [
    (bool, "perhaps"), (bool, 7), (int, "x"), (int, 1.5), (int, None), (float, []), (FiniteFloat, float("inf")),
    (str, 5), (Path, 5), (Literal["a", "b"], "c"), (Size, "big"), (date, "x"), (date, "2026-13-01"), (datetime, "x"),
    (time, "x"), (timedelta, "x"), (Decimal, "x"), (AnyUrl, "x"), (UUID, "x"), (list[int], 1), (set[int], 1),
    (tuple[int, ...], 1), (dict[str, int], 1), (frozenset[int], 1), (SecretStr, 5), (int | None, "x"),
    (Annotated[str, Field(max_length=1)], "ab"), (Annotated[str, Field(pattern="^a$")], "b"),
    (Annotated[int, Field(multiple_of=2)], 3), (Annotated[int, Field(lt=2)], 3),
    (Annotated[list[int], Field(max_length=1)], [1, 2]),
]
told = []
for kind, value in cases:
    try:
        section(create_model("Mine", __base__=Section, key=(kind, ...)), Stage.develop, ("mine",), {"key": value})
        told.append(f"{kind}: nothing")
    except Problem as problem:
        told.append(str(problem))
try:
    section(create_model("Mine", __base__=Section, key=(int, ...)), Stage.develop, ("mine",), {})
except Problem as problem:
    told.append(str(problem))
print(json.dumps(told))
"""
# What each of these settings, of which some are several variables, means for steps or how it is refused.
NEEDS = """
import json, os
from burger_combos.ops import needs
from burger_combos.ops.problems import Problem
from burger_combos.ops.settings import Stage, load
from burger_combos.pipeline import Settings

told = []
for each in {cases}:
    variables = {{f"BURGER_COMBOS_{{name}}": value for name, value in each.items()}}
    os.environ.update(variables)
    try:
        found = needs.of_steps(load(Settings, Stage.develop), ["load", "train", "publish"])
        told.append({{step: [*amounts.model_dump().values()] for step, amounts in found.items()}})
    except Problem as problem:
        told.append(str(problem))
    for name in variables:
        del os.environ[name]
print(json.dumps(told))
"""
# Words of pydantic's.
THEIRS = ("input should", "unable to", "valid ", "parse", "extra", "permitted", "value error", "tuple", "dictionary")


def test_a_wrong_variable_is_told_in_plain_words(project: Project) -> None:
    script = EACH.replace("sys.stdin.read()", repr(json.dumps(list(WRONG))))
    done = project.python(script)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for each, words in WRONG.items():
        name = each.partition("=")[0]
        assert told[each] == f"environment variable BURGER_COMBOS_{name}: {words}"
        assert not [word for word in THEIRS if word in told[each].lower()]


def test_each_type_of_value_is_told_in_plain_words(project: Project) -> None:
    done = project.python(TYPES)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told) == 32
    for line in told[:-1]:
        assert line.startswith("develop/settings.toml: mine.key: ")
        assert " is expected, not " in line
        assert not [word for word in THEIRS if word in line.lower()], line
    assert told[-1] == "develop/settings.toml: mine.key: is missing"
    assert told[24].endswith("text is expected, not ***")


def test_variables_of_ones_own_and_of_another_package_are_left_alone(project: Project) -> None:
    script = EACH.replace("sys.stdin.read()", repr('["TOKEN=x", "EU_MODEL__TOP_K=3", "MODEL_FILE=x"]'))
    done = project.python(script)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout).values()) == {"nothing"}


def test_a_step_has_what_is_said_of_it_and_else_what_is_said_of_all(project: Project) -> None:
    nothing, common = [0, 0, 0, 0, ""], [2, 4000, 1, 0, "pool=gpu"]
    of_all = {"CPU": "2", "MEMORY_MB": "4000", "GPU": "1", "NODE": "pool=gpu"}
    of_all = {f"RESOURCES__{key}": value for key, value in of_all.items()}
    of_train = {"RESOURCES__TRAIN__MEMORY_MB": "9000", "RESOURCES__TRAIN__SHM_MB": "500"}
    named = "environment variable BURGER_COMBOS_RESOURCES__"
    cases: dict[str, object] = {
        json.dumps({}): {"load": nothing, "train": nothing, "publish": nothing},
        json.dumps(of_all): {"load": common, "train": common, "publish": common},
        json.dumps(of_train): {"load": nothing, "train": [0, 9000, 0, 500, ""], "publish": nothing},
        json.dumps(of_all | of_train | {"RESOURCES__PUBLISH__GPU": "0", "RESOURCES__PUBLISH__NODE": ""}): {
            "load": common,
            "train": [2, 9000, 1, 500, "pool=gpu"],
            "publish": [2, 4000, 0, 0, ""],
        },
        json.dumps({"RESOURCES__TRIAN__CPU": "2"}): (
            "develop/platform.toml: resources.trian: no such step: the steps of pipeline.py are load, train, publish; "
            "train is meant?"
        ),
        json.dumps({"RESOURCES__MEMORY_MB": "100", "RESOURCES__TRAIN__SHM_MB": "500"}): (
            f"{named}TRAIN__SHM_MB: resources.train.shm_mb: 500 is part of memory_mb, which is 100"
        ),
        json.dumps({"RESOURCES__TRAIN__MEMORY_MB": "100", "DEPLOY__SCALE__MAX_MEMORY_MB": "8000"}): (
            "environment variable BURGER_COMBOS_DEPLOY__SCALE__MAX_MEMORY_MB: deploy.scale.max_memory_mb: "
            "resources.memory_mb says it: leave this key out"
        ),
        json.dumps({"DEPLOY__SCALE__MAX_MEMORY_MB": "9000"}): {"load": nothing, "train": nothing, "publish": nothing},
    }
    done = project.python(NEEDS.format(cases=[json.loads(case) for case in cases]))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == list(cases.values())
    refused = project.with_env(RESOURCES__TRIAN__CPU="2").call("run")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith("error: develop/platform.toml: resources.trian: no such step: ")
