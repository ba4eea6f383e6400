"""From a token to the session it stands for, and whether that still lives, for handlers that outlast a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from holdfast.errors import DecodeError, UnknownKey
from holdfast.events import RejectReason
from holdfast.records.envelope import SESSIONS, Control, Tombstone, TombstoneKind, control_in
from holdfast.records.metadata import PREVIOUS, UNFINISHED
from holdfast.records.record import Record
from holdfast.records.tokens import is_key, is_token, open_successor, read_unsure
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import LONGEST_REQUEST, end_presented, report_ended
from holdfast.sessions.flows.finish import finish_postponed
from holdfast.sessions.flows.listing import info_of
from holdfast.sessions.flows.visitor import open_secrets
from holdfast.sessions.ops import Flow, delete, load
from holdfast.sessions.policy import SKEW
from holdfast.sessions.state import PERMANENT, SessionState, StoredSession
from holdfast.stores.contract import Rotates

#: Aliases followed from one token: more than one renewal within a grace period is already unusual.
HOPS = 4


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a token does not lead to a session.

    Attributes:
        reason: The frozen word for it.
        foreign: The record is in a format that a newer release may know.
        data: The data that the request may read nevertheless: the visitor's secrets after a login.
        owner: The owner value of the user whose session has expired, or None.
    """

    reason: RejectReason
    foreign: bool = False
    data: dict[Any, Any] = field(default_factory=dict, repr=False)
    owner: str | None = None

    @property
    def keep_cookie(self) -> bool:
        """Whether the cookie may be good to another request or another process, so that nothing may replace it."""
        return self.foreign or self.reason in ("superseded", "unknown_key", "not_yet_valid")


class Found(NamedTuple):
    """The live session that a cookie leads to, with its data. *redeliver*: the cookie must be sent again."""

    stored: StoredSession
    data: dict[Any, Any]
    redeliver: bool = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def find(context: Context, state: SessionState, token: str, *, fresh: bool = False) -> Flow[Found | Rejected]:
    """Return the live session of *token*. *state* gets its key, live or not. *fresh*: it is looked up past a cache.

    An unknown token is never adopted. The timeouts are judged at the request's start, which is when the session was
    used.
    """
    state.opened_at = context.clock()
    if not is_token(token):
        return (yield from _find_unsure(context, state, token))
    key = state.presented = context.keys.key_of(token)
    record = yield from load(key, fresh=fresh)
    if record is not None:
        try:
            found = _opened(context, token, key, record, now=state.opened_at, used_at=state.started_at)
        except DecodeError:
            found = Rejected("corrupt")
        if type(found) is Found and UNFINISHED not in found.stored.envelope.meta:  # as nearly always
            return found
    return (yield from found_at(context, state, token, key, record))


def found_at(
    context: Context, state: SessionState, token: str, key: str, record: Record | None
) -> Flow[Found | Rejected]:
    """Return the live session that *record*, stored for *token*, holds or leads to. A postponed login is finished."""
    found = yield from resolve(context, token, key, record, now=state.opened_at, used_at=state.started_at)
    if isinstance(found, Rejected):
        report_rejected(context, key, found)
        return found
    stored = found.stored
    if UNFINISHED in stored.envelope.meta and not (yield from finish_postponed(context, stored)):
        report_rejected(context, key, rejected := Rejected("unknown_id"))
        return rejected
    return found._replace(redeliver=stored.token != token)


def _find_unsure(context: Context, state: SessionState, value: str) -> Flow[Found | Rejected]:
    """Return the session of a *value* with two tokens: that of the old one, if it still lives there, or of the new one.

    The old one is read past a cache, which may not know that it was replaced. A login under the new one may be
    unfinished.
    """
    tokens = read_unsure(value)
    if tokens is None:
        return Rejected("malformed")
    old, new, began = tokens
    before = (yield from find(context, state, old, fresh=True)) if old else Rejected("unknown_id")
    if isinstance(before, Found):
        if before.stored.token == old and Rotates not in context.capabilities:  # steps may have made both
            yield from end_presented(context, context.keys.key_of(new), "replaced")
        return before._replace(redeliver=True)
    found = yield from find(context, state, new)
    if isinstance(found, Found):
        found.stored.envelope.meta.setdefault(UNFINISHED, f"{began} {context.keys.key_of(old or new)}")
        is_valid = yield from finish_postponed(context, found.stored)
        return found._replace(redeliver=True) if is_valid else Rejected("unknown_id")
    if before.keep_cookie:
        state.presented, found = context.keys.key_of(old), before
    return found


def settle(context: Context, state: SessionState, found: Found | Rejected) -> None:
    """Fill *state* with the session that was found, or report why there is none: then the request is anonymous.

    It is read-only too where the cookie may be good elsewhere, so that its response cannot replace it.
    """
    if isinstance(found, Rejected):
        state.read_only = state.login_begins_anew = found.keep_cookie
        state.data = found.data
        context.reject(found.reason)
        return
    state.stored, state.data, state.redeliver = found
    state.read_only = False
    state.was_permanent = bool(state.data.get(PERMANENT, context.policy.permanent))
    meta, asked = found.stored.envelope.meta, state.changes.meta
    if PREVIOUS in meta and not found.redeliver:
        # Others may write to the store, and not every store takes any text for a key.
        state.renewed_from, asked[PREVIOUS] = meta[PREVIOUS] if is_key(meta[PREVIOUS]) else None, None
    if UNFINISHED in meta:
        asked[UNFINISHED] = None
    state.pending = found.redeliver or bool(asked)


