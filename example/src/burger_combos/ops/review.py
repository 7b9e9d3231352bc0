"""How good it really was: what was published for earlier days, beside what has happened since.

An optional step of the pipeline goes through the days whose outcome is known by now, and measures each; then it has the
last of them judged together. A day that an earlier run has reviewed is taken from the record of that run, unless its
rows, what happened or the code are other ones since.
"""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import structlog

from . import alerts, catalogue, dry_run, earlier_rows, records, review_summary
from .databases import NotThere, open_store
from .metrics import Better, Metric
from .plots import distinct_digits
from .problems import Problem, Refused
from .published import declared
from .runs import DAILY
from .verdicts import TURNED_OUT, Verdict, add

if TYPE_CHECKING:
    from .runs import Record, Run
    from .settings import StageSettings

ADVICE = "see in the report since when, and in the data why; then train on newer data, or roll back"
log = structlog.get_logger()


@dataclass(frozen=True)
class Day:
    """A day that rows were published for, and what has happened since.

    Attributes:
        date: the day.
        until: the first day that no longer counts.
        happened: what happened from the day on, and before `until`.
    """

    date: datetime.date
    until: datetime.date
    happened: pl.DataFrame
    _run: "Run"
    _settings: "StageSettings"
    _rows: earlier_rows.Published
    _by: "Record | None"
    _data: str
    _told: frozenset[str]

    def rows(self, *columns: str) -> Iterator[pl.DataFrame]:
        """What was published for the day, some rows at a time: the key's columns, and those that are named, or all."""
        return self._rows.read(self._settings.database.url, *columns)

    def turned_out(
        self,
        metric: str,
        value: float,
        *,
        better: Better,
        weight: float,
        baselines: Mapping[str, float] | None = None,
    ) -> None:
        """Note how good the rows of the day were.

        Args:
            metric: what it is called; as in `run.measure`, where it is to be held against what that measured.
            value: of the rows.
            better: whether a higher or a lower value is better.
            weight: how much the day counts beside others, such as the number of rows that it was measured on.
            baselines: the value of each simple method, by its name.

        Raises:
            Problem: a value is not finite, the weight is not above 0, or the metric is noted for this day already.
        """
        found = Metric(metric, value, better, baselines or {})
        counts = Metric(f"{metric}: weight", weight, "higher").value
        if counts <= 0:
            raise Problem(f"review of {self.date}: metric {metric} has the weight {counts:g}: note only what counts")
        reviews = self._run.record.reviews
        if any((each["date"], each["metric"]) == (str(self.date), metric) for each in reviews):
            raise Problem(f"review of {self.date}: metric {metric} is noted twice: give each its own name")
        reviews.append(
            {
                "date": str(self.date),
                "metric": metric,
                "label": found.label,
                "weight": counts,
                **found.to_dict(),
                "backtest": _promised(self._by, found, self._settings),
                "table": self._rows.table.name,
                "run_id": self._rows.run_id,
                "git_commit": self._rows.git_commit,
                "reviewed_by": self._run.record.git_commit,
                "data": self._data,
                "told": metric in self._told,
            }
        )


