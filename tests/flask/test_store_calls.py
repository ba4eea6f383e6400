"""The store calls of a request."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask, flash, get_flashed_messages
from support.capabilities import store_with
from support.web import STRANGER, Web, cookies_set, end

from holdfast.flask import Session, session
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore


@pytest.fixture
def known(web: Web) -> Web:
    """Return an application whose browser has a session."""
    web.put(cart=[1])
    return web


def test_untouched_costs_nothing(known: Web) -> None:
    """A request that carries a cookie and does not use the session makes no store call and gets no cookie."""
    assert known.calls(lambda: None) == {}
    assert not cookies_set(known.do(lambda: None))


def test_a_static_file_costs_nothing(tmp_path: Path) -> None:
    """A static file, asked for with a session cookie, makes no store call and gets no cookie."""
    (tmp_path / "style.css").write_text("body {}")
    app = Flask("shop", static_folder=str(tmp_path), static_url_path="/static")
    store = CountingStore(MemoryStore())
    app.config["SESSION_STORE"] = store
    Session(app)

    def view() -> str:
        session["a"] = 1
        return "done"

    app.add_url_rule("/", view_func=view)
    browser = app.test_client()
    browser.get("/")
    store.reset()
    with browser.get("/static/style.css") as response:
        assert response.data == b"body {}"
        assert not cookies_set(response)
        assert "Vary" not in response.headers
    assert store.counts == {}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_a_read_without_a_cookie_costs_nothing(web: Web, method: str) -> None:
    """Looking into the session of a browser without a cookie makes no store call, whatever the method."""
    assert web.calls(lambda: session.get("cart"), method=method) == {}
    assert web.records() == 0


def test_a_read_is_one_call(known: Web) -> None:
    """Reading costs one load, however often and in whatever way."""
    assert known.calls(lambda: session["cart"]) == {"load": 1}
    assert known.calls(lambda: [session.get("cart"), "cart" in session, len(session), list(session)]) == {"load": 1}


def test_a_write_is_two_calls(known: Web) -> None:
    """Changing the session costs the load and one compare-and-set."""
    assert known.calls(lambda: session.update(a=1, b=2)) == {"load": 1, "replace": 1}


def test_a_nested_change_is_two_calls(known: Web) -> None:
    """A change inside a value is found without any mark, and costs what a plain one does."""
    assert known.calls(lambda: session["cart"].append(2)) == {"load": 1, "replace": 1}
    assert known.see(lambda: session["cart"]) == [1, 2]


def test_writing_what_is_there_is_no_write(known: Web) -> None:
    """Assigning an equal value does not write, and costs no second lookup."""

    def marked() -> None:
        session.modified = session.get("cart") is not None

    assert known.calls(lambda: session.update(cart=[1])) == {"load": 1}
    assert known.calls(marked) == {"load": 1}


def test_a_change_undone_is_a_read(known: Web) -> None:
    """A value that is changed and changed back is not written."""

    def there_and_back() -> None:
        session["cart"].append(2)
        session["cart"].pop()

    assert known.calls(there_and_back) == {"load": 1}


def test_a_first_write_is_one_call(web: Web) -> None:
    """A browser without a cookie gets its session with one create."""
    assert web.calls(lambda: session.update(a=1)) == {"create": 1}
    assert web.records() == 1


def test_a_first_write_over_an_unknown_cookie_is_two_calls(web: Web) -> None:
    """An unknown cookie is looked up once; data stored then gets an id of ours."""
    web.browser.set_cookie("session", STRANGER)
    assert web.calls(lambda: session.update(a=1)) == {"load": 1, "create": 1}
    assert web.token() != STRANGER


def test_a_read_with_a_touch_due_is_two_calls(known: Web) -> None:
    """After a tenth of the idle timeout, but at most a quarter of an hour, a read extends the session's life, once."""
    known.app.config["PERMANENT_SESSION_LIFETIME"] = 100_000
    known.put(a=1)
    known.clock.advance(899)
    assert known.calls(lambda: session["a"]) == {"load": 1}
    known.clock.advance(1)
    assert known.calls(lambda: session["a"]) == {"load": 1, "touch": 1}
    assert known.calls(lambda: session["a"]) == {"load": 1}


def test_a_write_needs_no_touch(known: Web) -> None:
    """A write extends the session's life by itself."""
    known.clock.advance(20 * 24 * 3600)
    assert known.calls(lambda: session.update(a=1)) == {"load": 1, "replace": 1}
    known.clock.advance(20 * 24 * 3600)
    assert known.see(lambda: session.get("a")) == 1


def test_a_login_of_an_anonymous_browser_is_one_write_and_the_cut_off(web: Web) -> None:
    """The first write that also logs in makes the record and reads the owner's cut-off."""
    assert web.calls(lambda: session.bind("ada")) == {"create": 1, "load": 1}


def test_a_login_over_a_session_is_one_move_and_the_cut_off(known: Web) -> None:
    """Binding a stored session rotates it in one step where the store can, and reads the owner's cut-off."""
    assert known.calls(lambda: session.bind("ada")) == {"load": 2, "move": 1}


def test_a_login_on_a_store_that_cannot_move() -> None:
    """Where the store has no atomic rotation, a login costs one create and one replace in its place."""
    store = CountingStore(store_with(()))
    web = Web(SESSION_STORE=store)
    web.put(cart=[1])
    store.reset()
    web.do(lambda: session.bind("ada"))
    assert store.counts == {"load": 1, "create": 1, "replace": 1}
    assert web.data() == {"cart": [1]}


def test_a_logout_is_two_writes_at_most(known: Web) -> None:
    """Ending a session marks the record dead and removes it."""
    assert known.calls(end) == {"load": 1, "replace": 1, "delete": 1}
    assert known.records() == 0


def test_an_anonymous_visitor_leaves_no_record(web: Web) -> None:
    """Reading, clearing, rotating or marking an empty session stores nothing and sends no cookie."""

    def visit() -> str:
        session.get("cart")
        session.permanent = True
        session.modified = True
        session.rotate()
        session.clear()
        return str(get_flashed_messages())

    assert web.calls(visit) == {}
    assert web.records() == 0
    assert not cookies_set(web.do(visit))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/nowhere", 404, id="not found"),
        pytest.param("DELETE", "/do/0", 405, id="not allowed"),
        pytest.param("HEAD", "/do/0", 200, id="head"),
        pytest.param("OPTIONS", "/do/0", 200, id="options"),
    ],
)
def test_what_no_view_answers_costs_nothing(known: Web, method: str, path: str, status: int) -> None:
    """Requests that never reach a view that uses the session make no store call and get no cookie."""
    known._actions[0] = lambda: None
    known.store.reset()
    response = known.browser.open(path, method=method)
    assert response.status_code == status
    assert not cookies_set(response)
    assert "Vary" not in response.headers
    assert known.store.counts == {}


def test_a_flash_costs_one_write_and_its_page_another(web: Web) -> None:
    """A flash message is stored by the request that gives it and removed by the one that shows it, with the session."""
    assert web.calls(lambda: flash("welcome")) == {"create": 1}
    assert web.see(get_flashed_messages) == ["welcome"]
    assert web.records() == 0


def test_a_long_flood_of_visitors_leaves_no_record(web: Web) -> None:
    """A thousand requests with made-up cookies leave the store empty and get no cookie."""
    for number in range(1000):
        browser = web.with_token(f"{number:042d}A")
        assert not cookies_set(web.do(lambda: session.get("cart"), browser))
    assert web.records() == 0
    assert set(web.store.counts) == {"load"}
