"""Bugs that the tests in test_cookie_value.py catch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from bad_input.cookies import OLD, SALT
from flask import Flask
from itsdangerous import Signer
from security.bugs import any_shape_is_looked_up
from support import seams

from holdfast.flask import cookies
from holdfast.flask.carrier import Presented
from holdfast.flask.cookies import Cookies
from holdfast.records import cookie
from holdfast.records.tokens import is_token


def reading(monkeypatch: pytest.MonkeyPatch, change: Callable[[Presented], Presented]) -> None:
    """Let *change* have its way with what a request presents."""
    read = seams.COOKIE_READ.sound
    seams.COOKIE_READ.plant(monkeypatch, lambda self, app, request: change(read(self, app, request)))


def reading_values(monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str]) -> None:
    """Let *change* have its way with each value of a cookie."""
    check = seams.COOKIE_CHECK.sound
    seams.COOKIE_CHECK.plant(monkeypatch, lambda self, app, value, name: check(self, app, change(value), name))


def empty_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent cookie is reported as a bad one."""
    reading(monkeypatch, lambda found: Presented(reason="malformed") if found == Presented() else found)


def empty_is_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent or empty cookie is looked up like any other."""
    seams.IS_TOKEN.plant(monkeypatch, lambda text: text == "" or is_token(text))
    reading(monkeypatch, lambda found: Presented("") if found == Presented() else found)


def short_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is computed from the first half of the token."""
    key_of = seams.KEY_OF_TOKEN.sound
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: key_of(self, token[:22]))


def order_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is computed from the letters of the token in alphabetical order."""
    key_of = seams.KEY_OF_TOKEN.sound
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: key_of(self, "".join(sorted(token))))


def unsigning(monkeypatch: pytest.MonkeyPatch, accept: Callable[[Any, Flask, str], Presented | None]) -> None:
    """Ask *accept* about a signed value first; where it returns None the real check decides."""
    unsign = seams.COOKIE_UNSIGN.sound
    seams.COOKIE_UNSIGN.plant(
        monkeypatch, lambda self, app, value, name: accept(self, app, value) or unsign(self, app, value, name)
    )


def half_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first half of a signature is compared."""

    def accept(self: Any, app: Flask, value: str) -> Presented | None:
        right = cookies._sign(self._signers(app)[0], value[:43])
        return Presented(value[:43]) if is_token(value[:43]) and value[:57] == right[:57] else None

    unsigning(monkeypatch, accept)


def zeros_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature of zeros counts as valid."""
    unsigning(monkeypatch, lambda self, app, value: Presented(value[:43]) if set(value[44:]) == {"A"} else None)


def looks_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is checked after the store was called."""

    def accept(self: Any, app: Flask, value: str) -> None:
        if is_token(value[:43]):
            app.extensions["holdfast"].manager.store.load("0" * 64)

    unsigning(monkeypatch, accept)


def any_key_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retired key still verifies."""
    signers = seams.COOKIE_SIGNERS.sound

    def remembering(self: Cookies, app: Flask) -> list[Signer]:
        return [*signers(self, app), Signer(OLD, salt=SALT, key_derivation="hmac")]

    seams.COOKIE_SIGNERS.plant(monkeypatch, remembering)


def never_signs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie signed with a fallback key is not signed again."""
    reading(monkeypatch, lambda found: found._replace(stale=False))


def trusts_what_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any well-signed value is looked up."""
    any_shape_is_looked_up(monkeypatch)


def trusts_what_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value sealed with our key is unpacked without a check of its kind."""
    unseal = seams.SEALED_COOKIE_UNSEAL.sound

    def trusting(self: Any, value: str) -> Any:
        raw = cookie._raw(value) or b""
        header = raw[: cookie._HEADER.size]
        inside = self._cipher(header).decrypt(raw[cookie._HEADER.size :], header)
        cookie._FIELDS.unpack_from(inside)[2].decode()
        return unseal(self, value)

    seams.SEALED_COOKIE_UNSEAL.plant(monkeypatch, trusting)


def length_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of any length is accepted."""
    seams.COOKIE_LARGEST_VALUE.plant(monkeypatch, 1 << 40)


def copies_what_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is split into letters before its length is checked."""
    values = seams.COOKIE_VALUES.sound
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: (list(header * 2), values(header, name))[1])


def recodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters beyond ASCII are dropped from a client's value."""
    reading_values(monkeypatch, lambda value: re.sub(r"[^\x21-\x7e]", "", value))


def unescapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control characters, quotes and escapes are decoded before the form is checked."""

    def plain(text: str) -> str:
        return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), re.sub(r'[\x00-\x1f\x7f"]', "", text))

    reading_values(monkeypatch, plain)


def handles_are_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handle opens its session, like its token."""
    key_of = seams.KEY_OF_TOKEN.sound
    seams.IS_TOKEN.plant(monkeypatch, lambda text: len(text) == 64 or is_token(text))
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: token if len(token) == 64 else key_of(self, token))


def folds_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client's value is normalized, so that similar letters become equal."""
    reading_values(monkeypatch, _ascii)


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text.encode("latin-1").decode("utf-8", "replace"))


def strips_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding, dots and space at the end of a token are dropped."""
    reading_values(monkeypatch, lambda value: unquote(value).strip(" .=\t\n\x0b\xa0"))


def spare_bits_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The spare bits at the end of a token are not checked."""
    seams.IS_TOKEN.plant(monkeypatch, lambda text: re.fullmatch(r"[A-Za-z0-9_-]{43}", text) is not None)
    key_of = seams.KEY_OF_TOKEN.sound
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    seams.KEY_OF_TOKEN.plant(
        monkeypatch, lambda self, token: key_of(self, token[:-1] + last[last.index(token[-1]) & ~3])
    )
