"""What is in a store, or in a cookie, is data: it is never run, never guessed at, and never costs more than it is."""

from __future__ import annotations

import base64
import importlib.util
import marshal  # noqa: TID251  # what an attacker would store
import pickle  # noqa: TID251  # what an attacker would store
import re
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import ormsgpack
import pymemcache
import pytest
from itsdangerous import Signer
from pymemcache.serde import pickle_serde
from security.rows import advisory, requirement
from support import seams, source
from support.dumps import overwrite
from support.memcached import GIVEN, LEAKY, on_client
from support.servers import Server, ask
from support.web import Web, cookies_set

from holdfast.errors import ConfigurationError, DecodeError
from holdfast.flask import session
from holdfast.flask.cookies import Cookies, Presented, signing_salt
from holdfast.records import envelope
from holdfast.records.codec import JSON
from holdfast.records.codec.as_msgpack import MsgpackCodec
from holdfast.records.codec.strict import StrictCodec
from holdfast.records.envelope import Envelope, encode
from holdfast.stores.memcached import MemcachedStore

WebOn = Callable[..., Web]
#: Later Pythons have no wheel of it.
SALT = signing_salt("session:", "session")

_PYLIBMC = importlib.util.find_spec("pylibmc") is not None
KEY = "k1-" + "Xq7vN2mR9tB4wL6z" * 2

# --- the bugs ---------------------------------------------------------------------------------------------------------


def a_pickle_is_a_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data with the header of a pickle is unpickled, as an old format."""
    seams.RECORD_DECODERS.plant_item(monkeypatch, 0x80, pickle.loads)


def a_bad_payload_is_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a payload cannot be decoded, it is tried as a pickle."""
    loads = seams.PAYLOAD_DECODER.sound

    def lenient(self: StrictCodec, payload: bytes) -> Any:
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

    def lenient(self: StrictCodec, payload: bytes) -> Any:
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
    seams.SEALED_ENCODING.plant(monkeypatch, lambda body: encode(body).partition(b"\xf0\x9f")[0])


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

    def generous(self: StrictCodec, payload: bytes) -> Any:
        claimed = int.from_bytes(payload[1:5], "big") if payload[:1] in b"\xdd\xdf\xc6\xdb\xc9" else 0
        room = bytearray(min(claimed, 1 << 26))
        del room
        return loads(self, payload)

    seams.PAYLOAD_DECODER.plant(monkeypatch, generous)


def expects_value_errors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one of a parser's errors is expected, and deep nesting raises another."""

    def loads(self: StrictCodec, payload: bytes) -> dict[Any, Any]:
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
    source.rewrite(monkeypatch, seams.SOURCE_OF_TYPE_CODECS, "return int(text, 16)", "return eval(text)")


# --- what is planted --------------------------------------------------------------------------------------------------


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def enveloped(old: bytes, payload: bytes) -> bytes:
    """Return the record *old* with another payload."""
    body = envelope.decode(old)
    assert isinstance(body, Envelope)
    return encode(replace(body, payload=payload))


def instead_of(data: bytes, planted: bytes, *, whole: bool) -> Callable[[bytes], bytes]:
    """Return what puts *planted* in the place of a value, or of the record *data* in it."""
    return lambda value: planted if whole else value.replace(data, planted)


