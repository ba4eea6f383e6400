"""The MongoDB store: the contract on a real server, and what it alone promises."""

from __future__ import annotations

import hashlib
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pymongo
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo.monitoring import CommandListener, CommandStartedEvent
from support.capabilities import keys_of
from support.servers import Server

from holdfast.clock import Clock, system_clock
from holdfast.errors import StoreUnavailable
from holdfast.flask import Session, session
from holdfast.records.record import Conflict, Gone
from holdfast.sessions.manager import directory
from holdfast.stores.contract import Store
from holdfast.stores.mongodb import MongoDBStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock, Fault, Link, StoreContract

pytestmark = pytest.mark.mongodb

DAY = 86_400_000
KEY = "ab" * 32
FAR = 4_000_000_000_000


def collection_of(place: Path) -> str:
    """Return the name of a collection that no other test has."""
    return f"test-{hashlib.sha256(str(place).encode()).hexdigest()[:16]}"


class TestMongoDBStore(StoreContract):
    """The contract, on one server, behind a link that can be disturbed."""

    shared_between_processes = True
    max_bytes = 16 * 1024 * 1024 - 1024
    too_large = 16 * 1024 * 1024 - 1023
    rounds = 10

    @pytest.fixture(autouse=True)
    def _on_a_place_of_its_own(self, mongodb_server: Server, tmp_path: Path) -> Iterator[None]:
        with closing(Link(mongodb_server.address)) as self.link, self.running(tmp_path):
            (tmp_path / "port").write_text(str(self.link.port))
            yield

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store that goes through the link."""
        port = (place / "port").read_text()
        url = f"mongodb://127.0.0.1:{port}/holdfast.{collection_of(place)}?heartbeatFrequencyMS=500"
        return open_store(url, root=place, clock=clock)

    @contextmanager
    def disturb(self, fault: Fault, store: Store, place: Path) -> Iterator[None]:
        """Disturb the link, and do not wait long."""
        assert isinstance(store, MongoDBStore)
        patience = store._timeout
        store._timeout = 0.15 if fault in {Fault.DOWN, Fault.SILENT} else 1.0
        try:
            with self.link.disturb(fault, meanwhile=self.meanwhile):
                yield
        finally:
            store._timeout = patience


class Heard(CommandListener):
    """Notes the commands that a client sends."""

    def __init__(self) -> None:
        self.commands: list[CommandStartedEvent] = []

    def started(self, event: CommandStartedEvent) -> None:
        """Note a command, but not those that make the indexes."""
        if event.command_name != "createIndexes":
            self.commands.append(event)

    def succeeded(self, event: object) -> None:
        """Ignore it."""

    failed = succeeded

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """Gather the names of the commands that are sent inside the block."""
        names = list[str]()
        self.commands.clear()
        yield names
        names.extend(event.command_name for event in self.commands)


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the test, a day ahead of the server's."""
    return FakeClock(system_clock() + DAY)


@pytest.fixture
def heard() -> Heard:
    """The commands that the client of the test sends."""
    return Heard()


@pytest.fixture
def client(mongodb_server: Server, heard: Heard) -> Iterator[Any]:
    """A client of the application's own."""
    with pymongo.MongoClient(mongodb_server.url, event_listeners=[heard]) as opened:  # type: ignore[var-annotated]
        yield opened


@pytest.fixture
def store(client: Any, clock: FakeClock, tmp_path: Path) -> Iterator[MongoDBStore]:
    """A store on that client, with its indexes made."""
    opened = MongoDBStore(client, database="holdfast", collection=collection_of(tmp_path), clock=clock)
    with closing(opened):
        opened.load(KEY)
        indexed(opened)
        yield opened


@pytest.fixture
def sessions(client: Any, tmp_path: Path) -> Any:
    """The collection of the store."""
    return client.holdfast[collection_of(tmp_path)]


def indexed(store: MongoDBStore) -> None:
    """Wait until the store's attempt to make indexes is over."""
    assert store._indexing is not None
    store._indexing.join(10)
    assert not store._indexing.is_alive()


def data_of(store: Store, key: str = KEY) -> bytes | None:
    """Return the data of the live record under *key*."""
    record = store.load(key)
    return record.data if record else None


