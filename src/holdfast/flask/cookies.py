"""The session cookie: reading it from a request, sending it in a response, and the directives for caches."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from flask import Flask, Request, Response
from itsdangerous import Signer
from werkzeug.http import dump_cookie, http_date
from werkzeug.wrappers import Response as BaseResponse

from holdfast.clock import SECOND
from holdfast.flask.carrier import NOTHING, Presented
from holdfast.flask.remember_me import forget_if_ended, keep, recognise, stamp
from holdfast.flask.settings.cookie_rules import LARGEST, demands_of
from holdfast.flask.settings.loading import CookieSettings, LiveSettings
from holdfast.flask.settings.secret_keys import check, signing_keys
from holdfast.records.tokens import labelled
from holdfast.sessions.policy import LONGEST_COOKIE
from holdfast.sessions.requests import Requests
from holdfast.sessions.state import FRESH, REMEMBER, SessionState

_LONGEST = LONGEST_COOKIE // SECOND
_OVER = "; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0"

#: How many different values are looked up. Of more, none is the session: which ones were planted, no order tells.
_MOST = 4

#: Directives that let a shared cache store a response.
_SHARED = {"public", "s-maxage", "proxy-revalidate"}

#: Directives that prevent it.
_NOT_SHARED = {"private", "no-store"}


def signing_salt(namespace: str, name: str) -> bytes:
    """Return the salt of signatures: they are valid only in one namespace and for one cookie *name*."""
    return labelled(b"holdfast session token", namespace.encode(), name.encode())


class Cookies:
    """The session cookie of an application as a `Carrier`, by Flask's current settings.

    With ``SESSION_USE_SIGNER`` the token carries a signature made with ``SECRET_KEY``, for the application's namespace.

    Attributes:
        read_old: Returns what a value stands for that was a cookie before, while such sessions are taken over, or None.
    """

    varies: tuple[str, ...] = ("Cookie",)

    def __init__(self, live: LiveSettings, manager: Requests) -> None:
        self.manager = manager
        self._live = live
        self._has_form = manager.has_form
        self.read_old: Callable[[Flask, str], str | None] | None = None
        self._checked: list[str | bytes] = []

    def read(self, app: Flask, request: Request) -> Presented:
        """Return the values of the request's cookie that can be this application's.

        Those of an old name count if there are none of the present one.
        """
        header = request.environ.get("HTTP_COOKIE")
        if header is None:
            return NOTHING
        cookie = self._live.current.cookie
        found = self._find(app, header, cookie.name)
        for name in cookie.old_names:
            if found.token is not None or found.reason == "ambiguous_cookie":
                break
            old = self._find(app, header, name)
            found = old._replace(stale=True) if old.token is not None else found
        return found

    def _find(self, app: Flask, header: str, name: str) -> Presented:
        """Return the values of the cookie *name*; a reason only if none of them can be this application's."""
        found = [self.check(app, value, name) for value in _values(header, name)]
        if "," in header and not demands_of(name) and not any(each.token for each in found):
            found += [self.check(app, value, name) for value in _values(_JOINT.sub("; ", header), name)]
        if len(found) <= 1:
            return found[0] if found else NOTHING
        ours = {each.token: each for each in found if each.token is not None}
        if not ours:
            return next((each for each in found if each.reason), NOTHING)
        if len(ours) > _MOST:
            return Presented(reason="ambiguous_cookie")
        token, *others = ours
        return Presented(token, stale=any(each.stale for each in ours.values()), others=tuple(others))

    def token_in(self, app: Flask, value: str) -> str | None:
        """Return the token in *value*, that of a session cookie, or None."""
        return self.check(app, value, self._live.current.cookie.name).token

    def check(self, app: Flask, value: str, name: str) -> Presented:
        """Return what one *value* of the cookie *name* is."""
        if not value:
            return NOTHING
        if len(name) + len(value) > LARGEST:
            return Presented(reason="too_long")
        if self._live.current.use_signer:
            found = self._unsign(app, value, name)
        else:
            found = Presented(value) if self._has_form(value) else Presented(reason="malformed")
        if self.read_old is not None and found.token is None:
            old_id = self.read_old(app, value)
            return found if old_id is None else Presented(old_id)
        return found

    def _unsign(self, app: Flask, value: str, name: str) -> Presented:
        token = value.partition(".")[0]
        if not self._has_form(token):
            return Presented(reason="malformed")
        for age, signer in enumerate(self._signers(app, name)):
            # Signing again and comparing the whole value accepts one spelling of a signature, where decoding accepts
            # several.
            if hmac.compare_digest(_sign(signer, token).encode(), value.encode()):
                return Presented(token, stale=age > 0)
        return Presented(reason="bad_signature")

    def send(self, app: Flask, request: Request, response: Response, token: str, *, lifetime: int | None) -> None:
        """Set the cookie with *token* on *response*, for *lifetime* seconds or, if None, until the browser closes."""
        cookie, value = self._live.current.cookie, self.signed(app, token)
        for misfit in _misfits(cookie, request):
            self._live.warn_once(misfit)
        seconds = None if lifetime is None else min(lifetime, _LONGEST)
        if type(response).set_cookie is BaseResponse.set_cookie:
            life = "" if seconds is None else f"; Expires={http_date(time.time() + seconds)}; Max-Age={seconds}"
            response.headers.add("Set-Cookie", f"{cookie.name}={value}{life}{_attributes(cookie)}")
        else:
            response.set_cookie(cookie.name, value, max_age=seconds, **_options(cookie))
        self._delete_old(request, response)

    def signed(self, app: Flask, token: str, name: str | None = None) -> str:
        """Return *token* as the cookie *name* holds it, by default the session's: signed, if the settings say so."""
        return _sign(self._signers(app, name)[0], token) if self._live.current.use_signer else token

    def delete(self, request: Request, response: Response) -> None:
        """Delete the cookie. The deletion has the cookie's attributes, or browsers ignore it."""
        cookie = self._live.current.cookie
        _delete(cookie, cookie.name, response)
        self._delete_old(request, response)

    def _delete_old(self, request: Request, response: Response) -> None:
        cookie = self._live.current.cookie
        for name in cookie.old_names:
            if name != cookie.name and name in request.cookies:
                _delete(cookie._replace(**demands_of(name)), name, response)

    def challenge(self, request: Request, response: Response, state: SessionState) -> None:
        """Do nothing: HTTP has no challenge for cookies."""

    def admit_remembered(self, app: Flask, request: Request, state: SessionState) -> None:
        """Make Flask-Login ignore and delete a remember-me cookie that was issued before its user's sessions ended."""
        if state.stored is None or state.stored.owner is None:
            forget_if_ended(app, request, state, self.manager)

    def mark_remembered(self, app: Flask, request: Request, response: Response, state: SessionState) -> None:
        """Give a remember-me cookie the time of its issue, and note which browser one signs in."""
        if REMEMBER in state.changes.assigned:
            stamp(app, response, state, self.manager)
        if state.changes.signs_in and not state.data.get(FRESH, True):
            recognise(app, request, state, self.manager)

    def keep_remembered(self, app: Flask, request: Request, response: Response, state: SessionState) -> None:
        """Let the remember-me cookie of this browser be younger than the end of its user's other sessions."""
        keep(app, request, response, state, self.manager)

    def check_keys(self, app: Flask) -> None:
        """Refuse weak or missing signing keys, once for each set of keys."""
        self._signers(app)

    def _signers(self, app: Flask, name: str | None = None) -> list[Signer]:
        keys = signing_keys(app)
        if keys != self._checked and not app.debug:
            check(app, keys)
            self._checked = keys
        settings = self._live.current
        salt = signing_salt(settings.namespace, name or settings.cookie.name)
        return [Signer(key, salt=salt, key_derivation="hmac") for key in keys]


