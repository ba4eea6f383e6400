"""The content of a store, or of a cookie, is data: it is never executed or guessed, and costs only its own size."""

from __future__ import annotations

import ast
import base64
import marshal  # noqa: TID251  # an attacker's data
import pickle  # noqa: TID251  # an attacker's data
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
from bad_input import payloads
from itsdangerous import Signer
from pymemcache.serde import pickle_serde
from security import planted_deserialisation as planted
from security.rows import advisory, requirement
from support import source
from support.dumps import overwrite
from support.memcached import GIVEN, LEAKY, on_client
from support.servers import Server, ask
from support.web import Web, cookies_set

from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.flask.cookies import signing_salt
from holdfast.records import envelope
from holdfast.records.codec import JSON
from holdfast.records.envelope import Envelope, encode
from holdfast.stores.memcached import MemcachedStore

WebOn = Callable[..., Web]
SALT = signing_salt("session:", "session")

KEY = "k1-" + "Xq7vN2mR9tB4wL6z" * 2


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


def instead_of(data: bytes, payload: bytes, *, whole: bool) -> Callable[[bytes], bytes]:
    """Return what puts *payload* in the place of a value, or of the record *data* in it."""
    return lambda value: payload if whole else value.replace(data, payload)


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
    mutants=[planted.a_pickle_is_a_format, planted.a_bad_payload_is_unpickled],
)
@advisory(
    "GHSA-mhr3-j7m5-c7c9",
    product="LangGraph",
    cause="Undecodable data was tried as a pickle, and extensions of msgpack named the functions to call.",
    mutants=[planted.a_bad_payload_is_unpickled, planted.an_extension_is_code],
)
@advisory(
    "CVE-2020-22083",
    "CVE-2025-49113",
    product="jsonpickle, Roundcube",
    cause="The data itself named the functions or classes to call.",
    mutants=[planted.tags_name_functions, planted.an_extension_is_code],
)
@advisory(
    "CVE-2016-3171",
    "CVE-2015-8562",
    product="Drupal, Joomla",
    cause="Truncated data was read as far as possible, or beyond its end.",
    mutants=[planted.what_is_cut_off_is_made_up, planted.what_follows_is_ignored],
)
@requirement(
    "Catalogue G4",
    says="A pickle, or a record that is truncated or has trailing bytes, is never read.",
    mutants=[
        planted.a_pickle_is_a_format,
        planted.a_bad_payload_is_unpickled,
        planted.what_is_cut_off_is_made_up,
        planted.what_follows_is_ignored,
    ],
)
def test_what_others_put_into_a_store_is_never_run_or_read(place: str, web_on: WebOn, tmp_path: Path) -> None:
    """A pickle, an extension, YAML or a cut record under a live key is no session, no error, and runs no code."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    canary = tmp_path / "canary"
    web.put(user="victim", note="text")
    data = web.memory.load(web.see(lambda: session.handle)).data
    # Where a value is more than the data, both are written over by turns.
    ways = (True, False) if place.startswith(("file", "unix", "redis", "memcached")) else (True,)
    for (what, payload), whole in product(planted_in(data, canary), ways):
        if whole and payload[:1] == b"\x01" and place.startswith("memcached"):
            continue  # this looks as if the client gave the answer to another question, and then it is an outage
        browser = web.app.test_client()
        web.put(browser, user="victim", note="text")
        key = web.see(lambda: session.handle, browser)
        overwrite(web, place, key, instead_of(web.memory.load(key).data, payload, whole=whole))
        response = web.do(lambda: str(dict(session)), browser)
        assert (response.status_code, response.text) == (200, "{}"), what
        assert not cookies_set(response), what
        assert not canary.exists(), what


@advisory(
    "CVE-2016-3171",
    "CVE-2015-8562",
    product="Drupal, Joomla",
    cause="Databases cut text at a four-byte character, and the rest was interpreted as something else.",
    mutants=[planted.cuts_at_an_emoji],
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
    mutants=[planted.cookies_are_unpickled],
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

#: The flags with which clients of memcached mark a value: bytes, a pickle, numbers, compressed, text, others.
_FLAGS = (0, 1, 2, 4, 8, 9, 16, 17, 64)


@advisory(
    "CVE-2021-33026",
    product="Flask-Caching",
    cause="Values in memcached were unpickled, so that a client with write access could run code.",
    mutants=[
        planted.runs_what_python_memcached_finds,
        planted.takes_any_serde,
        *([planted.runs_what_pylibmc_finds] if planted.PYLIBMC else []),
    ],
)
@LEAKY
@pytest.mark.kinds("memcached")
def test_no_client_of_memcached_runs_what_it_finds(
    place: str, memcached_server: Server, web_on: WebOn, tmp_path: Path
) -> None:
    """With any client library, sessions are stored as bytes, and a pickle with any flags is not loaded."""
    canary = tmp_path / "canary"
    for kind in [kind for kind in GIVEN if kind != "pylibmc" or planted.PYLIBMC]:
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
        MemcachedStore(pymemcache.Client(memcached_server.address, serde=pickle_serde))


# --- bombs ------------------------------------------------------------------------------------------------------------


@advisory(
    "CVE-2026-14803",
    product="Mojo::JSON",
    cause="Deep nesting exhausted the stack.",
    mutants=[planted.expects_value_errors_only],
)
@advisory(
    "CVE-2026-25899",
    "CVE-2026-21452",
    product="Fiber, msgpack-java",
    cause="A few bytes that claimed to be a huge value made the reader allocate the claimed memory.",
    mutants=[planted.trusts_lengths],
)
@requirement(
    "Catalogue G1",
    "Catalogue G2",
    says="A payload that claims to be huge or deep costs only its real size.",
    mutants=[planted.expects_value_errors_only, planted.trusts_lengths],
)
@pytest.mark.kinds("memory", "sqlite")
def test_a_record_costs_no_more_than_it_is(place: str, web_on: WebOn) -> None:
    """Records that claim to be huge or deep are no session, without an error or the claimed memory."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(a=1)
    key = web.see(lambda: session.handle)
    body = envelope.decode(web.memory.load(key).data)
    assert isinstance(body, Envelope)
    forms = [replace(body, payload=payload) for payload in payloads.MSGPACK_BOMBS.values()]
    forms += [replace(body, payload=payload, codec=JSON) for payload in payloads.JSON_BOMBS.values()]
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
    mutants=[planted.imports_pickle, planted.evaluates_text],
)  # fmt: skip
@advisory(
    "CVE-2013-7489",
    product="Beaker",
    cause="Sessions were pickles.",
    mutants=[planted.imports_pickle, planted.evaluates_text],
)
def test_the_source_can_neither_unpickle_nor_evaluate() -> None:
    """No module of Holdfast imports a module that executes its input, or evaluates text."""
    for name, tree in source.modules().items():
        assert not {full.partition(".")[0] for full in source.imported(tree)} & _BANNED, name
        named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert not {"eval", "exec", "compile", "__import__"} & named, name
