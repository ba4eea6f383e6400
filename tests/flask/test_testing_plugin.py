"""`holdfast.testing.plugin`: the fixture for tests of applications."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask, abort
from flask_login import LoginManager, UserMixin, current_user, login_required
from support.web import SECRET_KEY

from holdfast.clock import HOUR, system_clock
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.flask import Session, require_fresh, session
from holdfast.testing import FakeClock
from holdfast.testing.plugin import HoldfastApp, under_test


@pytest.fixture
def app() -> Flask:
    """Return an application whose views need a user, and whose first function for each request refuses all."""
    app = Flask("shop", static_folder=None)
    app.config.update(SECRET_KEY=SECRET_KEY, SESSION_STORE="memory://", SESSION_TRANSPORT="both", TESTING=True)
    Session(app)

    @app.before_request
    def admit() -> None:
        if session.owner is None:
            abort(401)

    app.add_url_rule("/", "home", lambda: {"user": session.get("user"), "cart": session.get("cart")})
    app.add_url_rule("/pay", "pay", require_fresh(300)(lambda: "paid"))
    return app


def test_users_sign_in_without_the_login_view(holdfast_app: HoldfastApp) -> None:
    """Each browser has its own user and cookies; a login stores what the login view would, and rotates."""
    ada = holdfast_app.browser("ada", {"user": "Ada"})
    grace, nobody = holdfast_app.browser("grace", {"user": "Grace"}), holdfast_app.browser()
    assert [browser.get("/").status_code for browser in (ada, grace, nobody)] == [200, 200, 401]
    assert ada.get("/").json == {"user": "Ada", "cart": None}
    before = ada.get_cookie("session")
    holdfast_app.log_in(ada, "ada")
    assert ada.get_cookie("session") != before
    assert holdfast_app.data(ada) == {"user": "Ada"}


def test_a_client_may_have_its_token_in_a_header(holdfast_app: HoldfastApp) -> None:
    """The options of a login are those of its request, and its response has the token."""
    client = holdfast_app.browser()
    response = holdfast_app.log_in(client, "ada", headers={"Session-Transport": "header"})
    headers = {"Authorization": f"Bearer {response.headers['Session-Token']}"}
    assert client.get("/", headers=headers).status_code == 200
    assert client.get("/").status_code == 401
    holdfast_app.do(client, lambda: session.update(cart=[1]), headers=headers)
    assert holdfast_app.data(client, headers=headers) == {"cart": [1]}


def test_the_data_of_a_browser_is_read_and_changed(holdfast_app: HoldfastApp) -> None:
    """Reading returns a copy and is no use of the session; a change is stored, and that of a failed action is not."""
    ada = holdfast_app.browser("ada", {"cart": [1]})
    holdfast_app.data(ada)["cart"].append(2)
    assert holdfast_app.data(ada) == {"cart": [1]}
    assert holdfast_app.do(ada, lambda: session["cart"].append(2)) is None
    assert ada.get("/").json["cart"] == [1, 2]  # type: ignore[index]

    def fail() -> None:
        session["cart"].append(3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        holdfast_app.do(ada, fail)
    assert holdfast_app.data(ada) == {"cart": [1, 2]}
    for _ in range(3):
        holdfast_app.clock.advance(timedelta(days=20))
        if holdfast_app.data(ada) == {}:
            return
    pytest.fail("reading kept the session alive")


def test_time_moves_on(holdfast_app: HoldfastApp) -> None:
    """A login gets old and a session expires, without waiting; a clock does not go back."""
    ada = holdfast_app.browser("ada")
    assert ada.get("/pay").text == "paid"
    holdfast_app.clock.advance(301)
    assert ada.get("/pay").status_code == 401
    assert ada.get("/").status_code == 200
    holdfast_app.clock.advance(timedelta(days=32))
    assert ada.get("/").status_code == 401
    with pytest.raises(ValueError, match="not back"):
        holdfast_app.clock.advance(-1)


def test_sessions_are_revoked_and_the_store_fails(holdfast_app: HoldfastApp) -> None:
    """After `revoke` every browser of the user is out; during an outage requests are answered 503, and work again."""
    ada, phone, grace = (holdfast_app.browser(name) for name in ("ada", "ada", "grace"))
    assert holdfast_app.revoke("ada") == 2
    assert [browser.get("/").status_code for browser in (ada, phone, grace)] == [401, 401, 200]
    with holdfast_app.outage():
        assert grace.get("/").status_code == 503
        with pytest.raises(StoreUnavailable):
            holdfast_app.data(grace)
        with pytest.raises(AssertionError, match="nothing was stored: the response is 503"):
            holdfast_app.browser("ada")
    assert grace.get("/").status_code == 200


def test_the_application_is_as_before_at_the_end(app: Flask) -> None:
    """Time, store and functions of the application are its own again."""
    with under_test(app) as tested:
        tested.clock.advance(HOUR)
    assert abs(system_clock() - time.time_ns() // 1_000_000) < HOUR
    assert len(app.before_request_funcs[None]) == 1
    with pytest.raises(ConfigurationError, match="has no sessions of Holdfast"), under_test(Flask("bare")):
        pass
    Session(app, clock=FakeClock())
    with pytest.raises(ConfigurationError, match="a clock of its own"), under_test(app):
        pass


def test_sessions_in_the_cookie_are_tested_too() -> None:
    """Logins, data and time work without a store; an outage is an error that says why."""
    app = Flask("shop", static_folder=None)
    app.config.update(SECRET_KEY=SECRET_KEY, SESSION_STORE="cookie://")
    Session(app)
    with under_test(app) as tested:
        ada = tested.browser("ada", {"cart": [1]})
        assert tested.data(ada) == {"cart": [1]}
        tested.clock.advance(timedelta(days=32))
        assert tested.data(ada) == {}
        with pytest.raises(ConfigurationError, match="no store can fail"):
            tested.outage()


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user by a name."""

    is_active = True

    def __init__(self, name: str) -> None:
        self.id = name


