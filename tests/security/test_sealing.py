"""Sealed records and cookies: an attacker with the store can neither read, change, nor swap them."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import ormsgpack
import pytest
from security import planted_sealing as planted
from security.rows import advisory, requirement
from support.dumps import dump, overwrite
from support.lives import EVENTFUL, Lives
from support.web import Web, cookies_set

from holdfast.flask import session
from holdfast.records import cookie
from holdfast.records.encryption import Sealer, new_key
from holdfast.records.envelope import Envelope, encode
from holdfast.records.record import Record
from holdfast.records.tokens import base64url

WebOn = Callable[..., Web]
KEY = new_key()
WAYS = ("keys", "cookie", "mac")
CANARY = "canary-5f0c9e-a-password"


# --- the tools of an attacker -----------------------------------------------------------------------------------------


def sealing_by(web_on: WebOn, place: Any, how: str, **config: Any) -> Web:
    """Return an application that seals, in which an error is an answer."""
    settings = {"SESSION_SEAL": how, "SESSION_SEAL_KEYS": [KEY], "PROPAGATE_EXCEPTIONS": False}
    return web_on(place, **{**settings, **config})


def stored(web: Web, browser: Any = None) -> bytes:
    """Return the browser's record."""
    data: bytes = web.memory.load(web.see(lambda: session.handle, browser)).data
    return data


def shown(web: Web, browser: Any = None) -> tuple[int, str, list[str]]:
    """Return what a request that reads the session is answered, and why its session was not accepted."""
    web.take_heard()
    response = web.do(lambda: str(dict(session)), browser)
    assert not cookies_set(response)
    return response.status_code, response.text, web.reasons()


class Planted:
    """The browser's record in memory, in the place of which others are put."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.key: str = web.see(lambda: session.handle)
        self.record: Record = web.memory._records[self.key]

    def shows(self, data: bytes) -> tuple[int, str, list[str]]:
        """Return what a request is answered when the record's data is *data*: see `shown`."""
        self.web.memory._records[self.key] = dataclasses.replace(self.record, data=data)
        return shown(self.web)


