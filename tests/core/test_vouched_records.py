"""Control records of an application with keys: none that was forged in the store, or moved in it, is believed."""

from __future__ import annotations

from typing import Any

import pytest
from support.everywhere import KINDS, web_on
from support.web import Web, cookies_set, end, rotate

from holdfast.clock import HOUR
from holdfast.errors import DecodeError, UnknownKey
from holdfast.flask import session
from holdfast.records.encryption import Keyring, Sealer, new_key
from holdfast.records.envelope import Control, Cutoff, Tombstone, TombstoneKind, Unsealed, encode
from holdfast.records.tokens import open_successor, seal_successor

KEY = new_key()
HERE, THERE = "here", "there"
OLD, NEW = "O" * 42 + "A", "N" * 42 + "A"
ALL = [pytest.param(kind, marks=marks) for kind, marks in KINDS.items()]
CONTROLS: list[Control] = [
    Tombstone(TombstoneKind.SUPERSEDED, 5, "a" * 64),
    Tombstone(TombstoneKind.ALIAS, 5, "a" * 64, seal_successor(OLD, NEW)),
    Tombstone(TombstoneKind.ENDED, 5),
    Cutoff(7, "b" * 64),
]


def sealing(**config: Any) -> Web:
    """Return an application that seals its records."""
    return Web(SESSION_SEAL_KEYS=[KEY], **config)


def revoking(**config: Any) -> Web:
    """Return an application whose sessions live in the cookie, with a store for revocations."""
    return Web(setting="SESSION_REVOCATION_STORE", SESSION_STORE="cookie://", SESSION_SEAL_KEYS=[KEY], **config)


def plant(web: Web, key: str, data: bytes) -> None:
    """Store *data* under *key*, whatever is there."""
    web.memory.delete(key)
    web.memory.create(key, data, expires_at=web.clock() + HOUR)


@pytest.mark.parametrize("how", ["keys", "cookie", "mac"])
@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_record_opens_only_where_it_was_stored(how: Any, control: Control) -> None:
    """It comes back as it was under its key, also with a later seal key in front, and nowhere else."""
    data = Sealer(how, [KEY]).seal_control(control, HERE)
    assert Sealer(how, [new_key(), KEY]).read(data, HERE) == control
    with pytest.raises(DecodeError):
        Sealer(how, [KEY]).read(data, THERE)
    with pytest.raises(DecodeError):
        Sealer(how, [KEY], namespace="other:").read(data, HERE)
    with pytest.raises(UnknownKey):
        Sealer(how, [new_key()]).read(data, HERE)
    with pytest.raises(UnknownKey):
        Unsealed().read(data, HERE)


@pytest.mark.parametrize("control", CONTROLS)
def test_no_byte_of_a_control_record_can_be_changed(control: Control) -> None:
    """With any byte changed, or the code left out, it is refused."""
    sealer = Sealer("keys", [KEY])
    data = sealer.seal_control(control, HERE)
    forged = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    for each in [*forged, encode(control), data[:-1]]:
        with pytest.raises(DecodeError):
            sealer.read(each, HERE)


def test_a_migration_window_accepts_control_records_without_a_code() -> None:
    """While it is open, the application was without keys a moment ago."""
    sealer = Sealer("keys", [KEY], migrate_until=10, clock=lambda: 9)
    assert sealer.read(encode(CONTROLS[0]), HERE) == CONTROLS[0]
    with pytest.raises(DecodeError):
        Sealer("keys", [KEY], migrate_until=10, clock=lambda: 10).read(encode(CONTROLS[0]), HERE)


@pytest.mark.parametrize("how", ["keys", "cookie", "mac"])
def test_an_old_token_and_a_copy_of_the_store_give_no_new_token(how: Any) -> None:
    """Only with the application's key does an old token lead to the one that a renewal made."""
    web = Web(SESSION_SEAL=how, SESSION_SEAL_KEYS=[KEY], SESSION_RENEWAL_INTERVAL=60)
    web.put(a=1)
    old = str(web.token())
    web.clock.advance(61)
    web.data()
    new = web.token()
    assert new not in {None, old}
    record = web.memory.load(web.sessions.manager.keys.key_of(old))
    assert record is not None
    raw, pad = record.data, seal_successor(old, "A" * 43)
    reached = {open_successor(old, raw[at : at + len(pad)]) for at in range(len(raw) - len(pad) + 1)}
    assert new not in reached
    assert web.data(web.with_token(old)) == {"a": 1}


