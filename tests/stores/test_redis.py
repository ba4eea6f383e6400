"""The Redis store on one server: the contract, and what it alone promises."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from support.capabilities import keys_of
from support.keyspace import counted, prefix_of, scanned
from support.servers import Server, free_port, start_redis
from support.web import Web

from holdfast.clock import Clock, system_clock
from holdfast.errors import RecordTooLarge, StoreUnavailable
from holdfast.flask import session
from holdfast.records.record import Conflict, Gone, Record, Rotation
from holdfast.stores.contract import Store
from holdfast.stores.redis import RedisStore
from holdfast.stores.redis.health import SAMPLE
from holdfast.stores.redis.scripts import owner_field
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock, Fault, Link, StoreContract

pytestmark = pytest.mark.redis

KEY, OTHER = "ab" * 32, "cd" * 32
ADA = owner_field("ada")
HOUR = 3_600_000


class TestRedisStore(StoreContract):
    """The contract, on one server, behind a link that can be disturbed."""

    shared_between_processes = True
    too_large = 512 * 1024 * 1024

    @pytest.fixture(autouse=True)
    def _linked(self, redis_server: Server, tmp_path: Path, _on_a_place_of_its_own: None) -> Iterator[None]:
        self.link = Link(redis_server.address)
        (tmp_path / "port").write_text(str(self.link.port))
        yield
        self.link.close()

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store that goes through the link."""
        port = (place / "port").read_text()
        url = f"redis://127.0.0.1:{port}/0?prefix={prefix_of(place)}&timeout=2"
        return open_store(url, root=place, clock=clock)

    def disturb(self, fault: Fault, store: Store, place: Path) -> AbstractContextManager[object]:
        """Disturb the link."""
        return self.link.disturb(fault, meanwhile=self.meanwhile)


class TestValkeyStore(TestRedisStore):
    """The contract, on a server that compares a value itself, without a script."""

    @pytest.fixture
    def redis_server(self, valkey_server: Server) -> Server:
        """Return a server of Valkey."""
        return valkey_server


def test_a_usual_save_takes_no_script_on_valkey(valkey_server: Server, prefix: str, clock: FakeClock) -> None:
    """A save over what was loaded is one SET; one over what has changed, or was touched, is judged by the script."""
    with closing(redis.Redis.from_url(valkey_server.url)) as client:
        store = RedisStore(client, prefix=prefix, clock=clock)
        store.create(KEY, b"data", expires_at=clock() + HOUR, owner="ada")
        loaded = store.load(KEY)
        assert loaded is not None
        with counted(client) as counts:
            version = store.replace(KEY, b"new", expect=loaded.version, expires_at=clock() + HOUR, owner="ada")
        assert counts == {"set": 1}
        assert not isinstance(version, Conflict | Gone)
        assert store.load(KEY) == Record(b"new", version, clock() + HOUR, "ada")
        assert isinstance(store.replace(KEY, b"late", expect=loaded.version, expires_at=clock() + HOUR), Conflict)
        loaded = store.load(KEY)
        assert loaded is not None
        store.touch(KEY, expires_at=clock() + HOUR + 1)
        again = store.replace(KEY, b"newer", expect=loaded.version, expires_at=clock() + HOUR, owner="bob")
        assert not isinstance(again, Conflict | Gone)
        assert store.load(KEY) == Record(b"newer", again, clock() + HOUR, "bob")
        assert (keys_of(store, "ada"), keys_of(store, "bob")) == ([], [KEY])
        loaded = store.load(KEY)
        assert loaded is not None
        clock.advance_ms(HOUR)
        assert store.replace(KEY, b"x", expect=loaded.version, expires_at=clock() + HOUR, owner="bob") == Gone()


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """Return the prefix of this test's keys."""
    return prefix_of(tmp_path)


@pytest.fixture
def client(redis_server: Server) -> Iterator[Any]:
    """Return a client on the socket of the server."""
    with closing(redis.Redis.from_url(redis_server.url)) as client:
        yield client


@pytest.fixture
def clock() -> FakeClock:
    """Return the clock of the store."""
    return FakeClock()


@pytest.fixture
def store(client: Any, prefix: str, clock: FakeClock) -> RedisStore:
    """Return a store on the client."""
    return RedisStore(client, prefix=prefix, clock=clock)


@pytest.fixture
def web(store: RedisStore) -> Web:
    """Return an application on the store whose browser has a session."""
    web = Web(SESSION_STORE=store)
    web.put(cart=[1])
    return web