def test_a_request_costs_what_it_must(store: MongoDBStore, heard: Heard, clock: FakeClock) -> None:
    """The client sends no command for an untouched session, one for a read, two for a write, one for a first write.

    A request that reads and whose idle timeout is due costs two.
    """
    app = Flask("shop", static_folder=None)
    app.config.update(SESSION_STORE=store)
    Session(app, clock=clock)
    action: Callable[[], object] = dict

    @app.get("/")
    def view() -> str:
        return str(action())

    def cost(browser: FlaskClient, do: Callable[[], object]) -> list[str]:
        nonlocal action
        action = do
        with heard.counted() as names:
            assert browser.get("/").status_code == 200
        return names

    browser = app.test_client()
    assert cost(browser, lambda: session.update(cart=[1])) == ["insert"]
    assert cost(browser, dict) == []
    assert cost(browser, lambda: session["cart"]) == ["find"]
    assert cost(browser, lambda: session["cart"].append(2)) == ["find", "findAndModify"]
    clock.advance(4 * DAY / 1000)
    assert cost(browser, lambda: session["cart"]) == ["find", "update"]
    assert browser.get("/").text == "[1, 2]"


def test_every_other_operation_is_one_command(store: MongoDBStore, heard: Heard, clock: FakeClock) -> None:
    """Ending a record, finding a user's and scanning are one command; a conflict and creating where one is are two."""
    version = store.create(KEY, b"data", expires_at=clock() + DAY, owner="ada")
    assert isinstance(version, int)
    calls: list[tuple[list[str], Callable[[], object]]] = [
        (["insert", "update"], lambda: store.create(KEY, b"data", expires_at=clock() + DAY)),
        (["find"], lambda: keys_of(store, "ada")),
        (["find"], store.scan),
        (["findAndModify", "find"], lambda: store.replace(KEY, b"", expect=version + 1, expires_at=clock() + DAY)),
        (["findAndModify"], lambda: store.delete(KEY)),
        (["update", "findAndModify"], store.ping),
    ]
    for wanted, call in calls:
        with heard.counted() as names:
            call()
        assert names == wanted


def test_writes_are_a_majority_s_and_reads_the_primary_s(
    mongodb_server: Server, heard: Heard, clock: FakeClock
) -> None:
    """With any options of the application's client, writes wait for a majority and reads go to the primary."""
    loose = f"{mongodb_server.url}?w=1&readPreference=secondaryPreferred&readConcernLevel=available"
    with pymongo.MongoClient(loose, event_listeners=[heard]) as client:  # type: ignore[var-annotated]
        store = MongoDBStore(client, collection=secrets.token_hex(8), clock=clock)
        version = store.create(KEY, b"data", expires_at=clock() + DAY)
        assert version is not None
        store.replace(KEY, b"data", expect=version, expires_at=clock() + DAY)
        store.touch(KEY, expires_at=clock() + 2 * DAY)
        store.delete(KEY)
        for event in heard.commands:
            assert event.command["writeConcern"]["w"] == "majority", event.command_name
        with heard.counted():
            store.load(KEY)
            keys_of(store, "ada")
        asked = [event.command for event in heard.commands if event.command_name == "find"]
        assert len(asked) == 2
        for command in asked:  # the store looks for its indexes at the same time
            assert command["readConcern"] == {"level": "local"}
            assert "$readPreference" not in command
        store.close()


def test_a_document_can_be_read_by_a_person(store: MongoDBStore, sessions: Any, clock: FakeClock) -> None:
    """The document has the key, the data, the version, the owner if there is one, and the expiry as a date."""
    expires_at = 1_900_000_000_123
    version = store.create(KEY, b"data", expires_at=expires_at, owner="ada")
    document = sessions.find_one()
    expiry = document.pop("expires_at").replace(tzinfo=timezone.utc)
    assert expiry == datetime(2030, 3, 17, 17, 46, 40, 123_000, timezone.utc)
    assert document == {"_id": KEY, "data": b"data", "version": version, "owner": "ada"}
    assert version is not None
    store.replace(KEY, b"data", expect=version, expires_at=expires_at)
    assert "owner" not in sessions.find_one()


