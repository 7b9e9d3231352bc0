"""How good it really was: which days a run reviews, what follows from that, and where it is shown."""

import json
from datetime import date, timedelta
from typing import Any

from listener import listening
from rig import Project

# The days of a run one after the other, in one process; a line of JSON for each with what it found.
DAYS = """
import json, sys
from datetime import date
from {package}.ops import execute
from {package}.ops.problems import Refused
from {package}.ops.settings import Stage, load
from {package}.pipeline import Settings

settings = load(Settings, Stage.develop)
for day in {days!r}:
    try:
        record = execute.run_all(settings, date.fromisoformat(day)).record
        print(json.dumps([day, record.status, record.metrics["hit_rate"]["value"], record.reviews]))
    except Refused as problem:
        print(json.dumps([day, "refused", str(problem), []]))
"""

# Rows of a table of the project's, and what happens to them, made up: which days are reviewed and judged, and how.
MADE_UP = """
import json
from datetime import date, timedelta
import polars as pl
from {package}.ops import alerts, dry_run, earlier_rows, records, review
from {package}.ops.problems import Problem
from {package}.ops.runs import Record, Run
from {package}.ops.settings import Monitoring, Stage, StageSettings, load
from {package}.ops.store import Store
from {package}.pipeline import TABLES

base = load(StageSettings, Stage.develop)
first = date(2026, 10, 1)
told = []
alerts.noticed = lambda alert, stage, finding, record: told.append(finding)
with Store(base.database.url, create=True) as store:
    store.prepare()

def settings(**values):
    asked = base.monitoring.review.model_copy(update={{"min_weight": 0}} | values)
    return base.model_copy(update={{"monitoring": Monitoring(review=asked)}})

def publish(day, run_id, said, commit="this", customers=5):
    record = Record(run_id, Stage.develop, day, git_commit=commit, status="ok")
    record.metrics = {{"mae": {{"value": said, "better": "lower", "baselines": {{}}}}}}
    records.save(record, base)
    rows = pl.DataFrame({{"customer": [f"C{{number}}" for number in range(customers)], "item_1": "tea"}})
    stage = rows.select(stage=pl.lit("develop"), date=pl.lit(day), customer="customer", item_1="item_1")
    with Store(base.database.url) as store:
        full = stage.with_columns(run_id=pl.lit(run_id), git_commit=pl.lit(commit))
        store.replace(Stage.develop, day, [(TABLES[0], full)])

def happened(*days, value=1.0):
    seen = pl.DataFrame({{"on": list(days)}}, {{"on": pl.Date}})
    return seen.with_columns(customer=pl.lit("C1"), value=pl.lit(value))

def run(day, seen, kind="daily", run_id="", *, asked=None, **how):
    asked = asked or settings()
    mine = Run.create(asked.runs, Stage.develop, day, run_id or f"review-{{day}}")
    mine.record.kind, mine.record.git_commit = kind, "this"
    found = []
    try:
        for each in review.days(mine, asked, "recommendations", seen, "on", **how):
            found.append([str(each.date), len(each.happened), sum(map(len, each.rows("item_1")))])
            each.turned_out("mae", each.happened["value"].mean(), better="lower", weight=len(each.happened))
        review.judge(mine, asked)
    except Problem as problem:
        found = str(problem)
    if not dry_run.running():
        records.save(mine.record, asked)
    return found, mine.record

def day(number):
    return first + timedelta(days=number)

out = {{}}
"""


def script(project: Project, text: str) -> dict[str, Any]:
    done = project.python(MADE_UP.format(package=project.package) + text + "\nprint(json.dumps(out))")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_day_is_reviewed_once_unless_something_is_new(stored: Project) -> None:
    found = script(
        stored,
        """
seen = happened(day(0), day(0), day(1))
out["nothing"] = run(day(1), seen)[0]
publish(day(0), "a", 1.0)
out["one"] = run(day(1), seen)[0]
publish(day(1), "b", 1.0)
earlier_rows.ROWS = 2  # at a time
out["next"], record = run(day(2), seen)
names = ("date", "value", "backtest", "weight", "run_id")
out["reviews"] = [[each[name] for name in names] for each in record.reviews]
out["again"] = run(day(2), seen.reverse())[0]
out["data"] = run(day(2), happened(day(0), day(1)))[0]
publish(day(1), "c", 1.0)
out["rows"], record = run(day(2), happened(day(0), day(1)))
out["all"] = [[each["date"], each["run_id"]] for each in record.reviews]
with Store(base.database.url) as store, store._transaction():
    store._execute(f"DELETE FROM recommendations WHERE date = '{day(0)}'")
out["gone"], record = run(day(2), happened(day(0), day(1)))
out["stay"] = [each["date"] for each in record.reviews]
out["backfill"], record = run(day(2), seen, "backfill")
out["late"] = run(day(2), seen, "late data")[0]
with dry_run.no_writing():
    out["trial"], record = run(day(2), seen)
    out["trial"].append(record.reviews)
""",
    )
    assert found == {
        "nothing": [],
        "one": [["2026-10-01", 2, 5]],
        "next": [["2026-10-02", 1, 5]],
        "reviews": [["2026-10-01", 1.0, 1.0, 2, "a"], ["2026-10-02", 1.0, 1.0, 1, "b"]],
        "again": [],
        "data": [["2026-10-01", 1, 5]],
        "rows": [["2026-10-02", 1, 5]],
        "all": [["2026-10-01", "a"], ["2026-10-02", "c"]],
        "gone": [],
        "stay": ["2026-10-01", "2026-10-02"],
        "backfill": [],
        "late": [],
        "trial": [[]],
    }


