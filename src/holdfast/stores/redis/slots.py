"""Where the slots of a Redis Cluster are, so that a walk over all records notices that some moved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any


def layout_of(call: Callable[..., Any], primaries: Iterable[Any], connection_of: Callable[[Any], Any]) -> str:
    """Return a digest of which of *primaries* has which slots, and how many records those have that are being moved.

    *call* calls a method of the client, and *connection_of* returns the client of one node.
    """
    parts = []
    for node in primaries:
        known = call("cluster", "nodes", of=connection_of(node))
        mine: dict[str, Any] = next((each for each in known.values() if "myself" in each["flags"]), {})
        moving = [int(each["slot"]) for each in mine.get("migrations", ())]
        counts = [call("execute_command", "CLUSTER COUNTKEYSINSLOT", slot, of=connection_of(node)) for slot in moving]
        parts.append(f"{node.name} {mine.get('slots')} {moving} {counts}")
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]
