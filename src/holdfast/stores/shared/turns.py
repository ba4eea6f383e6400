"""A bound on connections, with a wait in the order of arrival."""

from __future__ import annotations

import os
import threading
from collections import deque

from holdfast.errors import StoreUnavailable


class Turns:
    """Lets at most *places* threads work at once. The others wait, and the first comes first.

    Without an order, as in most pools of connections, some wait for seconds while others return at once. A wait of more
    than *patience* seconds ends with `StoreUnavailable`.
    """

    def __init__(self, places: int, patience: float) -> None:
        self._places = places
        self._patience = patience
        self._start()

    def _start(self) -> None:
        self._free = self._places
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._pid = os.getpid()

    def __enter__(self) -> None:
        if self._pid != os.getpid():  # the threads that held places are not in a forked child
            self._start()
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            if turn.acquire(timeout=self._patience) or not self._leave(turn):
                return
        except BaseException:  # a request that its server ends while it waits
            if not self._leave(turn):
                self.__exit__()
            raise
        raise StoreUnavailable(f"no connection became free within {self._patience:g} seconds")

    def _leave(self, turn: threading.Lock) -> bool:
        """Wait no more; return False if the place was given at this moment."""
        with self._lock:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
