"""The page on which users see where they are signed in, and end the sessions that they do not want."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for

from holdfast.contrib.pages.filters import device
from holdfast.contrib.pages.forms import guard_of, is_lasting, is_own_form
from holdfast.contrib.pages.layout import page_blueprint
from holdfast.contrib.pages.words import gettext
from holdfast.errors import ConfigurationError, NotFresh
from holdfast.flask import session
from holdfast.flask.build import CLIENT_SIDE
from holdfast.records.metadata import LONGEST_LABEL
from holdfast.stores.contract import Indexes

if TYPE_CHECKING:
    from flask import Flask
    from flask.blueprints import BlueprintSetupState
    from flask.typing import ResponseReturnValue
    from werkzeug.wrappers import Response

    from holdfast.contrib.pages.forms import Guard
    from holdfast.flask.extension import Session
    from holdfast.sessions.flows import SessionInfo

#: A page shows no more sessions than this, the last used ones.
_MOST = 100


@dataclass(frozen=True)
class Devices:
    """What ``holdfast/devices.html`` is given as ``devices``.

    Attributes:
        sessions: The user's sessions, the present one first and then the last used, at most a hundred.
        others: How many there are besides the present one, shown or not.
        more: Whether there are more than are shown.
        label: What the field for the present session's name holds.
        error: Why nothing was done, or None.
        label_error: What is wrong with that, or None.
        longest_label: How many characters it may have.
    """

    sessions: list[SessionInfo]
    others: int
    more: bool
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

    It shows the sessions of the present session's own user, ends one of the others or all of them, and gives the
    present one a name.

    Args:
        sessions: The application's sessions.
        user_id: Returns the id of the user who is signed in, or None. Default: Flask-Login's, where that is in use;
            otherwise whoever the session is bound to is signed in.
        login_url: Where who is not signed in, or not freshly, is sent, with the page's path as ``next``. Default: to
            what Flask-Login says, or 401; and for *fresh* to the application's answer to `NotFresh`.
        fresh: Before sessions are ended the user must have signed in at most so many seconds ago, as `require_fresh`
            says. Or a function that is called then: it returns None to go on, or a response. Default: no such thing.

    Registering it raises `ConfigurationError` where sessions are kept in a way in which a user's cannot be listed. An
    application that gets its sessions only later answers the page with 501 then.

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
        blueprint.register_error_handler(NotFresh, page.to_login)
    return blueprint


class _Page:
    def __init__(
        self, sessions: Session, user_id: Callable[[], object] | None, login_url: str | None, guard: Guard
    ) -> None:
        self._sessions = sessions
        self._user_id = user_id
        self._login_url = login_url
        self._guard = guard
        self._actions = {"end": self._end, "end-others": self._end_others, "name": self._name}

    def check(self, state: BlueprintSetupState) -> None:
        if "holdfast" not in state.app.extensions:
            return
        with cast("Flask", state.app).app_context():
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
        if not is_lasting() and "again" not in request.args:  # forms made now would be out of date when they are sent
            return redirect(url_for(".page", again=1), 303)
        return self._listing(owner)

    def submit(self) -> ResponseReturnValue:
        owner = self._owner()
        if owner is None:
            return self._refuse()
        if not is_own_form():
            return self._listing(owner, 400, error=gettext("Nothing was done: this page was out of date. Try again."))
        action = self._actions.get(request.form.get("action", ""))
        return abort(400) if action is None else action(owner)

    def to_login(self, _: object = None) -> Response:
        url = self._login_url or ""
        return redirect(f"{url}{'&' if '?' in url else '?'}{urlencode({'next': url_for('.page')})}", 303)

    def _problem(self) -> str | None:
        """Return why the current application cannot list a user's sessions, and what to do, or None where it can."""
        try:
            manager = self._sessions.manager
        except ConfigurationError as error:
            return str(error)
        if not manager.lists:
            return f"SESSION_STORE is {CLIENT_SIDE!r}: set it to a store that keeps them, or do not register the page"
        if not manager.context.store_can(Indexes):
            kind = type(manager.store).__name__
            return f"{kind} keeps no index by owner: set SESSION_STORE to one that does, or do not register the page"
        return None

    def _owner(self) -> str | None:
        """Return the owner value of the user who is signed in, if the present session is theirs, or None."""
        keys = self._sessions.manager.keys
        user_id = self._user_id or _from_flask_login()
        if user_id is None:
            return session.owner
        user = user_id()  # before the session is looked at, since it may sign in who is remembered
        return session.owner if user is not None and keys.owner_of(user) == session.owner else None

    def _refuse(self) -> ResponseReturnValue:
        if self._login_url is not None:
            return self.to_login()
        login = getattr(current_app, "login_manager", None)
        answer: ResponseReturnValue = abort(401) if login is None else login.unauthorized()
        if session.loaded is None:
            session.pop("_flashes", None)  # its message would make a record at each request without a cookie
        return answer

    def _listing(self, owner: str, status: int = 200, **shown: Any) -> ResponseReturnValue:
        found = self._sessions.manager.of_owner(owner, current=session.handle)
        found.sort(key=lambda entry: not entry.current)
        others = sum(not entry.current for entry in found)
        devices = Devices(found[:_MOST], others, len(found) > _MOST, **{"label": session.label or "", **shown})
        return render_template("holdfast/devices.html", devices=devices), status

    def _end(self, owner: str) -> ResponseReturnValue:
        entry = self._sessions.get(request.form.get("handle", ""))
        if entry is None or entry.owner != owner:
            return self._listing(owner, 404, error=gettext("There is no such session. It may have ended already."))
        if entry.current:
            return self._listing(owner, 400, error=gettext("You are using this session. Sign out to end it."))
        refusal = self._guard()
        if refusal is not None:
            return refusal
        if self._sessions.revoke(entry.handle) == "unconfirmed":
            return _done(gettext("The session has ended, as far as is known. Look again in a minute."))
        return _done(gettext("The session has ended: %(device)s.", device=entry.label or device(entry)))

    def _end_others(self, _: str) -> ResponseReturnValue:
        refusal = self._guard()
        if refusal is not None:
            return refusal
        session.revoke_others()
        return _done(gettext("All your other sessions have ended."))

    def _name(self, owner: str) -> ResponseReturnValue:
        label = request.form.get("label", "").strip()
        try:
            session.label = label
        except ValueError:
            problem = gettext("Use one line of at most %(number)d characters.", number=LONGEST_LABEL)
            return self._listing(owner, 400, label=label, label_error=problem)
        return _done(gettext("The name has been saved.") if label else gettext("The name has been removed."))


def _done(message: str) -> Response:
    flash(message)
    return redirect(url_for(".page"), 303)


def _from_flask_login() -> Callable[[], object] | None:
    """Return what returns the id of Flask-Login's user, or None where the application does without Flask-Login."""
    if not hasattr(current_app, "login_manager"):
        return None
    from flask_login import current_user

    return lambda: current_user.get_id() if current_user.is_authenticated else None
