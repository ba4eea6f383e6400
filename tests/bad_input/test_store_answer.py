"""Bad data in one kind of store: it is anonymous, and no error."""

from __future__ import annotations

import base64
import gzip
import json
import pickle  # noqa: TID251  # an attacker's data
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from bad_input import planted_store_answer as planted
from bad_input import records
from bad_input.answers import owner, user
from bad_input.storing import DAY, assert_others_are_served, assert_set_aside
from security.bugs import no_ttl, unknown_formats_are_errors
from security.rows import requirement
from security.steps import WebOn, signed_in
from support.dumps import mongodb_documents, redis_name
from support.keyspace import prefix_in
from support.servers import Server, ask
from support.web import cookies_set, end, rotate

from holdfast.flask import session
from holdfast.sessions.policy import RETENTION


def _put_in_sqlite(place: str, key: str, column: str, value: Any) -> None:
    with closing(sqlite3.connect(place.partition(":///")[2])) as database, database:
        database.execute(f"UPDATE sessions SET {column} = ? WHERE key = ?", (value, bytes.fromhex(key)))  # noqa: S608 (a fixed name)


@requirement(
    "Catalogue S",
    says="A row with values of other types is no session, and no error.",
    mutants=[planted.any_value_is_a_record],
)
@pytest.mark.kinds("sqlite")
def test_a_row_of_other_types_is_nobody_s(place: str, web_on: WebOn) -> None:
    """Numbers, text and bytes where SQLite accepts them: no error, and operations on all sessions work."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    values: list[Any] = [5, 0, -1.5, "", "{", "\x01text", b"", b"\x00", "1e999", 2**62]
    for column in ("data", "version", "owner", "expires_at"):
        for value in values:
            web.browser = signed_in(web)
            _put_in_sqlite(place, web.see(lambda: session.handle), column, value)
            response = web.do(owner)
            assert response.status_code == 200, (column, value)
            assert web.do(lambda: session.update(a=1)).status_code == 200, (column, value)
            assert_others_are_served(web, (column, value))
            if column == "data":
                assert response.text == "None", value


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize(("scheme", "table"), [("sqlite", "sessions"), ("sqlite+pysqlite", "holdfast_sessions")])
def test_no_value_that_sqlite_takes_stops_a_walk(place: str, web_on: WebOn, scheme: str, table: str) -> None:
    """Text that is not UTF-8 and numbers, as data, owner and key: nobody's, and all sessions are listed and ended."""
    web = web_on(place.replace("sqlite", scheme, 1), PROPAGATE_EXCEPTIONS=False)

    def execute(sql: str, *values: object) -> None:
        with closing(sqlite3.connect(place.partition(":///")[2])) as database, database:
            database.execute(sql, values)

    for column in ("data", "owner"):
        for value in ("CAST(x'ff' AS TEXT)", "'text'", "-7", "1.5", "999999999999"):
            web.browser = signed_in(web)
            key = web.see(lambda: session.handle)
            execute(f"UPDATE {table} SET {column} = {value} WHERE key IN (?, ?)", key, bytes.fromhex(key))  # noqa: S608 (fixed)
            assert web.do(owner).status_code == 200, (column, value)
            assert_others_are_served(web, (column, value))
    signed_in(web)
    for column, value in (("key", "CAST(x'35ff' AS TEXT)"), ("key", "x'ff'"), ("expires_at", "'text'")):
        execute(f"UPDATE {table} SET purge_at = 1, {column} = {value} WHERE rowid = (SELECT min(rowid) FROM {table})")  # noqa: S608 (fixed)
        signed_in(web)
        assert_others_are_served(web, (column, value))
    live = signed_in(web)
    web.sessions.revoke_everyone()
    assert web.do(owner, live).text == "None"


