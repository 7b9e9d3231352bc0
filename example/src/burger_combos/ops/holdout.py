"""What is held out to measure a model on: the last days, or a share of the keys.

Both keep the copies that the scale check makes of a key's rows on the side of the key itself, and note in the run's
record what was held out. So the scale check knows whether the quality at another size can be compared.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from .fingerprint import hashes_of_texts
from .problems import Problem
from .scale_check_keys import COPIES, as_text

if TYPE_CHECKING:
    from .runs import Record, Run

FACT = "holdout"
IN_PARTS = "in_parts"  # whether the days are those of `note_last_days`
KINDS = {"last_days", "by_key"}
ALL = 2.0**64  # how many hashes there are


def last_days(run: "Run", when: pl.Series, days: int) -> pl.Series:
    """Hold out the last days.

    Args:
        run: the run, whose record gets `facts["holdout"]`.
        when: shape (rows,); the day or the moment of each row.
        days: how many days are held out, the day of the last row included.

    Returns:
        shape (rows,), Boolean: whether a row is held out.

    Raises:
        Problem: `when` holds no days or moments, or nulls; or `days` is not above 0.
    """
    day = _days("last_days", when)
    _refuse_few("last_days", days)
    if day.is_empty():
        return pl.Series("held_out", [], pl.Boolean)
    first = _note_days(run, day.alias("day").value_counts(name="rows"), days)
    run.asked = True
    return (day >= first).alias("held_out")


def note_last_days(run: "Run", by_day: pl.DataFrame, days: int) -> date:
    """Hold out the last days of rows that are in several parts; `held_out` then says which rows of a part they are.

    The scale check compares a metric only where the step that measures it has asked `held_out`.

    Args:
        run: the run, whose record gets `facts["holdout"]`.
        by_day: how many rows each day has, of all parts: `day` (Date) and `rows` (whole numbers). A day may stand in
            several rows of it, which add up.
        days: how many days are held out, the day of the last row included.

    Returns:
        The first day that is held out.

    Raises:
        Problem: `by_day` has no such columns, or nulls in them, or no row at all; `days` is not above 0; or the step is
            split.
    """
    name = "note_last_days"
    if not (by_day.schema.get("day") == pl.Date and by_day.schema.get("rows", pl.Null).is_integer()):
        raise Problem(
            f"holdout.{name}: columns day (Date) and rows (whole numbers) are needed, not "
            + ", ".join(f"{column} ({dtype})" for column, dtype in by_day.schema.items())
        )
    for column in ("day", "rows"):
        _refuse_nulls(name, by_day[column])
    if len(negative := by_day.filter(pl.col("rows") < 0)):
        raise Problem(f"holdout.{name}: {negative['day'][0]} has {negative['rows'][0]} rows")
    _refuse_few(name, days)
    found = by_day.filter(pl.col("rows") > 0)
    if found.is_empty():
        raise Problem(f"holdout.{name}: no day has a row, so none can be held out")
    first = _note_days(run, found, days)
    run.record.facts[FACT]["last_days"][IN_PARTS] = True
    return first


def held_out(run: "Run", when: pl.Series) -> pl.Series:
    """Which rows lie in the days that `note_last_days` has held out; in any later step, or a shard of it.

    Args:
        run: the run, in whose record those days are noted.
        when: shape (rows,); the day or the moment of each row.

    Returns:
        shape (rows,), Boolean: whether a row is held out.

    Raises:
        Problem: nothing is noted; `when` holds no days or moments, or nulls, or a day after the last that was noted.
    """
    known = noted(run.record).get("last_days")
    if known is None:
        raise Problem(
            "holdout.held_out: no days are held out yet: call holdout.note_last_days in an earlier step, one that is "
            "not split"
        )
    day = _days("held_out", when)
    last: Any = day.max()
    if last is not None and last > date.fromisoformat(known["last"]):
        raise Problem(
            f"holdout.held_out: {when.name!r} has the day {last}, and note_last_days was told of none after "
            f"{known['last']}: tell it of all rows"
        )
    run.asked = True
    return (day >= date.fromisoformat(known["first"])).alias("held_out")


def _days(name: str, when: pl.Series) -> pl.Series:
    if when.dtype not in (pl.Date, pl.Datetime):
        raise Problem(f"holdout.{name}: {when.name!r} holds {when.dtype}; days (Date) or moments (Datetime) are needed")
    _refuse_nulls(name, when)
    return when.dt.date()


def _note_days(run: "Run", by_day: pl.DataFrame, days: int) -> date:
    """Note the last days of rows, counted by day; return the first of them."""
    last: Any = by_day["day"].max()
    first: date = last - timedelta(days=days - 1)
    rows = by_day["rows"].cast(pl.Int64)
    found = {"days": days, "first": str(first), "last": str(last)}
    _note(run, "last_days", found, int(rows.filter(by_day["day"] >= first).sum()), int(rows.sum()))
    return first


def by_key(run: "Run", keys: pl.Series, share: float, seed: int = 0) -> pl.Series:
    """Hold out all rows of some keys, chosen by a hash of the key: each stays on its side from day to day.

    Args:
        run: the run, whose record gets `facts["holdout"]`.
        keys: shape (rows,); text or whole numbers.
        share: of the keys, about as many are held out; between 0 and 1.
        seed: another one chooses other keys.

    Returns:
        shape (rows,), Boolean: whether a row is held out.

    Raises:
        Problem: a key is null, the share is not between 0 and 1, or all keys come to be on one side.
    """
    if not 0 < share < 1:
        raise Problem(f"holdout.by_key: share is {share:g}; it has to be between 0 and 1")
    _refuse_nulls("by_key", keys)
    if keys.is_empty():
        return pl.Series("held_out", [], pl.Boolean)
    rows = pl.DataFrame({"key": _names(keys)})
    each = rows.unique(maintain_order=True).join(_copies(run, keys.name), on="key", how="left", maintain_order="left")
    originals = each["original"].fill_null(each["key"])
    hashes = hashes_of_texts(f"{seed}:" + originals)
    each = each.with_columns(held_out=pl.Series(hashes.astype(np.float64) < share * ALL))
    if each["held_out"].n_unique() == 1:
        side = "held out" if each["held_out"][0] else "kept"
        raise Problem(
            f"holdout.by_key: all {len(each):,} keys are {side}; take another share than {share:g}, or a seed"
        )
    run.asked = True
    held_out = rows.join(each, on="key", how="left", maintain_order="left")["held_out"]
    of_copies = len(each) - each["original"].null_count()
    found = {"share": share, "seed": seed, "keys": len(each), "copies": of_copies}
    _note(run, "by_key", found, int(held_out.sum()), len(held_out))
    return held_out


def _names(keys: pl.Series) -> pl.Series:
    try:
        return as_text(keys)
    except Problem:
        raise Problem(f"holdout.by_key: {keys.name!r} holds {keys.dtype}; text or whole numbers are needed") from None


def _copies(run: "Run", name: str) -> pl.DataFrame:
    """The keys that the scale check has copied, of a column or else of the one it goes by, each with its `original`."""
    files = [run.folder / COPIES, *run.folder.glob(COPIES.replace(".", "-*-of-*."))]  # only a trial has any
    files = [file for file in files if file.exists()]
    if not files:
        return pl.DataFrame(schema={"key": pl.String, "original": pl.String})
    copies = pl.read_parquet(files, glob=False)
    of = name if name in copies["of"] else ""
    return copies.filter(pl.col("of") == of).unique("copy").select(key="copy", original="key")


def noted(record: "Record") -> dict[str, dict[str, Any]]:
    """What a run held out by this module, by kind; empty where it did not, or notes something of its own there."""
    found = record.facts.get(FACT)
    return found if isinstance(found, dict) and found.keys() <= KINDS else {}


def measured_on(run: "Run", metric: str) -> dict[str, dict[str, Any]]:
    """What a run of this process held out, as `noted`, if the metric was measured on it."""
    found = noted(run.record)
    in_parts = found.get("last_days", {}).get(IN_PARTS)
    return {} if in_parts and metric in run.measured_otherwise else found


def _note(run: "Run", kind: str, found: dict[str, Any], rows: int, of: int) -> None:
    run.refuse_in_shard("a hold-out", "hold out in a step that is not split")
    found |= {"rows": rows, "of": of}
    run.record.facts[FACT] = {**noted(run.record), kind: found}


def _refuse_nulls(name: str, values: pl.Series) -> None:
    if count := values.null_count():
        raise Problem(f"holdout.{name}: {count:,} of {len(values):,} values of {values.name!r} are missing (null)")


def _refuse_few(name: str, days: int) -> None:
    if days < 1:
        raise Problem(f"holdout.{name}: days is {days}; at least 1 is needed")
