"""The extension: ``Session(app)``."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING
from weakref import WeakSet, ref

from flask import Flask, Response, current_app, has_app_context, has_request_context, session

from holdfast import events
from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, SessionConflict, StoreUnavailable
from holdfast.flask.commands import sessions as commands
from holdfast.flask.config import complete, configured_codec, policy_reader
from holdfast.flask.interface import HoldfastInterface
from holdfast.flask.sealers import build_sealer
from holdfast.flask.session import FlaskSession
from holdfast.flask.stores import build_store
from holdfast.manager import Manager
from holdfast.observing import gather
from holdfast.tokens import Keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.flows import SessionInfo
    from holdfast.observing import Observer, Observers
    from holdfast.store import Store

_logger = logging.getLogger("holdfast")

#: What ``Retry-After`` says when the store is down, in seconds.
_RETRY_AFTER = 5


class Session:
    """Keeps the sessions of Flask applications on the server.

    ``Session(app)``, or ``Session()`` and `init_app` for each application. The settings are in the documentation.
    The methods work on the current application, or outside of one on the only one given.

    Args:
        app: The application.
        clock: The time, for tests.
        observer: Who counts and times what happens, for each of the applications: one `holdfast.observing.Observer`
            or several. Default: nobody, at no cost.

    Raises:
        ConfigurationError: A setting is wrong or missing, or *observer* is no observer.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        clock: Clock = system_clock,
        observer: Observer | Observers | Iterable[Observer] | None = None,
    ) -> None:
        self._clock = clock
        self._observers = gather(observer)
        self._apps: WeakSet[Flask] = WeakSet()
        if app is not None:
            self._extend(app)

    def init_app(self, app: Flask) -> None:
        """Give *app* its sessions. Nothing is connected to yet.

        Raises:
            ConfigurationError: A setting is wrong or missing.
        """
        self._extend(app)

    def _extend(self, app: Flask) -> None:
        complete(app)
        store = build_store(app, self._clock)
        app.extensions["holdfast"] = self
        self._apps.add(app)
        app.cli.add_command(commands)
        if store is None:
            if self._observers is not None:
                warnings.warn("an observer has no effect: the sessions live in the cookie", stacklevel=3)
            return
        manager = Manager(
            store,
            policy=policy_reader(app),
            keys=Keys(app.config["SESSION_KEY_PREFIX"], owner_secret=app.config["SESSION_OWNER_KEY"]),
            codec=configured_codec(app),
            clock=self._clock,
            sealer=build_sealer(app, self._clock),
            observer=self._observers,
            sender=ref(app),  # an application is freed as soon as nobody holds it, as without an extension
        )
        if not manager.context.indexes:
            _tell_of_no_index(app, store)
        interface = HoldfastInterface(manager, signed=app.config["SESSION_USE_SIGNER"])
        if app.config["SESSION_USE_SIGNER"] and app.config.get("SECRET_KEY"):
            interface.cookies.check_keys(app)
        app.session_interface = interface
        for error, handler in ((StoreUnavailable, _unavailable), (SessionConflict, _conflict)):
            if error not in app.error_handler_spec[None][None]:
                app.register_error_handler(error, handler)

    @property
    def manager(self) -> Manager:
        """The manager of the current application's sessions.

        Raises:
            ConfigurationError: The application keeps its sessions in Flask's signed cookie, or there is none.
        """
        if has_app_context():
            app = current_app
        elif len(self._apps) == 1:
            (app,) = self._apps
        else:
            raise ConfigurationError("which application's sessions? Call this inside `with app.app_context():`")
        if isinstance(app.session_interface, HoldfastInterface):
            return app.session_interface.manager
        if "holdfast" in app.extensions:
            raise ConfigurationError(
                "SESSION_TYPE is 'null': sessions live in Flask's signed cookie and can be neither listed nor ended"
            )
        raise ConfigurationError(f"the application {app.name!r} has no sessions of Holdfast: call Session(app)")

    def of(self, user_id: object) -> list[SessionInfo]:
        """Return the live sessions that are bound to *user_id*, the last used first."""
        return self.manager.of(user_id)

    def get(self, handle: str) -> SessionInfo | None:
        """Return what may be shown of the live session with *handle*, or None."""
        return self.manager.get(handle)

    def revoke(self, handle: str) -> events.RevokeResult:
        """End the session with *handle*. Returns ``confirmed``, ``unconfirmed``, or ``absent`` when there is none."""
        return self.manager.revoke(handle)

    def revoke_all(self, user_id: object, *, keep: str | None = None) -> int:
        """End every session of *user_id* except the one with the handle *keep*. Returns how many were ended.

        A login by the request that calls this, before or after the call, is not among them.
        """
        manager = self.manager
        ended = manager.revoke_all(user_id, keep=keep)
        if has_request_context() and isinstance(session, FlaskSession):
            session.started_at = manager.clock() + 1  # what logs in now begins after what was just ended
        return ended

    def purge(self) -> int:
        """Remove expired records from a store that does not do so by itself. Returns how many."""
        return self.manager.purge()


def _tell_of_no_index(app: Flask, store: Store) -> None:
    kind = type(store).__name__
    _logger.info("%s keeps no index by owner: a user's sessions can be neither listed nor ended together", kind)
    if app.config["SESSION_OWNER_KEY"] is not None:
        warnings.warn(f"SESSION_OWNER_KEY is set, but {kind} keeps no index by owner: it has no effect", stacklevel=5)


def _unavailable(error: StoreUnavailable) -> Response:
    current_app.logger.error("The session store is unavailable", exc_info=error)
    response = Response("The service is unavailable for a moment. Please try again.\n", 503, mimetype="text/plain")
    response.headers["Retry-After"] = str(_RETRY_AFTER)
    response.headers["Cache-Control"] = "no-store"
    return response


def _conflict(_: SessionConflict) -> Response:
    return Response("Another request came first. Please try again.\n", 409, mimetype="text/plain")
