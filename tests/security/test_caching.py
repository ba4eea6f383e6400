"""No cache gives one visitor what belongs to another.

Each way to use a session is tried with each thing that an application may say about caching, and what comes of it is
replayed through a shared cache that keeps all that RFC 9111 lets it keep.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, abort, make_response, send_file, stream_with_context
from flask.testing import FlaskClient
from security import planted_caching as planted
from security.bugs import lets_caches_keep_cookies
from security.rows import advisory, requirement
from security.steps import WebOn, signed_in
from support.web import Web, cookies_set, end, varies
from werkzeug.test import TestResponse

from holdfast.flask import session

DAY = 24 * 3600


# --- the ways to use a session ---------------------------------------------------------------------------------------


def _whose() -> str:
    return f"the page of {session.get('who')}"


def _refresh() -> str:
    session.permanent = True
    return _whose()


def _error_page() -> str:
    raise RuntimeError(_whose())


def _missing() -> str:
    _whose()
    abort(404)


def _not_modified() -> Response:
    return make_response(_whose(), 304)


def _file() -> Response:
    return send_file(io.BytesIO(_whose().encode()), mimetype="text/plain")


def _stream() -> Response:
    whose = _whose()
    return Response(stream_with_context(iter((whose,))))


def _stream_reads() -> Response:
    def stream() -> Any:
        yield _whose()

    return Response(stream_with_context(stream()))


def _set() -> str:
    session["a"] = session.get("a", 0) + 1
    return _whose()


def _new_cookie() -> str:
    session.rotate()
    return _whose()


def _delete() -> str:
    whose = _whose()
    end()
    return whose


def _both(view: Callable[[], Any]) -> Callable[[], Any]:
    """Return *view* with a change before it that sends a cookie."""

    def changing() -> Any:
        session["a"] = 1
        if "who" in session:
            session.rotate()
        return view()

    return changing


@dataclass(frozen=True)
class Use:
    """A way to use a session.

    Attributes:
        view: The request's view.
        varies: Whether its response must say that it depends on the cookie.
        sets: Whether it sets a cookie, for a user who is signed in.
        late: How many seconds after the login it comes.
        permanent: Whether sessions outlive the browser, so that their cookie is sent again now and then.
    """

    view: Callable[[], Any]
    varies: bool = True
    sets: bool = False
    late: int = 0
    permanent: bool = False


USES = {
    "noop": Use(lambda: "the same for all", varies=False),
    "noop, permanent": Use(lambda: "the same for all", varies=False, permanent=True),
    "in": Use(lambda: f"somebody: {'who' in session}"),
    "len": Use(lambda: f"somebody: {len(session) > 0}"),
    "bool": Use(lambda: f"somebody: {bool(session)}"),
    "iterate": Use(lambda: f"somebody: {'who' in list(session)}"),
    "get": Use(_whose),
    "set": Use(_set),
    "rotate": Use(_new_cookie, sets=True),
    "a cookie that is due": Use(_whose, sets=True, late=15 * 60, permanent=True),
    "make permanent": Use(_refresh, sets=True),
    "delete": Use(_delete, sets=True),
    "expired": Use(_whose, late=32 * DAY),
    "error page": Use(_error_page),
    "missing page": Use(_missing),
    "304": Use(_not_modified),
    "304 with a cookie": Use(_both(_not_modified), sets=True),
    "send_file": Use(_file),
    "send_file with a cookie": Use(_both(_file), sets=True),
    "stream": Use(_stream),
    "stream with a cookie": Use(_both(_stream), sets=True),
    "stream that reads": Use(_stream_reads),
}

#: An application's own directives for caches, as headers.
SAYS: dict[str, list[tuple[str, str]]] = {
    "nothing": [],
    "public": [("Cache-Control", "public, max-age=600")],
    "shared": [("Cache-Control", "s-maxage=600"), ("Vary", "Accept-Encoding")],
    "its own Vary": [("Vary", "Accept-Encoding ,X-Theme"), ("Vary", "X-Language"), ("Cache-Control", "max-age=600")],
    "Vary: *": [("Vary", " * "), ("Cache-Control", "max-age=600")],
}


# --- a shared cache --------------------------------------------------------------------------------------------------


class SharedCache:
    """Keeps what a shared cache may keep, and gives it to everybody for whom it may be meant."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, list[str], dict[str, str], tuple[str, list[str]]]] = []

    def visit(self, web: Web, path: str, browser: FlaskClient) -> tuple[str, list[str]]:
        """Return the body and the cookies of a response, kept or fresh."""
        asked = {"cookie": f"session={web.token(browser)}"}
        for kept_path, names, answered, answer in self._kept:
            if kept_path == path and all(asked.get(name, "") == answered.get(name, "") for name in names):
                return answer
        response = browser.get(path, buffered=True)
        answer = response.text, cookies_set(response)
        if self._may_keep(response):
            self._kept.append((path, varies(response.headers), asked, answer))
        return answer

    @staticmethod
    def _may_keep(response: TestResponse) -> bool:
        said = ",".join(response.headers.getlist("Cache-Control")).lower()
        directives = {part.partition("=")[0].strip() for part in said.split(",")}
        return not directives & {"private", "no-store", "no-cache"} and "*" not in varies(response.headers)


