"""The example applications of Flask-Login and Flask-Security: one line makes their sessions Holdfast's."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from support.web import SECRET_KEY
from werkzeug.test import TestResponse

from holdfast.stores.contract import Closes
from holdfast.testing.plugin import HoldfastApp

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


def sign_in(app: Flask, browser: FlaskClient) -> TestResponse:
    """Sign Ada in by the form of the example."""
    if "security" not in app.extensions:
        return browser.post("/sign-in", data={"name": "ada", "password": "correct horse"})
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get("/login").text)
    form = {"email": "ada@example.com", "password": "correct horse battery"}
    return browser.post("/login", data=form | ({"csrf_token": found[1]} if found else {}))


def ada(app: Flask) -> Any:
    """Return the user of the example."""
    if "security" not in app.extensions:
        return "ada"
    with app.app_context():
        return app.extensions["security"].datastore.find_user(email="ada@example.com")


def is_in(browser: FlaskClient) -> bool:
    """Return whether a user is signed in."""
    return browser.get("/").status_code == 200


def copy_of(browser: FlaskClient, tested: HoldfastApp) -> FlaskClient:
    """Return another browser with the same session cookie."""
    cookie, copy = browser.get_cookie("session"), tested.browser()
    assert cookie is not None
    copy.set_cookie("session", cookie.value)
    return copy


def test_login_rotates_and_logout_ends(app: Flask, holdfast_app: HoldfastApp) -> None:
    """The old id is invalid after the login, and a copied cookie is after the logout."""
    browser = holdfast_app.browser()
    holdfast_app.do(browser, lambda: session.update(cart=["lamp"]))
    thief = copy_of(browser, holdfast_app)
    assert not is_in(browser)
    assert sign_in(app, browser).status_code in {302, 303}
    assert is_in(browser)
    assert not is_in(thief)
    assert holdfast_app.data(browser)["cart"] == ["lamp"]
    copy = copy_of(browser, holdfast_app)
    assert is_in(copy)
    browser.post("/sign-out" if "security" not in app.extensions else "/logout")
    assert not is_in(browser)
    assert not is_in(copy)


def test_a_user_s_sessions_are_listed_and_ended(app: Flask, holdfast_app: HoldfastApp) -> None:
    """Each login is listed under the user's id, without a call of ours, and one call ends them all."""
    user = ada(app)
    browsers = [holdfast_app.browser(user) for _ in range(3)]
    assert all(map(is_in, browsers))
    assert holdfast_app.revoke(user) == 3
    assert not any(map(is_in, browsers))


def test_an_outage_signs_nobody_out(app: Flask, holdfast_app: HoldfastApp) -> None:
    """While the store is down the page is answered 503; afterwards the user is signed in, until the session is old."""
    browser = holdfast_app.browser(ada(app))
    with holdfast_app.outage():
        assert browser.get("/").status_code == 503
    assert is_in(browser)
    holdfast_app.clock.advance(timedelta(days=32))
    assert not is_in(browser)
