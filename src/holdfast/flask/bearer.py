"""Tokens in headers, for clients that are no browsers: ``Authorization: Bearer`` in, ``Session-Token`` out.

A token in a header has another key than the same one in a cookie. So neither opens a session in the other's place, and
a script that reads what the header carries cannot make the browser's cookie of it, or the reverse.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import Flask, Request, Response

from holdfast.flask.carrier import NOTHING, Presented
from holdfast.flask.cookies import Cookies
from holdfast.flask.headers import forbid_storing
from holdfast.flask.remember_me import hide, withhold
from holdfast.records.tokens import Keys
from holdfast.sessions.state import REMEMBER, SessionState

if TYPE_CHECKING:
    from holdfast.flask.settings.loading import LiveSettings
    from holdfast.sessions.manager import Manager
    from holdfast.sessions.requests import Requests

#: The header of a response with the client's new token; empty when its session has ended.
TOKEN = "Session-Token"  # noqa: S105  # a header's name

#: The header of a request without a token that asks for one in a header, where there are cookies too.
ASKED = "Session-Transport"

#: The purpose of signatures, besides the namespace. No cookie can have this name.
_SIGNED_FOR = "Authorization: Bearer"

_BEARER = re.compile(r"[ \t]*bearer(?![!#$%&'*+.^_`|~0-9a-z-])(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)


class Bearer:
    """The header as a `Carrier`, for clients that send their tokens there. *manager* is that of sessions in cookies."""

    def __init__(self, live: LiveSettings, manager: Manager) -> None:
        settings = live.current
        keys = Keys(settings.namespace, owner_secret=settings.owner_key, carrier=b"bearer")
        self.manager: Requests = manager.for_headers(keys)
        self._alone = settings.transport == "header"
        self.varies: tuple[str, ...] = ("Authorization",) if self._alone else ("Cookie", "Authorization", ASKED)
        self._values = Cookies(live, manager)

    def serves(self, request: Request) -> bool:
        """Return whether *request* has its token in a header, or wants one there. Then its cookies do not count."""
        return self._alone or _sent(request) is not None or request.headers.get(ASKED, "").lower() == "header"

    def read(self, app: Flask, request: Request) -> Presented:
        """Return the token in the request's header; a header that cannot hold one of ours is ``malformed``."""
        value = _sent(request)
        if value is None:
            return NOTHING
        found = self._values.check(app, value, _SIGNED_FOR) if value else Presented(reason="malformed")
        return found._replace(final=True)

    def token_in(self, app: Flask, value: str) -> str | None:
        """Return the token in *value*, the rest of the header, or None."""
        return self._values.check(app, value, _SIGNED_FOR).token

    def send(self, app: Flask, _: Request, response: Response, token: str, *, lifetime: int | None) -> None:  # noqa: ARG002
        """Give the client *token* in *response*, which no cache may store. A client keeps it as long as it likes."""
        response.headers[TOKEN] = self._values.signed(app, token, _SIGNED_FOR)
        forbid_storing(response)

    def delete(self, _request: Request, response: Response) -> None:
        """Give the client an empty token, to forget its own."""
        response.headers[TOKEN] = ""
        forbid_storing(response)

    def challenge(self, request: Request, response: Response, state: SessionState) -> None:
        """Say in a 401 what it lacks (RFC 6750 section 3, RFC 9470), unless the application does."""
        if "WWW-Authenticate" not in response.headers:
            error = ' error="invalid_token"' if state.stored is None else ' error="insufficient_user_authentication"'
            response.headers["WWW-Authenticate"] = f"Bearer{'' if _sent(request) is None else error}"

    def admit_remembered(self, app: Flask, request: Request, _state: SessionState) -> None:
        """Hide the remember-me cookie from Flask-Login."""
        hide(app, request)

    def mark_remembered(self, app: Flask, _request: Request, response: Response, state: SessionState) -> None:
        """Withhold from the client what Flask-Login sets of a remember-me cookie."""
        if REMEMBER in state.changes.assigned:
            withhold(app, response)

    def keep_remembered(self, app: Flask, request: Request, response: Response, state: SessionState) -> None:
        """Do nothing: no remember-me cookie is of this client."""


def _sent(request: Request) -> str | None:
    """Return what follows ``Bearer`` in the request's header, or None without this scheme."""
    found = _BEARER.fullmatch(request.environ.get("HTTP_AUTHORIZATION", ""))
    return found[1].strip(" \t") if found else None  # a pattern that left the spaces out would take quadratic time
