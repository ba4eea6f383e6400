"""Responses that are streamed while the session is long saved."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from flask import Response, stream_with_context
from support.web import Web, cookies_set, varies

from holdfast.flask import session

LATE = "the session was changed after the response was saved"


@pytest.fixture
def known(web: Web) -> Web:
    """Return an application whose browser has a session."""
    web.put(cart=[1])
    return web


def test_a_stream_can_read_the_session(known: Web) -> None:
    """A generator reads what the view saw and changed, without another store call."""

    def view() -> Response:
        session["cart"].append(2)

        def stream() -> Iterator[str]:
            for item in session["cart"]:
                yield str(item)

        return Response(stream_with_context(stream()))

    known.store.reset()
    with known.do(view) as response:
        assert response.get_data(as_text=True) == "12"
        assert varies(response.headers) == ["cookie"]
    assert known.store.counts == {"load": 1, "replace": 1}
    assert known.data() == {"cart": [1, 2]}


def test_a_stream_can_be_the_first_to_read(known: Web) -> None:
    """A generator may use a session that the view did not touch."""

    def view() -> Response:
        def stream() -> Iterator[str]:
            yield str(session["cart"])

        return Response(stream_with_context(stream()))

    with known.do(view) as response:
        assert response.get_data(as_text=True) == "[1]"


@pytest.mark.parametrize("opened", [True, False], ids=["used before", "not used before"])
@pytest.mark.parametrize("nested", [True, False], ids=["nested", "plain"])
def test_a_change_in_a_stream_is_reported(
    known: Web, caplog: pytest.LogCaptureFixture, opened: bool, nested: bool
) -> None:
    """A change in a generator, even of a nested value, is too late: it is lost, with a warning."""

    def view() -> Response:
        if opened:
            session.get("cart")

        def stream() -> Iterator[str]:
            yield "one"
            if nested:
                session["cart"].append(2)
            else:
                session["cart"] = [1, 2]
            yield "two"

        return Response(stream_with_context(stream()))

    with caplog.at_level(logging.WARNING, "holdfast"), known.do(view) as response:
        assert response.get_data(as_text=True) == "onetwo"
    assert LATE in caplog.text
    assert known.data() == {"cart": [1]}


@pytest.mark.parametrize("debug", [True, False])
def test_a_change_inside_a_value_after_the_response_is_reported_in_debug_mode(
    known: Web, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    """As by a thread: it is lost, and noticed when the response is closed, but of a stream only outside debug mode."""
    known.app.debug = debug
    carts: list[list[int]] = []
    with caplog.at_level(logging.WARNING, "holdfast"), known.do(lambda: carts.append(session["cart"])):
        carts[0].append(2)
    assert (LATE in caplog.text) == debug
    assert known.data() == {"cart": [1]}


def test_a_value_that_cannot_be_kept_in_a_stream_is_reported(known: Web, caplog: pytest.LogCaptureFixture) -> None:
    """A late change that could not even be stored is reported like any other, and the stream ends well."""

    def view() -> Response:
        def stream() -> Iterator[str]:
            session["cart"].append(object())
            yield "done"

        return Response(stream_with_context(stream()))

    with caplog.at_level(logging.WARNING, "holdfast"), known.do(view) as response:
        assert response.get_data(as_text=True) == "done"
    assert LATE in caplog.text


def test_a_stream_that_changes_nothing_is_silent(known: Web, caplog: pytest.LogCaptureFixture) -> None:
    """Streaming after a saved change, a dropped one or none causes no log message."""

    def view() -> Response:
        session["a"] = 1
        return Response(stream_with_context(str(session["a"]) for _ in range(3)))

    def ended_meanwhile() -> Response:
        session["a"] = 2
        known.do(session.destroy, known.twin())
        return Response(stream_with_context(iter("xyz")))

    with caplog.at_level(logging.DEBUG, "holdfast"):
        for action in (view, ended_meanwhile):
            with known.do(action) as response:
                assert len(response.get_data(as_text=True)) == 3
    assert caplog.records == []


def test_a_stream_that_is_abandoned_keeps_what_was_saved(known: Web) -> None:
    """A browser that goes away in the middle of a stream leaves the session as the view saved it."""

    def view() -> Response:
        session["a"] = 1

        def stream() -> Iterator[str]:
            yield "one"
            raise AssertionError("nobody asked for more")

        return Response(stream_with_context(stream()))

    response = known.do(view, buffered=False)
    assert next(response.iter_encoded()) == b"one"
    response.close()
    assert known.data() == {"cart": [1], "a": 1}


def test_a_stream_that_begins_a_session_does_not_store_it(web: Web) -> None:
    """A session that only a generator writes to does not begin: no record, no cookie."""

    def view() -> Response:
        def stream() -> Iterator[str]:
            session["a"] = 1
            yield "done"

        return Response(stream_with_context(stream()))

    with web.do(view) as response:
        assert response.get_data(as_text=True) == "done"
        assert not cookies_set(response)
    assert web.records() == 0
