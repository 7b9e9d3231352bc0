"""What the URL of DynamoDB's tables tells."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from ...problems import Problem, meant

_EXPECTED = "dynamodb://PREFIX?region=eu-central-1 is expected"
_OPTIONS = ("region", "endpoint", "writers", "write_rate")


@dataclass(frozen=True)
class Place:
    """Two tables of a region, and how they are written.

    Attributes:
        prefix: what the tables' names begin with.
        region: the region; empty where boto3 has to know it.
        endpoint: the address of a server other than AWS's; empty for that.
        writers: how many requests write at a time.
        write_rate: how many write request units a second are used at most; 0 for no limit.
    """

    prefix: str
    region: str = ""
    endpoint: str = ""
    writers: int = 8
    write_rate: float = 0.0

    @classmethod
    def of(cls, url: SecretStr) -> Self:
        """Read a URL.

        Raises:
            Problem: it is none of this kind.
        """
        plain = url.get_secret_value()
        try:
            parts = urlsplit(plain)
            options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        except ValueError:
            raise Problem(f"database.url: {_EXPECTED}") from None
        prefix = plain.partition("://")[2].partition("?")[0].rstrip("/")
        where = f"database.url: dynamodb://{prefix}"
        if "@" in prefix:
            raise Problem(f"database.url: no user and no password stand in it: {_EXPECTED}, and boto3 has the rest")
        if not re.fullmatch("[A-Za-z0-9_.-]{1,240}", prefix):
            raise Problem(f"{where}: a prefix of letters, digits, _, . and - is expected: {_EXPECTED}")
        for name in options:
            if name not in _OPTIONS:
                raise Problem(
                    f"{where}: no option {name!r}{meant(name, _OPTIONS) or '; there are ' + ', '.join(_OPTIONS)}"
                )
        if not re.fullmatch("[a-z0-9-]*", options.get("region", "")):
            raise Problem(f"{where}: {options['region']!r} is no region, as eu-central-1 is")
        writers, rate = options.get("writers", "8"), options.get("write_rate", "0")
        if not re.fullmatch("[1-9][0-9]?", writers):
            raise Problem(f"{where}: writers={writers}: a number from 1 to 99 is expected")
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", rate):
            raise Problem(f"{where}: write_rate={rate}: write request units a second are expected, or 0 for no limit")
        return cls(prefix, options.get("region", ""), options.get("endpoint", ""), int(writers), float(rate))

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"dynamodb://{self.prefix}"

    @property
    def rows(self) -> str:
        """The name of the table of rows."""
        return f"{self.prefix}-rows"

    @property
    def records(self) -> str:
        """The name of the table of records."""
        return f"{self.prefix}-records"
