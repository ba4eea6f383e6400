"""The application that the security requirements are tried on, over HTTP, and the browsers that visit it.

============================= =========================================================================================
``GET /noop``                 never touches the session
``GET /peek``                 whether ``u`` is in the session
``GET /poll``                 the same, as a page asks in the background
``GET /me``                   the user, the counter ``n`` and the handle
``POST /login`` *u*           binds the session; ``how=key`` only sets Flask-Login's key; ``slow`` is as in ``/slow``
``POST /logout``              ends the session
``POST /set`` *k* *v*         sets a key
``POST /inc``                 adds one to ``n`` and returns it
``GET /slow``                 loads the session, lets `Site.meanwhile` happen, and sets ``slow``
``POST /rotate``              asks for a new token
``POST /sudo``                the user proves who they are again
``GET /secret``               needs a proof of the last five minutes
``POST /pay``                 needs a proof of its own
``POST /redeem``              gives what is under ``v`` out once
``POST /alone``               a new token, and an end to all other sessions of the user
``GET /sessions``             the handles of the user's sessions
``POST /sessions/H/revoke``   ends one of them; 404 for anybody else's
``POST /users/U/revoke-all``  ends all of a user's
``GET /error``                raises after it changed the session
``GET /stream``               the user, twice, in a stream
``/ws``                       a WebSocket that answers with the user while the session lives
============================= =========================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from blinker import Signal
from flask import Flask, Response, abort, jsonify, request, stream_with_context
from support.keyspace import scanned
from support.web import SECRET_KEY
from werkzeug.test import TestResponse

from holdfast import events
from holdfast.clock import Clock, system_clock
from holdfast.errors import DecodeError
from holdfast.flask import Session, require_fresh, session
from holdfast.records.envelope import Cutoff, Tombstone, Vouched, decode
from holdfast.stores.contract import Closes, Iterates, Store
from holdfast.stores.registry import open_store
from holdfast.testing import CountingStore, FakeClock

#: Where the application is, as its visitors see it.
BASE = "https://shop.example/"


def application(
    store: str | Store,
    *,
    clock: Clock = system_clock,
    meanwhile: Callable[[], object] = lambda: None,
    proxy: Callable[[Any], Any] | None = None,
    **config: Any,
) -> Flask:
    """Return the application on *store*, a URL or a store, with the settings *config*.

    *meanwhile* is called by ``/slow`` between its load and its save; *proxy* is put around the WSGI application.
    """
    app = Flask("shop", static_folder=None)
    app.config.update({"SECRET_KEY": SECRET_KEY, "SESSION_STORE": store, **config})
    sessions = Session(app, clock=clock)
    _identity(app, meanwhile)
    _privileges(app)
    _data(app, meanwhile)
    _devices(app, sessions)
    if app.config.get("TESTING_WEBSOCKET"):
        _websocket(app)
    if proxy is not None:
        app.wsgi_app = proxy(app.wsgi_app)  # type: ignore[method-assign]
    return app


def _identity(app: Flask, meanwhile: Callable[[], object]) -> None:
    @app.get("/me")
    def me() -> Response:
        answer = jsonify(user=session.get("u"), n=session.get("n", 0), handle=session.handle)
        answer.add_etag()
        return answer.make_conditional(request)  # type: ignore[return-value]

    @app.post("/login")
    def login() -> Response:
        user = request.form["u"]
        if "slow" in request.form:
            meanwhile()
        if request.form.get("how") == "key":
            session["_user_id"] = user
        else:
            session.bind(user)
        session["u"] = user
        return jsonify(user=user)

    @app.post("/logout")
    def logout() -> Response:
        session.clear()
        return jsonify(user=None)


def _privileges(app: Flask) -> None:
    @app.post("/rotate")
    def rotate() -> Response:
        session.rotate()
        return jsonify(user=session.get("u"))

    @app.post("/sudo")
    def sudo() -> Response:
        if "u" not in session:
            abort(401)
        session.bind(session["u"])
        return jsonify(user=session["u"])

    @app.get("/secret")
    @require_fresh(300)
    def secret() -> str:
        return "secret"

    @app.post("/pay")
    @require_fresh(0)
    def pay() -> str:
        return "paid"


def _data(app: Flask, meanwhile: Callable[[], object]) -> None:
    @app.route("/noop", methods=["GET", "POST"])
    def noop() -> str:
        return "ok"

    @app.get("/peek")
    def peek() -> Response:
        return jsonify("u" in session)

    @app.get("/poll")
    def poll() -> Response:
        session.background = True
        return jsonify("u" in session)

    @app.post("/set")
    def set_() -> Response:
        session[request.form["k"]] = request.form["v"]
        return jsonify(data=dict(session))

    @app.post("/inc")
    def inc() -> Response:
        return jsonify(n=session.apply("n", lambda n: n + 1, default=0))

    @app.post("/redeem")
    def redeem() -> Response:
        return jsonify(session.pop_once("v", None))

    @app.get("/slow")
    def slow() -> Response:
        user = session.get("u")
        meanwhile()
        session["slow"] = True
        return jsonify(user=user)

    @app.get("/error")
    def error() -> Response:
        session["half"] = "done"
        raise RuntimeError("the view failed")

    @app.get("/stream")
    def stream() -> Response:
        return Response(stream_with_context(f"{session.get('u')}\n" for _ in range(2)), mimetype="text/plain")


def _devices(app: Flask, sessions: Session) -> None:
    @app.get("/sessions")
    def list_() -> Response:
        return jsonify([info.handle for info in sessions.of(session["u"])])

    @app.post("/sessions/<handle>/revoke")
    def revoke(handle: str) -> Response:
        if handle not in {info.handle for info in sessions.of(session["u"])}:
            abort(404)
        return jsonify(sessions.revoke(handle))

    @app.post("/users/<user>/revoke-all")
    def revoke_all(user: str) -> Response:
        return jsonify(sessions.revoke_all(user))

    @app.post("/alone")
    def alone() -> Response:
        return jsonify(session.revoke_others())


def _websocket(app: Flask) -> None:
    from flask_sock import Sock

    @Sock(app).route("/ws")  # type: ignore[untyped-decorator]
    def ws(socket: Any) -> None:
        user = session.get("u")
        while True:
            socket.receive()
            if not session.still_valid():
                return
            socket.send(user)


class Witness(CountingStore):
    """Counts the calls, and notes the key of every record that is made."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.keys: set[str] = set()

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Note the new key of a ``create`` or a ``move``."""
        if operation in {"create", "move"}:
            first = call.args[0]  # type: ignore[attr-defined]
            self.keys.add(first.new if operation == "move" else first)
        return super().around(operation, call)


class Site:
    """One process of the application, with what a test looks at.

    Args:
        place: The URL of the store, or a store. ``cookie://`` for none.
        clock: The time.
        client_side: Keep the sessions in the cookie, and only revocations in the store.
        config: The settings.

    Attributes:
        app: The application. Its exceptions become responses, as they do for visitors.
        clock: The time, which stands still by default.
        inner: The store.
        store: Around it, what the application is given: it counts the calls.
        meanwhile: The action in the middle of ``/slow``.
        heard: The signals sent, each with its name and details.
        cookies_seen: Every ``Set-Cookie`` header that was sent.
    """

    def __init__(
        self, place: str | Store, *, clock: FakeClock | None = None, client_side: bool = False, **config: Any
    ) -> None:
        self.clock = clock or FakeClock()
        self.place, self._config = place, {**config, "client_side": client_side}
        if place == "cookie://":
            config["SESSION_STORE"], place = place, "memory://"
        self.inner = open_store(place, clock=self.clock) if isinstance(place, str) else place
        self.memory = self.inner  # as `support.dumps` calls it
        self.store = Witness(self.inner)
        if client_side:
            config.update(SESSION_STORE="cookie://", SESSION_REVOCATION_STORE=self.store)
        self.meanwhile: Callable[[], object] = lambda: None
        self.app = application(self.store, clock=self.clock, meanwhile=self._meanwhile, **config)
        self.sessions: Session = self.app.extensions["holdfast"]
        self.cookies_seen: list[str] = []
        self._workers: list[Site] = []
        self.heard: list[tuple[str, dict[str, Any]]] = []
        signals = {name: value for name, value in vars(events).items() if isinstance(value, Signal)}
        self._receivers = [self._listen(name, signal) for name, signal in signals.items()]

    def _listen(self, name: str, signal: Signal) -> Callable[..., None]:
        def receiver(sender: object, **details: Any) -> None:
            self.heard.append((name, details))

        signal.connect(receiver, sender=self.app)
        return receiver

    def _meanwhile(self) -> None:
        self.meanwhile()

    @property
    def cookie_name(self) -> str:
        """The name of the session cookie."""
        return str(self.app.config["SESSION_COOKIE_NAME"])

    def jar(self, token: str | None = None, **cookies: str) -> Jar:
        """Return a browser, whose session cookie is *token*."""
        if token is not None:
            cookies[self.cookie_name] = token
        return Jar(self, cookies)

    def jars(self, user: str, number: int) -> list[Jar]:
        """Return *number* browsers in which *user* has signed in."""
        made = [self.jar() for _ in range(number)]
        for jar in made:
            jar.login(user)
        return made

    def worker(self, **config: Any) -> Site:
        """Return another process of the same application, on the same store, with *config* on top."""
        place = self.place if isinstance(self.place, str) and not self.place.startswith("memory:") else self.inner
        worker = Site(place, clock=self.clock, **{**self._config, **config})
        self._workers.append(worker)
        return worker

    def records(self) -> dict[str, bytes]:
        """Return what every live record holds, by its key, as a look into the store beside the application shows it."""
        if isinstance(self.inner, Iterates):
            return {key: record.data for key, record in scanned(self.inner).items()}
        found = {key: self.inner.load(key) for key in self.store.keys}
        return {key: record.data for key, record in found.items() if record is not None}

    def count(self) -> int:
        """Return how many live sessions the store holds."""
        return sum(map(_is_session, self.records().values()))

    def rewrite(self, key: str, data: bytes, *, expires_at: int | None = None) -> None:
        """Put *data* into the record under *key*, as somebody does who can write to the store."""
        record = self.inner.load(key)
        assert record is not None
        self.inner.replace(
            key, data, expect=record.version, expires_at=expires_at or record.expires_at, owner=record.owner
        )

    @contextmanager
    def calls(self) -> Iterator[dict[str, int]]:
        """Count the store calls inside the block, by name."""
        self.store.reset()
        counts: dict[str, int] = {}
        yield counts
        counts.update(self.store.counts)

    def reasons(self) -> list[str]:
        """Return why cookies were not accepted since the last call of this or of `names`."""
        return [details["reason"] for name, details in self._take() if name == "rejected"]

    def names(self) -> list[str]:
        """Return the names of the signals since the last call of this or of `reasons`."""
        return [name for name, _ in self._take()]

    def _take(self) -> list[tuple[str, dict[str, Any]]]:
        heard, self.heard = self.heard, []
        return heard

    def close(self) -> None:
        """Close the store, and those of the other processes."""
        for worker in self._workers:
            worker.close()
        if isinstance(self.inner, Closes):
            self.inner.close()


def _is_session(data: bytes) -> bool:
    try:
        return not isinstance(decode(data), Tombstone | Cutoff | Vouched)
    except DecodeError:
        return True


class Jar:
    """A browser as far as cookies go. It ignores how long a cookie is meant to live, as a thief does.

    Attributes:
        cookies: The cookies it sends, by name.
    """

    def __init__(self, site: Site, cookies: dict[str, str]) -> None:
        self.site = site
        self.cookies = cookies

    @property
    def token(self) -> str | None:
        """The value of the session cookie, or None."""
        return self.cookies.get(self.site.cookie_name)

    def at(self, site: Site) -> Jar:
        """Return a copy of this browser that visits another process or application."""
        return Jar(site, dict(self.cookies))

    def copy(self) -> Jar:
        """Return a browser with the same cookies."""
        return self.at(self.site)

    def open(self, method: str, path: str, *, base_url: str = BASE, **request: Any) -> TestResponse:
        """Send a request and keep the cookies of its response."""
        headers = {"Accept": "text/html", **request.pop("headers", {})}
        if self.cookies and "Cookie" not in headers:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        client = self.site.app.test_client(use_cookies=False)
        response = client.open(path, method=method, base_url=base_url, headers=headers, buffered=True, **request)
        for header in response.headers.getlist("Set-Cookie"):
            self.site.cookies_seen.append(header)
            name, _, rest = header.partition("=")
            self.cookies[name] = rest.partition(";")[0]
            if "max-age=0" in header.lower().split("; "):
                del self.cookies[name]
        return response

    def get(self, path: str, **request: Any) -> TestResponse:
        """Send a GET request."""
        return self.open("GET", path, **request)

    def post(self, path: str, **form: str) -> TestResponse:
        """Send a POST request with *form*."""
        return self.open("POST", path, data=form)

    def login(self, user: str, **form: str) -> TestResponse:
        """Sign in."""
        return self.post("/login", u=user, **form)

    def told(self, path: str, **request: Any) -> Any:
        """Return the JSON that the application answers to a GET request, which must succeed."""
        return said(self.get(path, **request))

    def me(self) -> str | None:
        """Return who the application takes this browser for."""
        user: str | None = self.told("/me")["user"]
        return user

    def inc(self) -> int:
        """Return what the counter is after one more."""
        number: int = said(self.post("/inc"))["n"]
        return number

    def sessions(self) -> list[str]:
        """Return the handles that the application shows to the user of this browser."""
        handles: list[str] = self.told("/sessions")
        return handles


def said(response: TestResponse) -> Any:
    """Return the JSON in *response*, which must be a success."""
    assert response.status_code == 200
    return json.loads(response.data)


def values_set(response: TestResponse, name: str) -> list[str]:
    """Return the ``Set-Cookie`` headers of *response* for *name*."""
    return [header for header in response.headers.getlist("Set-Cookie") if header.startswith(f"{name}=")]
