"""The DynamoDB store: the contract on two servers, and what it alone promises."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from support.capabilities import keys_of
from support.dynamodb import client_of, resource_of
from support.keyspace import prefix_of
from support.servers import Server

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, RecordTooLarge, StoreUnavailable
from holdfast.records.record import Conflict
from holdfast.stores.contract import Store
from holdfast.stores.dynamodb import DynamoDBStore
from holdfast.stores.dynamodb.client import unavailable
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock, Fault, Link, StoreContract

pytestmark = pytest.mark.dynamodb

DAY = 86_400_000
KEY = "ab" * 32
FAR = 4_000_000_000_000
ENTRY = "owner:"

#: Whether to run the contract on both servers, and at length: `make dynamodb`.
AT_LENGTH = os.environ.get("HOLDFAST_TEST_DYNAMODB_AT_LENGTH") == "1"


class OnDynamoDB(StoreContract):
    """The contract, on one server, behind a link that can be disturbed."""

    __test__ = False
    shared_between_processes = AT_LENGTH
    max_bytes = 190_000  # moto counts the old data with the new
    rounds = 15 if AT_LENGTH else 2
    random_calls = 200 if AT_LENGTH else 20

    @contextmanager
    def on(self, server: Server, place: Path) -> Iterator[None]:
        """Prepare one test on *server*, with a table of its own."""
        with closing(Link(server.address)) as self.link, self.running(place):
            (place / "port").write_text(str(self.link.port))
            yield

    def open_store(self, place: Path, clock: Clock) -> Store:
        """Return a store that goes through the link."""
        endpoint = f"http://127.0.0.1:{(place / 'port').read_text()}"
        url = f"dynamodb://?region=eu-central-1&endpoint={endpoint}&table={table_of(place)}&timeout=3"
        return open_store(url, clock=clock)

    @contextmanager
    def disturb(self, fault: Fault, store: Store, place: Path) -> Iterator[None]:
        """Disturb the link."""
        with self.link.disturb(fault, meanwhile=self.meanwhile):
            yield


class TestDynamoDBStore(OnDynamoDB):
    """The contract on moto's server."""

    __test__ = AT_LENGTH

    @pytest.fixture(autouse=True)
    def _on_a_place_of_its_own(self, dynamodb_server: Server, tmp_path: Path) -> Iterator[None]:
        with self.on(dynamodb_server, tmp_path):
            yield


@pytest.mark.dynalite
class TestOnDynalite(OnDynamoDB):
    """The contract on dynalite, which is faster, and removes nothing by itself."""

    __test__ = True
    max_bytes = 400 * 1024 - 1024
    too_large = 400 * 1024 - 1023

    @pytest.fixture(autouse=True)
    def _on_a_place_of_its_own(self, dynalite_server: Server, tmp_path: Path) -> Iterator[None]:
        with self.on(dynalite_server, tmp_path):
            yield


def table_of(place: Path) -> str:
    """Return the name of a table that no other test has."""
    return prefix_of(place).strip(":")


