"""DynamoDB: `dynamodb://PREFIX?region=eu-central-1`, for readers that ask for a row by its key.

Two tables, made on first use. PREFIX-rows has each row under its key, and for each day one item that says which rows
are in place: the pointer. PREFIX-records has the records of the runs, the deployments, and each day in parts for those
who read all of it. docs/dynamodb.md says what a reader asks for.
"""

from functools import cache

from pydantic import SecretStr

from .client import Client
from .place import Place
from .store import DynamoStore


def open_store(url: SecretStr, *, create: bool, keep_days: int) -> DynamoStore:
    """Open the tables of a URL.

    Args:
        url: as `dynamodb://PREFIX?region=eu-central-1`.
        create: whether it is no error that they are not there; they are made by the first that is written.
        keep_days: after so many days DynamoDB removes the rows that are written from now on; 0: never.

    Raises:
        NotThere: there are no such tables.
        Problem: the URL is wrong, or DynamoDB cannot be reached.
    """
    client = _client(Place.of(url))
    if not create:
        client.refuse_missing()
    return DynamoStore(client, keep_days)


@cache
def _client(place: Place) -> Client:
    """The client of a place, one for the whole process: to make one takes a tenth of a second."""
    return Client(place)
