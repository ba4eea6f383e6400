"""The flows of a request on sessions that live in the cookie: see `holdfast.sessions.flows.request_flows.RequestFlows`.

A store, where there is one, has only revocations: a tombstone under the key of each session that is over before its
time, and the cut-offs of owners. They are kept for as long as a copy of the cookie could be used, and a day more.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import DecodeError, StoreUnavailable, UnknownKey
from holdfast.events import EndReason, RejectReason, RevokeResult
from holdfast.records.cookie import CookieRecord, SealedCookie
from holdfast.records.envelope import Tombstone, TombstoneKind, control_in
from holdfast.records.metadata import PREVIOUS
from holdfast.records.record import Conflict, Gone
from holdfast.records.tokens import new_token
from holdfast.sessions.flows.commit import begun, create_once, revised
from holdfast.sessions.flows.context import Context, offset_of
from holdfast.sessions.flows.end import SESSION_ENDED, dropped, is_confirmed, refused, report_ended
from holdfast.sessions.flows.finish import ALL_ENDED, at, ended_meanwhile, read_cutoff
from holdfast.sessions.flows.open import Found, Rejected, report_rejected
from holdfast.sessions.flows.revoke import write_cutoff
from holdfast.sessions.flows.rotate import delivered
from holdfast.sessions.flows.visitor import secrets_of
from holdfast.sessions.ops import Flow, load, replace
from holdfast.sessions.policy import RETENTION
from holdfast.sessions.state import CookieAction, Outcome, SessionState, StoredSession


@dataclass(slots=True, repr=False)
class CookieSession(StoredSession):
    """A live session as its cookie, with the value *sealed*, holds it. A store has *key* for its revocation.

    *since* is when it was last known not to be revoked. *stale* is True if it was encrypted with an old key.
    """

    since: int = 0
    stale: bool = False


class InCookie:
    """The flows on sessions in the values of *cookie*. *revocable*: revocations are looked up and stored."""

    def __init__(self, cookie: SealedCookie, *, revocable: bool) -> None:
        self._cookie = cookie
        self._revocable = revocable

    def has_form(self, value: str, /) -> bool:
        return self._cookie.has_form(value)

    def find(self, context: Context, state: SessionState, value: str, /) -> Flow[Found | Rejected]:
        state.opened_at = context.clock()
        found = yield from self._resolve(context, value, state)
        if isinstance(found, Rejected):
            report_rejected(context, state.presented or "", found)
            return found
        return found

    def _resolve(self, context: Context, value: str, state: SessionState | None = None) -> Flow[Found | Rejected]:
        """Return the session in *value*, with its data; *state* gets its key, live or not."""
        try:
            record = self._cookie.unseal(value)
        except UnknownKey:
            return Rejected("unknown_key")
        except DecodeError:
            return Rejected("bad_signature")
        if record is None:
            return Rejected("malformed")
        key, envelope = context.keys.key_of(record.token), record.envelope
        if state is not None:
            state.presented = key
        stored = CookieSession(
            record.token, key, 0, record.expires_at, record.owner, envelope, value, record.since, record.stale
        )
        reason = context.policy.verdict(
            envelope, record.expires_at, context.clock(), state.started_at if state else None
        )
        reason = reason or (yield from self._revoked(context, stored, fresh=False))
        if reason not in (None, "superseded"):
            return Rejected(reason, owner=record.owner)
        try:
            data = envelope.codec.loads(envelope.payload)
        except DecodeError:
            return Rejected("corrupt")
        return Found(stored, data, stored.stale) if reason is None else Rejected(reason, data=secrets_of(context, data))

    def _revoked(self, context: Context, stored: CookieSession, *, fresh: bool = True) -> Flow[RejectReason | None]:
        if not self._revocable:
            return None
        try:
            return (yield from self._looked_up(context, stored, fresh=fresh))
        except UnknownKey:  # another server may have the key
            return "unknown_key"

    def _looked_up(self, context: Context, stored: CookieSession, *, fresh: bool) -> Flow[RejectReason | None]:
        previous = stored.envelope.meta.get(PREVIOUS)
        revocation = yield from _revocation(context, stored.key, fresh=fresh)
        if revocation is not None and (yield from _is_over(context, revocation, fresh=fresh)):
            is_superseded = revocation.kind is TombstoneKind.SUPERSEDED and revocation.until > context.clock()
            return "superseded" if is_superseded else "unknown_id"
        revocation = (yield from _revocation(context, previous, fresh=fresh)) if previous is not None else None
        if revocation is not None and revocation.kind is not TombstoneKind.ALIAS:
            return "unknown_id"  # it was ended under the token that a renewal replaced
        if stored.owner is None:
            return None
        cutoff_key = context.keys.cutoff_key(stored.owner)
        record = yield from load(cutoff_key, fresh=fresh)
        if record is None:
            return None
        cutoff = read_cutoff(context, cutoff_key, record, (yield from offset_of(context)), strict=True)
        over = cutoff is not None and cutoff.at >= stored.since and cutoff.keep not in {stored.key, previous or ""}
        return "unknown_id" if over else None

    def create(self, context: Context, state: SessionState, /) -> Flow[Outcome]:
        made = yield from self._sealed(context, state, None, state.new_token or new_token())
        return begun(context, state, made)

    def join(self, context: Context, state: SessionState, browser: str, /) -> Flow[None]:  # noqa: ARG002
        """Return None: of the sessions that begin at once a browser keeps only the last."""
        yield from ()

    def log_out(self, context: Context, state: SessionState, stored: CookieSession, /) -> Flow[Outcome]:
        """End the session: everywhere if that can be stored, else in its browser."""
        if (yield from self._revoke(context, stored, Tombstone(TombstoneKind.ENDED, context.clock()))):
            report_ended(context, stored.key, stored.owner, "logout")
            outcome = Outcome("saved", CookieAction.DELETE)
        else:
            outcome = yield from self._replaced_meanwhile(context, state, stored)
        state.reset()
        return outcome

    def _replaced_meanwhile(self, context: Context, state: SessionState, stored: CookieSession) -> Flow[Outcome]:
        """Do what is left to do for a session that was revoked during the request.

        If it has another token, a logout ends it under that, and a login begins a session of its own. So does the login
        of another user than the one whose session is over; one of that user is refused.
        """
        moved = (yield from self._revoked(context, stored)) == "superseded"
        if moved and state.logs_out and stored.owner is not None:
            ended = yield from self.end_presented(context, stored.key, "logout")
            return Outcome("saved", CookieAction.DELETE) if ended else dropped(context, state)
        if state.proves_identity:
            if not moved and state.logs_in_again(stored):
                raise refused(context, stored.key, SESSION_ENDED)
            state.begin_anew()
            return (yield from self.create(context, state))
        return dropped(context, state)

    def end_presented(
        self, context: Context, key: str, reason: EndReason, successor: str | None = None, /
    ) -> Flow[bool]:
        try:
            return self._revocable and (yield from revoke(context, key, reason, successor)) != "absent"
        except UnknownKey:
            return False

    def rotate(
        self, context: Context, state: SessionState, stored: CookieSession, /, *, renewal: bool, ends: bool
    ) -> Flow[Outcome]:
        """Give the session a new token, and revoke the old one; at a renewal once the new one is presented.

        Renewals of one token all give it the same new one, so whatever ends the session ends each of them.
        """
        if not self._revocable:  # a cookie of another path or domain keeps the old token live
            state.beside += (stored.key,)
        if renewal:
            return (yield from self._renew(context, state, stored))
        moved = yield from self._sealed(context, state, stored, new_token())
        until, successor = context.clock() + context.policy.grace, None if ends else moved.key
        if not (yield from self._revoke(context, stored, Tombstone(TombstoneKind.SUPERSEDED, until, successor))):
            return (yield from self._replaced_meanwhile(context, state, stored))
        return delivered(context, state, stored, moved)

    def _renew(self, context: Context, state: SessionState, stored: CookieSession) -> Flow[Outcome]:
        if (yield from self._revoked(context, stored)) is not None:
            return dropped(context, state)
        if self._revocable:
            state.changes.meta[PREVIOUS] = stored.key
        moved = yield from self._sealed(context, state, stored, self._cookie.successor(stored.token))
        return delivered(context, state, stored, moved)

    def confirm_renewal(self, context: Context, key: str, stored: CookieSession, /) -> Flow[bool]:
        """Let the token of *key* be valid for the grace period only; return False if the session was ended under it."""
        alias = Tombstone(TombstoneKind.ALIAS, context.clock() + context.policy.grace, stored.key)
        found = yield from _write(context, key, alias, _needed_until(context, stored))
        return found is None or found.kind is TombstoneKind.ALIAS

    def save(self, context: Context, state: SessionState, stored: CookieSession, /) -> Flow[Outcome]:
        """Make a new value of the cookie, if the session changed or the cookie is due. The last to answer wins."""
        if state.is_empty:
            return (yield from self.log_out(context, state, stored))
        payload, envelope = context.codec.dumps(state.data), stored.envelope
        changed = payload != envelope.payload or not state.metadata_unchanged(envelope.meta)
        if not changed and not self._is_due(context, state, stored):
            return Outcome("unchanged", CookieAction.NONE)
        if (yield from self._revoked(context, stored)) is not None:
            return dropped(context, state)
        state.stored = yield from self._sealed(context, state, stored, stored.token)
        state.redeliver = False
        return Outcome("saved" if changed else "unchanged", CookieAction.SEND)

    def _is_due(self, context: Context, state: SessionState, stored: CookieSession) -> bool:
        """Return whether the cookie of a session that did not change is sent again: only so is its life moved on."""
        policy, envelope, now = context.policy, stored.envelope, context.clock()
        if state.background or not state.can_set_cookie:
            return False
        if stored.stale or state.refresh:
            return state.navigation or policy.touch_due(envelope, stored.expires_at, now)
        sent_at = policy.last_used_at(envelope, stored.expires_at)
        return policy.cookie_due(envelope, now, navigation=state.navigation, sent_at=sent_at)

    def still_valid(self, context: Context, session: SessionState | str, /) -> Flow[bool]:
        """Return whether the session of a state, or of a cookie's value, is neither over nor revoked."""
        if not isinstance(session, str):
            if session.stored is None:
                return False
            session = session.stored.value
        return not isinstance((yield from self._resolve(context, session)), Rejected)

    def _sealed(
        self, context: Context, state: SessionState, base: CookieSession | None, token: str
    ) -> Flow[CookieSession]:
        """Return the session as *state* wants it, under *token*; refuse a login that was ended meanwhile."""
        made, since = revised(context, state, base, token=token), state.started_at
        if made.owner is not None and self._revocable:
            if state.changes.signs_in and (
                yield from ended_meanwhile(context, made.owner, state.started_for, made.key, base.key if base else "")
            ):
                raise refused(context, made.key, ALL_ENDED)
            since = state.started_for(made.owner, (yield from offset_of(context)))
        value = self._cookie.seal(CookieRecord(token, made.expires_at, since, made.owner, made.envelope))
        return CookieSession(token, made.key, 0, made.expires_at, made.owner, made.envelope, value, since)

    def _revoke(self, context: Context, stored: CookieSession, tombstone: Tombstone) -> Flow[bool]:
        """Store *tombstone* if revocations are stored; return False if the session was over already."""
        if not self._revocable:
            return True
        if (yield from self._revoked(context, stored)) is not None:
            return False
        until = _needed_until(context, stored)
        found = yield from _write(context, stored.key, tombstone, until)
        if found is None:
            return True
        if found.kind is not TombstoneKind.ALIAS or found.successor is None:
            return False
        # Its renewal is over too.
        return (yield from _write(context, found.successor, tombstone, until)) is None


def _needed_until(context: Context, stored: CookieSession) -> int:
    """Return until when a revocation of *stored* is needed: none of its cookies can be used longer."""
    idle = max(context.policy.idle_of(stored.envelope.meta), stored.envelope.idle)
    return min(context.clock() + idle, stored.envelope.created_at + context.policy.absolute) + RETENTION


def _revocation(context: Context, key: str, *, fresh: bool = True) -> Flow[Tombstone | None]:
    """Return the revocation under *key*; None for what no key vouches for, and `UnknownKey` for another server's."""
    record = yield from load(key, fresh=fresh)
    return control_in(context.sealer.read, record, key, Tombstone, strict=True)


def _is_over(context: Context, revocation: Tombstone, *, fresh: bool) -> Flow[bool]:
    """Return whether *revocation* ends its session now: a renewal's does so after the grace period, or with the new."""
    if revocation.kind is not TombstoneKind.ALIAS or revocation.until <= context.clock():
        return True
    return revocation.successor is not None and (
        (yield from _revocation(context, revocation.successor, fresh=fresh)) is not None
    )


def _write(context: Context, key: str, revocation: Tombstone, until: int) -> Flow[Tombstone | None]:
    """Store *revocation* under *key* until *until*; None if it is stored, or else the one that is there already."""
    data = context.sealer.seal_control(revocation, key)
    for _ in range(context.policy.attempts):
        if (yield from create_once(key, data, until)) is not None:
            return None
        record = yield from load(key, fresh=True)
        if record is None:
            continue
        found = control_in(context.sealer.read, record, key, Tombstone, strict=True)
        if found is not None or not isinstance((yield from replace(key, data, record.version, until)), Conflict | Gone):
            return found
    raise StoreUnavailable("others kept changing the revocation of a session")


def revoke(
    context: Context, handle: str, reason: EndReason = "revoked", successor: str | None = None
) -> Flow[RevokeResult]:
    """End the session with *handle*, or the one it was moved to; ``absent`` if it was revoked already.

    Whether there is one is unknown.
    """
    now = context.clock()
    # No cookie that is sent now is used longer. A day more is for requests in flight, which may still send one, and for
    # servers whose clocks are ahead.
    tombstone, until = Tombstone(TombstoneKind.ENDED, now), now + context.policy.absolute + RETENTION
    if successor is not None:
        tombstone = Tombstone(TombstoneKind.SUPERSEDED, now + context.policy.grace, successor)
    for _ in range(context.policy.attempts):
        found = yield from _write(context, handle, tombstone, until)
        if found is None:
            report_ended(context, handle, None, reason)
            return "confirmed" if (yield from is_confirmed(context, handle)) else "unconfirmed"
        if found.successor is None:
            break
        handle = found.successor
    return "absent"


def revoke_all(
    context: Context, owner: str, *, keep: str | None = None, state: SessionState | None = None
) -> Flow[None]:
    """End every session of *owner* that began before now, except the one with the handle *keep*.

    *keep* counts if no earlier cut-off covers that session. This is known of the session of *state*, and of others
    where there was no cut-off, or one that kept them.
    """
    began = at(0) if keep is not None else None
    if state is not None and keep in (None, state.handle):
        began, stored = state.started_for, state.stored
        if isinstance(stored, CookieSession) and stored.owner == owner and owner not in state.ended_all_at:
            began = at(stored.since)
    cutoff = yield from write_cutoff(context, owner, [keep] if keep else [], began=began)
    if state is not None and cutoff.spares_request:
        state.ended_all_at[owner] = cutoff.at
