"""The answers to Holdfast's exceptions: in Flask each is an HTTP exception of Werkzeug's.

So the application, its extensions and its page for a status code handle them like those of `flask.abort`. A handler for
the exceptions in `holdfast.errors` gets them too, where there is none for the status code.
"""

from __future__ import annotations

import inspect
from typing import Any

from flask import Flask, current_app, has_app_context
from flask.globals import app_ctx
from werkzeug.exceptions import Conflict, HTTPException, ServiceUnavailable, Unauthorized
from werkzeug.wrappers import Response

from holdfast import errors

#: The ``Retry-After`` of answers while the store is down, in seconds (RFC 9110 10.2.3).
RETRY_AFTER = 5


class _Answer(HTTPException):
    """An exception of Holdfast's with a plain text for its answer, which no cache keeps."""

    response = None
    __str__ = Exception.__str__

    def get_body(self, *_: Any) -> str:
        return f"{self.description}\n"

    def get_headers(self, *_: Any) -> list[tuple[str, str]]:
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
        return [*headers, ("Retry-After", str(RETRY_AFTER))] if self.code == ServiceUnavailable.code else headers


class _StoreUnavailable(errors.StoreUnavailable, _Answer, ServiceUnavailable):
    description = "The service is unavailable for a moment. Please try again."


class _StoreSetUpWrong(_StoreUnavailable):
    description = "The service is not available until it is set up correctly."


class _SessionConflict(errors.SessionConflict, _Answer, Conflict):
    description = "Another request came first. Please try again."


class _LoginEnded(errors.LoginEnded, _Answer, Conflict):
    description = "Your session was ended at this moment. Please sign in again."


class _TooManySessions(errors.TooManySessions, _Answer, Conflict):
    description = "You are signed in on too many devices. Sign out on one of them first."


class _NotFresh(errors.NotFresh, _Answer, Unauthorized):
    description = "Please sign in again."


_ANSWERS = (_StoreUnavailable, _SessionConflict, _LoginEnded, _TooManySessions, _NotFresh)
#: The exceptions that have an answer.
ANSWERED: tuple[type[errors.HoldfastError], ...] = tuple(answer.__bases__[0] for answer in _ANSWERS)


def answerable(error: errors.HoldfastError) -> errors.HoldfastError:
    """Return *error* as the HTTP exception that answers it, or itself if it has no answer but 500.

    Where Flask propagates exceptions, as in debug mode and in tests, a wrong setting is one.
    """
    if isinstance(error, errors.ConfigurationError) and has_app_context() and _propagates(current_app):
        return error
    kind: Any = next((answer for answer in _ANSWERS if isinstance(error, answer.__bases__[0])), None)
    if isinstance(error, errors.StoreUnavailable) and error.permanent:
        kind = _StoreSetUpWrong
    if kind is None or isinstance(error, HTTPException):
        return error
    answer: errors.HoldfastError = kind.__new__(kind)
    answer.args = error.args
    vars(answer).update(vars(error))
    return answer


def _propagates(app: Flask) -> bool:
    asked: bool | None = app.config["PROPAGATE_EXCEPTIONS"]
    return app.testing or app.debug if asked is None else asked


def turn_into_answer(app: Flask, error: Exception, response: Response) -> None:
    """Turn *response* into the application's answer to *error*, whole: nothing of the request was done."""
    # Flask after 3.1 passes the context first.
    takes_context = "ctx" in inspect.signature(app.handle_user_exception).parameters
    arguments: tuple[Any, ...] = (app_ctx._get_current_object(), error) if takes_context else (error,)  # type: ignore[attr-defined]  # noqa: SLF001  # the proxy's documented way
    answer = app.make_response(app.handle_user_exception(*arguments))
    if hasattr(response.response, "close"):
        response.response.close()
    response.status = answer.status
    response.response = answer.response
    response.direct_passthrough = answer.direct_passthrough
    response.headers.clear()
    response.headers.extend(answer.headers)
    say_when_to_retry(error, response)


def say_when_to_retry(error: Exception, response: Response) -> None:
    """Add to a 503 that answers *error* when to try again, where the application's own page does not say it."""
    if isinstance(error, errors.StoreUnavailable) and response.status_code == ServiceUnavailable.code:
        response.headers.setdefault("Retry-After", str(RETRY_AFTER))
