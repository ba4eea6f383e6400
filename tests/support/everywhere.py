"""Every kind of store by name, each with an empty place of its own on its real server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.keyspace import prefix_of
from support.web import Web

from holdfast.stores.contract import Closes
from holdfast.stores.registry import open_store

#: The kinds of stores, with the markers of the servers that they need.
KINDS = {
    "memory": [],
    "sqlite": [],
    "files": [],
    "json": [],
    "redis": [pytest.mark.redis],
    "memcached": [pytest.mark.memcached],
    "mongodb": [pytest.mark.mongodb],
    "mariadb": [pytest.mark.mariadb],
    "postgresql": [pytest.mark.postgresql],
}

if os.environ.get("HOLDFAST_TEST_DYNAMODB_AT_LENGTH") == "1":  # its server takes a hundred times as long as others
    KINDS["dynamodb"] = [pytest.mark.dynamodb]

#: The kinds that keep an index by owner.
INDEXED = [kind for kind in KINDS if kind != "memcached"]

_FILES = {"sqlite": "sqlite:///{}/sessions.db", "files": "file:///{}/sessions", "json": "json:///{}/sessions.json"}


def url_of_kind(kind: str, request: pytest.FixtureRequest, place: Path) -> str:
    """Return the URL of an empty store of *kind* that belongs to the folder *place*.

    It waits 20 seconds for an answer, not 2: on a machine with too much to do, that is slowness and not an outage.
    """
    if kind == "memory":
        return "memory://"
    if kind in _FILES:
        return _FILES[kind].format(place)
    if kind in {"mariadb", "postgresql"}:
        return str(request.getfixturevalue(f"{kind}_url"))
    server = request.getfixturevalue(f"{kind}_server")
    if kind in {"redis", "memcached"}:
        return f"{server.url}?timeout=20&prefix={prefix_of(place)}"
    if kind == "dynamodb":
        return f"{server.url}&table={prefix_of(place).strip(':')}"
    if kind == "mongodb":
        address = "{}:{}".format(*server.address)
        return f"mongodb://{address}/tests.{prefix_of(place).strip(':')}?timeoutMS=20000"
    raise LookupError(kind)


@contextlib.contextmanager
def web_on(kind: str, request: pytest.FixtureRequest, place: Path, **config: Any) -> Iterator[Web]:
    """Yield an application with an empty store of *kind*, which is closed at the end."""
    url = url_of_kind(kind, request, place)
    web = Web(lambda clock: open_store(url, root=place, clock=clock), **config)
    try:
        yield web
    finally:
        if isinstance(web.memory, Closes):
            web.memory.close()
