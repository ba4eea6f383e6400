"""Applications that are set up with settings alone."""

from __future__ import annotations

from typing import Any

from flask import Flask

from holdfast.flask.interface import HoldfastInterface
from holdfast.sessions.manager import directory


def store_of(app: Flask) -> Any:
    """Return the store of an application."""
    assert isinstance(app.session_interface, HoldfastInterface)
    return directory(app.session_interface.manager).store


def assert_works(app: Flask) -> None:
    """Assert that a session is kept from one request to the next."""
    browser = app.test_client()
    assert browser.get("/").text == "[1]"
    assert browser.get("/get").text == "[1]"
