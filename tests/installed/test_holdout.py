"""What is held out to measure a model on, and the copies of the scale check, which stay on the side of their key."""

import json
import re
from pathlib import Path

from rig import Project

HELD_OUT = """
import json
from datetime import date, datetime, timedelta
from pathlib import Path
import polars as pl
from burger_combos.ops import holdout
from burger_combos.ops.problems import Problem
from burger_combos.ops.runs import Record, Run
from burger_combos.ops.fingerprint import RAW
from burger_combos.ops.scale_check_rows import resize
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
    assert found["facts"] == [{"holdout": {"last_days": each}} for each in (noted, noted | {"in_parts": True})]
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
