"""The records of runs as SQL has them, and which of them are wanted."""

import polars as pl

from ..runs import BACKFILL, LATE, Record
from . import Wanted

# Of the kind, which the record alone tells: JSON that holds text never holds a bare quotation mark.
_NOT_DAILY = " OR ".join(f'record LIKE \'%"kind": "{kind}"%\'' for kind in (BACKFILL, LATE))
_HAS_REVIEWED = """record LIKE '%"reviews": [%' AND record NOT LIKE '%"reviews": []%'"""


def row(record: Record) -> pl.DataFrame:
    """The row of a run's record."""
    return pl.DataFrame(
        {
            "run_id": [record.run_id],
            "stage": [str(record.stage)],
            "date": [record.date],
            "status": [record.status],
            "git_commit": [record.git_commit],
            "started_at": [record.started_at],
            "seconds": [record.seconds],
            "record": [record.to_json()],
        }
    )


def condition(wanted: Wanted, place: int) -> tuple[str, list[str]]:
    """What stands behind `WHERE …` for the runs that are wanted, and the values of its parameters.

    Args:
        wanted: which runs.
        place: the number of the first parameter.
    """
    such, values = "", list[str]()
    if wanted.first:
        such += f" AND date >= '{wanted.first}'"
    if wanted.last:
        such += f" AND date <= '{wanted.last}'"
    if wanted.statuses:
        such += f" AND status IN ({_listed(wanted.statuses)})"
    if wanted.not_statuses:
        such += f" AND status NOT IN ({_listed(wanted.not_statuses)})"
    if wanted.daily is not None:
        such += f" AND {'NOT ' * wanted.daily}({_NOT_DAILY})"
    if wanted.run_ids is not None:
        such += f" AND run_id IN ({_listed(wanted.run_ids)})"
    if wanted.reviewed:
        such += f" AND {_HAS_REVIEWED}"
    for name, sign, value in (("git_commit", "=", wanted.git_commit), ("run_id", "<>", wanted.but)):
        if value:
            such += f" AND {name} {sign} ${place + len(values)}"
            values.append(value)
    such += f" ORDER BY {'date DESC, ' * wanted.by_day}started_at DESC"
    return such + (f" LIMIT {wanted.most}" if wanted.most is not None else ""), values


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
