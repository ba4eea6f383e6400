"""Sessions that somebody with access to the store has changed: no error, and nothing that stops a list or an end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.web import Web

from holdfast.errors import DecodeError
from holdfast.flask import session
from holdfast.records.codec import JSON
from holdfast.records.encryption import new_key
from holdfast.records.envelope import Envelope, decode, encode
from holdfast.records.metadata import PREVIOUS, UNFINISHED
from holdfast.stores.files import FileStore

HALF = "\ud800"


def signed_in(**config: Any) -> tuple[Web, str]:
    """Return an application with a session of ada's, and its key."""
    web = Web(**config)
    web.do(lambda: session.bind("ada"))
    return web, web.see(lambda: session.handle)


def change(web: Web, key: str, **fields: Any) -> None:
    """Change *fields* of the record under *key*."""
    record = replace(web.memory.load(key), **fields)
    web.memory.delete(key)
    web.memory.create(key, record.data, expires_at=record.expires_at, owner=record.owner)


@pytest.mark.parametrize("how", ["", "keys", "cookie", "mac"])
@pytest.mark.parametrize("owner", [HALF, "\u202eada"])
def test_an_owner_that_is_no_owner_value(how: str, owner: str) -> None:
    """A session under it is nobody's in every mode, and neither a list nor an end fails because of it."""
    web, key = signed_in(**({"SESSION_SEAL": how, "SESSION_SEAL_KEYS": [new_key()]} if how else {}))
    change(web, key, owner=owner)
    assert web.sessions.scan().items == ()
    assert web.sessions.revoke_everyone() == 0
    assert web.see(lambda: session.owner) is None


def test_metadata_that_is_no_text() -> None:
    """A record as text whose label has half of a surrogate pair, which no page can show, is damaged."""
    data = encode(Envelope(1, 1, 1, b"{}", JSON, {"label": "x"}))
    assert isinstance(decode(data), Envelope)
    with pytest.raises(DecodeError):
        decode(data.replace(b'"x"', json.dumps(HALF).encode()))


def test_an_expiry_that_no_calendar_has() -> None:
    """A session that expires in a far future was not used later than now."""
    web, key = signed_in()
    change(web, key, expires_at=2**63 - 1)
    assert [info.last_used_at for info in web.sessions.of("ada")] == [web.clock()]


@pytest.mark.parametrize("previous", ["", "<script>", "../../secret", "0" * 63])
def test_a_renewal_from_what_is_no_key(previous: str, tmp_path: Path) -> None:
    """A session that says so is served, also where keys are names of files, and says so no more."""
    web = Web(lambda clock: FileStore(tmp_path, clock=clock), PROPAGATE_EXCEPTIONS=False)
    web.put(a=1)
    key = web.see(lambda: session.handle)
    envelope = decode(web.memory.load(key).data)
    assert isinstance(envelope, Envelope)
    envelope.meta[PREVIOUS] = previous
    change(web, key, data=encode(envelope))
    assert web.put(b=2).status_code == 200
    assert web.data() == {"a": 1, "b": 2}
    stored = decode(web.memory.load(web.see(lambda: session.handle)).data)
    assert isinstance(stored, Envelope)
    assert PREVIOUS not in stored.meta


@pytest.mark.parametrize("mark", ["", "x", "-1", "9" * 5000])
def test_an_unfinished_login_without_a_start(mark: str) -> None:
    """A login whose mark has no time began at no time: it is finished, and any end of all sessions covers it."""
    web, key = signed_in()
    envelope = decode(web.memory.load(key).data)
    assert isinstance(envelope, Envelope)
    envelope.meta[UNFINISHED] = mark
    change(web, key, data=encode(envelope))
    assert web.see(lambda: session.owner) == web.sessions.manager.keys.owner_of("ada")
    change(web, web.see(lambda: session.handle), data=encode(envelope))
    web.memory.delete(key)
    web.sessions.revoke_all("ada")
    web.memory.create(key, encode(envelope), expires_at=envelope.created_at + 10**9, owner=None)
    change(web, key, owner=web.sessions.manager.keys.owner_of("ada"))
    assert web.see(lambda: session.owner) is None