@pytest.fixture
def client(dynamodb_server: Server) -> Any:
    """A client of moto's server."""
    return client_of(dynamodb_server.url)


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the store."""
    return FakeClock(system_clock())


@pytest.fixture
def store(client: Any, clock: FakeClock, tmp_path: Path) -> DynamoDBStore:
    """A store on a table that is not there yet."""
    return DynamoDBStore(client, table=table_of(tmp_path), clock=clock)


def entries(client: Any, table: str) -> list[Any]:
    """Return the entries of all indexes in *table*."""
    return [item for item in client.scan(TableName=table)["Items"] if item["id"]["S"].startswith(ENTRY)]


def test_the_first_use_makes_the_table(client: Any, store: DynamoDBStore, tmp_path: Path) -> None:
    """It is billed by request, and DynamoDB removes what expired; a second `prepare` changes nothing."""
    table = table_of(tmp_path)
    assert store.missing() == f"table {table!r}"
    assert store.load(KEY) is None
    found = client.describe_table(TableName=table)["Table"]
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    time_to_live = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert (time_to_live["TimeToLiveStatus"], time_to_live["AttributeName"]) == ("ENABLED", "remove_at")
    store.prepare()
    assert store.missing() is None
    health = {finding.name: finding.ok for finding in store.check_health()}
    assert health == {"expiry": True, "patience": True, "clock": True}


def test_the_items_of_a_record(client: Any, store: DynamoDBStore, clock: FakeClock, tmp_path: Path) -> None:
    """A record and its entry are two items, which DynamoDB removes five minutes after their ends, the entry later."""
    end = clock() + DAY
    version = store.create(KEY, b"data", expires_at=end, owner="ada")
    entry, record = sorted(client.scan(TableName=table_of(tmp_path))["Items"], key=lambda item: item["part"]["S"])
    assert (record["id"], record["part"]) == ({"S": KEY}, {"S": "record"})
    assert (record["session_data"], record["session_version"]) == ({"B": b"data"}, {"S": version})
    assert (record["session_owner"], record["expires_at"]) == ({"B": b"ada"}, {"N": str(end)})
    assert record["remove_at"] == {"N": str((end + 300_000) // 1000 + 1)}
    assert entry["part"] == {"S": KEY}
    assert entry["marks"] == {"SS": [record["mark"]["S"]]}
    assert int(entry["remove_at"]["N"]) > int(record["remove_at"]["N"]) + DAY // 5000


def test_an_entry_goes_with_its_last_mark(client: Any, store: DynamoDBStore, clock: FakeClock, tmp_path: Path) -> None:
    """The end of a record removes its entry, unless another write has entered the key meanwhile."""
    table, end = table_of(tmp_path), clock() + DAY
    store.create(KEY, b"data", expires_at=end, owner="ada")
    assert store.create(KEY, b"other", expires_at=end, owner="ada") is None  # its mark stays
    assert len(entries(client, table)[0]["marks"]["SS"]) == 2
    assert store.delete(KEY)
    assert len(entries(client, table)[0]["marks"]["SS"]) == 1
    other = "cd" * 32
    version = store.create(other, b"data", expires_at=end, owner="eve")
    assert version is not None
    assert isinstance(store.replace(other, b"data", expect=version, expires_at=end), str)
    assert keys_of(store, "eve") == []
    assert len(entries(client, table)) == 1


def test_a_touched_record_is_listed_as_long(
    client: Any, store: DynamoDBStore, clock: FakeClock, tmp_path: Path
) -> None:
    """A touch beyond the life of the index entry extends that first, under the same mark; a shorter one does not."""
    store.create(KEY, b"data", expires_at=clock() + DAY, owner="ada")
    [before] = entries(client, table_of(tmp_path))
    assert store.touch(KEY, expires_at=clock() + DAY + 1000)
    assert entries(client, table_of(tmp_path)) == [before]
    assert store.touch(KEY, expires_at=clock() + 3 * DAY)
    [after] = entries(client, table_of(tmp_path))
    assert after["marks"] == before["marks"]
    assert int(after["remove_at"]["N"]) > (clock() + 3 * DAY) // 1000
    assert keys_of(store, "ada") == [KEY]


def test_calls_of_a_request(client: Any, store: DynamoDBStore, clock: FakeClock) -> None:
    """A read, a save and a touch are one call each, a login two."""
    store.prepare()
    calls: list[str] = []
    client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
    version = store.create(KEY, b"data", expires_at=clock() + DAY, owner="ada")
    assert version is not None
    store.load(KEY)
    assert isinstance(store.replace(KEY, b"new", expect=version, expires_at=clock() + DAY, owner="ada"), str)
    store.touch(KEY, expires_at=clock() + DAY + 1)
    assert calls == ["UpdateItem", "PutItem", "GetItem", "UpdateItem", "UpdateItem"]


@pytest.fixture
def link(dynamodb_server: Server) -> Iterator[Link]:
    """A line to moto's server that can be disturbed."""
    with closing(Link(dynamodb_server.address)) as made:
        yield made


@pytest.fixture
def stubborn(link: Link, store: DynamoDBStore, clock: FakeClock, tmp_path: Path) -> DynamoDBStore:
    """A store on a client that repeats its calls, as boto3's do by default."""
    store.prepare()
    url = f"dynamodb://?endpoint=http://127.0.0.1:{link.port}"
    client = client_of(url, read_timeout=2, retries={"total_max_attempts": 3})
    return DynamoDBStore(client, table=table_of(tmp_path), clock=clock)


