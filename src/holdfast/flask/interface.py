"""Flask's session interface over the manager: a cookie in, an outcome out."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.exceptions import HTTPException

from holdfast.errors import SessionConflict, StoreUnavailable, TooManySessions
from holdfast.flask.cookies import Cookies
from holdfast.flask.headers import clear_site_data, forbid_storing, vary_by_cookie
from holdfast.flask.session import FlaskSession
from holdfast.flask.settings.loading import LiveSettings, Settings
from holdfast.sessions.manager import Manager

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

_logger = logging.getLogger("holdfast")

#: A request that only read, and took this long (milliseconds), looks again before it sends the cookie anew: a login may
#: have overtaken it, whose cookie must stay.
_OVERTAKEN = 10


class HoldfastInterface(SessionInterface):
    """Opens a session without looking anything up, and saves it if the request used it.

    Attributes:
        before_lookup: What is called before a request's cookie is looked up.
    """

    def __init__(self, manager: Manager, live: LiveSettings) -> None:
        self.manager = manager
        self.cookies = Cookies(live)
        self._live = live
        self._has_begun = False
        self.before_lookup: list[Callable[[], object]] = []
        self._warned: set[str] = set()

    @property
    def settings(self) -> Settings:
        """The application's settings as they are now."""
        return self._live.current

    def open_session(self, app: Flask, request: Request) -> FlaskSession:
        """Return the request's session. No I/O.

        Raises:
            ConfigurationError: In the first request: a setting was changed too late to have an effect.
        """
        if not self._has_begun:
            self._live.refuse_late_changes()
            self._has_begun = True
        return FlaskSession(self, app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Store what the request changed and give *response* the cookie and the headers that follow from it.

        A store that fails, a conflict that is not merged, and a login that is one too many turn the response into the
        application's answer to `StoreUnavailable`, `SessionConflict` or `TooManySessions`: by default 503, 409 and 409.
        """
        session = cast(FlaskSession, session)
        failure = sys.exc_info()[1]
        # It was raised where Flask asks no handler, such as in after_request.
        if isinstance(failure, StoreUnavailable) or (isinstance(failure, HTTPException) and failure is session.failure):
            _answer(app, failure, response)
        self._guard(session, response)
        if session.opened is not None and not session.closed:
            session.closed = True
            try:
                self._save(app, session, response)
            except (StoreUnavailable, SessionConflict, TooManySessions) as error:
                _answer(app, error, response)
                self._guard(session, response)
        session.closed = True
        if response.is_streamed or app.debug:
            response.call_on_close(session.report_late_change)

    def _guard(self, session: FlaskSession, response: BaseResponse) -> None:
        """Keep caches from giving a response that used the session to somebody else."""
        if session.accessed or _may_still_read(response):
            vary_by_cookie(response)
            if self.settings.cache_control == "no-store":
                forbid_storing(response)

    def _save(self, app: Flask, session: FlaskSession, response: Response) -> None:
        session.settled = False
        settings = self.settings
        failed = response.status_code >= 500 and not settings.save_on_error
        if failed and not session.keep_only_a_logout():
            return
        permanent, marked, logout = session.permanent, session.marked, session.ends_login
        refresh = session.stale_cookie or (permanent and settings.refresh_each_request)
        overtaken = refresh and self.manager.clock() - session.loaded_at >= _OVERTAKEN
        outcome = self.manager.commit(session, confirm=marked or overtaken)
        session.settled = outcome.result != "gone"
        stored = outcome.result in {"saved", "merged"}
        if stored:
            session.modified = True
        if outcome.cookie == "delete":
            self.cookies.delete(response)
        if outcome.cookie == "delete" or (stored and logout):
            clear_site_data(settings.clear_site_data, response, goes_on=outcome.cookie != "delete")
        # A stored change needs no cookie unless it lengthens its life. One that is no change asks for it, as in Flask.
        renewed = refresh or permanent != session.was_permanent or (permanent if stored else marked)
        if (outcome.cookie == "send" or (outcome.cookie == "keep" and renewed)) and session.loaded:
            self._warn_of_insecure(session)
            self.cookies.send(app, response, session.loaded.value, lifetime=self._lifetime(session))

    def _warn_of_insecure(self, session: FlaskSession) -> None:
        if self.settings.cookie.secure and not session.arrived_secure:
            self.warn_once(
                "a session cookie with Secure was sent over plain http, where browsers drop it. Serve the application"
                " over https; behind a proxy that does, use werkzeug.middleware.proxy_fix.ProxyFix"
            )

    def warn_once(self, message: str) -> None:
        """Log *message* as a warning, the first time only."""
        if message not in self._warned:
            self._warned.add(message)
            _logger.warning("%s", message)

    def _lifetime(self, session: FlaskSession) -> int | None:
        """Return for how many seconds the browser is to keep the cookie, within the timeouts; None: until it closes."""
        if not session.permanent or session.created_at is None:
            return None
        policy = self.manager.context.policy
        return min(policy.idle, session.created_at + policy.absolute - self.manager.clock()) // 1000


def _may_still_read(response: BaseResponse) -> bool:
    """Tell whether *response* is made by a generator, which may read the session when the headers have left."""
    return inspect.isgenerator(response.response)


def _answer(app: Flask, error: Exception, response: BaseResponse) -> None:
    """Turn *response* into what the application answers to *error*, whole: nothing of the request was done."""
    answer = app.make_response(app.handle_user_exception(error))
    if hasattr(response.response, "close"):
        response.response.close()
    response.status = answer.status
    response.response = answer.response
    response.direct_passthrough = answer.direct_passthrough
    response.headers.clear()
    response.headers.extend(answer.headers)
