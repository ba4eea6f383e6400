"""Server-side sessions for Flask that hold.

``from holdfast.flask import Session`` is all an application needs. This package is the core below it, which knows no
framework and loads no driver: see `holdfast.stores.contract` for the contract of a store.
"""

from holdfast.errors import (
    ConfigurationError,
    DecodeError,
    EncodeError,
    HoldfastError,
    NotFresh,
    RecordTooLarge,
    SessionConflict,
    StoreError,
    StoreUnavailable,
    TooManySessions,
)
from holdfast.records.record import Conflict, Gone, Page, Record
from holdfast.sessions.manager import Manager
from holdfast.sessions.policy import Policy
from holdfast.stores.registry import open_store

__all__ = [
    "ConfigurationError",
    "Conflict",
    "DecodeError",
    "EncodeError",
    "Gone",
    "HoldfastError",
    "Manager",
    "NotFresh",
    "Page",
    "Policy",
    "Record",
    "RecordTooLarge",
    "SessionConflict",
    "StoreError",
    "StoreUnavailable",
    "TooManySessions",
    "open_store",
]

__version__ = "0.1.0"
