"""The extension: ``Session(app)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from flask import Flask, current_app, has_app_context, has_request_context, session
from flask.sessions import SecureCookieSessionInterface

from holdfast import events
from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, forget_locals
from holdfast.flask.build import build_manager
from holdfast.flask.commands import SetUpWrong, add_commands
from holdfast.flask.interface import HoldfastInterface
from holdfast.flask.session import FlaskSession, in_templates
from holdfast.flask.settings.loading import LiveSettings
from holdfast.flask.settings.setting import warn
from holdfast.metrics.observer import Observer, Observers, gather
from holdfast.sessions.ends import ends
from holdfast.sessions.flows.listing import SessionInfo
from holdfast.sessions.flows.walk import SessionPage
from holdfast.sessions.manager import directory
from holdfast.sessions.requests import Requests
from holdfast.sessions.server_session import ServerSession, state_of

if TYPE_CHECKING:
    from holdfast.sessions.flows.revoke import RevokedCount
    from holdfast.sessions.flows.update import Change

Hook = TypeVar("Hook", bound=Callable[[], object])


class Session:
    """Keeps the sessions of Flask applications on the server.

    ``Session(app)``, or ``Session()`` and `init_app` for each application. The settings are in the documentation.
    The methods work on the current application, or outside of one on the only one given.

    Args:
        app: The application.
        clock: Returns the time in whole milliseconds since the epoch, for tests.
        observer: One `holdfast.metrics.observer.Observer` or several, which count and time events for each of the
            applications. Default: none, at no cost.

    Raises:
        ConfigurationError: A setting is wrong or missing, *observer* is no observer, or *clock* returns no int.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        clock: Clock = system_clock,
        observer: Observer | Observers | Iterable[Observer] | None = None,
    ) -> None:
        if not isinstance(now := clock(), int):
            raise ConfigurationError(f"clock returns {now!r}: it must return whole milliseconds since the epoch")
        self._clock = clock
        self._observers = gather(observer)
        self._apps: WeakKeyDictionary[Flask, LiveSettings] = WeakKeyDictionary()
        self._before_lookup: list[Callable[[], object]] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Give *app* its sessions. Nothing is connected to yet.

        Raises:
            ConfigurationError: A setting is wrong or missing. It is a `SetUpWrong`, which ``flask`` prints in one line.
        """
        try:
            self._set_up(app)
        except ConfigurationError as error:
            forget_locals(error)
            # A server prints every frame for each of its workers. The message has what is wrong.
            raise SetUpWrong(str(error)) from None

    def _set_up(self, app: Flask) -> None:
        live = LiveSettings(app.config)
        app.extensions["holdfast"] = self
        self._apps[app] = live
        add_commands(app)
        manager = build_manager(app, live, self._clock, self._observers)
        if manager is None:
            return
        interface = HoldfastInterface(manager, live)
        if live.current.use_signer and app.config.get("SECRET_KEY"):
            interface.cookies.check_keys(app)
        interface.before_lookup = self._before_lookup
        replaced = type(app.session_interface)
        if replaced not in {SecureCookieSessionInterface, HoldfastInterface}:
            warn(f"the session interface {replaced.__qualname__} of the application is replaced and has no effect")
        app.session_interface = interface
        app.context_processor(in_templates)

    def before_lookup(self, hook: Hook) -> Hook:
        """Register *hook* to be called before a request's token is looked up, as a decorator.

        It is called without arguments when a request that has a token first uses its session, before any store
        call. It may raise, for example by ``abort(429)``: then the session is empty and read-only for the rest of the
        request.

        Raises:
            TypeError: *hook* is async.
        """
        if inspect.iscoroutinefunction(hook):
            raise TypeError(f"before_lookup needs a function that is not async: nothing would await {hook!r}")
        self._before_lookup.append(hook)
        return hook

    @property
    def manager(self) -> Requests:
        """The manager of the current application's sessions.

        Raises:
            ConfigurationError: The application keeps its sessions in Flask's signed cookie, or there is none.
        """
        interface = self._interface(self._app())
        interface.refresh()
        return interface.manager

    def _app(self) -> Flask:
        if has_app_context():
            app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  # Flask's own way
            return app
        if len(self._apps) == 1:
            (app,) = self._apps
            return app
        raise ConfigurationError("which application's sessions? Call this inside `with app.app_context():`")

    def _interface(self, app: Flask) -> HoldfastInterface:
        if isinstance(app.session_interface, HoldfastInterface):
            return app.session_interface
        extension: Session | None = app.extensions.get("holdfast")
        if extension is None:
            raise ConfigurationError(f"the application {app.name!r} has no sessions of Holdfast: call Session(app)")
        if extension._apps[app].current.session_type == "null":  # noqa: SLF001  # of the same class
            raise ConfigurationError(
                "SESSION_TYPE is 'null': sessions live in Flask's signed cookie and can be neither listed nor ended"
            )
        module = type(app.session_interface).__module__
        raise ConfigurationError(
            f"the application {app.name!r} has a session interface of {module}, set after Session(app):"
            " call Session(app) last, or remove that extension"
        )

    def of(self, user_id: object, *, limit: int | None = None) -> list[SessionInfo]:
        """Return the live sessions that are bound to *user_id*, the last used first.

        With *limit* it returns at most so many of them, and reads no others: which, the store decides. In a request,
        the request's own session is marked as `current`; so it is in the other methods.

        Raises:
            TypeError: *user_id* cannot be the id of a user.
            ConfigurationError: The store has no index by owner.
        """
        return directory(self.manager).of(user_id, current=_current(), limit=limit)

    def get(self, handle: str) -> SessionInfo | None:
        """Return the metadata of the live session with *handle*, or None. One store call."""
        return directory(self.manager).get(handle, current=_current())

    def update(self, handle: str, change: Change) -> bool:
        """Change the data of the live session with *handle*, and return whether there is one.

        *change* gets a dict, which it changes in place, and may be called again, on what another request stored first.
        The session's user, its timeouts and its cookie stay as they are.

        Raises:
            ConfigurationError: The data are sealed with the cookie: ``SESSION_SEAL="cookie"``.
            EncodeError, RecordTooLarge: The changed data cannot be stored.
            SessionConflict: Other requests kept changing the session.
            ValueError: *change* changes the user's id. Nothing was stored.
        """
        return directory(self.manager).update(handle, change)

    def scan(self, after: str | None = None, limit: int = 100) -> SessionPage:
        """Return about *limit* of all live sessions, in ``items``, and in ``after`` where to go on, None at the end.

        Raises:
            ConfigurationError: The store cannot list its records, as memcached.
        """
        return directory(self.manager).scan(after, limit=limit, current=_current())

    def count(self) -> int:
        """Return how many live sessions there are. Every record is read: on a large store this is for reports.

        Raises:
            ConfigurationError: The store cannot list its records, as memcached.
        """
        return directory(self.manager).count()

    def revoke(self, handle: str, *, user_id: object = None) -> events.RevokeResult:
        """End the session with *handle*. Returns ``confirmed``, ``unconfirmed``, or ``absent`` when there is none.

        With *user_id* it is absent if it is not that user's, and *handle* may also be its `sid`.

        Raises:
            UnknownKey: It is sealed, and no key opens it: it may be another application's.
        """
        if user_id is not None:
            own = (each.handle for each in self.of(user_id) if handle in (each.handle, each.sid))
            handle = next(own, "")
        return ends(self.manager).revoke(handle)

    def revoke_all(self, user_id: object, *, keep: str | None = None) -> RevokedCount:
        """End every session of *user_id* except the one with the handle *keep*. Returns how many were ended.

        The number has an ``outcome``, ``confirmed`` or ``unconfirmed``; of sessions in the cookie it is always 0. A
        login by the request that calls this, before or after the call, is not among them.

        Raises:
            TypeError: *user_id* cannot be the id of a user.
            ValueError: *keep* is no handle. Nothing was ended.
            ConfigurationError: The store has no index by owner, or there is no store for revocations.
        """
        state = state_of(session) if has_request_context() and isinstance(session, FlaskSession) else None
        return ends(self.manager).revoke_all(user_id, keep=keep, state=state)

    def revoke_everyone(self, *, progress: Callable[[int], object] | None = None) -> int:
        """End every session of every user that was stored before now. Returns how many were ended.

        *progress* is called now and then with how many were ended so far.

        Raises:
            ConfigurationError: The store cannot list its records, as memcached.
        """
        return directory(self.manager).revoke_everyone(progress=progress)

    def still_valid(self, token_or_session: str | ServerSession | None) -> bool:
        """Return whether a session still lives and is its user's, for handlers that outlast a request.

        Takes a session, or the value of a session cookie or of a ``Session-Token`` header; None, where a request had
        none, is no session. Nothing is written or touched.

        Raises:
            StoreUnavailable: The store failed: it is not known.
        """
        if not isinstance(token_or_session, str):
            return token_or_session is not None and token_or_session.still_valid()
        app = self._app()
        return self._interface(app).still_valid(app, token_or_session)

    def ping(self) -> None:
        """Return if the store answers and takes writes, for a readiness probe. Nothing is written.

        Sessions in the cookie have a store only of revocations, if any.

        Raises:
            StoreUnavailable: It does not: the answer is 503.
        """
        self.manager.ping()

    def purge(self) -> int:
        """Remove expired records from a store that does not do so by itself. Returns how many."""
        return directory(self.manager).purge()


def _current() -> str | None:
    """Return the handle of the running request's session, which is looked up for that, or None."""
    return session.handle if has_request_context() and isinstance(session, FlaskSession) else None
