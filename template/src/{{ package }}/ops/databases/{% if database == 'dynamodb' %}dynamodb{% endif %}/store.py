"""The rows of each day: written under a version of their own, and put in place by one write of the day's pointer."""

import json
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING

import polars as pl

from ... import catalogue, dry_run
from ...catalogue import ADDED, TYPES, Found
from ...problems import Problem
from ...settings import Stage
from .. import Written, schema_check
from . import items, parts, pointers
from .client import EXPIRES, Item, Unmet
from .pointers import Version
from .records import Records
from .writing import Writers

if TYPE_CHECKING:
    from ...published import Table

_LEFT = timedelta(days=2)  # rows that were begun longer ago, and are not in place, are nobody's
_TRIES = 20  # to be the one that changes a table
_GRACE = timedelta(hours=1)  # for readers that have seen a pointer, and have not read the rows yet


class DynamoStore(Records):
    """The two tables of a place; use it as a context manager."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Nothing has to be closed."""

    def written(self, stage: Stage, table: Found, day: date | None = None, run_id: str = "") -> list[Written]:
        """What the stage's runs have written to a table; see `AnyStore`."""
        if day:
            one = pointers.of(self._client, stage, day)
            found = iter([one] if one else [])
        else:
            found = pointers.newest_first(self._client, stage)
        known: list[Written] = []
        for pointer in found:
            there = pointer.tables.get(table.name)
            if there and there.rows and run_id in ("", there.run_id):
                known.append(Written(table, pointer.day, there.run_id, there.git_commit, there.rows))
                if not run_id:
                    break
        return known

    def writer(self, stage: Stage, table: Found, day: date) -> tuple[str, str] | None:
        """The run and the commit that have written a day's rows of a table; None where there are none."""
        found = self.written(stage, table, day)
        return (found[0].run_id, found[0].git_commit) if found else None

    def first_rows(
        self, stage: Stage, of: Written, conditions: Mapping[str, str], order: Sequence[str], most: int
    ) -> tuple[pl.DataFrame, int | None]:
        """The first rows of a day that fit conditions; see `AnyStore`."""
        table = of.table
        shown = [name for name in table.columns if name not in ADDED]
        read = list(dict.fromkeys([*shown, *conditions]))
        wanted = {name: catalogue.value_of(name, table.columns[name], text) for name, text in conditions.items()}
        fits = [pl.col(name).eq(pl.lit(value)) for name, value in wanted.items()]
        names = [name.removeprefix("-") for name in order]
        down = [name.startswith("-") for name in order]
        best = pl.DataFrame(schema=_schema(table, shown))
        count = 0
        found = (
            self._by_key(stage, of, wanted, read)
            if wanted.keys() >= set(table.key)
            else self._in_parts(stage, of, read)
        )
        for part in found:
            fitting_rows = part.filter(fits) if fits else part
            count += len(fitting_rows)
            best = (
                pl.concat([best, fitting_rows.select(shown)]).sort(names, descending=down, nulls_last=True).head(most)
            )
        return best, count if conditions else None

    def parts(self, stage: Stage, of: Written, columns: Collection[str], rows: int) -> Iterator[pl.DataFrame]:
        """A day's rows in the order of their key, some at a time; see `AnyStore`."""
        held = pl.DataFrame(schema=_schema(of.table, columns))
        yielded = False
        for part in self._in_order(stage, of, columns):
            held = pl.concat([held, part])
            while len(held) > rows:
                yield held[:rows]
                yielded, held = True, held[rows:]
        if len(held) or not yielded:
            yield held

    def _in_order(self, stage: Stage, of: Written, columns: Collection[str]) -> Iterator[pl.DataFrame]:
        """The parts of a day in the order of their key; all at once where they were not written in that order."""
        version = self._version(stage, of)
        if version is None or version.ordered:
            return self._in_parts(stage, of, columns)
        read = list(dict.fromkeys([*columns, *of.table.key]))
        return iter([pl.concat(self._in_parts(stage, of, read)).sort(of.table.key).select(columns)])

    def _version(self, stage: Stage, of: Written) -> Version | None:
        pointer = pointers.of(self._client, stage, of.day)
        found = pointer.tables.get(of.table.name) if pointer else None
        return found if found and found.run_id == of.run_id else None

    def _in_parts(self, stage: Stage, of: Written, columns: Collection[str]) -> Iterator[pl.DataFrame]:
        """The rows of a day as they were written."""
        version = self._version(stage, of)
        schema = _schema(of.table, columns)
        for number in range(version.parts if version else 0):
            part = (
                parts.read(self._client, parts.name_of(stage, of.table.name, version.name, number)) if version else None
            )
            if part is None:
                raise Problem(
                    f"{self.name}: part {number + 1} of table {of.table.name} for {of.day} is gone: run it again"
                )
            lacking = [
                pl.lit(None, dtype=kind).alias(name) for name, kind in schema.items() if name not in part.columns
            ]
            yield part.with_columns(lacking).select(pl.col(name).cast(kind) for name, kind in schema.items())

    def _by_key(
        self, stage: Stage, of: Written, wanted: Mapping[str, object], columns: Collection[str]
    ) -> Iterator[pl.DataFrame]:
        """The one row of a key, as readers get it."""
        version = self._version(stage, of)
        if version is None:
            return
        schema = _schema(of.table, columns)
        key = pl.DataFrame({name: [wanted[name]] for name in of.table.key}, schema=_schema(of.table, of.table.key))
        (first,) = items.keys_of(stage, of.table.name, key, of.table.key)
        item = self._client.get(self._client.place.rows, first, version.name)
        yield items.decoded([item] if item else [], of.table, schema)

    def replace(
        self, stage: Stage, day: date, tables: "Sequence[tuple[Table, pl.DataFrame | Iterable[pl.DataFrame]]]"
    ) -> list[int]:
        """Put rows in place of the stage's of that day, in all tables or in none; see `AnyStore`."""
        dry_run.refuse_to_write()
        known = self.tables()
        with Writers(self._client) as writers:
            writing = [_Writing(self, writers, stage, day, table, known.get(table.name)) for table, _ in tables]
            for each, (_, rows) in zip(writing, tables, strict=True):
                each.take([rows] if isinstance(rows, pl.DataFrame) else rows)
            expected, written = sum(each.count for each in writing), writers.finish()
        if written != expected:
            raise Problem(
                f"{self.name}: {written:,} of {expected:,} rows were written: nothing is in place, run it again"
            )
        for each in writing:
            each.note_table()
        expires = pointers.expiry(day, self._keep_days, of_rows=False)
        versions = {each.table.name: each.version() for each in writing}
        pointers.put_in_place(self._client, stage, day, versions, expires)
        return [each.count for each in writing]

    def put_back(self, stage: Stage, git_commit: str) -> list[date]:
        """Put the rows of a commit back in place where those of another have replaced them; see `AnyStore`."""
        noted = {item["which"]["S"]: item for item in self._client.query(self._records, f"writing#{stage}")}
        days = []
        for pointer in pointers.newest_first(self._client, stage):
            earlier = pointer.earlier(git_commit)
            notes = [noted.get(f"{name}#{each.name}") for name, each in earlier.items() if each.rows]
            if earlier and all(note and "unread_since" not in note for note in notes):
                dry_run.refuse_to_write()
                pointers.put_back(self._client, stage, pointer.day, git_commit)
                days.append(pointer.day)
        return sorted(days)

    def remove_rows(self, stage: Stage, before: date, tables: Sequence[str]) -> dict[str, int]:
        """Remove a stage's rows of days before one: nothing leads to them from now on; how many of each table.

        DynamoDB removes them by itself when they expire, and `remove_unread` those that do not.
        """
        counts: dict[str, int] = {}
        for pointer in pointers.newest_first(self._client, stage):
            mine = [name for name in tables if name in pointer.tables] if pointer.day < before else []
            if mine:
                dry_run.refuse_to_write()
                pointers.take_away(self._client, stage, pointer.day, mine)
            for name in mine:
                counts[name] = counts.get(name, 0) + pointer.tables[name].rows
        return {name: count for name, count in counts.items() if count}

    def remove_unread(self, stage: Stage) -> int:
        """Remove rows to which no pointer leads, as later ones have replaced them, or nobody has finished them."""
        noted = list(self._client.query(self._records, f"writing#{stage}"))
        if not noted:
            return 0
        dry_run.refuse_to_write()
        now = datetime.now(UTC)
        all_of = pointers.newest_first(self._client, stage)
        used = {f"{name}#{each.name}" for pointer in all_of for name, each in pointer.tables.items()}
        count = 0
        for item in noted:
            begun = datetime.fromisoformat(item["begun_at"]["S"])
            if item["which"]["S"] in used or EXPIRES in item or now - begun < _LEFT:
                continue
            if "unread_since" not in item:
                self._client.put(self._records, item | {"unread_since": {"S": now.isoformat()}})
            elif now - datetime.fromisoformat(item["unread_since"]["S"]) >= _GRACE:
                count += self._remove(stage, item)
        return count

    def _remove(self, stage: Stage, noted: Item) -> int:
        """Remove the rows of a version, then its parts, the first of them last: it leads to the others."""
        table, version = noted["table"]["S"], noted["version"]["S"]
        key = json.loads(noted["key"]["S"])
        count = number = 0
        while (part := parts.read(self._client, parts.name_of(stage, table, version, number))) is not None:
            keys = items.keys_of(stage, table, part, key)
            count += self._client.delete_all(self._client.place.rows, [(each, version) for each in keys])
            number += 1
        for each in reversed(range(number)):
            self._client.delete(self._records, *parts.name_of(stage, table, version, each))
        self._client.delete(self._records, noted["what"]["S"], noted["which"]["S"])
        return count


