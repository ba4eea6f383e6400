"""Flask's session interface over the manager: a cookie in, an outcome out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Request, Response, request, session
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import ClosingIterator

from holdfast.errors import HoldfastError, RecordTooLarge, StoreUnavailable
from holdfast.events import Transport
from holdfast.flask.answers import ANSWERED, answerable, say_when_to_retry, turn_into_answer
from holdfast.flask.cookies import Cookies, keep_private, vary_by
from holdfast.flask.flask_session_surface import FlaskSessionSurface
from holdfast.flask.headers import clear_site_data, forbid_storing
from holdfast.flask.session import FlaskSession, forget_secret
from holdfast.flask.settings.loading import LiveSettings, Settings
from holdfast.flask.settings.secret_keys import signing_keys
from holdfast.flask.user_agent import AGENT, LONGEST_HEADER, NO_DEVICE, agent_of, device_metadata
from holdfast.records.metadata import ADDRESS, TRANSPORT, fit
from holdfast.sessions.ends import Ends
from holdfast.sessions.mapping import warn_of_late_change
from holdfast.sessions.requests import Requests
from holdfast.sessions.state import FRESH, PERMANENT, REMEMBER, CookieAction, SessionState

if TYPE_CHECKING:
    from holdfast.flask.bearer import Bearer
    from holdfast.flask.carrier import Carrier
    from holdfast.sessions.manager import Manager

#: An IPv6 address with a zone is at most about this long.
_LONGEST_ADDRESS = 64


class HoldfastInterface(FlaskSessionSurface, SessionInterface):
    """Opens a session without looking anything up, and saves it if the request used it.

    Attributes:
        live: The application's settings.
        carriers: How its sessions' tokens travel, as ``SESSION_TRANSPORT`` says.
        before_lookup: The functions that are called before a request's cookie is looked up.
    """

    def __init__(self, manager: Requests, live: LiveSettings) -> None:
        self.manager = manager
        self.cookies = Cookies(live, manager)
        self.carriers: dict[Transport, Carrier] = {"cookie": self.cookies}
        self._varies = self.cookies.varies
        place = manager.context.old_place
        if place is not None:
            from holdfast.flask.old_cookies import OldCookies

            self.cookies.read_old = OldCookies(place, live, manager).read
        self._bearer: Bearer | None = None
        if live.current.transport != "cookie":
            from holdfast.flask.bearer import Bearer

            self._bearer = Bearer(live, cast("Manager", manager))  # no other kind is made with this setting
            self.carriers["header"], self._varies = self._bearer, self._bearer.varies
        self.live = live
        self._has_begun = False
        self._refused: Request | None = None
        self.before_lookup: list[Callable[[], object]] = []

    def refresh(self) -> Settings:
        """Return the settings as the application's configuration has them now. The manager follows them."""
        live = self.live
        if live.values() != live.seen:
            policy = live.refresh().policy
            for carrier in self.carriers.values():
                carrier.manager.adopt(policy)
        return live.current

    def open_session(self, app: Flask, request: Request) -> FlaskSession | None:
        """Return the request's session; None in a request where it has raised before. No I/O.

        Raises:
            ConfigurationError: In the first request: a setting was changed too late to have an effect, or a key is
                missing or weak.
        """
        if not self._has_begun:
            if request is self._refused:
                return None  # Flask after 3.1 asks again, for the answer to the error
            self._refused = request
            self._refuse_what_is_wrong(app)
            self._has_begun, self._refused = True, None
        state = SessionState(self.manager.clock())
        bearer = self._bearer
        carrier: Carrier = bearer if bearer is not None and bearer.serves(request) else self.cookies
        return FlaskSession(carrier.manager, state, partial(self._load, app, request, carrier), forget_secret)

    def _refuse_what_is_wrong(self, app: Flask) -> None:
        """Refuse settings, and blueprints, of after the start that would have no effect, or give sessions away.

        The keys may have been set then, too.
        """
        self.live.refuse_late_changes()
        if self.live.current.use_signer:
            self.cookies.check_keys(app)
        if self.live.current.imports == "flask":
            signing_keys(app, needed_by="SESSION_IMPORT='flask'")
        path = getattr(getattr(self.manager, "store", None), "path", None)
        if path is not None:
            from holdfast.flask.build import refuse_served

            refuse_served(app, "SESSION_STORE", path)

    def _load(self, app: Flask, request: Request, carrier: Carrier, state: SessionState) -> None:
        """Look up the token that *carrier* finds in *request*.

        After an error, of the store or of what the application has registered to come first, the session is empty and
        read-only, so that an error page can be rendered and nothing is stored over the good session.
        """
        settings, environ = self.refresh(), request.environ
        state.navigation, state.can_set_cookie = _is_navigation(environ), _can_set_cookie(request)
        presented, manager = carrier.read(app, request), carrier.manager
        if self.before_lookup and (presented.token is not None or presented.reason is not None):
            self._call_hooks()
        if presented.reason is not None:
            manager.context.reject(presented.reason)
        manager.open(state, presented.token, *presented.others)
        if presented.final and presented.reason is not None:
            state.read_only = state.login_begins_anew = True
        if presented.stale:
            state.refresh = state.pending = True
        if settings.require_https and not request.is_secure:
            self._end(state, *state.beside)
            state.reset(read_only=True)
            self.live.warn_once(
                "a request over plain http used the session and was given none: SESSION_REQUIRE_HTTPS forbids it."
                " Behind a proxy that speaks https for the application, use werkzeug.middleware.proxy_fix.ProxyFix"
            )
        elif settings.on_device_change is not None and _changed_device(request, state):
            manager.context.reject("binding_changed")
            if settings.on_device_change == "end":
                self._end(state)
                state.reset()
        if "flask_login" in sys.modules:
            if state.read_only or state.beside:
                sys.modules["flask_login"].user_logged_out.connect(_log_out_late)
            carrier.admit_remembered(app, request, state)

    def _call_hooks(self) -> None:
        try:
            for hook in self.before_lookup:
                hook()
        except HoldfastError as error:
            raise answerable(error) from error.__cause__

    def _end(self, state: SessionState, *others: str) -> None:
        """End the session that was found, and *others*, because somebody else may have their tokens."""
        if isinstance(self.manager, Ends):
            for key in others if state.stored is None else (state.stored.key, *others):
                self.manager.revoke(key)

    def still_valid(self, app: Flask, value: str) -> bool:
        """Return whether the session of a cookie's *value*, or of one for a header, still lives and is its user's."""
        found = ((carrier.manager, carrier.token_in(app, value)) for carrier in self.carriers.values())
        return any(token is not None and manager.still_valid(token) for manager, token in found)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Store what the request changed and give *response* the cookie and the headers that follow from it.

        A store that fails, a conflict that is not merged, and a login that is one too many turn the response into the
        application's answer to the exception: by default 503, and 409 for the others. So does a session that is too
        large, if the application handles `RecordTooLarge`; else that is raised.
        """
        if not isinstance(session, FlaskSession):
            return  # open_session raised
        state, context = session._state, session._manager.context  # noqa: SLF001  # open_session gave them
        carrier = self.carriers[context.transport]
        failure = sys.exc_info()[1]
        # It was raised where Flask asks no handler, such as in after_request.
        if isinstance(failure, HTTPException) and (isinstance(failure, StoreUnavailable) or failure is state.failure):
            turn_into_answer(app, failure, response)
        elif state.failure is not None:
            say_when_to_retry(state.failure, response)
        cookie, saves, state.closed = CookieAction.NONE, state.opened and not state.closed, True
        try:
            cookie = self._save(app, state, response, carrier) if saves else cookie
        except ANSWERED as error:
            turn_into_answer(app, error, response)
            cookie = CookieAction.SEND if state.owed else cookie
        except RecordTooLarge as error:
            if error.limit == context.policy.max_bytes:
                error.args = (f"{error}, or raise SESSION_MAX_BYTES",)
            turn_into_answer(app, error, response)
        self._give_token(app, state, response, cookie, carrier)
        if response.is_streamed or app.debug:
            response.call_on_close(partial(_report_late_change, state))

    def _save(self, app: Flask, state: SessionState, response: Response, carrier: Carrier) -> CookieAction:
        """Store what the request changed, and return what the response says about the cookie."""
        settings, changes, state.settled = self.live.current, state.changes, False
        if state.pending:
            self._prepare(app, state, response, carrier)
        failed = response.status_code >= 500 and not settings.save_on_error
        if failed and not state.keep_only_a_logout():
            return CookieAction.NONE
        logout = changes.rebind and changes.owner is None and state.stored is not None
        outcome = carrier.manager.commit(state)
        state.settled = outcome.result != "gone"
        state.changes.marked = stored = outcome.result in {"saved", "merged"}
        if state.ended_all_at and state.settled and not changes.signs_in:
            carrier.keep_remembered(app, request, response, state)
        is_over = outcome.cookie is CookieAction.DELETE
        if is_over or (stored and logout):
            # The end of a session with a header leaves the browser's cookies alone.
            goes_on = not is_over or carrier is not self.cookies
            clear_site_data(settings.clear_site_data, response, goes_on=goes_on)
        return outcome.cookie

    def _prepare(self, app: Flask, state: SessionState, response: Response, carrier: Carrier) -> None:
        """Add to the changes what is stored of the request, and to *response* what belongs to Flask-Login's cookie."""
        changes = state.changes
        if REMEMBER in changes.assigned or not state.data.get(FRESH, True):
            carrier.mark_remembered(app, request, response, state)
        if not state.can_set_cookie and state.stored is not None and changes.new_token and not state.is_empty:
            self.live.warn_once(
                "a session got a new id in a WebSocket or an event, where no cookie can be sent, so its browser has"
                " lost it. Sign in by an ordinary request. Setting a key in SESSION_IDENTITY_KEYS is a login:"
                " store a name that proves nobody's identity under another key"
            )
        if state.stored is None or changes.rebind or changes.wiped:
            transport = carrier.manager.context.transport
            changes.meta = {**_login_metadata(self.live.current, state, transport), **changes.meta}

    def _give_token(
        self, app: Flask, state: SessionState, response: Response, action: CookieAction, carrier: Carrier
    ) -> None:
        """Send the token or let it be forgotten, and keep caches from giving a response with a session to others."""
        if action is CookieAction.SEND and state.stored is not None:
            lifetime, value = self._lifetime(state), state.stored.value
            carrier.send(app, request, response, value, lifetime=lifetime)
        elif action is CookieAction.DELETE:
            carrier.delete(request, response)
        if state.opened and response.status_code == 401:
            carrier.challenge(request, response, state)
        if state.opened or state.accessed or _may_still_read(response):
            vary_by(response, *self._varies)
            if self.live.current.cache_control == "no-store":
                forbid_storing(response)
            elif action is not CookieAction.NONE:
                keep_private(response)

    def _lifetime(self, state: SessionState) -> int | None:
        """Return for how many seconds the browser is to keep the cookie, within the timeouts; None: until it closes."""
        policy = self.live.current.policy
        if state.stored is None or not state.data.get(PERMANENT, policy.permanent):
            return None
        envelope = state.stored.envelope
        return min(policy.idle_of(envelope.meta), policy.end_of(envelope) - self.manager.clock()) // 1000