def test_the_indexes_are_used(store: MongoDBStore, sessions: Any, clock: FakeClock) -> None:
    """A load looks at one document; finding a user's sessions, and those that expired, looks at no others."""
    for number in range(50):
        store.create(f"{number:064x}", b"data", expires_at=clock() + DAY, owner=f"user {number % 10}")
    live = {"$gt": datetime.now(timezone.utc)}
    for query, examined in [
        ({"_id": f"{7:064x}", "expires_at": live}, 1),
        ({"owner": "user 3", "expires_at": live}, 5),
    ]:
        stats = sessions.find(query).explain()["executionStats"]
        assert (stats["totalDocsExamined"], stats["nReturned"]) == (examined, examined)
    indexes = sessions.index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 300
    assert indexes["owner_1"]["sparse"] is True


@pytest.mark.slow
def test_the_server_forgets_what_expired(store: MongoDBStore, sessions: Any) -> None:
    """The server removes a record that expired more than five minutes ago, and no other."""
    now = system_clock()
    for number, age in enumerate([-60_000, 60_000, 240_000]):
        store.create(f"{number:064x}", b"data", expires_at=now - age)
    store.create(KEY, b"data", expires_at=now - 301_000)
    deadline = time.monotonic() + 50
    while sessions.find_one({"_id": KEY}):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert sessions.count_documents({}) == 3


def test_a_start_needs_no_server(tmp_path: Path) -> None:
    """Making a store and an application contacts no server; requests answer 503, and work when the server is there."""
    app = Flask("shop")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        app.config.update(SESSION_STORE=f"mongodb://127.0.0.1:{listener.getsockname()[1]}/?timeoutMS=1000")
        sessions = Session(app)
        with pytest.raises(BlockingIOError):
            listener.accept()
    app.add_url_rule("/", view_func=lambda: str(session.get("cart")))
    browser = app.test_client()
    browser.set_cookie("session", "A" * 43)
    assert browser.get("/").status_code == 503
    directory(sessions.manager).store.close()  # type: ignore[attr-defined]  # a MongoDBStore can be closed


def test_a_store_whose_server_was_down_makes_its_indexes_later(
    mongodb_server: Server, clock: FakeClock, tmp_path: Path
) -> None:
    """A store whose first use failed makes its indexes when it first succeeds."""
    with closing(Link(mongodb_server.address)) as link:
        url = f"mongodb://127.0.0.1:{link.port}/holdfast.{collection_of(tmp_path)}"
        with closing(MongoDBStore.from_url(url, clock=clock)) as store:
            store._timeout = 0.2
            with link.disturb(Fault.DOWN), pytest.raises(StoreUnavailable):
                store.load(KEY)
            assert store._indexing is None
            store._timeout = 10
            assert store.create(KEY, b"data", expires_at=clock() + DAY) is not None
            indexed(store)
            assert {"owner_1", "expires_at_1"} < set(store._collection().index_information())


@pytest.mark.parametrize(
    ("in_the_way", "made"),
    [(("owner", {"unique": True}), "expires_at_1"), (("expires_at", {"expireAfterSeconds": 7}), "owner_1")],
)
def test_an_index_that_is_in_the_way_of_one_prevents_no_other(
    sessions: Any, caplog: pytest.LogCaptureFixture, in_the_way: tuple[str, dict[str, Any]], made: str
) -> None:
    """One with other options is named in a warning, and by `prepare`; the other is made, and no request fails."""
    there, options = in_the_way
    sessions.create_index(there, **options)
    with closing(MongoDBStore(sessions.database.client, collection=sessions.name)) as store:
        version = store.create(KEY, b"data", expires_at=FAR, owner="ada")
        indexed(store)
        assert version is not None
        assert keys_of(store, "ada") == [KEY]
        assert isinstance(store.replace(KEY, b"new", expect=version, expires_at=FAR, owner="ada"), int)
        with pytest.raises(StoreUnavailable, match=f"the index on {there} cannot be made") as caught:
            store.prepare()
        assert caught.value.permanent
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.getMessage().startswith(f"the index on {there} cannot be made (Index")
    assert made in sessions.index_information()


