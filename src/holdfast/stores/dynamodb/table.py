"""The table in DynamoDB: whether it is there, and how it is made."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError

from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.stores.dynamodb.client import code_of
from holdfast.stores.dynamodb.items import KEYS, REMOVE_AT, SCHEMA

_PAUSE = 0.2


def describe(client: Any, table: str) -> dict[str, Any] | None:
    """Return DynamoDB's description of *table*, or None if it is missing."""
    try:
        return client.describe_table(TableName=table)["Table"]  # type: ignore[no-any-return]  # boto3 has no annotations
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        return None


def make_table(client: Any, table: str, patience: float) -> None:
    """Create a missing *table*, wait *patience* seconds until it can be used, and let DynamoDB remove items."""
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
