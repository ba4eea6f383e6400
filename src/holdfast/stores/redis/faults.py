"""The errors of clients of Redis: which is an outage, a set-up that is wrong, or a server that takes no writes."""

from __future__ import annotations

import re
from typing import Any

from holdfast.errors import StoreSetUpWrong, StoreUnavailable, shear
from holdfast.stores.shared.clients import is_mistake, likely_fix

# What servers that take no writes say, or without their primary nothing; the last one is redis-py's word for the first,
# behind Sentinels.
_NO_WRITES = ("READONLY", "NOREPLICAS", "Link with MASTER is down", "The previous master is now a slave")

# Errors of a client that is not made for a Cluster, at one, and what the server says.
_OF_A_CLUSTER = {"ClusterCrossSlotError", "MovedError", "AskError"}
_SAID_BY_A_CLUSTER = re.compile(r"hash to the same slot|SELECT is not allowed in cluster mode")

#: Errors of the client, and parts of a server's answers, that waiting does not cure. A script is refused in other words
#: than a command.
_SET_UP_WRONG = frozenset({"AuthenticationError", "AuthenticationWrongNumberOfArgsError", "NoPermissionError"})
_REFUSED = re.compile(
    r"^(?:ERR )?(?:NOAUTH|WRONGPASS|NOPERM|DENIED|DB index is out of range|invalid DB index|unknown command"
    r"|ACL failure in script|The user executing the script can't |.*Unknown Redis command called from )"
)


def takes_no_writes(error: Exception) -> bool:
    """Return whether a server refused a write as a replica, or as a primary that has lost its replicas."""
    text = str(error)
    return type(error).__name__ == "ReadOnlyError" or any(code in text for code in _NO_WRITES)


def unavailable(error: Exception) -> StoreUnavailable:
    """Return what the store raises for the client's *error*, which quotes nothing any more."""
    kind = type(error).__name__
    if kind in _OF_A_CLUSTER or _SAID_BY_A_CLUSTER.search(str(error)):
        return StoreUnavailable(
            "the server is one of a Cluster: write redis+cluster:// in the URL, or give its client", permanent=True
        )
    if "Cluster mode is not enabled" in str(error):
        return StoreUnavailable(
            "the server is not one of a Cluster: write redis:// in the URL, or give a client of one server",
            permanent=True,
        )
    permanent = kind in _SET_UP_WRONG or _REFUSED.search(str(error)) is not None or is_mistake(error)
    use = "write rediss:// in its URL; if a proxy closes the connection, such as twemproxy, write the server's address"
    fix = likely_fix(error, use=use, omit="write redis:// in its URL")
    shear(error)
    return StoreUnavailable(f"Redis did not execute a command: {kind}{fix}", permanent=permanent)


def without_primary(error: Exception, pool: Any) -> StoreUnavailable:
    """Return what the store raises when the Sentinels of *pool* name no primary, as during a failover.

    A service that none of them knows, and a login that they refuse, are mistakes.
    """
    known, failed = set[str](), error
    for sentinel in pool.sentinel_manager.sentinels:
        try:
            known.update(sentinel.sentinel_masters())
        except Exception as refused:  # noqa: BLE001  # the boundary to drivers of several makers
            failed = refused
            if type(refused).__name__.startswith(("Authentication", "Timeout")):
                break  # the others need not be waited for, too
    if not known or pool.service_name in known:
        return unavailable(failed)
    return StoreSetUpWrong(
        f"the Sentinels know no service {pool.service_name!r}, but {', '.join(map(repr, sorted(known)))}: correct its "
        "name in the URL"
    )
