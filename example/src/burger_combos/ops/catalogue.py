"""The published tables of a database, as its own catalogue knows them: to look needs no code of the project."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from .problems import Problem

if TYPE_CHECKING:
    from .store import Store

ADDED = ("stage", "date", "run_id", "git_commit")  # the columns that publishing adds to those of the project
MODEL = "model_run"  # the one that it adds besides where runs may take a model: which run has trained it
_COLUMNS = {
    "sqlite": """
SELECT found.name AS "table", each.name AS "column", each.type AS "kind", each.pk AS "place"
FROM sqlite_master AS found, pragma_table_info(found.name) AS each
WHERE found.type = 'table' ORDER BY found.rowid, each.cid""",
    "postgresql": """
SELECT found.relname::text AS "table", each.attname::text AS "column", format_type(each.atttypid, NULL) AS "kind",
    coalesce(array_position(key.indkey::int2[], each.attnum) + 1, 0)::int8 AS "place"
FROM pg_class AS found
JOIN pg_attribute AS each ON each.attrelid = found.oid AND each.attnum > 0 AND NOT each.attisdropped
LEFT JOIN pg_index AS key ON key.indrelid = found.oid AND key.indisprimary
WHERE found.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT found.relispartition AND pg_table_is_visible(found.oid)
    AND found.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
ORDER BY found.oid, each.attnum""",
}
_KINDS = {
    **dict.fromkeys(("bigint", "integer", "smallint", "int"), "whole numbers"),
    **dict.fromkeys(("double precision", "real"), "numbers"),
    **dict.fromkeys(("text", "varchar", "character varying", "character"), "text"),
    **dict.fromkeys(("timestamp", "timestamp without time zone"), "times"),
    "boolean": "true or false",
    "date": "dates",
}
KINDS = {
    "whole numbers": "BIGINT",
    "numbers": "DOUBLE PRECISION",
    "text": "TEXT",
    "times": "TIMESTAMP",
    "true or false": "BOOLEAN",
    "dates": "DATE",
}


@dataclass(frozen=True)
class Found:
    """A table that is in the database."""

    name: str
    columns: dict[str, str]  # what each holds: one of the kinds below, or the database's own word
    primary: tuple[str, ...]  # the columns of its primary key

    @property
    def is_published(self) -> bool:
        """Whether it holds rows by stage and date, and says which run wrote them."""
        return set(ADDED) <= set(self.columns) and {"stage", "date"} <= set(self.primary)

    @property
    def key(self) -> tuple[str, ...]:
        """What tells the rows of a day from each other."""
        return tuple(name for name in self.primary if name not in ("stage", "date"))


def tables(store: "Store") -> dict[str, Found]:
    """All tables that are seen without naming a schema, by their names."""
    found: dict[str, Found] = {}
    rows = store.query(_COLUMNS[store.kind])
    for (name,), columns in rows.group_by("table", maintain_order=True):
        kinds = {column: kind_of(kind) for column, kind in columns.select("column", "kind").iter_rows()}
        primary = columns.filter(pl.col("place") > 0).sort("place")["column"]
        found[str(name)] = Found(str(name), kinds, tuple(primary))
    return found


def published(store: "Store") -> dict[str, Found]:
    """Those that rows are published to."""
    return {name: table for name, table in tables(store).items() if table.is_published}


def kind_of(declared: str) -> str:
    """What a column of a type holds, in words that both databases share; the type itself where there is none."""
    plain = declared.lower().partition("(")[0].strip()
    return _KINDS.get(plain, plain)


def sql_type(kind: str) -> str:
    """The type of a column that holds such values, in both databases."""
    return KINDS[kind]


def storable(rows: pl.DataFrame, table: str) -> dict[str, pl.Series]:
    """The columns of rows in types that a database has, by their names.

    Raises:
        Problem: a column's values are of no such type.
    """
    return {column.name: _storable(column, f"table {table}: column {column.name}") for column in rows}


def kind_of_values(dtype: pl.DataType) -> str:
    """What a column of storable values holds, in the same words."""
    if dtype.is_integer():
        return "whole numbers"
    if dtype.is_float():
        return "numbers"
    return {pl.Boolean: "true or false", pl.Date: "dates", pl.Datetime: "times"}.get(dtype.base_type(), "text")


def refuse_unlike(kinds: dict[str, str], first: dict[str, str], where: str) -> None:
    """Refuse a part whose columns are not those of the first one, or hold other values.

    Args:
        kinds: what the part's columns hold, by their names.
        first: the same of the first part.
        where: the part, as in `table forecasts: part 2`.

    Raises:
        Problem: they differ.
    """
    for name in first.keys() ^ kinds.keys():
        has, lacks = ("the first has", "this one lacks") if name in first else ("this one has", "the first lacks")
        raise Problem(f"{where}: {has} a column {name!r}, which {lacks}: give all parts the same columns")
    for name, kind in kinds.items():
        if kind != first[name]:
            raise Problem(f"{where}: column {name} holds {first[name]} in the first part, and {kind} here: cast it")


def _storable(column: pl.Series, where: str) -> pl.Series:
    dtype = column.dtype
    if dtype.is_integer():
        try:
            return column.cast(pl.Int64)
        except pl.exceptions.InvalidOperationError:
            raise Problem(f"{where}: a number is beyond 64 bits: publish it as text") from None
    if dtype.is_float():
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    if isinstance(dtype, pl.Datetime):
        local = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else column
        return local.cast(pl.Datetime("us"))
    if dtype in (pl.String, pl.Boolean, pl.Date):
        return column
    raise Problem(f"{where}: {dtype} is nothing that a table holds: cast it to text, numbers, dates, times or booleans")