@pytest.mark.parametrize("kind", ALL)
def test_a_forged_tombstone_is_corrupt(kind: str, request: pytest.FixtureRequest, tmp_path: Any) -> None:
    """One in the place of a session is no tombstone: it is removed, and the browser can go on at once."""
    with web_on(kind, request, tmp_path, SESSION_SEAL_KEYS=[KEY]) as web:
        web.put(a=1)
        key = web.see(lambda: session.handle)
        plant(web, key, encode(Tombstone(TombstoneKind.SUPERSEDED, web.clock() + 30_000, None)))
        web.take_heard()
        assert cookies_set(web.put(b=2))
        assert web.reasons() == ["corrupt"]
        assert web.memory.load(key) is None


def test_a_moved_tombstone_is_corrupt() -> None:
    """The tombstone of one session, copied over another, ends nothing and leads nowhere."""
    web = sealing()
    other = web.app.test_client()
    web.put(a=1)
    web.put(other, a=2)
    mine, theirs = web.see(lambda: session.handle), web.see(lambda: session.handle, other)
    web.do(rotate, other)
    plant(web, mine, web.memory.load(theirs).data)
    web.take_heard()
    web.data()
    assert web.reasons() == ["corrupt"]
    assert web.sessions.revoke(mine) == "absent"
    assert web.data(other) == {"a": 2}


@pytest.mark.parametrize("make", [sealing, revoking])
@pytest.mark.parametrize("moved", [False, True])
def test_a_forged_cutoff_ends_nothing(make: Any, moved: bool) -> None:
    """One that was made without a key, or for another user, refuses no login and ends no session."""
    web = make()
    keys = web.sessions.manager.keys
    ada = keys.cutoff_key(keys.owner_of("ada"))
    data = encode(Cutoff(web.clock() + 1000))
    if moved:
        web.sessions.revoke_all("bob")
        data = web.memory.load(keys.cutoff_key(keys.owner_of("bob"))).data
    plant(web, ada, data)
    web.do(lambda: session.bind("ada"))
    web.clock.advance(1)
    assert web.see(lambda: session.handle) is not None
    web.sessions.revoke_all("ada")
    assert web.see(lambda: session.handle) is None


@pytest.mark.parametrize("kind", [TombstoneKind.ENDED, TombstoneKind.SUPERSEDED, TombstoneKind.ALIAS, None])
def test_a_forged_revocation_ends_no_session_in_the_cookie(kind: TombstoneKind | None) -> None:
    """It is ignored, and does not stand in the way of a logout either."""
    web = revoking()
    web.put(a=1)
    key = web.see(lambda: session.handle)
    plant(web, key, b"junk" if kind is None else encode(Tombstone(kind, web.clock() + 1000, "c" * 64)))
    assert web.data() == {"a": 1}
    copy = web.twin()
    web.do(end)
    assert web.data(copy) == {}


def test_a_revocation_that_another_servers_key_vouches_for_is_not_ignored() -> None:
    """It is unknown whether it is genuine: the session is not opened, and the cookie is kept."""
    web = revoking()
    web.put(a=1)
    key = web.see(lambda: session.handle)
    other = Sealer("mac", Keyring([new_key()]))
    plant(web, key, other.seal_control(Tombstone(TombstoneKind.ENDED, web.clock()), ""))
    web.take_heard()
    response = web.put(b=2)
    assert web.reasons() == ["unknown_key"]
    assert not cookies_set(response)


def test_a_revocation_of_another_application_ends_no_session_in_the_cookie() -> None:
    """Two applications with one key and one store for revocations: each ends its own sessions only."""
    web = revoking()
    other = Web(
        lambda _: web.memory,
        setting="SESSION_REVOCATION_STORE",
        SESSION_STORE="cookie://",
        SESSION_SEAL_KEYS=[KEY],
        SESSION_KEY_PREFIX="other:",
    )
    web.put(a=1)
    assert other.sessions.revoke(web.see(lambda: session.handle)) == "confirmed"
    assert web.data() == {"a": 1}


def test_a_cutoff_that_another_servers_key_vouches_for_is_not_ignored_by_sessions_in_the_cookie() -> None:
    """Nor is it known to be genuine: the session is not opened, and the cookie is kept."""
    web = revoking()
    web.do(lambda: session.bind("ada"))
    keys = web.sessions.manager.keys
    key = keys.cutoff_key(keys.owner_of("ada"))
    plant(web, key, Sealer("mac", [new_key()]).seal_control(Cutoff(web.clock()), ""))
    web.take_heard()
    assert not cookies_set(web.put(b=2))
    assert web.reasons() == ["unknown_key"]
