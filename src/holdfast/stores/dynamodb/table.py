"""The table in DynamoDB: whether it is there, how it is made, and its health."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from holdfast.clock import SECOND, Clock
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.stores.contract import HealthFinding
from holdfast.stores.dynamodb.client import code_of
from holdfast.stores.dynamodb.items import KEYS, REMOVE_AT, SCHEMA
from holdfast.stores.shared.health import about_clock

_PAUSE = 0.2

# A web worker waits no longer than this many seconds for one answer.
_LONGEST = 10.0


def describe(client: Any, table: str) -> dict[str, Any] | None:
    """Return DynamoDB's description of *table*, or None if it is missing."""
    try:
        return client.describe_table(TableName=table)["Table"]  # type: ignore[no-any-return]  # boto3 has no annotations
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        return None


def make_table(client: Any, table: str, patience: float) -> None:
    """Create *table* unless it is there, wait *patience* seconds until it can be used, and let DynamoDB remove items.

    Raises:
        ConfigurationError: It is another library's.
        StoreUnavailable: It is not ready yet.
    """
    if describe(client, table) is None:
        _create(client, table)
    deadline = time.monotonic() + patience
    while (found := describe(client, table)) is None or found["TableStatus"] == "CREATING":
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"the table {table!r} in DynamoDB is being created")
        time.sleep(_PAUSE)
    check_keys(found)
    if not removes_items(client, table):
        _let_remove(client, table)


def check_keys(found: dict[str, Any]) -> None:
    """Raise `ConfigurationError` if the table *found* has other keys than ours."""
    keys = {each["AttributeName"]: each["KeyType"] for each in found["KeySchema"]}
    if keys != {each["AttributeName"]: each["KeyType"] for each in SCHEMA}:
        whose = "may be Flask-Session's" if keys == {"id": "HASH"} else "has other keys than Holdfast's"
        raise ConfigurationError(
            f"the table {found['TableName']!r} {whose}: it is left as it is. Set another name, with "
            "SESSION_DYNAMODB_TABLE_NAME or ?table= in the URL"
        )


def removes_items(client: Any, table: str) -> bool:
    """Return whether DynamoDB removes expired items of *table*."""
    found = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    return found["TimeToLiveStatus"] in {"ENABLED", "ENABLING"} and found.get("AttributeName") == REMOVE_AT


def _let_remove(client: Any, table: str) -> None:
    try:
        client.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": REMOVE_AT}
        )
    except ClientError as error:
        if code_of(error) != "UnknownOperationException":  # an emulator that removes nothing
            raise


def _create(client: Any, table: str) -> None:
    try:
        client.create_table(TableName=table, AttributeDefinitions=KEYS, KeySchema=SCHEMA, BillingMode="PAY_PER_REQUEST")
    except ClientError as error:
        if code_of(error) != "ResourceInUseException":  # another process was first
            raise


def health_of(client: Any, table: str, clock: Clock) -> list[HealthFinding]:
    """Return the findings about the removal of expired records, the client's limits, and DynamoDB's clock."""
    found = describe(client, table)
    if found is None:
        raise StoreUnavailable(f"there is no table {table!r} in DynamoDB", permanent=True)
    check_keys(found)
    return [_about_expiry(client, table), _about_limits(client.meta.config), _about_clock(client, table, clock)]


def _about_expiry(client: Any, table: str) -> HealthFinding:
    if removes_items(client, table):
        return HealthFinding("expiry", f"DynamoDB removes items by {REMOVE_AT!r}", ok=True)
    fix = "flask sessions init, as a user who may update the table's time to live"
    return HealthFinding("expiry", f"time to live is not enabled on {REMOVE_AT!r}", fix, ok=False)


def _about_limits(config: Any) -> HealthFinding:
    retries = config.retries or {}
    attempts = retries.get("total_max_attempts") or retries.get("max_attempts", 9) + 1
    longest = attempts * (config.connect_timeout + config.read_timeout)
    found = f"a call is attempted {attempts} times, for up to {longest:.0f} s"
    fix = 'Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})'
    return HealthFinding("patience", found, "" if longest <= _LONGEST else fix, ok=longest <= _LONGEST)


def _about_clock(client: Any, table: str, clock: Clock) -> HealthFinding:
    answer = client.describe_table(TableName=table)["ResponseMetadata"]["HTTPHeaders"]
    if "date" not in answer:
        return HealthFinding("clock", "the server does not send its time", ok=None)
    return about_clock(round(parsedate_to_datetime(answer["date"]).timestamp() * SECOND), clock())
