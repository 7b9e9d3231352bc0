"""How SQLite and PostgreSQL know tables, columns and what these hold."""

from datetime import datetime

import polars as pl

from ..catalogue import TYPES, Found, value_of

COLUMNS = {
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


def found(rows: pl.DataFrame) -> dict[str, Found]:
    """The tables, by their names, of what COLUMNS has selected."""
    tables: dict[str, Found] = {}
    for (name,), columns in rows.group_by("table", maintain_order=True):
        kinds = {column: _kind(declared) for column, declared in columns.select("column", "kind").iter_rows()}
        primary = columns.filter(pl.col("place") > 0).sort("place")["column"]
        tables[str(name)] = Found(str(name), kinds, tuple(primary))
    return tables


def condition(database: str, name: str, kind: str, value: str, place: int) -> str:
    """That a column has a value, compared as what the column holds.

    Args:
        database: `sqlite` or `postgresql`.
        name: the column's name.
        kind: what it holds.
        value: the value, as text.
        place: the number of the parameter for it, where the condition has one.

    Raises:
        Problem: the value is nothing of that kind.
    """
    column, wanted = quoted(name), value_of(name, kind, value)
    if isinstance(wanted, bool):
        return column if wanted else f"NOT {column}"
    if isinstance(wanted, int | float):
        return f"{column} = {wanted!r}"
    if isinstance(wanted, datetime) and database == "sqlite":  # which keeps them as text
        return f"strftime('%Y-%m-%d %H:%M:%f', {column}) = strftime('%Y-%m-%d %H:%M:%f', '{wanted}')"
    if not isinstance(wanted, str):
        return f"{column} = '{wanted}'"
    return f"CAST({column} AS TEXT) = ${place}" if kind != "text" else f"{column} = ${place}"


def direction(name: str, table: Found) -> str:
    """How to sort by a column; a key has no nulls, and its index gives the order unless they are to come last."""
    down = name.startswith("-")
    return " DESC" * down + " NULLS LAST" * (name.removeprefix("-") not in table.key)


def after(part: pl.DataFrame, table: Found, place: int) -> tuple[str, list[str]]:
    """The condition for the rows that follow a part in the order of their key.

    Args:
        part: rows with the columns of the key.
        table: their table.
        place: the number of the first parameter.

    Returns:
        The condition, with AND before it, and the values of its parameters.
    """
    values: list[str] = []
    places = []
    for name, value in part.select(table.key).row(-1, named=True).items():
        if table.columns[name] == "text":
            places.append(f"${place + len(values)}")
            values.append(value)
        else:
            places.append(str(value) if isinstance(value, int) else f"'{value}'")
    return f" AND ({', '.join(map(quoted, table.key))}) > ({', '.join(places)})", values


def typed(rows: pl.DataFrame, table: Found) -> pl.DataFrame:
    """Rows in the types that the table declares, of which SQLite knows fewer."""
    return rows.with_columns(_typed(rows[name], table.columns[name]) for name in rows.columns)


def quoted(name: str) -> str:
    """The name of a table or a column, as SQL takes any."""
    return '"' + name.replace('"', '""') + '"'


def _kind(declared: str) -> str:
    """What a column of a type holds, in words that both databases share; the type itself where there is none."""
    plain = declared.lower().partition("(")[0].strip()
    return _KINDS.get(plain, plain)


def _typed(column: pl.Series, kind: str) -> pl.Series:
    wanted = TYPES.get(kind, column.dtype)
    if column.dtype == pl.String and isinstance(wanted, pl.Date):
        return column.str.to_date()
    if column.dtype == pl.String and isinstance(wanted, pl.Datetime):
        return column.str.to_datetime(time_unit="us")
    return column.cast(wanted)
