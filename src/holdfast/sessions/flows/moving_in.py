"""The flows of a request on stored sessions, while those of another place are taken over."""

from __future__ import annotations

from typing import Any

from holdfast.sessions.flows import in_store
from holdfast.sessions.flows.take_over import find

__all__ = ["find"]


def __getattr__(name: str) -> Any:
    """Return the flow *name*, the same as without a take-over."""
    return getattr(in_store, name)