def test_a_request_costs_what_it_must(web: Web, client: Any) -> None:
    """The server counts no command for an untouched session, one for a read, two for a write, one for a first write."""

    def cost(action: Any, **request: Any) -> dict[str, int]:
        with counted(client) as counts:
            web.do(action, **request)
        return counts

    def first() -> None:
        session["cart"] = [1]

    web.put(cart=[1, 2])  # the server knows the script, and the store whether it needs it
    inside = {"getrange": 1, "set": 1}
    assert cost(lambda: None) == {}
    assert cost(lambda: session.get("cart")) == {"get": 1}
    assert cost(lambda: session["cart"].append(2)) == {"get": 1, "evalsha": 1, **inside}
    assert cost(first, browser=web.app.test_client()) == {"set": 1}


def test_a_login_and_a_rotation_are_one_script(store: RedisStore, client: Any, clock: FakeClock) -> None:
    """Making a record that has an owner is one command, index entry and all, and so is giving it a new key."""
    costs: list[dict[str, int]] = []
    for owner in ("eve", "ada"):  # the first time, the server does not know the scripts yet
        expires_at = clock() + HOUR
        with counted(client) as cost:
            version = store.create(KEY, b"data", expires_at=expires_at, owner=owner)
        costs.append(cost)
        assert version is not None
        with counted(client) as cost:
            store.move(Rotation(KEY, OTHER, b"", b"", version, expires_at, expires_at, owner))
        costs.append(cost)
        assert keys_of(store, owner) == [OTHER]
        store.delete(KEY)
        store.delete(OTHER)
    entry = {"time": 1, "zadd": 1, "zscore": 1, "zrange": 1, "zremrangebyscore": 1, "pexpire": 1}
    assert costs[-2:] == [
        {"evalsha": 1, "getrange": 1, "set": 1, **entry},
        {"evalsha": 1, "getrange": 2, "set": 2, "zrem": 1, **entry},
    ]


