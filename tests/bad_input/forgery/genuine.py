"""The targets of forgery: cookies of each kind, and sealed records. Each is checked by the code of a request."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bad_input import changes
from flask import Flask, Request
from support.web import SECRET_KEY
from werkzeug.test import EnvironBuilder

from holdfast.errors import DecodeError
from holdfast.flask import Session, session
from holdfast.records.codec import MSGPACK
from holdfast.records.encryption import Sealer, SealMode, new_key
from holdfast.records.envelope import Envelope, Sealed, decode
from holdfast.records.tokens import Keys, new_token
from holdfast.sessions.server_session import ServerSession
from holdfast.stores.memory import MemoryStore


@dataclass(frozen=True)
class Kind:
    """A kind of thing that is forged.

    Attributes:
        name: Its name.
        made: Genuine ones.
        accepts: Returns whether a value opens a session in place of the genuine one with this number.
        alphabet: The replacements of its bytes.
    """

    name: str
    made: list[bytes]
    accepts: Callable[[int, bytes], bool]
    alphabet: bytes

    def forgeries(self, number: int) -> Iterator[bytes]:
        """Yield everything that is nearly the genuine one with this number."""
        genuine, other = self.made[number], self.made[number - 1]
        yield from itertools.chain(
            changes.flips(genuine),
            changes.truncations(genuine),
            changes.substitutions(genuine, self.alphabet),
            changes.splices(genuine, other),
        )


def cookies(name: str, count: int, **config: object) -> Kind:
    """Return the cookies of *count* sessions of an application with the settings given."""
    app = Flask("target", static_folder=None)
    app.config.update({"SECRET_KEY": SECRET_KEY, "SESSION_STORE": MemoryStore(), **config})
    Session(app)
    app.add_url_rule("/", view_func=_begin)
    made = []
    for _ in range(count):
        browser = app.test_client()
        browser.get("/")
        cookie = browser.get_cookie("session")
        assert cookie is not None
        made.append(cookie.value.encode())
    environ = EnvironBuilder("/").get_environ()

    def accepts(_: int, value: bytes) -> bool:
        request = Request({**environ, "HTTP_COOKIE": "session=" + value.decode("latin-1")})
        found = app.session_interface.open_session(app, request)
        assert isinstance(found, ServerSession)
        return not found.new

    return Kind(name, made, accepts, changes.ALPHABET)


def _begin() -> str:
    session["a"] = "b" * 20
    return "done"


def records(how: SealMode, count: int) -> Kind:
    """Return *count* records that are sealed in the given way."""
    sealer, keys = Sealer(how, [new_key()]), Keys("session:")
    tokens = [new_token() for _ in range(count)]
    owner = keys.owner_of("ada")
    made = []
    for number, token in enumerate(tokens):
        payload = MSGPACK.dumps({"n": number, "a": "b" * 20})
        envelope = Envelope(1000 + number, 2000, 3000, payload, MSGPACK, {"browser": "Firefox"})
        made.append(sealer.seal(envelope, token=token, key=keys.key_of(token), owner=owner))

    def accepts(number: int, data: bytes) -> bool:
        token = tokens[number]
        try:
            body = decode(data)
            if not isinstance(body, Envelope | Sealed):
                return False
            sealer.open(body, token=token, key=keys.key_of(token), owner=owner)
        except DecodeError:
            return False
        return True

    return Kind(f"record, {how}", made, accepts, b"\x00\x01\x02\x03\x04\x7f\x80\xff")
