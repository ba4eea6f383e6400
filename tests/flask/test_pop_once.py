"""`session.pop_once`: a value that exactly one of many requests is given."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Response, abort, stream_with_context
from support.everywhere import KINDS, url_of_kind
from support.web import STRANGER, Web, cookies_set, end, rotate

from holdfast import open_store
from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.stores.contract import Closes

#: SealMode many requests want the value.
MANY = 100


def pop() -> str:
    """Take the code, as the view of a request, and return it."""
    return str(session.pop_once("code", None))


def at_once(web: Web, *actions: Callable[[], Any]) -> list[str]:
    """Return what the views *actions* answer when they are all asked at the same moment, with the same cookie."""
    answers: list[str] = []
    barrier = threading.Barrier(len(actions))

    def run(path: str, browser: Any) -> None:
        barrier.wait()
        answers.append(browser.get(path).text)

    threads = [threading.Thread(target=run, args=[web.path(action), web.twin()]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.fixture(params=[pytest.param(kind, marks=marks) for kind, marks in KINDS.items()])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Web]:
    """Return an application on a store of each kind."""
    place = url_of_kind(request.param, request, tmp_path)
    web = Web(lambda clock: open_store(place, clock=clock))
    yield web
    if isinstance(web.memory, Closes):
        web.memory.close()


def test_one_of_many_gets_it(shop: Web) -> None:
    """Of a hundred requests at the same moment exactly one is given the value, on every store."""
    shop.put(code="1234", cart=[1])
    assert sorted(at_once(shop, *[pop] * MANY)) == sorted(["1234"] + ["None"] * (MANY - 1))
    assert shop.data() == {"cart": [1]}


def test_no_change_is_lost_beside_it(web: Web) -> None:
    """Of requests that want the value, and others that save at the same moment, one gets it and all are saved."""
    web.put(code="1234", hits=0)
    counts: list[Callable[[], Any]] = [lambda: session.apply("hits", lambda hits: hits + 1) and "counted"] * 10
    answers = at_once(web, *[pop] * 10, *counts)
    assert sorted(answers) == sorted(["1234"] + ["None"] * 9 + ["counted"] * 10)
    assert web.data() == {"hits": 10, "cart": [1]}


@pytest.fixture
def web(web: Web) -> Web:
    """Return an application whose browser has a code."""
    web.put(code="1234", cart=[1])
    return web


@pytest.mark.parametrize("how", ["keys", "cookie", "mac"])
def test_it_works_on_what_is_sealed(how: str) -> None:
    """Sealed sessions are opened and sealed again for it, whatever the scheme."""
    web = Web(SESSION_SEAL=how, SESSION_SEAL_KEYS=[new_key()])
    web.put(code="1234", cart=[1])
    assert sorted(at_once(web, pop, pop, pop)) == ["1234", "None", "None"]
    assert web.data() == {"cart": [1]}


def test_it_pops(web: Web) -> None:
    """It is like ``dict.pop``: the value, the default, or a KeyError."""
    assert web.see(lambda: session.pop_once("code")) == "1234"
    assert web.see(lambda: session.pop_once("code", "none")) == "none"
    assert web.see(lambda: session.pop_once("code", None)) is None
    with pytest.raises(KeyError, match="code"):
        web.do(lambda: session.pop_once("code"))
    assert web.data() == {"cart": [1]}


def test_it_is_written_at_once_and_only_once(web: Web) -> None:
    """It costs one write if the key exists, and only the lookup if it does not."""
    assert web.calls(pop) == {"load": 1, "replace": 1}
    assert web.calls(pop) == {"load": 1}
    assert web.calls(pop, web.app.test_client()) == {}


def test_other_changes_of_the_request_are_saved(web: Web) -> None:
    """Changes before and after it, nested ones too, are saved at the end, merged with those of others."""
    late = web.twin()

    def view() -> str:
        session["before"] = 1
        session["cart"].append(2)
        web.put(late, theirs=True, cart=[1, 3])
        code = session.pop_once("code")
        assert web.data(late) == {"cart": [1, 3], "theirs": True}
        session["after"] = 1
        return str(code)

    assert web.do(view).text == "1234"
    assert web.data() == {"cart": [1, 3, 2], "theirs": True, "before": 1, "after": 1}


def test_a_later_value_is_another_value(web: Web) -> None:
    """A value stored under the key afterwards, by this request or another, can be popped once in its turn."""

    def view() -> None:
        assert pop() == "1234"
        session["code"] = "5678"

    web.do(view)
    assert web.data()["code"] == "5678"
    assert [web.do(pop).text for _ in range(2)] == ["5678", "None"]


def test_a_value_that_is_not_stored_yet_is_the_request_s_own(web: Web) -> None:
    """A value of this request's own is unknown to others, so it is popped without a write."""

    def view() -> str:
        session["code"] = "mine"
        return pop() + pop()

    for browser in (web.browser, web.app.test_client()):
        assert web.do(view, browser).text == "mineNone"
        assert "code" not in web.data(browser)


