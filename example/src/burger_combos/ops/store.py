"""What projects of earlier releases and their tests import: a database that speaks SQL, and what belongs to it."""

from pydantic import SecretStr

from .databases import NotThere, make_database
from .databases.sql import Store
from .databases.urls import sqlite_file, without_password
from .problems import Problem

__all__ = ["NotThere", "SecretStr", "Store", "make_database", "sqlite_file", "without_password"]


def __getattr__(name: str) -> str:
    """`ROWS`, the name of the first of the pipeline's tables, for tests of projects that earlier releases made."""
    if name != "ROWS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .published import declared, line_to_add

    tables = declared()
    if not tables:
        raise Problem(line_to_add("predictions", "id"))
    return tables[0].name