@requirement(
    "Catalogue S",
    says="A row with a foreign owner or foreign data is no error.",
    mutants=[planted.owners_are_text],
)
@pytest.mark.kinds("mariadb", "postgresql")
def test_a_row_with_other_bytes_is_no_error(place: str, web_on: WebOn) -> None:
    """An owner that is no text, empty or another's, and versions and times at the limits of the columns."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    engine = sa.create_engine(place)
    table = sa.Table(
        "holdfast_sessions", sa.MetaData(), *(sa.Column(name) for name in ("key", "owner", "version", "expires_at"))
    )
    edits: list[tuple[str, Any]] = [("owner", value) for value in (b"\xff\xfe", b"", b"\x00", b"x" * 255)]
    edits += [("version", value) for value in (-1, 0, 2**63 - 1)]
    edits += [("expires_at", value) for value in (-1, 0, 2**63 - 1)]
    try:
        for column, value in edits:
            web.browser = signed_in(web)
            key = web.see(lambda: session.handle)
            with engine.begin() as connection:
                connection.execute(table.update().where(table.c.key == key).values({column: value}))
            for view in (lambda: session.get("user"), lambda: session.update(a=1), rotate, end):
                assert web.do(view).status_code == 200, (column, value)
            assert_others_are_served(web, (column, value))
    finally:
        engine.dispose()


@requirement(
    "Catalogue N",
    says="A document with fields of other types is no session, and no error.",
    mutants=[planted.any_field_is_a_record],
)
@pytest.mark.kinds("mongodb")
def test_a_document_of_other_types_is_nobody_s(place: str, web_on: WebOn) -> None:
    """Null, numbers, text, lists, operators, code and missing fields in MongoDB: anonymous, without an error."""
    import bson

    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    values: list[Any] = [None, 1.5, "text", [b"x"], {"a": {"$ne": 1}}, True, bson.Code("1")]
    with mongodb_documents(place) as documents:
        for field in ("data", "version", "owner", "expires_at"):
            for edit in [*({"$set": {field: value}} for value in values), {"$unset": {field: ""}}]:
                web.browser = signed_in(web)
                assert documents.update_one({"_id": web.see(lambda: session.handle)}, edit).matched_count == 1
                response = web.do(owner)
                assert response.status_code == 200, edit
                assert web.do(lambda: session.update(a=1)).status_code == 200, edit
                assert response.text == "None" or field == "owner", edit
            assert_others_are_served(web, field)


@pytest.mark.kinds("mongodb")
def test_no_text_that_mongodb_takes_stops_a_walk(place: str, web_on: WebOn) -> None:
    """Text that is not UTF-8, in any field: no error, and all sessions are listed and ended."""
    import bson
    from bson.raw_bson import RawBSONDocument

    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    with mongodb_documents(place) as documents:
        raw_documents = documents.with_options(codec_options=bson.CodecOptions(document_class=RawBSONDocument))
        for field in ("data", "owner", "other", "_id"):
            web.browser = signed_in(web)
            document = documents.find_one_and_delete({"_id": web.see(lambda: session.handle)})
            raw = bson.encode({**document, field: "spoilt"}).replace(b"spoilt", b"5\xff\xfe\xfd\xfc\xfb")
            raw_documents.insert_one(RawBSONDocument(raw))
            assert web.do(owner).status_code == 200, field
            assert_others_are_served(web, field)
        live = signed_in(web)
        web.sessions.revoke_everyone()
        assert web.do(owner, live).text == "None"
        documents.delete_many({})  # other tests read the collection by a client of their own


@requirement(
    "Catalogue P",
    says="A foreign or damaged file under a record's name is no session, and no error.",
    mutants=[planted.files_are_whole],
)
@pytest.mark.kinds("files")
def test_a_damaged_file_is_nobody_s(place: str, web_on: WebOn) -> None:
    """Every truncation of a session's file, and 0x00 and 0xff in place of each byte: no error."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.browser = signed_in(web)
    key = web.see(lambda: session.handle)
    path = Path(place.partition(":///")[2]) / key[:2] / key
    whole = path.read_bytes()
    damaged = [whole[:size] for size in range(len(whole))]
    damaged += [whole[:at] + bytes([byte]) + whole[at + 1 :] for at in range(len(whole)) for byte in (0, 255)]
    for raw in damaged:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(raw)
        response = web.do(owner, web.with_token(web.token()))
        assert response.status_code == 200, raw
        assert len(raw) == len(whole) or response.text == "None", raw
    assert_others_are_served(web, "a damaged file")


