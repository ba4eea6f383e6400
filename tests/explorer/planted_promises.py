"""Faults that Holdfast had, planted back: each breaks one promise about ends, lost answers or cut-offs."""

from __future__ import annotations

import dataclasses
from typing import Any

from support import seams

from holdfast.errors import SessionConflict
from holdfast.records.envelope import Tombstone, TombstoneKind
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.end import Ended, dropped
from holdfast.sessions.flows.revoke import Written
from holdfast.sessions.ops import Call, Flow, load
from holdfast.sessions.state import Outcome, SessionState, StoredSession

_plan = seams.ROTATE_PLAN.sound
_reconcile = seams.ROTATE_RECONCILE.sound
_resolve = seams.RECONCILE_RESOLVE.sound
_write_cutoff = seams.WRITE_CUT_OFF.sound


def an_end_needs_room(*arguments: Any) -> Flow[Ended]:
    """End a session by a write, and by nothing else."""
    yield from ()
    raise arguments[-1]


def a_conflict_refuses_an_end(context: Context, *arguments: Any) -> Any:
    """Let the policy for conflicts of data refuse a logout and a rotation."""
    if context.policy.on_conflict == "error":
        raise SessionConflict("another request was first")
    return _reconcile(context, *arguments)


def lost_tries_refuse_an_end(*_: object, ends: bool) -> Flow[Outcome]:
    """Let the bound on the number of tries refuse a logout."""
    yield from ()
    raise SessionConflict("others were first")


def an_error_keeps_the_session(*arguments: Any) -> Flow[Outcome]:
    """Let what cannot be stored keep the session alive that was to end."""
    yield from ()
    raise arguments[-1]


def a_late_logout_ends_nothing(*_: object) -> Flow[bool]:
    """Drop a logout under a token that was replaced."""
    yield from ()
    return False


def what_lost_is_dropped(context: Context, state: SessionState, stored: StoredSession) -> Flow[Outcome]:
    """Drop a logout and a login whose token is replaced meanwhile."""
    yield from ()
    return dropped(context, state)


def an_earlier_cut_off_is_forgotten(*arguments: Any, **options: Any) -> Flow[Written]:
    """Let a request that ends all sessions pass an earlier cut-off that covers it, and keep its session."""
    written: Written = yield from _write_cutoff(*arguments, **{**options, "began": None})
    return written._replace(spares_request=True)


def a_cache_decides(call: Call[Any], store: object) -> Any:
    """Let a cache answer a lookup for a permanent decision."""
    return Call.run(call, store)


def a_login_is_dropped_with_the_rest(_state: SessionState) -> bool:
    """Keep nothing of a login under a token that was replaced."""
    return False


def an_alias_ends_with_the_grace_period(
    context: Context, state: SessionState, stored: StoredSession, **options: Any
) -> tuple[StoredSession, Tombstone]:
    """Count on the delivery of a renewed token: the old one is valid for the grace period only."""
    moved, tombstone = _plan(context, state, stored, **options)
    if tombstone.kind is TombstoneKind.ALIAS:
        tombstone = dataclasses.replace(tombstone, until=context.clock() + context.policy.grace)
    return moved, tombstone


def an_alias_leads_nowhere(_old: str, _new: str) -> None:
    """Leave no way from a token to the one that a renewal put in its place."""


def a_write_does_not_know_itself(_write: object, history: bytes) -> bool:
    """Repeat a save whose answer was lost, whatever was saved."""
    return False


def give_up_after_the_move(*_: object) -> Flow[bool]:
    """Fail a login if the lookup after its move fails once."""
    yield from load("nothing")
    return True


def postpone_nothing(*_: object) -> Flow[None]:
    """Leave a login that could not be finished without a word to its browser."""
    yield from ()


def a_long_request_is_late(*arguments: Any, **options: Any) -> Any:
    """Follow no renewal once the grace period is over, however early the request began."""
    return _resolve(*arguments, **{**options, "late": False})
