"""Calls of the store that go wrong: what a test plants between the flows and the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.sessions.ops import Call

#: Carries a call out on a store and returns the answer.
Run = Callable[[Call[Any], Any], Any]


def answer_calls(monkeypatch: pytest.MonkeyPatch, name: str, stand_in: Callable[[Call[Any], Any, Run], Any]) -> None:
    """Let ``stand_in(call, store, run)`` answer the calls of the store's method *name*; *run* does what it should."""
    run = Call.run

    def answer(call: Call[Any], store: Any) -> Any:
        return stand_in(call, store, run) if call.name == name else run(call, store)

    monkeypatch.setattr(Call, "run", answer)


def create_again(call: Call[Any], store: Any) -> Any:
    """Make the record that a replace or a move was to write, whatever was there."""
    key, data = call.args[:2] if call.name == "replace" else call.args[1:3]
    return store.create(key, data, expires_at=call.kwargs["expires_at"], owner=call.kwargs["owner"])
