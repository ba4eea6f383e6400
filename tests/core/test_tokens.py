"""Tokens, and what is derived from them."""

from __future__ import annotations

import secrets
import subprocess
import sys
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from holdfast.records.tokens import Keys, is_token, new_token, open_successor, seal_successor


def test_a_token_is_43_characters_of_base64url() -> None:
    """Every new token is well formed, and none comes twice."""
    tokens = {new_token() for _ in range(10_000)}
    assert len(tokens) == 10_000
    assert all(len(token) == 43 and is_token(token) for token in tokens)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t + "=",
        lambda t: t + "\n",
        lambda t: " " + t,
        lambda t: t[:-1],
        lambda t: t + "A",
        lambda t: t[:-1] + chr(ord("A") + 1),
        lambda t: "+" + t[1:],
        lambda t: "/" + t[1:],
        lambda t: "é" + t[1:],
        lambda t: "\N{KELVIN SIGN}" + t[1:],
        lambda t: "\N{FULLWIDTH DIGIT ONE}" + t[1:],
        lambda _: "",
    ],
)
def test_a_token_has_one_spelling(change: object) -> None:
    """Padding, white space, other alphabets and unused bits make it no token."""
    assert callable(change)
    assert not is_token(change(new_token()))


def test_no_randomness_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no fallback when the operating system has no randomness to give."""

    def broken(_: int) -> bytes:
        raise OSError("no entropy")

    monkeypatch.setattr(secrets, "token_bytes", broken)
    monkeypatch.setattr("secrets.token_urlsafe", broken)
    with pytest.raises(OSError, match="no entropy"):
        new_token()


def test_keys_are_separated_by_namespace_and_purpose() -> None:
    """The same token has another key in another namespace, and no key is an owner value or a cut-off's key."""
    token = new_token()
    a, b = Keys("a"), Keys("b")
    derived = [a.key_of(token), b.key_of(token), a.cutoff_key(token), b.cutoff_key(token), a.owner_of(token)]
    assert len(derived) == len(set(derived))
    assert all(len(value) == 64 and not value.strip("0123456789abcdef") for value in derived)
    assert Keys("ab").key_of("c") != Keys("a").key_of("bc")


@pytest.mark.parametrize("value", [0, 7, 1.5, "0", UUID(int=7), Decimal(7), date(2027, 1, 31)])
def test_a_value_with_a_text_of_its_own_is_an_id(value: object) -> None:
    """Numbers and values that say what they are can be the id of a user."""
    assert Keys("a").owner_of(value) == Keys("a").owner_of(str(value))


@pytest.mark.parametrize("value", [None, "", True, b"7", ["7"], object(), new_token, Keys])
def test_no_other_value_is_an_id(value: object) -> None:
    """What is nothing, several values, or has a text that tells nothing, is refused by its type."""
    with pytest.raises(TypeError, match="a user id must be"):
        Keys("a").owner_of(value)


def test_owner_values_are_the_text_of_the_user_id_keyed() -> None:
    """42 and "42" are one user; with a secret the value cannot be guessed from the id."""
    assert Keys("a").owner_of(42) == Keys("a").owner_of("42")
    assert Keys("a").owner_of(42) != Keys("a", owner_secret=b"k").owner_of(42)
    assert Keys("a").owner_of("\ud800") != Keys("a").owner_of("\ud801")  # text that JSON can hold, and UTF-8 cannot


def test_keys_do_not_depend_on_the_process() -> None:
    """Another process derives the same key and owner value."""
    code = "from holdfast.records.tokens import Keys; k = Keys('n'); print(k.key_of('t'), k.owner_of('u'))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [Keys("n").key_of("t"), Keys("n").owner_of("u")] == other


def test_a_successor_opens_with_the_old_token_only() -> None:
    """Data sealed under one token opens with that token, and not with another."""
    old, new = new_token(), new_token()
    sealed = seal_successor(old, new)
    assert new == open_successor(old, sealed)
    assert new != open_successor(new_token(), sealed)
    assert new.encode() not in sealed
