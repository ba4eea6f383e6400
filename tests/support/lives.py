"""Sessions that go through all that sessions go through, and the tokens that were handed out on the way."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from flask.testing import FlaskClient
from support.web import STRANGER, Web, cookies_set, end, rotate

from holdfast.flask import session
from holdfast.stores.contract import Indexes

#: Settings under which `lead` sees everything: tokens are renewed, and errors become pages.
EVENTFUL = {"SESSION_RENEWAL_INTERVAL": 3600, "PROPAGATE_EXCEPTIONS": False}


class Lives:
    """The sessions of a few browsers, with *canary* in each of them.

    Attributes:
        issued: Every token that a response carried.
        bodies: All that the responses said, without their cookies.
    """

    def __init__(self, web: Web, canary: str) -> None:
        self.web = web
        self.canary = canary
        self.issued: list[str] = []
        self.bodies: list[str] = []

    def do(self, action: Any, browser: FlaskClient | None = None, **request: Any) -> None:
        """Run a request, and take note of its answer."""
        response = self.web.do(action, browser, **request)
        for header in cookies_set(response):
            value = header.partition("=")[2].partition(";")[0].partition(".")[0]
            self.issued += [value] if value else []
        kept = [(name, value) for name, value in response.headers if name != "Set-Cookie"]
        self.bodies.append(f"{response.status} {kept} {response.text}")

    def lead(self) -> None:
        """Make, change, rotate, renew, bind, merge and end sessions, meet bad ones, and lose the store for a moment."""
        web, shopper = self.web, self.web.browser
        self.do(lambda: session.update(note=self.canary))
        self.do(rotate)
        self.do(lambda: session.bind("ada"))
        self.do(lambda: session.update(cart=[self.canary]))
        self.do(lambda: repr(session) * 0 + str(session.handle))
        self.do(self._overtaken)
        for view in (lambda: session.bind("ada"), end):
            guest = web.app.test_client()
            self.do(lambda: session.update(note=self.canary), guest)
            self.do(view, guest)
        self._revoke(web.app.test_client())
        for cookie in (STRANGER, "not a token", f"{STRANGER}; session={STRANGER[:-1]}Q"):
            self.do(
                lambda: session.get("a"),
                web.app.test_client(use_cookies=False),
                headers={"Cookie": f"session={cookie}"},
            )
        with web.failing.outage():
            self.do(lambda: session.get("note"), web.twin())
        web.clock.advance(3601)
        self.do(lambda: session.get("note"), shopper)  # renewed: the old token leads on for a while

    def _overtaken(self) -> None:
        session["mine"] = self.canary
        self.web.put(self.web.twin(), theirs=self.canary)

    def _revoke(self, browser: FlaskClient) -> None:
        sessions = self.web.sessions
        self.do(lambda: session.bind("eve"), browser)
        self.do(lambda: str([sessions.get(session.handle or "")]), browser)
        if Indexes in sessions.manager.context.capabilities:
            self.do(lambda: str(sessions.of("ada")), browser)
            sessions.revoke_all("eve")
        self.do(lambda: session.get("a"), browser)

    def leaks_in(self, text: bytes) -> Iterator[str]:
        """Yield each token that *text* holds in some spelling."""
        for token in self.issued:
            if any(spelling in text for spelling in spellings(token)):
                yield token


def spellings(token: str) -> list[bytes]:
    """Return what a token may look like where it should not be: as it is, and its bytes raw, in hex and in base64."""
    raw = base64.urlsafe_b64decode(token + "=")
    return [token.encode(), raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b64encode(raw).rstrip(b"=")]
