"""A walk through everything that a store holds."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.errors import ConfigurationError
from holdfast.records.record import Page
from holdfast.stores.contract import Iterates, Store

_PAGE = 500

#: A span, in milliseconds, that no session reaches: for limits that are not known.
NEVER = 2**50


def walk(store: Store) -> Iterator[Page]:
    """Yield page after page of all live records in *store*.

    Raises:
        ConfigurationError: The store cannot list what it holds.
    """
    if not isinstance(store, Iterates):
        raise ConfigurationError(f"{type(store).__name__} cannot list what it holds: use a store that can")
    after = None
    while True:
        page = store.scan(after, limit=_PAGE)
        yield page
        after = page.after
        if after is None:
            return
