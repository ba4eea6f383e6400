"""A visitor's secrets, such as a CSRF token, after a login: its tombstone keeps them for the grace period.

A form that the visitor was given can be sent once more: a double click, or a login whose response was lost. Only the
token of the visitor reveals them, and where there are keys, one of these is needed too.
"""

from __future__ import annotations

from typing import Any

from holdfast.errors import DecodeError, EncodeError
from holdfast.records.codec import MSGPACK
from holdfast.records.envelope import Tombstone
from holdfast.records.tokens import labelled, masked
from holdfast.sessions.flows.context import Context
from holdfast.sessions.state import StoredSession

#: Larger secrets, encoded, in bytes, are not kept.
_LARGEST = 4096


def seal_secrets(context: Context, stored: StoredSession, write: bytes) -> bytes | None:
    """Return the visitor's secrets in *stored*, sealed under its token for the tombstone with the id *write*."""
    envelope = stored.envelope
    secrets = secrets_of(context, envelope.codec.loads(envelope.payload))
    try:
        plain = MSGPACK.dumps(secrets) if secrets else b""
    except EncodeError:
        return None
    return masked(plain, stored.token.encode(), _purpose(write)) if 0 < len(plain) <= _LARGEST else None


def open_secrets(context: Context, token: str, tombstone: Tombstone) -> dict[Any, Any]:
    """Return the secrets in the *tombstone* of a login that replaced *token*."""
    if tombstone.sealed is None:
        return {}
    try:
        return secrets_of(context, MSGPACK.loads(masked(tombstone.sealed, token.encode(), _purpose(tombstone.write))))
    except DecodeError:
        return {}


def secrets_of(context: Context, data: dict[Any, Any]) -> dict[Any, Any]:
    """Return the visitor's secrets in *data*."""
    return {key: data[key] for key in context.policy.visitor_keys if key in data}


def _purpose(write: bytes) -> bytes:
    return labelled(b"holdfast visitor", write)
