"""An application that is sent what no browser sends."""

from __future__ import annotations

from typing import Any

from flask import Flask
from support.web import SECRET_KEY
from werkzeug.test import EnvironBuilder, run_wsgi_app

from holdfast.flask import Session, session
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore


class Target:
    """An application with one session that an attacker's raw ``Cookie`` header is sent to."""

    def __init__(self, **config: Any) -> None:
        self.memory = MemoryStore()
        self.store = CountingStore(self.memory)
        self.app = Flask("target", static_folder=None)
        self.app.config.update(SECRET_KEY=SECRET_KEY, SESSION_STORE=self.store, PROPAGATE_EXCEPTIONS=True)
        self.app.config.update(config)
        Session(self.app)
        self.app.add_url_rule("/me", "me", lambda: str(session.get("user")))
        self.app.add_url_rule("/set", "set", self._set)
        browser = self.app.test_client()
        browser.get("/set")
        cookie = browser.get_cookie("session")
        assert cookie is not None
        self.token = cookie.value
        self.before = self.records()

    @staticmethod
    def _set() -> str:
        session["user"] = "victim"
        return "done"

    def records(self) -> list[Any]:
        """Return every live record."""
        return sorted(self.memory.scan(limit=1_000_000).items, key=lambda item: item[0])

    def send(self, header: str | bytes, path: str = "/me") -> tuple[int, str, list[str]]:
        """Send *header* as a WSGI server would pass it on; return the status, the body and the cookies set."""
        raw = header.encode() if isinstance(header, str) else header
        environ = EnvironBuilder(path).get_environ()
        environ["HTTP_COOKIE"] = raw.decode("latin-1")
        body, status, headers = run_wsgi_app(self.app, environ, buffered=True)
        return int(status[:3]), b"".join(body).decode(), headers.getlist("Set-Cookie")

    def assert_nobody(self, header: str | bytes, *, calls: int = 0) -> None:
        """Assert that *header* opens no session, costs at most *calls* loads, and does not change the store."""
        self.store.reset()
        assert self.send(header) == (200, "None", []), header
        assert self.store.counts["load"] <= calls, header
        assert set(self.store.counts) <= {"load"}, header
        assert self.records() == self.before
