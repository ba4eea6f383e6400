"""Tokens are in the cookie and nowhere else: not in a store, a log, an answer, a list of sessions or an address."""

from __future__ import annotations

import dataclasses
import logging
import re
import socket
import time
from collections.abc import Callable

import pytest
from flask import redirect, request, url_for
from security import planted_disclosure as planted
from security.bugs import keys_are_tokens
from security.rows import advisory, requirement
from support.dumps import dump
from support.keyspace import prefix_in
from support.lives import EVENTFUL, Lives
from support.servers import Server
from support.web import Web, cookies_set

from holdfast.flask import session

WebOn = Callable[..., Web]
CANARY = "canary-b2a7c1"


@advisory(
    "CVE-2019-16782",
    "CVE-2019-25025",
    product="rack, activerecord-session_store",
    cause="Records were looked up by the id itself, so the time of a lookup revealed how much of a guess was right.",
    mutants=[keys_are_tokens, planted.keys_begin_with_tokens],
)
@advisory(
    "CVE-2020-26228",
    "CVE-2021-21339",
    "CVE-2026-53603",
    product="TYPO3, nebula-mesh",
    cause="Ids were stored in clear text, so that a client with read access could use every session.",
    mutants=[keys_are_tokens, planted.an_alias_in_clear, planted.a_token_beside_the_data],
)
@requirement(
    "OWASP protection of the repository",
    says="A copy of the store holds no usable id.",
    mutants=[keys_are_tokens, planted.an_alias_in_clear, planted.a_token_beside_the_data],
)
def test_a_copy_of_the_store_holds_no_token(place: str, web_on: WebOn) -> None:
    """After all operations on sessions, no store contains any issued token, in any spelling."""
    web = web_on(place, **EVENTFUL)
    lives = Lives(web, CANARY)
    lives.lead()
    stolen = dump(web, place)
    assert not list(lives.leaks_in(stolen))
    assert len(lives.issued) >= 6
    handle = web.see(lambda: session.handle)
    assert handle.encode() in stolen or bytes.fromhex(handle) in stolen, "this is not the store"
    assert CANARY.encode() in stolen, "this is not the store"


@advisory(
    "CVE-2019-16782",
    product="rack",
    cause="Records were looked up by the id itself.",
    mutants=[planted.keys_begin_with_tokens],
)
@pytest.mark.kinds("redis")
def test_what_redis_is_told_holds_no_token(place: str, redis_server: Server, web_on: WebOn) -> None:
    """All commands to a Redis server name records by 32 bytes, and contain no token."""
    with socket.create_connection(redis_server.address, timeout=5) as monitor:
        monitor.sendall(b"MONITOR\r\n")
        assert monitor.recv(5) == b"+OK\r\n"
        web = web_on(place, **EVENTFUL)
        lives = Lives(web, CANARY)
        lives.lead()
        said = _until(monitor, _mark(redis_server))
    assert not list(lives.leaks_in(said))
    prefix = re.escape(prefix_in(place).encode())
    quoted = re.findall(rb'"' + prefix + rb'((?:[^"\\]|\\.)*)"', said)
    names = [name.decode("unicode_escape").encode("latin-1") for name in quoted]
    assert len(names) > 20
    # A script that reads or leaves an index gets the prefix alone, too.
    assert all(re.fullmatch(rb"(?s:owner:x.{8}|.{32})?", name) for name in names)


def _mark(server: Server) -> bytes:
    mark = f"the-end-{time.monotonic_ns()}".encode()
    with socket.create_connection(server.address, timeout=5) as connection:
        connection.sendall(b"ECHO " + mark + b"\r\n")
        connection.recv(100)
    return mark


def _until(connection: socket.socket, mark: bytes) -> bytes:
    said = b""
    while mark not in said:
        said += connection.recv(65536)
    return said


#: Libraries that log their requests at DEBUG, if the store uses them.
_TALKATIVE = {"mongodb": "pymongo.command", "mariadb": "sqlalchemy.engine", "postgresql": "sqlalchemy.engine"}


