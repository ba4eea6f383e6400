"""A stand-in for the next version of Flask, whose methods of dispatch take the context first.

``pytest -p support.next_flask`` runs the tests with each application on it: `make next`, where the version itself
cannot be had.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import flask
import flask.app
import pytest
from flask.ctx import AppContext

#: The methods that take the context first in Flask's development version.
METHODS = [
    "dispatch_request", "do_teardown_appcontext", "do_teardown_request", "finalize_request", "full_dispatch_request",
    "handle_exception", "handle_http_exception", "handle_user_exception", "log_exception",
    "make_default_options_response", "preprocess_request", "process_response", "update_template_context",
]  # fmt: skip


class NextFlask(flask.Flask):
    """An application that raises TypeError where any code but Flask's leaves out the context."""


def _with_context(name: str) -> Callable[..., Any]:
    method: Callable[..., Any] = getattr(flask.Flask, name)
    this, *others = inspect.signature(method).parameters.values()
    if "ctx" in (other.name for other in others):
        return method

    @functools.wraps(method)
    def call(app: NextFlask, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], AppContext):
            return method(app, *args[1:], **kwargs)
        caller = sys._getframe(1).f_globals["__name__"]
        if caller.partition(".")[0] != "flask":
            raise TypeError(f"{name}() takes the context first; {caller} called it without")
        return method(app, *args, **kwargs)

    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    call.__signature__ = inspect.Signature([this, context, *others])  # type: ignore[attr-defined]
    return call


for _name in METHODS:
    setattr(NextFlask, _name, _with_context(_name))


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Put the stand-in where the tests import Flask from, before they do."""
    flask.Flask = flask.app.Flask = NextFlask  # type: ignore[misc]


#: The workers of pytest-xdist call this one alone.
pytest_configure = pytest_load_initial_conftests
