"""Wrappers around a store: one counts calls, one fails them, one delays them.

A wrapper has exactly the capabilities of the wrapped store, so ``isinstance(wrapper, Rotates)`` is True if and only if
it is for that store.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from holdfast.errors import StoreUnavailable
from holdfast.stores.contract import CAPABILITIES, METHODS, OPERATIONS, LoadsFresh, Store, capabilities_of

if TYPE_CHECKING:
    from holdfast.records.record import Conflict, Gone, Record, Version

    class _StoreMethods:
        def load(self, key: str, /) -> Record | None: ...
        def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None: ...
        def replace(
            self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
        ) -> Version | Conflict | Gone: ...
        def touch(self, key: str, /, *, expires_at: int) -> bool: ...
        def delete(self, key: str, /) -> bool: ...
else:
    _StoreMethods = object


class StoreWrapper(_StoreMethods):
    """Forwards every call to *store*. A subclass overrides `around` to act before or after it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        # Attributes of the instance, since a method of the class would exist for every store.
        for operation in (*METHODS, *(CAPABILITIES[capability] for capability in capabilities_of(store))):
            name = "load" if operation == CAPABILITIES[LoadsFresh] else operation
            setattr(self, operation, functools.partial(self._call, name, getattr(store, operation)))

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Return the result of ``call()``, the wrapped store's method named *operation*."""
        del operation
        return call()

    def _call(self, operation: str, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return self.around(operation, functools.partial(method, *args, **kwargs))


class CountingStore(StoreWrapper):
    """Counts the calls of every operation.

    Attributes:
        counts: How often each operation was called, by its name: ``counts["load"]``.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Count from zero again."""
        with self._lock:
            self.counts.clear()

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Count one call of *operation*, and return its result."""
        with self._lock:
            self.counts[operation] += 1
        return call()


class FailingStore(StoreWrapper):
    """Raises `StoreUnavailable` on request, before or after the call is applied."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._faults: dict[str, tuple[bool, float]] = {}
        self._lock = threading.Lock()

    def fail(self, *operations: str, before: bool = True, times: float = 1) -> None:
        """Make the next calls of *operations* raise; without names, of every operation.

        Args:
            operations: The names of the methods.
            before: True when the call must not reach the store, False when it is applied and its answer is lost.
            times: How many calls of each operation raise; ``math.inf`` for all until `heal`.

        Raises:
            ValueError: A store has no method of that name.
        """
        for operation in operations:
            if operation not in OPERATIONS:
                raise ValueError(f"a store has no operation {operation!r}: use one of {', '.join(OPERATIONS)}")
        with self._lock:
            self._faults.update(dict.fromkeys(operations or OPERATIONS, (before, times)))

    def heal(self) -> None:
        """Let every call through again."""
        with self._lock:
            self._faults.clear()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Make every call raise inside the ``with`` block, without reaching the store."""
        self.fail(times=float("inf"))
        try:
            yield
        finally:
            self.heal()

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Return the result of the call. If a fault is set for *operation*, raise before or after the call."""
        with self._lock:
            before, times = self._faults.pop(operation, (None, 0.0))
            if before is not None and times > 1:
                self._faults[operation] = before, times - 1
        if before is None:
            return call()
        if not before:
            call()
        when = "before" if before else "after"
        raise StoreUnavailable(f"a test made the store fail {when} it applied {operation!r}")


class SlowStore(StoreWrapper):
    """Calls *pause* before and after every call, so that a test controls its duration.

    Args:
        store: The wrapped store.
        pause: Called as ``pause(operation, "before")`` and ``pause(operation, "after")``. It may wait on a
            `threading.Barrier` or an event, advance a clock, or raise.
    """

    def __init__(self, store: Store, pause: Callable[[str, str], object]) -> None:
        super().__init__(store)
        self._pause = pause

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Pause, call, pause, and return the result."""
        self._pause(operation, "before")
        answer = call()
        self._pause(operation, "after")
        return answer
