"""Bugs that the tests in test_cross_talk.py catch."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from flask import Flask, Request
from support import seams

from holdfast.flask.carrier import Carrier
from holdfast.flask.interface import HoldfastInterface
from holdfast.flask.session import FlaskSession
from holdfast.sessions.state import SessionState


def remembers_the_last_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request without a cookie continues with the session of the previous one."""
    sound = seams.INTERFACE_LOAD.sound
    last = SessionState(0)

    def load(interface: HoldfastInterface, app: Flask, request: Request, carrier: Carrier, state: SessionState) -> None:
        nonlocal last
        if "HTTP_COOKIE" in request.environ:
            sound(interface, app, request, carrier, state)
            last = state
        state.stored, state.data, state.read_only = last.stored, last.data, False

    seams.INTERFACE_LOAD.plant(monkeypatch, load)


def has_one_session_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that begins while another is running gets that one's session."""
    sound_open, sound_save = seams.INTERFACE_OPEN_SESSION.sound, seams.INTERFACE_SAVE_SESSION.sound
    running: list[FlaskSession] = []

    def open_session(interface: HoldfastInterface, app: Flask, request: Request) -> FlaskSession:
        if not running:
            running.append(sound_open(interface, app, request))
        return running[0]

    def save_session(interface: HoldfastInterface, *arguments: Any) -> None:
        sound_save(interface, *arguments)
        running.clear()

    seams.INTERFACE_OPEN_SESSION.plant(monkeypatch, open_session)
    seams.INTERFACE_SAVE_SESSION.plant(monkeypatch, save_session)


def leaves_the_answer_on_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection with an outstanding answer is used again."""
    from redis.connection import AbstractConnection

    sound: Any = AbstractConnection.disconnect

    def disconnect(connection: Any, *arguments: Any, **options: Any) -> None:
        # In the handler of what broke the request off, redis-py closes the connection.
        if isinstance(sys.exc_info()[1], Exception | None):
            sound(connection, *arguments, **options)

    monkeypatch.setattr(AbstractConnection, "disconnect", disconnect)
    seams.REDIS_IS_AN_ANSWER.plant(monkeypatch, lambda _error: True)
