"""Sessions while the process is out of stack, memory or file descriptors: they are not taken for damaged."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support import seams
from support.web import Web

from holdfast.flask import session

FORMATS = pytest.mark.parametrize("form", ["msgpack", "json"])


def nested(depth: int) -> list[Any]:
    """Return lists in lists, *depth* deep."""
    return [nested(depth - 1)] if depth else [(1, {2})]


def frames() -> int:
    """Return how many frames are on the stack."""
    frame, count = sys._getframe(), 0
    while frame.f_back is not None:
        frame, count = frame.f_back, count + 1
    return count


def with_room(room: int, work: Callable[[], str]) -> str:
    """Return what *work* returns, called with *room* frames left on the stack."""

    def call(times: int) -> str:
        return call(times - 1) if times else work()

    return call(sys.getrecursionlimit() - frames() - room)


@FORMATS
def test_a_lookup_at_the_recursion_limit_ends_no_session(form: str) -> None:
    """Wherever the stack ends, the view gets its data or the request fails, and the session lives."""
    web = Web(PROPAGATE_EXCEPTIONS=False, SESSION_SERIALIZATION_FORMAT=form)
    web.put(n=1, deep=nested(20), at=datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Paris")))
    answers = set()
    for room in range(8, 150):
        answer = web.do(partial(with_room, room, lambda: str(session.get("n"))))
        answers.add((answer.status_code, answer.text if answer.status_code == 200 else ""))
        assert web.data()["n"] == 1
    assert answers == {(200, "1"), (500, "")}


@pytest.mark.parametrize(
    "fault", [MemoryError(), OSError(errno.EMFILE, "Too many open files"), OSError(errno.ENOMEM, "No memory")]
)
def test_a_lookup_without_memory_or_files_ends_no_session(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request fails, and the next one has the session."""
    web = Web(PROPAGATE_EXCEPTIONS=False)
    web.put(n=1, at=datetime(2026, 7, 1, tzinfo=timezone.utc))

    def fail(*_: object) -> None:
        raise fault

    with monkeypatch.context() as patch:
        seams.MSGPACK_PARSER.plant(patch, fail)
        assert web.do(lambda: str(session.get("n"))).status_code == 500
    assert web.data()["n"] == 1
