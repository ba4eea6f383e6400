"""The store calls of a flow, and the driver that carries them out.

A flow (`holdfast.sessions.flows`) is a generator: it yields calls, receives their answers and returns its outcome. It
says ``record = yield from load(key)``, so a type checker knows the answer's type. It does no I/O of its own: the same
flow runs under `drive`, and under a test that interleaves several flows at every call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

from holdfast.errors import ConfigurationError, StoreError, StoreSetUpWrong, StoreUnavailable
from holdfast.records.record import Conflict, Gone, Page, Record, Rotation, Version

if TYPE_CHECKING:
    from holdfast.stores.contract import Store

T = TypeVar("T")

#: The only call that the driver answers itself.
PAUSE = "pause"


_NO_KWARGS: dict[str, Any] = {}


class Call(Generic[T]):
    """A call of the store's method *name*, with an answer of type T. As a flow it consists of that call."""

    __slots__ = __match_args__ = ("name", "args", "kwargs")

    def __init__(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any] = _NO_KWARGS) -> None:
        self.name = name
        self.args = args
        self.kwargs = kwargs

    def run(self, store: object) -> T:
        """Return the method's result; an awaitable on an asynchronous store."""
        answer: T = getattr(store, self.name)(*self.args, **self.kwargs)
        return answer

    def __iter__(self) -> Flow[T]:
        answer: T = yield self
        return answer


class _FreshLoad(Call[Record | None]):
    """A load that no cache answers."""

    __slots__ = ()

    def run(self, store: object) -> Record | None:
        """Return the record, without any cache."""
        load: Callable[[str], Record | None] = getattr(store, "load_fresh", None) or cast("Store", store).load
        return load(*self.args)


Flow: TypeAlias = Generator[Call[Any], Any, T]


def load(key: str, *, fresh: bool = False) -> Call[Record | None]:
    """Load the live record under *key*; *fresh*: without any cache, for a permanent decision."""
    return _FreshLoad("load", (key,)) if fresh else Call("load", (key,))


def create(key: str, data: bytes, expires_at: int, owner: str | None = None) -> Call[Version | None]:
    """Make a record, unless a live one exists: None."""
    return Call("create", (key, data), {"expires_at": expires_at, "owner": owner})


def replace(
    key: str, data: bytes, expect: Version, expires_at: int, owner: str | None = None
) -> Call[Version | Conflict | Gone]:
    """Replace the live record if its version is *expect*."""
    return Call("replace", (key, data), {"expect": expect, "expires_at": expires_at, "owner": owner})


def touch(key: str, expires_at: int) -> Call[bool]:
    """Extend the live record's life, if there is one."""
    return Call("touch", (key,), {"expires_at": expires_at})


def delete(key: str) -> Call[bool]:
    """Remove the record; the answer is whether a live one existed."""
    return Call("delete", (key,))


def discard(versions: Mapping[str, Version]) -> Call[frozenset[str]]:
    """Remove the records that still have their version in *versions*, on a store that `Discards`; return their keys."""
    return Call("discard", (versions,))


def move(rotation: Rotation) -> Call[Version | Conflict | Gone]:
    """Rotate in one step, on a store that `Rotates`."""
    return Call("move", (rotation,))


def find(owner: str, after: str | None, limit: int) -> Call[Page]:
    """Read a page of about *limit* records in the owner's index after *after*, on a store that `Indexes`."""
    return Call("find", (owner, after), {"limit": limit})


def scan(after: str | None, limit: int) -> Call[Page]:
    """Read a page of about *limit* records after *after*, on a store that `Iterates`."""
    return Call("scan", (after,), {"limit": limit})


class Pages:
    """The pages of *ask*, `scan` or `find` of the owner in *args*, from the first on, of about *limit* records each.

    Attributes:
        after: Where the next page begins; None before the first one and after the last one.
        number: How many there were.
    """

    def __init__(self, limit: int, ask: Callable[..., Call[Page]], *args: str) -> None:
        self.after: str | None = None
        self.number = 0
        self._ask = ask, args, limit

    def next(self) -> Flow[Page | None]:
        """Return the next page, or None after the last one."""
        if self.number and self.after is None:
            return None
        ask, args, limit = self._ask
        page = yield from ask(*args, self.after, limit)
        self.after, self.number = page.after, self.number + 1
        return page


