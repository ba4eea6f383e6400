"""Server-side sessions for Flask that hold.

``from holdfast.flask import Session`` is all an application needs. This package is the core below it, which knows no
framework and loads no driver: see `holdfast.stores.contract` for the contract of a store.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from holdfast.errors import (
    ConfigurationError,
    DecodeError,
    EncodeError,
    HoldfastError,
    LoginEnded,
    NotFresh,
    RecordTooLarge,
    SessionConflict,
    StoreError,
    StoreUnavailable,
    TooManySessions,
    UnknownKey,
)

if TYPE_CHECKING:
    from holdfast.records.codec.registry import register_type
    from holdfast.records.record import Conflict, Gone, Page, Record
    from holdfast.sessions.manager import Manager
    from holdfast.sessions.policy import Policy
    from holdfast.stores.registry import open_store

__all__ = [
    "ConfigurationError", "Conflict", "DecodeError", "EncodeError", "Gone", "HoldfastError", "LoginEnded",
    "Manager", "NotFresh", "Page", "Policy", "Record", "RecordTooLarge", "SessionConflict", "StoreError",
    "StoreUnavailable", "TooManySessions", "UnknownKey", "open_store", "register_type",
]  # fmt: skip

__version__ = "0.1.0"

#: Names that are imported on first use, by their modules.
_LAZY = {
    "Conflict": "holdfast.records.record",
    "Gone": "holdfast.records.record",
    "Manager": "holdfast.sessions.manager",
    "Page": "holdfast.records.record",
    "Policy": "holdfast.sessions.policy",
    "Record": "holdfast.records.record",
    "open_store": "holdfast.stores.registry",
    "register_type": "holdfast.records.codec.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_LAZY[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
