"""The ids of writes. A session's record has those of its last writes, so that a lost answer can be determined.

A history is the ids in order, the newest last, as bytes.
"""

from __future__ import annotations

import secrets

#: The length of an id in bytes. Two writes of one session have equal ids with a probability of 1 in 2^48.
ID_BYTES = 6

#: The number of ids in a record: a write can be found after at most five others.
KEPT = 6


def new_write_id() -> bytes:
    """Return the random id of a new write."""
    return secrets.token_bytes(ID_BYTES)


def extended(history: bytes, write_id: bytes) -> bytes:
    """Return *history* after the write *write_id*, without the oldest ids."""
    return (history + write_id)[-KEPT * ID_BYTES :]


def newest(history: bytes) -> bytes:
    """Return the id of the last write, or no bytes if unknown."""
    return history[-ID_BYTES:]


def includes(history: bytes, write_id: bytes) -> bool:
    """Return whether *write_id* is among the writes of *history*."""
    return any(history[at : at + ID_BYTES] == write_id for at in range(0, len(history), ID_BYTES))
