"""The ids of writes. A session's record keeps those of its last writes, so a lost answer can be found out.

A history is the ids in order, the newest last, as bytes.
"""

from __future__ import annotations

import secrets

#: The bytes of an id. Two writes of one session have the same one by chance once in 2^48.
ID_BYTES = 6

#: How many ids a record keeps: a write is found after at most five others.
KEPT = 6


def new_write_id() -> bytes:
    """Return the random id of a new write."""
    return secrets.token_bytes(ID_BYTES)


def extended(history: bytes, write_id: bytes) -> bytes:
    """Return *history* after the write *write_id*, without what is too old to be kept."""
    return (history + write_id)[-KEPT * ID_BYTES :]


def newest(history: bytes) -> bytes:
    """Return the id of the last write, or no bytes where none is known."""
    return history[-ID_BYTES:]


def includes(history: bytes, write_id: bytes) -> bool:
    """Return whether *write_id* is among the writes of *history*."""
    return any(history[at : at + ID_BYTES] == write_id for at in range(0, len(history), ID_BYTES))
