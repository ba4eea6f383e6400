"""Bugs that the tests in test_randomness.py catch."""

from __future__ import annotations

import base64
import os
import random
import secrets
import string
import time
import uuid
from collections.abc import Callable

import pytest
from support import seams, source

from holdfast.records import tokens
from holdfast.records.envelope import ID_BYTES

ALPHABET = string.ascii_letters + string.digits + "-_"


def text_of(raw: bytes) -> str:
    """Return 32 bytes spelled as a token."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def make_tokens_by(monkeypatch: pytest.MonkeyPatch, make: Callable[[], str]) -> None:
    """Make every token by *make*."""
    for seam in (seams.TOKEN, seams.NEW_TOKEN):
        seam.plant(monkeypatch, make)


def ids_from_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are made by the generator of the module random, which is not meant for secrets."""
    make_tokens_by(monkeypatch, lambda: text_of(random.randbytes(32)))


def ids_from_time_and_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are a digest of the time, the process id and a few small random numbers."""

    def make() -> str:
        seed = f"{int(time.time())} {os.getpid()} {random.random()}"
        return tokens.Keys(seed).key_of("")[:42] + "A"

    make_tokens_by(monkeypatch, make)


def a_pool_filled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids come from a generator that is seeded once for each process, which a fork copies."""
    generator = random.Random(secrets.token_bytes(32))
    make_tokens_by(monkeypatch, lambda: text_of(generator.randbytes(32)))


def write_ids_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the ids of writes without randomness, so that only the tokens are at stake."""
    sound = random.SystemRandom.randbytes
    zeros = bytes(ID_BYTES)
    monkeypatch.setattr(
        random.SystemRandom, "randbytes", lambda self, size: zeros if size == ID_BYTES else sound(self, size)
    )


def falls_back_to_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system has no randomness, ids are made from the time."""
    write_ids_of_zeros(monkeypatch)

    def make() -> str:
        try:
            return secrets.token_urlsafe(32)
        except OSError:
            return text_of(time.time_ns().to_bytes(32, "big"))

    make_tokens_by(monkeypatch, make)


def falls_back_to_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system has no randomness, the id is the one of all zeros."""
    write_ids_of_zeros(monkeypatch)

    def make() -> str:
        try:
            return secrets.token_urlsafe(32)
        except OSError:
            return text_of(bytes(32))

    make_tokens_by(monkeypatch, make)


def half_of_the_alphabet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask that is too short leaves half of the alphabet unused."""
    make_tokens_by(monkeypatch, lambda: "".join(ALPHABET[byte & 31] for byte in secrets.token_bytes(42)) + "A")


def uneven_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random bytes are reduced modulo 62, so that some letters are more frequent."""
    make_tokens_by(monkeypatch, lambda: "".join(ALPHABET[byte % 62] for byte in secrets.token_bytes(42)) + "A")


def begins_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id begins with the time of its creation."""
    make_tokens_by(monkeypatch, lambda: text_of(time.time_ns().to_bytes(8, "big") + secrets.token_bytes(24)))


def ids_of_a_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id is a padded UUID: 122 random bits."""
    make_tokens_by(monkeypatch, lambda: text_of(uuid.uuid4().bytes + bytes(16)))


def reads_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module of the tokens gets its bytes from the module random."""
    text = "base64.urlsafe_b64encode(random.randbytes(TOKEN_BYTES)).decode()"
    source.rewrite(
        monkeypatch,
        seams.SOURCE_OF_TOKENS,
        "secrets.token_urlsafe(TOKEN_BYTES)",
        text.replace("random", "__import__('random')"),
    )


def versions_from_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store gets the versions that no two records may share from the module random."""
    source.rewrite(monkeypatch, seams.SOURCE_OF_FILE_STORE, "import secrets", "import random as secrets")
