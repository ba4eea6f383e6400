"""Changes at every moment of a request, and after it: no session is partly stored or lost silently."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from bad_input import planted_value as planted
from flask import Response, abort, copy_current_request_context, g, request, stream_with_context
from security.bugs import both_ids_live
from security.rows import requirement
from security.steps import WebOn
from support.web import Web, cookies_set, end

from holdfast.flask import session

LATE = "the session was changed after the response was saved"


@requirement(
    "Catalogue W3",
    says="A late change is logged, and one in time is saved, in every phase of a request.",
    mutants=[planted.late_changes_pass],
)
def test_no_change_is_lost_in_silence(place: str, web_on: WebOn, caplog: pytest.LogCaptureFixture) -> None:
    """In after_request and in a thread in time: saved. In teardown, in a stream and in a late thread: a warning."""
    caplog.set_level(logging.WARNING, "holdfast")
    web = web_on(place)
    web.app.after_request(_count)
    web.app.teardown_request(_late)
    web.put(a=1)
    assert web.data()["seen"] == 1
    assert caplog.records == []

    for used in (False, True):
        caplog.clear()
        web.do(partial(_be_late, used=used))
        assert caplog.text.count(LATE) == 1
        assert "in _late" in str(caplog.records[0].stack_info)
        assert web.data()["a"] == 1

    caplog.clear()
    go, threads = threading.Event(), list[threading.Thread]()
    web.do(partial(_in_threads, go, threads))
    go.set()
    threads[0].join()
    assert caplog.text.count(LATE) == 1
    assert web.data()["a"] == "in time"

    caplog.clear()
    response = web.do(lambda: Response(stream_with_context(_pieces())))
    assert response.text == "in time"
    assert caplog.text.count(LATE) == 1
    assert web.data()["a"] == "in time"


def _count(response: Any) -> Any:
    session["seen"] = session.get("seen", 0) + 1
    return response


def _be_late(*, used: bool) -> None:
    g.late = True
    if used:
        session["a"] = 1


def _late(_error: BaseException | None) -> None:
    if g.get("late"):
        session["a"] = 2


def _in_threads(go: threading.Event, threads: list[threading.Thread]) -> None:
    @copy_current_request_context
    def in_time() -> None:
        session["a"] = "in time"

    @copy_current_request_context
    def too_late() -> None:
        go.wait(10)
        session["a"] = "too late"

    first = threading.Thread(target=in_time)
    first.start()
    first.join()
    threads.append(threading.Thread(target=too_late))
    threads[0].start()


def _pieces() -> Iterator[str]:
    yield str(session["a"])
    session["a"] = "streamed"


@pytest.mark.kinds("memory")
def test_debug_mode_reports_late_changes_inside_of_values(
    place: str, web_on: WebOn, caplog: pytest.LogCaptureFixture
) -> None:
    """Ordinary changes cause no log message; a nested one in a teardown function does."""
    web = web_on(place)
    web.app.debug = True
    caplog.set_level(logging.DEBUG, "holdfast")
    for action in (lambda: session.update(cart=[1]), lambda: session["cart"].append(2), end, lambda: None):
        web.do(action)
    assert caplog.records == []
    other = web_on(place)
    other.app.debug = True
    other.app.teardown_request(lambda _error: session["cart"].append(2))
    other.put(cart=[1]).close()
    assert LATE in caplog.text


@requirement(
    "Catalogue W3",
    says="After a logout in the same request, an abort, or an error, the stored session is as documented.",
    mutants=[both_ids_live, planted.failures_are_saved, planted.saves_at_once],
)
def test_every_moment_has_its_result(place: str, web_on: WebOn) -> None:
    """After a logout a new id; in before_request and error handlers as in views; a 5xx saves only a logout."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.app.before_request(_abort_some)
    web.app.register_error_handler(418, _teapot)
    web.put(cart=[1])
    token = web.token()
    assert web.do(_fail).status_code == 500
    assert web.data() == {"cart": [1]}
    assert web.do(lambda: None, headers={"X-Abort": "403"}).status_code == 403
    assert web.data() == {"cart": [1], "aborted": 403}
    assert web.do(lambda: None, headers={"X-Abort": "503"}).status_code == 503
    assert web.data() == {"cart": [1], "aborted": 403}
    assert web.do(lambda: abort(418)).text == "teapot"
    assert web.data()["handled"] is True
    assert web.token() == token

    [cookie] = cookies_set(web.do(_start_over))
    assert web.token() != token
    assert str(web.token()) in cookie
    assert web.data() == {"fresh": True}
    assert web.data(web.with_token(token)) == {}
    token = web.token()
    assert web.do(_log_out_and_fail).status_code == 500
    assert web.data(web.with_token(token)) == {}


def _abort_some() -> None:
    if code := request.headers.get("X-Abort"):
        session["aborted"] = int(code)
        abort(int(code))


def _teapot(_error: Exception) -> str:
    session["handled"] = True
    return "teapot"


def _fail() -> None:
    session["half"] = "done"
    session["cart"].append(2)
    raise RuntimeError("the view failed")


def _start_over() -> None:
    session.clear()
    session["fresh"] = True


def _log_out_and_fail() -> None:
    session.clear()
    raise RuntimeError("the view failed after the logout")


@requirement(
    "Catalogue W3",
    says="A nested application context, a nested request, and code outside both behave as without Holdfast.",
    mutants=[planted.contexts_share],
)
def test_contexts_do_not_mix(place: str, web_on: WebOn) -> None:
    """An application context within a request does not change its session; another request has its own."""
    web = web_on(place)
    web.put(a=1)
    other = web.app.test_client()
    web.do(partial(_nested, web, other))
    assert web.data() == {"a": 1, "b": 2, "c": 3}
    assert web.data(other) == {"inner": True}
    with web.app.app_context(), pytest.raises(RuntimeError):
        session["a"] = 2
    assert web.data() == {"a": 1, "b": 2, "c": 3}


def _nested(web: Web, other: Any) -> None:
    session["b"] = 2
    with web.app.app_context():
        assert _reached() in (None, 1)  # by the version of Flask
    web.do(lambda: session.update(inner=True), other)
    assert "b" not in web.data(web.twin())
    session["c"] = 3


def _reached() -> Any:
    with suppress(RuntimeError):
        return session.get("a")
    return None
