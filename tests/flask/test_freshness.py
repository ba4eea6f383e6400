"""Views that ask for a user who has just signed in: `require_fresh`, and what it is made of."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask, redirect, url_for
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, confirm_login, current_user, login_user, logout_user
from support.requests import set_metadata
from support.web import Web, rotate

from holdfast import ConfigurationError, NotFresh
from holdfast.flask import Session, require_fresh, session

MINUTE = 60_000


class Bank(Web):
    """An application with a view that asks for a fresh login, and one that asks for a login of its own."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.app.add_url_rule("/limit", "limit", require_fresh(300)(lambda: "limit"), methods=["GET", "POST"])
        self.app.add_url_rule("/transfer", "transfer", require_fresh(0)(lambda: "sent"), methods=["GET", "POST"])

    def sign_in(self, name: str = "ada", browser: FlaskClient | None = None) -> None:
        """Sign *name* in."""
        self.do(lambda: session.bind(name), browser)

    def status(self, path: str, browser: FlaskClient | None = None) -> int:
        """Return the status of *path*."""
        return (browser or self.browser).get(path).status_code


@pytest.fixture
def bank() -> Bank:
    """Return an application with such views."""
    return Bank()


def test_a_login_is_fresh_for_as_long_as_the_view_says(bank: Bank) -> None:
    """A visitor is not fresh; a user who has just signed in is, exactly for the seconds of the view."""
    assert bank.status("/limit") == 401
    bank.sign_in()
    assert bank.status("/limit") == 200
    bank.clock.advance(300)
    assert bank.status("/limit") == 200
    bank.clock.advance_ms(1)
    assert bank.status("/limit") == 401


def test_use_and_new_ids_do_not_make_a_login_fresh(bank: Bank) -> None:
    """Reading, writing, rotating and a periodic renewal leave the time of the login as it is."""
    bank.app.config["SESSION_RENEWAL_INTERVAL"] = 100
    bank.sign_in()
    tokens = {bank.token()}
    for step in (lambda: session.get("a"), lambda: session.update(a=1), rotate):
        bank.clock.advance(99)
        bank.do(step)
        tokens.add(bank.token())
    assert len(tokens) > 2
    bank.clock.advance(4)
    assert bank.status("/limit") == 401


def test_signing_in_again_makes_a_login_fresh_under_a_new_id(bank: Bank) -> None:
    """Binding the same user again restarts the login's time, keeps the data and rotates; the old id is invalid."""
    bank.sign_in()
    bank.put(cart=[1])
    bank.clock.advance(301)
    before, old = bank.twin(), bank.token()
    bank.sign_in()
    assert bank.token() != old
    assert bank.data() == {"cart": [1]}
    assert bank.status("/limit") == 200
    assert bank.status("/limit", before) == 401


def test_signing_in_again_starts_both_timeouts_anew() -> None:
    """Activity restarts the idle timeout alone; a new proof restarts the absolute one too."""
    for again, alive in ((True, True), (False, False)):
        bank = Bank(PERMANENT_SESSION_LIFETIME=60, SESSION_ABSOLUTE_LIFETIME=600)
        bank.sign_in()
        for second in range(0, 1180, 10):
            if again and second == 590:
                bank.sign_in()
            assert (bank.see(lambda: session.owner) is not None) == (again or second < 600)
            bank.clock.advance(10)
        assert (bank.see(lambda: session.owner) is not None) == alive


def test_a_logout_ends_freshness(bank: Bank) -> None:
    """A user who signs out but keeps the session is a visitor, and the next user gets the time of their own login."""
    login = LoginManager(bank.app)
    login.user_loader(User)
    bank.put(cart=[1])
    bank.do(lambda: str(login_user(User("ada"))))
    assert bank.see(lambda: session.authenticated_at) == bank.clock()
    bank.do(logout_user)
    assert bank.data() == {"cart": [1]}
    assert bank.see(lambda: session.authenticated_at) is None
    assert bank.status("/limit") == 401


