"""No forgery is accepted, in short; `make forgery` tries a thousand of each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bad_input.forgery import planted
from bad_input.forgery.run import KINDS, forge

_TOKEN, _SIGNED, _ENCRYPTED, _KEYS, _COOKIE, _MAC = KINDS


@pytest.mark.parametrize("make", KINDS, ids=["token", "signed", "encrypted", "keys", "cookie", "mac"])
def test_no_forgery_is_accepted(make: Callable[[int], Any]) -> None:
    """Every flip, cut, substitution and splice of two of each kind is refused."""
    figure = forge(make(2))
    assert figure.tried > 2000
    assert figure.accepted == []


@pytest.mark.parametrize(
    ("make", "plant"),
    [
        (_SIGNED, planted.other_spellings_of_a_signature),
        (_ENCRYPTED, planted.other_spellings_of_a_cookie),
        (_KEYS, planted.no_context),
        (_COOKIE, planted.no_context),
        (_MAC, planted.any_tag),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_count_would_tell(
    make: Callable[[int], Any], plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bug planted, forgeries are accepted and counted."""
    plant(monkeypatch)
    assert forge(make(2)).accepted
