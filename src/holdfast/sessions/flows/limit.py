"""How many sessions a user may have at once, enforced at login.

The new session is stored and indexed first, and the user's sessions are counted after that. So of any logins at once
the last to count sees all that are left, and sees to it that they are not too many.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from holdfast.errors import TooManySessions
from holdfast.records.envelope import Envelope
from holdfast.records.metadata import IMPERSONATOR, UNFINISHED
from holdfast.records.record import Conflict, Gone, Record
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import discard_all, end_session, follow, refused
from holdfast.sessions.flows.listing import SessionInfo, decode_session, info_of, records_of
from holdfast.sessions.ops import Flow, delete, pause, replace
from holdfast.sessions.state import StoredSession
from holdfast.stores.contract import Indexes

#: How long a login that has to go waits before each other look, in milliseconds: in all, what a few store calls take.
_WAITS = (1.0, 5.0, 25.0, None)


class _Other(NamedTuple):
    """Another session of the user."""

    info: SessionInfo
    record: Record


def check_room(context: Context, owner: str, replaced: StoredSession | None) -> Flow[None]:
    """Refuse a login before it changes anything, if the policy is to refuse it and *owner* has no session to spare.

    *replaced* is the session that the login replaces.
    """
    limit = _limit(context)
    if limit is not None and context.policy.on_max_per_user == "refuse":
        others = yield from _others(context, owner, replaced.key if replaced else "")
        if len(others) >= limit:
            raise TooManySessions(limit)


def make_room(context: Context, stored: StoredSession, owner: str) -> Flow[None]:
    """Keep *owner* within the limit now that a login's session is *stored*.

    All agree which of several logins at once is the later one: by when they began, and then by their keys. So they do
    not end each other to the last. Where the oldest is evicted, the session that was not used for longest ends first,
    and the later logins stay. Where logins are refused, the earlier ones stay. One that has to go is removed.

    Before one goes for another that has just come, it looks again: that may be about to go itself. Where it only seems
    the earlier one, because the clock of another host is ahead, it begins after the others.

    Raises:
        TooManySessions: The policy is to refuse, and other logins came first. The session is removed.
        LoginEnded: The policy is to evict, and other logins came later. The session is removed.
    """
    limit = _limit(context)
    if limit is None:
        return

    def is_earlier(key: str, record: Record) -> bool:
        session = decode_session(context, key, record)
        return session is not None and (_began(session), key) < (stored.envelope.issued_at, stored.key)

    refuse = context.policy.on_max_per_user == "refuse"
    for wait in _WAITS:
        others = yield from _others(context, owner, stored.key)
        if len(others) < limit:
            return
        earlier = [other for other in others if is_earlier(other.info.handle, other.record)]
        room = limit - 1 - (len(others) - len(earlier))
        if refuse and len(earlier) >= limit:
            break
        if not refuse:
            yield from _evict(context, owner, earlier, max(room, 0), is_earlier)
            if room >= 0:
                return
            if wait is not None:
                yield from _begin_after(context, stored, max(other.info.created_at for other in others))
        if wait is not None:
            yield from pause(wait)
    yield from delete(stored.key)
    raise (
        TooManySessions(limit) if refuse else refused(context, stored.key, "too many later sessions of the user began")
    )


def _began(session: Envelope) -> int:
    """Return when *session* became its user's. An operator's who acts as the user is as old as their own login."""
    return session.issued_at if IMPERSONATOR in session.meta else session.created_at


def _begin_after(context: Context, stored: StoredSession, last: int) -> Flow[None]:
    """Let the login *stored* begin after the *last* one, once, if the clock of that one's host is ahead of this one's.

    If it did so again, two of them could do so in turn, until each has no other look and goes.
    """
    if last > context.clock() >= stored.envelope.created_at:
        later = dataclasses.replace(stored.envelope, created_at=last + 1, issued_at=last + 1)
        data = context.sealer.seal(later, token=stored.token, key=stored.key, owner=stored.owner)
        answer = yield from replace(stored.key, data, stored.version, stored.expires_at, stored.owner)
        if not isinstance(answer, Conflict | Gone):
            stored.version, stored.envelope = answer, later


def _evict(
    context: Context, owner: str, others: list[_Other], room: int, is_earlier: Callable[[str, Record], bool]
) -> Flow[None]:
    """End all but *room* of *others*, those that were not used for longest."""
    others.sort(key=lambda other: (other.info.last_used_at, other.info.handle), reverse=True)
    evicted = {other.info.handle: other.record for other in others[room:]}
    _, changed = yield from discard_all(context, evicted, "evicted")
    for key, record in changed.items():
        # One that has signed in anew since it was listed may be the later one now, and has counted this one.
        yield from end_session(context, key, record.version, owner, "evicted", still=is_earlier)


def _limit(context: Context) -> int | None:
    return context.policy.max_per_user if Indexes in context.capabilities else None


def _others(context: Context, owner: str, key: str) -> Flow[list[_Other]]:
    """Return the owner's live sessions, but for the one under *key*; one that moves while they are listed, too."""
    found: dict[str, _Other] = {}
    for listed, record in (yield from records_of(owner)):
        there = yield from follow(context, listed, record)
        if there is not None and there[0] != key:
            info = info_of(context, *there)
            # An unfinished login counts once its token is presented: nobody may have it.
            if info is not None and info.owner == owner and UNFINISHED not in info.meta:
                found[info.handle] = _Other(info, there[1])
    return list(found.values())
