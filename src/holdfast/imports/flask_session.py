"""Sessions of Flask-Session 0.5 to 0.8, Flask-Session2 and Flask-KVSession: the forms of ids, the formats of values."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from holdfast.clock import SECOND, Clock
from holdfast.errors import DecodeError, raise_own_fault
from holdfast.imports import pickled
from holdfast.imports.finders import Finder
from holdfast.imports.place import OldPlace, OldSession
from holdfast.records.tokens import is_key

#: 0.5 and Flask-Session2 made UUIDs, later releases ``secrets.token_urlsafe``, here of 8 bytes or more. Up to 0.6 a
#: cookie of Flask's own that the browser had became the id of its session: it has full stops.
_ID = re.compile(r"[A-Za-z0-9_.-]{11,4096}", re.ASCII)

#: Flask-KVSession's: a random number of 64 bits, or of SESSION_KEY_BITS, and the second in which it was made. It is the
#: name of the value, without a prefix.
_KV_ID = re.compile(r"[0-9a-f]{8,64}_([0-9a-f]{8})", re.ASCII)


class FlaskSessions(OldPlace):
    """The sessions of Flask-Session that *finder* finds, under names that begin with *prefix*.

    *lifetime*, in milliseconds, is that of a session of Flask-KVSession, which it begins with.
    """

    def __init__(self, finder: Finder, prefix: str, *, until: int | None, lifetime: int, clock: Clock) -> None:
        super().__init__(until, clock)
        self._finder = finder
        self._prefix = prefix
        self.none_there = (
            f"none is there, live or expired today, under a name that begins with {prefix!r}: if there should be some, "
            "correct SESSION_KEY_PREFIX, SESSION_IMPORT_TABLE, or the database"
        )
        self._lifetime = lifetime

    def has_form(self, old_id: str, /) -> bool:
        """Return whether *old_id* may be one, and sessions are still taken over. Keys of ours are none."""
        return self.is_open and _ID.fullmatch(old_id) is not None and not is_key(old_id)

    def load(self, old_id: str, /) -> OldSession | None:
        """Return the live session of *old_id*, or None."""
        made_at = kv_made_at(old_id)
        name = old_id if made_at is not None else self._prefix + old_id
        found = self._finder.find(name) if len(name.encode()) <= self._finder.longest else None
        if found is None:
            return None
        expires_at = found.expires_at if made_at is None else made_at + self._lifetime
        if expires_at is not None and expires_at <= self._clock():
            return None
        try:
            data = decoded(found.payload)
        except DecodeError:
            data = None
        return OldSession(data, expires_at)

    def ids(self) -> list[str]:
        """Return the id of each session that is there."""
        names = self._finder.names(self._prefix)
        ids = (name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix))
        return [old_id for old_id in ids if self.has_form(old_id)]


def kv_made_at(old_id: str) -> int | None:
    """Return when a session of Flask-KVSession began, in milliseconds since the epoch; None for any other id."""
    found = _KV_ID.fullmatch(old_id)
    return None if found is None else int(found[1], 16) * SECOND


def decoded(payload: bytes) -> dict[Any, Any]:
    """Return the data in *payload*: msgpack or JSON from 0.7 on, or a pickle, after a "!" of cachelib's Redis."""
    payload = payload.removeprefix(b"!")
    data: Any = None
    try:
        data = _reader_of(payload)(payload)
    except DecodeError:
        raise
    except Exception as error:  # noqa: BLE001  # parsers raise all sorts on hostile bytes; raised as one below
        raise_own_fault(error)
    if type(data) is not dict:
        raise DecodeError("the value is no session of Flask-Session")
    return data


def _reader_of(payload: bytes) -> Callable[[bytes], Any]:
    first = payload[:1]
    if first == b"{":
        return json.loads
    # 0x80 alone is an empty map, and otherwise begins a pickle.
    return _unpacked if payload == b"\x80" or b"\x81" <= first <= b"\x8f" or first in b"\xde\xdf" else pickled.read


def _unpacked(payload: bytes) -> Any:
    if sys.version_info >= (3, 11):  # as in holdfast.records.codec
        import ormsgpack

        return ormsgpack.unpackb(payload, option=ormsgpack.OPT_NON_STR_KEYS | ormsgpack.OPT_DATETIME_AS_TIMESTAMP_EXT)
    import msgpack  # type: ignore[import-untyped]  # it ships no annotations

    return msgpack.unpackb(payload, timestamp=3, ext_hook=_refuse, strict_map_key=False)


def _refuse(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"an unknown extension, {code}")