def test_a_value_that_was_deleted_is_not_there(web: Web) -> None:
    """A key that this request has deleted itself is missing."""

    def view() -> str:
        del session["code"]
        return pop()

    assert web.do(view).text == "None"
    web.put(code="1234")

    def ends() -> str:
        session.clear()
        return pop()

    assert web.do(ends).text == "None"


def test_a_change_inside_the_value_belongs_to_it(web: Web) -> None:
    """A value that was changed before it is popped is given out so, and a loser's change does not bring it back."""
    web.put(steps=[1])
    assert web.see(lambda: (session["steps"].append(2), session.pop_once("steps"))[1]) == [1, 2]
    web.put(steps=[1])
    winner = web.twin()

    def loses() -> str:
        session["steps"].append(3)
        assert web.see(lambda: session.pop_once("steps"), winner) == [1]
        return str(session.pop_once("steps", None))

    assert web.do(loses).text == "None"
    assert "steps" not in web.data()


@pytest.mark.parametrize("answer", [lambda: abort(500), lambda: Response("no", 503)])
def test_it_stays_used_when_the_request_fails(web: Web, answer: Callable[[], Any]) -> None:
    """A response that is an error drops other changes, and the value is gone all the same."""

    def view() -> Any:
        assert pop() == "1234"
        session["cart"] = []
        return answer()

    assert web.do(view).status_code >= 500
    assert web.data() == {"cart": [1]}


@pytest.mark.parametrize("ending", [end, rotate])
def test_a_session_that_is_over_gives_nothing(web: Web, ending: Callable[[], Any]) -> None:
    """A request whose session was ended or superseded after its lookup is not given the value, and sends no cookie."""
    slow = web.twin()

    def view() -> str:
        assert session["code"] == "1234"
        web.do(ending)
        return pop()

    response = web.do(view, slow)
    assert response.text == "None"
    assert not cookies_set(response)


def test_a_late_request_gets_nothing(web: Web) -> None:
    """Under a superseded or unknown id there is no value to pop."""
    late = web.twin()
    web.do(rotate)
    assert web.do(pop, late).text == "None"
    assert web.do(pop, web.with_token(STRANGER)).text == "None"
    assert web.do(pop).text == "1234"


def test_a_renewal_in_between_is_followed(web: Web) -> None:
    """If the id was renewed after the lookup, the value is removed under the new one, and the browser gets it."""
    slow = web.twin()

    def view() -> str:
        assert "code" in session
        web.app.config["SESSION_RENEWAL_INTERVAL"] = 1
        web.clock.advance(2)
        web.do(lambda: session.get("cart"))
        return pop()

    assert web.do(view, slow).text == "1234"
    assert web.token(slow) == web.token()
    assert web.data() == {"cart": [1]}


def test_a_rotation_by_the_same_request_goes_on(web: Web) -> None:
    """A request may take the value and rotate, in either order."""
    old = web.token()

    def view() -> str:
        session.rotate()
        return pop()

    assert web.do(view).text == "1234"
    assert web.token() != old
    assert web.data() == {"cart": [1]}


def test_a_conflict_is_an_error_where_it_shall_be_one(web: Web) -> None:
    """``SESSION_ON_CONFLICT="error"`` does not merge here either: the value stays for the repeated request."""
    web.app.config["SESSION_ON_CONFLICT"] = "error"
    other = web.twin()

    def view() -> str:
        assert "code" in session
        web.put(other, cart=[2])
        return pop()

    assert web.do(view).status_code == 409
    assert web.do(pop).text == "1234"


def test_a_store_that_fails_gives_nothing(web: Web) -> None:
    """If it is unknown whether the value was removed, no request gets it, and the response is that of an outage."""
    web.app.config["PROPAGATE_EXCEPTIONS"] = False

    def view() -> str:
        assert "code" in session
        web.failing.fail("replace", times=2)
        return pop()

    assert web.do(view).status_code == 503
    web.failing.heal()
    assert web.do(pop).text == "1234"


def test_the_last_value_ends_the_session() -> None:
    """A session with no other data is over when its value is removed, and so is its cookie."""
    web = Web()
    web.put(code="1234")
    response = web.do(pop)
    assert response.text == "1234"
    assert web.records() == 0
    assert web.token() is None
    assert web.do(pop).text == "None"


def test_the_user_s_id_unbinds(web: Web) -> None:
    """Popping what Flask-Login keeps the user's id under signs the user out."""
    web.put(_user_id="ada")
    assert web.see(lambda: session.pop_once("_user_id")) == "ada"
    assert web.sessions.of("ada") == []
    assert web.data() == {"code": "1234", "cart": [1]}


def test_it_works_in_a_stream(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """After the response was saved it still removes the value, without a warning about a lost change."""

    def view() -> Response:
        assert session["cart"] == [1]
        return Response(stream_with_context(parts()))

    def parts() -> Iterator[str]:
        yield pop()

    with caplog.at_level(logging.WARNING):
        assert web.do(view).text == "1234"
    assert not caplog.records
    assert web.data() == {"cart": [1]}
