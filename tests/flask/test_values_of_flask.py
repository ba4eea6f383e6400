"""Values that Flask's signed cookie takes, in the sessions of a Flask application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from flask import session
from flask.json.provider import DefaultJSONProvider
from support.web import Web
from werkzeug.datastructures import MultiDict


@dataclass
class Order:
    """A value of an application's."""

    pens: int


class ObjectId:
    """A value that one JSON provider knows."""


class Provider(DefaultJSONProvider):
    """The JSON of an application."""

    @staticmethod
    def default(o: Any) -> Any:
        """Write an `ObjectId`, and the rest as Flask does."""
        return "507f1f77" if isinstance(o, ObjectId) else DefaultJSONProvider.default(o)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Order(3), {"pens": 3}),
        ([Order(1), {"a": ObjectId()}], [{"pens": 1}, {"a": "507f1f77"}]),
        (MultiDict([("a", "1"), ("a", "2")]), {"a": "1"}),
        ("\ud800", "\ud800"),
    ],
)
def test_it_is_kept_as_the_cookie_keeps_it(value: Any, kept: Any) -> None:
    """The next request finds what Flask's own session would have found."""
    for options in ({}, {"SESSION_TYPE": "null", "SESSION_STORE": None}, {"SESSION_SERIALIZATION_FORMAT": "json"}):
        web = Web(**options)
        web.app.json = Provider(web.app)
        web.do(lambda: session.update(a=value))
        assert web.data() == {"a": kept}
