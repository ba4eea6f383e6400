"""Cookies against a store: no command, operator, pattern or path in one reaches it."""

from __future__ import annotations

import logging
import re

import pytest
from bad_input import cookies
from bad_input import planted_cookie_at_stores as planted
from bad_input.answers import assert_nobody, victim
from security.bugs import any_shape_is_looked_up, keys_are_tokens, the_id_is_the_key
from security.rows import advisory, requirement
from security.steps import WebOn
from support.keyspace import counted as redis_calls
from support.keyspace import prefix_in
from support.memcached import counted as memcached_calls
from support.servers import Server


@requirement(
    "Catalogue P",
    says="A client's value is never a path.",
    mutants=[any_shape_is_looked_up],
)
@pytest.mark.kinds("memory", "files", "json")
def test_no_cookie_reaches_a_store(place: str, web_on: WebOn) -> None:
    """Input against any kind of store is refused by its form, without a store call."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    victim(web)
    for value in (value for values in cookies.AIMED.values() for value in values):
        assert_nobody(web, value)
    assert web.data() == {"user": "victim"}


@advisory(
    "CVE-2018-25160",
    "CVE-2020-13254",
    "CVE-2022-27924",
    product="HTTP::Session2, Django, Zimbra",
    cause="The client's value was a key of memcached, in which spaces and line breaks begin other commands.",
    mutants=[the_id_is_the_key, any_shape_is_looked_up],
)
@requirement(
    "Catalogue K",
    says="A client's value is never a key or a command of memcached.",
    mutants=[the_id_is_the_key, any_shape_is_looked_up],
)
@pytest.mark.kinds("memcached")
def test_no_cookie_speaks_to_memcached(place: str, memcached_server: Server, web_on: WebOn) -> None:
    """Commands, overlong and malformed keys in the cookie are no session, and no command is sent to the server."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    victim(web)
    for value in cookies.AIMED["memcached"]:
        with memcached_calls(memcached_server) as counts:
            assert_nobody(web, value)
        assert not counts, value
    assert web.data() == {"user": "victim"}


@requirement(
    "Catalogue N",
    says="A client's value is never an operator of a query.",
    mutants=[planted.operators_are_read, any_shape_is_looked_up],
)
@pytest.mark.kinds("mongodb")
def test_no_cookie_is_a_query(place: str, web_on: WebOn, caplog: pytest.LogCaptureFixture) -> None:
    """Operators in the cookie open no session and reach no query; every filter on a record is one by 64 hex digits."""
    caplog.set_level(logging.DEBUG, "pymongo.command")
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    victim(web)
    web.put(a=1)
    for value in cookies.AIMED["mongodb"]:
        caplog.clear()
        assert_nobody(web, value)
        assert '"commandName": "find' not in caplog.text, value
    caplog.clear()
    assert web.data() == {"user": "victim", "a": 1}
    said = [record.getMessage() for record in caplog.records if "Command started" in record.getMessage()]
    filters = re.findall(r'\\?"_id\\?": *(.{70})', " ".join(said))
    assert filters
    assert all(re.match(r'\\?"[0-9a-f]{64}', found) for found in filters)


@requirement(
    "Catalogue S",
    says="A client's value is never part of a statement.",
    mutants=[planted.queries_are_text, the_id_is_the_key, any_shape_is_looked_up],
)
@pytest.mark.kinds("sqlite", "mariadb", "postgresql")
def test_no_cookie_is_a_statement(place: str, web_on: WebOn) -> None:
    """Quotes, wildcards and statements in the cookie open no session, call no store, and do not change the table."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    victim(web)
    for value in cookies.AIMED["sql"]:
        assert_nobody(web, value)
        assert_nobody(web, value.replace(";", "%3B"))
    assert web.data() == {"user": "victim"}


@requirement(
    "Catalogue R",
    says="No cookie is a command, a pattern or a slot of Redis.",
    mutants=[any_shape_is_looked_up, keys_are_tokens],
)
@pytest.mark.kinds("redis")
def test_no_cookie_speaks_to_redis(place: str, web_on: WebOn) -> None:
    """Commands, globs and hash tags in the cookie: no command is sent to the server, and a key has 32 bytes."""
    import redis

    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    token = victim(web)
    prefix = prefix_in(place)
    with redis.Redis.from_url(place.partition("?")[0]) as client:
        for value in (*cookies.AIMED["redis"], "{" + token[:41] + "}", f"holdfast:{token}"):
            with redis_calls(client) as counts:
                assert_nobody(web, value)
            assert not {"get", "evalsha", "eval", "set", "flushall", "keys", "scan"} & counts.keys(), value
        names = [name.removeprefix(prefix.encode()) for name in client.scan_iter(f"{prefix}*")]
    assert names
    assert all(len(name) == 32 for name in names)
