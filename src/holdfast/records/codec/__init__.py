"""How a session's data becomes bytes, and comes back as it was.

One table, `holdfast.records.codec.type_codecs.KINDS`, says which types a session can hold; both codecs share it.
Nothing here can run code that is in a payload.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

from holdfast.errors import ConfigurationError
from holdfast.records.codec.as_json import JsonCodec
from holdfast.records.codec.as_msgpack import MsgpackCodec
from holdfast.records.codec.encoder import MAX_DEPTH
from holdfast.records.codec.packers import Msgpack, Ormsgpack

__all__ = ["JSON", "MAX_DEPTH", "MSGPACK", "Codec", "codec_named"]


class Codec(Protocol):
    """Turns a session's data into bytes and back. Equal data in equal order makes equal bytes, in any process."""

    name: str

    def dumps(self, data: Mapping[Any, Any]) -> bytes:
        """Return *data* encoded.

        Raises:
            EncodeError: A value cannot be kept. It names the value, as in ``session['cart'][0]['price']``, and
                what to do.
        """

    def loads(self, payload: bytes) -> dict[Any, Any]:
        """Return the data that `dumps` made *payload* of.

        Raises:
            DecodeError: It made no such payload: damaged, foreign or hostile.
        """


MSGPACK: Codec = MsgpackCodec(Ormsgpack() if sys.version_info >= (3, 11) else Msgpack())
JSON: Codec = JsonCodec()


def codec_named(name: str) -> Codec:
    """Return the codec of that name.

    Raises:
        ConfigurationError: There is none.
    """
    for codec in (MSGPACK, JSON):
        if codec.name == name:
            return codec
    raise ConfigurationError(f"SESSION_SERIALIZATION_FORMAT is {name!r}: use 'msgpack' or 'json'")
