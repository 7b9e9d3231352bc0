"""Read a table from wherever it is: a CSV or Parquet file by path or URL, or a table of a database."""

import codecs
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import polars as pl
from pydantic import Field, SecretStr

from .problems import Problem, one_line
from .store import Store
from .text import cleaned
from .values import ValueSettings


class TableSettings(ValueSettings):
    """Where a table is and how it is written."""

    source: str = Field(description="FILE.csv or FILE.parquet, its URL, or table:NAME", min_length=1)
    database_url: SecretStr | None = None
    separator: str = Field(default=",", pattern=r"^[\t -~]$")
    encoding: str = "utf-8"


def read_table(settings: TableSettings, columns: dict[str, str]) -> pl.DataFrame:
    """All rows of a table, in their order, under this project's column names; CSV as text.

    Args:
        settings: where it is and how it is written.
        columns: the name in the table for each name used here.

    Raises:
        Problem: there is no such table, it cannot be read, or it lacks a column.
    """
    try:
        frame = _read(settings, list(columns.values()))
    except FileNotFoundError:
        raise Problem(f"{settings.source}: no such file") from None
    except LookupError:
        raise Problem(f"{settings.source}: unknown encoding {settings.encoding!r}") from None
    except UnicodeError:
        raise Problem(f"{settings.source}: not in the encoding {settings.encoding!r}") from None
    except pl.exceptions.NoDataError:
        raise Problem(f"{settings.source}: the file is empty") from None
    except (OSError, HTTPException, pl.exceptions.PolarsError) as error:
        if "utf-8" in str(error).lower():
            raise Problem(f"{settings.source}: not in the encoding {settings.encoding!r}") from None
        raise Problem(f"{settings.source}: cannot be read: {one_line(error)}") from None
    missing = [name for name in columns.values() if name not in frame.columns]
    if missing:
        found = ", ".join(map(repr, frame.columns[:20]))
        hint = f"; is {settings.separator!r} the separator?" if len(frame.columns) == 1 else ""
        raise Problem(f"{settings.source}: no column {', '.join(map(repr, missing))}, only {found}{hint}")
    return pl.DataFrame(
        {ours: cleaned(frame[theirs].alias(ours), settings.null_values) for ours, theirs in columns.items()}
    )


def _read(settings: TableSettings, columns: list[str]) -> pl.DataFrame:
    kind, _, table = settings.source.partition(":")
    if kind == "table":
        if settings.database_url is None:
            raise Problem(f"orders.source is {settings.source}, but orders.database_url is not set")
        name = ".".join(map(_quoted, table.split(".")))
        with Store(settings.database_url) as store:
            return store.query(f"SELECT {', '.join(map(_quoted, columns))} FROM {name}")
    source: str | BytesIO = settings.source
    if kind in ("http", "https"):
        with urlopen(settings.source, timeout=60) as response:
            source = BytesIO(response.read())
    if Path(settings.source.partition("?")[0]).suffix.lower() in (".parquet", ".pq"):
        return pl.read_parquet(source, glob=False)
    utf8 = codecs.lookup(settings.encoding).name == "utf-8"
    return pl.read_csv(
        source,
        separator=settings.separator,
        encoding="utf8" if utf8 else settings.encoding,
        infer_schema=False,
        glob=False,
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