class _Writing:
    """The rows of one table on their way."""

    def __init__(
        self, store: DynamoStore, writers: Writers, stage: Stage, day: date, table: "Table", found: Found | None
    ) -> None:
        self.table, self.count = table, 0
        self._store, self._writers, self._stage, self._day, self._found = store, writers, stage, day, found
        self._client = store._client
        self._run = self._commit = self._version = ""
        self._parts = 0
        self._first: dict[str, str] = {}
        self._hashes: list[pl.Series] = []
        self._last: tuple[object, ...] | None = None
        self._ordered = True
        self._expires = pointers.expiry(day, store._keep_days, of_rows=True)

    def take(self, given: Iterable[pl.DataFrame]) -> None:
        """Write parts one after the other; one is in memory at a time, beside what waits for a writer."""
        number = 0
        for part in given:
            number += 1
            where = f"table {self.table.name}: part {number}" if number > 1 else f"table {self.table.name}"
            self._take(part, where, first=number == 1)
            del part
        if not number:
            raise Problem(f"table {self.table.name}: there is not one part: give at least one, if an empty one")

    def _take(self, part: pl.DataFrame, where: str, *, first: bool) -> None:
        columns = catalogue.storable(part, self.table.name)
        kinds = {name: catalogue.kind_of_values(column.dtype) for name, column in columns.items()}
        if first:
            self._first = kinds
            advice = "give it another name in TABLES"
            schema_check.refuse_unlike_there(self._found, self.table, kinds, self._store.name, advice)
        catalogue.refuse_unlike(kinds, self._first, where)
        there = kinds | (self._found.columns if self._found else {})
        fitted = [schema_check.fitted(self._store.name, self.table, columns[name], there[name]) for name in self._first]
        rows = pl.DataFrame(fitted)
        if rows.is_empty():
            return
        keys = items.keys_of(self._stage, self.table.name, rows, self.table.key)
        items.refuse_what_no_item_holds(rows, keys, self.table.key, where)
        if not self._version:
            self._begin(rows)
        self._refuse_twice(rows, keys, where)
        self._write(rows.sort(self.table.key))
        self.count += len(rows)

    def _begin(self, rows: pl.DataFrame) -> None:
        self._run, self._commit = str(rows["run_id"][0]), str(rows["git_commit"][0])
        self._version = f"{self._day}#{self._run}#{secrets.token_hex(3)}"
        texts = {  # so that these rows are found if nobody finishes them
            "what": f"writing#{self._stage}",
            "which": f"{self.table.name}#{self._version}",
            "table": self.table.name,
            "version": self._version,
            "key": json.dumps(list(self.table.key)),
            "begun_at": datetime.now(UTC).isoformat(),
        }
        item: Item = {name: {"S": text} for name, text in texts.items()}
        self._client.put(self._client.place.records, item | self._expiring())

    def _expiring(self) -> Item:
        return {EXPIRES: {"N": str(self._expires)}} if self._expires else {}

    def _refuse_twice(self, rows: pl.DataFrame, keys: list[str], where: str) -> None:
        """Refuse a key that an earlier part has: DynamoDB would put the one row in place of the other."""
        hashes = rows.select(self.table.key).hash_rows()  # those of two rows differ, or their keys may be the same
        if hashes.n_unique() < len(hashes) and len(set(keys)) < len(keys):
            row = next(row for row, key in enumerate(keys) if key in keys[:row])
            told = " ".join(f"{name}={rows[name][row]}" for name in self.table.key)
            raise Problem(f"{where}: row {row + 1} shares its key with an earlier one, as {told}")
        for earlier in self._hashes:
            for row in hashes.is_in(earlier.implode()).arg_true() if len(earlier) else ():
                self._writers.finish()
                if self._client.get(self._client.place.rows, keys[row], self._version):
                    told = " ".join(f"{name}={rows[name][row]}" for name in self.table.key)
                    raise Problem(f"{where}: row {row + 1} shares its key with an earlier one, as {told}")
        self._hashes.append(hashes)

    def _write(self, rows: pl.DataFrame) -> None:
        edges = rows.select(self.table.key)
        if self._last is not None and self._last > edges.row(0):
            self._ordered = False
        self._last = edges.row(-1)
        fixed: Item = {"day-run": {"S": self._version}} | self._expiring()
        for piece, packed in parts.split(rows):
            place = parts.name_of(self._stage, self.table.name, self._version, self._parts)
            parts.put(self._client, place, packed, self._expires)
            self._parts += 1
            keys = items.keys_of(self._stage, self.table.name, piece, self.table.key)
            size = int(piece.estimated_size()) // len(piece) + sum(map(len, piece.columns))
            self._writers.put(list(items.encoded(piece, fixed, keys)), size)

    def note_table(self) -> None:
        """Keep in the records what columns the table has, and its key."""
        place, name = self._client.place.records, self.table.name
        for _ in range(_TRIES):
            there = self._client.get(place, "table", name)
            columns: dict[str, str] = json.loads(there["columns"]["S"]) if there else {}
            after = columns | {each: kind for each, kind in self._first.items() if each not in columns}
            if after == columns:
                return
            texts = {
                "what": "table",
                "which": name,
                "columns": json.dumps(after),
                "primary": json.dumps(["stage", "date", *self.table.key]),
                "made_at": there["made_at"]["S"] if there else datetime.now(UTC).isoformat(),
            }
            item: Item = {each: {"S": text} for each, text in texts.items()}
            try:
                self._client.put_if(place, item, "columns", there["columns"] if there else None)
            except Unmet:
                continue
            return
        raise Problem(f"{self._store.name}: others change table {name} all the time: run this again")

    def version(self) -> Version:
        """What the pointer says of these rows."""
        return Version(
            self._version or f"{self._day}##", self._run, self._commit, self.count, self._parts, self._ordered
        )


def _schema(table: Found, columns: Collection[str]) -> pl.Schema:
    """The types of columns."""
    return pl.Schema({name: TYPES[table.columns[name]] for name in columns})