def _log_out_late(_app: Flask, **_: object) -> None:
    """End the sessions that the cookies of a request without one lead to: `logout_user` finds no user there."""
    if isinstance(session, FlaskSession):
        state = session._state  # noqa: SLF001  # open_session gave it
        if state.stored is None and (state.read_only or state.beside):
            session.destroy()


def _changed_device(request: Request, state: SessionState) -> bool:
    began = state.stored.envelope.meta.get(AGENT) if state.stored else None
    return began is not None and began != agent_of(request.headers.get("User-Agent", ""))


def _is_navigation(environ: Mapping[str, Any]) -> bool:
    """Return whether a request loads a page, of its own and now: https://www.w3.org/TR/fetch-metadata/.

    Without these headers, which browsers send over https, a page is what a request wants that accepts HTML.
    """
    mode = environ.get("HTTP_SEC_FETCH_MODE")
    if mode is None:
        return "text/html" in environ.get("HTTP_ACCEPT", "") and "HTTP_X_REQUESTED_WITH" not in environ
    in_window = environ.get("HTTP_SEC_FETCH_DEST", "document") == "document"
    return mode == "navigate" and in_window and "HTTP_SEC_PURPOSE" not in environ


def _can_set_cookie(request: Request) -> bool:
    """Return whether the response can carry a cookie.

    That of a WebSocket was sent when it was opened, and an event of Flask-SocketIO has none.
    """
    environ = request.environ
    is_event = "flask.app" in environ and hasattr(request, "namespace")
    return not is_event and ("HTTP_UPGRADE" not in environ or str(environ["HTTP_UPGRADE"]).lower() != "websocket")


