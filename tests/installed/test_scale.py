"""The scale check: the rows at another size, in one part or in several, and a trial with them."""

import json
import re
import shutil
from typing import Any

import pytest
import steps
from rig import Project

RESIZE = """
import json
import tempfile
from datetime import date
from pathlib import Path
import polars as pl
from burger_combos.ops.scale_check_keys import COPIES, as_text
from burger_combos.ops.fingerprint import RAW
from burger_combos.ops.problems import Problem
from burger_combos.ops.runs import Record, Run
from burger_combos.ops.scale_check_rows import resize
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
            assert sorted(pl.concat(several)["row"]) == list(range(1, len(one) + 1))
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


# Other steps: most are split, and so is what the first one fetched.
STEPS = ["fetch_parts", "check_part", "look", "measure_part", "tell"]
SPLIT = """
def fetch_parts(run: Run, settings: Settings) -> None:
    fetch(run, settings.orders, lambda: make_up(settings.orders.sample, run.record.date), by="customer")


def check_part(run: Run, settings: Settings, shard: Shard) -> None:
    orders = checked(run, settings.orders, ordering.schema(date.today()), shard)
    orders.write_parquet(run.path("orders.parquet", shard))
    run.count("orders", len(orders))
    run.count("customers", orders["customer"].n_unique())


def look(run: Run, settings: Settings) -> None:
    from .ops.ingest import join_rejected

    join_rejected(run, settings.orders)
    orders = pl.concat([pl.read_parquet(file) for file in run.paths("orders.parquet")])
    run.count("items", orders["item"].n_unique())
    holdout.note_last_days(run, orders["ordered_at"].dt.date().alias("day").value_counts(name="rows"), 7)


def measure_part(run: Run, settings: Settings, shard: Shard) -> None:
    orders = pl.read_parquet(run.path("orders.parquet", shard))
    held_out = holdout.held_out(run, orders["ordered_at"])
    bought = orders.filter(held_out)
    again = bought.join(orders.filter(~held_out), on=["customer", "item"], how="semi")
    run.measure("again", len(again) / len(bought), better="higher", weight=len(bought))


def tell(run: Run, settings: Settings) -> None:
    published.publish(run, settings, {"recommendations": pl.DataFrame({"customer": ["a"]})})
"""


def with_steps(place: Project, project: Project, code: str, names: list[str]) -> Project:
    """The same place with other steps."""
    source = place.folder / "src"
    shutil.copytree(project.folder / "src", source)
    steps.put(source / project.package / "pipeline.py", code, names)
    mine = place.with_env(COMMIT="d" * 40)
    mine.env["PYTHONPATH"] = str(source)
    return mine


def tried(place: Project, factor: float) -> dict[str, Any]:
    """What a trial says of itself."""
    done = place.call("trial", "--date", "2026-03-01", "--factor", str(factor))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert not list(place.folder.glob("var/production/*/*"))
    return found


def test_a_trial_in_parts_is_that_of_the_whole(place: Project, project: Project) -> None:
    mine = with_steps(place, project, SPLIT, STEPS).with_env(DEPLOY__SCALE__ALSO='["item"]')
    today = tried(mine, 1)
    for factor in (0.5, 1, 2.5):
        whole, parts = (tried(mine.with_env(RUNS__SHARDS=shards), factor) for shards in ("1", "3"))
        for each in (whole, parts):
            assert each.pop("seconds") > 0
            assert each.pop("memory_mb") > 0
            assert each.pop("libraries_mb") > 0
            rates = (each.pop("metrics")["again"]["value"], each["numbers"].pop("again"))
            assert rates == pytest.approx(rates[:1] * 2)
            each["rate"] = round(rates[0], 12)
        assert parts == whole
        assert parts["not_tried"] == []
        assert parts["by"] == "customer"
        assert parts["size"] == pytest.approx(factor * today["size"], abs=1)
        rows = parts["numbers"]["rows_read"]
        assert rows == parts["numbers"]["orders"] + parts["numbers"]["rows_rejected"]
        assert parts["also"]["item"] >= parts["numbers"]["items"]
        if factor > 1:
            assert 2 * today["numbers"]["items"] < parts["numbers"]["items"] <= 3 * today["numbers"]["items"]


def test_the_table_of_trials_shows_what_else_grows(place: Project) -> None:
    done = place.with_env(DEPLOY__SCALE__ALSO='["item"]', DEPLOY__SCALE__FACTORS="[1, 2]").call("gates")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^ +customer +item +hit rate +seconds +MB$", done.stdout, re.MULTILINE), done.stdout
    (customers, items), (more_customers, more_items) = re.findall(
        r"^ +[12] × +(\d+) +(\d+) +0\.\d+ ", done.stdout, re.M
    )
    assert (int(more_customers), int(more_items)) == (2 * int(customers), 2 * int(items))
    assert "✓ scale: quality" in done.stdout


# The first step takes much more memory than the others.
HOARD = """
def hoard(run: Run, settings: Settings) -> None:
    pl.DataFrame({"customer": ["a"], "size": [np.ones(60_000_000).sum()]}).write_parquet(run.path("raw.parquet"))


def work(run: Run, settings: Settings) -> None:
    run.count("sum", int(np.ones(30_000_000).sum()))


def die(run: Run, settings: Settings) -> None:
    import os
    os.kill(os.getpid(), 9)
"""


def test_the_memory_of_a_trial_is_that_of_the_steps_after_the_first(place: Project, project: Project) -> None:
    mine = with_steps(place, project, HOARD, ["hoard", "work"])
    assert 220 < tried(mine, 1)["memory_mb"] < 300


def test_a_first_step_that_is_killed_is_told_in_one_line(place: Project, project: Project) -> None:
    done = with_steps(place, project, HOARD, ["die", "work"]).call("gates")
    assert (done.returncode, done.stderr) == (3, "error: refused by pipeline\n")
    assert "signal 9 ended the process that fetches and resizes the data" in done.stdout
