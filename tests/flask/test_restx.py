"""Flask-RESTX, which routes the errors of its resources itself."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
from flask import Flask
from support.web import Web

from holdfast.flask import require_fresh, session

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its imports are its own affair
    from flask_restx import Api, Resource

if "ctx" in inspect.signature(Flask.handle_user_exception).parameters:
    pytest.skip("this Flask-RESTX takes errors as Flask up to 3.1 gives them", allow_module_level=True)


@pytest.fixture
def web() -> Web:
    """Return an application with resources that read, write and ask for a fresh login, as it is in production."""
    web = Web(PROPAGATE_EXCEPTIONS=False, TESTING=False)
    api = Api(web.app)

    @api.route("/resource")
    class Shop(Resource):  # type: ignore[misc]  # it has no types
        def get(self) -> Any:
            return {"a": session["a"]}

        def put(self) -> Any:
            session["a"] += 1
            web.failing.fail("replace", "move", "load", times=float("inf"))
            return {}

        @require_fresh(60)
        def delete(self) -> Any:
            return {}

    web.put(a=0)
    return web


@pytest.mark.parametrize(("method", "failing"), [("GET", ["load"]), ("PUT", [])])
def test_an_outage_is_503(web: Web, method: str, failing: list[str]) -> None:
    """An outage at the lookup and at the end of a resource is 503 with `Retry-After`, and keeps the cookie."""
    if failing:
        web.failing.fail(*failing, times=float("inf"))
    response = web.browser.open("/resource", method=method)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "Set-Cookie" not in response.headers


def test_a_stale_login_is_401(web: Web) -> None:
    """A resource that asks for a fresh login answers 401 to a visitor."""
    assert web.browser.delete("/resource").status_code == 401
