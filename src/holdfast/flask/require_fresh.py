"""Views that require a recent authentication."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, session

from holdfast.errors import ConfigurationError, NotFresh
from holdfast.flask.answers import answerable
from holdfast.flask.session import FlaskSession

F = TypeVar("F", bound=Callable[..., Any])

#: The maximum age of an authentication that is valid for one request, in seconds.
_PATIENCE = 300


def require_fresh(seconds: float, *, once: bool = False) -> Callable[[F], F]:
    """Return a decorator: the view runs only if the user authenticated at most *seconds* ago.

    With *once*, an authentication is valid for one request only: of several, even at the same moment, exactly one runs
    the view. ``require_fresh(0)`` means once, within five minutes.

    Put the decorator below the route. Without a user, or if the authentication is too old, it raises `NotFresh`, which
    is answered with 401 unless the application has an error handler for it.

    Raises:
        ValueError: *seconds* is negative, or no number.
    """
    if not seconds >= 0:
        raise ValueError(f"require_fresh({seconds!r}): the seconds must be 0 or more")
    once = once or seconds == 0
    limit = seconds or _PATIENCE

    def decorate(view: F) -> F:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            present = _present_session()
            if not (present.fresh_once(limit) if once else present.fresh_for(limit)):
                raise answerable(NotFresh("the user must sign in again to do this", seconds=limit))
            return current_app.ensure_sync(view)(*args, **kwargs)

        return guarded  # type: ignore[return-value]  # it takes and returns what the view does

    return decorate


def _present_session() -> FlaskSession:
    present = session._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  # the proxy's documented way
    if not isinstance(present, FlaskSession):
        raise ConfigurationError(
            "require_fresh needs sessions that are kept on the server: call Session(app), without SESSION_TYPE 'null'"
        )
    return present
