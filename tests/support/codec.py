"""A codec that counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.records.codec import MSGPACK


class CountingCodec:
    """A codec that counts how often it writes, besides for the check of what it reads."""

    name = MSGPACK.name

    def __init__(self) -> None:
        self.written = 0

    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Count, and write."""
        self.written += 1
        return MSGPACK.dumps(data)

    def loads(self, payload: bytes) -> dict[Any, Any]:
        """Read."""
        return MSGPACK.loads(payload)
