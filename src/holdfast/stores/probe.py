"""A trial of what requests do with a store, for commands that check a set-up."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from holdfast.clock import MINUTE, Clock
from holdfast.errors import StoreUnavailable
from holdfast.stores.contract import Conflict, Gone, Indexes, Rotates, Rotation

T = TypeVar("T")


def probe(store: Any, clock: Clock) -> None:
    """Create, read, replace, move, find and delete a throw-away record with an owner.

    Raises:
        StoreUnavailable: A step failed, as the message says.
    """
    old, new, until = secrets.token_hex(32), secrets.token_hex(32), clock() + MINUTE
    owner = f"probe {old[:16]}"
    fields = {"expires_at": until, "owner": owner}
    try:
        with _step("created"):
            version = _done(store.create(old, b"probe", **fields))
        with _step("read"):
            _done(store.load(old) is not None)
        with _step("replaced"):
            version = _done(store.replace(old, b"probed", expect=version, **fields))
        with _step("moved"):
            if isinstance(store, Rotates):
                _done(store.move(Rotation(old, new, b"probed", b"probe", version, until, until, owner)))
            else:
                _done(store.create(new, b"probed", **fields))
        if isinstance(store, Indexes):
            with _step("found by its owner"):
                _done(new in dict(store.find(owner).items))
        with _step("deleted"):
            _done(store.delete(new))
    finally:
        for key in (old, new):
            with suppress(StoreUnavailable):
                store.delete(key)


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Name the step in the error of the block."""
    try:
        yield
    except StoreUnavailable as error:
        problem = f"a throw-away record cannot be {name}: {error}"
        raise StoreUnavailable(problem, permanent=error.permanent) from error.__cause__


def _done(answer: T | Conflict | Gone | None) -> T:
    """Return *answer* if it means success, and raise `StoreUnavailable` otherwise."""
    if not answer or isinstance(answer, Conflict | Gone):
        raise StoreUnavailable("does a proxy spread the calls, or send reads to a replica, or a row policy hide it?")
    return answer
