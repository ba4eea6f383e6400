"""The session of a request that presents several cookies: browsers send one for each path and domain that had one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from holdfast.errors import StoreUnavailable
from holdfast.records.metadata import BESIDE
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.open import Found, Rejected
from holdfast.sessions.ops import Flow
from holdfast.sessions.state import SessionState

#: A flow that returns the live session of a cookie's value.
Find: TypeAlias = Callable[[Context, SessionState, str], Flow[Found | Rejected]]


def find_one(context: Context, find: Find, state: SessionState, values: Sequence[str]) -> Flow[Found | Rejected]:
    """Return the session of the one of *values* that is live; of several, of the one that a response to the others set.

    *state* gets its key, and those of the others; those of all if the store fails, for a logout when it is back.
    """
    live: dict[str, Found] = {}
    reasons: list[tuple[Rejected, str | None]] = []
    for value in values:
        try:
            found = yield from find(context, state, value)
        except StoreUnavailable:
            state.beside, state.presented = _keys(context, find, state, values), None
            raise
        if isinstance(found, Rejected):
            reasons.append((found, state.presented))
        else:
            key = found.stored.key
            # Of the values of one session, the new token of a renewal comes first, and a younger cookie.
            live[key] = max(live.get(key, found), found, key=lambda each: (not each.redeliver, each.stored.expires_at))
    if not live:
        rejected, state.presented = next((each for each in reasons if each[0].keep_cookie), reasons[0])
        return rejected
    chosen = next((found for found in live.values() if _precedes(found, live)), None)
    state.presented = chosen.stored.key if chosen is not None else None
    state.beside = tuple(key for key in live if key != state.presented)
    return chosen if chosen is not None else Rejected("ambiguous_cookie")


def _precedes(found: Found, live: dict[str, Found]) -> bool:
    """Return whether *found* is the only live session, or was begun by a response to all others."""
    return live.keys() <= {found.stored.key, *found.stored.envelope.meta.get(BESIDE, "").split()}


def _keys(context: Context, find: Find, state: SessionState, values: Sequence[str]) -> tuple[str, ...]:
    """Return the keys of *values*, which looking them up finds before its first call. No call is made."""
    keys: list[str] = []
    for value in values:
        state.presented = None
        next(find(context, state, value), None)
        if state.presented is not None:
            keys.append(state.presented)
    return tuple(keys)
