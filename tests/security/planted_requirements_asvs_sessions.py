"""Bugs that the tests in test_requirements_asvs_sessions.py catch."""

from __future__ import annotations

import random
import secrets
from typing import Any

import pytest
from support import seams

from holdfast.records.tokens import new_token
from holdfast.sessions import manager as managing
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.listing import list_of
from holdfast.sessions.flows.revoke import revoke_all
from holdfast.sessions.ops import Flow, load


def the_beginning_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first 40 characters of a token open its session."""
    key_of = seams.KEY_OF_TOKEN.sound
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: key_of(self, token[:40]))
    seams.IS_TOKEN.plant(monkeypatch, lambda text: len(text) >= 40)


def tokens_from_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens come from a generator with the same seed in each process."""
    drawn = random.Random()
    start = seams.MANAGER_INIT.sound

    def restart(self: managing.Manager, *args: Any, **options: Any) -> None:
        drawn.seed(7)
        start(self, *args, **options)

    def draw() -> str:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(secrets, "token_bytes", drawn.randbytes)
            return new_token()

    seams.MANAGER_INIT.plant(monkeypatch, restart)
    seams.NEW_TOKEN.plant(monkeypatch, draw)


def a_login_resets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A re-authenticated session keeps its old absolute timeout."""
    plan = seams.ROTATE_PLAN.sound

    def keep(context: Context, session: Any, loaded: Any, *, renewal: bool) -> Any:
        moved, tombstone = plan(context, session, loaded, renewal=renewal)
        moved.envelope.created_at = loaded.envelope.created_at
        return moved, tombstone

    seams.ROTATE_PLAN.plant(monkeypatch, keep)


def purges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expired records are never removed."""
    seams.MANAGER_PURGE.plant(monkeypatch, lambda self, **_: 0)


def ends_only_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first of a user's sessions is ended."""
    kill = seams.END_SESSION.sound
    ended: list[str] = []

    def once(context: Context, key: str, *args: Any) -> Any:
        if ended:
            yield from load(key)
            return None
        ended.append(key)
        return (yield from kill(context, key, *args))

    def none_at_once(_context: Context, found: dict[str, Any], _reason: str) -> Any:
        yield from ()
        return [], found

    seams.DISCARD_ALL.plant(monkeypatch, none_at_once)
    seams.END_SESSION.plant(monkeypatch, once)


def no_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that began before all of a user's sessions were ended succeeds after it."""

    def never(context: Context, *args: Any) -> Flow[bool]:
        yield from ()
        return False

    seams.CUT_OFF_AFTER_LOGIN.plant(monkeypatch, never)


def keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session to keep is ended with the others."""

    def end_all(context: Context, owner: str, **_: Any) -> Flow[int]:
        return (yield from revoke_all(context, owner))

    seams.REVOKE_ALL.plant(monkeypatch, end_all)


def keeps_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one session is to be kept, none is ended."""

    def none(context: Context, owner: str, **_: Any) -> Flow[int]:
        yield from ()
        return 0

    seams.REVOKE_ALL.plant(monkeypatch, none)


def lists_everybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user sees the sessions of all users as their own."""

    def everybodys(context: Context, owner: str, **options: Any) -> Flow[Any]:
        mine = yield from list_of(context, owner, **options)
        other = yield from list_of(context, context.keys.owner_of("bob"), **options)
        return [*mine, *other]

    seams.LIST_SESSIONS.plant(monkeypatch, everybodys)


def revokes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending a session by its handle reports success without ending it."""
    seams.MANAGER_REVOKE.plant(monkeypatch, lambda self, handle, **_: "confirmed")
