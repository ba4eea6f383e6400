"""DynamoDB's API, for tests that look at a table."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import boto3
from botocore.config import Config

from holdfast.stores.dynamodb.client import make_client

_KEYS = {"aws_access_key_id": "dummy", "aws_secret_access_key": "dummy", "region_name": "eu-central-1"}


def client_of(url: str, **changes: Any) -> Any:
    """Return a client of the server at a store's *url*, as the store makes it, or boto3's with *changes*."""
    if not changes:
        return make_client("eu-central-1", _endpoint(url), 5.0)
    return boto3.client("dynamodb", endpoint_url=_endpoint(url), config=Config(**changes), **_KEYS)


def resource_of(url: str) -> Any:
    """Return a resource of the server at a store's *url*, as Flask-Session takes it."""
    return boto3.resource("dynamodb", endpoint_url=_endpoint(url), **_KEYS)


def _endpoint(url: str) -> str:
    return parse_qs(url.partition("?")[2])["endpoint"][0]
