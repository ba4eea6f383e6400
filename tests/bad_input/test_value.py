"""Values and names that an application writes: kept as they are, or an error that names the key."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bad_input import planted_value as planted
from bad_input.values import KEPT, NAMES, REFUSED
from security.rows import requirement
from security.steps import WebOn
from support.web import Web, cookies_set

from holdfast.errors import EncodeError, RecordTooLarge
from holdfast.flask import session


@requirement(
    "Catalogue W1",
    says="A supported value is returned unchanged; an unsupported one is an error that names the key, without a write.",
    mutants=[planted.values_become_text, planted.bad_values_are_left_out, planted.any_depth, planted.tuples_are_lists],
)
def test_values_are_kept_or_refused(place: str, web_on: WebOn) -> None:
    """On every store, and in both formats: equal and of its type; or a TypeError, no write, and the old session."""
    for format_ in formats(place):
        web = web_on(place, SESSION_SERIALIZATION_FORMAT=format_)
        web.put(**KEPT)
        found: dict[str, Any] = web.data()
        assert found.keys() == KEPT.keys()
        for name, value in KEPT.items():
            assert found[name] == value, name
            assert type(found[name]) is type(value), name
            assert repr(found[name]) == repr(value) or isinstance(value, set | frozenset | dict), name
        assert type(found["tuple"][1]) is tuple
        web.browser = web.app.test_client()
        web.put(cart=[1])
        token = web.token()
        for name, make in REFUSED.items():
            for put in (_put_beside, _put_within):
                web.store.reset()
                said = error_of(web, partial(put, make))
                assert isinstance(said, EncodeError | TypeError), name
                assert "odd" in str(said), name
                assert set(web.store.counts) <= {"load"}, name
                assert (web.data(), web.token()) == ({"cart": [1]}, token), name


def formats(place: str) -> tuple[str, ...]:
    """Return the formats to try: to a store one is like the other, unless it looks into them."""
    return ("msgpack", "json") if place.startswith(("memory", "json")) else ("msgpack",)


def _put_beside(make: Callable[[], Any]) -> None:
    session["cart"] = [2]
    session["odd"] = make()


def _put_within(make: Callable[[], Any]) -> None:
    session["cart"] = [{"odd": {"list": [make()]}}]


def error_of(web: Web, view: Callable[[], Any]) -> BaseException | None:
    """Return what reaches the server of a request that fails, or None when it does not."""
    try:
        web.do(view)
    except Exception as error:  # noqa: BLE001  # any of them is checked
        return error
    return None


@requirement(
    "Catalogue W1",
    says="A session that is too large is an error, on every store, and the stored one is unchanged.",
    mutants=[planted.no_size_limit],
)
def test_what_is_too_large_is_refused(place: str, web_on: WebOn) -> None:
    """One byte over the default limit of 1 MiB: an error, no cookie, the old session; a smaller one is stored whole."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(cart=[1])
    for size in (1 << 20, (1 << 20) + 1, 4 << 20):
        text = "x" * size
        for browser in (web.browser, web.app.test_client()):
            response = web.do(partial(session_update, text), browser)
            assert (response.status_code, cookies_set(response)) == (500, []), size
        assert web.data() == {"cart": [1]}
    assert isinstance(error_of(web_on(place), partial(session_update, "x" * (1 << 20))), EncodeError | RecordTooLarge)
    text = "x" * 900_000
    web.put(note=text)
    assert web.data() == {"cart": [1], "note": text}


def session_update(text: str) -> None:
    """Put *text* into the session, as a view."""
    session["note"] = text


@requirement(
    "Catalogue W2",
    says="Any key is data, and none has a special meaning for the store, a format or Holdfast.",
    mutants=[planted.names_are_metadata, planted.keys_are_paths],
)
def test_any_key_is_data(place: str, web_on: WebOn) -> None:
    """Names with a meaning in Python, MongoDB, JSON and Holdfast, and 10,000 keys, both formats, every store."""
    for format_ in formats(place):
        web = web_on(place, SESSION_SERIALIZATION_FORMAT=format_)
        values: dict[str, Any] = {name: {name: [name]} for name in NAMES}
        web.do(partial(_update, values))
        assert web.data() == values
        web.do(lambda: session.pop("_id"))
        del values["_id"]
        assert web.data() == values
        many = {f"key{number}": number for number in range(10_000)}
        web.browser = web.app.test_client()
        web.do(partial(_update, many))
        web.put(key0="changed")
        assert web.data() == {**many, "key0": "changed"}


def _update(values: dict[str, Any]) -> None:
    session.update(values)
