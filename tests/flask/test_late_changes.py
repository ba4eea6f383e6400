"""Changes that come when the response has been saved: reported, not lost in silence."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from flask import copy_current_request_context, g
from support.web import Web, end

from holdfast.flask import session

LATE = "the session was changed after the response was saved"


def test_after_request_functions_can_change_the_session(web: Web) -> None:
    """Changes in a function registered with `after_request` are saved."""

    @web.app.after_request
    def count(response: Any) -> Any:
        session["seen"] = session.get("seen", 0) + 1
        return response

    web.do(lambda: None)
    web.do(lambda: None)
    assert web.data()["seen"] == 2


@pytest.mark.parametrize("opened", [True, False], ids=["used before", "not used before"])
def test_a_change_in_a_teardown_function_is_reported(web: Web, caplog: pytest.LogCaptureFixture, opened: bool) -> None:
    """A change made when the response has been saved is lost, and a warning with the stack says so."""

    @web.app.teardown_request
    def late(error: BaseException | None) -> None:
        if g.get("late"):
            session["a"] = 2

    web.put(a=1)

    def view() -> None:
        g.late = True
        if opened:
            session["a"] = 1

    with caplog.at_level(logging.WARNING, "holdfast"):
        web.do(view)
    [record] = caplog.records
    assert LATE in record.message
    assert "in late" in str(record.stack_info)
    assert web.data() == {"a": 1}


def test_a_nested_change_in_a_teardown_function_is_reported_in_debug_mode(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """In debug mode even a late change inside a value is found."""
    web.app.debug = True

    @web.app.teardown_request
    def late(error: BaseException | None) -> None:
        session["cart"].append(2)

    with caplog.at_level(logging.WARNING, "holdfast"):
        web.put(cart=[1]).close()
    assert LATE in caplog.text


def test_a_change_in_a_thread_that_outlives_the_request_is_reported(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """A copied request context shares the session: in time its changes are saved, too late they are reported."""
    go, threads = threading.Event(), []

    def view() -> None:
        @copy_current_request_context
        def in_time() -> None:
            session["a"] = 1

        @copy_current_request_context
        def too_late() -> None:
            go.wait(10)
            session["a"] = 2

        first = threading.Thread(target=in_time)
        first.start()
        first.join()
        threads.append(threading.Thread(target=too_late))
        threads[0].start()

    with caplog.at_level(logging.WARNING, "holdfast"):
        web.do(view)
        go.set()
        threads[0].join()
    assert LATE in caplog.text
    assert web.data() == {"a": 1}


def test_a_saved_change_is_not_reported(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """Ordinary requests, in debug mode too, cause no log message."""
    web.app.debug = True
    with caplog.at_level(logging.DEBUG, "holdfast"):
        for action in (lambda: session.update(cart=[1]), lambda: session["cart"].append(2), end, lambda: None):
            web.do(action)
    assert caplog.records == []
