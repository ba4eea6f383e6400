"""Bad data in place of a record, written with the driver of each store, and the required results."""

from __future__ import annotations

from bad_input.answers import user
from support.dumps import overwrite
from support.web import Web, cookies_set, end, rotate

from holdfast.flask import session
from holdfast.records import envelope
from holdfast.records.envelope import Envelope, encode
from holdfast.stores.contract import Indexes, Iterates, Purges

DAY = 24 * 3600


def body_of(web: Web) -> Envelope:
    """Return the envelope of the browser's session."""
    body = envelope.decode(web.memory.load(web.see(lambda: session.handle)).data)
    assert isinstance(body, Envelope)
    return body


def ways(place: str) -> tuple[bool, ...]:
    """Return how a record can be written over: whole, and where a value is more than the data, the data in it."""
    return (True, False) if place.startswith(("file", "unix", "redis", "memcached")) else (True,)


def plant(web: Web, place: str, data: bytes, *, whole: bool | None = None) -> None:
    """Put *data* in the place of the record of the browser's session: the *whole* value, or the data in it if it can.

    Unless *whole* is given, what the store keeps around the data stays.
    """
    key, old = web.see(lambda: session.handle), encode(body_of(web))
    whole = ways(place)[-1] if whole is None else whole
    overwrite(web, place, key, lambda value: data if whole else value.replace(old, data))


def assert_set_aside(
    web: Web, what: object, first: str = "", then: str = "", *, keeps_cookie: bool | None = False
) -> None:
    """Assert that the browser's bad record is anonymous, reported once a request, and does no harm.

    The reason is *first*, and in the next request *then*. Without them, any of the usual ones is accepted. The next
    change begins a new session, unless the record may be another release's, and *keeps_cookie*; None: either.
    """
    token = web.token()
    for expected in (first, then):
        web.take_heard()
        response = web.do(lambda: str(dict(session)), web.with_token(token))
        assert (response.status_code, response.text, cookies_set(response)) == (200, "{}", []), what
        reasons = web.reasons()
        assert reasons == [expected] if expected else set(reasons) <= {"corrupt", "unknown_id"}, what
    browser = web.with_token(token)
    response = web.do(lambda: session.update(a=1), browser)
    assert response.status_code == 200, what
    kept = not cookies_set(response)
    assert keeps_cookie is None or kept == keeps_cookie, what
    if kept:
        return
    assert web.token(browser) != token, what
    assert web.data(browser) == {"a": 1}, what


def assert_others_are_served(web: Web, what: object) -> None:
    """Assert that what goes over all sessions, or over a user's, is in order."""
    for view in (end, rotate, lambda: session.bind("ada")):
        assert web.do(view, web.with_token(web.token())).status_code == 200, what
    if isinstance(web.memory, Indexes):
        assert isinstance(web.sessions.of("ada"), list), what
        assert web.sessions.revoke_all("ada") >= 0, what
        web.clock.advance_ms(1)  # a session that begins at the moment of the end is ended too
    if isinstance(web.memory, Iterates):
        assert web.sessions.count() >= 0, what
        assert web.sessions.scan() is not None, what
    if isinstance(web.memory, Purges):
        assert web.sessions.purge() >= 0, what


def met(web: Web, place: str, data: bytes) -> tuple[str, list[str]]:
    """Return the user of a session whose record is *data*, and the reason of its rejection."""
    web.browser = web.app.test_client()
    web.put(user="victim")
    plant(web, place, data)
    web.take_heard()
    response = web.do(user)
    assert response.status_code == 200
    return response.text, web.reasons()