@pytest.mark.parametrize("monitored", [True, False])
def test_purge_removes_what_has_expired_by_the_server_s_clock(
    client: Any, sessions: Any, tmp_path: Path, *, monitored: bool
) -> None:
    """It needs no TTL monitor; a host whose clock is ahead removes nothing more."""
    client.admin.command({"setParameter": 1, "ttlMonitorEnabled": monitored})
    try:
        ahead = FakeClock(system_clock() + 2 * DAY)
        with closing(MongoDBStore(client, collection=collection_of(tmp_path), clock=ahead)) as store:
            sessions.insert_one({"_id": KEY, "data": b"", "version": 1, "expires_at": moment(-60_000)})
            sessions.insert_one({"_id": "1" * 64, "data": b"", "version": 1, "expires_at": moment(60_000)})
            assert store.purge(ahead()) == 1
            assert [document["_id"] for document in sessions.find()] == ["1" * 64]
            assert abs(store.now() - system_clock()) < 5_000
    finally:
        client.admin.command({"setParameter": 1, "ttlMonitorEnabled": True})


def moment(ahead: int) -> datetime:
    """Return the time *ahead* milliseconds from now."""
    return datetime.fromtimestamp((system_clock() + ahead) / 1000, timezone.utc)


def test_one_of_many_takes_an_expired_record_over(store: MongoDBStore, clock: FakeClock) -> None:
    """Of several that create a record where an expired one lies, exactly one does, and the old version is gone."""
    for turn in range(10):
        key = f"{turn:064x}"
        old = store.create(key, b"old", expires_at=clock() + 10, owner="eve")
        clock.advance_ms(10)
        answers: list[object] = []
        barrier = threading.Barrier(4)

        def create(key: str = key, answers: list[object] = answers, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            answers.append(store.create(key, b"new", expires_at=clock() + DAY))

        threads = [threading.Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        [version] = [answer for answer in answers if answer is not None]
        record = store.load(key)
        assert record is not None
        assert (record.data, record.version, record.owner) == (b"new", version, None)
        assert version != old


@pytest.mark.parametrize("damage", [{"data": "text"}, {"data": None}, {"version": "1"}, {"version": None, "data": 5}])
def test_a_damaged_document_is_no_fault(
    store: MongoDBStore, sessions: Any, clock: FakeClock, damage: dict[str, object]
) -> None:
    """A document that was edited by hand loads as far as it can, and can be deleted."""
    store.create(KEY, b"data", expires_at=clock() + DAY)
    sessions.update_one({"_id": KEY}, {"$set": damage})
    record = store.load(KEY)
    assert record is not None
    assert isinstance(record.data, bytes)
    assert isinstance(store.replace(KEY, b"new", expect=12, expires_at=clock() + DAY), Conflict)
    assert store.delete(KEY) is True
    assert store.load(KEY) is None


def test_other_documents_are_left_alone(store: MongoDBStore, sessions: Any, clock: FakeClock) -> None:
    """Documents of another extension in the same collection are neither listed nor changed."""
    theirs = {"id": "session:1234", "val": b"\x80\x04}.", "expiration": None}
    sessions.insert_one(dict(theirs))
    store.create(KEY, b"data", expires_at=clock() + DAY)
    assert [key for key, _ in store.scan().items] == [KEY]
    [found] = sessions.find({"id": "session:1234"}, {"_id": 0})
    assert found == theirs


def test_a_version_of_another_kind_never_matches(store: MongoDBStore, clock: FakeClock) -> None:
    """Versions that another store made, or that are queries to MongoDB, are conflicts."""
    store.create(KEY, b"data", expires_at=clock() + DAY)
    for version in ("1", b"1", 2**62):
        assert isinstance(store.replace(KEY, b"new", expect=version, expires_at=clock() + DAY), Conflict)
    assert store.replace("cd" * 32, b"new", expect=b"", expires_at=clock() + DAY) == Gone()
    assert data_of(store) == b"data"


def test_a_given_client_stays_open(store: MongoDBStore, client: Any) -> None:
    """Closing the store leaves the application's client to the application."""
    store.close()
    assert client.admin.command("ping")["ok"] == 1