def test_where_sessions_need_https_a_login_over_http_fails() -> None:
    """It signs nobody in, so the test is not to go on as if it had; over https all is well."""
    app = Flask("shop", static_folder=None)
    app.config.update(SECRET_KEY=SECRET_KEY, SESSION_STORE="memory://", SESSION_PROFILE="asvs-l1")
    Session(app)
    with under_test(app) as tested:
        with pytest.raises(AssertionError, match="SESSION_REQUIRE_HTTPS"):
            tested.browser("ada")
        ada = tested.browser("ada", {"cart": [1]}, base_url="https://localhost")
        assert tested.data(ada, base_url="https://localhost") == {"cart": [1]}
        with pytest.raises(AssertionError, match="SESSION_REQUIRE_HTTPS"):
            tested.data(ada)


def test_with_flask_login_its_user_signs_in() -> None:
    """An id or a user will do, and Flask-Login has the user, freshly signed in; it must know the id."""
    app = Flask("club", static_folder=None)
    app.config.update(SECRET_KEY=SECRET_KEY, SESSION_STORE="memory://")
    Session(app)
    users = {"ada": User("ada")}
    LoginManager(app).user_loader(users.get)
    app.add_url_rule("/", "home", login_required(lambda: f"{current_user.id}, {session['_fresh']}"))
    with under_test(app) as tested:
        for user in ("ada", users["ada"]):
            assert tested.browser(user).get("/").text == "ada, True"
        assert tested.revoke(users["ada"]) == 2
        with pytest.raises(LookupError, match="no user for 'eve'"):
            tested.browser("eve")
        users["ada"].is_active = False
        with pytest.raises(AssertionError, match="the user is not active"):
            tested.browser("ada")


def test_projects_without_the_plug_in_load_nothing(tmp_path: Path) -> None:
    """Where nothing names it, a run of pytest does not import Holdfast."""
    (tmp_path / "test_bare.py").write_text("import sys\n\ndef test():\n    assert 'holdfast' not in sys.modules\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