@advisory(
    "CVE-2023-20866",
    product="Spring Session 3.0.0",
    cause="Session ids were written to the standard output.",
    mutants=[
        planted.logs_the_token,
        planted.prints_the_token,
        planted.an_outage_names_the_token,
        planted.signals_carry_tokens,
    ],
)
@requirement(
    "ASVS 16.2.5",
    "ASVS 4.0 7.1.1",
    "ASVS 3.3.4",
    says="Only the cookie holds a token; no log does.",
    mutants=[
        planted.logs_the_token,
        planted.prints_the_token,
        planted.an_outage_names_the_token,
        planted.signals_carry_tokens,
        planted.a_header_with_the_token,
    ],
)
def test_no_log_and_no_answer_holds_a_token(
    place: str,
    web_on: WebOn,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """With every library's logs at DEBUG, neither they nor the console, signals, bodies and headers hold a token."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "sqlalchemy.engine")
    web = web_on(place, **EVENTFUL)
    lives = Lives(web, CANARY)
    lives.lead()
    kind = place.partition("+")[0].partition(":")[0]
    if kind in _TALKATIVE:
        assert any(record.name.startswith(_TALKATIVE[kind]) for record in caplog.records), "nothing was logged"
    logged = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    told = repr([details for _, details in web.take_heard()])
    for text in (caplog.text, logged, *capfd.readouterr(), told, *lives.bodies):
        assert not list(lives.leaks_in(text.encode()))
    assert CANARY not in told


@advisory(
    "CVE-2020-5224",
    product="django-user-sessions",
    cause="The page that lists a user's sessions named each by the key that opens it.",
    mutants=[keys_are_tokens],
)
@advisory(
    "CVE-2026-39381",
    product="Parse Server",
    cause="The list of sessions returned fields that were meant for the server only.",
    mutants=[planted.lists_the_data],
)
@pytest.mark.kinds("memory", "sqlite", "redis")
def test_a_list_of_sessions_shows_what_may_be_shown(place: str, web_on: WebOn) -> None:
    """A listed session shows its handle, owner, times and device: no data, and no value that works as a cookie."""
    web = web_on(place)
    web.do(lambda: session.bind("ada"))
    web.put(note=CANARY)
    [listed] = web.sessions.of("ada")
    shown = dataclasses.asdict(listed)
    assert CANARY not in repr(shown)
    assert not {"payload", "data", "token", "version", "sealed"} & shown.keys()
    for value in [text for text in map(str, shown.values()) if text]:
        for cookie in {value, value[:43], f"session:{value}"}:
            assert web.data(web.with_token(cookie)) == {}, "what is listed opens the session"
    assert listed == web.sessions.get(listed.handle)


@advisory(
    "CVE-2020-7932",
    product="OMERO.web",
    cause="The session key was part of an address.",
    mutants=[planted.tokens_from_anywhere],
)
@requirement(
    "ASVS 14.2.1",
    "ASVS 4.0 3.1.1",
    "OWASP used vs. accepted",
    says="A token is accepted from the cookie only.",
    mutants=[planted.tokens_from_anywhere],
)
@pytest.mark.kinds("memory")
def test_a_token_counts_in_the_cookie_alone(place: str, web_on: WebOn) -> None:
    """In the query, the path, a form or a header a token opens no session, and no generated URL holds one."""
    web = web_on(place)
    web.app.add_url_rule("/by/<id>", "by", lambda id: str(dict(session)))  # noqa: A006
    web.app.add_url_rule("/away", "away", lambda: (session.update(b=2), redirect(url_for("by", id="x")))[1])
    web.put(a=1)
    token = web.token() or ""
    stranger = web.app.test_client()
    asked = [
        stranger.get(f"/by/x?session={token}"),
        stranger.get(f"/by/{token}"),
        stranger.get(f"/by/x;session={token}"),
        stranger.get("/by/x", headers={"X-Session": token, "Authorization": f"Bearer {token}"}),
        stranger.get("/by/x", data={"session": token}),
    ]
    assert [answer.text for answer in asked] == ["{}"] * 5
    assert web.see(lambda: dict(session), web.app.test_client()) == {}
    assert web.browser.get("/away").headers["Location"] == "/by/x"
    assert web.see(lambda: request.full_path + url_for("by", id="x")).count(token) == 0


@advisory(
    "CVE-2024-52801",
    product="SFTPGo",
    cause="Session cookies could be found by trying, without being noticed.",
    mutants=[planted.guesses_pass_unnoticed],
)
@pytest.mark.kinds("memory")
def test_guesses_are_told_of(place: str, web_on: WebOn) -> None:
    """Each of 100 guessed tokens opens no session, writes no record, and is reported by a signal."""
    web = web_on(place)
    web.put(a=1)
    web.take_heard()
    for number in range(100):
        response = web.do(lambda: str(dict(session)), web.with_token(f"{number:042}A"))
        assert response.text == "{}"
        assert not cookies_set(response)
    assert web.reasons() == ["unknown_id"] * 100
    assert web.records() == 1
