"""The steps of a login after its session is stored: read the user's cut-off, and enforce the limit.

The store may fail there. A session that replaced another one then gets a mark, and the browser gets its token although
the response is an error; the next request that loads the session finishes the login.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias, TypeVar

from holdfast.errors import LoginEnded, StoreUnavailable, TooManySessions, UnknownKey
from holdfast.records.envelope import Cutoff, control_in
from holdfast.records.metadata import UNFINISHED, moment
from holdfast.records.record import Record
from holdfast.records.tokens import unsure_value
from holdfast.sessions.flows.context import Context, offset_of
from holdfast.sessions.flows.end import refused
from holdfast.sessions.flows.limit import make_room
from holdfast.sessions.ops import Call, Flow, delete, load
from holdfast.sessions.policy import LONGEST_COOKIE, RETENTION, SKEW
from holdfast.sessions.state import SessionState, StoredSession
from holdfast.stores.contract import Indexes

T = TypeVar("T")

#: Why a login is refused.
ALL_ENDED = "all sessions of the user were ended"
#: In place of an owner value, in the cut-off of everyone.
EVERYONE = ""
#: Returns when the login of an owner began, given the offset of the shared clock.
Began: TypeAlias = Callable[[str, int], int]


def at(moment: int) -> Began:
    """Return what returns *moment*, by the shared clock."""
    return lambda _owner, _offset: moment


def read_cutoff(
    context: Context, key: str, record: Record | None, offset: int, *, strict: bool = False
) -> Cutoff | None:
    """Return the cut-off in *record*, stored under *key*, or None where there is none that can be believed.

    Its time is by the clock that all hosts share, which is *offset* milliseconds ahead of this host's. Where the store
    has none, clocks differ by `SKEW` at most. A time later than that was forged: neither it nor a damaged record must
    keep its owner out for ever. With *strict* an unknown key that vouches for it is an `UnknownKey`.
    """
    body = control_in(context.sealer.read, record, key, Cutoff, strict=strict)
    return body if body is not None and body.at <= context.clock() + offset + SKEW else None


def stored_for(context: Context) -> int:
    """Return how long a cut-off is stored, in milliseconds: a remember-me cookie may be older than any session."""
    return max(LONGEST_COOKIE, context.policy.absolute) + RETENTION


def ended_meanwhile(context: Context, owner: str, began: Began, *keys: str, careful: bool = False) -> Flow[bool]:
    """Return whether all of the owner's sessions were ended since a login under *keys* began.

    *careful*: a cut-off that an unknown key vouches for counts too. Its expiry shows when it was written.
    """
    key = context.keys.cutoff_key(owner)
    record = yield from load(key, fresh=True)
    if record is None:
        return False
    offset = yield from offset_of(context)
    try:
        cutoff = read_cutoff(context, key, record, offset, strict=careful)
    except UnknownKey:
        return began(owner, offset) <= record.expires_at - stored_for(context) + SKEW
    return cutoff is not None and cutoff.at >= began(owner, offset) and cutoff.keep not in keys


def ended_since(context: Context, moment: int, *owners: str) -> Flow[bool]:
    """Return whether all sessions of one of *owners*, or of everyone, ended since *moment*, by the shared clock.

    An end under a key that was removed counts: otherwise what it ended would begin again.
    """
    for each in (*owners, EVERYONE):
        if (yield from ended_meanwhile(context, each, at(moment), careful=True)):
            return True
    return False


def at_most_twice(attempt: Callable[[], Flow[T] | Call[T]]) -> Flow[T]:
    """Return the answer to *attempt*, which is made once more if the store fails."""
    try:
        return (yield from attempt())
    except StoreUnavailable:
        return (yield from attempt())


def finish_login(
    context: Context, stored: StoredSession, owner: str, began: Began, previous: str | None = None
) -> Flow[None]:
    """Keep *owner* within the limit now that a login is *stored*. It is removed if it has to go, and if it is over.

    A failed call is repeated once. *previous* is the former key of its session.

    Raises:
        LoginEnded: All sessions of *owner* were ended meanwhile, or later logins leave no room for it.
        TooManySessions: It exceeds the limit, and the policy is to refuse it.
    """
    yield from at_most_twice(lambda: _finish(context, stored, owner, began, previous))


def _finish(context: Context, stored: StoredSession, owner: str, began: Began, previous: str | None) -> Flow[None]:
    if Indexes in context.capabilities and (
        yield from ended_meanwhile(context, owner, began, stored.key, previous or stored.key)
    ):
        yield from delete(stored.key)
        raise refused(context, stored.key, ALL_ENDED)
    if context.policy.max_per_user is not None:
        yield from make_room(context, stored, owner)


def withdraw(context: Context, state: SessionState, made: StoredSession) -> Flow[None]:
    """Remove *made*, a login that could not be finished. If that fails too, see `deliver_unsure`.

    A token that could not be looked up, or judged, stays in its browser. A remembered browser gets the cookie at any
    rate: with it, its next login is no longer one that joins *made*.
    """
    removed = False
    with suppress(StoreUnavailable):
        yield from delete(made.key)
        removed = state.remembered is None
    if not (removed or state.login_begins_anew):
        deliver_unsure(context, state, made)


def deliver_unsure(context: Context, state: SessionState, made: StoredSession, before: str = "") -> None:
    """Let the response carry the token of *made* and that *before*: the store fails, so which is valid is unknown."""
    began = state.started_for(made.owner or EVERYONE, context.offset.value)
    state.stored = replace(made, sealed=unsure_value(before, made.token, began))
    state.redeliver, state.owed = False, True


def finish_postponed(context: Context, stored: StoredSession) -> Flow[bool]:
    """Return whether the login of *stored*, which was postponed, is valid, as `finish_login` does."""
    started_at, _, previous = stored.envelope.meta[UNFINISHED].partition(" ")
    try:
        if stored.owner is not None:
            began = at(moment({UNFINISHED: started_at}, UNFINISHED) or 0)  # others may write to the store
            yield from finish_login(context, stored, stored.owner, began, previous)
    except (LoginEnded, TooManySessions):
        return False
    return True
