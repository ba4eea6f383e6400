"""Making a store of a ready client, told by the methods that it has."""

from __future__ import annotations

import importlib
from typing import Any

from holdfast.clock import Clock, system_clock
from holdfast.stores.contract import Store

# Each module has a function ``store_on(client, *, clock)``, which looks closer.
_MODULES = {
    "get_database": "holdfast.stores.mongodb",
    "raw_connection": "holdfast.stores.sql",
    "register_script": "holdfast.stores.redis",
    "gets": "holdfast.stores.memcached",
}


def store_of(client: Any, *, clock: Clock = system_clock) -> Store | None:
    """Return a store on *client*, such as a ``redis.Redis`` or a ``sqlalchemy.Engine``; None where it is no client.

    Raises:
        ConfigurationError: It is one that cannot be used; the message names its class.
    """
    # Some objects have every attribute: on MongoDB's client each is a database.
    teller = type(client) if hasattr(client, "an_attribute_of_no_client") else client
    for method, module in _MODULES.items():
        if callable(getattr(teller, method, None)):
            store: Store = importlib.import_module(module).store_on(client, clock=clock)
            return store
    return None
