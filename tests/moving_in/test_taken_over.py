"""Sessions that Flask-Session stored are taken over at their first request, in every place that it knows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from moving_in.conftest import cookie_of, with_cookie

from holdfast.sessions.manager import directory

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:No valid:RuntimeWarning")

App = Callable[..., Flask]

#: A value of Flask's own cookie.
_OF_FLASK = ".eJyrVsrJTE7NK05VsqpWSkksSVSyUkpNTMxRqq0FAHKKCNA.aSwK3w.5hVYk1mQG0kz8wqfO2bD3rN7uXc"


def live(app: Flask, user: str) -> int:
    """Return how many live sessions *user* has."""
    return len(directory(app.extensions["holdfast"].manager).of(user))


def has_index(app: Flask) -> bool:
    """Return whether the store of *app* can list a user's sessions."""
    return hasattr(directory(app.extensions["holdfast"].manager).store, "find")


@pytest.mark.parametrize("signed", [False, True])
def test_changing_the_import_keeps_everybody_signed_in(old: App, new: App, signed: bool) -> None:
    """Users of Flask-Login and visitors go on, with the values, the flashes and the CSRF token that they had."""
    before = old(SESSION_USE_SIGNER=signed)
    ada, visitor = before.test_client(), before.test_client()
    ada.get("/login/ada")
    visitor.get("/name/Ida")
    values = ada.get("/values").text
    cookies = cookie_of(ada), cookie_of(visitor)
    after = new(SESSION_USE_SIGNER=signed)
    moved = with_cookie(after, cookies[0])
    assert moved.get("/values").text == values
    assert cookie_of(moved) != cookies[0]
    assert moved.get("/me").text == "ada"
    assert moved.get("/flashes").text == "[('info', 'Welcome')]"
    assert moved.get("/flashes").text == "[]"
    assert with_cookie(after, cookies[1]).get("/me").text == "Ida"
    if has_index(after):
        assert live(after, "ada") == 1


def test_a_cookie_of_flask_s_that_became_an_id(old: App, new: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 0.6 the cookie that a browser had, Flask's own, became the id of its session: its user goes on."""
    before = old()
    monkeypatch.setattr(before.session_interface, "_generate_sid", lambda _: _OF_FLASK)
    ada = before.test_client()
    ada.get("/login/ada")
    assert cookie_of(ada) == _OF_FLASK
    moved = with_cookie(new(), _OF_FLASK)
    assert moved.get("/me").text == "ada"
    assert len(cookie_of(moved)) == 43


def test_ten_first_requests_at_once_take_over_once(old: App, new: App) -> None:
    """Of ten simultaneous first requests each sees the user, and one session is made."""
    ada = old().test_client()
    ada.get("/login/ada")
    value, after, barrier = cookie_of(ada), new(), threading.Barrier(10)

    def first(_: int) -> str:
        browser = with_cookie(after, value)
        barrier.wait(20)
        return browser.get("/me").text

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(first, range(10))) == ["ada"] * 10
    if has_index(after):
        assert live(after, "ada") == 1


def test_a_logout_holds_and_the_old_record_stays(old: App, new: App) -> None:
    """After a logout the old cookie is no session here, and Flask-Session still finds its record after a rollback."""
    before = old()
    ada = before.test_client()
    ada.get("/login/ada")
    value, after = cookie_of(ada), new()
    moved = with_cookie(after, value)
    assert moved.get("/me").text == "ada"
    moved.get("/logout")
    assert moved.get("/me").text == "None"
    assert with_cookie(after, value).get("/me").text == "None"
    assert with_cookie(new(), value).get("/me").text == "None"
    assert ada.get("/me").text == "ada"


def test_a_logout_holds_when_the_old_id_is_sent_with_another_session(old: App, new: App) -> None:
    """A cookie that holds a session of the client and the old id, as after an outage, does not bring that one back."""
    ada, after = old().test_client(), new()
    ada.get("/login/ada")
    value = cookie_of(ada)
    moved = with_cookie(after, value)
    moved.get("/logout")
    mallory = after.test_client()
    mallory.get("/name/Mallory")
    with_cookie(after, f"{cookie_of(mallory)}~{value}~0").get("/me")
    assert with_cookie(after, value).get("/me").text == "None"


def test_signatures_by_old_keys_count_and_others_do_not(old: App, new: App) -> None:
    """A session that an old secret key signed is taken over; one with a wrong signature, or without one, is not."""
    ada = old(SESSION_USE_SIGNER=True).test_client()
    ada.get("/login/ada")
    value = cookie_of(ada)
    keys: dict[str, Any] = {"SESSION_USE_SIGNER": True, "SECRET_KEY": "the second key of the shop, 5Jx-3vBn"}
    wrong = new()
    wrong.config["SECRET_KEY"] = keys["SECRET_KEY"]
    assert with_cookie(wrong, value).get("/me").text == "None"
    after = new(SESSION_USE_SIGNER=True)
    old_key = after.config["SECRET_KEY"]
    after.config.update(SECRET_KEY=keys["SECRET_KEY"], SECRET_KEY_FALLBACKS=[old_key])
    assert with_cookie(after, value.partition(".")[0]).get("/me").text == "None"
    assert with_cookie(after, value[:-1] + ("A" if value[-1] != "A" else "E")).get("/me").text == "None"
    assert with_cookie(after, value).get("/me").text == "ada"


def test_invented_ids_are_no_session(old: App, new: App) -> None:
    """Ids that nobody stored, of every form, and a key of ours, give an empty session, and nothing is written."""
    old().test_client().get("/login/ada")
    after = new()
    manager = directory(after.extensions["holdfast"].manager)
    forms = ("3f2b6a4e-3d51-4b7e-9a51-0d8c7c1b0a11", "A" * 43, "0" * 64, "a.b", "é", "..", "A" * 17, "x.y" * 10)
    for value in (*forms, "x" * 128, "x" * 251, "x" * 4000):
        browser = with_cookie(after, value)
        response = browser.get("/me")
        assert (response.status_code, response.text) == (200, "None")
        assert "Set-Cookie" not in response.headers
    if hasattr(manager.store, "scan"):
        assert manager.count() == 0


def test_revoke_all_ends_sessions_that_are_yet_to_come(old: App, new: App) -> None:
    """After all of a user's sessions were ended, one that was not taken over yet is not taken over any more."""
    browsers = [old().test_client() for _ in range(2)]
    for browser in browsers:
        browser.get("/login/ada")
    after = new()
    first, second = (with_cookie(after, cookie_of(browser)) for browser in browsers)
    assert first.get("/me").text == "ada"
    if has_index(after):
        directory(after.extensions["holdfast"].manager).revoke_all("ada")
        assert second.get("/me").text == "None"
        assert first.get("/me").text == "None"


def test_a_session_of_ours_costs_one_read(old: App, new: App) -> None:
    """A token of ours is looked up in the store alone."""
    after = new()
    browser = after.test_client()
    browser.get("/name/Ida")
    place = after.extensions["holdfast"].manager.context.old_place
    place.load = None  # it would not be called
    assert browser.get("/me").text == "Ida"
