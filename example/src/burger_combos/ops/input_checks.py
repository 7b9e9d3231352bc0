"""Look at a run's input, and say what is unusual: in the log, in the record, to the webhook, or by refusing the run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl
import structlog
from pydantic import TypeAdapter

from . import alerts, drift, profile, records
from .fingerprint import RAW
from .input_findings import found, sentence
from .problems import Refused
from .raw import CHECKED
from .runs import BACKFILL, Record, Run
from .settings import Stage, StageSettings
from .shards import Shard
from .tables import TableSettings
from .values.value_settings import full_name

COUNTED, SAMPLED = "profile.json", "profile.parquet"  # of each shard: what is taken of its rows
MADE_UP = "sample"  # a source whose rows need not be new
ENDED = ("ok", "refused", "failed")

log = structlog.get_logger()


@dataclass(frozen=True)
class Watch:
    """What profiles the tables of a run, and compares them with those of the runs before."""

    settings: StageSettings

    def look(self, run: Run, table: TableSettings, rows: pl.DataFrame, numbers: pl.Series) -> None:
        """Profile all rows of a table that fit.

        Args:
            run: the run.
            table: the table's settings.
            rows: the rows.
            numbers: the number of each in the source.

        Raises:
            Refused: something is unusual, and the settings say that nothing is made of it then.
        """
        self._judge(run, table, [self._take(run, table, rows, numbers)])

    def look_at_part(
        self, run: Run, table: TableSettings, rows: pl.DataFrame, numbers: pl.Series, shard: Shard
    ) -> None:
        """Take of a shard's rows what `join` then makes a profile of; arguments as of `look`."""
        taken = self._take(run, table, rows, numbers)
        taken.sample.write_parquet(run.path(SAMPLED, shard))
        run.path(COUNTED, shard).write_bytes(TypeAdapter(profile.Counted).dump_json(taken.counted) + b"\n")

    def join(self, run: Run, table: TableSettings) -> None:
        """Profile a table of whose rows all shards have taken their part.

        Raises:
            Refused: as `look` does.
        """
        parts = [
            profile.Taken(
                TypeAdapter(profile.Counted).validate_json(run.path(COUNTED, shard).read_bytes()),
                pl.read_parquet(run.path(SAMPLED, shard), glob=False),
            )
            for shard in run.shards
            if run.path(COUNTED, shard).exists()  # not where the shards were done before an update
        ]
        if len(parts) == len(run.shards):
            self._judge(run, table, parts)

    def catch_up(self, run: Run) -> None:
        """Profile the rows as they were read, where the project has checked them by itself, as before 0.11.0.

        Raises:
            Refused: as `look` does.
        """
        tables = [each for _, each in self.settings if isinstance(each, TableSettings)]
        by_itself = "rows_rejected" in run.record.numbers and not run.record.profile and len(tables) == 1
        if by_itself and not run.path(CHECKED, run.shards[0]).exists() and run.path(RAW).exists():
            rows = pl.read_parquet(run.path(RAW), glob=False)
            self.look(run, tables[0], rows, pl.int_range(1, len(rows) + 1, dtype=pl.Int64, eager=True))

    def _take(self, run: Run, table: TableSettings, rows: pl.DataFrame, numbers: pl.Series) -> profile.Taken:
        return profile.take(rows, numbers, _time(table, rows), run.record.date, self._days)

    @property
    def _days(self) -> int:
        return self.settings.monitoring.drift.window_days

    def _judge(self, run: Run, table: TableSettings, parts: Sequence[profile.Taken]) -> None:
        name, record, limits = full_name(table), run.record, self.settings.monitoring.drift
        time = _time(table, parts[0].sample)
        made = profile.join(parts, time, record.date, self._days)
        if not time and table.source != MADE_UP:
            made["hash"] = _hash(run)
        before: list[profile.Profile] = []
        if self.settings.stage is not Stage.explore and limits.then != "ignore":
            earlier = records.good_before(self.settings, record.date, 5 * limits.runs)
            before = _comparable(name, made, record, earlier, limits.runs)
        made["same"] = bool(before) and bool(made.get("hash")) and made["hash"] == before[0].get("hash")
        unusual = drift.findings(made, before, limits)
        record.profile[name] = made | {"compared_with": len(before), "findings": [asdict(each) for each in unusual]}
        for each in unusual:
            log.warning("unusual", table=name, finding=each.text)
        if unusual and limits.then == "refuse":
            raise Refused(f'{sentence(record, found(record))} (monitoring.drift.then is "refuse")')


def _time(table: TableSettings, rows: pl.DataFrame) -> str:
    """The table's time column, if the rows have it as such."""
    there = table.time_column in rows.columns and rows[table.time_column].dtype in (pl.Date, pl.Datetime)
    return table.time_column if there else ""


def _hash(run: Run) -> str:
    """That of what was read, which another process may have found out; empty where it cannot be."""
    known = run.fingerprint.result() if run.fingerprint else run.record.data
    return str(known.get("hash", ""))


def _comparable(
    name: str, made: profile.Profile, record: Record, before: Sequence[Record], most: int
) -> list[profile.Profile]:
    """The profiles of a table that were made under the same settings of it, of the newest run of each day."""
    mine = _settings(name, record)
    by_day: dict[str, profile.Profile] = {}
    for each in before:
        other = each.profile.get(name)
        if (
            other
            and (other["time_column"], other["window_days"]) == (made["time_column"], made["window_days"])
            and _settings(name, each) == mine
        ):
            by_day.setdefault(other["day"], other)
    return list(by_day.values())[:most]


def _settings(name: str, record: Record) -> dict[str, Any]:
    """What a table's settings were: another source, or other columns, are no drift."""
    return {key: value for key, value in record.settings.items() if key.startswith(f"{name}.")}


def tell(run: Run, settings: StageSettings) -> None:
    """Tell the webhook, once a run has ended, what is unusual in its input and was not so in the run before."""
    record = run.record
    unusual = found(record)
    if not unusual or record.kind == BACKFILL:  # which somebody watches, as when it fails
        return
    if record.status == "refused" and settings.monitoring.drift.then == "refuse":  # which was told as the problem
        return
    last = records.ended_before(settings, record)
    known = found(last) if last else []
    if new := [each for each in unusual if not any(each.is_like(other) for other in known)]:
        alerts.noticed(settings.alert, record.stage, sentence(record, new), record)
