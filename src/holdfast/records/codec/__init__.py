"""Internal: the codecs: a session's data to bytes and back, unchanged.

One table, `holdfast.records.codec.type_codecs.TYPE_CODECS`, lists the types that a session can hold. Both
codecs share it, and neither can execute code from a payload.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

from holdfast.records.codec.encoder import MAX_DEPTH
from holdfast.records.codec.formats import JsonCodec, Msgpack, MsgpackCodec, Ormsgpack, Packer

__all__ = ["JSON", "MAX_DEPTH", "MSGPACK", "PACKER", "Codec"]


class Codec(Protocol):
    """Turns a session's data into bytes and back. Equal data in equal order gives equal bytes, in any process."""

    name: str

    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Return *data* encoded.

        Raises:
            EncodeError: A value cannot be stored. The message names its path, as in ``session['cart'][0]['price']``,
                and the fix.
        """

    def loads(self, payload: bytes) -> dict[Any, Any]:
        """Return the data in *payload*.

        Raises:
            DecodeError: *payload* is damaged, foreign or hostile: `dumps` does not return it for any data.
        """


#: The library that writes and reads msgpack.
PACKER: Packer = Ormsgpack() if sys.version_info >= (3, 11) else Msgpack()
MSGPACK: Codec = MsgpackCodec(PACKER)
JSON: Codec = JsonCodec()
