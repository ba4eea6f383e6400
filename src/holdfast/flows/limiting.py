"""How many sessions a user may have at once, enforced at login.

The new session is stored and indexed first, and the user's sessions are counted after that. So of any logins at once
the last to count sees all that are left, and sees to it that they are not too many.
"""

from __future__ import annotations

from typing import NamedTuple

from holdfast import events
from holdfast.errors import TooManySessions
from holdfast.flows.context import Context
from holdfast.flows.ending import follow, kill
from holdfast.flows.listing import SessionInfo, info_of
from holdfast.operations import Delete, Flow, KeysOf, Load
from holdfast.record import Version
from holdfast.session import Loaded


class _Other(NamedTuple):
    info: SessionInfo
    version: Version


def check_room(context: Context, owner: str, loaded: Loaded | None) -> Flow[None]:
    """Refuse a login before it changes anything, if the policy is to refuse it and *owner* has no session to spare.

    *loaded* is what the login replaces.

    Raises:
        TooManySessions: It is refused.
    """
    limit = _limit(context)
    if limit is not None and context.policy.on_max_per_user == "refuse":
        others = yield from _others(context, owner, loaded.key if loaded else "")
        if len(others) >= limit:
            raise TooManySessions(limit)


def make_room(context: Context, stored: Loaded, owner: str) -> Flow[bool]:
    """Keep *owner* within the limit now that a login's session is *stored*, and return whether that one stays.

    The session that was not used for longest ends first. Of logins at once the latest stays, by the time it began and
    then by its key: all agree about that, so they do not end each other to the last. One that has to go for later ones
    is removed.

    Raises:
        TooManySessions: The policy is to refuse, and another login came first. The session is removed.
    """
    limit = _limit(context)
    if limit is None:
        return True
    others = yield from _others(context, owner, stored.key)
    if len(others) < limit:
        return True
    if context.policy.on_max_per_user == "refuse":
        yield Delete(stored.key)
        raise TooManySessions(limit)
    rank = (stored.envelope.created_at, stored.key)
    earlier = [other for other in others if (other.info.created_at, other.info.handle) < rank]
    room = limit - 1 - (len(others) - len(earlier))
    earlier.sort(key=lambda other: other.info.last_used_at, reverse=True)
    for other in earlier[max(room, 0) :]:
        ended = yield from kill(context, other.info.handle, other.version, owner)
        if ended is not None:
            context.emit(events.ended, handle=ended, owner=owner, reason="evicted")
    if room < 0:
        yield Delete(stored.key)
    return room >= 0


def _limit(context: Context) -> int | None:
    return context.policy.max_per_user if context.indexes else None


def _others(context: Context, owner: str, key: str) -> Flow[list[_Other]]:
    """Return the owner's live sessions, but for the one under *key*; one that moves while they are listed, too."""
    found: dict[str, _Other] = {}
    for listed in (yield KeysOf(owner)):
        there = yield from follow(listed, (yield Load(listed)))
        if there is not None and there[0] != key:
            info = info_of(context, *there)
            if info is not None and info.owner == owner:
                found[info.handle] = _Other(info, there[1].version)
    return list(found.values())
