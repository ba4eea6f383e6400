"""Ids that others know or chose are worth nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from security.rows import advisory, requirement
from support.web import STRANGER, Web, cookies_set

from holdfast.flask import session
from holdfast.flows import committing


def adopts_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new session takes the id that the client sent."""
    monkeypatch.setattr(committing, "new_token", lambda: STRANGER)


@advisory(
    "CVE-2024-38513",
    "CVE-2018-1000519",
    product="Fiber, aiohttp-session",
    cause="An id that the client made up became the id of its session.",
    mutants=[adopts_the_id],
)
@requirement(
    "OWASP strict session management", says="An id that was not issued is never adopted.", mutants=[adopts_the_id]
)
def test_a_chosen_id_is_never_adopted(place: str, web_on: Callable[..., Web]) -> None:
    """The id that comes back is another one, on the first request and on the second."""
    web = web_on(place)
    for _ in range(2):
        response: Any = web.send(f"session={STRANGER}", lambda: session.update(a=1))
        assert STRANGER not in "".join(cookies_set(response))
        assert web.calls(lambda: session.get("a"), web.with_token(STRANGER)) == {"load": 1}
