"""What the URL of a database tells."""

import re
from pathlib import Path

from pydantic import SecretStr

SQL = ("sqlite", "postgresql", "postgres")


def scheme(url: SecretStr) -> str:
    """The kind of database, as `sqlite`."""
    return url.get_secret_value().partition(":")[0]


def sqlite_file(url: SecretStr) -> Path | None:
    """The file of a SQLite URL; `~` at its beginning is the home folder."""
    kind, _, path = url.get_secret_value().partition(":///")
    return Path(path).expanduser() if kind == "sqlite" and path else None


def without_password(url: str) -> str:
    """The URL for a person's eyes; a password may hold any character, so it ends at the last @."""
    return re.sub(r"^([\w+.-]+://[^:/@]*):.*@", r"\1@", url).partition("?")[0]
