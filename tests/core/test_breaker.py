"""A store that hangs: after a few time-outs its calls fail at once, and one at a time finds out whether it works."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from holdfast.errors import StoreUnavailable
from holdfast.records.record import Record
from holdfast.sessions.ops import Breaker, drive, load, touch


class Hanging:
    """A store whose calls take a second and fail, while it hangs.

    Attributes:
        calls: How many calls reached it.
        seconds: The time by its clock.
        takes: How long a failure takes, in seconds.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0
        self.hangs = True
        self.takes = 1.0

    def timer(self) -> float:
        """Return the time."""
        return self.seconds

    def load(self, _: str) -> Record | None:
        """Fail, or find nothing."""
        self.calls += 1
        if self.hangs:
            self.seconds += self.takes
            raise StoreUnavailable("a time-out")
        return None

    def touch(self, _: str, *, expires_at: int) -> bool:
        """Work."""
        del expires_at
        self.calls += 1
        return True


class Client:
    """Makes calls on a store, as the requests of one process do."""

    def __init__(self) -> None:
        self.store = Hanging()
        self.breakers = Breaker(self.store.timer), Breaker(self.store.timer)

    def ask(self, call: Any = None) -> Any:
        """Make one call."""
        return drive(call or load("k"), self.store, breakers=self.breakers)

    def fail(self, times: int) -> None:
        """Make calls that fail, a second after each other."""
        for _ in range(times):
            with pytest.raises(StoreUnavailable):
                self.ask()
            self.store.seconds += 1


def test_one_request_probes_and_the_others_fail_at_once() -> None:
    """After three time-outs, a call that is made while another one waits does not reach the store."""
    client = Client()
    client.fail(3)
    assert client.store.calls == 3
    inner: list[str] = []

    def load_slowly(_: str) -> None:
        client.store.calls += 1
        with pytest.raises(StoreUnavailable, match="one call a second") as caught:
            client.ask()
        inner.append(str(caught.value))
        raise StoreUnavailable("a time-out")

    client.store.load = load_slowly  # type: ignore[method-assign]
    client.fail(1)
    assert (client.store.calls, len(inner)) == (4, 1)


def test_the_first_call_that_works_ends_it() -> None:
    """A probe that works lets all calls through again, at once."""
    client = Client()
    client.fail(5)
    client.store.hangs = False
    for _ in range(3):
        assert client.ask() is None
    client.store.hangs = True
    client.fail(2)
    assert not any(breaker.tripped for breaker in client.breakers)


def test_a_request_that_makes_many_calls_fails_soon() -> None:
    """A thousand calls in a row on a store that hangs wait for three time-outs, and for one a second afterwards."""
    client = Client()
    for _ in range(1000):
        with pytest.raises(StoreUnavailable):
            client.ask()
    assert client.store.calls == 3
    client.store.seconds += 1
    client.store.hangs = False
    assert client.ask() is None
    assert client.ask() is None


def test_an_interrupted_probe_is_made_again() -> None:
    """A probe that the time limit of a request interrupts lets the next call probe at once."""
    client = Client()
    client.fail(3)

    def load_until_interrupted(_: str) -> None:
        del client.store.load
        raise KeyboardInterrupt

    client.store.load = load_until_interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        client.ask()
    client.store.hangs = False
    assert client.ask() is None


def test_quick_failures_do_not_trip_it() -> None:
    """A server that refuses connections fails by itself at once: every call is made."""
    client = Client()
    client.store.takes = 0.01
    client.fail(10)
    assert client.store.calls == 10
    assert not any(breaker.tripped for breaker in client.breakers)


def test_reads_and_writes_are_apart() -> None:
    """While reads time out, writes are made, and the other way round: writes alone wait for a lock."""
    client = Client()
    client.fail(5)
    assert [breaker.tripped for breaker in client.breakers] == [False, True]
    assert client.ask(touch("k", 1)) is True
    assert [breaker.tripped for breaker in client.breakers] == [False, True]


def test_a_probe_that_never_ends_is_given_up() -> None:
    """A process that was forked during a probe makes its own after half a minute."""
    client = Client()
    client.fail(3)

    def load_forever(_: str) -> None:
        del client.store.load
        client.store.seconds += 30
        client.store.hangs = False
        assert client.ask() is None
        raise StoreUnavailable("a time-out")

    client.store.load = load_forever  # type: ignore[method-assign]
    client.fail(1)
    assert client.store.calls == 4


def test_threads_of_a_worker_are_free() -> None:
    """Of eight threads that ask a store that hangs, one waits, and seven have their answer."""
    client = Client()
    client.fail(3)
    go_on, done, answers = threading.Event(), threading.Semaphore(0), list[str]()

    def load_until(_: str) -> None:
        assert go_on.wait(10)
        raise StoreUnavailable("a time-out")

    client.store.load = load_until  # type: ignore[method-assign]

    def ask() -> None:
        with pytest.raises(StoreUnavailable) as caught:
            client.ask()
        answers.append(str(caught.value))
        done.release()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert all(done.acquire(timeout=10) for _ in range(7))
    assert all("one call a second" in answer for answer in answers)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert answers[-1] == "a time-out"