def test_what_counts_is_over_and_of_the_last_days(shop: Project) -> None:
    found = script(
        shop,
        """
for number in range(6):
    publish(day(number), f"r{number}", 1.0)
seen = happened(*(day(number) for number in range(10)))
days = lambda **how: [each[:2] for each in run(day(6), seen, run_id="x", **how)[0]]
out["horizon"] = days(horizon=3)
records.save(Record("x", Stage.develop, day(6)), base)  # without reviews
out["unfinished"] = days(horizon=3, unfinished=True)
records.save(Record("x", Stage.develop, day(6)), base)
out["until"] = days(until=day(2))
records.save(Record("x", Stage.develop, day(6)), base)
out["last"] = days(asked=settings(days=2))
""",
    )
    assert found["horizon"] == [[f"2026-10-0{day}", 3] for day in (1, 2, 3, 4)]
    assert found["unfinished"] == [[f"2026-10-0{day}", min(3, 7 - day)] for day in (1, 2, 3, 4, 5, 6)]
    assert found["until"] == [["2026-10-01", 1], ["2026-10-02", 1]]
    assert found["last"] == [["2026-10-05", 1], ["2026-10-06", 1]]


def test_the_last_days_are_judged_together_and_each_is_told_once(shop: Project) -> None:
    found = script(
        shop,
        """
values = [1.0, 1.0, 1.3, 2.0, 2.0, 1.0, 1.0]
for number in range(7):
    publish(day(number), f"r{number}", 1.0, "another" if number < 4 else "this")
seen = pl.concat([happened(day(number), value=value) for number, value in enumerate(values)])
out["told"] = []
for number in range(1, 8):
    run(day(number), seen)
    run(day(number), seen)  # once more
    out["told"].append(list(told))
    told.clear()
again = happened(day(4), value=3.0)
out["thin"] = [run(day(5), seen, run_id="y", asked=settings(min_weight=2))[1].reviews[-1]["thin"], *told]
out["off"] = [run(day(5), again, run_id="y", asked=settings(min_of_backtest=0))[0], *told]
refuse = settings(then="refuse")
out["another"] = run(day(4), seen, run_id="z", asked=refuse)[0]  # whose rows are of another commit
out["refused"], record = run(day(5), seen, run_id="z", asked=refuse)
out["gate"] = record.facts["gates"]
""",
    )
    short = "mae of 2026-10-04 turned out to be 2.000, where the backtest had said 1.000 (less is better)"
    none: list[str] = []
    fell, fell_again, last = found["told"][3:6]
    assert found["told"] == [none, none, none, fell, fell_again, last, none]
    assert [len(each) for each in (fell, fell_again, last)] == [1, 1, 0]
    assert fell[0].startswith(
        "mae of 2026-10-03 and 2026-10-04 turned out to be 1.65, where the backtest had said 1.00"
    )
    assert "monitoring.review.min_of_backtest is 0.8, over 3 days; see in the report" in fell[0]
    assert fell_again[0].startswith(short.replace("-04", "-05").replace("2.000", "2").replace("1.000", "1"))
    assert found["thin"] == [True]
    assert found["off"] == [[["2026-10-05", 1, 5]]]
    assert found["another"] == []
    assert found["refused"].startswith("the gate 'as it turned out' refuses: mae of 2026-10-05 turned out to be 2")
    (gate,) = found["gate"]
    assert (gate["passed"], round(gate["margin"], 3)) == (False, 0.6)


