"""The health of a MongoDB collection and its server."""

from __future__ import annotations

from holdfast.clock import Clock
from holdfast.stores.contract import HealthFinding
from holdfast.stores.mongodb.client import Collection
from holdfast.stores.shared.health import about_clock, about_indexes
from holdfast.stores.shared.wire import MARGIN


def health_of(sessions: Collection, clock: Clock) -> list[HealthFinding]:
    """Return the findings about the indexes, the durability of writes, and the server's clock."""
    indexes = {next(iter(index["key"])): index for index in sessions.list_indexes()}
    expiring = "expireAfterSeconds" in indexes.get("expires_at", {})
    missing = [name for name in ("owner", "expires_at") if name not in indexes]
    hello = sessions.database.command("hello", codec_options=sessions.codec_options)
    concern = sessions.write_concern.document.get("w")
    make = f"db.{sessions.name}.createIndex({{expires_at: 1}}, {{expireAfterSeconds: {MARGIN // 1000}}})"
    expiry = HealthFinding(
        "expiry", f"there is {'a' if expiring else 'no'} TTL index", "" if expiring else make, ok=expiring
    )
    return [
        about_indexes(missing, "let the application's user create indexes: the role readWrite"),
        expiry,
        HealthFinding("durability", f"write concern {concern!r}", ok=concern == "majority"),
        about_clock(int(hello["localTime"]), clock()),
    ]
