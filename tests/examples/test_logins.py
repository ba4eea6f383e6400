"""The example applications of Flask-Login and Flask-Security: one line makes their sessions Holdfast's."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.web import SECRET_KEY

from holdfast.stores.contract import Closes

_EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str, place: Path) -> Flask:
    """Return the application of an example, with its files in the folder *place*."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", _EXAMPLES / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app: Flask = module.create_app(
        SECRET_KEY=SECRET_KEY,
        SESSION_STORE=f"sqlite:///{place}/sessions.db",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{place}/users.db",
    )
    return app


@pytest.fixture(params=["flask_login", "flask_security"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """Return each example's application by turns."""
    pytest.importorskip(request.param, reason="Flask-Security needs Flask 3")
    app = example(request.param, tmp_path)
    yield app
    store = app.session_interface.manager.store  # type: ignore[attr-defined]
    assert isinstance(store, Closes)
    store.close()
    if "sqlalchemy" in app.extensions:
        with app.app_context():
            app.extensions["sqlalchemy"].engine.dispose()


def token(browser: FlaskClient) -> str | None:
    """Return what is in the session cookie."""
    cookie = browser.get_cookie("session")
    return cookie.value if cookie else None


def sign_in(app: Flask, browser: FlaskClient) -> Any:
    """Sign Ada in by the form of the example."""
    if "security" not in app.extensions:
        return browser.post("/sign-in", data={"name": "ada", "password": "correct horse"})
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get("/login").text)
    form = {"email": "ada@example.com", "password": "correct horse battery"}
    return browser.post("/login", data=form | ({"csrf_token": found[1]} if found else {}))


def is_in(browser: FlaskClient) -> bool:
    """Return whether a user is signed in."""
    return browser.get("/").status_code == 200


def test_login_rotates_and_logout_ends(app: Flask) -> None:
    """The old id is invalid after the login, and a copied cookie is after the logout."""
    browser = app.test_client()
    with browser.session_transaction() as session:
        session["cart"] = ["lamp"]
    before = token(browser)
    assert not is_in(browser)
    assert sign_in(app, browser).status_code in {302, 303}
    assert is_in(browser)
    assert before is not None
    assert token(browser) != before
    thief = app.test_client()
    thief.set_cookie("session", before)
    assert not is_in(thief)
    with browser.session_transaction() as session:
        assert session["cart"] == ["lamp"]
    copy = app.test_client()
    copy.set_cookie("session", token(browser) or "")
    assert is_in(copy)
    browser.post("/sign-out" if "security" not in app.extensions else "/logout")
    assert not is_in(browser)
    assert not is_in(copy)


def test_a_user_s_sessions_are_listed_and_ended(app: Flask) -> None:
    """Each login is listed under the user's id, without a call of ours, and one call ends them all."""
    browsers = [app.test_client() for _ in range(3)]
    for browser in browsers:
        sign_in(app, browser)
    sessions = app.extensions["holdfast"]
    with browsers[0]:
        browsers[0].get("/")
        from flask_login import current_user

        user_id = current_user.get_id()
    with app.app_context():
        assert len(sessions.of(user_id)) == 3
        assert sessions.revoke_all(user_id) == 3
    assert not any(map(is_in, browsers))
