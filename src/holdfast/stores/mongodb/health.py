"""The health of a MongoDB collection and its server."""

from __future__ import annotations

from holdfast.clock import Clock
from holdfast.stores.contract import HealthFinding
from holdfast.stores.mongodb.client import Collection
from holdfast.stores.shared.health import about_clock, about_indexes


def health_of(sessions: Collection, clock: Clock) -> list[HealthFinding]:
    """Return the findings about the indexes, the durability of writes, and the server's clock."""
    indexes = {next(iter(index["key"])) for index in sessions.list_indexes()}
    missing = [name for name in ("owner", "expires_at") if name not in indexes]
    concern = sessions.write_concern.document.get("w")
    return [
        about_indexes(missing, "let the application's user create indexes: the role readWrite"),
        HealthFinding("durability", f"write concern {concern!r}", ok=concern == "majority"),
        about_clock(time_of(sessions), clock()),
    ]


def time_of(sessions: Collection) -> int:
    """Return the server's time in milliseconds since the epoch."""
    return int(sessions.database.command("hello", codec_options=sessions.codec_options)["localTime"])
