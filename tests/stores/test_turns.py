"""The bound on connections, with its wait in the order of arrival."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from holdfast.errors import StoreUnavailable
from holdfast.stores.shared.turns import Turns


class Interrupted(BaseException):
    """Raised in a wait, as a server does that ends a request."""


@pytest.mark.parametrize("given", [False, True])
def test_an_interrupted_wait_keeps_no_place(monkeypatch: pytest.MonkeyPatch, *, given: bool) -> None:
    """A request that is ended while it waits, before or after it got a place, leaves it to the next one."""
    turns, make = Turns(1, 5.0), threading.Lock

    class Interrupting:
        """A lock whose wait is interrupted."""

        def __init__(self) -> None:
            self._lock = make()
            self.release = self._lock.release

        def acquire(self, *, timeout: float | None = None) -> bool:
            """Raise in a wait, after the place was given if it is to be."""
            if timeout is None:
                return self._lock.acquire()
            if given:
                turns.__exit__()
            raise Interrupted

    turns.__enter__()
    monkeypatch.setattr(threading, "Lock", Interrupting)
    with pytest.raises(Interrupted):
        turns.__enter__()
    monkeypatch.undo()
    if not given:
        turns.__exit__()
    with turns:
        pass


def test_the_first_to_come_is_the_first_to_work() -> None:
    """Places are given in the order in which the requests came; one that waits too long is told so."""
    turns, order = Turns(1, 5.0), list[int]()

    def work(number: int) -> None:
        with turns:
            order.append(number)

    waiting: Any = turns._waiting
    with turns:
        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            while len(waiting) < len(threads):
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_a_wait_has_an_end() -> None:
    """No place in time is an outage."""
    turns = Turns(1, 0.01)
    with turns, pytest.raises(StoreUnavailable, match="no connection became free"):
        turns.__enter__()
    with turns:
        pass