def test_saves_and_touches_leave_the_index_alone(store: RedisStore, client: Any, clock: FakeClock) -> None:
    """The index is written anew only when a record comes to live a quarter longer than it was listed for."""
    version = store.create(KEY, b"data", expires_at=clock() + HOUR, owner="ada")
    assert version is not None
    with counted(client) as counts:
        answer = store.replace(KEY, b"data", expect=version, expires_at=clock() + HOUR, owner="ada")
        assert not isinstance(answer, Conflict | Gone)
        assert store.touch(KEY, expires_at=clock() + HOUR + HOUR // 4) is True
    assert "zadd" not in counts
    with counted(client) as counts:
        assert store.touch(KEY, expires_at=clock() + 2 * HOUR) is True
    assert counts["zadd"] == 1


def test_the_server_forgets_after_the_application(
    store: RedisStore, client: Any, prefix: str, clock: FakeClock
) -> None:
    """Records and indexes expire by themselves, some minutes after the last record in them does, or was touched to."""
    clock.advance_ms(system_clock() - clock())  # an index lives by the server's clock
    store.create(KEY, b"data", expires_at=clock() + HOUR, owner="ada")
    store.touch(KEY, expires_at=clock() + 2 * HOUR)
    assert 2 * HOUR < client.pttl(store._name(KEY)) < 2 * HOUR + 600_000
    assert 2 * HOUR < client.pttl(store._index(ADA)) < 3 * HOUR
    store.delete(KEY)
    assert list(client.scan_iter(prefix + "*")) == []


def test_a_walk_passes_quickly_over_the_keys_of_others() -> None:
    """Among 50,000 keys of other programs, small pages take some dozens of commands, and still end where they began."""
    server = start_redis()
    client: Any = redis.Redis(host=server.address[0], port=server.address[1])
    try:
        client.eval("for i = 1, 50000 do redis.call('SET', 'other:' .. i, i) end", 0)
        store = RedisStore(client)
        keys = {f"{number:064x}" for number in range(12)}
        for key in keys:
            store.create(key, b"data", expires_at=system_clock() + HOUR)
        with counted(client) as counts:
            assert scanned(store, limit=3).keys() == keys
        assert counts["scan"] < 50
        (expiry,) = (finding.found for finding in store.check_health() if finding.name == "expiry")
        looked_at = int(expiry.split()[-2])
        assert SAMPLE // 2 <= looked_at <= len(keys)
    finally:
        client.close()
        server.stop()


def test_an_entry_of_the_index_without_a_record_is_forgotten(store: RedisStore, client: Any, clock: FakeClock) -> None:
    """What was removed behind the store's back is not listed, and is asked for once; pages are full all the same."""
    keys = [f"{number:064x}" for number in range(30)]
    for key in keys:
        store.create(key, b"data", expires_at=clock() + HOUR, owner="ada")
    index = store._index(ADA)
    for key in keys[:25]:
        client.delete(store._name(key))
    assert [key for key, _ in store.find("ada", limit=3).items] == keys[25:28]
    assert keys_of(store, "ada") == keys[25:]
    assert client.zrange(index, 0, -1) == [bytes.fromhex(key) for key in keys[25:]]


def test_owners_whose_values_begin_alike_find_their_own(store: RedisStore, client: Any, clock: FakeClock) -> None:
    """An index is named by the first bytes of its owner's value; another owner's records in it are not returned."""
    ada, bob = "ab" * 8 + "0" * 48, "ab" * 8 + "f" * 48
    keys = [f"{number:02x}" * 32 for number in (0x00, 0x22, 0x7F, 0x80, 0xC3, 0xFF)]
    for number, key in enumerate(keys):
        store.create(key, b"data", expires_at=clock() + HOUR, owner=(ada, bob)[number % 2])
    assert len(list(client.scan_iter(store._prefix + b"owner:*"))) == 1
    for owner, own in ((ada, keys[::2]), (bob, keys[1::2])):
        assert keys_of(store, owner) == own
        page, found = store.find(owner, limit=1), list[str]()
        while page.after is not None:
            found += [key for key, _ in page.items]
            page = store.find(owner, page.after, limit=1)
        assert found + [key for key, _ in page.items] == own


def test_a_record_that_lost_its_expiry_still_expires(
    store: RedisStore, client: Any, prefix: str, clock: FakeClock
) -> None:
    """The application's clock decides: without a time to live at the server, a record is over when it should be."""
    store.create(KEY, b"data", expires_at=clock() + HOUR)
    client.persist(store._name(KEY))
    clock.advance_ms(HOUR)
    assert store.load(KEY) is None
    assert store.create(KEY, b"new", expires_at=clock() + HOUR) is not None


def test_an_index_sheds_what_has_long_expired(store: RedisStore, client: Any, prefix: str, clock: FakeClock) -> None:
    """A new entry takes the expired ones along, and not those of records that were touched."""
    clock.advance_ms(system_clock() - 3 * HOUR - clock())
    keys = [f"{number:064x}" for number in range(4)]
    for key in keys[:3]:
        store.create(key, b"data", expires_at=clock() + HOUR, owner="ada")
    store.touch(keys[0], expires_at=clock() + 9 * HOUR)
    clock.advance_ms(2 * HOUR)
    store.create(keys[3], b"data", expires_at=clock() + HOUR, owner="ada")
    assert client.zrange(store._index(ADA), 0, -1) == [bytes.fromhex(keys[3]), bytes.fromhex(keys[0])]


def test_a_host_whose_clock_is_ahead_takes_no_living_entry_along(store: RedisStore, client: Any, prefix: str) -> None:
    """What has not expired by the server's clock stays in its user's index, which lasts as long."""
    assert abs(store.now() - system_clock()) < 5_000
    store.create(KEY, b"data", expires_at=system_clock() + HOUR, owner="ada")
    ahead = RedisStore(client, prefix=prefix, clock=lambda: system_clock() + 90 * 24 * HOUR)
    assert ahead.create("1" * 64, b"data", expires_at=system_clock() + HOUR, owner="ada") is not None
    there = RedisStore(client, prefix=prefix)
    assert {key for key, _ in there.find("ada").items} == {KEY, "1" * 64}
    assert client.pttl(store._index(ADA)) > HOUR


@pytest.mark.parametrize("garbage", [b"", b"1", b"garbage", b"{}", b"1" + b"x" * 8 + b"y" * 100])
def test_what_is_no_record_counts_as_a_damaged_one(
    store: RedisStore, client: Any, prefix: str, clock: FakeClock, garbage: bytes
) -> None:
    """Bytes that Holdfast did not write load as a record of no data, which can be replaced, deleted, not created."""
    client.set(store._name(KEY), garbage)
    record = store.load(KEY)
    assert record is not None
    assert (record.data, record.owner) == (b"", None)
    if garbage:
        assert store.create(KEY, b"data", expires_at=clock() + HOUR) is None
        assert isinstance(store.replace(KEY, b"data", expect=b"0" * 8, expires_at=clock() + HOUR), Conflict)
        assert store.touch(KEY, expires_at=clock() + HOUR) is True
        assert not isinstance(
            store.replace(KEY, b"data", expect=record.version, expires_at=clock() + HOUR), Conflict | Gone
        )
        assert store.delete(KEY) is True


@pytest.mark.parametrize("kind", ["list", "hash", "set", "zset"])
def test_a_value_of_another_type_is_no_fault(web: Web, client: Any, prefix: str, kind: str) -> None:
    """Under a key with a list, a hash or a set the request is anonymous, with a reason, and can begin a new session."""
    (name,) = client.scan_iter(prefix + "*")
    client.delete(name)
    {
        "list": lambda: client.rpush(name, "a"),
        "hash": lambda: client.hset(name, "a", "b"),
        "set": lambda: client.sadd(name, "a"),
        "zset": lambda: client.zadd(name, {"a": 1}),
    }[kind]()
    seen: list[Any] = []
    assert web.do(lambda: seen.append(dict(session))).status_code == 200
    assert seen == [{}]
    assert ("rejected", {"reason": "corrupt", "transport": "cookie"}) in web.heard
    web.put(cart=[2])
    assert web.do(lambda: seen.append(dict(session))).status_code == 200
    assert seen[-1] == {"cart": [2]}


def test_scripts_are_loaded_again_when_the_server_forgot_them(store: RedisStore, client: Any, clock: FakeClock) -> None:
    """After a restart or SCRIPT FLUSH the next save works."""
    version = store.create(KEY, b"data", expires_at=clock() + HOUR)
    assert version is not None
    client.script_flush()
    assert not isinstance(store.replace(KEY, b"new", expect=version, expires_at=clock() + HOUR), Conflict | Gone)


def test_leaving_an_index_undoes_no_later_entry(store: RedisStore, prefix: str, client: Any, clock: FakeClock) -> None:
    """An owner changed away and back is listed, even if the first change is cleaned up last."""
    version = store.create(KEY, b"data", expires_at=clock() + HOUR, owner="ada")
    other = RedisStore(client, prefix=prefix, clock=clock)
    leave = store._leave

    def late(answer: Any, key: str, now: bytes) -> None:
        record = other.load(KEY)
        assert record is not None
        other.replace(KEY, b"data", expect=record.version, expires_at=clock() + HOUR, owner="ada")
        leave(answer, key, now)

    store._leave = late  # type: ignore[method-assign]
    assert version is not None
    store.replace(KEY, b"data", expect=version, expires_at=clock() + HOUR, owner="bob")
    assert keys_of(store, "ada") == [KEY]
    assert keys_of(store, "bob") == []


@pytest.fixture
def own_server() -> Iterator[Server]:
    """Return a server whose settings this test alone may change."""
    server = start_redis()
    yield server
    server.stop()


def test_a_full_server_refuses_saves_and_lets_sessions_end(own_server: Server, clock: FakeClock) -> None:
    """Out of memory, a write is StoreUnavailable; sessions can still be read and ended."""
    with closing(redis.Redis.from_url(own_server.url)) as client:
        store = RedisStore(client, clock=clock)
        version = store.create(KEY, b"data", expires_at=clock() + HOUR, owner="ada")
        assert version is not None
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreUnavailable, match="OutOfMemoryError"):
            store.create(OTHER, b"data", expires_at=clock() + HOUR)
        with pytest.raises(StoreUnavailable, match="OutOfMemoryError"):
            store.replace(KEY, b"more", expect=version, expires_at=clock() + HOUR)
        record = store.load(KEY)
        assert record is not None
        assert record.version == version
        assert keys_of(store, "ada") == [KEY]
        assert store.delete(KEY) is True
        assert keys_of(store, "ada") == []


