"""The records of runs, deployments, scale checks and missing runs, in the table of records."""

import json
import secrets
import zlib
from collections.abc import Iterable
from datetime import date

from ... import dry_run
from ...catalogue import Found
from ...runs import DAILY, Record
from ...settings import Stage
from .. import DEPLOYMENTS, TRIALS, AnyStore, NotThere, Wanted
from . import pointers
from .client import Client, Item

_LOOKED = "looked"  # that somebody has looked for missing runs; what was missing begins with a number


class Records(AnyStore):
    """What a store keeps beside rows.

    A run is an item that lists of runs are made of, and its whole record another one to which the first leads: a new
    record is written first, so that the two are never of different times.
    """

    def __init__(self, client: Client, keep_days: int) -> None:
        self.name = client.place.name
        self._client, self._keep_days = client, keep_days
        self._records = client.place.records

    def prepare(self) -> None:
        """Make the tables, and so find out whether they can be written."""
        dry_run.refuse_to_write()
        self._client.make_tables(expiring=self._keep_days > 0)

    def _make_if_missing(self) -> None:
        dry_run.refuse_to_write()
        try:
            self._client.refuse_missing()
        except NotThere:
            self._client.make_tables(expiring=self._keep_days > 0)

    def save_run(self, record: Record) -> None:
        """Write the record of a run, in place of an earlier one of the same id."""
        dry_run.refuse_to_write()
        of_stage = f"runs#{record.stage}"
        before = self._client.get(self._records, of_stage, record.run_id)
        whole = f"{record.run_id}#{secrets.token_hex(4)}"
        packed = zlib.compress(record.to_json().encode())
        self._client.put(self._records, {"what": {"S": "record"}, "which": {"S": whole}, "record": {"B": packed}})
        item = {
            "what": of_stage,
            "which": record.run_id,
            "date": str(record.date),
            "status": record.status,
            "git_commit": record.git_commit,
            "started_at": record.started_at.isoformat(),
            "kind": record.kind,
            "reviewed": "yes" if record.reviews else "",
            "whole": whole,
        }
        self._client.put(self._records, {name: {"S": text} for name, text in item.items()})
        if before:
            self._client.delete(self._records, "record", before["whole"]["S"])

    def run(self, run_id: str) -> Record | None:
        """The run of that id; None where there is none."""
        keys = [(f"runs#{stage}", run_id) for stage in Stage]
        return next(iter(self._whole(list(self._client.get_all(self._records, keys)))), None)

    def runs(self, stage: Stage, wanted: Wanted) -> list[Record]:
        """Those of a stage's runs that are wanted, the newest first."""
        found = [each for each in self._listed(stage) if _is_wanted(each, wanted)]
        found.sort(key=lambda each: (each["date"]["S"] if wanted.by_day else "", _begun(each)), reverse=True)
        return self._whole(found[: wanted.most])

    def run_ids(self, stage: Stage) -> set[str]:
        """The ids of all runs of a stage."""
        return {each["which"]["S"] for each in self._listed(stage)}

    def good_days(self, stage: Stage) -> set[date]:
        """The days for which a run of the stage ended well."""
        good = (each["date"]["S"] for each in self._listed(stage) if each["status"]["S"] == "ok")
        return set(map(date.fromisoformat, good))

    def _listed(self, stage: Stage) -> list[Item]:
        return list(self._client.query(self._records, f"runs#{stage}"))

    def _whole(self, listed: list[Item]) -> list[Record]:
        """The records to which items lead, in the same order."""
        keys = [("record", each["whole"]["S"]) for each in listed]
        found = {each["which"]["S"]: each["record"]["B"] for each in self._client.get_all(self._records, keys)}
        there = [found[which] for _, which in keys if which in found]  # the others were removed meanwhile
        return [Record.from_json(zlib.decompress(packed).decode()) for packed in there]

    def remove_records(self, stage: Stage, before: date, tables: Iterable[str], spared: Iterable[str]) -> int:
        """Remove the records of a stage's runs for days before one that have no rows in any table; how many."""
        dry_run.refuse_to_write()
        stay = set(spared)
        old = [
            each for each in self._listed(stage) if each["date"]["S"] < str(before) and each["which"]["S"] not in stay
        ]
        if not old:
            return 0
        with_rows = {
            str(each.day)
            for each in pointers.newest_first(self._client, stage)
            if any(each.tables[name].rows for name in tables if name in each.tables)
        }
        gone = [each for each in old if each["date"]["S"] not in with_rows]
        keys = [(each["what"]["S"], each["which"]["S"]) for each in gone]
        self._client.delete_all(self._records, keys)
        self._client.delete_all(self._records, [("record", each["whole"]["S"]) for each in gone])
        return len(gone)

    def deployments(self, stage: str) -> list[str]:
        """The lines that were noted of a stage's deployments, the oldest first."""
        return [each["line"]["S"] for each in self._client.query(self._records, f"deployments#{stage}")]

    def note_deployment(self, stage: str, noted_at: str, line: str) -> None:
        """Add a line to what is known of the stage's deployments."""
        self._make_if_missing()
        what, which = f"deployments#{stage}", f"{noted_at}#{secrets.token_hex(4)}"
        self._client.put(self._records, {"what": {"S": what}, "which": {"S": which}, "line": {"S": line}})
        names = ("what", "which")
        kept = [each["which"]["S"] for each in self._client.query(self._records, what, newest=True, names=names)]
        self._client.delete_all(self._records, [(what, each) for each in kept[DEPLOYMENTS:]])

    def trials(self, stage: str, git_commit: str) -> str | None:
        """What a stage's scale check found of a commit; None where there was none."""
        found = self._client.get(self._records, f"trials#{stage}", git_commit)
        return found["trials"]["S"] if found else None

    def note_trials(self, stage: str, git_commit: str, trials: str) -> None:
        """Keep what a stage's scale check found of a commit, in place of what it found before."""
        self._make_if_missing()
        what = f"trials#{stage}"
        self._client.put(self._records, {"what": {"S": what}, "which": {"S": git_commit}, "trials": {"S": trials}})
        names = ("what", "which")
        noted = {each["which"]["S"] for each in self._client.query(self._records, what, names=names)}
        runs = sorted(self._listed(Stage(stage)), key=_begun, reverse=True)
        newest = list(dict.fromkeys(each["git_commit"]["S"] for each in runs))[:TRIALS]
        self._client.delete_all(self._records, [(what, each) for each in noted - {git_commit, *newest}])

    def missing_told(self, stage: str) -> set[tuple[str, str]] | None:
        """Of which missing runs of a stage somebody was told: when each was due, and what; None before the first."""
        found = list(self._client.query(self._records, f"missing#{stage}"))
        if not found:
            return None
        return {(each["due"]["S"], each["said"]["S"]) for each in found if each["which"]["S"] != _LOOKED}

    def note_missing(self, stage: str, told_at: str, oldest: str, told: list[tuple[str, str]]) -> None:
        """Keep which missing runs of a stage somebody was told of: when each was due, the oldest one, and what."""
        self._make_if_missing()
        what = f"missing#{stage}"
        self._client.put(self._records, {"what": {"S": what}, "which": {"S": _LOOKED}})
        for due, said in told:
            item = {"what": what, "which": f"{due}#{said}", "due": due, "said": said, "told_at": told_at}
            self._client.put(self._records, {name: {"S": text} for name, text in item.items()})
        there = [each["which"]["S"] for each in self._client.query(self._records, what) if "due" in each]
        self._client.delete_all(self._records, [(what, each) for each in there if each.partition("#")[0] < oldest])

    def tables(self) -> dict[str, Found]:
        """The tables that rows were published to, the oldest first."""
        found = sorted(self._client.query(self._records, "table"), key=lambda each: each["made_at"]["S"])
        return {
            each["which"]["S"]: Found(
                each["which"]["S"], json.loads(each["columns"]["S"]), tuple(json.loads(each["primary"]["S"]))
            )
            for each in found
        }


def _begun(run: Item) -> str:
    return str(run["started_at"]["S"])


def _is_wanted(run: Item, wanted: Wanted) -> bool:
    day, status, run_id = run["date"]["S"], run["status"]["S"], run["which"]["S"]
    return not (
        (wanted.first and day < str(wanted.first))
        or (wanted.last and day > str(wanted.last))
        or (wanted.statuses and status not in wanted.statuses)
        or status in wanted.not_statuses
        or (wanted.daily is not None and wanted.daily != (run["kind"]["S"] == DAILY))
        or (wanted.git_commit and wanted.git_commit != run["git_commit"]["S"])
        or (wanted.run_ids is not None and run_id not in wanted.run_ids)
        or run_id == wanted.but
        or (wanted.reviewed and not run["reviewed"]["S"])
    )
