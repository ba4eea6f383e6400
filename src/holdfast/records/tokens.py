"""Tokens and the values derived from them.

A token is the secret in the cookie. A store sees only the key derived from it, so a copy of the store gives access to
no session. Derivations are separated by length-prefixed labels: no two (purpose, namespace) pairs collide.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import struct
from collections.abc import Callable, Iterable
from functools import partial
from numbers import Number

from holdfast.errors import ConfigurationError
from holdfast.records.weak_keys import NEW_KEY, weakness_of

TOKEN_BYTES = 32

#: The namespace of an application without one of its own.
DEFAULT_NAMESPACE = "session:"

_SIZE = struct.Struct(">I")

# 43 characters carry 258 bits, so the last character's two low bits must be zero: one spelling per token.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII)
_UNSURE = re.compile(rf"({_TOKEN.pattern})?~({_TOKEN.pattern})~([0-9]{{1,15}})", re.ASCII)


def new_token() -> str:
    """Return a new token: 32 random bytes of the operating system, as 43 base64url characters.

    Raises:
        OSError: The system has no randomness. There is no fallback.
    """
    return secrets.token_urlsafe(TOKEN_BYTES)


#: Returns a new public id: 16 random bytes of the operating system, as 22 base64url characters.
new_sid: Callable[[], str] = partial(secrets.token_urlsafe, 16)


def base64url(raw: bytes) -> str:
    """Return *raw* as base64url without padding: 32 secret bytes as a token."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def is_token(text: str) -> bool:
    """Return whether *text* is the canonical spelling of a token."""
    return _TOKEN.fullmatch(text) is not None


def unsure_value(old: str, new: str, began: int) -> str:
    """Return the value of a cookie while it is unknown which of two tokens is valid: ``old~new~began``.

    That is the token that was to be replaced, maybe empty, the new one, and the time of the login or the rotation in
    milliseconds since the epoch.
    """
    return f"{old}~{new}~{began}"


def read_unsure(value: str) -> tuple[str, str, str] | None:
    """Return the three parts of an `unsure_value`; None if *value* has another form."""
    found = _UNSURE.fullmatch(value)
    return (found[1] or "", found[2], found[3]) if found and found[1] != found[2] else None


def has_form(value: str) -> bool:
    """Return whether *value* has the form of a cookie's value: a token, or two while it is unknown which is valid."""
    return _TOKEN.fullmatch(value) is not None or read_unsure(value) is not None


def is_key(text: object) -> bool:
    """Return whether *text* has the form of a key: 64 lower-case hex digits."""
    return isinstance(text, str) and len(text) == 64 and not text.strip("0123456789abcdef")


def labelled(*parts: bytes) -> bytes:
    """Return *parts* joined, each after its length: no two lists of parts give the same bytes."""
    return b"".join([piece for part in parts for piece in (_SIZE.pack(len(part)), part)])


def is_text(value: object) -> bool:
    """Return whether *value* is text that UTF-8 can encode, as a namespace must be."""
    return isinstance(value, str) and value.encode(errors="ignore").decode() == value


def is_user_id(value: object) -> bool:
    """Return whether *value* can be the id of a user: not None, empty text, a bool, bytes or a collection.

    Nor is an object without a text of its own, such as the user: that text may be another one in the next request.
    """
    if isinstance(value, str | Number) and not isinstance(value, bool):
        return value != ""
    return type(value).__str__ is not object.__str__ and not isinstance(value, Iterable)


def owner_secret(key: str | bytes) -> bytes:
    """Return the bytes of *key*, a secret for owner values. A weak one is refused; the error does not contain it."""
    weakness = weakness_of(key)
    if weakness is not None:
        raise ConfigurationError(
            f"can be guessed, and so can the users in the store: {weakness}. {NEW_KEY} that cannot"
        )
    return key.encode() if isinstance(key, str) else key


class Keys:
    """Derives the keys of one namespace and the owner values of its users.

    *owner_secret* makes owner values an HMAC, so that a copy of the store does not reveal its users. A token opens a
    session only with *carrier*, the kind of place where its client keeps it.

    Attributes:
        namespace: As given.
        namespace_mark: The mark of the namespace in a session's metadata; None for the default one.
    """

    def __init__(
        self, namespace: str = DEFAULT_NAMESPACE, *, owner_secret: bytes | None = None, carrier: bytes = b"session"
    ) -> None:
        self.namespace = namespace
        self.namespace_mark: str | None = None if namespace == DEFAULT_NAMESPACE else namespace
        name = namespace.encode()
        self._session = hashlib.sha256(labelled(carrier, name))
        self._browser = hashlib.sha256(labelled(b"browser", name))
        self._cutoff = hashlib.sha256(labelled(b"cutoff", name))
        self._owner_label = labelled(b"owner", name)
        self._owner_secret = owner_secret or b""

    def key_of(self, token: str) -> str:
        """Return the key of *token*'s record: 64 lower-case hex digits."""
        digest = self._session.copy()
        digest.update(token.encode())
        return digest.hexdigest()

    def cutoff_key(self, owner: str) -> str:
        """Return the key of the owner's cut-off record."""
        digest = self._cutoff.copy()
        digest.update(owner.encode())
        return digest.hexdigest()

    def browser_key(self, browser: str) -> str:
        """Return the key of the alias to the session of a remembered *browser*; and its owner value, for a cut-off."""
        digest = self._browser.copy()
        digest.update(browser.encode())
        return digest.hexdigest()

    def owner_of(self, user_id: object) -> str:
        """Return the owner value of a user id, converted to text: 64 lower-case hex digits.

        Raises:
            TypeError: It cannot be the id of a user: see `is_user_id`.
        """
        if not is_user_id(user_id):
            kind = "empty text" if user_id == "" else f"a value of type {type(user_id).__name__}"
            raise TypeError(f"a user id must be text that is not empty, a number or another single value, not {kind}")
        # The text of a member of an enumeration can have its name, and a session keeps its value.
        plain = user_id if isinstance(user_id, str) else str(int(user_id) if isinstance(user_id, int) else user_id)
        name = plain.encode("utf-8", "surrogatepass")
        return hmac.digest(self._owner_secret, self._owner_label + name, "sha256").hex()


def seal_successor(old: str, new: str) -> bytes:
    """Return 32 bytes from which only the holder of the token *old* can compute the token *new*.

    A one-time pad: the pad is an HMAC under *old*, which is random, secret and superseded only once.
    """
    return masked(base64.urlsafe_b64decode(new + "="), old.encode(), b"holdfast alias")


def open_successor(old: str, sealed: bytes) -> str:
    """Return the token that `seal_successor` encrypted under *old*."""
    return base64url(masked(sealed, old.encode(), b"holdfast alias"))


def masked(data: bytes, secret: bytes, purpose: bytes) -> bytes:
    """Return *data* encrypted with a stream of HMACs under *secret*, or decrypted: it is the same operation.

    It is a one-time pad: under one *secret* each *purpose* is for one *data* only.
    """
    count = -(-len(data) // 32)
    stream = b"".join(hmac.digest(secret, labelled(purpose, n.to_bytes(4, "big")), "sha256") for n in range(count))
    return bytes(a ^ b for a, b in zip(data, stream, strict=False))
