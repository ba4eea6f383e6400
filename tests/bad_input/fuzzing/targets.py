"""The inputs: an application's ``Cookie`` header, and the record of its one session, each in every mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bad_input import records
from support.target import Target

from holdfast.errors import DecodeError
from holdfast.records.encryption import new_key
from holdfast.records.envelope import Envelope, decode
from holdfast.records.tokens import Keys

#: The settings of each mode.
MODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "signed": {"SESSION_USE_SIGNER": True},
    "json": {"SESSION_SERIALIZATION_FORMAT": "json"},
    "keys": {"SESSION_SEAL": "keys", "SESSION_SEAL_KEYS": [new_key()]},
    "cookie": {"SESSION_SEAL": "cookie", "SESSION_SEAL_KEYS": [new_key()]},
    "mac": {"SESSION_SEAL": "mac", "SESSION_SEAL_KEYS": [new_key()]},
    "client-side": {"SESSION_STORE": "cookie://", "SESSION_SEAL_KEYS": [new_key()]},
}

#: The modes that have records.
STORED = [mode for mode in MODES if mode not in {"signed", "client-side"}]

_NAME = b"session="


class Cookies:
    """An application that is sent cookies."""

    def __init__(self, mode: str) -> None:
        self._target = Target(**MODES[mode])
        self._genuine = self._target.token.encode()

    def seeds(self) -> Iterator[bytes]:
        """Yield headers to begin with: the genuine one, and what is nearly it."""
        genuine = _NAME + self._genuine
        yield genuine
        yield genuine + b"; " + genuine
        yield genuine + b"; session=" + self._genuine[::-1]
        yield genuine[:-1]
        yield genuine + b"="
        yield _NAME + b'"' + self._genuine + b'"'
        yield b"a=1; __Host-session=x; " + genuine.swapcase()
        yield b"session"

    def feed(self, data: bytes) -> None:
        """Send *data* as the header, and as the value. No user is signed in, no record is written, and no error occurs.

        A value that contains the genuine one is not counted.
        """
        if self._genuine in data:
            return
        for header in (data, _NAME + data):
            self._target.assert_nobody(header, calls=1)


class Records:
    """An application whose one record is replaced by something else."""

    def __init__(self, mode: str) -> None:
        self._sealed = "SESSION_SEAL" in MODES[mode]
        self._target = Target(**MODES[mode])
        self._cookie = _NAME + self._target.token.encode()
        self._key = Keys("session:").key_of(self._target.token)
        record = self._target.memory.load(self._key)
        assert record is not None
        self._genuine, self._expires_at = record.data, record.expires_at

    def seeds(self) -> Iterator[bytes]:
        """Yield records to begin with: the genuine one, and what is nearly it."""
        yield self._genuine
        yield self._genuine[:-1]
        yield self._genuine + b"\x00"
        yield b"{" + self._genuine
        yield b'{"created_at":1,"issued_at":1,"idle":1,"meta":{},"payload":{}}'
        yield bytes([2, 2]) + bytes(72)
        yield bytes([3]) + bytes(40)
        yield from records.FOREIGN.values()
        yield from records.DAMAGED.values()

    def feed(self, data: bytes) -> None:
        """Replace the record by *data* and send the cookie. No user is signed in, and no error occurs.

        Unsealed data in the form of a session is one, so then only an error counts.
        """
        if data == self._genuine:
            return
        memory, store = self._target.memory, self._target.store
        memory.delete(self._key)
        memory.create(self._key, data, expires_at=self._expires_at)
        store.reset()
        status, body, cookies = self._target.send(self._cookie)
        assert status == 200
        if self._sealed or not _is_session(data):
            assert set(store.counts) <= {"load", "delete"}
            assert (body, cookies) == ("None", [])


def _is_session(data: bytes) -> bool:
    try:
        return isinstance(decode(data), Envelope)
    except DecodeError:
        return False