def confirm(key: str) -> Call[bool]:
    """Ask whether the writes to *key* are replicated, on a store that `Confirms`."""
    return Call("confirm", (key,))


def purge(now: int, limit: int, report: Callable[[str, str], object] | None = None) -> Call[int]:
    """Remove at most *limit* expired records, on a store that `Purges`; the answer is how many were removed."""
    return Call("purge", (now,), {"limit": limit, "report": report})


def now() -> Call[int]:
    """Ask for the server's time in milliseconds since the epoch, on a store that `KeepsTime`."""
    return Call("now", ())


def pause(ms: float) -> Call[None]:
    """Wait for *ms* milliseconds before the next attempt."""
    return Call(PAUSE, (ms,))


#: Calls that change nothing: they may work while writes wait for a lock.
_READS = frozenset({"load", "find", "scan", "now", "confirm"})
#: A failure that takes this long is a time-out, in seconds; and so many in a row mean that the store hangs.
_SLOW, _IN_A_ROW = 0.4, 3
#: The most seconds of a probe, since one that was interrupted by a fork has no end; and those between two probes.
_PROBE, _REST = 30.0, 1.0


class Breaker:
    """Fails calls at once while a store hangs, so that its time-outs do not occupy every thread of a worker.

    After three time-outs in a row *tripped* is True: one call at a time is made, as a probe, a second after the last
    failed, and the others raise `StoreUnavailable`. So a request that makes many calls fails soon, too. The first that
    works ends that. *timer* returns seconds.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self.tripped = False
        self._timer = timer
        self._timeouts = 0
        self._next_probe = 0.0

    def run(self, call: Call[T], store: object) -> T:
        """Return the answer to *call*."""
        began = self._timer()
        if self.tripped:
            if began < self._next_probe:
                raise StoreUnavailable("the store hangs: one call a second finds out whether it works again")
            self._next_probe = began + _PROBE
        try:
            answer = call.run(store)
        except StoreUnavailable:
            failed = self._timer()
            self._timeouts = self._timeouts + 1 if failed - began >= _SLOW else 0
            self.tripped, self._next_probe = self._timeouts >= _IN_A_ROW, failed + _REST
            raise
        except BaseException:
            self._next_probe = 0.0
            raise
        if self._timeouts:
            self._timeouts, self.tripped = 0, False
        return answer


def as_store_error(error: StoreError | ConfigurationError) -> StoreError:
    """Return *error* as the flows know it: while a setting is wrong, no call of the store succeeds."""
    return error if isinstance(error, StoreError) else StoreSetUpWrong(str(error))


def drive(
    flow: Flow[T] | Call[T],
    store: object,
    on_call: Callable[[str, float, StoreError | None], object] | None = None,
    *,
    timer: Callable[[], float] = time.perf_counter,
    breakers: tuple[Breaker, Breaker] | None = None,
) -> T:
    """Run *flow* on *store* to its end and return its outcome. Store errors are raised inside the flow.

    *on_call* is called after each store call, with the method's name, the call's time by *timer*, which returns
    seconds, and the exception that it raised or None. *breakers* are those of the store's writes and of its reads.
    """
    steps = flow.__iter__()
    try:
        call = next(steps)
        while True:
            if call.name == PAUSE:
                time.sleep(call.args[0] / 1000)
                call = steps.send(None)
                continue
            began, failure = timer() if on_call is not None else 0.0, None
            try:
                answer = call.run(store) if breakers is None else breakers[call.name in _READS].run(call, store)
            except (StoreError, ConfigurationError) as error:
                answer, failure = None, as_store_error(error)
            if on_call is not None:
                on_call(call.name, timer() - began, failure)
            call = steps.send(answer) if failure is None else steps.throw(failure)
    except StopIteration as stop:
        outcome: T = stop.value
        return outcome
