"""Tokens in headers, for clients that are no browsers: ``Authorization: Bearer`` in, ``Session-Token`` out.

A token in a header has another key than the same one in a cookie. So neither opens a session in the other's place, and
a script that reads what the header carries cannot make the browser's cookie of it, or the reverse.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import Flask, Request, Response, request

from holdfast.flask.cookies import NOTHING, Cookies, Presented
from holdfast.flask.headers import forbid_storing
from holdfast.records.tokens import Keys
from holdfast.sessions.state import CookieAction, SessionState

if TYPE_CHECKING:
    from holdfast.flask.settings.loading import LiveSettings
    from holdfast.sessions.manager import Manager

#: The header of a response with the client's new token; empty when its session has ended.
TOKEN = "Session-Token"  # noqa: S105  # a header's name

#: The header of a request without a token that asks for one in a header, where there are cookies too.
ASKED = "Session-Transport"

#: What signatures are for, besides the namespace. No cookie can have this name.
_SIGNED_FOR = "Authorization: Bearer"

_BEARER = re.compile(r"[ \t]*bearer(?![!#$%&'*+.^_`|~0-9a-z-])[ \t]*(.*?)[ \t]*", re.ASCII | re.IGNORECASE | re.DOTALL)


class Bearer:
    """Reads and writes the tokens of clients that send them in a header.

    Args:
        live: The settings of the application.
        manager: Its manager, of the sessions with cookies.

    Attributes:
        manager: The manager of the sessions whose tokens are in headers.
        varies: The headers of a request that its session depends on.
    """

    def __init__(self, live: LiveSettings, manager: Manager) -> None:
        settings = live.current
        keys = Keys(settings.namespace, owner_secret=settings.owner_key, carrier=b"bearer")
        self.manager = manager.with_keys(keys)
        self.varies = ("Authorization",) if settings.transport == "header" else ("Cookie", "Authorization", ASKED)
        self._alone = settings.transport == "header"
        self._values = Cookies(live, manager.has_form)

    def serves(self, request: Request) -> bool:
        """Return whether *request* has its token in a header, or wants one there. Then its cookies do not count."""
        return self._alone or _sent(request) is not None or request.headers.get(ASKED, "").lower() == "header"

    def read(self, app: Flask, request: Request) -> Presented:
        """Return the token in the request's header; a header that cannot hold one of ours is ``malformed``."""
        value = _sent(request)
        if value is None:
            return NOTHING
        return self.check(app, value) if value else Presented(reason="malformed")

    def check(self, app: Flask, value: str) -> Presented:
        """Return what *value*, the rest of the header, is."""
        return self._values.check(app, value, _SIGNED_FOR)

    def answer(self, app: Flask, state: SessionState, response: Response, action: CookieAction) -> None:
        """Give the client its new token in *response*, or an empty one to forget its own. No cache may store these.

        A 401 says what it lacks (RFC 6750 section 3, RFC 9470), unless the application does.
        """
        if action is not CookieAction.NONE:
            token = state.stored.token if action is CookieAction.SEND and state.stored is not None else None
            response.headers[TOKEN] = "" if token is None else self._values.signed(app, token, _SIGNED_FOR)
            forbid_storing(response)
        if state.opened and response.status_code == 401 and "WWW-Authenticate" not in response.headers:
            error = ' error="invalid_token"' if state.stored is None else ' error="insufficient_user_authentication"'
            response.headers["WWW-Authenticate"] = f"Bearer{'' if _sent(request) is None else error}"


def _sent(request: Request) -> str | None:
    """Return what follows ``Bearer`` in the request's header, or None without this scheme."""
    found = _BEARER.fullmatch(request.environ.get("HTTP_AUTHORIZATION", ""))
    return found[1] if found else None
