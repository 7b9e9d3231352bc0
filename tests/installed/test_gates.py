"""The gates before a deployment: each lets a good version pass, and turns red where what it guards is broken."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from rig import Project

GATES = [
    "data",
    "enough to judge by",
    "better than a baseline",
    "as good as production",
    "scale: quality",
    "scale: time",
    "scale: memory",
]

# What a change does to the model, fitted to `history`, of 300 customers or as many times that as the scale check tries.
PLANTED = """

_fit = fit


def fit(history):
    model = _fit(history)
    size = history.shape[0] / 300
    {change}
    return model
"""
SLOW = "import time; time.sleep(size**2 / 2)"
HOARDING = "globals()['hoard'] = np.ones(int(size**2 * 4e6))"
CONFUSED_BY_MANY = "model.affinity[:] = 0 if size > 1.5 else model.affinity"
POOR = "model.affinity[:] = 0"


# Another evaluation: of what an environment variable says, by a metric of which less is better.
OF_LESS = """
def evaluate(run: Run, settings: Settings) -> None:
    import os
    run.count("held_out_orders", 100)
    run.measure("wape", float(os.environ["WAPE"]), better="lower", baselines={"naive": 0.29})


def gate(run: Run, settings: Settings) -> None:
    from .ops.verdicts import better_than_baselines
    enforce(run, [better_than_baselines(run.metric("wape"), settings.gate.min_lift)])


"""

# One that learns rows by heart: it finds again what it has seen, and so each held-out row whose copy it has seen.
BY_HEART = """
def evaluate(run: Run, settings: Settings) -> None:
    raw = pl.read_parquet(run.path("raw.parquet")).drop_nulls()
    held_out = {split}
    row = [pl.col("item"), pl.col("ordered_at"), pl.col("quantity"), pl.col("seen_by")]
    raw = raw.with_columns(seen_by=pl.col("customer").str.split("~").list.first())
    seen = raw.filter(~held_out).select(row).unique()
    found = raw.filter(held_out).join(seen, on=["item", "ordered_at", "quantity", "seen_by"], how="semi")
    run.count("held_out_orders", int(held_out.sum()))
    run.measure("recall", len(found) / int(held_out.sum()), better="higher")


def gate(run: Run, settings: Settings) -> None:
    enforce(run, [])


