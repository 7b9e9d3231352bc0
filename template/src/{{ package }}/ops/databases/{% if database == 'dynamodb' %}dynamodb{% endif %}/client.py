"""Requests to DynamoDB: made again where that helps, and what is wrong in one line."""

import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config

from ...problems import Problem, one_line
from .. import NotThere
from .place import Place

Item = dict[str, Any]  # by its attributes' names what each holds, as {"S": "text"}
KEYS = {"rows": ("row-key", "day-run"), "records": ("what", "which")}  # a dash is in no name of a column
EXPIRES = "expires-at"  # when an item may be removed, in seconds since 1970
BATCH, READ = 25, 100  # items of a request that writes, and of one that reads
PATIENCE = 300.0  # seconds for which DynamoDB may refuse to take anything
_LONGEST = 10.0  # seconds between two attempts
_UNREACHED = 5  # attempts to reach a server
_BUSY = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "LimitExceededException",
    "InternalServerError",
    "ServiceUnavailable",
}
_DENIED = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "UnrecognizedClientException",
}
_LOST = (exceptions.HTTPClientError, exceptions.ConnectionError)


class Unmet(Exception):
    """The condition of a write does not hold."""


class Backoff:
    """The waits between attempts: random ones, up to twice as long each time."""

    def __init__(self, shortest: float = 0.05) -> None:
        self._shortest, self._attempts, self._since = shortest, 0, time.monotonic()

    def wait(self) -> bool:
        """Wait before the next attempt; whether there is still time for one."""
        longest = min(_LONGEST, self._shortest * 2**self._attempts)
        self._attempts += 1
        time.sleep(random.uniform(0, longest))
        return time.monotonic() - self._since < PATIENCE

    def progress(self) -> None:
        """Something was taken: begin anew."""
        self._attempts, self._since = 0, time.monotonic()