def test_a_login_is_fresh_in_its_own_request(bank: Bank) -> None:
    """The request that signs somebody in may go on to what asks for it."""

    def view() -> list[bool]:
        session.bind("ada")
        return [session.fresh_for(1), session.fresh_once(1), session.fresh_once(1)]

    assert bank.see(view) == [True, True, False]
    assert bank.status("/limit") == 200
    assert bank.status("/transfer") == 401


def _write_time(text: str) -> None:
    set_metadata(session, "authenticated_at", text)


def test_a_time_that_cannot_be_is_not_fresh(bank: Bank) -> None:
    """A login that lies in the future by more than clocks differ, or that is not a time, is not fresh."""
    for written in ("9" * 19, "9" * 400, "", "-1", "soon", "१२"):
        bank.sign_in()
        bank.do(partial(_write_time, written))
        assert bank.status("/limit") == 401
    bank.sign_in()
    bank.clock.advance(-61)
    assert bank.status("/limit") == 401


# --- once ------------------------------------------------------------------------------------------------------------


def test_a_login_is_good_for_one_request(bank: Bank) -> None:
    """``require_fresh(0)`` lets one request through after each login, and the time of the login still counts."""
    bank.sign_in()
    assert [bank.status("/transfer") for _ in range(3)] == [200, 401, 401]
    assert bank.status("/limit") == 200
    bank.do(rotate)
    assert bank.status("/transfer") == 401
    bank.sign_in()
    assert [bank.status("/transfer") for _ in range(2)] == [200, 401]


def test_a_login_does_not_wait_for_ever_for_its_request(bank: Bank) -> None:
    """After five minutes the one request is not let through either; ``once`` names another time."""
    bank.app.add_url_rule("/soon", "soon", require_fresh(10, once=True)(lambda: "soon"))
    bank.sign_in()
    bank.clock.advance(11)
    assert bank.status("/soon") == 401
    bank.clock.advance(290)
    assert bank.status("/transfer") == 401
    bank.sign_in()
    assert [bank.status(path) for path in ("/soon", "/soon", "/transfer")] == [200, 401, 401]