def test_what_cannot_be_reviewed_is_told_in_one_line(shop: Project) -> None:
    found = script(
        shop,
        """
publish(day(0), "a", 1.0)
def trying(act):
    try:
        act()
    except Problem as problem:
        return str(problem)
mine = Run.create(base.runs, Stage.develop, day(1), "mine")
seen = happened(day(0))
days = lambda table="recommendations", when="on": list(review.days(mine, base, table, seen, when))
out["table"] = trying(lambda: days("orders"))
out["when"] = trying(lambda: days(when="customer"))
each, = days()
out["column"] = trying(lambda: list(each.rows("item_2")))
out["weight"] = trying(lambda: each.turned_out("mae", 1.0, better="lower", weight=0))
out["nan"] = trying(lambda: each.turned_out("mae", float("nan"), better="lower", weight=1))
each.turned_out("mae", 1.0, better="lower", weight=1)
out["twice"] = trying(lambda: each.turned_out("mae", 1.0, better="lower", weight=1))
""",
    )
    assert found == {
        "table": "review: table 'orders' is not among TABLES of pipeline.py",
        "when": "review: what happened needs a column 'customer' of days (Date) or moments (Datetime), not String",
        "column": "table recommendations: no column 'item_2'; item_1 is meant?",
        "weight": "review of 2026-10-01: metric mae has the weight 0: note only what counts",
        "nan": "metric mae is nan: measure a finite number, or do not measure it where it cannot be computed",
        "twice": "review of 2026-10-01: metric mae is noted twice: give each its own name",
    }


def test_a_change_of_tastes_is_told_on_its_day_and_shown(shop: Project) -> None:
    changed = date(2026, 10, 10)
    days = [str(changed + timedelta(days=number)) for number in (-2, -1, 0, 1, 2, 2)]
    found = {}
    with listening() as listener:
        mine = shop.with_env(ORDERS__SAMPLE__CUSTOMERS="1500", ALERT__WEBHOOK=f"{listener.url}/webhook")
        for world, shift_on in {"usual": {}, "shifted": {"ORDERS__SAMPLE__SHIFT_ON": str(changed)}}.items():
            there = mine.with_env(DATABASE__URL=shop.env["BURGER_COMBOS_DATABASE__URL"] + world, **shift_on)
            listener.received.clear()
            done = there.python(DAYS.format(package=mine.package, days=days))
            assert done.returncode == 0, done.stderr
            runs = [json.loads(line) for line in done.stdout.splitlines()]
            assert [status for _, status, *_ in runs] == ["ok"] * len(days)
            found[world] = runs, listener.texts()
    (usual, nothing_told), (shifted, told) = found["usual"], found["shifted"]
    assert nothing_told == []
    assert len(told) == 2
    for text, day in zip(told, days[2:4], strict=True):
        assert f" for {date.fromisoformat(day) + timedelta(days=1)}, " in text
        assert f" hit rate of {day} turned out to be " in text
    for one, other in zip(usual[:3], shifted[:3], strict=True):  # no backtest before that day saw it, nor that day's
        assert one[:3] == other[:3]
        assert [each["value"] for each in one[3]] == [each["value"] for each in other[3]]
    assert [each["value"] < 0.4 * each["backtest"] for each in shifted[-1][3]] == [False, False, True, True]
    assert [each["value"] > 0.6 * each["backtest"] for each in usual[-1][3]] == [True] * 4

    last = shifted[-1][3][-1]
    (row,) = [line for line in there.call("results").stdout.splitlines() if "as it turned out" in line]
    assert row.split()[:7] == ["hit", "rate", "as", "it", "turned", "out", f"{last['value']:.3f}"]
    assert f"for {days[3]} (backtest said {last['backtest']:.3f}), " in row
    assert json.loads(there.call("results", "--json").stdout)["reviews"] == shifted[-1][3]
    assert there.status()["develop"]["turned out"].startswith(f"hit rate {last['value']:.3f} for {days[3]} (backtest")
    page = there.call("report").stdout
    assert "As it turned out: hit rate" in page


def test_it_refuses_where_that_is_asked_for(shop: Project) -> None:
    changed = date(2026, 10, 10)
    mine = shop.with_env(
        ORDERS__SAMPLE__CUSTOMERS="1500", ORDERS__SAMPLE__SHIFT_ON=str(changed), MONITORING__REVIEW__THEN="refuse"
    )
    days = [str(changed + timedelta(days=number)) for number in (0, 1)]
    done = mine.python(DAYS.format(package=mine.package, days=days))
    (_, status, *_), (_, refused, problem, _) = map(json.loads, done.stdout.splitlines())
    assert (status, refused) == ("ok", "refused")
    assert problem.startswith(f"the gate 'as it turned out' refuses: hit rate of {changed} turned out to be ")
    rows, runs = mine.written()
    assert {row["date"] for row in rows} == {str(changed)}
    gates = json.loads(runs[-1]["record"])["facts"]["gates"]
    assert [(each["gate"], each["passed"]) for each in gates] == [("as it turned out", False)]
