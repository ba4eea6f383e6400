"""Bugs that the tests in test_requirements_asvs_4.py catch."""

from __future__ import annotations

from typing import Any

import pytest
from support import seams

from holdfast import events
from holdfast.flask.cookies import Cookies
from holdfast.records.encryption import new_key
from holdfast.records.record import Conflict, Version
from holdfast.sessions.policy import Policy
from holdfast.stores.contract import Store


def one_profile_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each profile has the limits of the first."""
    named = seams.PROFILE_NAMED.sound
    seams.PROFILE_NAMED.plant(monkeypatch, lambda name: named("asvs-l1"))


def a_second_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session lives two seconds longer than its limits."""
    verdict = seams.POLICY_VERDICT.sound

    def late(self: Policy, envelope: Any, expires_at: int, now: int) -> Any:
        return verdict(self, envelope, expires_at, now - 2000)

    seams.POLICY_VERDICT.plant(monkeypatch, late)


def writes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A save that is overtaken overwrites the other."""

    def insist(store: Store, key: str, data: bytes, *, expect: Version, **named: Any) -> Any:
        answer = store.replace(key, data, expect=expect, **named)
        while isinstance(answer, Conflict) and (record := store.load(key)) is not None:
            answer = store.replace(key, data, expect=record.version, **named)
        return answer

    seams.plant_store_call(monkeypatch, "replace", insist)


def takes_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several cookies with our name the first is used."""
    read = seams.COOKIE_READ.sound

    def first(self: Cookies, app: Any, request: Any) -> Any:
        request.environ["HTTP_COOKIE"] = request.environ.get("HTTP_COOKIE", "").partition(";")[0]
        return read(self, app, request)

    seams.COOKIE_READ.plant(monkeypatch, first)


def says_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a session sends no signal."""
    seams.ENDED_RECEIVERS.plant(monkeypatch, lambda sender: ())


def handles_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handle in a signal is unrelated to the session."""
    emit = seams.EVENTS_EMIT.sound

    def tell(self: events.Events, event: events.EventName, **details: Any) -> None:
        emit(self, event, **{**details, "handle": new_key()})

    seams.EVENTS_EMIT.plant(monkeypatch, tell)


def one_more_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's name goes into a cookie of its own."""
    send = seams.COOKIE_SEND.sound

    def send_both(self: Cookies, app: Any, request: Any, response: Any, *args: Any, **options: Any) -> None:
        send(self, app, request, response, *args, **options)
        response.set_cookie("session_user", "1")

    seams.COOKIE_SEND.plant(monkeypatch, send_both)