def test_of_many_requests_at_once_one_is_let_through(bank: Bank) -> None:
    """Of twenty requests at the same moment exactly one runs the view, and what others save meanwhile is kept."""
    bank.sign_in()
    browsers = [bank.twin() for _ in range(20)]
    answers: list[int] = []
    barrier = threading.Barrier(len(browsers) + 1)

    def send(browser: FlaskClient) -> None:
        barrier.wait()
        answers.append(bank.status("/transfer", browser))

    def save(browser: FlaskClient) -> None:
        barrier.wait()
        bank.put(browser, cart=[1])

    threads = [threading.Thread(target=send, args=[browser]) for browser in browsers]
    threads.append(threading.Thread(target=save, args=[bank.twin()]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [401] * 19
    assert bank.data() == {"cart": [1]}


def test_a_login_that_was_used_is_used_whatever_becomes_of_the_request(bank: Bank) -> None:
    """A view that fails afterwards has used the login all the same."""
    bank.app.config["PROPAGATE_EXCEPTIONS"] = False
    bank.app.add_url_rule("/fails", "fails", require_fresh(0)(lambda: str(1 / 0)))
    bank.sign_in()
    assert [bank.status("/fails") for _ in range(2)] == [500, 401]


def test_a_session_that_ended_meanwhile_is_not_fresh(bank: Bank) -> None:
    """When the session is over by the time the login is to be used, it is not."""
    bank.sign_in()

    def view() -> str:
        assert session.fresh_for(1)
        bank.sessions.revoke_all("ada")
        return str(session.fresh_once(1))

    assert bank.do(view).text == "False"


# --- Flask-Login -----------------------------------------------------------------------------------------------------


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user whose id is their name."""

    def __init__(self, name: str) -> None:
        self.id = name


@pytest.fixture
def shop(bank: Bank) -> Bank:
    """Return the application with Flask-Login, where somebody has signed in to be remembered."""
    login = LoginManager(bank.app)
    login.user_loader(User)
    bank.do(lambda: str(login_user(User("ada"), remember=True)))
    return bank


def test_login_user_is_fresh(shop: Bank) -> None:
    """Flask-Login's ``login_user`` is a proof of who the user is."""
    assert shop.status("/limit") == 200
    shop.clock.advance(301)
    assert shop.status("/limit") == 401


def test_being_remembered_is_not_a_proof(shop: Bank) -> None:
    """A browser that was remembered is signed in, and not fresh until the user confirms who they are."""
    shop.browser.delete_cookie("session")
    assert shop.see(lambda: (current_user.get_id(), session.authenticated_at)) == ("ada", None)
    assert [shop.status(path) for path in ("/limit", "/transfer")] == [401, 401]
    old = shop.token()
    shop.do(confirm_login)
    assert shop.token() != old
    assert [shop.status(path) for path in ("/limit", "/transfer", "/transfer")] == [200, 200, 401]


def test_a_login_that_flask_login_distrusts_is_not_fresh(shop: Bank) -> None:
    """When Flask-Login's session protection makes a login stale, it is stale here."""
    other = {"User-Agent": "somebody else"}
    assert shop.do(lambda: str(current_user.get_id()), headers=other).text == "ada"
    assert shop.status("/limit") == 401


# --- the answer ------------------------------------------------------------------------------------------------------


def test_the_default_answer(bank: Bank) -> None:
    """It is 401, not to be cached, and the view has not run."""
    response = bank.browser.get("/limit")
    assert (response.status_code, response.headers["Cache-Control"]) == (401, "no-store")
    assert "sign in" in response.text


def test_an_application_answers_in_its_own_way(bank: Bank) -> None:
    """An error handler may send the user to sign in, and gets the maximum age of the login."""
    bank.app.add_url_rule("/sign-in", "sign_in", lambda: "form")

    @bank.app.errorhandler(NotFresh)
    def again(error: NotFresh) -> Any:
        return redirect(url_for("sign_in", within=error.seconds))

    response = bank.browser.get("/limit")
    assert response.status_code in {302, 303}
    assert response.location == "/sign-in?within=300"


def test_a_view_may_be_a_coroutine(bank: Bank) -> None:
    """An ``async`` view is run like any other."""

    @require_fresh(300)
    async def view() -> str:
        await asyncio.sleep(0)
        return "done"

    assert not inspect.iscoroutinefunction(view)
    bank.app.add_url_rule("/async", "async", view)
    assert bank.status("/async") == 401
    bank.sign_in()
    assert bank.browser.get("/async").text == "done"


def test_what_cannot_be_meant() -> None:
    """A negative time, or what is no time, is refused where it is written."""
    for seconds in (-1, float("nan")):
        with pytest.raises(ValueError, match=rf"require_fresh\({seconds}\): the seconds must be 0 or more"):
            require_fresh(seconds)


def test_a_session_in_a_cookie_cannot_be_asked() -> None:
    """Without sessions on the server the error says what is missing."""
    app = Flask("shop")
    app.config.update(SESSION_TYPE="null", SECRET_KEY="x", TESTING=True)
    Session(app)
    app.add_url_rule("/", view_func=require_fresh(1)(lambda: "x"))
    with pytest.raises(ConfigurationError, match="require_fresh needs sessions that are kept on the server"):
        app.test_client().get("/")


def test_it_costs_one_read_and_once_one_write(bank: Bank) -> None:
    """Asking costs the lookup alone; using a login up costs one write, and having it used up costs none."""
    bank.sign_in()
    limit: Callable[[], bool] = lambda: session.fresh_for(300)  # noqa: E731
    assert bank.calls(limit) == {"load": 1}
    assert bank.calls(lambda: session.fresh_once(300)) == {"load": 1, "replace": 1}
    assert bank.calls(lambda: session.fresh_once(300)) == {"load": 1}
