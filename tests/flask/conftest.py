"""The application that the front end is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.account import Account
from support.web import Web

from holdfast.flask import Session, session
from holdfast.flask.interface import HoldfastInterface
from holdfast.sessions.manager import directory


@pytest.fixture
def web() -> Web:
    """Return an application with the default settings, on a memory store and a clock that stands still."""
    return Web()


@pytest.fixture
def account() -> Account:
    """Return an application with the page of a user's devices."""
    return Account()


@pytest.fixture
def made() -> Iterator[list[Any]]:
    """Return a list of stores, which are closed after the test."""
    stores: list[Any] = []
    yield stores
    for store in stores:
        getattr(store, "close", lambda: None)()


@pytest.fixture
def build(tmp_path: Path, made: list[Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes an application with settings, its instance and static folders in a temporary one."""
    monkeypatch.chdir(tmp_path)

    def build(**config: Any) -> Flask:
        app = Flask("shop", instance_path=str(tmp_path / "instance"), static_folder=str(tmp_path / "static"))
        app.config.update(config)
        Session(app)
        app.add_url_rule("/", "put", lambda: str(session.setdefault("a", [1])))
        app.add_url_rule("/get", "get", lambda: str(session.get("a")))
        if isinstance(app.session_interface, HoldfastInterface):
            made.append(directory(app.session_interface.manager).store)
        return app

    return build
