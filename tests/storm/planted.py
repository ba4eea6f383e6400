"""The application of the storm with mistakes, each in a view of its own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, jsonify, request
from storm import application
from storm.application import COUPON
from support.shop import CarelessStore

from holdfast.errors import StoreUnavailable
from holdfast.flask import session
from holdfast.stores.registry import open_store
from holdfast.testing import StoreWrapper


def create_app() -> Flask:
    """Return the application with the mistakes."""
    app = application.create_app()
    app.view_functions.update(MISTAKES.values())
    return app


def create_careless_app() -> Flask:
    """Return the application without a mistake, on a store that writes over whatever is there, and takes its time."""
    url = json.loads(os.environ["HOLDFAST_SHOP"])["SESSION_STORE"]
    return application.create_app(_Slow(CarelessStore(Path(url.removeprefix("sqlite:///")))))


def create_slow_app() -> Flask:
    """Return the application without a mistake, on a store that stays away for some seconds after an outage."""
    return application.create_app(_Sulking(open_store(json.loads(os.environ["HOLDFAST_SHOP"])["SESSION_STORE"])))


class _Slow(StoreWrapper):
    """Writes late enough for a request that came with this one to have read before."""

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        if operation == "replace":
            time.sleep(0.02)
        return call()


class _Sulking(StoreWrapper):
    """Refuses every call for some seconds after one that failed."""

    _until = 0.0

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        if time.monotonic() < self._until:
            raise StoreUnavailable("it failed a moment ago")
        try:
            return call()
        except StoreUnavailable:
            self._until = time.monotonic() + 4.5
            raise


def _careless_coupon() -> Response:
    """Look whether the coupon is there, and remove it at the end of the request."""
    given = session.get(COUPON + request.form["value"]) if application.found()["life"] is not None else None
    time.sleep(0.02)
    session.pop(COUPON + request.form["value"], None)
    return application.answer(given)


def _careless_count() -> Response:
    """Count without `apply`."""
    found = application.found()
    if found["life"] is not None:
        key = f"n of {found['life']}"
        session[key] = session.get(key, 0) + 1
    return application.answer()


def _half_logout() -> Response:
    """Answer without ending the session."""
    return application.answer()


def _shared() -> Response:
    """Keep the answer of whoever came first with a session for everybody."""
    found = application.found()
    if found["life"] is not None:
        _first.setdefault("found", found)
    return jsonify(found=_first.get("found", found), given=None)


def _failing() -> Response:
    abort(500)


_first: dict[str, Any] = {}

#: The view and the mistake in it, by the rule that finds it.
MISTAKES: dict[str, tuple[str, Callable[[], Response]]] = {
    "coupon given twice": ("redeem", _careless_coupon),
    "change lost": ("count", _careless_count),
    "alive after its end": ("logout", _half_logout),
    "another's data": ("me", _shared),
    "server error": ("begin", _failing),
}
