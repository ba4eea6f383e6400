"""Emit the events that several flows have in common, each from one place."""

from __future__ import annotations

from holdfast.events import EndReason
from holdfast.sessions.flows.context import Context
from holdfast.sessions.state import Changes, CookieAction, Outcome, SessionState, StoredSession


def dropped(context: Context, state: SessionState) -> Outcome:
    """Report that the session was over before its change could be stored, and return that: no cookie goes out."""
    context.emit("gone", handle=state.handle)
    return Outcome("gone", CookieAction.NONE)


def report_created(context: Context, made: StoredSession) -> None:
    """Emit that *made* is a new session, and whose."""
    context.emit("created", handle=made.key, owner=made.owner)
    if made.owner is not None:
        context.emit("bound", handle=made.key, owner=made.owner)


def report_rotated(context: Context, changes: Changes, old: StoredSession, new: StoredSession) -> None:
    """Emit that *new* has taken the place of *old*, and what *changes* made of it: an end, a login."""
    context.emit("rotated", handle=new.key, previous=old.key)
    if changes.wiped:
        report_ended(context, old.key, old.owner, "replaced")
    elif changes.ends_login:
        report_ended(context, old.key, old.owner, "logout")
    if changes.rebind and new.owner is not None:
        context.emit("bound", handle=new.key, owner=new.owner)


def report_ended(context: Context, key: str, owner: str | None, reason: EndReason) -> None:
    """Emit that the session under *key* is over."""
    context.emit("ended", handle=key, owner=owner, reason=reason)
