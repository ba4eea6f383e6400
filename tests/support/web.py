"""An application whose view runs a test's function, on a store that counts and can be made to fail."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response as BaseResponse

from holdfast import events
from holdfast.flask import Session, session
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore, FailingStore, FakeClock

SIGNALS = ("created", "rotated", "bound", "ended", "gone", "rejected", "superseded", "store_unavailable")

#: A strong key.
SECRET_KEY = "made up for tests: B7u-q2Xn_fLw90Rk"

#: A token of the right form that was never issued.
STRANGER = "A" * 43

Action = Callable[[], Any]


class Browser(FlaskClient):
    """A client whose requests load pages, unless a request says otherwise in its ``Accept``."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.environ_base["HTTP_ACCEPT"] = "text/html"


class Web:
    """One application with one browser.

    *observer* gets the events, if there is one. *flask* is the class of the application.

    Attributes:
        app: The application. Its exceptions reach the test, unless ``PROPAGATE_EXCEPTIONS`` is False.
        browser: A client that keeps cookies.
        clock: The time.
        memory: Where the records are, unless *inner* makes another store, which is given the clock.
        failing: Around it, a store that can be made to fail.
        store: Around that, one that counts the calls: the application's *setting*.
        heard: The signals sent, each with its name and details.
    """

    def __init__(
        self,
        inner: Callable[[FakeClock], Any] | None = None,
        *,
        setting: str = "SESSION_STORE",
        observer: Any = None,
        flask: type[Flask] = Flask,
        **config: Any,
    ) -> None:
        self.clock = FakeClock()
        self.memory: Any = inner(self.clock) if inner else MemoryStore(clock=self.clock)
        self.failing = FailingStore(self.memory)
        self.store = CountingStore(self.failing)
        self.app = flask("shop", static_folder=None)
        self.app.test_client_class = Browser
        self.app.config.update(SECRET_KEY=SECRET_KEY, PROPAGATE_EXCEPTIONS=True, **{setting: self.store})
        self.app.config.update(config)
        self.sessions = Session(self.app, clock=self.clock, observer=observer)
        self.app.add_url_rule("/do/<int:number>", view_func=self._view, methods=["GET", "POST"])
        self.browser = self.app.test_client()
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self._receivers = [self._listen(name) for name in SIGNALS]
        self._numbers = itertools.count()
        self._actions: dict[int, Action] = {}

    def _view(self, number: int) -> Any:
        answer = self._actions[number]()
        return answer if isinstance(answer, str | Response) else "done"

    def _listen(self, name: str) -> Callable[..., None]:
        def receiver(sender: object, **details: Any) -> None:
            self.heard.append((name, details))

        getattr(events, name).connect(receiver, sender=self.app)
        return receiver

    def path(self, action: Action) -> str:
        """Return a path whose view is *action*."""
        number = next(self._numbers)
        self._actions[number] = action
        return f"/do/{number}"

    def do(self, action: Action, browser: FlaskClient | None = None, **request: Any) -> TestResponse:
        """Run *action* as the view of one request and return the response."""
        return (browser or self.browser).open(self.path(action), **request)

    def send(self, cookie: str, action: Action, **request: Any) -> TestResponse:
        """Run *action* as the view of a request whose ``Cookie`` header is *cookie*, and return the response."""
        return self.do(action, self.app.test_client(use_cookies=False), headers={"Cookie": cookie}, **request)

    def see(self, action: Action, browser: FlaskClient | None = None) -> Any:
        """Return what *action* returns when it is the view of one request."""
        seen: list[Any] = []
        self.do(lambda: seen.append(action()), browser)
        return seen[0]

    def data(self, browser: FlaskClient | None = None) -> dict[str, Any]:
        """Return all of a browser's session."""
        found: dict[str, Any] = self.see(lambda: dict(session), browser)
        return found

    def put(self, browser: FlaskClient | None = None, **values: Any) -> TestResponse:
        """Set *values* in the session of one request."""
        return self.do(lambda: session.update(values), browser)

    def calls(self, action: Action, browser: FlaskClient | None = None, **request: Any) -> dict[str, int]:
        """Return the store calls of one request, by their names."""
        self.store.reset()
        self.do(action, browser, **request)
        return dict(self.store.counts)

    def token(self, browser: FlaskClient | None = None) -> str | None:
        """Return what is in a browser's session cookie."""
        cookie = (browser or self.browser).get_cookie(self.app.config["SESSION_COOKIE_NAME"])
        return cookie.value if cookie else None

    def with_token(self, token: str | None) -> FlaskClient:
        """Return another browser, whose session cookie is *token*."""
        browser = self.app.test_client()
        if token is not None:
            browser.set_cookie(self.app.config["SESSION_COOKIE_NAME"], token)
        return browser

    def twin(self) -> FlaskClient:
        """Return another browser with the same cookie, as a second tab that sends a request of its own."""
        return self.with_token(self.token())

    def records(self) -> int:
        """Return how many live records there are, of sessions or otherwise."""
        return len(self.memory.scan(limit=1_000_000).items)

    def names(self) -> list[str]:
        """Return the names of the signals heard since the last call."""
        return [name for name, _ in self.take_heard()]

    def reasons(self, name: str = "rejected") -> list[str]:
        """Return the reasons that the signal *name* gave since the last call."""
        return [details["reason"] for heard, details in self.take_heard() if heard == name]

    def take_heard(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the signals heard since the last call."""
        heard, self.heard = self.heard, []
        return heard


def end() -> None:
    """End the session, as the view of a request."""
    session.clear()


def rotate() -> None:
    """Ask for a new token, as the view of a request."""
    session.rotate()


def cookies_set(response: BaseResponse, name: str = "session") -> list[str]:
    """Return the ``Set-Cookie`` headers for *name*."""
    return [header for header in response.headers.getlist("Set-Cookie") if header.startswith(f"{name}=")]


def attributes(header: str) -> dict[str, str | None]:
    """Return the attributes of a ``Set-Cookie`` header by lower-case name; None for one without a value.

    Fails when an attribute is given twice.
    """
    found: dict[str, str | None] = {}
    for part in header.split("; ")[1:]:
        name, equals, value = part.partition("=")
        assert name.lower() not in found, header
        found[name.lower()] = value if equals else None
    return found


def varies(headers: Headers) -> list[str]:
    """Return what the response says it varies by, in lower case."""
    return [part.strip().lower() for part in ",".join(headers.getlist("Vary")).split(",") if part.strip()]
