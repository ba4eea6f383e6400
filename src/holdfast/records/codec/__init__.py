"""Internal: the codecs: a session's data to bytes and back, unchanged.

One table, `holdfast.records.codec.type_codecs.TYPE_CODECS`, lists the types that a session can hold. Both
codecs share it, and neither can execute code from a payload.
"""

from __future__ import annotations

import sys

from holdfast.records.codec.encoder import MAX_DEPTH
from holdfast.records.codec.formats import Codec, JsonCodec, Msgpack, MsgpackCodec, Ormsgpack, Packer

__all__ = ["JSON", "MAX_DEPTH", "MSGPACK", "PACKER", "Codec"]

#: The library that writes and reads msgpack.
PACKER: Packer = Ormsgpack() if sys.version_info >= (3, 11) else Msgpack()
MSGPACK: Codec = MsgpackCodec(PACKER)
JSON: Codec = JsonCodec()
