"""Find sessions from outside: by handle, and by owner."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.envelope import Envelope, Sealed, decode
from holdfast.errors import DecodeError
from holdfast.flows.context import Context
from holdfast.operations import Flow, KeysOf, Load
from holdfast.record import Record


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What may be shown of a session. Times are milliseconds since the epoch.

    Attributes:
        handle: Its public name.
        owner: The opaque value of the user it is bound to, or None.
        created_at: When it, or the login it belongs to, began.
        last_used_at: When it was last written or touched: up to a tenth of the idle timeout before its last use.
        idle_deadline: When it is over unless it is used.
        absolute_deadline: When it is over in any case.
        meta: Device metadata.
    """

    handle: str
    owner: str | None
    created_at: int
    last_used_at: int
    idle_deadline: int
    absolute_deadline: int
    meta: dict[str, str]


def find(context: Context, handle: str) -> Flow[SessionInfo | None]:
    """Return what may be shown of the live session with *handle*, or None."""
    return info_of(context, handle, (yield Load(handle)))


def list_of(context: Context, owner: str) -> Flow[list[SessionInfo]]:
    """Return the owner's live sessions, the last used first."""
    listed = []
    for key in (yield KeysOf(owner)):
        found = info_of(context, key, (yield Load(key)))
        if found is not None and found.owner == owner:
            listed.append(found)
    return sorted(listed, key=lambda session: session.last_used_at, reverse=True)


def info_of(context: Context, key: str, record: Record | None) -> SessionInfo | None:
    """Return what may be shown of the live session that *record*, stored under *key*, holds, or None."""
    if record is None:
        return None
    try:
        body = decode(record.data)
        if isinstance(body, Envelope | Sealed):
            body = context.sealer.look(body, key=key, owner=record.owner)
    except DecodeError:
        return None
    policy = context.policy
    if not isinstance(body, Envelope) or policy.verdict(body, record.expires_at, context.clock()) is not None:
        return None
    return SessionInfo(
        handle=key,
        owner=record.owner,
        created_at=body.created_at,
        last_used_at=policy.last_used_at(body, record.expires_at),
        idle_deadline=policy.idle_deadline(body, record.expires_at),
        absolute_deadline=body.created_at + policy.absolute,
        meta=body.meta,
    )
