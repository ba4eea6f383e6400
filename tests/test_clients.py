"""Making a store of a ready client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import memcache
import pymemcache
import pymongo
import pytest
import redis
import sqlalchemy as sa

from holdfast.errors import ConfigurationError
from holdfast.stores.dynamodb import DynamoDBStore
from holdfast.stores.memcached import MemcachedStore
from holdfast.stores.memory import MemoryStore
from holdfast.stores.mongodb import MongoDBStore
from holdfast.stores.redis import RedisStore
from holdfast.stores.registry import store_for
from holdfast.stores.sql import SQLStore


class Traced:
    """Stands before a client, as tracing does."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        pytest.param(lambda: redis.Redis(port=1), RedisStore, id="redis"),
        pytest.param(lambda: Traced(redis.Redis(port=1)), RedisStore, id="wrapped redis"),
        pytest.param(lambda: pymemcache.Client("127.0.0.1:1"), MemcachedStore, id="pymemcache"),
        pytest.param(lambda: memcache.Client(["127.0.0.1:1"]), MemcachedStore, id="python-memcached"),
        pytest.param(lambda: pymongo.MongoClient(port=1, connect=False), MongoDBStore, id="mongodb"),
        pytest.param(lambda: boto3.client("dynamodb", region_name="eu-central-1"), DynamoDBStore, id="dynamodb"),
        pytest.param(lambda: boto3.resource("dynamodb", region_name="eu-central-1"), DynamoDBStore, id="resource"),
        pytest.param(lambda: sa.create_engine("sqlite:///x.db"), SQLStore, id="sqlalchemy"),
    ],
)
def test_a_client_is_known_by_its_methods(make: Callable[[], Any], kind: type) -> None:
    """A client of each kind, also behind another object, makes a store of its kind, without a connection."""
    client = make()
    assert type(store_for(client)) is kind
    for close in ("close", "dispose", "disconnect_all"):
        if callable(getattr(type(client), close, None)):
            getattr(client, close)()


@pytest.mark.parametrize("other", [7, "redis://", {"get": 1}, None, object(), MemoryStore()])
def test_what_is_no_client_is_none(other: object) -> None:
    """Anything else is None: a store too."""
    assert store_for(other) is None


def test_a_client_that_cannot_be_used_is_an_error() -> None:
    """A client whose settings do not fit is refused, with its class."""
    client = redis.Redis(port=1, decode_responses=True)
    with pytest.raises(ConfigurationError, match=r"redis\.client\.Redis has decode_responses=True"):
        store_for(client)
