"""Signed tokens: the signature decides, before anything else is done with what a client sent."""

from __future__ import annotations

import ast
import base64
import hmac
import json
import pickle  # noqa: TID251  # an attacker's request
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import ormsgpack
import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import Signer, TimestampSigner, URLSafeSerializer
from security import planted_signatures as planted
from security.bugs import derives_by_concatenation, no_namespace
from security.planted_signatures import KEY
from security.rows import advisory, requirement
from support import source
from support.web import Web, cookies_set

from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.flask.cookies import signing_salt
from holdfast.records import tokens
from holdfast.records.encryption import new_key

OWNER_KEY = new_key()

WebOn = Callable[..., Web]
SALT = signing_salt("session:", "session")
OTHERS = [
    f"k{number}-" + letters * 2
    for number, letters in enumerate(
        ("pD8sF3hJ5kC1gV0y", "aZ6bE4uI2oW9rT7n", "mK3qX8vB5nJ1cL0d", "sY7hG2fR9tP4wD6e"), 2
    )
]
SIGNED = {"SESSION_USE_SIGNER": True, "SECRET_KEY": KEY, "PROPAGATE_EXCEPTIONS": False}


# --- what an attacker sends -------------------------------------------------------------------------------------------


def signed(token: str, key: str = KEY, salt: str | bytes = SALT) -> str:
    """Return a token signed with *key* as Holdfast does it, or for another purpose."""
    return Signer(key, salt=salt, key_derivation="hmac").sign(token).decode()


def in_older_formats(token: str) -> Iterator[str]:
    """Yield what other formats make of a token that is not signed at all."""
    data = {"sid": token, "_id": token, "session": token}
    yield token
    for raw in (json.dumps(data).encode(), ormsgpack.packb(data), pickle.dumps(data), token.encode()):
        yield raw.decode("latin-1").replace(";", "%3B")
        for spelled in (base64.urlsafe_b64encode(raw), base64.b64encode(raw)):
            yield spelled.decode()
            yield spelled.decode().rstrip("=")
            yield f"{token}.{spelled.decode()}"
            yield f"{spelled.decode()}--{'0' * 40}"


def for_other_purposes(token: str) -> Iterator[str]:
    """Yield the token, well signed with the application's key for something else."""
    for salt in (
        "itsdangerous",
        "itsdangerous.Signer",
        "cookie-session",
        "password-reset",
        "remember-me",
        "flask-session",
    ):
        yield signed(token, salt=salt)
        yield TimestampSigner(KEY, salt=salt, key_derivation="hmac").sign(token).decode()
        yield URLSafeSerializer(KEY, salt=salt).dumps(token)
    app = Flask("other")
    app.secret_key = KEY
    flask_s_own = SecureCookieSessionInterface().get_signing_serializer(app)
    assert flask_s_own is not None
    yield flask_s_own.dumps({"user": "victim", "sid": token})


# --- the tests --------------------------------------------------------------------------------------------------------


@pytest.fixture
def victim(place: str, web_on: WebOn) -> Web:
    """Return an application that signs, with a session of its browser."""
    web = web_on(place, **SIGNED)
    web.put(user="victim")
    assert web.data() == {"user": "victim"}
    return web


def assert_refused(web: Web, value: str) -> None:
    """Assert that *value* opens no session, costs no store call, and is answered like a request without a cookie."""
    web.store.reset()
    raw = {"HTTP_COOKIE": f"session={value}"}  # as a server passes it on that lets anything through
    response = web.do(lambda: str(session.get("user")), web.app.test_client(use_cookies=False), environ_overrides=raw)
    assert (response.status_code, response.text) == (200, "None"), value
    assert not web.store.counts, value
    assert not cookies_set(response), value