"""
BY_CHANCE = "pl.Series(np.random.default_rng(0).random(len(raw)) < 0.3)"
GROUPED = 'holdout.by_key(run, raw["customer"], 0.3)'
MISSPELT = 'holdout.by_key(run, raw["customer"].str.to_lowercase() + "x", 0.3)'


def judged(place: Project) -> tuple[dict[str, bool], str]:
    """Which gates passed, and all that was said; the exit code says the same."""
    done = place.call("gates")
    found = {name.strip(): mark == "✓" for mark, name in re.findall(r"^([✓✗]) (.{24})", done.stdout, re.MULTILINE)}
    assert found, done.stderr
    assert done.returncode == (0 if all(found.values()) else 3)
    refused = [name for name, passed in found.items() if not passed]
    told = [line for line in done.stderr.splitlines() if not line.startswith("  ")]  # where a bug is
    assert told == ([f"error: refused by {', '.join(refused)}"] if refused else [])
    return found, done.stdout


def planted(place: Project, project: Project, change: str) -> Project:
    """The same place with another model."""
    source = place.folder / "src"
    shutil.copytree(project.folder / "src", source)
    model = source / project.package / "model.py"
    model.write_text(model.read_text() + PLANTED.format(change=change))
    mine = place.with_env(COMMIT="d" * 40)
    mine.env["PYTHONPATH"] = str(source)
    return mine


def test_a_good_version_passes_and_nothing_is_published(place: Project) -> None:
    found, said = judged(place)
    assert found == dict.fromkeys(GATES, True)
    assert re.findall(r"^ +([\d.]+) ×", said, re.MULTILINE) == ["0.25", "0.5", "1", "2"]
    sizes = [int(size) for size in re.findall(r"× +(\d+) ", said)]
    assert sizes[2] <= 300
    assert sizes[3] == 2 * sizes[2]
    assert re.search(rf"✓ scale: quality +hit rate [\d.]+ at {sizes[3]}, [\d.]+ at {sizes[2]};", said)
    assert "nothing to compare with yet" in said
    assert place.written("production") == ([], [])
    assert not list(place.folder.glob("var/production/*/*"))


@pytest.mark.parametrize(
    ("setting", "gate", "finding"),
    [
        ({"ORDERS__MAX_REJECTED_SHARE": "0"}, "pipeline", "rows rejected"),
        ({"ORDERS__SOURCE": "data/none.csv"}, "pipeline", "data/none.csv: no such file"),
        ({"GATE__MIN_HITS": "100000"}, "enough to judge by", "too few to compare"),
        ({"GATE__MIN_LIFT": "9"}, "better than a baseline", "min_lift is 9"),
        ({"DEPLOY__SCALE__MAX_SECONDS": "0.001"}, "scale: time", "at most 0.001"),
        ({"DEPLOY__SCALE__MAX_MEMORY_MB": "0.001"}, "scale: memory", "at most 0.001"),
        ({"DEPLOY__SCALE__BY": "nobody"}, "pipeline", "deploy.scale.by: no column 'nobody' in raw.parquet"),
    ],
)
def test_a_threshold_refuses(setting: dict[str, str], gate: str, finding: str, place: Project) -> None:
    found, said = judged(place.with_env(**setting))
    assert [name for name, passed in found.items() if not passed] == [gate]
    assert finding in said


@pytest.mark.parametrize(
    ("change", "gate", "finding"),
    [
        (SLOW, "scale: time", r"to the power of (1\.[6-9]|2\.)"),
        (HOARDING, "scale: memory", r"to the power of (1\.[6-9]|2\.)"),
        (CONFUSED_BY_MANY, "scale: quality", r"hit rate 0\.\d+ at 6\d\d|hit rate 0\.\d+ at 5\d\d"),
        (POOR, "better than a baseline", "hit rate"),
        ("raise MemoryError('all of it')", "pipeline", "MemoryError: all of it"),
    ],
)
def test_a_bad_model_is_refused(change: str, gate: str, finding: str, place: Project, project: Project) -> None:
    found, said = judged(planted(place, project, change))
    red = [name for name, passed in found.items() if not passed]
    assert red == [gate] or (change == HOARDING and red == ["scale: time", gate])  # to fill memory takes time too
    line = next(line for line in said.splitlines() if line.startswith(f"✗ {gate}"))
    assert re.search(finding, line), line


def test_a_version_worse_than_productions_is_refused(place: Project, project: Project) -> None:
    assert place.call("run", "--stage", "production").returncode == 0
    easy = place.with_env(GATE__MIN_LIFT="0.1")
    found, said = judged(easy)
    assert found == dict.fromkeys(GATES, True)
    (rate,) = re.findall(r"production 0\.(\d+) by ccccccccccc ", said)
    assert f"hit rate 0.{rate}, " in said  # on the same day's data the same version is as good as itself
    found, _ = judged(planted(easy, project, POOR))
    assert [name for name, passed in found.items() if not passed] == ["as good as production"]


def test_the_scale_check_can_be_left_out(place: Project) -> None:
    found, _ = judged(place.with_env(DEPLOY__SCALE__FACTORS="[]"))
    assert list(found) == GATES[:4]


def evaluated(place: Project, project: Project, steps: str) -> Project:
    """The same place with other steps `evaluate` and `gate`, and no scale check."""
    source = place.folder / "src"
    shutil.copytree(project.folder / "src", source)
    pipeline = source / project.package / "pipeline.py"
    text = pipeline.read_text()
    before, after = text.index("def evaluate("), text.index("def recommend(")
    pipeline.write_text(text[:before] + steps.strip() + "\n\n\n" + text[after:])
    mine = place.with_env(DEPLOY__SCALE__FACTORS="[]")
    mine.env["PYTHONPATH"] = str(source)
    return mine


def wape(place: Project, value: float) -> Project:
    return Project(place.folder, place.package, place.env | {"WAPE": str(value)})


def test_a_metric_of_which_less_is_better_is_judged_so(place: Project, project: Project) -> None:
    mine = evaluated(place, project, OF_LESS)
    done = wape(mine, 0.222).call("run", "--stage", "production")
    assert done.returncode == 0, done.stderr
    shown = mine.call("results", "--stage", "production").stdout
    assert re.search("wape +0.222 +0.77 × baseline naive, less is better", shown)
    status = mine.call("status", "--stage", "production").stdout
    assert "wape 0.222, baseline naive 0.290" in status
    assert "better than a baseline: 1.31 × what is demanded" in status
    worse, said = judged(wape(mine, 0.285))
    assert [name for name, passed in worse.items() if not passed] == ["as good as production"]
    assert "wape 0.285, production 0.222 by ccccccccccc for" in said
    better, _ = judged(wape(mine, 0.21))
    assert all(better.values())


@pytest.mark.parametrize(
    ("split", "finding"),
    [
        (BY_CHANCE, "not compared: some copies of a row may be held out while others are learnt from; hold out by"),
        (GROUPED, r"recall 0 at 6\d\d, 0 at 3\d\d;"),
        (MISSPELT, r"not compared: holdout.by_key takes 3\d\d copies for other keys, as they are not written as"),
    ],
)
def test_copies_do_not_leak_across_a_hold_out(split: str, finding: str, place: Project, project: Project) -> None:
    mine = evaluated(place, project, BY_HEART.replace("{split}", split)).with_env(DEPLOY__SCALE__FACTORS="[1, 2]")
    found, said = judged(mine)
    assert all(found.values())
    assert re.search(f"✓ scale: quality +{finding}", said), said
    recalls = [float(value) for value in re.findall(r"× +\d+ +([\d.]+) ", said)]
    assert recalls[0] == 0
    assert recalls[1] == 0 or split != GROUPED


JUDGED = """
import json
from dataclasses import asdict
from datetime import date
from burger_combos.ops import gates, metrics
from burger_combos.ops.problems import Problem
from burger_combos.ops.runs import Record
from burger_combos.ops.settings import Deploy
from burger_combos.ops.verdicts import better_than_baselines