def days(
    run: "Run",
    settings: "StageSettings",
    table: str,
    happened: pl.DataFrame | pl.LazyFrame,
    when: str,
    *,
    horizon: int = 1,
    unfinished: bool = False,
    until: date | None = None,
) -> Iterator[Day]:
    """The days that are to be reviewed, the earliest first: the last `monitoring.review.days` whose outcome is known.

    There are none in a trial, and none in a run that does an earlier day anew.

    Args:
        run: the run, whose record gets `reviews`.
        settings: those of its stage.
        table: that of TABLES whose rows are reviewed.
        happened: what happened, with the column `when`; of more days than these, too.
        when: the column of its day (Date) or moment (Datetime).
        horizon: how many days from its own on a day's rows tell of.
        unfinished: whether a day counts before all of these are over, by those that are; it is then reviewed anew each
            time that another one is.
        until: the first day of which it is not known yet what happened; None for that of the run.

    Raises:
        Problem: there is no such table or column, or the step is split.
    """
    run.refuse_in_shard("a review", "review in a step that is not split")
    record, chosen = run.record, settings.monitoring.review
    if table not in [each.name for each in declared()]:
        raise Problem(f"review: table {table!r} is not among TABLES of pipeline.py")
    lazy = happened.lazy()
    kind = lazy.collect_schema().get(when)
    if kind is None or kind.base_type() not in (pl.Date, pl.Datetime):
        raise Problem(f"review: what happened needs a column {when!r} of days (Date) or moments (Datetime), not {kind}")
    record.reviews = [each for each in record.reviews if each["table"] != table]
    if dry_run.running() or record.kind != DAILY:
        return
    until = min(until or record.date, record.date)
    last = until - timedelta(days=1 if unfinished else horizon)
    wanted = [last - timedelta(days=back) for back in reversed(range(chosen.days))]
    there = _published(settings, table, wanted)
    known = _known(settings, record.date - timedelta(days=chosen.days), table)
    by_day = _by_day(lazy, when, wanted[0], until) if there else {}
    reviewed = taken_over = 0
    for day in wanted:
        rows, mine = there.get(day), known.get(str(day), [])
        end = min(day + timedelta(days=horizon), until)
        data = _sum(by_day, day, end)
        if rows is None or not data:  # retention may have removed rows that were reviewed
            record.reviews += mine
            taken_over += bool(mine)
        elif mine and all(_is_of(each, rows, data, record.git_commit) for each in mine):
            record.reviews += mine
            taken_over += 1
        else:
            of_day = lazy.filter(pl.col(when).cast(pl.Date).is_between(day, end, closed="left")).collect()
            by = records.of(settings, rows.run_id)
            told = frozenset(each["metric"] for each in mine if each["told"])
            reviewed += 1
            yield Day(day, end, of_day, run, settings, rows, by, data, told)
    if reviewed or taken_over:
        log.info("review", table=table, days=reviewed, taken_over=taken_over)
    else:
        log.info("review", table=table, nothing=f"no rows of an earlier run for {wanted[0]} to {last}")


def judge(run: "Run", settings: "StageSettings") -> None:
    """Hold the last days together against what their runs' backtests said, by the metric that counts.

    Where they fall short, it alerts, once for each day that does, or refuses: `monitoring.review.then`. It refuses by
    those days only whose rows are of this very commit: another version is not to blame for them.

    Raises:
        Refused: they fall short, and the settings refuse that.
    """
    run.refuse_in_shard("a review", "review in a step that is not split")
    record, chosen = run.record, settings.monitoring.review
    record.reviews.sort(key=lambda each: str(each["date"]))
    for each in record.reviews:
        each["thin"] = each["weight"] < chosen.min_weight
    refuses = chosen.then == "refuse"
    known = [each for each in review_summary.counting(record, settings.deploy.metric) if each["backtest"] is not None]
    last = [each for each in known if each["git_commit"] == record.git_commit or not refuses][-chosen.judged_days :]
    if not last or not chosen.min_of_backtest:
        return
    found, said = review_summary.together(last)
    passed = found.good_enough_beside(said, chosen.min_of_backtest)
    short = [] if passed else [each for each in last if not _is_enough(each, chosen.min_of_backtest)] or last
    finding = _finding(short or last, len(last), chosen.min_of_backtest)
    if refuses:
        add(run, Verdict(TURNED_OUT, passed, finding, _margin(found, said, chosen.min_of_backtest)))
    if passed:
        log.info("review", finding=finding)
        return
    new = [each for each in short if not each["told"]]
    for each in new:
        each["told"] = True
    if refuses:
        raise Refused(f"the gate {TURNED_OUT!r} refuses: {finding}; {ADVICE}")
    log.warning("review", finding=finding)
    if new:
        sentence = f"{_finding(new, len(last), chosen.min_of_backtest)}; {ADVICE}"
        alerts.noticed(settings.alert, record.stage, sentence, record)