@advisory(
    "CVE-2026-39324",
    product="rack-session",
    cause="When a cookie could not be decrypted it was decoded without any check.",
    mutants=[planted.a_bad_signature_means_an_old_cookie, planted.reads_older_formats],
)
@pytest.mark.kinds("memory")
def test_what_is_not_signed_is_not_read(victim: Web) -> None:
    """The token alone, or in a former or foreign format of session cookies, opens no session and calls no store."""
    token = (victim.token() or "").split(".")[0]
    for value in in_older_formats(token):
        assert_refused(victim, value)


@advisory(
    "Laravel 2018-08",
    "Laravel 2020-07",
    product="Laravel",
    cause="A value that the application had encrypted for another purpose was accepted as a session cookie.",
    mutants=[planted.signs_with_any_salt],
)
@requirement(
    "ASVS 9.2.2", says="A token that was made for another purpose is refused.", mutants=[planted.signs_with_any_salt]
)
@pytest.mark.kinds("memory")
def test_a_signature_for_another_purpose_is_refused(victim: Web) -> None:
    """Reset links, remember-me tokens and Flask's own session, signed with the same key, open no session."""
    token = (victim.token() or "").split(".")[0]
    for value in for_other_purposes(token):
        assert_refused(victim, value)


@advisory(
    "CVE-2026-6873",
    "CVE-2019-10911",
    product="Django, Symfony",
    cause="Several concatenated values were hashed or signed, so that two lists of values gave the same.",
    mutants=[derives_by_concatenation],
)
@requirement(
    "ASVS 9.2.3",
    "ASVS 9.2.4",
    says="Each derived value is valid for one purpose or namespace only, and no two pairs of names are alike.",
    mutants=[derives_by_concatenation, no_namespace],
)
@pytest.mark.kinds("memory", "sqlite", "files", "json", "redis", "mongodb", "mariadb", "postgresql")
def test_two_names_in_a_row_are_not_one_name(place: str, web_on: WebOn) -> None:
    """The user "bc" of the application "a" is not the user "c" of the application "ab" on the same store."""
    first = web_on(place, SESSION_KEY_PREFIX="ab", SESSION_OWNER_KEY=OWNER_KEY)
    second = web_on(lambda clock: first.memory, SESSION_KEY_PREFIX="a", SESSION_OWNER_KEY=OWNER_KEY)
    first.do(lambda: session.bind("c"))
    assert second.sessions.of("bc") == []
    assert second.sessions.revoke_all("bc") == 0
    assert second.sessions.revoke_all("c") == 0
    assert first.see(lambda: session.owner) is not None
    assert second.data(second.with_token(first.token())) == {}