def metric(value, better, **baselines):
    return metrics.Metric("m", value, better, baselines)

def problem(*values):
    try:
        metrics.Metric("m", *values)
    except Problem as problem:
        return str(problem)

def beside(mine, theirs, numbers=None, **deploy):
    trial = gates.Trial(1, numbers=numbers or {}, metrics={each.name: each.to_dict() for each in mine})
    running = Record("r", "develop", date(2026, 1, 1), git_commit="c" * 40)
    running.metrics = {each.name: each.to_dict() for each in theirs or [] if not isinstance(each, tuple)}
    running.numbers = dict(each for each in theirs or [] if isinstance(each, tuple))
    found = gates._against_production(Deploy(**deploy), trial, None if theirs is None else running)
    return [found.passed, found.finding]

low, high, nan = metric(0.285, "lower"), metric(0.285, "higher"), float("nan")
print(json.dumps({
    "best": [metric(1, "higher", a=2, b=3).best_baseline(), metric(1, "lower", a=2, b=3).best_baseline()],
    "lift": [metric(3, "higher", a=2).lift(), metric(2, "lower", a=3).lift(), metric(-1, "higher", a=-2).lift(),
             metric(0, "higher", a=0).lift(), metric(1, "higher").lift()],
    "beats": [metric(-1, "higher", a=-2).beats_baselines(1), metric(-2, "lower", a=-1).beats_baselines(1),
              metric(-2, "higher", a=-1).beats_baselines(1), metric(0, "lower", a=0).beats_baselines(1),
              metric(0, "lower", a=1).beats_baselines(9), metric(1, "higher").beats_baselines(0)],
    "beside": [low.good_enough_beside(0.222, 0.95), metric(0.222, "lower").good_enough_beside(0.285, 0.95),
               high.good_enough_beside(0.222, 0.95), metric(0.222, "higher").good_enough_beside(0.285, 0.95),
               metric(-1.04, "higher").good_enough_beside(-1, 0.95),
               metric(-1.06, "higher").good_enough_beside(-1, 0.95),
               metric(1.04, "lower").good_enough_beside(1, 0.95), metric(1.06, "lower").good_enough_beside(1, 0.95),
               high.good_enough_beside(nan, 0), high.good_enough_beside(float("inf"), 0)],
    "problems": [problem(nan, "higher"), problem(float("inf"), "lower"), problem(1, "higher", {"a": nan}),
                 problem(1, "more"), problem(None, "lower")],
    "nothing measured": beside([], None),
    "nothing measured any more": beside([], [high]),
    "old record": beside([low], [("m", 0.222)]),
    "old record, better": beside([low], [("m", 0.3)]),
    "old number": beside([low], [("m", nan)]),
    "only a number": beside([], None, {"m": 1}, metric="m"),
    "not measured": beside([low], None, metric="mape"),
    "another direction": beside([high], [low]),
    "another": beside([low], [metrics.Metric("n", 1, "lower")]),
    "off": beside([low], [metric(0.1, "lower")], min_of_production=0),
    "verdicts": [asdict(better_than_baselines(metric(0.31, "lower", naive=0.29), 1)),
                 asdict(better_than_baselines(metric(0.31, "higher", naive=0.25, prior=0.1), 1.2)),
                 asdict(better_than_baselines(metric(0.31, "higher"), 0))],
    "nearly the same": beside([metric(0.22241, "lower")], [metric(0.22244, "lower")], min_of_production=1),
}))
"""


@pytest.fixture(scope="module")
def comparisons(project: Project) -> dict[str, Any]:
    """What comes of metrics of both directions, beside baselines and beside production."""
    done = project.python(JUDGED)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_metrics_are_compared_in_their_direction(comparisons: dict[str, Any]) -> None:
    assert comparisons["best"] == [["b", 3], ["a", 2]]
    assert comparisons["lift"] == [1.5, 1.5, None, None, None]
    assert comparisons["beats"] == [True, True, False, False, True, False]
    assert comparisons["beside"] == [False, True, True, False, True, False, True, False, False, False]
    lower, higher, alone = comparisons["verdicts"]
    assert lower["passed"] is False
    assert lower["finding"] == "m 0.310, baseline naive 0.290 (less is better): lift 0.935; min_lift is 1"
    assert lower["margin"] == pytest.approx(0.29 / 0.31)
    assert higher["passed"] is True
    assert higher["margin"] == pytest.approx(0.31 / 0.25 / 1.2)
    assert alone["passed"] is False
    assert alone["finding"].startswith("m has no baseline to compare with")
    assert comparisons["problems"] == [
        "metric m is nan: measure a finite number, or do not measure it where it cannot be computed",
        "metric m is inf: measure a finite number, or do not measure it where it cannot be computed",
        "metric m: baseline a is nan: measure a finite number, or do not measure it where it cannot be computed",
        'metric m: better is \'more\'; it is "higher" or "lower"',
        "metric m is None, not a number",
    ]


@pytest.mark.parametrize(
    ("case", "passed", "finding"),
    [
        ("nothing measured", True, "no metric is measured, so nothing is compared"),
        ("nothing measured any more", False, "no metric is measured, and production has m"),
        ("old record", False, "m 0.285, production 0.222"),
        ("old record, better", True, "m 0.285, production 0.300"),
        ("old number", False, "production nan"),
        ("only a number", False, 'a number without a direction; in the step that computes it, write run.measure("m", '),
        ("not measured", False, "mape (deploy.metric) is not measured; in the step that computes it, write run.meas"),
        ("another direction", False, "m: higher is better here, lower is better in production: give the metric"),
        ("another", True, "not compared: production has no m, only n"),
        ("off", True, "not compared, as deploy.min_of_production is 0"),
        ("nearly the same", True, "m 0.22241, production 0.22244"),
    ],
)
def test_what_cannot_be_compared_says_so(case: str, passed: bool, finding: str, comparisons: dict[str, Any]) -> None:
    assert comparisons[case][0] is passed
    assert finding in comparisons[case][1]


RESIZE = """
import json
import tempfile
from datetime import date
from pathlib import Path
import polars as pl
from burger_combos.ops.copied import COPIES, as_text
from burger_combos.ops.fingerprint import RAW
from burger_combos.ops.problems import Problem
from burger_combos.ops.runs import Record, Run
from burger_combos.ops.scaling import resize
from burger_combos.ops.settings import Scale