def _published(settings: "StageSettings", table: str, wanted: list[date]) -> dict[date, earlier_rows.Published]:
    """What is published for each of some days."""
    try:
        with open_store(settings.database.url) as store:
            if (found := catalogue.published(store).get(table)) is None:
                return {}
            each = [earlier_rows.published(store, found, settings.stage, day) for day in wanted]
    except NotThere:
        return {}
    return {rows.date: rows for rows in each if rows}


def _known(settings: "StageSettings", since: date, table: str) -> dict[str, list[dict[str, Any]]]:
    """The reviews of each day, as the last run that has some of it knows them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records.reviewed(settings, since):
        mine: dict[str, list[dict[str, Any]]] = {}
        for each in record.reviews:
            if each["table"] == table:
                mine.setdefault(each["date"], []).append(each)
        found = mine | found
    return found


def _by_day(happened: pl.LazyFrame, when: str, first: date, until: date) -> dict[date, tuple[int, int]]:
    """How many rows each day has, and a sum of their hashes, which their order does not change."""
    day = pl.col(when).cast(pl.Date)
    rows = happened.filter(day.is_between(first, until, closed="left"))
    rows = rows.select(day.alias("day"), pl.struct(pl.all()).hash().alias("hash"))
    by_day = rows.group_by("day").agg(pl.len(), pl.col("hash").sum()).collect()
    return {day: (count, hashes) for day, count, hashes in by_day.iter_rows()}


def _sum(by_day: dict[date, tuple[int, int]], first: date, until: date) -> str:
    """What tells whether other things have happened on some days; empty where nothing has."""
    mine = [found for day, found in by_day.items() if first <= day < until]
    hashes = sum(each for _, each in mine) % 2**64
    return f"{sum(count for count, _ in mine)}-{hashes:016x}" if mine else ""


def _is_of(review: dict[str, Any], rows: earlier_rows.Published, data: str, commit: str) -> bool:
    """Whether a review is of these rows and of what happened since, made by this code."""
    return (review["run_id"], review["data"], review["reviewed_by"]) == (rows.run_id, data, commit)


def _promised(by: "Record | None", metric: Metric, settings: "StageSettings") -> float | None:
    """What the run of the rows measured, or the run that trained its model; None where neither did."""
    trained = getattr(by, "model_run", "")
    for record in (by, records.of(settings, trained) if by and trained not in ("", by.run_id) else None):
        values = record.metrics.get(metric.name) if record else None
        if values and values["better"] == metric.better:
            return float(values["value"])
    return None


def _is_enough(review: dict[str, Any], share: float) -> bool:
    metric = Metric(review["metric"], review["value"], review["better"])
    return metric.good_enough_beside(review["backtest"], share)


def _margin(found: Metric, said: float, share: float) -> float | None:
    """What was found, as a multiple of what is demanded."""
    if min(found.value, said) <= 0:
        return None
    return found.value / (said * share) if found.better == "higher" else said * (2 - share) / found.value


def _finding(reviews: list[dict[str, Any]], judged: int, share: float) -> str:
    """How good some days were, and what was demanded of all that are judged."""
    found, said = review_summary.together(reviews)
    mine, theirs = distinct_digits([found.value, said])
    first, last = reviews[0]["date"], reviews[-1]["date"]
    days = first if first == last else f"{first} {'and' if len(reviews) == 2 else 'to'} {last}"
    less = " (less is better)" * (found.better == "lower")
    over = f", over {judged} days" * (judged > 1)
    return (
        f"{found.label} of {days} turned out to be {mine}, where the backtest had said {theirs}{less}; "
        f"monitoring.review.min_of_backtest is {share:g}{over}"
    )
