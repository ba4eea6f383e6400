"""A trial of what requests do with a store, for commands that check a set-up."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from holdfast.clock import MINUTE, Clock
from holdfast.errors import StoreUnavailable
from holdfast.stores.contract import Conflict, Gone, Indexes, Rotates, Rotation, Store, Version


def probe(store: Store, clock: Clock) -> None:
    """Create, replace, move, find and delete a throw-away record with an owner.

    Raises:
        StoreUnavailable: A step failed, as the message says.
    """
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    try:
        for step, call in _steps(store, old, new, clock() + MINUTE):
            try:
                works = call()
            except StoreUnavailable as error:
                raise StoreUnavailable(
                    f"a throw-away record cannot be {step}: {error}", permanent=error.permanent
                ) from error.__cause__
            if not works:
                why = "does a proxy spread the calls over several servers, or send reads to a replica?"
                raise StoreUnavailable(f"a throw-away record could not be {step}: {why}")
    finally:
        for key in (old, new):
            with suppress(StoreUnavailable):
                store.delete(key)


def _steps(store: Any, old: str, new: str, until: int) -> Iterator[tuple[str, Callable[[], bool]]]:
    owner, fields = f"probe {old[:16]}", {"expires_at": until}
    version: list[Version] = []

    def done(answer: Version | Conflict | Gone | None) -> bool:
        version[:] = [] if answer is None or isinstance(answer, Conflict | Gone) else [answer]
        return bool(version)

    yield "created", lambda: done(store.create(old, b"probe", owner=owner, **fields))
    yield "replaced", lambda: done(store.replace(old, b"probed", expect=version[0], owner=owner, **fields))
    if isinstance(store, Rotates):
        yield (
            "moved",
            lambda: done(store.move(Rotation(old, new, b"probed", b"probe", version[0], until, until, owner))),
        )
    else:
        yield "moved", lambda: store.create(new, b"probed", owner=owner, **fields) is not None
    if isinstance(store, Indexes):
        yield "found by its owner", lambda: new in dict(store.find(owner).items)
    yield "deleted", lambda: store.delete(new)