def trial(*frames):
    run = Run(Path(tempfile.mkdtemp()), Record("r", "develop", date(2026, 1, 1), shards=len(frames)))
    for file, frame in zip(run.paths(RAW), frames):
        frame.write_parquet(file)
    return run

def resized(frames, factor, by="key", also=(), own=None):
    run = trial(*frames)
    size = resize(run, factor, Scale(by=by, also=also), (), own)
    read = [[pl.read_parquet(file) for file in run.paths(name) if file.exists()] for name in (RAW, COPIES)]
    return *read, size

def problem(*values, **named):
    try:
        resized(*values, **named)
    except Problem as problem:
        return str(problem)
"""
RESIZED = (
    RESIZE
    + """
def at(values, factor, **kind):
    frame = pl.DataFrame({"key": pl.Series(values, **kind), "row": range(len(values))})
    try:
        (found,), (copies,), size = resized([frame], factor)
    except Problem as problem:
        return str(problem)
    assert found.schema == frame.schema
    assert found.head(len(frame)).equals(frame) or factor < 1
    of = dict(zip(as_text(frame["key"]), as_text(frame["key"])), **dict(copies.select("copy", "key").iter_rows()))
    same = [of[key] if key is not None else None for key in as_text(found["key"])]
    assert same == [as_text(frame["key"])[row] for row in found["row"]]  # a copy is of its own row's key
    assert (size.size, size.by, size.rows) == (found["key"].drop_nulls().n_unique(), "key", len(found))
    return [[str(key) if isinstance(key, date) else key for key in found["key"]], found["key"].n_unique(), len(copies)]

