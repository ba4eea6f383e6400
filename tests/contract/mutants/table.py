"""Which test of the suite catches which broken store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

#: Pairs of a store, or of a test class for one, and the name of the test that must fail on it.
BITES: list[tuple[type[Any], str]] = []

Kind = TypeVar("Kind", bound=type[Any])


def breaks(*tests: str) -> Callable[[Kind], Kind]:
    """Put a class into the table, with the tests that must fail on it."""

    def enter(kind: Kind) -> Kind:
        BITES.extend((kind, test) for test in tests)
        return kind

    return enter