def test_sessions_end_on_a_server_without_room(own_server: Server) -> None:
    """At its limit of memory, where no write is accepted, a logout, a revocation and the ends of all end sessions."""
    with closing(redis.Redis.from_url(own_server.url)) as client:
        web = Web(lambda clock: RedisStore(client, clock=clock))
        browsers = [web.app.test_client() for _ in range(6)]
        for browser in browsers:
            web.do(lambda: session.bind("ada"), browser)
        client.config_set("maxmemory", 1)
        client.config_set("maxmemory-policy", "noeviction")
        assert web.do(log_out, browsers[0]).status_code == 200
        handles = [info.handle for info in web.sessions.of("ada")]
        assert len(handles) == 5
        assert web.sessions.revoke(handles[0]) == "unconfirmed"
        assert web.sessions.revoke_all("ada", keep=handles[1]) == 3
        assert web.sessions.revoke_everyone() == 1
        assert web.sessions.of("ada") == []
        assert not any(browser_has_session(web, browser) for browser in browsers)


def log_out() -> None:
    """End the session of the request."""
    session.destroy()


def browser_has_session(web: Web, browser: FlaskClient) -> bool:
    """Return whether a browser is signed in."""
    return bool(web.see(lambda: session.owner is not None, browser))


def test_a_wrong_password_is_unavailable_and_not_told(own_server: Server) -> None:
    """Without the right password the server is StoreUnavailable, and no password is in the message."""
    with closing(redis.Redis.from_url(own_server.url)) as client:
        client.config_set("requirepass", "opensesame")
    host = f"127.0.0.1:{own_server.address[1]}"
    for login in ("", ":wrongword@", "ada:wrongword@"):
        with closing(from_url(f"redis://{login}{host}")) as store:
            with pytest.raises(StoreUnavailable) as caught:
                store.load(KEY)
            assert "word@" not in f"{caught.value} {caught.value.__cause__!r}"
            assert "wrong" not in str(caught.value)
    for login in (":opensesame@", "default:opensesame@"):
        with closing(from_url(f"redis://{login}{host}/1")) as store:
            assert store.load(KEY) is None


