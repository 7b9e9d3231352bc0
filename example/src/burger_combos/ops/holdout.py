"""What is held out to measure a model on: the last days, or a share of the keys.

Both keep the copies that the scale check makes of a key's rows on the side of the key itself, and note in the run's
record what was held out. So the scale check knows whether the quality at another size can be compared.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from .fingerprint import hashes_of_texts
from .problems import Problem
from .scaling import COPIES, as_text

if TYPE_CHECKING:
    from .runs import Record, Run

FACT = "holdout"
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
    if when.dtype not in (pl.Date, pl.Datetime):
        raise Problem(
            f"holdout.last_days: {when.name!r} holds {when.dtype}; days (Date) or moments (Datetime) are needed"
        )
    if days < 1:
        raise Problem(f"holdout.last_days: days is {days}; at least 1 is needed")
    _refuse_nulls("last_days", when)
    day = when.dt.date()
    last: Any = day.max()
    if last is None:
        return pl.Series("held_out", [], pl.Boolean)
    held_out = (day > last - timedelta(days=days)).alias("held_out")
    _note(run, "last_days", {"days": days, "first": str(last - timedelta(days=days - 1)), "last": str(last)}, held_out)
    return held_out


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
    each = rows.unique(maintain_order=True).join(_copies(run), on="key", how="left", maintain_order="left")
    originals = each["original"].fill_null(each["key"])
    hashes = hashes_of_texts(f"{seed}:" + originals)
    each = each.with_columns(held_out=pl.Series(hashes.astype(np.float64) < share * ALL))
    if each["held_out"].n_unique() == 1:
        side = "held out" if each["held_out"][0] else "kept"
        raise Problem(
            f"holdout.by_key: all {len(each):,} keys are {side}; take another share than {share:g}, or a seed"
        )
    held_out = rows.join(each, on="key", how="left", maintain_order="left")["held_out"]
    of_copies = len(each) - each["original"].null_count()
    _note(run, "by_key", {"share": share, "seed": seed, "keys": len(each), "copies": of_copies}, held_out)
    return held_out


def _names(keys: pl.Series) -> pl.Series:
    try:
        return as_text(keys)
    except Problem:
        raise Problem(f"holdout.by_key: {keys.name!r} holds {keys.dtype}; text or whole numbers are needed") from None


def _copies(run: "Run") -> pl.DataFrame:
    """The keys that the scale check has copied, each with its `original`."""
    file = run.path(COPIES)
    if not file.exists():
        return pl.DataFrame(schema={"key": pl.String, "original": pl.String})
    return pl.read_parquet(file).unique("copy").select(key="copy", original="key")


def noted(record: "Record") -> dict[str, dict[str, Any]]:
    """What a run held out by this module, by kind; empty where it did not, or notes something of its own there."""
    found = record.facts.get(FACT)
    return found if isinstance(found, dict) and found.keys() <= KINDS else {}


def _note(run: "Run", kind: str, found: dict[str, Any], held_out: pl.Series) -> None:
    run.refuse_in_shard("a hold-out", "hold out in a step that is not split")
    found |= {"rows": int(held_out.sum()), "of": len(held_out)}
    run.record.facts[FACT] = {**noted(run.record), kind: found}


def _refuse_nulls(name: str, values: pl.Series) -> None:
    if count := values.null_count():
        raise Problem(f"holdout.{name}: {count:,} of {len(values):,} values of {values.name!r} are missing (null)")
