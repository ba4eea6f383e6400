"""A plug-in of pytest for the tests of applications: ``pytest_plugins = ["holdfast.testing.plugin"]``.

It gives tests the fixture `holdfast_app`. There is no entry point: that would load Holdfast in each run of pytest,
also of other projects.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import pytest
from flask import Flask, Response, request, session
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from holdfast import clock as clocks
from holdfast.errors import ConfigurationError
from holdfast.flask import FlaskSession
from holdfast.flask.interface import HoldfastInterface
from holdfast.testing.wrappers import FailingStore

__all__ = ["HoldfastApp", "MovedClock", "holdfast_app", "under_test"]

T = TypeVar("T")

#: Where the environment of a request has what is to run in place of the view.
_ACTION = "holdfast.testing.action"


class MovedClock:
    """The system's clock, moved on. `holdfast.clock.system_clock` follows it while an application is under test."""

    def __init__(self) -> None:
        self._ahead = 0

    def advance(self, by: timedelta | float) -> None:
        """Move on *by* a timedelta or seconds.

        Raises:
            ValueError: It is negative.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if seconds < 0:
            raise ValueError(f"a clock moves on, not back by {-seconds} seconds")
        self._ahead += round(seconds * 1_000_000_000)

    def time_ns(self) -> int:
        """Return the time in nanoseconds since the epoch."""
        return time.time_ns() + self._ahead


class HoldfastApp:
    """An application under test: its browsers, its time, its store. Made by `under_test`.

    Attributes:
        app: The application.
        clock: Its clock.
    """

    def __init__(self, app: Flask, clock: MovedClock, failing: FailingStore | None) -> None:
        self.app = app
        self.clock = clock
        self._failing = failing

    def browser(self, user: object = None, data: Mapping[str, Any] | None = None, **options: Any) -> FlaskClient:
        """Return a test client with cookies of its own; unless *user* is None, with them signed in: see `log_in`."""
        client = self.app.test_client()
        if user is not None:
            self.log_in(client, user, data, **options)
        return client

    def log_in(
        self, client: FlaskClient, user: object, data: Mapping[str, Any] | None = None, **options: Any
    ) -> TestResponse:
        """Sign *user* in, in *client*, as a login view does after it has checked the password.

        Args:
            client: A test client of the application.
            user: The id that the application's login view gives to ``session.bind``. With Flask-Login a user's id or
                the user, and it calls ``login_user``.
            data: Further data that the login view stores in the session.
            options: Arguments of the request, as of ``client.get``, such as ``headers``.

        Raises:
            AssertionError: The login was refused, or the store failed: the response has another status than 200.
            LookupError: The ``user_loader`` of Flask-Login returns no user for the id.
        """

        def log_in() -> None:
            if hasattr(self.app, "login_manager"):
                _log_in_with_flask_login(self.app.login_manager, user)
            else:
                cast(FlaskSession, session).bind(user)
            session.update(data or {})

        return self._send(client, log_in, options)[1]

    def do(self, client: FlaskClient, action: Callable[[], T], **options: Any) -> T:
        """Return what *action* returns in a request of *client*, in place of a view. It can use ``flask.session``.

        What it changes in the session is stored. *options* are arguments of the request. Functions that the application
        runs before each request do not run, and those after it do.

        Raises:
            Exception: What *action* raises. Then its changes are not stored.
            AssertionError: They could not be stored.
        """
        return self._send(client, action, options)[0]

    def data(self, client: FlaskClient, **options: Any) -> dict[str, Any]:
        """Return a copy of the data in the session of *client*. This does not count as a use of the session."""

        def read() -> dict[str, Any]:
            cast(FlaskSession, session).background = True
            return copy.deepcopy(dict(session))

        return self.do(client, read, **options)

    def revoke(self, user: object) -> int:
        """End all sessions of *user*, an id or a user of Flask-Login, and return how many there were."""
        user_id = user.get_id() if hasattr(user, "get_id") else user
        with self.app.app_context():
            ended: int = self.app.extensions["holdfast"].revoke_all(user_id)
        return ended

    def outage(self) -> AbstractContextManager[None]:
        """Return a context in which each call of the store raises `StoreUnavailable`.

        Raises:
            ConfigurationError: The sessions are in the cookie, and there is no store.
        """
        if self._failing is None:
            raise ConfigurationError("the sessions are in the cookie, so no store can fail")
        return self._failing.outage()

    def _send(self, client: FlaskClient, action: Callable[[], T], options: dict[str, Any]) -> tuple[T, TestResponse]:
        results: list[T] = []
        failures: list[BaseException] = []

        def run() -> Response:
            try:
                self._check_scheme()
                results.append(action())
            except BaseException as error:  # noqa: BLE001  # raised again below, in the test
                failures.append(error)
                return Response(status=500)
            return Response()

        overrides = {**(options.pop("environ_overrides", None) or {}), _ACTION: run}
        response = client.open(options.pop("path", "/"), environ_overrides=overrides, **options)
        for failure in failures:
            raise failure
        assert response.status_code == 200, f"nothing was stored: the response is {response.status}"
        return results[0], response

    def _check_scheme(self) -> None:
        live = cast(HoldfastInterface, self.app.session_interface).live
        assert request.is_secure or not live.current.require_https, (
            "SESSION_REQUIRE_HTTPS gives no session to a request over plain http: set it to False for tests, or pass"
            ' base_url="https://localhost" with each request'
        )


@contextmanager
def under_test(app: Flask) -> Iterator[HoldfastApp]:
    """Yield *app* with what its tests need. At the end of the context it is as it was.

    Raises:
        ConfigurationError: *app* has no sessions of Holdfast, or ``Session(app, clock=...)`` has given them a clock of
            their own.
    """
    interface = app.session_interface
    if not isinstance(interface, HoldfastInterface):
        raise ConfigurationError(f"the application {app.name!r} has no sessions of Holdfast: call Session(app)")
    if interface.manager.clock is not clocks.system_clock:
        raise ConfigurationError(f"Session(app, clock=...) gave {app.name!r} a clock of its own: omit it")
    store = interface.manager._store  # noqa: SLF001  # what the flows call
    failing = None if store is None else FailingStore(store)
    clock, first = MovedClock(), app.before_request_funcs.setdefault(None, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clocks, "time", clock)
        if failing is not None:
            for carrier in interface.carriers.values():
                patch.setattr(carrier.manager, "_store", failing)
        first.insert(0, _run_action)
        try:
            yield HoldfastApp(app, clock, failing)
        finally:
            first.remove(_run_action)


@pytest.fixture
def holdfast_app(app: Flask) -> Iterator[HoldfastApp]:
    """The application of the fixture ``app``, under test: see `HoldfastApp`."""
    with under_test(app) as tested:
        yield tested


def _run_action() -> Response | None:
    action: Callable[[], Response] | None = request.environ.get(_ACTION)
    return None if action is None else action()


def _log_in_with_flask_login(manager: Any, user: object) -> None:
    from flask_login import login_user

    found = user if hasattr(user, "get_id") else manager._user_callback(user)  # noqa: SLF001  # it has no other name
    if found is None:
        raise LookupError(f"Flask-Login's user_loader returns no user for {user!r}")
    assert login_user(found), f"Flask-Login signs {user!r} not in: the user is not active"
