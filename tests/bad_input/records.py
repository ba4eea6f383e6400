"""Records that are no session: in formats that are not ours, and damaged ones of ours."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle  # noqa: TID251  # an attacker's data
import struct
import zlib
from itertools import product

from holdfast.records.envelope import Cutoff, Tombstone, TombstoneKind

#: They are kept for the program that can read them.
FOREIGN = {
    "nothing": b"",
    "one byte": b"\x07",
    "zeros": bytes(200),
    "0xff": b"\xff" * 200,
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "gzip": gzip.compress(b'{"user":"victim"}'),
    "a pickle": pickle.dumps({"user": "victim"}),
    "msgpack": b"\x81\xa4user\xa6victim",
    "a JSON list": b"[1,2]",
    "a newer format": b"\x7f" + bytes(100),
}

#: They are removed when they are found.
DAMAGED = {
    "a format byte": b"\x01",
    "cut short": b"\x01" + bytes(10),
    "metadata beyond the end": b"\x01" + struct.pack(">QQQI", 1, 1, 1, 2**32 - 1),
    "metadata that is none": b"\x01" + struct.pack(">QQQI", 1, 1, 1, 3) + b"x:y",
    "a brace": b"{",
    "JSON": b'{"user":"victim"}',
    "text cut short": b'{"created_at":1,"issued_at":1,"idle":1,"meta":{},"payl',
    "half a tombstone": b"\x02\x01",
    "an unknown kind of tombstone": b"\x02\x09" + bytes(72),
    "half a cut-off": b"\x03\x00",
    "half a sealed one": b"\x04\x01\x00",
}


def compressed(record: bytes) -> list[bytes]:
    """Return *record* compressed in many ways, and bombs that begin as it does."""
    large = record + bytes(8 << 20)
    return [
        gzip.compress(large), zlib.compress(large), gzip.compress(gzip.compress(large)), gzip.compress(record),
        zlib.compress(record), bz2.compress(record), lzma.compress(record), gzip.compress(large)[:-9],
    ]  # fmt: skip


def of_other_kinds(now: int, key: str) -> list[Tombstone | Cutoff]:
    """Return tombstones of every kind, which lead to the session under *key* or nowhere, and cut-offs."""
    ends = product((now, now + 10**6, 2**63), TombstoneKind, (None, b"s" * 32))
    bodies: list[Tombstone | Cutoff] = [Cutoff(now), Cutoff(now, key)]
    bodies += [Tombstone(kind, until, key, sealed) for until, kind, sealed in ends]
    return bodies + [Tombstone(kind, now + 10**6) for kind in TombstoneKind]
