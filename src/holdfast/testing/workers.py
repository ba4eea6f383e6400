"""Processes that open the store under test, run jobs, and can be killed."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import pkgutil
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from holdfast.testing.base import ContractBase
from holdfast.testing.clock import FakeClock

#: The job of a worker: it gets the contract in its own process, a function that sends a message to the test, and
#: arguments. Its result is sent last.
Job = Callable[..., object]


#: Packages that take long to import, and that stores need.
_DRIVERS = ("pymemcache", "pymongo", "redis", "sqlalchemy")

#: Windows has no fork.
_FORKS = "forkserver" in multiprocessing.get_all_start_methods()


class Worker:
    """A process that works on the place of *contract*. It inherits no state but the environment.

    Where processes can fork, it is forked from one that has nothing but this module and drivers imported, since those
    take longer than most of what a worker does.

    Its first message reports that the store is open. Close it, for instance by `contextlib.closing`.
    """

    def __init__(self, contract: ContractBase) -> None:
        processes: Any = multiprocessing.get_context("forkserver" if _FORKS else "spawn")
        if _FORKS:
            processes.set_forkserver_preload([__name__, *(driver for driver in _DRIVERS if driver in sys.modules)])
        self._connection, there = processes.Pipe()
        kind = type(contract)
        names = kind.__module__, sys.modules[kind.__module__].__file__, kind.__qualname__
        arguments = there, names, contract.place, contract.clock(), dict(os.environ)
        self._process = processes.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        there.close()

    def start(self, job: Job, **arguments: object) -> None:
        """Let the worker run *job*, a function of a module, and return at once."""
        self._connection.send((job, arguments))

    def receive(self, *, within: float = 20) -> Any:
        """Return the next message of the worker, or the result of its job; fail without one *within* these seconds."""
        assert self._connection.poll(within), f"the worker process sent no message for {within} seconds"
        failed, message = self._connection.recv()
        assert not failed, f"in the worker process: {message}"
        return message

    def kill(self) -> list[Any]:
        """Kill the process with SIGKILL, wait until it is dead, and return the messages that were not received yet."""
        self._process.kill()
        self._process.join()
        messages = []
        with suppress(EOFError, ConnectionResetError):
            while True:
                messages.append(self.receive(within=0))
        return messages

    def close(self) -> None:
        """Kill the process if it still runs, and release its resources."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._connection.close()


def _serve(
    connection: Connection, names: tuple[str, str | None, str], place: Path, now: int, environ: dict[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environ)
    contract = _class_at(*names)()
    with contract.running(place):
        if isinstance(contract.clock, FakeClock):
            contract.clock.advance_ms(now - contract.clock())
        connection.send((False, contract.store is not None))
        while True:
            job, arguments = connection.recv()
            try:
                answer = job(contract, lambda message: connection.send((False, message)), **arguments)
            except Exception as error:  # noqa: BLE001 (whatever it was, the test in the other process reports it)
                connection.send((True, f"{type(error).__name__}: {error}"))
            else:
                connection.send((False, answer))


def _class_at(module: str, source: str | None, qualname: str) -> Callable[[], ContractBase]:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        # pytest may import a test file under a name of its own.
        spec = importlib.util.spec_from_file_location(module, source or "")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module])
    kind: Callable[[], ContractBase] = pkgutil.resolve_name(f"{module}:{qualname}")
    return kind
