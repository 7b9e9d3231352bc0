"""Where a table is and how it is written."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeInt, SecretStr

from ..values.value_settings import ValueSettings

WHITESPACE = "whitespace"  # the separator that is any run of blanks and tabs


def _separator(value: str) -> str:
    if value != WHITESPACE and not re.fullmatch(r'[^\w\r\n"]+', value):
        raise ValueError(f"{value!r} is no separator: give the signs themselves, as ';' or '::', or {WHITESPACE!r}")
    return value


class TableSettings(ValueSettings):
    """The keys of a section that says where a table is and how it is written."""

    source: str = Field(description="a file, a folder, a glob, a URL, table:NAME or query:SELECT …", min_length=1)
    database_url: SecretStr | None = None
    separator: Annotated[str, AfterValidator(_separator)] = ","
    encoding: str = "utf-8"
    quote: str = Field(default='"', pattern=r"^[!-~]?$", description="around a text that holds the separator; or none")
    header: bool = Field(default=True, description="whether the first line names the columns; else by number, from 1")
    skip_rows: NonNegativeInt = Field(default=0, description="lines above the header")
    comment_prefix: str = Field(default="", description="lines that begin so are left out; empty: none are")
    sheet: str = Field(default="", description="of an Excel file; empty: the first")
    time_column: str = Field(default="", description="our name of the column that says when a row happened; or none")
