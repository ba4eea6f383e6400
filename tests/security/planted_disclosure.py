"""Bugs that the tests in test_disclosure.py catch."""

from __future__ import annotations

import base64
import dataclasses
import logging
from typing import Any

import pytest
from support import seams

from holdfast import events
from holdfast.errors import StoreUnavailable
from holdfast.flask.carrier import Presented
from holdfast.flask.cookies import Cookies
from holdfast.flask.interface import HoldfastInterface
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.listing import SessionInfo
from holdfast.sessions.manager import Manager
from holdfast.sessions.server_session import state_of
from holdfast.sessions.state import SessionState, StoredSession


def keys_begin_with_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is the token with a suffix, instead of a hash."""
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: f"{self.namespace}{token}")


def an_alias_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tombstone of a renewal holds the new token in clear."""
    seams.SEALED_SUCCESSOR.plant(monkeypatch, lambda old, new: base64.urlsafe_b64decode(new + "="))


def a_token_beside_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record holds its own token."""
    seal = seams.SEALED_SESSION.sound

    def careless(context: Context, stored: StoredSession, write: Any) -> Any:
        envelope = dataclasses.replace(stored.envelope, meta={"token": stored.token})
        return seal(context, dataclasses.replace(stored, envelope=envelope), write)

    seams.SEALED_SESSION.plant(monkeypatch, careless)


def logs_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each lookup is logged with the token."""
    look_up = seams.MANAGER_OPEN.sound

    def talkative(self: Manager, state: SessionState, token: str | None) -> Any:
        logging.getLogger("holdfast").debug("looking up %s", token)
        return look_up(self, state, token)

    seams.MANAGER_OPEN.plant(monkeypatch, talkative)


def prints_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A debugging line prints each token to the console."""
    look_up = seams.MANAGER_OPEN.sound

    def talkative(self: Manager, state: SessionState, token: str | None) -> Any:
        print("opening", token)  # noqa: T201
        return look_up(self, state, token)

    seams.MANAGER_OPEN.plant(monkeypatch, talkative)


def an_outage_names_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of an outage contains the token."""
    look_up = seams.MANAGER_OPEN.sound

    def talkative(self: Manager, state: SessionState, token: str | None) -> Any:
        try:
            return look_up(self, state, token)
        except StoreUnavailable as error:
            raise StoreUnavailable(f"the session {token} could not be loaded") from error

    seams.MANAGER_OPEN.plant(monkeypatch, talkative)


def signals_carry_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal of a rotation contains the new token instead of the handle."""
    moved = seams.ROTATE_MOVED.sound

    def telling(context: Context, session: Any, loaded: Any, to: Any) -> Any:
        context.events.emit("rotated", handle=to.token, previous=loaded.key)
        return moved(context, session, loaded, to)

    seams.ROTATE_MOVED.plant(monkeypatch, telling)


def a_header_with_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Responses carry the token in a header of its own, for scripts."""
    save = seams.INTERFACE_SAVE_SESSION.sound

    def talkative(self: HoldfastInterface, app: Any, session: Any, response: Any) -> None:
        save(self, app, session, response)
        stored = state_of(session).stored
        if stored is not None:
            response.headers["X-Session"] = stored.token

    seams.INTERFACE_SAVE_SESSION.plant(monkeypatch, talkative)


def tokens_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is accepted from the URL, a form or a header if the cookie is missing."""
    read = seams.COOKIE_READ.sound

    def lenient(self: Cookies, app: Any, request: Any) -> Presented:
        sent = request.values.get("session") or request.headers.get("X-Session") or (request.view_args or {}).get("id")
        return Presented(sent) if sent else read(self, app, request)

    seams.COOKIE_READ.plant(monkeypatch, lenient)


def lists_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of sessions shows the stored data of each."""
    of = seams.MANAGER_OF.sound

    def talkative(self: Manager, user_id: object, **named: Any) -> list[SessionInfo]:
        listed = of(self, user_id, **named)
        return [dataclasses.replace(info, meta={"data": repr(self.store.load(info.handle))}) for info in listed]

    seams.MANAGER_OF.plant(monkeypatch, talkative)


def guesses_pass_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown ids are not reported."""
    emit = seams.EVENTS_EMIT.sound

    def quiet(self: events.Events, event: events.EventName, **details: Any) -> None:
        if details.get("reason") != "unknown_id":
            emit(self, event, **details)

    seams.EVENTS_EMIT.plant(monkeypatch, quiet)