@requirement(
    "Catalogue R",
    says="A value of another type under our key in Redis is no session: corrupt, and no error.",
    mutants=[planted.wrong_types_are_outages, planted.wrong_types_are_nothing],
)
@pytest.mark.kinds("redis")
def test_another_type_in_redis_is_nobody_s(place: str, web_on: WebOn) -> None:
    """A list, a set, a hash, a sorted set, a stream or text under a live key, before and during a request."""
    import redis

    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    with redis.Redis.from_url(place.partition("?")[0]) as client:
        makers: list[Callable[[bytes], Any]] = [
            lambda name: client.rpush(name, "x"), lambda name: client.sadd(name, "x"),
            lambda name: client.hset(name, "x", "1"), lambda name: client.zadd(name, {"x": 1}),
            lambda name: client.xadd(name, {"x": "1"}), lambda name: client.set(name, "x"),
            lambda name: client.set(name, ""), lambda name: client.setbit(name, 7, 1),
        ]  # fmt: skip
        for make in makers:
            web.browser = signed_in(web)
            name = redis_name(place, web.see(lambda: session.handle))
            client.delete(name)
            make(name)
            web.take_heard()
            assert web.do(owner).text == "None"
            assert web.reasons() == ["corrupt"]
            assert_set_aside(web, make)
            assert_others_are_served(web, make)

            web.browser = signed_in(web)
            name = redis_name(place, web.see(lambda: session.handle))
            response = web.do(partial(_change, client, name, make))
            assert (response.status_code, cookies_set(response)) == (200, [])
            assert web.data() == {}


def _change(client: Any, name: bytes, make: Callable[[bytes], Any]) -> None:
    session["a"] = 1
    client.delete(name)
    make(name)


@requirement(
    "Catalogue R",
    says="A Redis key without a time to live ends at the record's own expiry.",
    mutants=[planted.only_the_store_ends_sessions, no_ttl],
)
@pytest.mark.kinds("redis")
def test_a_record_without_a_ttl_ends_in_time(place: str, web_on: WebOn) -> None:
    """After PERSIST the session expires on time, and until then the next save sets the time to live again."""
    import redis

    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    name = redis_name(place, web.see(lambda: session.handle))
    with redis.Redis.from_url(place.partition("?")[0]) as client:
        assert client.persist(name)
        web.put(a=1)
        assert 0 < client.pttl(name) <= 31 * DAY * 1000 + RETENTION + 300_000
        assert client.persist(name)
        web.clock.advance(31 * DAY)
        assert web.data() == {}
        web.clock.advance(RETENTION // 1000)
        assert web.data() == {}
        assert client.exists(name)


@requirement(
    "Catalogue K",
    says="A foreign value under our key in memcached is no session.",
    mutants=[unknown_formats_are_errors],
)
@pytest.mark.kinds("memcached")
def test_another_value_in_memcached_is_nobody_s(place: str, memcached_server: Server, web_on: WebOn) -> None:
    """Text, numbers, and values with the flags of pickles and of compression, under a live key: anonymous, no error."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    for flags in (0, 1, 2, 16, 65535):
        for value in (
            b"",
            b"1",
            b"17",
            b"text",
            pickle.dumps({"user": "victim"}),
            zlib.compress(b"x" * 100),
            b"\xff" * 90,
        ):
            web.browser = web.app.test_client()
            web.put(user="victim")
            key = (prefix_in(place) + web.see(lambda: session.handle)).encode()
            said = ask(memcached_server.address, b"set %b %d 0 %d\r\n%b\r\n" % (key, flags, len(value), value))
            assert said == b"STORED\r\n"
            assert_set_aside(web, (flags, value))


@requirement(
    "Catalogue G4",
    says="A damaged file of all sessions is an outage, and is not overwritten.",
    mutants=[unknown_formats_are_errors],
)
@pytest.mark.kinds("json")
def test_a_damaged_file_of_all_sessions_is_kept(place: str, web_on: WebOn) -> None:
    """The JSON file truncated, or with other JSON: 503, no deletion, the file unchanged; repaired, all data is back."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    path = Path(place.partition(":///")[2])
    whole = path.read_bytes()
    for content in (whole[:-20], b"[]", b"<html>", b"\x00", b'{"a":1}', b"[" * 100_000, gzip.compress(whole), b"\xff"):
        path.write_bytes(content)
        for view in (lambda: session.get("user"), lambda: session.update(a=1), end):
            response = web.do(view, web.with_token(web.token()))
            assert (response.status_code, cookies_set(response)) == (503, []), content[:20]
        assert path.read_bytes() == content
    path.write_bytes(whole)
    entries = json.loads(whole)
    assert web.data() == {"user": "victim"}
    [[name, entry]] = entries.items()
    entry.pop("data", None)
    for content in (*records.FOREIGN.values(), *records.DAMAGED.values()):
        path.write_text(json.dumps({name: {**entry, "base64": base64.b64encode(content).decode()}}))
        response = web.do(user, web.with_token(web.token()))
        assert (response.status_code, response.text, cookies_set(response)) == (200, "None", []), content
