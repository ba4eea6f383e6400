"""Bugs that the tests in test_requirements_rfc6265bis.py catch."""

from __future__ import annotations

import re
from typing import Any

import pytest
from security import bugs
from support import seams

from holdfast.flask.cookies import Cookies
from holdfast.records.envelope import Tombstone, TombstoneKind


def a_comma_in_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value contains a comma."""
    send = seams.COOKIE_SEND.sound

    def send_two(self: Cookies, app: Any, request: Any, response: Any, token: str, **options: Any) -> None:
        send(self, app, request, response, token, **options)
        response.headers["Set-Cookie"] = response.headers["Set-Cookie"].replace(token, f"1,{token}")

    seams.COOKIE_SEND.plant(monkeypatch, send_two)


def an_attribute_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path is sent twice."""
    send = seams.COOKIE_SEND.sound

    def send_twice(self: Cookies, app: Any, request: Any, response: Any, *args: Any, **options: Any) -> None:
        send(self, app, request, response, *args, **options)
        response.headers["Set-Cookie"] += "; Path=/"

    seams.COOKIE_SEND.plant(monkeypatch, send_twice)


def a_second_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion precedes each cookie that is sent."""
    send = seams.COOKIE_SEND.sound

    def clean_up(self: Cookies, app: Any, request: Any, response: Any, *args: Any, **options: Any) -> None:
        self.delete(request, response)
        send(self, app, request, response, *args, **options)

    seams.COOKIE_SEND.plant(monkeypatch, clean_up)


def a_domain_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cookie gets the domain of the request, and with it all its subdomains."""
    bugs.change_attributes(monkeypatch, domain="shop.example")


def by_any_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cookie's name is compared without regard to case, and with percent-escapes decoded."""
    read = seams.COOKIE_READ.sound

    def lenient(self: Cookies, app: Any, request: Any) -> Any:
        name = app.config["SESSION_COOKIE_NAME"]
        header = re.sub("%5F", "_", request.environ.get("HTTP_COOKIE", ""), flags=re.IGNORECASE)
        request.environ["HTTP_COOKIE"] = re.sub(f"{re.escape(name)} *=", f"{name}=", header, flags=re.IGNORECASE)
        return read(self, app, request)

    seams.COOKIE_READ.plant(monkeypatch, lenient)


def renewal_cuts_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a renewal the old token is invalid at once."""

    def tombstone(
        kind: TombstoneKind, until: int, successor: str | None = None, sealed: bytes | None = None
    ) -> Tombstone:
        return Tombstone(TombstoneKind.SUPERSEDED, until, successor)

    seams.ROTATE_TOMBSTONE.plant(monkeypatch, tombstone)


def ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cookie is found only if it is the only one."""
    read = seams.COOKIE_READ.sound

    def strict(self: Cookies, app: Any, request: Any) -> Any:
        if ";" in request.environ.get("HTTP_COOKIE", ""):
            request.environ["HTTP_COOKIE"] = ""
        return read(self, app, request)

    seams.COOKIE_READ.plant(monkeypatch, strict)


def missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request without our cookie is a bad request."""
    read = seams.COOKIE_READ.sound

    def strict(self: Cookies, app: Any, request: Any) -> Any:
        request.cookies[app.config["SESSION_COOKIE_NAME"]]
        return read(self, app, request)

    seams.COOKIE_READ.plant(monkeypatch, strict)


def no_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie gets the lifetime of the session."""
    seams.COOKIE_LONGEST_LIFE.plant(monkeypatch, 10**12)


def cut_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no warning that browsers limit the lifetime."""
    seams.LONGEST_LIFE_WITHOUT_WARNING.plant(monkeypatch, 2**63)