def _misfits(cookie: CookieSettings, request: Request) -> Iterator[str]:
    """Yield why a browser would not accept *cookie* from *request*, or not send it back to the same URL."""
    if cookie.secure and not request.is_secure:
        yield (
            "a session cookie with Secure was sent over plain http, where browsers drop it. Serve the application over"
            " https; behind a proxy that does, use werkzeug.middleware.proxy_fix.ProxyFix"
        )
    host = request.headers.get("Host", "").lower() if cookie.domain else ""
    if cookie.domain and not f".{host.rpartition(':')[0] or host}".endswith(f".{cookie.domain.lower()}"):
        yield (
            f"a session cookie with the Domain {cookie.domain!r} was sent to a host outside of it, where browsers drop"
            " it: correct or unset SESSION_COOKIE_DOMAIN"
        )
    path = cookie.path or cookie.root
    if path != "/" and not f"{request.script_root}{request.path}/".startswith(f"{path.rstrip('/')}/"):
        yield (
            f"a session cookie with the Path {path!r} was sent for a URL outside of it, where browsers do not send it"
            " back: correct SESSION_COOKIE_PATH or APPLICATION_ROOT; behind a proxy that removes this path from URLs,"
            " use werkzeug.middleware.proxy_fix.ProxyFix with x_prefix=1"
        )


