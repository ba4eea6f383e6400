"""The tools beside the suite: the clock, the wrappers and the link."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from support.capabilities import keys_of, store_with

from holdfast.errors import StoreUnavailable
from holdfast.records.record import Conflict
from holdfast.stores.contract import CAPABILITIES, Indexes, Pings, Store, capabilities_of
from holdfast.stores.memory import MemoryStore
from holdfast.testing import OPERATIONS, CountingStore, FailingStore, FakeClock, Fault, Link, SlowStore, StoreWrapper

SOON = 2_000_000_000_000


def test_a_fake_clock_stands_still_until_it_is_advanced() -> None:
    """Seconds and milliseconds advance exactly, including fractions, and no other time passes."""
    clock = FakeClock(now=1_000)
    assert (clock(), clock()) == (1_000, 1_000)
    clock.advance(1.5)
    clock.advance(seconds=2)
    clock.advance_ms(7)
    assert clock() == 4_507


def test_a_fake_clock_loses_no_advance_of_a_thread() -> None:
    """Advances by many threads add up."""
    clock = FakeClock(now=0)

    def advance() -> None:
        for _ in range(500):
            clock.advance_ms(1)

    threads = [threading.Thread(target=advance) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock() == 2_000


@pytest.mark.parametrize("wrap", [CountingStore, FailingStore, StoreWrapper, lambda s: SlowStore(s, lambda *_: None)])
@pytest.mark.parametrize(
    "capabilities", [frozenset(), frozenset(CAPABILITIES), *({capability} for capability in CAPABILITIES)]
)
def test_a_wrapper_has_the_capabilities_of_its_store(
    wrap: Callable[[Store], Store], capabilities: frozenset[type]
) -> None:
    """A wrapper is an instance of just those capability protocols that its store is an instance of."""
    store = store_with(capabilities)
    wrapper = wrap(wrap(store))
    assert capabilities_of(wrapper) == capabilities_of(store) == capabilities
    assert [name for name in OPERATIONS if hasattr(wrapper, name)] == [n for n in OPERATIONS if hasattr(store, n)]


def test_a_counting_store_counts_each_operation() -> None:
    """Each call counts under its name, also one that is refused; `reset` starts again; the answers are the store's."""
    store = CountingStore(MemoryStore())
    version = store.create("k", b"data", expires_at=SOON, owner="ada")
    assert version is not None
    assert store.create("k", b"data", expires_at=SOON) is None
    assert isinstance(store.replace("k", b"", expect=-1, expires_at=SOON), Conflict)
    assert isinstance(store, Indexes)
    assert list(keys_of(store, "ada")) == ["k"]
    assert store.counts == {"create": 2, "replace": 1, "find": 1}
    assert store.counts["load"] == 0
    store.reset()
    assert store.counts == {}


def test_a_failing_store_fails_before_or_after_the_call() -> None:
    """Before: the store never saw the call. After: it is applied. Each as often as asked, then it works again."""
    store = FailingStore(MemoryStore())
    store.fail("create", times=2)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.create("k", b"data", expires_at=SOON)
    assert store.load("k") is None
    store.fail("create", before=False)
    with pytest.raises(StoreUnavailable):
        store.create("k", b"data", expires_at=SOON)
    record = store.load("k")
    assert record is not None
    assert store.create("k", b"data", expires_at=SOON) is None


def test_a_failing_store_can_be_down() -> None:
    """Inside `outage` every operation raises, capabilities too; after it, or after `heal`, none does."""
    store = FailingStore(MemoryStore())
    with store.outage():
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                store.load("k")
        assert isinstance(store, Pings)
        with pytest.raises(StoreUnavailable):
            store.ping()
    store.fail()
    store.heal()
    assert store.load("k") is None


def test_a_failing_store_knows_its_operations() -> None:
    """A misspelt operation is an error that names it and those there are."""
    with pytest.raises(ValueError, match="no operation 'save': use one of load, create"):
        FailingStore(MemoryStore()).fail("save")


def test_a_slow_store_stops_where_it_is_told() -> None:
    """The hook runs before and after each call, in the thread of the call, so a test can do something in between."""
    memory = MemoryStore()
    steps: list[tuple[str, str, bool]] = []
    store = SlowStore(memory, lambda *step: steps.append((*step, memory.load("k") is not None)))
    store.create("k", b"data", expires_at=SOON)
    assert steps == [("create", "before", False), ("create", "after", True)]


@pytest.fixture
def link() -> Iterator[Link]:
    """A link to a server that answers every message with that message in upper case."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer(end: socket.socket) -> None:
            with end:
                while data := end.recv(100):
                    end.sendall(data.upper())

        def serve() -> None:
            while True:
                try:
                    end, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(end,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        with closing(Link(listener.getsockname())) as link:
            yield link
        listener.shutdown(socket.SHUT_RDWR)


def client(link: Link) -> socket.socket:
    """Return a connection through *link*."""
    return socket.create_connection(("127.0.0.1", link.port), timeout=5)


def ask(end: socket.socket) -> bytes:
    """Send a message and return the answer; empty when the connection drops."""
    try:
        end.sendall(b"hello")
        return end.recv(100)
    except ConnectionError:
        return b""


def test_a_link_passes_everything_on(link: Link) -> None:
    """Undisturbed, each connection gets its own answers."""
    with client(link) as one, client(link) as two:
        assert [ask(one), ask(two), ask(one)] == [b"HELLO"] * 3


@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST, Fault.REPLY_LOST])
def test_a_link_loses_one_message(link: Link, fault: Fault) -> None:
    """The next message drops its connection; other and later connections work, even inside the block."""
    with client(link) as one, client(link) as two:
        assert ask(one) == b"HELLO"
        with link.disturb(fault):
            assert ask(one) == b""
            assert ask(two) == b"HELLO"


def test_a_link_can_be_down(link: Link) -> None:
    """Inside the block open connections are dropped and new ones too; after it new ones work."""
    with client(link) as end:
        with link.disturb(Fault.DOWN):
            assert ask(end) == b""
            with client(link) as late:
                assert ask(late) == b""
        with client(link) as after:
            assert ask(after) == b"HELLO"


def test_a_link_can_be_silent(link: Link) -> None:
    """Inside the block no data arrives and no connection is closed; after it new connections work."""
    with client(link) as end:
        with link.disturb(Fault.SILENT):
            end.settimeout(0.1)
            with pytest.raises(TimeoutError):
                ask(end)
        with client(link) as after:
            assert ask(after) == b"HELLO"
