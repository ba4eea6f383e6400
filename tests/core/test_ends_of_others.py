"""Ends stop at the namespace: another application's sessions, and records that are no sessions, stay."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.everywhere import KINDS, url_of_kind, web_on
from support.terminal import Terminal
from support.web import Web, rotate

from holdfast.errors import UnknownKey
from holdfast.flask import session
from holdfast.records.encryption import new_key

ALL = [pytest.param(kind, marks=marks) for kind, marks in KINDS.items()]
KEYS = new_key(), new_key()
SEALS: list[dict[str, Any]] = [{}, {"SESSION_SEAL_KEYS": [KEYS[0]]}]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("seal", SEALS)
def test_a_handle_of_another_application_is_absent(
    kind: str, seal: Any, request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    """`revoke` ends no session of another namespace in the same store."""
    with web_on(kind, request, tmp_path, **seal) as web:
        other = Web(lambda _: web.memory, SESSION_KEY_PREFIX="other:", **seal)
        web.do(lambda: session.bind("ada"))
        handle = web.see(lambda: session.handle)
        assert other.sessions.revoke(handle) == "absent"
        assert web.see(lambda: session.handle) == handle
        assert web.sessions.revoke(handle) == "confirmed"


@pytest.mark.parametrize("seal", SEALS)
def test_a_handle_that_another_application_moved_to_is_absent(seal: Any) -> None:
    """Nor does the handle that a session had before it was rotated end it."""
    web = Web(**seal)
    other = Web(lambda _: web.memory, SESSION_KEY_PREFIX="other:", **seal)
    web.put(a=1)
    before = web.see(lambda: session.handle)
    web.do(rotate)
    assert other.sessions.revoke(before) == "absent"
    assert web.data() == {"a": 1}


@pytest.mark.parametrize("kind", [kind for kind in ALL if "memcached" not in kind.values])
@pytest.mark.parametrize("seal", SEALS)
def test_the_key_of_a_cutoff_is_no_handle(kind: str, seal: Any, request: pytest.FixtureRequest, tmp_path: Any) -> None:
    """`revoke` with it is ``absent``, and removes nothing."""
    with web_on(kind, request, tmp_path, **seal) as web:
        keys = web.sessions.manager.keys
        key = keys.cutoff_key(keys.owner_of("ada"))
        web.sessions.revoke_all("ada")
        before = web.memory.load(key)
        assert before is not None
        assert web.sessions.revoke(key) == "absent"
        assert web.memory.load(key).data == before.data


def test_a_session_that_no_key_opens_is_not_ended() -> None:
    """It may be another application's: `revoke` raises, and `revoke_everyone` leaves it."""
    web = Web(SESSION_SEAL_KEYS=[KEYS[0]])
    web.put(a=1)
    handle = web.see(lambda: session.handle)
    others: list[dict[str, Any]] = [{}, {"SESSION_SEAL_KEYS": [KEYS[1]]}]
    for config in others:
        other = Web(lambda _: web.memory, **config)
        with pytest.raises(UnknownKey):
            other.sessions.revoke(handle)
        assert other.sessions.revoke_everyone() == 0
    assert web.data() == {"a": 1}


@pytest.mark.parametrize("kind", ["sqlite", "files", "json"])
def test_commands_end_no_sealed_session_without_its_key(
    kind: str, request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    """Neither by its handle nor with ``--all``; with the key they do."""
    with web_on(kind, request, tmp_path, SESSION_SEAL_KEYS=[KEYS[0]]) as web:
        other = Web(lambda _: web.memory, SESSION_SEAL_KEYS=[KEYS[0]], SESSION_KEY_PREFIX="other:")
        for each in (web, other):  # the commands go by the system's clock
            each.clock.advance(time.time() - each.clock() / 1000)
            each.do(lambda: session.bind("ada"))
        handle, terminal = web.see(lambda: session.handle), Terminal(url_of_kind(kind, request, tmp_path))
        assert len(terminal.data("list")["sessions"]) == 2
        assert terminal.error("revoke", handle) == (
            "no key opens this session, so it may be another application's: set SESSION_SEAL_KEYS to end it"
        )
        assert terminal.error("revoke", "--all", "--yes").startswith("ended 0 sessions, and left 2 sealed sessions")
        assert web.see(lambda: session.handle) == handle
        assert terminal.data("revoke", "--all", "--yes", SESSION_SEAL_KEYS=KEYS[0]) == {"ended": 1}
        assert web.see(lambda: session.handle) is None
        assert other.see(lambda: session.handle) is not None