#: Several Cookie headers of HTTP/2 reach WSGI as one, joined by commas. A value may have a comma in it, too: so another
#: host of the domain could set a cookie that its name's prefix protects. No comma separates a cookie with a prefix.
_JOINT = re.compile(r",[ \t]*(?=[!#$%&'*+.^_`|~0-9A-Za-z-]+=)")

#: A quoted value may have a semicolon in it, so text like our cookie may be part of another one's value.
_QUOTED = re.compile(r'=[ \t]*"(?:[^"\\]|\\.)*"[ \t]*(?=;|$)')


def _values(header: str, name: str) -> Iterable[str]:
    """Return the different values of *name* in a Cookie header, without the spaces around them."""
    return dict.fromkeys(_found(_QUOTED.sub('=""', header) if '"' in header else header, name))


def _found(header: str, name: str) -> list[str]:
    begin = f"{name}="
    return [
        pair.strip(" \t").removeprefix(begin)
        for pair in header.split(";")
        if begin in pair and pair.lstrip(" \t").startswith(begin)
    ]


def _sign(signer: Signer, token: str) -> str:
    return signer.sign(token).decode()


@lru_cache
def _attributes(cookie: CookieSettings) -> str:
    """Return the attributes as they follow a value, which needs no quotes: it is of base64url and full stops."""
    return dump_cookie("", **_options(cookie))[1:]


def _options(cookie: CookieSettings) -> dict[str, Any]:
    """Return the attributes as Werkzeug's functions take them."""
    options = {
        "domain": cookie.domain,
        "path": cookie.path or cookie.root,
        "secure": cookie.secure,
        "httponly": cookie.httponly,
        "samesite": cookie.samesite,
    }
    return {**options, "partitioned": True} if cookie.partitioned else options


def _delete(cookie: CookieSettings, name: str, response: Response) -> None:
    """Delete the cookie *name*: by the methods of the application's own class of responses, if it has them."""
    kind = type(response)
    if kind.set_cookie is BaseResponse.set_cookie and kind.delete_cookie is BaseResponse.delete_cookie:
        response.headers.add("Set-Cookie", f"{name}={_OVER}{_attributes(cookie)}")
    else:
        response.delete_cookie(name, **_options(cookie))


def vary_by(response: BaseResponse, *headers: str) -> None:
    """Add *headers* of the request to the Vary of *response*, after the application's own."""
    values = response.headers.getlist("Vary")
    if not values:
        response.headers.add("Vary", ", ".join(headers))
        return
    said = [value for value in values if value.strip()]
    names = _names(said)
    # "*" includes all, but nginx and Varnish recognise it only if it stands alone.
    if names != ["*"]:
        # One header, since nginx reads only one.
        missing = [header for header in headers if header.lower() not in names]
        response.headers.set("Vary", ", ".join([*said, *missing]))


def keep_private(response: BaseResponse) -> None:
    """Keep shared caches from storing *response*, which sets our cookie; other directives of the application stay."""
    said = [value for value in response.headers.getlist("Cache-Control") if value.strip()]
    if not _NOT_SHARED.intersection(_names(said)):
        kept = [part.strip() for value in said for part in value.split(",") if _names([part])[0] not in _SHARED]
        response.headers.set("Cache-Control", ", ".join([*kept, "private"]))


def _names(values: list[str]) -> list[str]:
    return [part.partition("=")[0].strip().lower() for value in values for part in value.split(",")]