def test_a_read_on_a_closed_connection_is_repeated(dynamodb_server: Server, link: Link, tmp_path: Path) -> None:
    """A read is sent again, by the store's own client; a write is not, since it may have been applied."""
    endpoint, table = f"http://127.0.0.1:{link.port}", table_of(tmp_path)
    with closing(DynamoDBStore.from_url("dynamodb://", region="eu-central-1", endpoint=endpoint, table=table)) as store:
        assert store.create(KEY, b"data", expires_at=FAR) is not None
        for fault in (Fault.REQUEST_LOST, Fault.REPLY_LOST):
            with link.disturb(fault):
                assert store.load(KEY) is not None
            with link.disturb(fault), pytest.raises(StoreUnavailable, match="ConnectionClosedError"):
                store.touch(KEY, expires_at=FAR + 1)


def test_a_client_s_repetition_finds_its_own_save(link: Link, stubborn: DynamoDBStore, clock: FakeClock) -> None:
    """A save, or a new record, whose answer was lost is not refused when the client repeats it."""
    with link.disturb(Fault.REPLY_LOST):
        version = stubborn.create(KEY, b"data", expires_at=clock() + DAY)
    assert version is not None
    with link.disturb(Fault.REPLY_LOST):
        replaced = stubborn.replace(KEY, b"new", expect=version, expires_at=clock() + DAY)
    record = stubborn.load(KEY)
    assert record is not None
    assert (record.data, record.version) == (b"new", replaced)


def test_a_client_s_repetition_after_another_save_is_an_error(
    link: Link, stubborn: DynamoDBStore, store: DynamoDBStore, clock: FakeClock
) -> None:
    """Where another saved, or ended the record, in between, it is not known whether the first attempt was applied."""
    version = store.create(KEY, b"data", expires_at=clock() + DAY)
    assert version is not None

    def save_too() -> None:
        record = store.load(KEY)
        assert record is not None
        assert not isinstance(store.replace(KEY, b"x", expect=record.version, expires_at=clock() + DAY), Conflict)

    lost = link.disturb(Fault.REPLY_LOST, meanwhile=save_too)
    with lost, pytest.raises(StoreUnavailable, match="was lost"):
        stubborn.replace(KEY, b"new", expect=version, expires_at=clock() + DAY)
    with link.disturb(Fault.REPLY_LOST), pytest.raises(StoreUnavailable, match="was lost"):
        stubborn.delete(KEY)
    assert store.load(KEY) is None


def test_another_library_s_table_is_left_alone(client: Any, tmp_path: Path) -> None:
    """A table of Flask-Session, or with other keys, is named, and nothing is written."""
    table = table_of(tmp_path)
    client.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    store = DynamoDBStore(client, table=table)
    for call in (store.prepare, store.check_health):
        with pytest.raises(ConfigurationError, match=r"may be Flask-Session's.*SESSION_DYNAMODB_TABLE_NAME"):
            call()
    with pytest.raises(StoreUnavailable) as caught:
        store.load(KEY)
    assert caught.value.permanent
    assert client.scan(TableName=table)["Items"] == []


@pytest.mark.parametrize(
    "damage", [{"session_data": {"S": "text"}}, {"session_version": {"N": "1"}}, {"expires_at": {"S": ""}}]
)
def test_a_damaged_item_is_no_fault(
    client: Any, store: DynamoDBStore, clock: FakeClock, tmp_path: Path, damage: dict[str, Any]
) -> None:
    """An item that was edited by hand loads as far as it can, is never saved over, and can be deleted."""
    store.create(KEY, b"data", expires_at=clock() + DAY)
    [item] = client.scan(TableName=table_of(tmp_path))["Items"]
    client.put_item(TableName=table_of(tmp_path), Item={**item, **damage})
    record = store.load(KEY)
    assert record is not None
    assert record.version == b""
    for expect in (b"", "1", 5):
        assert isinstance(store.replace(KEY, b"new", expect=expect, expires_at=clock() + DAY), Conflict)
    assert store.delete(KEY) is True
    assert store.load(KEY) is None


def test_the_limit_of_an_item(store: DynamoDBStore, clock: FakeClock) -> None:
    """What the server refuses for its size is too large, as is what exceeds DynamoDB's own limit."""
    for size in (407_000, 500_000):
        with pytest.raises(RecordTooLarge) as caught:
            store.create(KEY, secrets.token_bytes(size), expires_at=clock() + DAY)
        assert caught.value.size == size


