"""The pages on which an operator lists and counts sessions, and ends one, those of a user, or all."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from flask import Blueprint, abort, current_app, flash, g, make_response, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.wrappers import Response

from holdfast.contrib.operator_page.charts import SHORT, charts_of
from holdfast.contrib.operator_page.listing import Listing, abilities, listing
from holdfast.contrib.pages.forms import Guard, guard_of, is_own_form, reload_if_outdated
from holdfast.contrib.pages.layout import hide, page_blueprint
from holdfast.errors import ConfigurationError, UnknownKey
from holdfast.flask import session
from holdfast.flask.extension import Session
from holdfast.sessions.flows.stats import AGES
from holdfast.sessions.flows.walk import RevokeProgress
from holdfast.sessions.manager import directory
from holdfast.sessions.requests import Requests

Submit: TypeAlias = Callable[[], ResponseReturnValue]
Show: TypeAlias = Callable[..., ResponseReturnValue]

#: Returns whether the request may see the page, or the operator's name.
Authorizer: TypeAlias = Callable[[], "bool | str | Awaitable[bool | str | None] | None"]

#: The maximum number of a user's sessions on the page.
_MOST = 100

#: The choices for the number of sessions to count.
_COUNTS = (10_000, 100_000, 1_000_000)

#: Session key for an unfinished revoke-everyone.
_PROGRESS = "_holdfast_revoke_progress"

#: The word to type to end all sessions.
_WORD = "everyone"

#: The query values that a page keeps when it is loaded again.
_ASKED = ("after", "device", "age", "id")

#: The message about an end, by its result.
_RESULTS = {
    "confirmed": "The session has ended.",
    "unconfirmed": "The session has ended, but the store does not confirm it. Check again in a minute.",
    "absent": "There is no such session. It may have ended already.",
    "unopened": "The session was not ended. No key of this application opens it: it may be another application's.",
}

_OUT_OF_DATE = "No change was made: this page was outdated. Try again."

_logger = logging.getLogger("holdfast.operator")


def operator_page(
    sessions: Session,
    *,
    authorize: Authorizer,
    fresh: float | Guard | None = None,
    per_page: int = 50,
    patience: float = 10.0,
    timer: Callable[[], float] = time.monotonic,
) -> Blueprint:
    """Return a blueprint with the pages at ``/operator/``, which `register_blueprint` can give another ``url_prefix``.

    Args:
        sessions: The application's sessions.
        authorize: Called first in each request. It returns True, or the operator's name for the log; any other value is
            answered with 404. It may raise, as ``abort`` does.
        fresh: The maximum age, in seconds, of the operator's login before sessions are ended, as in `require_fresh`. Or
            a function that is called then: it returns None to continue, or a response. Default: no check.
        per_page: The approximate number of sessions on a page.
        patience: The number of seconds that one request counts or ends sessions before it shows its progress.
        timer: Returns seconds from any start, for tests.

    Raises:
        ConfigurationError: *authorize* is not callable, or *per_page* or *patience* is not positive.
        ValueError: *fresh* is negative.
    """
    if not callable(authorize):
        raise ConfigurationError(
            f"operator_page(authorize={authorize!r}): give a function that returns whether the request is an operator's"
        )
    for name, value in (("per_page", per_page), ("patience", patience)):
        if not value > 0:
            raise ConfigurationError(f"operator_page({name}={value!r}): it must be above 0")
    page = _Page(sessions, authorize, guard_of(fresh), per_page, functools.partial(_deadline, patience, timer))
    blueprint = page_blueprint("operator", __package__)
    blueprint.record(page.cover)
    blueprint.before_request(page.admit)
    blueprint.after_request(_forbid_indexing)
    blueprint.register_error_handler(503, page.down)
    forms: dict[str, tuple[Show, Submit]] = {
        "sessions": (page.sessions, page.end_one),
        "user": (page.user, page.end_of_user),
        "breakdown": (page.breakdown, page.count),
        "everyone": (page.everyone, page.end_everyone),
    }
    for name, (show, submit) in forms.items():
        path = "/" if name == "sessions" else f"/{name}"
        blueprint.add_url_rule(path, name, _with_forms(show), methods=["GET"])
        blueprint.add_url_rule(path, f"{name}_form", _form(show, submit), methods=["POST"])
    return blueprint


@dataclass
class _Page:
    _sessions: Session
    _authorize: Authorizer
    _guard: Callable[[], None]
    _per_page: int
    _deadline: Callable[[], Callable[[], bool]]

    # --- every request -----------------------------------------------------------------------------------------------

    def cover(self, state: BlueprintSetupState) -> None:
        """Authorize routing's own responses as well: a redirect or a 405 would reveal the pages."""
        prefix = f"{state.url_prefix or ''}/"

        def admit_unrouted() -> ResponseReturnValue | None:
            covered = request.routing_exception is not None and f"{request.path}/".startswith(prefix)
            return self.admit() if covered else None

        if prefix != "/":
            state.app.before_request(admit_unrouted)

    def admit(self) -> ResponseReturnValue | None:
        g.holdfast_operator = None
        name = current_app.ensure_sync(self._authorize)()
        if not name:
            hide()
        if name is not True and not isinstance(name, str):
            raise TypeError(
                f"authorize() returned {type(name).__name__}: return True, the operator's name, or False for others"
            )
        g.holdfast_operator = "an operator" if name is True else name
        try:
            self._manager  # noqa: B018  # it may raise
        except ConfigurationError as error:
            return render_template("holdfast/operator/nothing.html", reason=str(error))
        return None

    def down(self, error: ServiceUnavailable) -> Response:
        """Report an outage: to operators in the page's frame, to others as one line."""
        response = make_response(error)
        if g.get("holdfast_operator") is not None:
            response.mimetype = "text/html"
            response.set_data(self._render("down"))
        return response

    @property
    def _manager(self) -> Requests:
        return self._sessions.manager

    def _render(self, name: str, **shown: Any) -> str:
        return render_template(f"holdfast/operator/{name}.html", can=abilities(self._manager), short=SHORT, **shown)

    def _render_forms(self, name: str, *, error: str | None, **shown: Any) -> ResponseReturnValue:
        return self._render(name, armed=not session.new, error=error, **shown), 400 if error else 200

    # --- what there is -----------------------------------------------------------------------------------------------

    def sessions(self, error: str | None = None) -> ResponseReturnValue:
        found = Listing()
        if abilities(self._manager).walks:
            try:
                found = listing(self._sessions, request.args, self._per_page)
            except ValueError:
                error = "There is no such page of the list. Start at the first page."
        return self._render_forms("sessions", listing=found, ages=[name for name, _ in AGES], error=error)

    def user(self, error: str | None = None) -> ResponseReturnValue:
        user_id = request.args.get("id", "").strip()
        found = self._sessions.of(user_id) if user_id and abilities(self._manager).finds else []
        owner = self._short_owner(user_id) if user_id else ""
        shown = {"user_id": user_id, "owner": owner, "entries": found[:_MOST], "found": len(found)}
        return self._render_forms("user", **shown, error=error)

    def breakdown(self, error: str | None = None) -> ResponseReturnValue:
        return self._render_forms("breakdown", choices=_COUNTS, stats=None, error=error)

    def count(self) -> ResponseReturnValue:
        """Count in this request; it changes nothing, so reloading repeats the count."""
        most = request.form.get("most", type=int)
        if most not in _COUNTS or not abilities(self._manager).walks:
            abort(400)
        over = self._deadline()
        stats, complete = directory(self._manager).stats(enough=lambda counted: counted >= most or over())
        return self._render_forms(
            "breakdown",
            error=None,
            choices=_COUNTS,
            stats=stats,
            complete=complete,
            stopped=not complete and stats.sessions < most,
            charts=charts_of(stats),
        )

    # --- what can be done --------------------------------------------------------------------------------------------

    def end_one(self) -> ResponseReturnValue:
        self._end(request.form.get("handle", "").strip())
        return _back("sessions")

    def end_of_user(self) -> ResponseReturnValue:
        action = request.form.get("action")
        if action == "end":
            self._end(request.form.get("handle", ""))
            return _back("user")
        user_id = request.args.get("id", "").strip()
        if action != "end-all" or not user_id:
            abort(400)
        self._guard()
        ended = self._sessions.revoke_all(user_id, keep=session.handle)
        _note("ended all sessions of the user with the owner value %s…: %d", self._short_owner(user_id), ended)
        kept = " Your own was kept." if session.owner == self._manager.keys.owner_of(user_id) else ""
        number = "Their number is unknown." if abilities(self._manager).cookies else f"Sessions ended: {ended:,}."
        flash(f"All sessions of this user have ended. {number}{kept}")
        if ended.outcome == "unconfirmed":
            flash("A login that began before may still stand: make room in the store, and end them again.")
        return _back("user")

    def _short_owner(self, user_id: str) -> str:
        return self._manager.keys.owner_of(user_id)[:SHORT]

    def _end(self, handle: str) -> None:
        """End one session and report it."""
        if handle == session.handle:
            abort(400, "You are using this session. Sign out to end it.")
        self._guard()
        try:
            result: str = self._sessions.revoke(handle)
        except UnknownKey:
            result = "unopened"
        _note("ended the session %r: %s", handle[:64], result)
        flash(_RESULTS[result])

    def everyone(self, error: str | None = None) -> ResponseReturnValue:
        return self._render_forms("everyone", progress=_kept_progress(), word=_WORD, error=error)

    def end_everyone(self) -> ResponseReturnValue:
        action, progress = request.form.get("action"), _kept_progress()
        if action == "stop":
            session.pop(_PROGRESS, None)
            flash("The other sessions were not ended.")
            return _back("everyone")
        if action == "begin":
            if request.form.get("word", "").strip().casefold() != _WORD:
                return self.everyone(f"No session was ended. Type “{_WORD}” to end everyone’s sessions.")
            self._guard()
            progress = None
        elif action != "on" or progress is None:
            abort(400)
        self._keep_on(progress)
        return _back("everyone")

    def _keep_on(self, progress: RevokeProgress | None) -> None:
        """End sessions within the time limit of a request, and store the progress in the operator's own session."""
        over, keep = self._deadline(), session.handle
        progress = directory(self._manager).revoke_some(progress, keep=keep)
        while not progress.over and not over():
            progress = directory(self._manager).revoke_some(progress, keep=keep)
        _note("ended everyone's sessions%s: %d", "" if progress.over else ", not yet all", progress.ended)
        if not progress.over:
            session[_PROGRESS] = asdict(progress)
            return
        session.pop(_PROGRESS, None)
        session.rotate()  # a copy of the operator's own cookie is invalid afterwards
        flash(f"Everyone’s sessions have ended, except your own. Sessions ended: {progress.ended:,}.")
        if progress.unopened:
            flash(f"Sealed sessions that were left: {progress.unopened:,}. They may be another application’s.")


def _with_forms(show: Show) -> Show:
    """Return the view for a page with forms, which reloads the page if they would be outdated at once."""
    return lambda: reload_if_outdated(**_query()) or show()


def _form(show: Show, submit: Submit) -> Submit:
    """Return the view for a page's forms: if one is not from this page, the page is shown again."""
    return lambda: submit() if is_own_form() else show(_OUT_OF_DATE)


def _deadline(patience: float, timer: Callable[[], float]) -> Callable[[], bool]:
    until = timer() + patience
    return lambda: timer() >= until


def _forbid_indexing(response: Response) -> Response:
    if g.get("holdfast_operator") is not None:
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _note(message: str, *details: object) -> None:
    _logger.info(f"%r {message}", g.holdfast_operator, *details)  # noqa: G004  # the message is ours


def _back(page: str) -> Response:
    """Redirect to *page*, with the request's query."""
    return redirect(url_for(f".{page}", **_query()), 303)


def _query() -> dict[str, Any]:
    return {name: request.args[name] for name in _ASKED if name in request.args}


def _kept_progress() -> RevokeProgress | None:
    kept = session.get(_PROGRESS)
    try:
        return RevokeProgress(**kept) if kept else None
    except TypeError:  # another release stored it
        return None