print(json.dumps({
    "whole numbers": at([3, 1, 1, None], 2),
    "at the end of their type": at([1, 100], 2, dtype=pl.Int8),
    "room in their type": at([1, 60], 2, dtype=pl.Int8),
    "unsigned": at([1, 255], 2, dtype=pl.UInt8),
    "floats that are whole": at([1.0, 5.0, None], 2),
    "text": at(["a", "b", None, "a"], 2),
    "a suffix that is taken": at(["a", "a~1"], 2),
    "digits": at(["17", "0250"], 3),
    "categories": at(["a", "b"], 2, dtype=pl.Categorical),
    "an enumeration": at(["a", "b"], 2, dtype=pl.Enum(["a", "b"])),
    "days": at([date(2026, 1, 1)], 2),
    "half": at(list(range(10)), 0.5),
    "a half more": at(list(range(10)), 2.5),
    "less than one": at(["a", "b", "c"], 0.1),
    "digits in categories": at(["17", "0250"], 2, dtype=pl.Categorical),
    "short floats": at([1.0, 2.0**23], 3, dtype=pl.Float32),
}))
"""
)


def test_copies_of_a_key_keep_its_type(project: Project) -> None:
    done = project.python(RESIZED)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["whole numbers"] == [[3, 1, 1, None, 6, 4, 4, None], 5, 2]
    assert found["room in their type"] == [[1, 60, 61, 120], 4, 2]
    for case, kind in (("at the end of their type", "Int8 up to 100"), ("unsigned", "UInt8 up to 255")):
        assert f"column 'key' holds {kind}, and has no room" in found[case]
        assert "write resize(raw, factor) in pipeline.py" in found[case]
    assert found["floats that are whole"] == [[1.0, 5.0, None, 6.0, 10.0, None], 5, 2]
    assert found["text"] == [["a", "b", None, "a", "a~1", "b~1", None, "a~1"], 5, 2]
    assert found["a suffix that is taken"] == [["a", "a~1", "a~~1", "a~1~~1"], 4, 2]
    assert found["digits"] == [["17", "0250", "1017", "1250", "2017", "2250"], 6, 4]
    assert found["categories"][0] == ["a", "b", "a~1", "b~1"]
    assert "Enum" in found["an enumeration"] and "write resize(raw, factor) in pipeline.py" in found["an enumeration"]
    assert "column 'key' holds Date, and only text and whole numbers can be copied" in found["days"]
    assert found["digits in categories"][0] == ["17", "0250", "1017", "1250"]
    assert "column 'key' holds Float32 up to 8,388,608, and has no room for 2 times as many" in found["short floats"]
    assert found["half"][1:] == [5, 0]
    assert found["a half more"][1:] == [25, 15]
    assert found["less than one"][1:] == [1, 0]


# The keys of all rows are found in one part each, as `fetch` leaves them; those without one are anywhere.
PARTS = (
    RESIZE
    + """
from random import Random