def planted_in(data: bytes, canary: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what somebody who can write to the store may put in the place of the record *data*."""
    bomb = pickle.dumps({"user": "victim", "x": Bomb(canary)})
    plain = pickle.dumps({"user": "victim"})
    code = f"__import__('pathlib').Path({str(canary)!r}).touch()".encode()
    yield "a pickle", bomb
    yield "a pickle of protocol 0", pickle.dumps({"x": Bomb(canary)}, 0)
    yield "a harmless pickle", plain
    yield "a pickle as the payload", enveloped(data, bomb)
    yield "a harmless pickle as the payload", enveloped(data, plain)
    yield "an extension", enveloped(data, ormsgpack.packb({"user": "victim", "x": ormsgpack.Ext(0x63, code)}))
    yield "YAML", b"!!python/object/apply:pathlib.Path.touch [%s]" % str(canary).encode()
    yield (
        "jsonpickle",
        b'{"py/reduce":[{"py/function":"pathlib.Path.touch"},{"py/tuple":["%s"]}]}' % str(canary).encode(),
    )
    yield "msgpack alone", ormsgpack.packb({"user": "victim"})
    yield "JSON alone", b'{"user":"victim"}'
    yield "PHP", b'user|s:6:"victim";'
    yield "marshal", marshal.dumps({"user": "victim"})
    yield "marshal as the payload", enveloped(data, marshal.dumps({"user": "victim"}))
    yield "base64", base64.b64encode(data)
    for missing in (1, 2, 5, 9, len(data) // 2, len(data) - 1):
        yield f"the record without its last {missing} bytes", data[:-missing]
    yield "more than the record", data + b"\x00"
    yield "nothing", b""


@advisory(
    "CVE-2013-7489",
    "CVE-2021-33026",
    "CVE-2025-69872",
    "CVE-2026-7818",
    "CVE-2026-12046",
    "CVE-2024-2044",
    "CVE-2020-9484",
    "CVE-2025-24813",
    product="Beaker, Flask-Caching, diskcache, pgAdmin, Tomcat",
    cause="Stored data was unpickled or deserialised, so that a client with write access could run code.",
    mutants=[a_pickle_is_a_format, a_bad_payload_is_unpickled],
)
@advisory(
    "GHSA-mhr3-j7m5-c7c9",
    product="LangGraph",
    cause="Undecodable data was tried as a pickle, and extensions of msgpack named the functions to call.",
    mutants=[a_bad_payload_is_unpickled, an_extension_is_code],
)
@advisory(
    "CVE-2020-22083",
    "CVE-2025-49113",
    product="jsonpickle, Roundcube",
    cause="The data itself named the functions or classes to call.",
    mutants=[tags_name_functions, an_extension_is_code],
)
@advisory(
    "CVE-2016-3171",
    "CVE-2015-8562",
    product="Drupal, Joomla",
    cause="Truncated data was read as far as possible, or beyond its end.",
    mutants=[what_is_cut_off_is_made_up, what_follows_is_ignored],
)
@requirement(
    "Catalogue G4",
    says="A pickle, or a record that is truncated or has trailing bytes, is never read.",
    mutants=[a_pickle_is_a_format, a_bad_payload_is_unpickled, what_is_cut_off_is_made_up, what_follows_is_ignored],
)
def test_what_others_put_into_a_store_is_never_run_or_read(place: str, web_on: WebOn, tmp_path: Path) -> None:
    """A pickle, an extension, YAML or a cut record under a live key is no session, no error, and runs no code."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    canary = tmp_path / "canary"
    web.put(user="victim", note="text")
    data = web.memory.load(web.see(lambda: session.handle)).data
    # Where a value is more than the data, both are written over by turns.
    ways = (True, False) if place.startswith(("file", "unix", "redis", "memcached")) else (True,)
    for (what, planted), whole in product(planted_in(data, canary), ways):
        if whole and planted[:1] == b"\x01" and place.startswith("memcached"):
            continue  # this looks as if the client gave the answer to another question, and then it is an outage
        browser = web.app.test_client()
        web.put(browser, user="victim", note="text")
        key = web.see(lambda: session.handle, browser)
        overwrite(web, place, key, instead_of(data, planted, whole=whole))
        response = web.do(lambda: str(dict(session)), browser)
        assert (response.status_code, response.text) == (200, "{}"), what
        assert not cookies_set(response), what
        assert not canary.exists(), what


@advisory(
    "CVE-2016-3171",
    "CVE-2015-8562",
    product="Drupal, Joomla",
    cause="Databases cut text at a four-byte character, and the rest was interpreted as something else.",
    mutants=[cuts_at_an_emoji],
)
def test_every_character_is_stored_whole(place: str, web_on: WebOn) -> None:
    """Four-byte characters, NUL, quotes and backslashes are returned by every store, with all that follows."""
    for name in ("msgpack", "json"):
        web = web_on(place, SESSION_SERIALIZATION_FORMAT=name)
        values: dict[str, Any] = {
            "note": "a🍪b\U0010ffffc",
            "odd": "\x00'\\\"%s;--\r\n\u2028",
            "🍪": [1],
            "after": "all",
        }
        web.put(**values)
        assert web.data() == values


@advisory(
    "CVE-2014-125112",
    "CVE-2017-1000053",
    product="Plack, Plug",
    cause="Cookie data was deserialised, with or without a signature.",
    mutants=[cookies_are_unpickled],
)
@pytest.mark.kinds("memory")
def test_a_cookie_is_never_deserialised(place: str, web_on: WebOn, tmp_path: Path) -> None:
    """A pickle in the cookie, plain, in base64 or signed with the application's own key, is not loaded."""
    canary = tmp_path / "canary"
    bomb = base64.urlsafe_b64encode(pickle.dumps(Bomb(canary))).rstrip(b"=").decode()
    signer = Signer(KEY, salt=SALT, key_derivation="hmac")
    for signed in (True, False):
        web = web_on(place, SESSION_USE_SIGNER=signed, SECRET_KEY=KEY, PROPAGATE_EXCEPTIONS=False)
        for value in (bomb, bomb + "==", signer.sign(bomb).decode(), f"{bomb}.x"):
            response = web.send(f"session={value}", lambda: str(dict(session)))
            assert (response.status_code, response.text) == (200, "{}")
        assert not canary.exists()
        assert not web.store.counts


# --- clients of memcached ---------------------------------------------------------------------------------------------

#: The flags by which clients of memcached tell what a value is: bytes, a pickle, numbers, compressed, text, others.
_FLAGS = (0, 1, 2, 4, 8, 9, 16, 17, 64)


@advisory(
    "CVE-2021-33026",
    product="Flask-Caching",
    cause="Values in memcached were unpickled, so that a client with write access could run code.",
    mutants=[runs_what_python_memcached_finds, takes_any_serde, *([runs_what_pylibmc_finds] if _PYLIBMC else [])],
)
@LEAKY
@pytest.mark.kinds("memcached")
def test_no_client_of_memcached_runs_what_it_finds(
    place: str, memcached_server: Server, web_on: WebOn, tmp_path: Path
) -> None:
    """With any client library, sessions are stored as bytes, and a pickle with any flags is not loaded."""
    canary = tmp_path / "canary"
    for kind in [kind for kind in GIVEN if kind != "pylibmc" or _PYLIBMC]:
        with ExitStack() as stack:
            web = web_on(lambda clock, kind=kind: stack.enter_context(on_client(kind, [memcached_server], clock)))
            for flags in _FLAGS:
                browser = web.app.test_client()
                web.put(browser, user="victim")
                key = web.see(lambda: session.handle, browser).encode()
                assert ask(memcached_server.address, b"get %b\r\n" % key).split()[2] == b"0", kind
                bomb = pickle.dumps(Bomb(canary))
                stored = ask(memcached_server.address, b"set %b %d 0 %d\r\n%b\r\n" % (key, flags, len(bomb), bomb))
                assert stored == b"STORED\r\n"
                assert web.data(browser) == {}, kind
                assert not canary.exists(), kind
    with pytest.raises(ConfigurationError, match="has a serde"):
        MemcachedStore.from_client(pymemcache.Client(memcached_server.address, serde=pickle_serde))


# --- bombs ------------------------------------------------------------------------------------------------------------

_BOMBS = {
    "an array of 4 billion": b"\xdd\xff\xff\xff\xff",
    "a map of 4 billion": b"\xdf\xff\xff\xff\xff",
    "4 GB of bytes": b"\xc6\xff\xff\xff\xff",
    "4 GB of text": b"\xdb\xff\xff\xff\xff",
    "4 GB of extension": b"\xc9\xff\xff\xff\xff\x01",
    "an array of 4 billion in a map": b"\x81\xa1a\xdd\xff\xff\xff\xff",
    "extensions in extensions": b"\x81\xa1a" + b"\xc7\x03\x01" * 50_000,
    "100,000 arrays deep": b"\x81\xa1a" + b"\x91" * 100_000 + b"\x01",
    "100,000 maps deep": b"\x81\xa1a" * 100_000 + b"\x01",
}
_TEXT_BOMBS = {
    "100,000 arrays deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 objects deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a number of 5,000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "an exponent": b'{"a":1e999999999}',
    "900 arrays deep": b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
}


@advisory(
    "CVE-2026-14803",
    product="Mojo::JSON",
    cause="Deep nesting exhausted the stack.",
    mutants=[expects_value_errors_only],
)
@advisory(
    "CVE-2026-25899",
    "CVE-2026-21452",
    product="Fiber, msgpack-java",
    cause="A few bytes that claimed to be a huge value made the reader allocate the claimed memory.",
    mutants=[trusts_lengths],
)
@requirement(
    "Catalogue G1",
    "Catalogue G2",
    says="A payload that claims to be huge or deep costs only its real size.",
    mutants=[expects_value_errors_only, trusts_lengths],
)
@pytest.mark.kinds("memory", "sqlite")
def test_a_record_costs_no_more_than_it_is(place: str, web_on: WebOn) -> None:
    """Records that claim to be huge or deep are no session, without an error or the claimed memory."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(a=1)
    key = web.see(lambda: session.handle)
    body = envelope.decode(web.memory.load(key).data)
    assert isinstance(body, Envelope)
    forms = [replace(body, payload=payload) for payload in _BOMBS.values()]
    forms += [replace(body, payload=payload, codec=JSON) for payload in _TEXT_BOMBS.values()]
    for form in forms:
        browser = web.app.test_client()
        web.put(browser, a=1)
        data = encode(form)
        overwrite(web, place, web.see(lambda: session.handle, browser), instead_of(b"", data, whole=True))
        tracemalloc.start()
        try:
            response = web.do(lambda: str(dict(session)), browser)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (response.status_code, response.text) == (200, "{}")
        assert peak < (8 << 20) + 40 * len(data)


# --- the source -------------------------------------------------------------------------------------------------------

_BANNED = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml", "cachelib"}


@requirement(
    "ASVS 1.5.2", says="Data from a store or a client is never deserialised into objects.",
    mutants=[imports_pickle, evaluates_text],
)  # fmt: skip
@advisory(
    "CVE-2013-7489",
    product="Beaker",
    cause="Sessions were pickles.",
    mutants=[imports_pickle, evaluates_text],
)
def test_the_source_can_neither_unpickle_nor_evaluate() -> None:
    """No module of Holdfast imports a module that executes its input, or evaluates text."""
    for name, tree in source.modules().items():
        assert not {full.partition(".")[0] for full in source.imported(tree)} & _BANNED, name
        assert not {"eval", "exec", "compile", "__import__"} & set(source.called(tree)), name
