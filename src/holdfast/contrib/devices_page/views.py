"""The page on which users see and end their own sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from flask import Blueprint, Flask, abort, current_app, flash, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from holdfast.contrib.pages.filters import device
from holdfast.contrib.pages.forms import Guard, guard_of, is_own_form, reload_if_outdated
from holdfast.contrib.pages.layout import page_blueprint
from holdfast.contrib.pages.translation import gettext
from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.flask.build import CLIENT_SIDE
from holdfast.flask.extension import Session
from holdfast.records.metadata import LONGEST_LABEL
from holdfast.records.tokens import is_user_id
from holdfast.sessions.flows.listing import SessionInfo
from holdfast.sessions.manager import Manager, directory
from holdfast.stores.contract import Indexes

#: The maximum number of sessions on the page, and of those that are read to find the most recently used.
_MOST, _READ = 100, 500


@dataclass(frozen=True)
class Devices:
    """The variable ``devices`` of ``holdfast/devices.html``.

    Attributes:
        sessions: The user's sessions, the current one first and then the most recently used, at most a hundred.
        others: The number of sessions besides the current one, at most 500.
        left_out: The sentence on how many are not shown, or None if all are.
        label: The value of the field for the current session's name.
        error: The reason why no action was taken, or None.
        label_error: The error of the label, or None.
        longest_label: The maximum number of characters of a label.
    """

    sessions: list[SessionInfo]
    others: int
    left_out: str | None
    label: str
    error: str | None = None
    label_error: str | None = None
    longest_label: int = LONGEST_LABEL


def devices_page(
    sessions: Session,
    *,
    user_id: Callable[[], object] | None = None,
    login_url: str | None = None,
    fresh: float | Guard | None = None,
) -> Blueprint:
    """Return a blueprint with the page at ``/devices/``, which `register_blueprint` can give another ``url_prefix``.

    It shows the sessions of the current user, ends one of the others or all of them, and names the current one.

    Args:
        sessions: The application's sessions.
        user_id: Returns the id of the signed-in user, or None. Default: Flask-Login's, if it is in use; otherwise the
            user that the session is bound to.
        login_url: The login page for users who are not signed in, or not freshly; the page's path is passed as
            ``next``. Default: Flask-Login's behaviour, or 401; and for *fresh* the application's answer to `NotFresh`.
        fresh: The maximum age, in seconds, of the login before sessions are ended, as in `require_fresh`. Or a function
            that is called then: it returns None to continue, or a response. Default: no check.

    Registering it raises `ConfigurationError` if the store cannot list a user's sessions. If the application
    initializes its sessions later, the page answers 501 then.

    Raises:
        ValueError: *fresh* is negative.
    """
    page = _Page(sessions, user_id, login_url, guard_of(fresh))
    blueprint = page_blueprint("devices", __package__)
    blueprint.record(page.check)
    blueprint.before_request(page.admit)
    blueprint.add_url_rule("/", "page", page.show, methods=["GET"])
    blueprint.add_url_rule("/", "submit", page.submit, methods=["POST"])
    if login_url is not None:
        blueprint.register_error_handler(401, page.to_login)
    return blueprint


@dataclass
class _Page:
    _sessions: Session
    _user_id: Callable[[], object] | None
    _login_url: str | None
    _guard: Callable[[], None]

    def __post_init__(self) -> None:
        self._actions = {"end": self._end, "end-others": self._end_others, "name": self._name}

    def check(self, state: BlueprintSetupState) -> None:
        if "holdfast" not in state.app.extensions:
            return
        with cast(Flask, state.app).app_context():
            problem = self._problem()
        if problem is not None:
            raise ConfigurationError(f"devices_page() needs sessions that can be listed by user, but {problem}")

    def admit(self) -> ResponseReturnValue | None:
        problem = self._problem()
        if problem is None or request.endpoint == f"{request.blueprint}.static":
            return None
        current_app.logger.error("devices_page() needs sessions that can be listed by user, but %s", problem)
        return render_template("holdfast/no_devices.html"), 501

    def show(self) -> ResponseReturnValue:
        owner = self._owner()
        if owner is None:
            return self._refuse()
        return reload_if_outdated() or self._listing(owner)

    def submit(self) -> ResponseReturnValue:
        owner = self._owner()
        if owner is None:
            return self._refuse()
        if not is_own_form():
            return self._listing(owner, 400, error=gettext("No change was made: this page was outdated. Try again."))
        action = self._actions.get(request.form.get("action", ""))
        return abort(400) if action is None else action(owner)

    def to_login(self, _: object = None) -> Response:
        url = self._login_url or ""
        return redirect(f"{url}{'&' if '?' in url else '?'}{urlencode({'next': url_for('.page')})}", 303)

    def _problem(self) -> str | None:
        """Return why the current application cannot list a user's sessions, with the fix, or None if it can."""
        try:
            manager = self._sessions.manager
        except ConfigurationError as error:
            return str(error)
        if not isinstance(manager, Manager):
            return f"SESSION_STORE is {CLIENT_SIDE!r}: set it to a store, or do not register the page"
        if Indexes not in manager.context.capabilities:
            kind = type(manager.store).__name__
            return f"{kind} keeps no index by owner: set SESSION_STORE to one that does, or do not register the page"
        return None

    def _owner(self) -> str | None:
        """Return the owner value of the signed-in user, if the current session is theirs, or None."""
        keys = self._sessions.manager.keys
        user_id = self._user_id or _from_flask_login()
        if user_id is None:
            return session.owner
        user = user_id()  # before the session is read, since it may sign in a remembered user
        return session.owner if is_user_id(user) and keys.owner_of(user) == session.owner else None

    def _refuse(self) -> ResponseReturnValue:
        if self._login_url is not None:
            return self.to_login()
        login = getattr(current_app, "login_manager", None)
        answer: ResponseReturnValue = abort(401) if login is None else login.unauthorized()
        if session.new:
            session.pop("_flashes", None)  # its message would create a record at each request without a cookie
        return answer

    def _listing(self, owner: str, status: int = 200, **shown: Any) -> ResponseReturnValue:
        found = directory(self._sessions.manager).of_owner(owner, current=session.handle, limit=_READ)
        found.sort(key=lambda entry: not entry.current)
        others = sum(not entry.current for entry in found)
        devices = Devices(found[:_MOST], others, _left_out(len(found)), **{"label": session.label or "", **shown})
        return render_template("holdfast/devices.html", devices=devices), status

    def _end(self, owner: str) -> ResponseReturnValue:
        entry = self._sessions.get(request.form.get("handle", ""))
        if entry is None or entry.owner != owner:
            return self._listing(owner, 404, error=gettext("There is no such session. It may have ended already."))
        if entry.current:
            return self._listing(owner, 400, error=gettext("You are using this session. Sign out to end it."))
        self._guard()
        if self._sessions.revoke(entry.handle) == "unconfirmed":
            return _done(gettext("The session has ended, but this is not confirmed. Check again in a minute."))
        return _done(gettext("The session has ended: %(device)s.", device=entry.label or device(entry)))

    def _end_others(self, _: str) -> ResponseReturnValue:
        self._guard()
        if session.revoke_others().outcome == "unconfirmed":
            return _done(gettext("Your other sessions have ended, but this is not confirmed. Try again in a minute."))
        return _done(gettext("All your other sessions have ended."))

    def _name(self, owner: str) -> ResponseReturnValue:
        label = request.form.get("label", "").strip()
        try:
            session.label = label
        except ValueError:
            problem = gettext("Use one line of at most %(number)d characters.", number=LONGEST_LABEL)
            return self._listing(owner, 400, label=label, label_error=problem)
        return _done(gettext("The name has been saved.") if label else gettext("The name has been removed."))


def _left_out(found: int) -> str | None:
    if found <= _MOST:
        return None
    if found < _READ:
        return gettext("These are the %(shown)d most recently used of %(all)d sessions.", shown=_MOST, all=found)
    return gettext("These are %(shown)d of %(all)d or more sessions, not always the latest.", shown=_MOST, all=found)


def _done(message: str) -> Response:
    flash(message)
    return redirect(url_for(".page"), 303)


def _from_flask_login() -> Callable[[], object] | None:
    """Return a function for the id of Flask-Login's user, or None without Flask-Login."""
    if not hasattr(current_app, "login_manager"):
        return None
    from flask_login import current_user

    return lambda: current_user.get_id() if current_user.is_authenticated else None