def _login_metadata(settings: Settings, state: SessionState, transport: Transport) -> Mapping[str, str | None]:
    """Return what is kept of the request: at a login its device and address, when a session begins its browser's hash.

    When a session begins, also its *transport*, unless that is the cookie.

    Each as far as the settings let it be kept; None removes what an earlier login left.
    """
    changes = state.changes
    metadata: dict[str, str | None] = {}
    if changes.rebind and changes.owner is not None:
        header = request.headers.get("User-Agent", "")
        device = device_metadata(header[:LONGEST_HEADER]) if settings.keep_device else NO_DEVICE
        address = fit(request.remote_addr or "", _LONGEST_ADDRESS) if settings.keep_address else None
        metadata = {**device, ADDRESS: address}
    if settings.on_device_change is not None:
        metadata[AGENT] = agent_of(request.headers.get("User-Agent", ""))
    if transport != "cookie":
        metadata[TRANSPORT] = transport
    return metadata


def _report_late_change(state: SessionState) -> None:
    """Report a nested change made while the response was streamed, which nothing else would notice."""
    if state.settled and state.opened and not state.read_only and state.differs:
        warn_of_late_change()


def _may_still_read(response: Response) -> bool:
    """Return whether an iterator makes *response*: it may read the session after the headers have left.

    A file does not, nor does the answer of a WSGI application, such as that of an HTTP exception.
    """
    return response.is_streamed and not (response.direct_passthrough or isinstance(response.response, ClosingIterator))
