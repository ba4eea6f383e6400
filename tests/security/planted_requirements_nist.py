"""Bugs that the tests in test_requirements_nist.py catch."""

from __future__ import annotations

import pytest
from flask import request
from support import seams

from holdfast.flask.settings.loading import Settings
from holdfast.records.metadata import ADDRESS
from holdfast.sessions.server_session import ServerSession
from holdfast.sessions.state import SessionState


def any_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request counts as one over HTTPS."""
    seams.ARRIVED_SECURE.plant(monkeypatch, property(lambda self: True))


def never_secure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's headers about the channel are ignored."""
    seams.ARRIVED_SECURE.plant(monkeypatch, property(lambda self: False))


def every_request_is_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Background requests keep a session alive."""
    monkeypatch.setattr(
        ServerSession, "background", property(lambda self: False, lambda self, value: None), raising=False
    )


def every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of each login is stored."""
    metadata = seams.LOGIN_METADATA.sound

    def with_address(settings: Settings, state: SessionState) -> dict[str, str | None]:
        return {**metadata(settings, state), ADDRESS: request.remote_addr}

    seams.LOGIN_METADATA.plant(monkeypatch, with_address)


def whole_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser's User-Agent is stored as it is."""
    seams.DEVICE_METADATA.plant(monkeypatch, lambda header: {"browser": header})
