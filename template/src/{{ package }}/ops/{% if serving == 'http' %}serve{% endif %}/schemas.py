"""OpenAPI of the published tables: their columns as the database has them, which follow what was published."""

from typing import Any

from ..catalogue import ADDED, Found
from ..published import Table
from .answers import described

LIMIT, MOST = 100, 10_000  # rows of a page, unless told otherwise, and at most
HEADERS = {
    "X-Result-Date": "the day that the rows are for",
    "X-Run-Id": "the run that wrote them",
    "X-Git-Commit": "the commit of that run",
}
_KINDS: dict[str, dict[str, Any]] = {
    "whole numbers": {"type": "integer"},
    "numbers": {"type": "number"},
    "text": {"type": "string"},
    "times": {"type": "string", "description": "ISO 8601, without a time zone"},
    "true or false": {"type": "boolean"},
    "dates": {"type": "string", "format": "date"},
}


def paths(base: str, table: Table, found: Found | None) -> dict[str, Any]:
    """The two paths of a table: a row by its key, and pages.

    Args:
        base: the path of its pages.
        table: as it is declared.
        found: as it is in the database; None before the first run.
    """
    etag = {"ETag": {"schema": {"type": "string"}, "required": True}}
    told = {
        name: {"description": text, "schema": {"type": "string"}, "required": True} for name, text in HEADERS.items()
    }
    row = {"$ref": f"#/components/schemas/{table.name}"}
    page = {
        "type": "object",
        "required": ["rows", "next"],
        "properties": {
            "rows": {"type": "array", "items": row},
            "next": {"type": ["string", "null"], "description": "the cursor of the next page; null after the last row"},
        },
    }
    unless = {
        "name": "If-None-Match",
        "in": "header",
        "schema": {"type": "string"},
        "description": "an ETag that the client has",
    }
    asked = [
        {
            "name": "limit",
            "in": "query",
            "description": "how many rows, at most",
            "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT},
        },
        {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "`next` of the page before"},
        *(
            {
                "name": column,
                "in": "query",
                "schema": column_schema(found, column),
                "description": "only rows that have it; the columns of the key before it have to be given, too",
            }
            for at, column in enumerate(table.key)
        ),
    ]
    key = [
        {"name": column, "in": "path", "required": True, "schema": column_schema(found, column)} for column in table.key
    ]
    one = {
        "summary": f"The newest row of a key in {table.name}",
        "operationId": f"row_of_{table.name}",
        "parameters": [*key, unless],
        "responses": {
            "200": {
                "description": "The row",
                "headers": etag | told,
                "content": {"application/json": {"schema": row}},
            },
            "304": {"description": "The client has it already", "headers": etag | told},
            **described(404, 422, 503),
        },
    }
    several = {
        "summary": f"The rows of the newest day in {table.name}, page by page",
        "operationId": f"rows_of_{table.name}",
        "parameters": [*asked, unless],
        "responses": {
            "200": {
                "description": "A page",
                "headers": etag | told,
                "content": {"application/json": {"schema": page}},
            },
            "304": {"description": "The client has it already", "headers": etag | told},
            **described(410, 422, 503),
        },
    }
    by_key = "/".join([base, *(f"{{{column}}}" for column in table.key)])
    return {base: {"get": several}, by_key: {"get": one}}


def row_schema(table: Table, found: Found | None) -> dict[str, Any]:
    """A row of a table: the project's own columns; before the first run only those of the key are known."""
    columns = [name for name in found.columns if name not in ADDED] if found else list(table.key)
    properties = {name: column_schema(found, name) for name in columns}
    for name in properties.keys() - set(table.key):
        schema = properties[name]
        properties[name] = schema | {"type": [schema["type"], "null"]}
    return {"type": "object", "required": columns, "properties": properties}


def column_schema(found: Found | None, column: str) -> dict[str, Any]:
    """What a column holds."""
    kind = found.columns[column] if found else "text"
    return dict(_KINDS.get(kind, {"type": "string", "description": kind}))
