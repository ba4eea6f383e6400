"""ASVS 5.0 on tokens that vouch for something (V9), with what other standards ask alike."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable

import pytest
from security import bugs
from security import planted_requirements_asvs_tokens as planted
from security.planted_requirements_asvs_tokens import token_signer
from security.rows import requirement
from support.application import Site

from holdfast.records.codec import MSGPACK
from holdfast.records.encryption import new_key
from holdfast.records.envelope import Envelope, encode

SiteOn = Callable[..., Site]

KEY = new_key()
DAY = 24 * 3600 * 1000


# --- keys -------------------------------------------------------------------------------------------------------------


@requirement(
    "ASVS 9.1.3",
    says="Keys come from the settings only.",
    mutants=[planted.the_empty_key, planted.keys_for_ever],
)
@pytest.mark.kinds("memory")
def test_only_configured_keys_count(place: str, site_on: SiteOn) -> None:
    """A token signed with a fallback is accepted and re-signed; with a removed, an empty or another key it is not."""
    old, new = "a first key that nobody guesses: 8Xk2", "a second key that nobody guesses: mQ71"
    site = site_on(place, SESSION_USE_SIGNER=True, SECRET_KEY=old)
    [jar] = site.jars("ada", 1)
    copy, token = jar.copy(), (jar.token or "")[:43]
    site.app.config.update(SECRET_KEY=new, SECRET_KEY_FALLBACKS=[old])
    assert jar.me() == "ada"
    assert jar.token != copy.token
    site.app.config["SECRET_KEY_FALLBACKS"] = []
    assert (jar.me(), copy.me()) == ("ada", None)
    for key in ("", old, "a third key that nobody guesses: 0aPq"):
        forged = token_signer(key).sign(token).decode()
        assert site.jar(forged).me() is None


@requirement(
    "ASVS 9.1.3",
    says="A stored key id selects nothing but a configured key.",
    mutants=[planted.reads_what_it_cannot_open],
)
def test_a_record_sealed_with_an_unknown_key_is_nobody_s(place: str, site_on: SiteOn) -> None:
    """After its key is removed, a session is refused with `unknown_key`, and kept for servers that have the key."""
    site = site_on(place, SESSION_SEAL="keys", SESSION_SEAL_KEYS=[KEY])
    [jar] = site.jars("ada", 1)
    other = site.worker(SESSION_SEAL_KEYS=[new_key()])
    assert jar.at(other).me() is None
    assert other.reasons() == ["unknown_key"]
    assert jar.at(site.worker(SESSION_SEAL_KEYS=[new_key(), KEY])).me() == "ada"


# --- what a token is good for ----------------------------------------------------------------------------------------


@requirement(
    "ASVS 9.2.1",
    says="A session is valid only within the times in its record.",
    mutants=[planted.from_the_future, bugs.never_too_old, bugs.never_idle],
)
def test_absurd_times_are_no_session(place: str, site_on: SiteOn) -> None:
    """A record from the future, from 1970, the end of time or long unused is no session; a minute's skew is fine."""
    site = site_on(place)
    now = site.clock()
    payload = MSGPACK.dumps({"u": "ada"})
    begun = [now + 60_001, now + 365 * DAY, 2**63, 2**64 - 1, 0, now - 400 * DAY]
    good = [(now, now), (now + 60_000, now + 60_000), (now - 399 * DAY, now)]
    bad = [(created, min(created, now)) for created in begun] + [(now, issued) for issued in begun[:4]]
    [jar] = site.jars("ada", 1)
    [key] = site.records()
    for created_at, issued_at in good:
        site.rewrite(key, encode(Envelope(created_at, issued_at, 31 * DAY, payload)))
        assert jar.me() == "ada"
    for created_at, issued_at in bad:
        site.rewrite(key, encode(Envelope(created_at, issued_at, 31 * DAY, payload)), expires_at=now + 40 * DAY)
        assert jar.me() is None
    site.rewrite(key, encode(Envelope(now, now, 33 * DAY, payload)), expires_at=now + DAY)
    assert jar.me() is None


# --- sessions in the cookie -------------------------------------------------------------------------------------------


@requirement(
    "ASVS 3.3.5",
    "ASVS 14.3.3",
    "ASVS 4.0 8.2.2",
    "RFC 6265bis 5.6-5.7",
    says="A session in the cookie is encrypted, and is never sent if browsers would drop it.",
    mutants=[planted.cookies_of_any_size, planted.encodes_only],
)
@pytest.mark.kinds("memory")
def test_a_session_in_the_cookie_is_private_and_fits(
    place: str, site_on: SiteOn, caplog: pytest.LogCaptureFixture
) -> None:
    """No part of a value is visible in the cookie; too much data is an error, and the browser keeps its old cookie."""
    site = site_on("cookie://", SESSION_SEAL_KEYS=[KEY])
    jar = site.jar()
    jar.login("ada-lovelace")
    before = jar.token or ""
    assert b"lovelace" not in base64.urlsafe_b64decode(before + "=" * (-len(before) % 4))
    answer = jar.post("/set", k="k", v=secrets.token_hex(2500))
    assert answer.status_code == 500
    assert "RecordTooLarge: " in caplog.text
    assert not answer.headers.getlist("Set-Cookie")
    assert (jar.token, jar.me()) == (before, "ada-lovelace")


@requirement(
    "ASVS 7.4.1",
    "ASVS 7.4.2",
    "ASVS 4.0 3.5.3",
    says="A self-contained token does not outlive its logout.",
    mutants=[planted.forgets_revocations],
)
def test_a_session_in_the_cookie_can_be_ended(place: str, site_on: SiteOn) -> None:
    """With a store for revocations no copy of the cookie outlives a logout, or the end of all the user's sessions."""
    site = site_on(place, client_side=True, SESSION_SEAL_KEYS=[KEY])
    worker = site.worker()
    one, two = site.jars("ada", 2)
    copy = one.copy()
    assert copy.at(worker).me() == "ada"
    one.post("/logout")
    assert (one.token, copy.me(), copy.at(worker).me(), two.me()) == (None, None, None, "ada")
    site.clock.advance(1)
    site.jar().post("/users/ada/revoke-all")
    assert (two.me(), two.copy().at(worker).me()) == (None, None)


@requirement(
    "ASVS 7.4.1",
    "ASVS 4.0 3.5.3",
    says="A session that cannot be revoked is not reported as revoked.",
    mutants=[planted.says_nothing],
)
@pytest.mark.kinds("memory")
def test_without_a_store_nothing_is_called_revoked(
    place: str, site_on: SiteOn, caplog: pytest.LogCaptureFixture
) -> None:
    """With sessions in the cookie alone, the log warns at start-up, and revoking is refused."""
    site = site_on("cookie://", SESSION_SEAL_KEYS=[KEY])
    told = [record.getMessage() for record in caplog.records if record.name == "holdfast"]
    assert any("SESSION_REVOCATION_STORE" in message for message in told)
    [jar] = site.jars("ada", 1)
    assert jar.post("/users/ada/revoke-all").status_code == 500
    assert jar.me() == "ada"
