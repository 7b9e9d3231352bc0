"""DuckDB, which reads what a project has written: a program of its own, in an environment of its own that uv makes."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rig import ROOT, environment, sh

VERSION = "1.5.5"  # that of its extensions is the same
PACKAGES = ("duckdb", "duckdb-extensions", "duckdb-extension-httpfs")
SCRIPT = """
import json, sys
import duckdb
from duckdb_extensions import import_extension

statements, s3 = json.loads(sys.argv[1])
connection = duckdb.connect()
if s3:
    import_extension("httpfs")
    connection.execute("LOAD httpfs")
    connection.execute(s3)
for statement in statements:
    found = connection.execute(statement)
names = [column[0] for column in found.description]
print(json.dumps([dict(zip(names, row)) for row in found.fetchall()], default=str))
"""


def read(home: Path, reach: dict[str, str], *statements: str) -> list[dict[str, Any]]:
    """The rows of the last of some statements.

    Args:
        home: a folder for DuckDB's extensions.
        reach: the environment by which a server that speaks S3 is reached; empty for none.
        statements: of SQL.
    """
    secret = ""
    if reach:
        endpoint = urlsplit(reach["AWS_ENDPOINT_URL"]).netloc
        keys = f"KEY_ID '{reach['AWS_ACCESS_KEY_ID']}', SECRET '{reach['AWS_SECRET_ACCESS_KEY']}'"
        where = f"ENDPOINT '{endpoint}', REGION '{reach['AWS_REGION']}', URL_STYLE 'path', USE_SSL false"
        secret = f"CREATE SECRET (TYPE s3, {keys}, {where})"
    packages = [f"--with={name}=={VERSION}" for name in PACKAGES]
    cache = sh("uv", "cache", "dir", cwd=ROOT).stdout.strip()
    env = environment() | {"HOME": str(home), "UV_CACHE_DIR": cache}
    command = ("uv", "run", "--quiet", "--no-project", *packages, "python", "-c", SCRIPT)
    done = sh(*command, json.dumps([statements, secret]), cwd=home, env=env)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows
