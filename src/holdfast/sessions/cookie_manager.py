"""The manager of sessions that live in cookies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from holdfast import events
from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, DecodeError, StoreUnavailable, UnknownKey
from holdfast.metrics.observer import Observer, Observers
from holdfast.records.codec import MSGPACK, Codec
from holdfast.records.cookie import CookieRecord, SealedCookie
from holdfast.records.encryption import Keyring
from holdfast.records.envelope import Fate, Tombstone, decode, encode
from holdfast.records.tokens import Keys, new_token
from holdfast.sessions.flows.commit import NO_METADATA
from holdfast.sessions.flows.end import read_cutoff, write_cutoff
from holdfast.sessions.flows.open import Rejected
from holdfast.sessions.flows.save import dropped, revised
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import Flow, create, load
from holdfast.sessions.policy import RETENTION, Policy
from holdfast.sessions.state import (
    PERMANENT,
    Changes,
    CookieAction,
    Outcome,
    SessionState,
    StoredSession,
    cookie_action,
)
from holdfast.stores.contract import Store

_NOTHING = Outcome("unchanged", CookieAction.NONE)


@dataclass(slots=True, repr=False)
class CookieSession(StoredSession):
    """A live session as its cookie holds it. *value* is the cookie's value; a store has *key* for its revocation.

    *since* is when it was last known not to be revoked. *stale* is True if it was encrypted with an old key.
    """

    value: str = ""
    since: int = 0
    stale: bool = False


class ClientSide(Manager):
    """Opens and saves the sessions that one application keeps in its cookies.

    Args:
        keyring: The keys that cookies are encrypted with.
        name: The cookie's name, which a value is bound to.
        store: Where revocations are kept, or None: then nothing can be revoked, and a logout ends the session in the
            browser only.
        policy, keys, codec, clock, observer, sender: As in `Manager`.
    """

    lists = False

    def __init__(
        self,
        keyring: Keyring,
        *,
        name: str,
        store: Store | None = None,
        policy: Policy | Callable[[], Policy] | None = None,
        keys: Keys | None = None,
        codec: Codec = MSGPACK,
        clock: Clock = system_clock,
        observer: Observer | Observers | Iterable[Observer] | None = None,
        sender: object = None,
    ) -> None:
        super().__init__(
            store or cast("Store", _Nowhere()),
            policy=policy,
            keys=keys,
            codec=codec,
            clock=clock,
            observer=observer,
            sender=sender,
        )
        self.revokes = store is not None
        self._cookie = SealedCookie(keyring, name=name, keys=self.keys)

    def open(self, state: SessionState, token: str | None) -> None:
        """Fill *state* with the session that a cookie's value holds; None and anything that is not one hold nothing.

        Raises:
            StoreUnavailable: Revocations cannot be looked up, and the policy is not to go on without.
        """
        context = self.context
        state.opened = state.read_only = True
        if token is None:
            state.read_only = False
            return
        state.opened_at = self.clock()
        try:
            found = self._run(self._resolve(token))
        except StoreUnavailable:
            context.emit("rejected", reason="store_unavailable")
            if context.policy.on_store_error != "anonymous":
                raise
            return
        if isinstance(found, Rejected):
            context.emit("rejected", reason=found.reason)
            state.read_only = found.reason == "superseded"
            return
        stored, state.data = found
        state.build_on(stored, redeliver=stored.stale)
        state.read_only = False
        state.was_permanent = bool(state.data.get(PERMANENT, context.policy.permanent))

    def _resolve(self, value: str) -> Flow[tuple[CookieSession, dict[Any, Any]] | Rejected]:
        try:
            record = self._cookie.unseal(value)
        except UnknownKey:
            return Rejected("unknown_key")
        except DecodeError:
            return Rejected("bad_signature")
        if record is None:
            return Rejected("malformed")
        key, owner = self.keys.key_of(record.token), record.owner
        kept = CookieSession(
            record.token, key, 0, record.expires_at, owner, record.envelope, value, record.since, record.stale
        )
        reason = self.context.policy.verdict(kept.envelope, kept.expires_at, self.clock())
        reason = reason or (yield from self._revoked(kept))
        if reason is not None:
            return Rejected(reason)
        try:
            return kept, kept.envelope.codec.loads(kept.envelope.payload)
        except DecodeError:
            return Rejected("corrupt")

    def _revoked(self, kept: CookieSession) -> Flow[events.RejectReason | None]:
        if not self.revokes:
            return None
        record = yield from load(kept.key)
        if record is not None:
            return "superseded" if _is_replaced(record.data, self.clock()) else "unknown_id"
        if kept.owner is None:
            return None
        cutoff = read_cutoff((yield from load(self.keys.cutoff_key(kept.owner))))
        over = cutoff is not None and cutoff.at >= kept.since and cutoff.keep != kept.key
        return "unknown_id" if over else None

    def commit(
        self,
        state: SessionState,
        *,
        refresh: bool = False,
        login_metadata: Mapping[str, str | None] = NO_METADATA,
        can_set_cookie: bool = True,  # noqa: ARG002  # without a cookie nothing of it is kept
    ) -> Outcome:
        """Carry out what the request asked of its session, and make the cookie's new value.

        Raises:
            EncodeError: A value cannot be kept.
            RecordTooLarge: No browser would take a cookie that large. The one it has is intact.
            StoreUnavailable: A revocation could not be stored.
        """
        if not state.opened:
            return _NOTHING
        changes = state.changes
        changes.meta = {**login_metadata, **changes.meta}
        permanent = bool(state.data.get(PERMANENT, self.context.policy.permanent))
        outcome = self._run(self._carry_out(state))
        state.changes = Changes()
        cookie = cookie_action(
            outcome,
            permanent=permanent,
            was_permanent=state.was_permanent,
            refresh=refresh,
            marked=changes.marked or bool(changes.assigned),
        )
        return Outcome(outcome.result, cookie)

    def _carry_out(self, state: SessionState) -> Flow[Outcome]:
        stored = state.stored
        if state.read_only:
            return _NOTHING if state.is_empty else dropped(self.context, state)
        if stored is None:
            return _NOTHING if state.is_empty else self._create(state)
        return (yield from self._change(state, cast("CookieSession", stored)))

    def _change(self, state: SessionState, stored: CookieSession) -> Flow[Outcome]:
        if state.is_empty:
            return (yield from self._end(state, stored))
        policy, now = self.context.policy, self.clock()
        used = not state.background
        due = used and policy.renewal_due(stored.envelope.issued_at, now)
        if state.changes.new_token or due:
            return (yield from self._rotate(state, stored))
        payload = self.context.codec.dumps(state.data)
        changed = payload != stored.envelope.payload or not state.metadata_unchanged(stored.envelope.meta)
        if changed or stored.stale or (used and policy.touch_due(stored.envelope, stored.expires_at, now)):
            if (yield from self._revoked(stored)) is not None:
                return dropped(self.context, state)
            state.build_on(self._issue(state, stored, stored.token))
            return Outcome("saved", CookieAction.SEND)
        return Outcome("unchanged", CookieAction.KEEP)

    def _create(self, state: SessionState) -> Outcome:
        issued = self._issue(state, None, new_token())
        state.build_on(issued)
        self.context.emit("created", handle=issued.key, owner=issued.owner)
        if issued.owner is not None:
            self.context.emit("bound", handle=issued.key, owner=issued.owner)
        return Outcome("saved", CookieAction.SEND)

    def _rotate(self, state: SessionState, stored: CookieSession) -> Flow[Outcome]:
        context, changes = self.context, state.changes
        issued = self._issue(state, stored, new_token())
        if not (yield from self._bury(stored, Tombstone(Fate.SUPERSEDED, self.clock() + context.policy.grace))):
            return dropped(context, state)
        state.build_on(issued)
        context.emit("rotated", handle=issued.key, previous=stored.key)
        if changes.wiped:
            context.emit("ended", handle=stored.key, owner=stored.owner, reason="replaced")
        elif changes.ends_login:
            context.emit("ended", handle=stored.key, owner=stored.owner, reason="logout")
        if changes.rebind and issued.owner is not None:
            context.emit("bound", handle=issued.key, owner=issued.owner)
        return Outcome("saved", CookieAction.SEND)

    def _issue(self, state: SessionState, old: CookieSession | None, token: str) -> CookieSession:
        """Return the session with the cookie value that holds it now, under *token*."""
        made = revised(self.context, state, old, token=token)
        since = state.started_at
        value = self._cookie.seal(CookieRecord(token, made.expires_at, since, made.owner, made.envelope))
        return CookieSession(token, made.key, 0, made.expires_at, made.owner, made.envelope, value, since)

    def _end(self, state: SessionState, stored: CookieSession) -> Flow[Outcome]:
        if (yield from self._bury(stored, Tombstone(Fate.ENDED, self.clock()))):
            self.context.emit("ended", handle=stored.key, owner=stored.owner, reason="logout")
            outcome = Outcome("saved", CookieAction.DELETE)
        else:
            outcome = dropped(self.context, state)
        state.reset()
        return outcome

    def _bury(self, kept: CookieSession, tombstone: Tombstone) -> Flow[bool]:
        """Make the session's id worthless, where that can be stored; return whether it was worth something."""
        if not self.revokes:
            return True
        if (yield from self._revoked(kept)) is not None:
            return False
        until = kept.envelope.created_at + self.context.policy.absolute + RETENTION
        return (yield from create(kept.key, encode(tombstone), until)) is not None

    def pop_stored(self, state: SessionState, key: str) -> bool:  # noqa: ARG002  # see Manager
        """Refuse: nothing tells which of several requests is the first."""
        _refuse_once("session.pop_once()")

    def consume_authentication(self, state: SessionState) -> bool:  # noqa: ARG002  # see Manager
        """Refuse: see `pop_stored`."""
        _refuse_once("session.fresh_once(), and require_fresh(0) with it,")

    def revoke(self, handle: str) -> events.RevokeResult:
        """End the session with *handle*, whether or not there is one: nobody but its browser can tell.

        Raises:
            ConfigurationError: There is no store for revocations.
        """
        self._refuse_unless_revocable()
        if len(handle) != 64 or handle.strip("0123456789abcdef"):
            return "absent"
        until = self.clock() + self.context.policy.absolute + RETENTION
        version = self._run(create(handle, encode(Tombstone(Fate.ENDED, self.clock())), until))
        if version is None:
            return "absent"
        self.context.emit("ended", handle=handle, owner=None, reason="revoked")
        return "confirmed"

    def _end_all(self, owner: str, keep: str | None) -> int:
        """End them as far as they ask for the cut-off. Returns 0: nobody knows how many there are."""
        self._refuse_unless_revocable()
        self._run(write_cutoff(self.context, owner, keep, lifetime=self.context.policy.absolute + RETENTION))
        return 0

    def still_valid(self, session: SessionState | str) -> bool:
        """Return whether a session, or the one that a cookie's value holds, is neither over nor revoked."""
        if not isinstance(session, str):
            return session.stored is not None and self.still_valid(session.stored.value)
        return not isinstance(self._run(self._resolve(session)), Rejected)

    def get(self, handle: str, *, current: str | None = None) -> NoReturn:  # noqa: ARG002
        """Refuse: nobody but its browser has it."""
        _refuse_listing()

    def _indexed(self) -> NoReturn:
        _refuse_listing()

    def _iterated(self) -> NoReturn:
        _refuse_listing()

    def _refuse_unless_revocable(self) -> None:
        if not self.revokes:
            raise ConfigurationError(
                "sessions live in the browsers' cookies, and without a store for revocations nothing can revoke them"
            )


def _is_replaced(revocation: bytes, now: int) -> bool:
    """Tell whether what revokes a session is the trace of its rotation. A damaged one revokes all the same."""
    try:
        body = decode(revocation)
    except DecodeError:
        return False
    return isinstance(body, Tombstone) and body.fate is Fate.SUPERSEDED and body.until > now


def _refuse_once(what: str) -> NoReturn:
    raise ConfigurationError(f"{what} needs sessions that are kept in a store, and they live in the browsers' cookies")


def _refuse_listing() -> NoReturn:
    raise ConfigurationError("sessions live in the browsers' cookies and cannot be listed: keep them in a store")


class _Nowhere:
    """Stands where a store would be, and holds nothing. Nothing is asked of it."""
