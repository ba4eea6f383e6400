"""Bugs that the tests in test_deserialisation.py catch."""

from __future__ import annotations

import base64
import importlib.util
import pickle  # noqa: TID251  # an attacker's data
import re
from collections.abc import Callable
from typing import Any

import pytest
from support import seams, source

from holdfast.errors import DecodeError
from holdfast.flask.carrier import Presented
from holdfast.flask.cookies import Cookies
from holdfast.records.codec.formats import Codec, MsgpackCodec
from holdfast.records.envelope import encode

#: Later Pythons have no wheel of it.
PYLIBMC = importlib.util.find_spec("pylibmc") is not None


def a_pickle_is_a_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data with the header of a pickle is unpickled, as an old format."""
    seams.RECORD_DECODERS.plant_item(monkeypatch, 0x80, pickle.loads)


def a_bad_payload_is_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a payload cannot be decoded, it is tried as a pickle."""
    loads = seams.PAYLOAD_DECODER.sound

    def lenient(self: Codec, payload: bytes) -> Any:
        try:
            return loads(self, payload)
        except DecodeError:
            try:
                return dict(pickle.loads(payload))  # noqa: S301  # that is the bug
            except Exception as error:
                raise DecodeError("neither") from error

    seams.PAYLOAD_DECODER.plant(monkeypatch, lenient)


def an_extension_is_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extension of msgpack names the class of its data."""
    unpack = seams.MSGPACK_PARSER.sound

    def restore(code: int, data: bytes) -> Any:
        return eval(data) if code == 0x63 else None  # noqa: S307  # that is the bug

    def parse(self: MsgpackCodec, payload: bytes) -> Any:
        return self.packer.unpack(payload, restore) if b"\x63" in payload else unpack(self, payload)

    seams.MSGPACK_PARSER.plant(monkeypatch, parse)


def tags_name_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text format names functions, which are called with the following data."""

    def decode(data: bytes) -> Any:
        match = re.match(rb"!!python/object/apply:(\w+)\.(\w+)\.(\w+) \[(.*)\]", data)
        assert match is not None
        module, cls, method, argument = (part.decode() for part in match.groups())
        owner = getattr(importlib.import_module(module), cls)
        return getattr(owner, method)(owner(argument))

    seams.RECORD_DECODERS.plant_item(monkeypatch, ord("!"), decode)


def what_is_cut_off_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A truncated payload is read as far as possible."""
    loads = seams.PAYLOAD_DECODER.sound

    def lenient(self: Codec, payload: bytes) -> Any:
        for missing in range(1, 64):
            try:
                return dict(self._parse(payload + b"\xc0" * missing))
            except Exception:  # noqa: BLE001, S112  # that is the bug
                continue
        return loads(self, payload)

    seams.PAYLOAD_DECODER.plant(monkeypatch, lenient)


def what_follows_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes after the end of a payload are ignored."""
    seams.PAYLOAD_DECODER.plant(monkeypatch, lambda self, payload: _dict_or_error(self._parse, payload))


def _dict_or_error(parse: Callable[[bytes], Any], payload: bytes) -> dict[Any, Any]:
    try:
        return dict(parse(payload))
    except Exception as error:
        raise DecodeError("not data") from error


def cuts_at_an_emoji(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored text ends before the first four-byte character."""
    seams.RECORD_ENCODING.plant(monkeypatch, lambda body: encode(body).partition(b"\xf0\x9f")[0])


def cookies_are_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cookie data is unpickled, if it is well signed or not signed at all."""
    read = seams.COOKIE_READ.sound

    def lenient(self: Cookies, app: Any, request: Any) -> Any:
        value = request.cookies.get("session", "").partition(".")[0]
        try:
            return Presented(pickle.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))))  # noqa: S301
        except Exception:  # noqa: BLE001  # that is the bug
            return read(self, app, request)

    seams.COOKIE_READ.plant(monkeypatch, lenient)


def trusts_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is allocated for the claimed size of a payload, before it is read."""
    loads = seams.PAYLOAD_DECODER.sound

    def generous(self: Codec, payload: bytes) -> Any:
        claimed = int.from_bytes(payload[1:5], "big") if payload[:1] in b"\xdd\xdf\xc6\xdb\xc9" else 0
        room = bytearray(min(claimed, 1 << 26))
        del room
        return loads(self, payload)

    seams.PAYLOAD_DECODER.plant(monkeypatch, generous)


def expects_value_errors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one of a parser's errors is expected, and deep nesting raises another."""

    def loads(self: Codec, payload: bytes) -> dict[Any, Any]:
        try:
            data = self._parse(payload)
        except ValueError as error:
            raise DecodeError("not data") from error
        if type(data) is dict and self.dumps(data) == payload:
            return data
        raise DecodeError("something else")

    seams.PAYLOAD_DECODER.plant(monkeypatch, loads)


def runs_what_python_memcached_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A python-memcached client unpickles values."""
    seams.MEMCACHED_UNREAD.plant(monkeypatch, pickle.Unpickler)


def runs_what_pylibmc_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pylibmc client unpickles values."""
    seams.MEMCACHED_READING_BYTES.plant(monkeypatch, lambda clone: clone)


def takes_any_serde(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pymemcache client with a pickle serde unpickles values."""
    seams.MEMCACHED_READS_BYTES.plant(monkeypatch, lambda client: True)


def imports_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store imports pickle."""
    source.rewrite(monkeypatch, seams.SOURCE_OF_FILE_STORE, "import secrets", "import secrets, pickle")


def evaluates_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A type of value is read by evaluating it."""
    source.rewrite(monkeypatch, seams.SOURCE_OF_TYPE_CODECS, "partial(int, base=16)", "eval")
