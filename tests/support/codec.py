"""A codec that counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.records.codec import MSGPACK, PACKER
from holdfast.records.codec.formats import MsgpackCodec


class CountingCodec(MsgpackCodec):
    """A codec that counts how often it writes, besides for the check of what it reads."""

    def __init__(self) -> None:
        super().__init__(PACKER)
        self.written = 0

    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Count, and write."""
        self.written += 1
        return MSGPACK.dumps(data)

    def loads(self, payload: bytes) -> dict[Any, Any]:
        """Read, without counting the check."""
        return MSGPACK.loads(payload)