@pytest.mark.parametrize(
    ("code", "refusals", "attempted"),
    [
        ("ThrottlingException", 2, 3),
        ("ThrottlingException", 99, 4),
        ("InternalServerError", 99, 1),
        ("AccessDeniedException", 99, 1),
    ],
)
def test_calls_that_were_refused_for_their_rate_are_repeated(
    client: Any, store: DynamoDBStore, code: str, refusals: int, attempted: int
) -> None:
    """A few times, for a fraction of a second, and after no other error: that call may have been applied."""
    store.prepare()
    answer = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"}).encode()
    attempts: list[Any] = []

    def refuse(request: Any, **_: Any) -> AWSResponse | None:
        attempts.append(request)
        raw = SimpleNamespace(stream=lambda: iter([answer]), read=lambda: answer)
        kind = {"Content-Type": "application/x-amz-json-1.0"}
        return AWSResponse(request.url, 400, kind, raw) if len(attempts) <= refusals else None

    client.meta.events.register("before-send.dynamodb", refuse)
    with nullcontext() if refusals < attempted else pytest.raises(StoreUnavailable, match=code):
        assert store.create(KEY, b"data", expires_at=FAR) is not None
    assert len(attempts) == attempted


@pytest.mark.parametrize(
    ("code", "permanent"),
    [
        ("ProvisionedThroughputExceededException", False),
        ("ThrottlingException", False),
        ("InternalServerError", False),
        ("AccessDeniedException", True),
        ("UnrecognizedClientException", True),
        ("ExpiredTokenException", True),
        ("ResourceNotFoundException", True),
    ],
)
def test_an_error_of_the_server(code: str, permanent: bool) -> None:
    """A limit of the rate or a fault of the server may pass; credentials, permissions and a missing table do not."""
    answer: Any = {"Error": {"Code": code, "Message": "no"}}
    found = unavailable(ClientError(answer, "GetItem"))
    assert (found.permanent, code in str(found)) == (permanent, True)


def test_an_error_of_the_client() -> None:
    """A missing answer may pass; missing credentials do not."""
    assert not unavailable(EndpointConnectionError(endpoint_url="http://localhost")).permanent
    assert unavailable(NoCredentialsError()).permanent


def test_a_client_that_is_patient_is_reported(dynamodb_server: Server, tmp_path: Path) -> None:
    """A client with boto3's own limits may wait for minutes: the finding says so, with the fix."""
    store = DynamoDBStore(client_of(dynamodb_server.url, connect_timeout=60), table=table_of(tmp_path))
    store.prepare()
    [finding] = [finding for finding in store.check_health() if finding.name == "patience"]
    assert finding.ok is False
    assert "total_max_attempts" in finding.fix


def test_a_resource_is_a_client(dynamodb_server: Server, tmp_path: Path) -> None:
    """What Flask-Session takes, a resource, works as its client does, and stays open."""
    resource = resource_of(dynamodb_server.url)
    store = DynamoDBStore(resource, table=table_of(tmp_path))
    assert store.create(KEY, b"data", expires_at=system_clock() + DAY) is not None
    store.close()
    assert store.load(KEY) is not None
    assert resource.Table(table_of(tmp_path)).item_count == 1  # its own calls convert values still


def test_a_url_without_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """The region is in the URL or in the environment, or the error says so; a host or a wrong value is an error."""
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    for url, wrong in {
        "dynamodb://": "no region is known",
        "dynamodb://eu-central-1/sessions": "has a host or a path",
        "dynamodb://?region=Frankfurt": "name of a region",
        "dynamodb://?region=eu-central-1&table=a b": "name of a table",
        "dynamodb://?region=eu-central-1&endpoint=localhost:8000": "URL of an endpoint",
        "dynamodb://?region=eu-central-1&endpoint=http://h:99999": "endpoint='http://h:99999' is not valid",
        "dynamodb://?region=eu-central-1&prefix=x": "no option 'prefix'",
    }.items():
        with pytest.raises(ConfigurationError, match=wrong):
            open_store(url)
    with pytest.raises(ConfigurationError, match="no name of a table"):
        DynamoDBStore(lambda: None, table="a b")
