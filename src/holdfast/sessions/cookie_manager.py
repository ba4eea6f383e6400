"""The manager of sessions that live in cookies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from holdfast import events
from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, DecodeError, StoreUnavailable, UnknownKey
from holdfast.metrics.observer import Observer, Observers
from holdfast.records.codec import MSGPACK, Codec
from holdfast.records.cookie import CookieRecord, SealedCookie
from holdfast.records.encryption import Keyring
from holdfast.records.envelope import Envelope, Fate, Tombstone, decode, encode
from holdfast.records.tokens import Keys, new_token
from holdfast.sessions.flows.ending import cut_off, read_cutoff
from holdfast.sessions.flows.opening import Refusal
from holdfast.sessions.flows.saving import dropped
from holdfast.sessions.manager import Manager
from holdfast.sessions.mapping import Loaded, Opened, Outcome, ServerSession, Wishes
from holdfast.sessions.ops import Flow, create, load
from holdfast.sessions.policy import RETENTION, Policy
from holdfast.stores.contract import Store

_NOTHING = Outcome("unchanged", "none")


@dataclass(slots=True)
class CookieSession(Loaded):
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

    def open(self, token: str | None) -> Opened:
        """Return the session that a cookie's value holds; None and anything that is not one hold nothing.

        Raises:
            StoreUnavailable: Revocations cannot be looked up, and the policy is not to go on without.
        """
        if token is None:
            return Opened()
        context = self.context
        try:
            found = self._run(self._resolve(token))
        except StoreUnavailable:
            context.emit("rejected", reason="store_unavailable")
            if context.policy.on_store_error == "anonymous":
                return Opened(read_only=True)
            raise
        if isinstance(found, Refusal):
            context.emit("rejected", reason=found.reason)
            return Opened(read_only=found.reason == "superseded")
        kept, data = found
        return Opened(kept, data, deliver=kept.stale)

    def _resolve(self, value: str) -> Flow[tuple[CookieSession, dict[Any, Any]] | Refusal]:
        try:
            record = self._cookie.unseal(value)
        except UnknownKey:
            return Refusal("unknown_key")
        except DecodeError:
            return Refusal("bad_signature")
        if record is None:
            return Refusal("malformed")
        key, owner = self.keys.key_of(record.token), record.owner
        kept = CookieSession(
            record.token, key, 0, record.expires_at, owner, record.envelope, value, record.since, record.stale
        )
        reason = self.context.policy.verdict(kept.envelope, kept.expires_at, self.clock())
        reason = reason or (yield from self._revoked(kept))
        if reason is not None:
            return Refusal(reason)
        try:
            return kept, kept.envelope.codec.loads(kept.envelope.payload)
        except DecodeError:
            return Refusal("corrupt")

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

    def commit(self, session: ServerSession, *, confirm: bool = False) -> Outcome:  # noqa: ARG002  # nothing to look up
        """Carry out what the request asked of *session*, and make the cookie's new value.

        Raises:
            EncodeError: A value cannot be kept.
            RecordTooLarge: No browser would take a cookie that large. The one it has is intact.
            StoreUnavailable: A revocation could not be stored.
        """
        if session.opened is None:
            return _NOTHING
        outcome = self._run(self._carry_out(session, session.opened))
        session.wishes = Wishes()
        return outcome

    def _carry_out(self, session: ServerSession, opened: Opened) -> Flow[Outcome]:
        kept = opened.loaded
        if opened.read_only:
            return _NOTHING if session.is_empty else dropped(self.context, session)
        if kept is None:
            return _NOTHING if session.is_empty else self._create(session)
        return (yield from self._change(session, cast("CookieSession", kept)))

    def _change(self, session: ServerSession, kept: CookieSession) -> Flow[Outcome]:
        wishes = session.wishes
        if session.is_empty:
            return (yield from self._end(session, kept))
        policy, now = self.context.policy, self.clock()
        used = not session.background
        due = used and policy.renewal_due(kept.envelope.issued_at, now)
        if wishes.rotate or wishes.wiped or wishes.rebind or due:
            return (yield from self._rotate(session, kept))
        payload = self.context.codec.dumps(session.data)
        changed = payload != kept.envelope.payload or not session.agrees_with(kept.envelope.meta)
        if changed or kept.stale or (used and policy.touch_due(kept.envelope, kept.expires_at, now)):
            if (yield from self._revoked(kept)) is not None:
                return dropped(self.context, session)
            session.opened = Opened(self._issue(session, kept.envelope, kept.token), session.data)
            return Outcome("saved", "send")
        return Outcome("unchanged", "keep")

    def _create(self, session: ServerSession) -> Outcome:
        issued = self._issue(session, None, None)
        session.opened = Opened(issued, session.data)
        self.context.emit("created", handle=issued.key, owner=issued.owner)
        if issued.owner is not None:
            self.context.emit("bound", handle=issued.key, owner=issued.owner)
        return Outcome("saved", "send")

    def _rotate(self, session: ServerSession, kept: CookieSession) -> Flow[Outcome]:
        context, wishes = self.context, session.wishes
        issued = self._issue(session, kept.envelope, None)
        if not (yield from self._bury(kept, Tombstone(Fate.SUPERSEDED, self.clock() + context.policy.grace))):
            return dropped(context, session)
        session.opened = Opened(issued, session.data)
        context.emit("rotated", handle=issued.key, previous=kept.key)
        if wishes.wiped:
            context.emit("ended", handle=kept.key, owner=kept.owner, reason="replaced")
        elif wishes.rebind and issued.owner is None:
            context.emit("ended", handle=kept.key, owner=kept.owner, reason="logout")
        if wishes.rebind and issued.owner is not None:
            context.emit("bound", handle=issued.key, owner=issued.owner)
        return Outcome("saved", "send")

    def _issue(self, session: ServerSession, old: Envelope | None, token: str | None) -> CookieSession:
        """Return the session with the cookie value that holds it now, under *token*, or a new one."""
        context, wishes, owner, now = self.context, session.wishes, session.owner, self.clock()
        reborn = old is None or wishes.wiped or (wishes.rebind and owner is not None)
        envelope = context.envelope(
            context.codec.dumps(session.data),
            created_at=now if old is None or reborn else old.created_at,
            issued_at=now if old is None or token is None else old.issued_at,
            meta=session.meta_upon(old.meta if old else {}, permanent=context.policy.permanent),
        )
        token = token or new_token()
        expires_at, since = context.expires_at(envelope, now), session.started_at
        value = self._cookie.seal(CookieRecord(token, expires_at, since, owner, envelope))
        return CookieSession(token, self.keys.key_of(token), 0, expires_at, owner, envelope, value, since)

    def _end(self, session: ServerSession, kept: CookieSession) -> Flow[Outcome]:
        if not (yield from self._bury(kept, Tombstone(Fate.ENDED, self.clock()))):
            return dropped(self.context, session)
        session.opened = Opened()
        self.context.emit("ended", handle=kept.key, owner=kept.owner, reason="logout")
        return Outcome("saved", "delete")

    def _bury(self, kept: CookieSession, tombstone: Tombstone) -> Flow[bool]:
        """Make the session's id worthless, where that can be stored; return whether it was worth something."""
        if not self.revokes:
            return True
        if (yield from self._revoked(kept)) is not None:
            return False
        until = kept.envelope.created_at + self.context.policy.absolute + RETENTION
        return (yield from create(kept.key, encode(tombstone), until)) is not None

    def take(self, session: ServerSession, key: str) -> bool:  # noqa: ARG002  # see Manager
        """Refuse: nothing tells which of several requests is the first."""
        _refuse_once("session.pop_once()")

    def spend(self, session: ServerSession) -> bool:  # noqa: ARG002  # see Manager
        """Refuse: see `take`."""
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
        self._run(cut_off(self.context, owner, keep, lifetime=self.context.policy.absolute + RETENTION))
        return 0

    def still_valid(self, session: ServerSession | str) -> bool:
        """Tell whether a session, or the one that a cookie's value holds, is neither over nor revoked."""
        if not isinstance(session, str):
            return session.loaded is not None and self.still_valid(session.loaded.value)
        return not isinstance(self._run(self._resolve(session)), Refusal)

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
                "sessions live in the browsers' cookies, and nothing can revoke them: set SESSION_REVOCATION_STORE"
            )


def _is_replaced(revocation: bytes, now: int) -> bool:
    """Tell whether what revokes a session is the trace of its rotation. A damaged one revokes all the same."""
    try:
        body = decode(revocation)
    except DecodeError:
        return False
    return isinstance(body, Tombstone) and body.fate is Fate.SUPERSEDED and body.until > now


def _refuse_once(what: str) -> NoReturn:
    raise ConfigurationError(f"{what} needs sessions that are kept in a store: set SESSION_STORE to one")


def _refuse_listing() -> NoReturn:
    raise ConfigurationError("sessions live in the browsers' cookies and cannot be listed: keep them in a store")


class _Nowhere:
    """Stands where a store would be, and holds nothing. Nothing is asked of it."""
