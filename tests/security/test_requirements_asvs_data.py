"""ASVS 5.0 on what responses leave behind and on long-lived handlers, with what other standards ask alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from flask import Response, request
from security import bugs
from security import planted_requirements_asvs_data as planted
from security.bugs import lets_caches_keep_cookies
from security.rows import requirement
from support.application import Site, values_set
from support.web import STRANGER, attributes

from holdfast.flask import session
from holdfast.records.encryption import new_key

SiteOn = Callable[..., Site]

KEY = new_key()
DAY = 24 * 3600 * 1000


# --- caches, and what a response leaves behind ------------------------------------------------------------------------


@requirement(
    "ASVS 14.3.1",
    "ASVS 4.0 8.2.3",
    says="A logout removes the cookie from the browser.",
    mutants=[bugs.bare_deletion],
)
@pytest.mark.kinds("memory")
def test_the_deletion_is_for_the_cookie_that_was_set(place: str, site_on: SiteOn) -> None:
    """The deletion has the name, the path, the domain and the flags of the cookie, or browsers would keep it."""
    site = site_on(
        place,
        SESSION_COOKIE_NAME="__Secure-id",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_DOMAIN="shop.example",
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_SAMESITE="Strict",
    )
    jar = site.jar()
    [begun] = values_set(jar.login("ada"), "__Secure-id")
    [deleted] = values_set(jar.post("/logout"), "__Secure-id")
    gone = attributes(deleted)
    assert gone.pop("max-age") == "0"
    assert gone.pop("expires") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert gone == attributes(begun)


@requirement(
    "ASVS 14.3.2",
    "ASVS 4.0 8.2.1",
    "OWASP caching",
    says="Responses with a session are not cached, as configured, and a stricter directive is not weakened.",
    mutants=[planted.lets_everything_be_stored, planted.overrides_the_application, lets_caches_keep_cookies],
)
@pytest.mark.kinds("memory")
def test_caches_are_told_what_the_settings_say(place: str, site_on: SiteOn) -> None:
    """By default a response with our cookie is private; with ``no-store`` each that used the session is not stored."""
    plain = site_on(place)
    strict = site_on(place, SESSION_CACHE_CONTROL="no-store")
    for site in (plain, strict):

        @site.app.after_request
        def own(response: Response) -> Response:
            if request.args.get("own"):
                response.headers["Cache-Control"] = request.args["own"]
            return response

    told = []
    for site in (plain, strict):
        jar = site.jar()
        answers = [jar.login("ada"), jar.get("/me"), jar.get("/noop"), jar.post("/rotate?own=no-store, max-age=0")]
        told.append([answer.headers.get("Cache-Control") for answer in (*answers, jar.post("/logout"))])
    assert told == [
        ["private", None, None, "no-store, max-age=0", "private"],
        ["no-store", "no-store", None, "no-store, max-age=0", "no-store"],
    ]


@requirement(
    "ASVS 14.3.1",
    "ASVS 4.0 8.2.3",
    "OWASP caching",
    says="The end of a session can clear the site's data in the browser.",
    mutants=[planted.clears_nothing],
)
@pytest.mark.kinds("memory")
def test_a_logout_can_clear_the_browser(place: str, site_on: SiteOn) -> None:
    """With the setting, only a logout makes the browser clear its cookies and storage."""
    site = site_on(place, SESSION_CLEAR_SITE_DATA=True)
    jar = site.jar()
    answers = [jar.login("ada"), jar.get("/me"), jar.post("/logout"), site.jar(STRANGER).get("/me")]
    assert [answer.headers.get("Clear-Site-Data") for answer in answers] == [None, None, '"cookies", "storage"', None]


# --- during a session -------------------------------------------------------------------------------------------------


@requirement(
    "ASVS 8.2.4",
    says="A check that fails during a session ends it within the same request.",
    mutants=[planted.ends_later],
)
def test_a_check_during_the_session_ends_it_at_once(place: str, site_on: SiteOn) -> None:
    """If a check before the view fails, for example of the address, that same request is anonymous."""
    site = site_on(place)

    @site.app.before_request
    def check() -> None:
        if request.remote_addr == "203.0.113.9":
            session.destroy()

    [jar] = site.jars("ada", 1)
    assert jar.me() == "ada"
    stolen = jar.copy()
    told = stolen.told("/me", environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
    assert told["user"] is None
    assert jar.me() is None


@contextmanager
def listening(site: Site) -> Iterator[int]:
    """Serve *site* on a port of its own."""
    import threading

    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@requirement(
    "ASVS 4.4.3",
    "ASVS 4.4.4",
    says="A WebSocket acts for a session only while the session is live.",
    mutants=[bugs.logout_in_the_browser_only],
)
@pytest.mark.kinds("memory", "sqlite")
def test_a_websocket_ends_with_its_session(place: str, site_on: SiteOn) -> None:
    """It is opened with the cookie, answers as the user, and is closed at its next message after a logout elsewhere."""
    from simple_websocket import Client, ConnectionClosed

    site = site_on(place, TESTING_WEBSOCKET=True)
    [jar] = site.jars("ada", 1)
    with listening(site) as port:
        socket = Client(f"ws://127.0.0.1:{port}/ws", headers={"Cookie": f"{site.cookie_name}={jar.token}"})
        try:
            socket.send("who?")
            assert socket.receive(timeout=5) == "ada"
            jar.post("/logout")
            socket.send("who?")
            with pytest.raises(ConnectionClosed):
                pytest.fail(f"the socket still answers {socket.receive(timeout=5)}")
        finally:
            with suppress(ConnectionClosed):
                socket.close()