@advisory(
    "CVE-2013-0263",
    "CVE-2017-14775",
    "CVE-2015-8125",
    product="rack, Laravel, Symfony",
    cause="Signatures were compared in a time that revealed how much of a forged one was right.",
    mutants=[planted.compares_by_equality],
)
@pytest.mark.kinds("memory")
def test_signatures_are_compared_in_constant_time(victim: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole signature is compared with that of each key, once, in constant time."""
    compared: list[tuple[int, int]] = []
    constant = hmac.compare_digest

    def noting(a: Any, b: Any) -> bool:
        compared.append((len(a), len(b)))
        return constant(a, b)

    cookie = victim.token() or ""
    victim.app.config["SECRET_KEY_FALLBACKS"] = OTHERS
    monkeypatch.setattr(hmac, "compare_digest", noting)
    for right in range(44, len(cookie)):
        compared.clear()
        assert_refused(victim, cookie[:right] + ("A" if cookie[right] != "A" else "B") * (len(cookie) - right))
        assert compared == [(len(cookie), len(cookie))] * 5


#: The names of what is compared with something that a client or a store has sent.
_SECRETS = {"tag", "_tag", "mac", "signature", "get_signature", "sign", "_sign", "digest", "hexdigest"}


@advisory(
    "CVE-2013-0263",
    "CVE-2017-14775",
    "CVE-2015-8125",
    product="rack, Laravel, Symfony",
    cause="Signatures were compared with the equality operator.",
    mutants=[planted.writes_equality, planted.writes_equality_of_tags],
)
def test_the_source_compares_no_secret_by_equality() -> None:
    """Nowhere is a signature, a digest or a tag compared by ``==`` or ``!=``: only by `hmac.compare_digest`."""
    for name, tree in source.modules().items():
        if name.startswith("testing/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                sides = [node.left, *node.comparators]
                assert not any(map(_is_secret, sides)), f"{name}: {ast.unparse(node)}"


def _is_secret(node: ast.expr) -> bool:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2] in _SECRETS


@advisory(
    "CVE-2025-47278",
    product="Flask 3.1.0",
    cause="The list of keys was reversed, so that a stale fallback key signed new cookies.",
    mutants=[planted.oldest_key_first, planted.no_fallbacks, planted.never_signs_again, planted.keeps_keys_for_ever],
)
@pytest.mark.kinds("memory")
def test_the_newest_key_signs_and_the_others_are_still_read(place: str, web_on: WebOn) -> None:
    """In every order of up to five keys the first signs, all are read and signed again, and a retired one is not."""
    web = web_on(place, **SIGNED)
    web.put(user="victim")
    token = (web.token() or "").split(".")[0]
    for count in range(1, len(OTHERS) + 2):
        for newest, *fallbacks in permutations([KEY, *OTHERS], count):
            web.app.config.update(SECRET_KEY=newest, SECRET_KEY_FALLBACKS=fallbacks)
            fresh = web.app.test_client()
            web.put(fresh, user="fresh")
            assert web.token(fresh) == signed((web.token(fresh) or "").split(".")[0], newest)
            for key in (KEY, *OTHERS):
                browser = web.with_token(signed(token, key))
                response = web.do(lambda: str(session.get("user")), browser)
                assert response.text == ("victim" if key in {newest, *fallbacks} else "None")
                assert len(cookies_set(response)) == (key in fallbacks)
                assert web.token(browser) == signed(token, newest if key in fallbacks else key)


# --- the keys ---------------------------------------------------------------------------------------------------------


#: Defaults of the products that were attacked by them, and keys that are no better.
_GUESSABLE: list[str | bytes] = [
    "\x02\x01thisismyscretkey\x01\x02\\e\\y\\y\\h",
    "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET",
    "TEST_NON_DEV_SECRET",
    "YOUR_OWN_RANDOM_GENERATED_SECRET_KEY",
    "thisISaSECRET_1234",
    "dev",
    "changeme",
    "secret",
    "a" * 64,
    "0123456789" * 5,
    "ChangeMe-ChangeMe-ChangeMe-ChangeMe",
    b"kPH+bIxk5D2deZiI",
    b"Mojolicious::Lite",
]


@advisory(
    "CVE-2023-27524",
    "CVE-2024-58134",
    "CVE-2024-58135",
    "CVE-2016-4437",
    product="Superset, Mojolicious, Shiro",
    cause="Cookies were signed or encrypted with a key that is the default of the product, or consists of few letters.",
    mutants=[planted.any_key_will_do, planted.only_length_counts],
)
@pytest.mark.kinds("memory")
def test_keys_that_others_know_are_refused(place: str, web_on: WebOn) -> None:
    """A published, short or monotonous key is an error at start-up that does not show it; a random one is accepted."""
    for key in _GUESSABLE:
        text = key if isinstance(key, str) else key.decode()
        for keys in ({"SECRET_KEY": key}, {"SECRET_KEY": KEY, "SECRET_KEY_FALLBACKS": [OTHERS[0], key]}):
            with pytest.raises(ConfigurationError) as refused:
                web_on(place, SESSION_USE_SIGNER=True, **keys)
            assert "SECRET_KEY" in str(refused.value)
            assert len(text) < 12 or text not in str(refused.value)
    for _ in range(200):
        web_on(place, SESSION_USE_SIGNER=True, SECRET_KEY=tokens.new_token())
