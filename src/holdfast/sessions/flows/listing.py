"""Find sessions by handle, and by owner."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import DecodeError, UnknownKey
from holdfast.records import metadata
from holdfast.records.envelope import Envelope, Sealed, decode
from holdfast.records.record import Record
from holdfast.sessions import ops
from holdfast.sessions.flows.context import Context
from holdfast.sessions.ops import Flow, Pages, load

#: The number of records in each step of a walk through the store or an index.
STRIDE = 500


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """The public data of a session. Times are milliseconds since the epoch.

    Attributes:
        handle: Its public name.
        sid: Its public id, which stays when a rotation changes the handle; empty if unknown.
        owner: The owner value of its user, or None.
        created_at: The start of the session, or of the login it belongs to.
        last_used_at: The time of its last write or touch: up to a quarter of an hour before its last use.
        idle_deadline: When it expires unless it is used.
        absolute_deadline: When it expires in any case.
        meta: All its metadata.
        permanent: Whether its cookie outlives the browser.
        device: The device of its login, or None if unknown or not stored.
        address: The client address of its login, or None if addresses are not stored.
        transport: Where its client sends the token: ``"cookie"`` or ``"header"``.
        label: The application's own name for it, or None.
        authenticated_at: The last authentication of its user, or None if not stored.
        impersonator: The owner value of the operator who has signed in as its user, or None.
        current: Whether it is the session of the current request.
    """

    handle: str
    owner: str | None
    created_at: int
    last_used_at: int
    idle_deadline: int
    absolute_deadline: int
    meta: dict[str, str]
    permanent: bool = False
    device: metadata.Device | None = None
    address: str | None = None
    transport: str = "cookie"
    label: str | None = None
    authenticated_at: int | None = None
    impersonator: str | None = None
    sid: str = ""
    current: bool = False


def find(context: Context, handle: str, *, current: str | None = None) -> Flow[SessionInfo | None]:
    """Return the public data of the live session with *handle*, or None. *current* is the handle of the request's."""
    return info_of(context, handle, (yield from load(handle)), current=current)


def list_of(
    context: Context, owner: str, *, current: str | None = None, limit: int | None = None
) -> Flow[list[SessionInfo]]:
    """Return the owner's live sessions, the most recently used first. *current* is the handle of the request's.

    With *limit*, it returns no more than that, and *current* is among them; which others are, is left to the store.
    """
    listed: dict[str, SessionInfo] = {}
    pages = Pages(STRIDE if limit is None else min(limit, STRIDE), ops.find, owner)
    while (limit is None or len(listed) < limit) and (page := (yield from pages.next())) is not None:
        for key, record in page.items:
            info = info_of(context, key, record, current=current)
            if info is not None and info.owner == owner:
                listed[key] = info
    if pages.after is not None and current is not None and current not in listed:
        own = yield from find(context, current, current=current)
        listed |= {current: own} if own is not None and own.owner == owner else {}
    by_use = sorted(listed.values(), key=lambda session: (session.current, session.last_used_at), reverse=True)
    return sorted(by_use[:limit], key=lambda session: session.last_used_at, reverse=True)


def records_of(owner: str) -> Flow[list[tuple[str, Record]]]:
    """Return the records in the owner's index, with their keys. Some may be another's, and one may come twice."""
    pages, found = Pages(STRIDE, ops.find, owner), list[tuple[str, Record]]()
    while (page := (yield from pages.next())) is not None:
        found += page.items
    return found


def open_own(context: Context, key: str, record: Record) -> Envelope | None:
    """Return the session in *record*, without its data; None if it holds none, or another application's.

    `UnknownKey`: no key opens it, so that whose it is, is unknown.
    """
    try:
        body = decode(record.data)
        if not isinstance(body, Envelope | Sealed):
            return None
        envelope = context.sealer.open_metadata(body, key=key, owner=record.owner)
    except UnknownKey:
        raise
    except DecodeError:
        return None
    return envelope if envelope.meta.get(metadata.NAMESPACE) == context.keys.namespace_mark else None


def decode_session(context: Context, key: str, record: Record) -> Envelope | None:
    """Return the session as `open_own` does; of one that no key opens only the times, if the context lists those."""
    try:
        return open_own(context, key, record)
    except UnknownKey:
        body = decode(record.data)
        if not context.lists_unopened or not isinstance(body, Sealed):
            return None
        return Envelope(body.created_at, body.issued_at, body.idle, b"", body.codec)


def info_of(context: Context, key: str, record: Record | None, *, current: str | None = None) -> SessionInfo | None:
    """Return the public data of the live session in *record*, stored under *key*, or None."""
    body = decode_session(context, key, record) if record is not None else None
    policy, now = context.policy, context.clock()
    if record is None or body is None or policy.verdict(body, record.expires_at, now) is not None:
        return None
    return SessionInfo(
        handle=key,
        owner=record.owner,
        created_at=body.created_at,
        last_used_at=min(now, policy.last_used_at(body, record.expires_at)),  # others may write to the store
        idle_deadline=policy.idle_deadline(body, record.expires_at),
        absolute_deadline=policy.end_of(body),
        meta=body.meta,
        permanent=metadata.PERMANENT in body.meta,
        device=metadata.device_in(body.meta),
        address=body.meta.get(metadata.ADDRESS),
        transport=body.meta.get(metadata.TRANSPORT, "cookie"),
        label=body.meta.get(metadata.LABEL),
        authenticated_at=metadata.moment(body.meta, metadata.AUTHENTICATED_AT),
        sid=body.meta.get(metadata.SID, ""),
        impersonator=body.meta.get(metadata.IMPERSONATOR),
        current=key == current,
    )