class Client:
    """The two tables of a place; one client may be used by several threads."""

    def __init__(self, place: Place) -> None:
        """Prepare for requests; none is made.

        Raises:
            Problem: no region is known.
        """
        self.place, self._there = place, False
        how = Config(retries={"total_max_attempts": 1}, max_pool_connections=place.writers + 2)
        region = place.region or os.environ.get("AWS_REGION")  # which AWS's own machines set, and boto3 does not read
        given = {"region_name": region or None, "endpoint_url": place.endpoint or None}
        try:
            self._boto: Any = boto3.session.Session().client("dynamodb", config=how, **given)
        except exceptions.NoRegionError:
            raise Problem(
                f"{place.name}: in which region? Write {place.name}?region=eu-central-1, or set AWS_REGION"
            ) from None
        except (exceptions.BotoCoreError, ValueError) as error:
            raise Problem(f"{place.name}: {one_line(error)}") from None

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """Make a request, again where DynamoDB is busy.

        Raises:
            Unmet: the condition of a write does not hold.
            NotThere: there is no such table.
            Problem: it is refused, or cannot be made.
        """
        backoff, lost = Backoff(), 0
        while True:
            try:
                answer: dict[str, Any] = getattr(self._boto, operation)(**request)
                return answer
            except exceptions.ClientError as error:
                problem = self._problem(error, operation, request)
                if error.response["Error"]["Code"] not in _BUSY:
                    raise problem from None
                if not backoff.wait():
                    raise Problem(
                        f"{self.place.name}: throttled for {PATIENCE:.0f} seconds ({one_line(error)}): raise the limit "
                        "of the table, or set a write_rate below it in database.url"
                    ) from None
            except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
                raise Problem(
                    f"{self.place.name}: no AWS credentials: a role, a profile, or AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY are expected, as boto3 finds them"
                ) from None
            except _LOST as error:
                lost += 1
                if lost == _UNREACHED:
                    raise Problem(f"{self.place.name}: {self._unreached(error)}") from None
                backoff.wait()
            except exceptions.BotoCoreError as error:
                raise Problem(f"{self.place.name}: {one_line(error)}") from None

    def _problem(self, error: exceptions.ClientError, operation: str, request: Mapping[str, Any]) -> Exception:
        code = error.response["Error"]["Code"]
        table = request.get("TableName") or ", ".join(request.get("RequestItems", ()))
        if code == "ConditionalCheckFailedException":
            return Unmet()
        if code == "ResourceNotFoundException":
            return NotThere(f"{self.place.name}: no table {table} in {self._boto.meta.region_name}")
        if code in _DENIED:
            return Problem(
                f"{self.place.name}: {operation} of {table} is denied ({one_line(error)}): docs/dynamodb.md lists the "
                "rights that it takes"
            )
        return Problem(f"{self.place.name}: {operation} of {table}: {one_line(error)}")

    def _unreached(self, error: Exception) -> str:
        known = boto3.session.Session().get_available_regions("dynamodb")
        region = self._boto.meta.region_name
        if not self.place.endpoint and known and region not in known:
            return f"no region {region!r} is known; there are {', '.join(known)}"
        return one_line(error)

    def refuse_missing(self) -> None:
        """Find out whether the tables are there.

        Raises:
            NotThere: they are not.
        """
        if not self._there:
            self.call("describe_table", TableName=self.place.records)
            self._there = True

    def make_tables(self, *, expiring: bool) -> None:
        """Make the tables where they are missing, and find out whether they can be written.

        Args:
            expiring: whether DynamoDB removes what expires.
        """
        for kind, keys in KEYS.items():
            table = getattr(self.place, kind)
            try:
                there = self.call("describe_table", TableName=table)["Table"]
            except NotThere:
                there = self._make(table, keys)
            backoff = Backoff(1.0)
            while there["TableStatus"] != "ACTIVE":
                if not backoff.wait():
                    raise Problem(f"{self.place.name}: table {table} is {there['TableStatus']}, and was to be ACTIVE")
                there = self.call("describe_table", TableName=table)["Table"]
            found = tuple(each["AttributeName"] for each in there["KeySchema"])
            if found != keys:
                raise Problem(f"{self.place.name}: table {table} has the key {found}, not {keys}: give another prefix")
            if expiring:
                self._expire(table)
            self._try_to_write(table, keys)

    def _make(self, table: str, keys: tuple[str, str]) -> dict[str, Any]:
        how = {
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in keys],
            "KeySchema": [
                {"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"), strict=True)
            ],
            "BillingMode": "PAY_PER_REQUEST",
        }
        try:
            made: dict[str, Any] = self.call("create_table", TableName=table, **how)["TableDescription"]
        except Problem:
            try:  # somebody else has made it meanwhile
                made = self.call("describe_table", TableName=table)["Table"]
            except NotThere:
                made = {}
            if not made:
                raise
        return made

    def _expire(self, table: str) -> None:
        """Let DynamoDB remove what expires; a local server that cannot keeps it."""
        try:
            now = self._boto.describe_time_to_live(TableName=table)["TimeToLiveDescription"]["TimeToLiveStatus"]
        except exceptions.ClientError:
            now = "unknown"
        if now in ("ENABLED", "ENABLING"):
            return
        try:
            self.call(
                "update_time_to_live",
                TableName=table,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES},
            )
        except Problem:
            if not self.place.endpoint:
                raise

    def _try_to_write(self, table: str, keys: tuple[str, str]) -> None:
        """Ask for a write whose condition does not hold."""
        item = {name: {"S": "-"} for name in keys}
        names = {"#key": keys[0]}
        try:
            self.call(
                "put_item",
                TableName=table,
                Item=item,
                ConditionExpression="attribute_exists(#key)",
                ExpressionAttributeNames=names,
            )
        except Unmet:
            return

    def put(self, table: str, item: Item) -> None:
        """Write an item."""
        self.call("put_item", TableName=table, Item=item)

    def put_if(self, table: str, item: Item, name: str, was: Any) -> None:
        """Write an item where an attribute is as it was; None: where there is no such item.

        Raises:
            Unmet: it is not.
        """
        how: dict[str, Any] = {"ExpressionAttributeNames": {"#is": name}}
        if was is None:
            how["ConditionExpression"] = "attribute_not_exists(#is)"
        else:
            how |= {"ConditionExpression": "#is = :was", "ExpressionAttributeValues": {":was": was}}
        self.call("put_item", TableName=table, Item=item, **how)

    def get(self, table: str, first: str, second: str) -> Item | None:
        """The item of a key, as it is now; None where there is none."""
        key = self._key(table, first, second)
        return self.call("get_item", TableName=table, Key=key, ConsistentRead=True).get("Item")

    def get_all(self, table: str, keys: Sequence[tuple[str, str]]) -> Iterator[Item]:
        """The items of some keys, in any order."""
        for start in range(0, len(keys), READ):
            wanted = {
                table: {"Keys": [self._key(table, *key) for key in keys[start : start + READ]], "ConsistentRead": True}
            }
            backoff = Backoff()
            while wanted:
                answer = self.call("batch_get_item", RequestItems=wanted)
                yield from answer["Responses"].get(table, [])
                wanted = answer.get("UnprocessedKeys", {})
                if answer["Responses"].get(table):
                    backoff.progress()
                if wanted and not backoff.wait():
                    raise Problem(f"{self.place.name}: {table} could not be read for {PATIENCE:.0f} seconds")

    def query(self, table: str, first: str, *, newest: bool = False, names: Sequence[str] = ()) -> Iterator[Item]:
        """The items whose key begins so, by the second part of their key.

        Args:
            table: the table.
            first: the first part of their key.
            newest: whether the last comes first.
            names: which attributes; all where none is named.
        """
        how: dict[str, Any] = {
            "TableName": table,
            "KeyConditionExpression": "#key = :key",
            "ExpressionAttributeNames": {"#key": self._keys(table)[0]},
            "ExpressionAttributeValues": {":key": {"S": first}},
            "ScanIndexForward": not newest,
            "ConsistentRead": True,
        }
        if names:
            how["ExpressionAttributeNames"] |= {f"#n{number}": name for number, name in enumerate(names)}
            how["ProjectionExpression"] = ", ".join(f"#n{number}" for number in range(len(names)))
        while True:
            answer = self.call("query", **how)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            how["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def delete(self, table: str, first: str, second: str) -> None:
        """Remove an item, where it is there."""
        self.call("delete_item", TableName=table, Key=self._key(table, first, second))

    def delete_all(self, table: str, keys: Iterable[tuple[str, str]]) -> int:
        """Remove items; how many."""
        requests = [{"DeleteRequest": {"Key": self._key(table, *key)}} for key in keys]
        for start in range(0, len(requests), BATCH):
            self.write(table, requests[start : start + BATCH])
        return len(requests)

    def write(self, table: str, requests: list[dict[str, Any]]) -> int:
        """Make up to BATCH writes, again those that DynamoDB did not take; how many it has taken.

        Raises:
            Problem: it is refused, or DynamoDB takes nothing for too long.
        """
        backoff, taken = Backoff(), 0
        while requests:
            answer = self.call("batch_write_item", RequestItems={table: requests})
            left = answer.get("UnprocessedItems", {}).get(table, [])
            if len(left) < len(requests):
                backoff.progress()
            taken += len(requests) - len(left)
            requests = left
            if requests and not backoff.wait():
                raise Problem(
                    f"{self.place.name}: throttled: for {PATIENCE:.0f} seconds no row of {table} was taken: raise the "
                    "limit of the table, or set a write_rate below it in database.url"
                )
        return taken

    def _keys(self, table: str) -> tuple[str, str]:
        return KEYS["rows" if table == self.place.rows else "records"]

    def _key(self, table: str, first: str, second: str) -> Item:
        return {name: {"S": value} for name, value in zip(self._keys(table), (first, second), strict=True)}
