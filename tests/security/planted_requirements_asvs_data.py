"""Bugs that the tests in test_requirements_asvs_data.py catch."""

from __future__ import annotations

from typing import Any

import pytest
from support import seams

from holdfast.sessions.server_session import ServerSession


def lets_everything_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Responses that used the session may be cached, with any setting."""
    seams.FORBID_STORING.plant(monkeypatch, lambda response: None)


def overrides_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's directives for caches are replaced."""

    def private(response: Any) -> None:
        response.headers["Cache-Control"] = "private"

    seams.FORBID_STORING.plant(monkeypatch, private)
    seams.KEEP_PRIVATE.plant(monkeypatch, private)


def clears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The header to clear data is not sent."""
    seams.CLEAR_SITE_DATA.plant(monkeypatch, lambda *_, **__: None)


def ends_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ended session continues until the end of the request."""

    def end(self: ServerSession) -> None:
        changes = self._change().changes
        changes.wiped = changes.rebind = True

    seams.SESSION_CLEAR.plant(monkeypatch, end)
