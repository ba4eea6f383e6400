"""Bugs that the tests in test_value.py, test_moment.py and test_http.py catch."""

from __future__ import annotations

from typing import Any

import pytest
from support import seams

from holdfast.errors import EncodeError
from holdfast.flask.interface import HoldfastInterface
from holdfast.flask.session import FlaskSession
from holdfast.records.codec.encoder import Encoder
from holdfast.sessions.policy import Policy
from holdfast.sessions.server_session import state_of


def values_become_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of an unknown type is stored as its str."""
    session_of = seams.PAYLOAD_ENCODER.sound

    def lenient(self: Encoder, data: Any) -> Any:
        try:
            return session_of(self, data)
        except EncodeError:
            return session_of(self, {key: str(value)[:100].encode("ascii", "replace") for key, value in data.items()})

    seams.PAYLOAD_ENCODER.plant(monkeypatch, lenient)


def bad_values_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unsupported value is omitted, and the rest is stored."""
    session_of = seams.PAYLOAD_ENCODER.sound

    def lenient(self: Encoder, data: Any) -> Any:
        kept = {}
        for key, value in data.items():
            try:
                kept.update(session_of(self, {key: value}))
            except EncodeError:
                continue
        return kept

    seams.PAYLOAD_ENCODER.plant(monkeypatch, lenient)


def any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values may be nested as deep as the stack allows."""
    lower = seams.VALUE_ENCODER.sound
    seams.VALUE_ENCODER.plant(monkeypatch, lambda self, value, room=900: lower(self, value, room))


def no_size_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of the data is not checked."""
    check = seams.POLICY_CHECKS.sound

    def generous(self: Policy) -> None:
        check(self)
        object.__setattr__(self, "max_bytes", 1 << 40)

    seams.POLICY_CHECKS.plant(monkeypatch, generous)


def tuples_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tuple is returned as a list, as from JSON."""
    loads = seams.PAYLOAD_DECODER.sound

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        return [plain(each) for each in value] if isinstance(value, list | tuple) else value

    seams.PAYLOAD_DECODER.plant(monkeypatch, lambda self, payload: plain(loads(self, payload)))


def names_are_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that begin with a dollar sign or an underscore are reserved, and omitted."""
    session_of = seams.PAYLOAD_ENCODER.sound

    def without(self: Encoder, data: Any) -> Any:
        return session_of(self, {key: value for key, value in data.items() if str(key)[:1] not in ("$", "_")})

    seams.PAYLOAD_ENCODER.plant(monkeypatch, without)


def keys_are_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dot in a key addresses a nested value."""
    session_of = seams.PAYLOAD_ENCODER.sound

    def nested(self: Encoder, data: Any) -> Any:
        return session_of(self, {str(key).partition(".")[0]: value for key, value in data.items()})

    seams.PAYLOAD_ENCODER.plant(monkeypatch, nested)


def late_changes_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late change is not logged."""
    seams.WARNING_OF_LATE_CHANGE.plant(monkeypatch, lambda: None)


def failures_are_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The changes of a failed view are saved like any other."""
    seams.KEEPS_LOGOUT.plant(monkeypatch, lambda self: True)


def contexts_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that begins while another runs gets the other's session."""
    open_session, opened = seams.INTERFACE_OPEN_SESSION.sound, list[FlaskSession]()

    def share(self: HoldfastInterface, app: Any, request: Any) -> FlaskSession:
        if not opened or state_of(opened[-1]).closed:
            opened.append(open_session(self, app, request))
        return opened[-1]

    seams.INTERFACE_OPEN_SESSION.plant(monkeypatch, share)


def saves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change is saved when it is made, and not at the end of the view."""
    update = seams.SESSION_SET_ITEM.sound

    def store(self: Any, key: Any, value: Any) -> None:
        update(self, key, value)
        self._manager.commit(self._state)

    seams.SESSION_SET_ITEM.plant(monkeypatch, store)
