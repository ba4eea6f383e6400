"""One session for all requests that a browser sends at once with one remember-me cookie.

The first of them to store its login leaves an alias that leads from what identifies the browser to the new session's
token, for the grace period. The others join that session.
"""

from __future__ import annotations

from holdfast.errors import StoreUnavailable
from holdfast.records.envelope import Tombstone, TombstoneKind
from holdfast.records.tokens import new_token, seal_successor
from holdfast.sessions.flows.commit import create_once, revised, save
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import dropped
from holdfast.sessions.flows.finish import withdraw
from holdfast.sessions.flows.open import Rejected, resolve
from holdfast.sessions.merge import Encodings, merge
from holdfast.sessions.ops import Flow, load, pause
from holdfast.sessions.state import Changes, CookieAction, Outcome, SessionState

#: How long to wait before each other look for the session, in milliseconds: in all, what calls of a slow store take.
_WAITS = (1.0, 5.0, 25.0, 100.0, 400.0, 1500.0, None)


def join(context: Context, state: SessionState, browser: str) -> Flow[Outcome | None]:
    """Let a remembered login join the session that another request of the same *browser* has begun.

    Returns None if it is the first: *state* then has the token for the session to begin. If the other session is over,
    or does not begin, nothing is stored.
    """
    key, token = context.keys.browser_key(browser), new_token()
    until = context.clock() + context.policy.grace
    alias = Tombstone(TombstoneKind.ALIAS, until, context.keys.key_of(token), seal_successor(browser, token))
    state.new_token = token
    try:
        if (yield from create_once(key, context.sealer.seal_control(alias, key), until)) is not None:
            return None
    except StoreUnavailable:  # the alias may be there
        yield from withdraw(context, state, revised(context, state, None, token=token))
        raise
    for wait in _WAITS:
        outcome = yield from _try_to_join(context, state, browser, key)
        if outcome is not None:
            return outcome
        if wait is not None:
            yield from pause(wait)
    return dropped(context, state)


def _try_to_join(context: Context, state: SessionState, browser: str, key: str) -> Flow[Outcome | None]:
    found = yield from resolve(context, browser, key, (yield from load(key, fresh=True)), now=context.clock())
    if isinstance(found, Rejected) or found.stored.owner != state.owner:
        return None
    state.data = merge({}, state.data, found.data, same=Encodings(context.codec.dumps))
    asked, state.changes = state.changes, Changes()
    state.changes.assigned, state.changes.applied = asked.assigned, asked.applied
    state.stored, state.redeliver = found.stored, True
    outcome = yield from save(context, state, found.stored)
    joined = outcome.cookie is CookieAction.NONE and outcome.result != "gone"
    return Outcome("merged", CookieAction.SEND) if joined else outcome