def from_url(url: str) -> Any:
    """Return the store at *url*."""
    return open_store(url, root=Path())


def test_a_replica_takes_no_saves(own_server: Server, redis_server: Server, clock: FakeClock) -> None:
    """A server that became a replica answers a save with StoreUnavailable, not with a word about the session."""
    with closing(redis.Redis.from_url(own_server.url)) as client:
        store = RedisStore(client, clock=clock)
        version = store.create(KEY, b"data", expires_at=clock() + HOUR)
        assert version is not None
        client.replicaof("127.0.0.1", "1")
        with pytest.raises(StoreUnavailable, match="ReadOnlyError"):
            store.replace(KEY, b"more", expect=version, expires_at=clock() + HOUR)
        with pytest.raises(StoreUnavailable, match="ReadOnlyError"):
            store.delete(KEY)
        client.replicaof("NO", "ONE")
        assert store.delete(KEY) is True


def test_what_redis_wrote_to_disk_survives_a_kill() -> None:
    """With every write on disk, a killed server is an outage, and then everything goes on where it was."""
    server = start_redis("--appendonly", "yes", "--appendfsync", "always")
    try:
        with closing(from_url(server.url)) as store:
            expires_at = system_clock() + HOUR
            version = store.create(KEY, b"data", expires_at=expires_at, owner="ada")
            server.kill()
            with pytest.raises(StoreUnavailable, match="ConnectionError"):
                store.load(KEY)
            server.restart()
            assert store.load(KEY) == Record(b"data", version, expires_at, "ada")
            assert keys_of(store, "ada") == [KEY]
            assert not isinstance(store.replace(KEY, b"new", expect=version, expires_at=expires_at), Conflict | Gone)
    finally:
        server.stop()


def test_an_owner_that_is_too_long_is_refused(store: RedisStore, clock: FakeClock) -> None:
    """An owner whose length has no room in a value is an error, and nothing is stored."""
    with pytest.raises(RecordTooLarge):
        store.create(KEY, b"data", expires_at=clock() + 60_000, owner="u" * 1_000_000)
    assert store.load(KEY) is None


@pytest.mark.parametrize("after", ["- -1 1 x", f"- {2**64} 1 x", "- 0 0 x", "- 0 99 x", "- x 1 x", "-"])
def test_a_position_that_no_page_ends_at_is_refused(store: RedisStore, after: str) -> None:
    """A walk from a position that was made up is an error of its own, and not one of the server."""
    with pytest.raises(ValueError, match=r"."):
        store.scan(after)


def test_a_certificate_is_checked(tmp_path: Path, require: Callable[[str], str]) -> None:
    """Over `rediss` a server is trusted by its certificate, and is StoreUnavailable without a good one."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [require("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    port = free_port()
    options = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-auth-clients", "no"]
    server = start_redis("--tls-port", str(port), *options)
    try:
        with closing(from_url(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}")) as store:
            assert store.load(KEY) is None
        with closing(from_url(f"rediss://127.0.0.1:{port}")) as store, pytest.raises(StoreUnavailable):
            store.load(KEY)
    finally:
        server.stop()
