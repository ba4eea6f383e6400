"""A client of an API: it keeps its token itself and sends it in a header."""

from __future__ import annotations

from typing import Any

from support.web import Action, Web
from werkzeug.test import TestResponse

from holdfast.flask import session


class ApiClient:
    """A client of *web*'s application, without cookies unless *cookie* gives one.

    Attributes:
        token: What it sends, or None.
        response: The last one it got.
    """

    def __init__(self, web: Web, token: str | None = None, *, cookie: str | None = None) -> None:
        self.web, self.token, self.cookie = web, token, cookie
        self.response: TestResponse | None = None

    def do(self, action: Action, **headers: str) -> TestResponse:
        """Run *action* as the view of one request, and keep the token that comes back."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if self.cookie is not None:
            sent["Cookie"] = f"session={self.cookie}"
        browser = self.web.app.test_client(use_cookies=False)
        self.response = response = self.web.do(action, browser, headers=sent)
        given = response.headers.get("Session-Token")
        if given is not None:
            self.token = given or None
        return response

    def see(self, action: Action, **headers: str) -> Any:
        """Return what *action* returns when it is the view of one request."""
        seen: list[Any] = []
        self.do(lambda: seen.append(action()), **headers)
        return seen[0]

    def sign_in(self, user: str = "ada") -> ApiClient:
        """Sign in, and return the client."""
        self.do(lambda: session.bind(user), Session_Transport="header")
        return self

    @property
    def is_in(self) -> bool:
        """Whether a user is signed in."""
        return self.see(lambda: session.owner) is not None