chance = Random(7)
count = 400
numbers = [chance.randrange(60) if chance.random() < 0.9 else None for _ in range(count)]
kinds = {
    "numbers": pl.Series([None if n is None else n - 30 for n in numbers], dtype=pl.Int32),
    "floats": pl.Series([None if n is None else float(n) for n in numbers]),
    "digits": pl.Series([None if n is None else str(n**3) for n in numbers]),
    "both": pl.Series([None if n is None else "0" * (n % 2) + str(n // 2) for n in numbers]),
    "texts": pl.Series([None if n is None else f"k{n}" + "~" * (n % 3) + "~2" * (n in (5, 10, 30)) for n in numbers]),
    "categories": pl.Series([None if n is None else f"k{n}" for n in numbers], dtype=pl.Categorical),
}
nulls = numbers.count(None)
things = pl.Series([chance.choice(["a", "b~1", "c", None]) for _ in range(count)])
found = {}
for kind, keys in kinds.items():
    whole = pl.DataFrame({"key": keys, "thing": things, "size": range(count)}, schema_overrides={"size": pl.Int16})
    numbered = whole.with_row_index("row", 1).with_columns(pl.col("row").cast(pl.Int64))
    of = [chance.randrange(3) if n is None else 2 * (n > 20) for n in numbers]  # 1 has no key
    parts = [numbered.filter(pl.Series([part == each for each in of])) for part in range(3)]
    if kind == "digits":
        parts += [numbered.clear()]
    for factor in (0.1, 0.5, 1, 2, 2.3, 12):
        for also in ((), ("thing",)):
            (one,), noted, size = resized([whole], factor, also=also)
            several, copies, sizes = resized(parts, factor, also=also)
            assert {part.schema == numbered.schema for part in several} == {True}
            assert pl.concat(several).sort("row").drop("row").equals(one), (kind, factor, also)
            assert sizes == size, (kind, factor, sizes, size)
            assert pl.concat(several)["row"].is_unique().all()
            assert all(part["row"].is_sorted() for part in several)
            seen = [set(part["key"].drop_nulls().cast(pl.String)) for part in several]
            assert len(set.union(*seen)) == sum(map(len, seen))  # no key is in two parts
            if factor != 1:
                assert set(pl.concat(copies).rows()) == set(pl.concat(noted).rows())
            assert one["key"].null_count() == int(factor) * nulls + round(factor % 1 * nulls)
            if factor > 1:
                assert size.size >= int(factor) * keys.drop_nulls().n_unique()
                assert size.also == ({"thing": 3 * -int(-factor // 1)} if also else {})
            found[f"{kind} {factor}"] = len(one)

def mine(raw, factor):
    assert "row" not in raw.columns and len(raw)
    return pl.concat([raw, raw.with_columns((pl.col("key").cast(pl.String) + "'").cast(raw["key"].dtype))])

def clumsy(raw, factor):
    return pl.concat([raw, raw.with_columns(key=pl.lit("k1").cast(raw["key"].dtype))])

own, copies, size = resized([numbered.clear(), *parts], 2, own=mine)
rows = pl.concat(own)
print(json.dumps({
    "rows": found,
    "own": [len(copies), size.size, size.rows, sorted(rows["row"]) == list(range(1, 2 * count + 1)), rows.width],
    "problems": [
        problem([whole], 1, also=["thin"]), problem([whole], 1, also=["key"]), problem([whole], 2, also=["thing"] * 2),
        problem(parts, 1, by="ky"), problem(parts, 2, own=clumsy),
        problem([whole.with_columns(thing=0.5)], 2, also=["thing"]),
        problem([parts[0], parts[1].with_columns(thing=0)], 2, also=["thing"]),
        problem([whole.with_columns(thing=0.5)], 0.5, also=["thing"]),
    ],
}))
"""
)


def test_the_parts_of_a_table_are_resized_as_the_whole_is(project: Project) -> None:
    done = project.python(PARTS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"]["texts 2"] == 800
    assert 160 < found["rows"]["numbers 0.5"] < 240
    assert found["own"] == [0, 118, 800, True, 4]
    missing = "no column '{}' in raw.parquet, only 'key', 'thing', 'size'; {} is meant?"
    again = "grows already; name it once, and not the one of 'key'"
    assert found["problems"] == [
        "deploy.scale.also: " + missing.format("thin", "thing"),
        f"deploy.scale.also: column 'key' {again}",
        f"deploy.scale.also: column 'thing' {again}",
        "deploy.scale.by: " + missing.format("ky", "key"),
        "pipeline.resize: rows with the same 'key' lie in different parts; where runs.shards is above 1, it gets each "
        "part of the rows alone, and the new values of one must not be those of another: add a suffix to the value "
        "itself, or write deploy.scale.by instead of resize",
        "column 'thing' holds Float64, and only text and whole numbers can be copied as keys: write resize(raw, "
        "factor) in pipeline.py, or name another column in deploy.scale.also",
        "deploy.scale.also: column 'thing' holds String in one part, Int32 in another",
        None,
    ]


HELD_OUT = """
import json
from datetime import date, datetime, timedelta
from pathlib import Path
import polars as pl
from burger_combos.ops import holdout
from burger_combos.ops.problems import Problem
from burger_combos.ops.runs import Record, Run
from burger_combos.ops.fingerprint import RAW
from burger_combos.ops.scaling import resize
from burger_combos.ops.settings import Scale

folder = Path({folder!r})
run = Run(folder, Record("r", "develop", date(2026, 1, 1)))

def problem(method, *values):
    try:
        method(run, *values)
    except Problem as problem:
        return str(problem)

days = pl.Series("when", [date(2026, 1, day) for day in (1, 5, 9, 10)])
moments = pl.Series("when", [datetime(2026, 1, day, 23) for day in (1, 5, 9, 10)])
keys = pl.Series("key", range(1000))
mine = holdout.by_key(run, keys, 0.2)
facts = json.loads(json.dumps(run.record.facts))
found = {{
    "days": [holdout.last_days(run, each, 2).to_list() for each in (days, moments)],
    "none": [holdout.last_days(run, days.clear(), 2).to_list(), holdout.by_key(run, keys.clear(), 0.2).to_list()],
    "share": mine.mean(),
    "types": [holdout.by_key(run, each, 0.2).equals(mine) for each in (keys.cast(pl.String), keys.cast(pl.Float64))],
    "twice": holdout.by_key(run, pl.concat([keys, keys]), 0.2).equals(pl.concat([mine, mine])),
    "padded": holdout.by_key(run, keys.cast(pl.String).str.zfill(6), 0.2).equals(holdout.by_key(run, keys, 0.2)),
    "seed": holdout.by_key(run, keys, 0.2, seed=1).equals(holdout.by_key(run, keys, 0.2)),
    "facts": facts,
    "problems": [
        problem(holdout.last_days, keys, 2), problem(holdout.last_days, days, 0),
        problem(holdout.last_days, pl.concat([days, pl.Series([None], dtype=pl.Date)]), 2),
        problem(holdout.by_key, keys, 1.0), problem(holdout.by_key, pl.Series("key", ["a", None]), 0.5),
        problem(holdout.by_key, pl.Series("key", ["a"]), 0.5), problem(holdout.by_key, days, 0.5),
    ],
}}
pl.DataFrame({{"key": range(1000), "other": range(5000, 6000)}}).write_parquet(run.path(RAW))
resize(run, 2, Scale(by="key", also=["other"]), (), None)
rows = pl.read_parquet(run.path(RAW))
others = holdout.by_key(run, rows["other"], 0.2)
found["copies of another column"] = [
    others.head(1000).equals(others.tail(1000)), run.record.facts["holdout"]["by_key"]["copies"]
]
both = holdout.by_key(run, rows["key"], 0.2)
found["copies"] = [both.head(1000).equals(both.tail(1000)), run.record.facts["holdout"]["by_key"]]
found["another column"] = holdout.by_key(run, pl.Series([f"p{{n % 10}}" for n in range(2000)]), 0.5).n_unique()
print(json.dumps(found))
"""


def test_a_hold_out_is_by_time_or_by_key(project: Project, tmp_path: Path) -> None:
    done = project.python(HELD_OUT.format(folder=str(tmp_path)))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["days"] == [[False, False, True, True]] * 2
    assert found["none"] == [[], []]
    assert 0.15 < found["share"] < 0.25
    assert found["types"] == [True, True]
    assert found["twice"] and found["padded"] and not found["seed"]
    about = found["facts"]["holdout"]["by_key"]
    assert about == {"share": 0.2, "seed": 0, "keys": 1000, "copies": 0, "rows": about["rows"], "of": 1000}
    assert found["copies"][0] is True
    assert found["copies of another column"] == [True, 1000]
    assert (found["copies"][1]["keys"], found["copies"][1]["copies"]) == (2000, 1000)
    assert found["problems"] == [
        "holdout.last_days: 'key' holds Int64; days (Date) or moments (Datetime) are needed",
        "holdout.last_days: days is 0; at least 1 is needed",
        "holdout.last_days: 1 of 5 values of 'when' are missing (null)",
        "holdout.by_key: share is 1; it has to be between 0 and 1",
        "holdout.by_key: 1 of 2 values of 'key' are missing (null)",
        found["problems"][5],
        "holdout.by_key: 'when' holds Date; text or whole numbers are needed",
    ]
    assert re.fullmatch("holdout.by_key: all 1 keys are (held out|kept); .*", found["problems"][5])
    assert found["another column"] == 2


BY_DAY = """
import json
from datetime import date, datetime
from pathlib import Path
import polars as pl
from burger_combos.ops import holdout, shards
from burger_combos.ops.problems import Problem
from burger_combos.ops.runs import Record, Run

def begun():
    return Run(Path({folder!r}), Record("r", "develop", date(2026, 1, 1), shards=2))

def problem(method, *values):
    try:
        method(*values)
    except Problem as problem:
        return str(problem)

when = pl.Series("when", [datetime(2026, 1, day, 23) for day in (10, 1, 5, 9, 9, 5)])
whole, split, empty = begun(), begun(), begun()
all_at_once = holdout.last_days(whole, when, 2)
parts = [when.head(2), when.tail(4), when.clear()]
counted = [part.dt.date().alias("day").value_counts(name="rows") for part in parts]
by_day = pl.concat([*counted, pl.DataFrame({{"day": [date(2026, 2, 1)], "rows": [0]}}, schema=counted[0].schema)])
first = holdout.note_last_days(split, by_day, 2)
split.record = Record.from_json(split.record.to_json())

def step(run, settings, shard):
    found.append(holdout.held_out(run, parts[shard.number]).to_list())

def notes(run, settings, shard):
    holdout.note_last_days(run, by_day, 2)

found = []
shards.perform(step, split, None)
days = lambda values, rows=None, kind=pl.Date: pl.DataFrame(
    {{"day": pl.Series(values, dtype=kind), "rows": pl.Series([1] * len(values) if rows is None else rows)}}
)
day = [date(2026, 1, 1)]
print(json.dumps({{
    "whole": all_at_once.to_list(), "parts": found, "first": str(first),
    "facts": [whole.record.facts, split.record.facts],
    "clear": holdout.held_out(split, when.clear()).to_list(),
    "problems": [
        problem(holdout.held_out, empty, when), problem(holdout.held_out, split, when.cast(pl.Int64)),
        problem(holdout.held_out, split, pl.concat([when, pl.Series([None], dtype=when.dtype)])),
        problem(holdout.held_out, split, pl.Series("when", [date(2026, 1, 11)])),
        problem(holdout.note_last_days, empty, days(day), 0),
        problem(holdout.note_last_days, empty, days([1], kind=pl.Int64), 1),
        problem(holdout.note_last_days, empty, days(day, [0.5]), 1),
        problem(holdout.note_last_days, empty, pl.DataFrame({{"day": day}}), 1),
        problem(holdout.note_last_days, empty, days([*day, None]), 1),
        problem(holdout.note_last_days, empty, days(day, [-1]), 1),
        problem(holdout.note_last_days, empty, days([], pl.Series([], dtype=pl.Int64)), 1),
        problem(shards.perform, notes, empty, None),
    ],
    "untouched": empty.record.facts,
}}))
"""


def test_the_last_days_are_held_out_of_parts_as_of_the_whole(project: Project, tmp_path: Path) -> None:
    done = project.python(BY_DAY.format(folder=str(tmp_path)))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["whole"] == [True, False, False, True, True, False]
    assert found["parts"] == [found["whole"][:2], found["whole"][2:]]
    assert found["clear"] == []
    assert found["first"] == "2026-01-09"
    noted = {"days": 2, "first": "2026-01-09", "last": "2026-01-10", "rows": 3, "of": 6}
    assert found["facts"] == [{"holdout": {"last_days": noted}}] * 2
    needed = "holdout.note_last_days: columns day (Date) and rows (whole numbers) are needed, not day "
    assert found["problems"] == [
        "holdout.held_out: no days are held out yet: call holdout.note_last_days in an earlier step, one that is not "
        "split",
        "holdout.held_out: 'when' holds Int64; days (Date) or moments (Datetime) are needed",
        "holdout.held_out: 1 of 7 values of 'when' are missing (null)",
        "holdout.held_out: 'when' has the day 2026-01-11, and note_last_days was told of none after 2026-01-10: tell "
        "it of all rows",
        "holdout.note_last_days: days is 0; at least 1 is needed",
        needed + "(Int64), rows (Int64)",
        needed + "(Date), rows (Float64)",
        needed + "(Date)",
        "holdout.note_last_days: 1 of 2 values of 'day' are missing (null)",
        "holdout.note_last_days: 2026-01-01 has -1 rows",
        "holdout.note_last_days: no day has a row, so none can be held out",
        "step notes is split into shards, so it cannot have a hold-out: hold out in a step that is not split",
    ]
    assert found["untouched"] == {}