def resolve(
    context: Context,
    token: str,
    key: str,
    record: Record | None,
    *,
    now: int,
    used_at: int | None = None,
    late: bool = False,
) -> Flow[Found | Rejected]:
    """Return the live session that *record*, stored for *token* under *key*, holds or leads to, with its data.

    Its timeouts are judged at *used_at*; by default *now*. A *late* request knew the session before a renewal: the
    alias leads it on for an hour more.
    """
    for _ in range(HOPS):
        if record is None:
            break
        try:
            body = _opened(context, token, key, record, now=now, used_at=used_at)
        except UnknownKey:  # another server may have the key
            return Rejected("unknown_key")
        except DecodeError as error:
            return (yield from _set_aside(key, foreign=error.foreign, empty=not record.data))
        if isinstance(body, Found | Rejected):
            return body
        if not isinstance(body, Tombstone):
            return Rejected("corrupt")
        is_over = _is_over(context, body, now)
        if body.kind is TombstoneKind.SUPERSEDED and not is_over:
            return Rejected("superseded", data=open_secrets(context, token, body))
        if body.sealed is None or (is_over and not leads_on(body, now, late=late)):
            break
        token = open_successor(token, body.sealed)
        key = context.keys.key_of(token)
        record = yield from load(key, fresh=True)
    return Rejected("unknown_id")


def _opened(
    context: Context, token: str, key: str, record: Record, *, now: int, used_at: int | None
) -> Found | Rejected | Control:
    """Return the session in *record* with its data, why it is over, or the control record that it is."""
    body = context.sealer.read(record.data, key)
    if not isinstance(body, SESSIONS):
        return body
    envelope = context.sealer.open(body, token=token, key=key, owner=record.owner)
    reason = context.policy.verdict(envelope, record.expires_at, now, used_at)
    if reason is not None:
        return Rejected(reason, owner=record.owner)
    stored = StoredSession(token, key, record.version, record.expires_at, record.owner, envelope)
    return Found(stored, envelope.codec.loads(envelope.payload))


def leads_on(tombstone: Tombstone, now: int, *, late: bool) -> bool:
    """Return whether *tombstone* is an alias that leads a request on: a *late* one for an hour after its time."""
    return tombstone.kind is TombstoneKind.ALIAS and now < tombstone.until + (LONGEST_REQUEST if late else 0)


def _is_over(context: Context, tombstone: Tombstone, now: int) -> bool:
    """Return whether the grace period of *tombstone* has ended, or is longer than any: it was forged then."""
    longest = None if tombstone.kind is TombstoneKind.ALIAS else now + context.policy.grace + SKEW
    return tombstone.until <= now or (longest is not None and tombstone.until > longest)


def _set_aside(key: str, *, foreign: bool, empty: bool) -> Flow[Rejected]:
    """Remove a damaged record, so that it is met once. One in a foreign format may be a newer release's: it stays."""
    if not foreign:
        yield from delete(key)
    return Rejected("corrupt", foreign=foreign and not empty)


def report_rejected(context: Context, key: str, rejected: Rejected) -> None:
    """Report the end of a session that has expired, or that the request came with a replaced token."""
    if rejected.reason == "superseded":
        context.events.emit("superseded", handle=key)
    if rejected.reason in ("expired_idle", "expired_absolute"):
        report_ended(context, key, rejected.owner, "expired")


def still_valid(context: Context, session: SessionState | str) -> Flow[bool]:
    """Return whether the session of a token, or the stored one of a state, is live: see `Requests.still_valid`."""
    if isinstance(session, str):
        old, new, _ = read_unsure(session) or ("", session, "")
        found = (yield from live_token(context, old, late=False)) if old else None
        return bool(found) or (is_token(new) and (yield from live_token(context, new, late=False)) is not None)
    if session.stored is None:
        return False
    stored, renewed = session.stored.token, session.renewed_to
    known = renewed[1] if renewed is not None and renewed[0] == stored else stored
    token = yield from live_token(context, known, late=True)
    if token is not None:
        session.renewed_to = (stored, token)
    return token is not None


def live_token(context: Context, token: str, *, late: bool) -> Flow[str | None]:
    """Return the current token of the live session of *token*, or None if there is none.

    That is *token*, or its replacement after a renewal; *late* is as in `resolve`. A login, a logout and a rotation end
    the session of *token*. It does not write, touch or report.
    """
    for _ in range(HOPS):
        key = context.keys.key_of(token)
        record = yield from load(key)
        if record is None:
            return None
        if info_of(context, key, record) is not None:
            return token
        body = control_in(context.sealer.read, record, key, Tombstone)
        if body is None or body.sealed is None or not leads_on(body, context.clock(), late=late):
            return None
        token = open_successor(token, body.sealed)
    return None
