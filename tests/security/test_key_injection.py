"""A client's value is never part of a store's command: no command, operator, pattern or foreign key."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from security import planted_key_injection as planted
from security.bugs import the_id_is_the_key
from security.rows import advisory, requirement
from support.dumps import dump, has_key
from support.keyspace import prefix_in
from support.web import STRANGER, Web

from holdfast.flask import session
from holdfast.records.tokens import Keys, new_token

WebOn = Callable[..., Web]


@advisory(
    "CVE-2026-25480",
    product="Litestar",
    cause="Different keys led to the same record.",
    mutants=[planted.keys_in_any_case],
)
@pytest.mark.kinds("sqlite", "mariadb", "postgresql", "mongodb", "redis", "files", "json", "memory")
def test_stores_tell_keys_apart_by_every_letter(place: str, web_on: WebOn) -> None:
    """A record is not found under its key in capitals, with a leading space or truncated, with any collation."""
    web = web_on(place)
    web.put(user="victim")
    key = web.see(lambda: session.handle)
    for other in (key.upper(), key.swapcase(), f" {key}", key[:-1], f"{key}\x00", key[:-1] + "%", "_" * 64):
        if "\x00" in other and place.startswith("postgresql"):
            continue  # a text without NUL is all that it takes
        try:
            found = web.memory.load(other)
        except ValueError:
            continue  # a store may also refuse what is no key
        assert found is None, repr(other)
    assert web.memory.load(key) is not None
    if place.startswith(("mariadb", "mysql", "postgresql", "sqlite")):
        assert matching_in_capitals(place, key) == 0


def matching_in_capitals(place: str, key: str) -> int:
    """Return how many rows the database itself finds under *key* in capitals."""
    if place.startswith("sqlite"):
        with closing(sqlite3.connect(Path(place.partition(":///")[2]))) as connection:
            return int(connection.execute("SELECT count(*) FROM sessions WHERE key = ?", (key.upper(),)).fetchone()[0])
    engine = sa.create_engine(place)
    quote = engine.dialect.identifier_preparer.quote("key")
    try:
        with engine.connect() as connection:
            query = sa.text(f"SELECT count(*) FROM holdfast_sessions WHERE {quote} = :key")  # noqa: S608
            return int(connection.execute(query, {"key": key.upper()}).scalar_one())
    finally:
        engine.dispose()


@advisory(
    "CVE-2024-55885",
    product="beego",
    cause="Names of sessions were MD5 hashes, for which collisions can be computed.",
    mutants=[planted.keys_by_a_weak_hash],
)
@requirement("Finding 3", says="Stores get only 64 hex digits of SHA-256.", mutants=[planted.keys_by_a_weak_hash])
def test_keys_are_whole_hashes(place: str, web_on: WebOn) -> None:
    """On every store a record is named by 64 lower-case hex digits, half of whose bits are set."""
    web = web_on(place)
    web.put(user="victim")
    key = web.see(lambda: session.handle)
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    assert has_key(dump(web, place), key)
    keys = {Keys("session:").key_of(new_token()) for _ in range(500)}
    assert len(keys) == 500
    ones = [int(key, 16).bit_count() for key in keys]
    assert 126 < sum(ones) / len(ones) < 130


@advisory(
    "CVE-2011-4136",
    product="Django",
    cause="Sessions were in a cache under names that an application could be made to overwrite.",
    mutants=[planted.nothing_before_the_key, the_id_is_the_key],
)
@pytest.mark.kinds("redis", "memcached")
def test_what_an_application_caches_is_no_session(place: str, request: pytest.FixtureRequest, web_on: WebOn) -> None:
    """Data that an application writes to the same server under user-chosen names does not change sessions."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="eve")
    token = web.token() or ""
    victim = web.app.test_client()
    web.put(victim, user="victim")
    prefix = prefix_in(place)
    chosen = [token, STRANGER, f"session:{token}", f"session:{STRANGER}", f"holdfast:{token}"]
    chosen += [prefix + token, prefix + STRANGER]
    if place.startswith("memcached"):
        import pymemcache

        server = request.getfixturevalue("memcached_server")
        with closing(pymemcache.Client(server.address)) as cache:
            for name in chosen:
                cache.set(name, b"\x01admin", noreply=False)
    else:
        import redis

        with redis.Redis.from_url(place.partition("?")[0]) as cache:
            for name in chosen:
                cache.set(name, b"1admin", ex=60)
    assert web.data() == {"user": "eve"}
    assert web.data(victim) == {"user": "victim"}
    assert web.data(web.with_token(STRANGER)) == {}
