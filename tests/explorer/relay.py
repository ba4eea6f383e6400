"""Stand between a flow and the store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from explorer.schedules import Actor

from holdfast.errors import StoreError


def relay(flow: Actor, around: Callable[[Any], Actor]) -> Actor:
    """Return *flow* with each of its operations replaced by the steps of ``around(operation)``.

    Its result is sent to the flow, and a store error that it does not catch is raised in the flow.
    """
    resume = partial(flow.send, None)
    while True:
        try:
            operation = resume()
        except StopIteration as stop:
            return stop.value
        try:
            resume = partial(flow.send, (yield from around(operation)))
        except StoreError as error:
            resume = partial(flow.throw, error)