def exchanged(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return what puts *new* in the place of *old* in a value."""
    return lambda value: value.replace(old, new)


def flipped(data: bytes) -> Iterator[bytes]:
    """Yield *data* with its lowest and its highest bit changed in every byte."""
    for at, byte in enumerate(data):
        for bit in (0x01, 0x80):
            yield data[:at] + bytes([byte ^ bit]) + data[at + 1 :]


# --- the tests --------------------------------------------------------------------------------------------------------


@advisory(
    "CVE-2026-6873",
    "CVE-2019-10911",
    product="Django, Symfony",
    cause="Protected data was not bound to its purpose, and could be used in another place.",
    mutants=[planted.records_fit_anywhere],
)
@requirement(
    "ASVS 9.2.3",
    "Finding 2f",
    says="Records that are swapped in the store are no session.",
    mutants=[planted.records_fit_anywhere],
)
def test_two_users_records_cannot_be_exchanged(place: str, web_on: WebOn) -> None:
    """On every store, if two users' records are swapped, both are anonymous, and neither sees the other's data."""
    for how in WAYS:
        web = sealing_by(web_on, place, how)
        ada, eve = web.app.test_client(), web.app.test_client()
        web.put(ada, user="ada")
        web.put(eve, user="eve")
        hers, his = stored(web, ada), stored(web, eve)
        overwrite(web, place, web.see(lambda: session.handle, ada), exchanged(hers, his))
        overwrite(web, place, web.see(lambda: session.handle, eve), exchanged(his, hers))
        for browser in (ada, eve):
            assert shown(web, browser) == (200, "{}", ["corrupt"]), how


@requirement("Finding 2f", says="A record cannot be assigned to another user.", mutants=[planted.records_fit_any_user])
@pytest.mark.kinds("memory")
def test_a_record_cannot_be_given_to_another_user(place: str, web_on: WebOn) -> None:
    """A record whose owner was changed in the store does not open."""
    for how in WAYS:
        web = sealing_by(web_on, place, how)
        web.do(lambda: session.bind("eve"))
        for user in ("admin", None):
            key = web.see(lambda: session.handle)
            record = web.memory.load(key)
            owner = user and web.sessions.manager.keys.owner_of(user)
            web.memory.replace(key, record.data, expect=record.version, expires_at=record.expires_at, owner=owner)
            assert shown(web) == (200, "{}", ["corrupt"]), how
            web.do(lambda: session.bind("eve"))


@advisory(
    "CVE-2020-15105",
    product="django-two-factor-auth",
    cause="The password was in the session, and so in the store, in clear text.",
    mutants=[planted.nothing_is_sealed, planted.authenticated_only],
)
@requirement(
    "OWASP protection of the repository",
    says="With sealing on, neither the store nor a log reveals session data.",
    mutants=[planted.nothing_is_sealed, planted.authenticated_only],
)
def test_a_copy_of_the_store_tells_nothing(
    place: str, web_on: WebOn, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """With sealing on, no store, and no log of any library at DEBUG, reveals session data or a key."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "sqlalchemy.engine")
    for how in ("keys", "cookie"):
        web = sealing_by(web_on, place, how, **EVENTFUL)
        lives = Lives(web, CANARY)
        lives.lead()
        stolen = dump(web, place)
        logged = "\n".join([caplog.text, *(str(vars(record)) for record in caplog.records), *capfd.readouterr()])
        handle = web.see(lambda: session.handle)
        assert handle.encode() in stolen or bytes.fromhex(handle) in stolen, "this is not the store"
        for text in (stolen, logged.encode()):
            assert CANARY.encode() not in text, how
            assert CANARY.encode().hex().encode() not in text, how
            assert KEY.encode() not in text, how
            assert not list(lives.leaks_in(text)), how


@advisory(
    "CVE-2012-3458",
    product="Beaker",
    cause="Each block was encrypted separately (AES-ECB), so that equal blocks looked equal.",
    mutants=[planted.block_by_block, planted.the_same_nonce],
)
@pytest.mark.kinds("memory")
def test_equal_data_does_not_look_alike(place: str, web_on: WebOn) -> None:
    """Neither equal blocks in a session, nor equal sessions, nor one that is saved twice, look equal in the store."""
    for how in ("keys", "cookie"):
        web = sealing_by(web_on, place, how)
        other = web.app.test_client()
        web.put(note="A" * 4096)
        web.put(other, note="A" * 4096)
        data, twin = stored(web), stored(web, other)
        for size in (8, 16):
            blocks = [data[at : at + size] for at in range(100, len(data) - size, size)]
            assert len(set(blocks)) == len(blocks), how
        assert not {data[at : at + 8] for at in range(60, len(data) - 7)} & {
            twin[at : at + 8] for at in range(60, len(twin) - 7)
        }
        web.put(note="B")
        web.put(note="A" * 4096)
        again = stored(web)
        assert again[100:] != data[100:], how
        assert sum(a == b for a, b in zip(again[100:4000], data[100:4000], strict=True)) < 200, how


@advisory(
    "CVE-2026-40372",
    product="ASP.NET Core 10.0.0 to 10.0.6",
    cause="The tag was computed over the wrong bytes, and the result of the comparison was not used.",
    mutants=[
        planted.encrypted_only,
        planted.tags_of_zeros,
        planted.a_tag_over_half_of_it,
        planted.times_are_not_vouched_for,
    ],
)
@advisory(
    "MS10-070",
    "CVE-2010-3332",
    "CVE-2019-12422",
    product="ASP.NET, Shiro",
    cause="The answer to a changed cookie revealed whether its padding was right, which allowed decryption.",
    mutants=[planted.errors_tell_what_was_wrong],
)
@requirement(
    "ASVS 9.1.1",
    "ASVS 4.0 3.5.3",
    says="Every byte of a record is authenticated.",
    mutants=[planted.encrypted_only, planted.tags_of_zeros, planted.any_signature],
)
@pytest.mark.kinds("memory")
def test_every_changed_record_is_refused_alike(place: str, web_on: WebOn) -> None:
    """No record that is changed, truncated or extended opens; all sealed records are refused in the same way."""
    for how in WAYS:
        web = sealing_by(web_on, place, how)
        web.put(user="victim", n=1)
        planted = Planted(web)
        data = planted.record.data
        cut = [data[:size] for size in range(len(data))]
        for changed in (*flipped(data), *cut, data + b"\x00", data[:-32] + bytes(32), data[:-16] + bytes(16)):
            status, text, reasons = planted.shows(changed)
            assert (status, text) == (200, "{}"), (how, changed)
            assert reasons in (["corrupt"], ["unknown_key"], ["not_yet_valid"], ["expired_idle"]), (how, changed)
            header = 39  # format, scheme, codec, key id, times and the size of the metadata
            if changed[:header] == data[:header] and len(changed) > header:
                assert reasons == ["corrupt"], (how, changed)
        assert planted.shows(data) == (200, "{'user': 'victim', 'n': 1}", [])


@requirement(
    "ASVS 9.1.2",
    "ASVS 9.1.3",
    says="Only the configured scheme and keys open a record, whatever scheme it names.",
    mutants=[planted.any_scheme_will_do, planted.any_key_is_tried],
)
@pytest.mark.kinds("memory")
def test_a_record_does_not_choose_how_it_is_read(place: str, web_on: WebOn) -> None:
    """Every other format, scheme and codec byte is refused, and an unknown key is distinguished from damage."""
    for how in WAYS:
        web = sealing_by(web_on, place, how)
        web.put(user="victim")
        planted = Planted(web)
        data = planted.record.data
        for at in range(3):
            for byte in set(range(256)) - {data[at]}:
                assert planted.shows(data[:at] + bytes([byte]) + data[at + 1 :])[:2] == (200, "{}"), (how, at, byte)
        for _ in range(20):
            assert planted.shows(data[:3] + os.urandom(8) + data[11:]) == (200, "{}", ["unknown_key"]), how
        assert planted.shows(data)[1] == "{'user': 'victim'}"
        stranger = sealing_by(web_on, lambda clock, web=web: web.memory, how, SESSION_SEAL_KEYS=[new_key()])
        assert shown(stranger, stranger.with_token(web.token())) == (200, "{}", ["unknown_key"])
        assert shown(web)[1] == "{'user': 'victim'}", "another server may have the key"


@advisory(
    "CVE-2026-39324",
    product="rack-session",
    cause="Data that could not be decrypted was decoded without any check.",
    mutants=[planted.unsealed_ones_are_read, planted.the_window_never_ends],
)
@advisory(
    "CVE-2011-4136",
    product="Django",
    cause="A client with write access to the cache of sessions could create a session with any content.",
    mutants=[planted.unsealed_ones_are_read],
)
def test_what_is_not_sealed_is_not_read(place: str, web_on: WebOn) -> None:
    """A record in clear text, or sealed by another key or in another way, is refused, except until a set date."""
    now = sealing_by(web_on, place, "keys").clock()
    until = datetime.fromtimestamp(now / 1000, timezone.utc) + timedelta(hours=1)
    made = Envelope(now, now, 31 * 86_400_000, ormsgpack.packb({"user": "admin"}))
    for how in WAYS:
        other = "mac" if how != "mac" else "keys"
        web = sealing_by(web_on, place, how, SESSION_SEAL_MIGRATE_UNTIL=until)
        for forge, in_window in ((None, True), (Sealer(other, [KEY]), True), (Sealer(how, [new_key()]), False)):  # type: ignore[arg-type]
            for late in (False, True):
                web.clock.advance_ms(now - web.clock() + late * 3_600_001)
                browser = web.app.test_client()
                web.put(browser, user="eve")
                key, token = web.see(lambda: session.handle, browser), web.token(browser) or ""
                data = stored(web, browser)
                planted = forge.seal(made, token=token, key=key, owner=None) if forge else encode(made)
                overwrite(web, place, key, exchanged(data, planted))
                opened = in_window and not late
                wanted = ("{'user': 'admin'}", []) if opened else ("{}", ["unknown_key"])
                assert shown(web, browser) == (200, *wanted), (how, forge, late)


# --- sessions in the cookie -------------------------------------------------------------------------------------------


def alone(web_on: WebOn, **config: Any) -> Web:
    """Return an application whose sessions live in the cookie."""
    settings = {"SESSION_STORE": "cookie://", "SESSION_SEAL_KEYS": [KEY], "PROPAGATE_EXCEPTIONS": False}
    return web_on("memory://", setting="A_STORE_THAT_IS_NOT_USED", **{**settings, **config})


def taken_for(web: Web, value: str) -> str:
    """Return what a request with *value* as its cookie finds in its session."""
    raw = {"HTTP_COOKIE": f"{web.app.config['SESSION_COOKIE_NAME']}={value}"}
    response = web.do(lambda: str(dict(session)), web.app.test_client(use_cookies=False), environ_overrides=raw)
    assert response.status_code == 200, value
    return response.text


@advisory(
    "Laravel 2018-08",
    "Laravel 2020-07",
    product="Laravel",
    cause="An encrypted cookie was not bound to its name, so that any other value the application encrypted was valid.",
    mutants=[planted.a_cookie_fits_any_name],
)
@advisory(
    "CVE-2026-6873",
    "CVE-2019-10911",
    product="Django, Symfony",
    cause="A key was derived from several concatenated names, so that two pairs of names gave the same.",
    mutants=[planted.kinds_of_keys_in_a_row],
)
def test_a_cookie_counts_under_its_own_name_alone(web_on: WebOn) -> None:
    """A value that was encrypted for another name or application, with the same key, holds no session."""
    web = alone(web_on, SESSION_KEY_PREFIX="a", SESSION_COOKIE_NAME="bc")
    web.put(user="victim")
    value = web.token() or ""
    assert taken_for(web, value) == "{'user': 'victim'}"
    for namespace, name in (("a", "b"), ("b", "bc"), ("ab", "c"), ("", "abc"), ("abc", "x")):
        other = alone(web_on, SESSION_KEY_PREFIX=namespace, SESSION_COOKIE_NAME=name)
        assert taken_for(other, value) == "{}", (namespace, name)


@advisory(
    "CVE-2026-39324",
    product="rack-session",
    cause="When a cookie could not be decrypted it was decoded without any check.",
    mutants=[planted.plain_cookies_are_read, planted.encrypted_only],
)
@advisory(
    "CVE-2026-40372",
    product="ASP.NET Core 10.0.0 to 10.0.6",
    cause="The result of the comparison of tags was not used.",
    mutants=[planted.encrypted_only],
)
def test_every_changed_cookie_holds_nothing(web_on: WebOn) -> None:
    """No changed byte or bit, no truncation, no plain envelope and no other spelling of a cookie holds a session."""
    web = alone(web_on)
    web.put(user="victim")
    value = web.token() or ""
    raw = cookie._raw(value) or b""
    assert base64url(raw) == value
    now = web.clock()
    made = encode(Envelope(now, now, 31 * 86_400_000, ormsgpack.packb({"user": "admin"})))
    plain = cookie._FIELDS.pack(now + 31 * 86_400_000, now, b"A" * 43, bytes(32)) + made
    changed = [base64url(raw[:25] + data) for data in (plain, bytes(12) + plain, plain + bytes(16))]
    changed += [base64url(data) for data in flipped(raw)]
    changed += [value[:size] for size in range(0, len(value), 3)]
    changed += [value + end for end in ("=", "==", "A", ".", "%3D")]
    for other in changed:
        assert taken_for(web, other) == "{}", other
    assert taken_for(web, value) == "{'user': 'victim'}"
    assert CANARY.encode() not in raw
