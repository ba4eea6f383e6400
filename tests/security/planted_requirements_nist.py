"""Bugs that the tests in test_requirements_nist.py catch."""

from __future__ import annotations

import pytest
from support import seams

from holdfast.flask.session import FlaskSession
from holdfast.records.metadata import ADDRESS
from holdfast.sessions.mapping import ServerSession


def any_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request counts as one over HTTPS."""
    seams.FLASK_SESSION_ARRIVED_SECURE.plant(monkeypatch, property(lambda self: True))


def ignored_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token sent over plain http is ignored there, and its session continues."""
    seams.FLASK_SESSION_BINDING_REFUSED.plant(monkeypatch, lambda self, opened: None)


def never_secure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's headers about the channel are ignored."""
    seams.FLASK_SESSION_ARRIVED_SECURE.plant(monkeypatch, property(lambda self: False))


def every_request_is_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Background requests keep a session alive."""
    monkeypatch.setattr(
        ServerSession, "background", property(lambda self: False, lambda self, value: None), raising=False
    )


def every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of each login is stored."""
    describe = seams.FLASK_SESSION_DEVICE.sound

    def tell(self: FlaskSession) -> dict[str, str | None]:
        return {**describe(self), ADDRESS: self._request.remote_addr}

    seams.FLASK_SESSION_DEVICE.plant(monkeypatch, tell)


def whole_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser's User-Agent is stored as it is."""
    seams.FLASK_SESSION_DEVICE.plant(monkeypatch, lambda self: {"browser": self._request.headers.get("User-Agent", "")})