# --- the tests -------------------------------------------------------------------------------------------------------


def _site(web_on: WebOn, use: Use, says: str) -> tuple[Web, str]:
    web = web_on("memory://", PROPAGATE_EXCEPTIONS=False, SESSION_PERMANENT=use.permanent)

    @web.app.after_request
    def say(response: Response) -> Response:
        for header in SAYS[says]:
            if header[0] == "Cache-Control":
                response.headers.pop("Cache-Control", None)
            response.headers.add(*header)
        return response

    @web.app.errorhandler(404)
    @web.app.errorhandler(500)
    def sorry(error: Exception) -> tuple[str, int]:
        return f"sorry, {session.get('who')}", getattr(error, "code", 500)

    return web, web.path(use.view)


def _said(says: str) -> list[str]:
    return [value for name, value in SAYS[says] if name == "Vary"]


@advisory(
    "CVE-2023-30861",
    "CVE-2026-27205",
    product="Flask",
    cause="A response that only read the session, or refreshed it, did not vary by cookie.",
    mutants=[planted.counts_only_items, planted.varies_when_it_sets_only, planted.looks_at_views_only],
)
@advisory(
    "CVE-2026-35192",
    product="Django",
    cause="With the session saved on each request, a response that had not read it set a cookie and did not vary.",
    mutants=[planted.sets_cookies_everywhere],
)
@advisory(
    "CVE-2024-26144",
    "CVE-2022-24894",
    "CVE-2012-2671",
    product="Active Storage, Symfony, rack-cache",
    cause="A shared cache could store a response with a cookie, and give the cookie to all clients.",
    mutants=[lets_caches_keep_cookies, planted.adds_private_to_nothing_only],
)
@advisory(
    "CVE-2026-6907",
    "CVE-2026-48587",
    product="Django",
    cause="A Vary of `*`, or one with unusual spaces, was not recognised, and a private response was cached.",
    mutants=[planted.writes_vary_anew, planted.reads_one_vary_header],
)
@requirement(
    "ASVS 14.2.2",
    says="No shared cache gives one user's response, or cookie, to another.",
    mutants=[planted.varies_when_it_sets_only, lets_caches_keep_cookies],
)
def test_what_a_response_tells_caches(web_on: WebOn) -> None:
    """Each response that uses the session varies by cookie, and is private with a cookie; other directives stay."""
    for name, use in USES.items():
        for says in SAYS:
            web, path = _site(web_on, use, says)
            browser = signed_in(web)
            web.clock.advance(use.late)
            response = browser.get(path, buffered=True)
            case = (name, says, response.headers)
            own = _said(says)
            sent = response.headers.getlist("Vary")
            if use.varies and says != "Vary: *":
                assert sent == [", ".join([*own, "Cookie"])], case
            else:
                assert [value.strip() for value in sent] == [value.strip() for value in own], case
            assert bool(cookies_set(response)) == use.sets, case
            control = response.headers.get("Cache-Control", "")
            assert ("private" in control) == use.sets, case
            assert not (use.sets and ("public" in control or "s-maxage" in control)), case


@advisory(
    "CVE-2023-30861",
    "CVE-2026-27205",
    "CVE-2026-35192",
    product="Flask, Django",
    cause="A cache gave one user's page, or cookie, to another.",
    mutants=[
        planted.counts_only_items,
        planted.varies_when_it_sets_only,
        planted.sets_cookies_everywhere,
        planted.looks_at_views_only,
    ],
)
@advisory(
    "CVE-2024-26144",
    "CVE-2022-24894",
    "CVE-2012-2671",
    product="Active Storage, Symfony, rack-cache",
    cause="A cache stored one visitor's cookie and gave it to the next.",
    mutants=[lets_caches_keep_cookies, planted.adds_private_to_nothing_only],
)
@requirement(
    "ASVS 14.2.2",
    "ASVS 4.0 8.2.1",
    "NIST 5.1 (4)(6) protected channel",
    says="No cache between the server and its visitors serves one visitor's response to another.",
    mutants=[planted.does_not_vary, lets_caches_keep_cookies],
)
def test_a_shared_cache_mixes_nobody_up(web_on: WebOn) -> None:
    """A user, a visitor and another user behind one cache each get their own page and no other's cookie."""
    for name, use in USES.items():
        for says in SAYS:
            web, path = _site(web_on, use, says)
            cache = SharedCache()
            visitors = {user: signed_in(web, user) for user in ("ada", "bob")}
            visitors |= {f"visitor {number}": web.app.test_client() for number in (1, 2)}
            web.clock.advance(use.late)
            given: set[str] = set()
            for user, browser in visitors.items():
                body, headers = cache.visit(web, path, browser)
                others = {"ada", "bob"} - {user}
                assert not [other for other in others if other in body], (name, says, user)
                assert user in {"ada", "bob"} or "True" not in body, (name, says, user)
                fresh = {cookie for cookie in headers if not cookie.startswith("session=;")}
                assert not fresh & given, (name, says, user)
                given |= fresh
