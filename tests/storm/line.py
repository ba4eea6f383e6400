"""A port that leads to a server, and can be slow, lose answers, or forget its connections."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.testing import Fault, Link


class Line(Link):
    """A link with faults that last.

    Args:
        server: Host and port, or the path of a Unix socket.
        seed: Determines which answers are lost.
    """

    def __init__(self, server: tuple[str, int] | str, seed: str) -> None:
        self._delay = 0.0
        self._losing = 0.0
        self._forgotten_before = 0.0
        self._random = random.Random(seed)
        self._here = threading.local()
        super().__init__(server)

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Deliver each piece of data so much later inside the block."""
        self._delay = seconds
        try:
            yield
        finally:
            self._delay = 0.0

    @contextmanager
    def losing(self, share: float) -> Iterator[None]:
        """Lose this share of the answers, with their connections, inside the block."""
        self._losing = share
        try:
            yield
        finally:
            self._losing = 0.0

    @contextmanager
    def cutting(self, every: float) -> Iterator[None]:
        """Close every connection again and again inside the block; new ones work."""
        over = threading.Event()

        def cut() -> None:
            while not over.wait(every):
                self._drop_all()

        thread = threading.Thread(target=cut, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """Swallow all data of the connections that are open now, as a firewall does, and close them after the block."""
        with self._lock:
            forgotten = list(self._sockets)
        self._forgotten_before = time.monotonic()
        try:
            yield
        finally:
            self._forgotten_before = 0.0
            self._drop_these(*forgotten)

    def _pass_on(self, *ends: Any) -> None:
        self._here.opened = time.monotonic()
        super()._pass_on(*ends)

    def _strike(self, loss: Fault) -> Fault | None:
        if self._here.opened < self._forgotten_before:
            return Fault.SILENT
        if self._delay:
            time.sleep(self._delay)
        if self._losing and loss is Fault.REPLY_LOST and self._random.random() < self._losing:
            return loss
        return super()._strike(loss)
