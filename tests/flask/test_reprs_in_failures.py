"""Error reporters print the local variables of every frame of a failure: none shows a token, data or a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support import disk
from support.everywhere import web_on
from support.web import Web, end, rotate

from holdfast import events
from holdfast.errors import ConfigurationError, EncodeError, HoldfastError, StoreUnavailable
from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.stores.memory import MemoryStore
from holdfast.testing.wrappers import StoreWrapper

KEY = new_key()
CANARY = "canary-7Qx"
#: Frames of the application, of its framework and of the tests hold what the application put there.
OTHERS = ("flask", "werkzeug", "support", "test_", "tests", "contextlib", "blinker", "holdfast.testing")


class Nth(StoreWrapper):
    """A store that fails at one call, and from then on if it is *down*."""

    left = -1
    down = False

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Fail if it is this call's turn, before or after it is applied."""
        self.left -= 1
        if self.left == 0 or (self.down and self.left < 0):
            raise StoreUnavailable(f"{operation} failed") from OSError("unplugged")
        return call()


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and all the exceptions that it was raised from or during."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames that a reporter shows of *error*, but for those of others."""
    for each in chain(error):
        trace = each.__traceback__
        while trace is not None:
            name = trace.tb_frame.f_globals.get("__name__", "")
            if not name.startswith(OTHERS):
                yield trace.tb_frame
            trace = trace.tb_next


class Reporter:
    """Takes down what the frames of each failure show, when it is raised and when its signal is sent."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.shown: list[tuple[str, str]] = []
        web.app.register_error_handler(Exception, self.answer)
        events.store_unavailable.connect(self.hear, sender=web.app)

    def hear(self, _sender: object, *, error: BaseException, **_: object) -> None:
        """Take down *error*, which may have been dealt with."""
        for frame in frames(error):
            where = f"{frame.f_globals['__name__']}.{frame.f_code.co_name}"
            self.shown += [(f"{where}: {name}", repr(value)) for name, value in frame.f_locals.items()]

    def answer(self, error: Exception) -> tuple[str, int]:
        """Take down *error*, and answer it."""
        self.hear(None, error=error)
        return "failed", 500

    def leaks(self, *secrets: str | None) -> list[str]:
        """Return where a secret was shown."""
        return sorted({where for where, text in self.shown if any(secret and secret in text for secret in secrets)})


def grown(value: int) -> int:
    """Return a value for `session.apply`."""
    return value + 1


def login() -> None:
    """Sign a user in."""
    session.bind("ada")


def end_others() -> None:
    """End the user's other sessions."""
    session.revoke_others()


FLOWS: dict[str, Callable[[], object]] = {
    "read": lambda: session.get("secret"),
    "save": lambda: session.update(more=1),
    "apply": lambda: session.apply("n", grown, default=0),
    "pop": lambda: session.pop_once("secret"),
    "rotate": rotate,
    "login": login,
    "another's login": lambda: session.bind("bob"),
    "end others": end_others,
    "logout": end,
}


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("seal", [None, "keys", "cookie", "mac"])
@pytest.mark.parametrize("down", [False, True])
def test_no_frame_of_an_outage_shows_a_secret(flow: str, seal: str | None, down: bool) -> None:
    """The store fails at one call of a request, or from that call on: at each in turn, in each flow."""
    config: dict[str, Any] = {"SESSION_SEAL": seal, "SESSION_SEAL_KEYS": [KEY]} if seal else {}
    number, failed, shown = 0, True, 0
    while failed:
        number += 1
        store = Nth(MemoryStore())
        web = Web(lambda _: store, PROPAGATE_EXCEPTIONS=False, SESSION_RENEWAL_INTERVAL=60, **config)  # noqa: B023
        reporter = Reporter(web)
        web.do(lambda: session.update(secret=CANARY, n=0))
        if flow in {"end others", "another's login"}:
            web.do(login)
        web.clock.advance(61 if number % 2 else 1)
        before = web.token()
        store.left, store.down = number, down
        reporter.shown.clear()
        web.do(FLOWS[flow])
        failed = store.left <= 0
        store.left, store.down = -1, False
        assert not reporter.leaks(before, web.token(), CANARY, KEY)
        shown += len(reporter.shown)
    assert number > 1
    assert shown


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("kind", ["sqlite", "files", "json"])
def test_no_frame_of_a_broken_store_shows_a_secret(
    flow: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Nor do the frames of the store and of its driver, when its folder is gone."""
    with web_on(kind, request, tmp_path / "kept", PROPAGATE_EXCEPTIONS=False) as web:
        reporter = Reporter(web)
        web.do(lambda: session.update(secret=CANARY, n=0))
        with disk.taken_away(tmp_path / "kept"):
            web.do(FLOWS[flow])
        assert reporter.shown
        assert not reporter.leaks(web.token(), CANARY)


def broken(_: object) -> object:
    """Fail as a function of the application's may."""
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (lambda: session.update(bad=object()), EncodeError),
        (lambda: session.update(large="x" * 2_000_000), HoldfastError),
        (lambda: session.apply("n", broken), ZeroDivisionError),
    ],
)
@pytest.mark.parametrize("place", [{}, {"SESSION_STORE": "cookie://", "SESSION_SEAL_KEYS": [KEY]}])
def test_no_frame_of_a_failed_save_shows_a_secret(action: Any, expected: type[Exception], place: Any) -> None:
    """A value that cannot be stored, and a function that fails, are reported without the rest of the session."""
    web = Web(setting="A_STORE_THAT_IS_NOT_USED" if place else "SESSION_STORE", PROPAGATE_EXCEPTIONS=True, **place)
    reporter = Reporter(web)
    web.do(lambda: session.update(secret=CANARY, n=0))
    caught: list[BaseException] = []
    try:
        web.do(action)
    except Exception as error:  # noqa: BLE001  # judged below
        caught.append(error)
        reporter.hear(None, error=error)
    assert reporter.shown
    assert not reporter.leaks(web.token(), CANARY, KEY)
    assert not caught or isinstance(caught[0], expected)


@pytest.mark.parametrize(
    "config",
    [
        {"SESSION_SEAL_KEYS": [KEY, "short"]},
        {"SESSION_SEAL_KEYS": [KEY], "PERMANENT_SESSION_LIFETIME": -1},
        {"SESSION_SEAL_KEYS": [KEY], "SESSION_STORE": "redis://:" + KEY + "@"},
        {"SESSION_OWNER_KEY": KEY.encode(), "SESSION_SEAL": "no"},
    ],
)
def test_no_frame_of_a_wrong_setting_shows_a_key(config: dict[str, Any]) -> None:
    """Not even of an application that does not start."""
    with pytest.raises(ConfigurationError) as caught:
        Web(**config)
    shown = [(frame.f_code.co_name, repr(frame.f_locals)) for frame in frames(caught.value)]
    assert shown
    assert not [name for name, text in shown if KEY in text]
