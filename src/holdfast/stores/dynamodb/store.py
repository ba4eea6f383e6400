"""Sessions in DynamoDB. `holdfast.stores.dynamodb.items` describes the table.

Every read is consistent, every write of a record conditional. There is no `move`: a rotation is a create and a replace.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.stores.contract import Conflict, Gone, HealthFinding, Page, Record, Version
from holdfast.stores.dynamodb import items
from holdfast.stores.dynamodb.calls import Calls, was_repeated
from holdfast.stores.dynamodb.client import endpoint, known_region, make_client, region, table
from holdfast.stores.dynamodb.health import health_of
from holdfast.stores.dynamodb.items import Item, number, text
from holdfast.stores.dynamodb.table import describe, make_table
from holdfast.stores.shared.answers import refusal
from holdfast.stores.shared.options import Converter, seconds
from holdfast.stores.shared.wire import owner_bytes

T = TypeVar("T")

#: The default name of the table.
TABLE = "holdfast_sessions"

_LIVE = "expires_at > :now"
_EXPECTED = f"session_version = :expect AND {_LIVE}"
_LISTED = "listed_until >= :expires_at"
# The number of attempts for a step that concurrent writes prevent.
_ATTEMPTS = 10
# The number of calls at once of a `discard`.
_AT_ONCE = 16
# The most keys of one batch.
_BATCH = 100
# The seconds that `prepare` waits for a new table.
_PATIENCE = 120.0


class DynamoDBStore:
    """Keeps records in a table of DynamoDB. The first use creates the table, billed by request, if it is missing.

    Args:
        client: A ``boto3.client("dynamodb")`` or ``boto3.resource("dynamodb")``, or a function without arguments that
            makes the store's own client, once for each process.
        table: The name of the table.
        timeout: The maximum seconds to wait for a table that is being created, before `StoreUnavailable`.
        clock: Returns the time in milliseconds since the epoch. It alone decides what has expired; DynamoDB removes
            that hours later.

    Raises:
        ConfigurationError: The client is not one of DynamoDB, or is asynchronous, or the name is not valid.
    """

    url_options: ClassVar[Mapping[str, Converter]] = {
        "region": region,
        "endpoint": endpoint,
        "table": table,
        "timeout": seconds,
    }

    def __init__(self, client: Any, *, table: str = TABLE, timeout: float = 2.0, clock: Clock = system_clock) -> None:
        self.table_name: str = table
        self._calls = Calls(client, table, timeout)
        self._clock = clock

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        clock: Clock = system_clock,
        region: str | None = None,
        endpoint: str | None = None,
        table: str = TABLE,
        timeout: float = 2.0,
    ) -> DynamoDBStore:
        """Return the store at ``dynamodb://?region=…``. It does not connect yet.

        *timeout* is the number of seconds to wait for each answer.
        """
        if url.partition("://")[2].strip("/"):
            raise ConfigurationError(
                "the dynamodb store URL has a host or a path: write dynamodb://?region=eu-central-1&table=sessions, "
                "with &endpoint=http://localhost:8000 for an emulator"
            )
        where = known_region(region)
        return cls(lambda: make_client(where, endpoint, timeout), table=table, timeout=timeout, clock=clock)

    def load(self, key: str, /) -> Record | None:
        return items.record_in(self._calls.item(key), self._clock())

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        fields = items.fields(data, expires_at)
        listing: Item = {}
        if owner is not None:
            listing = self._list(owner, key, secrets.token_hex(8), expires_at)
        done = self._calls.write(
            "put_item",
            fields,
            Item={**items.key_of(key), **fields, **listing},
            ConditionExpression="attribute_not_exists(id) OR expires_at <= :now",
            ExpressionAttributeValues={":now": number(self._clock())},
        )
        return None if done is None else str(fields["session_version"]["S"])

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        fields = items.fields(data, expires_at)
        if not isinstance(expect, str):  # no version of ours
            return refusal(self.load(key), expect) or Conflict()
        version, expected = str(fields["session_version"]["S"]), text(expect)
        listing: Item = {}
        if owner is not None:
            same = {":expect": expected, ":owner": {"B": owner_bytes(owner)}}
            if self._update(key, fields, f"{_EXPECTED} AND session_owner = :owner AND {_LISTED}", same) is not None:
                return version
            item = self._calls.item(key)
            refused = refusal(items.record_in(item, self._clock()), expect)
            if refused is not None:
                return refused
            before = items.listed(item)
            mark = before[1] if before is not None and before[0] == owner else secrets.token_hex(8)
            listing = self._list(owner, key, mark, expires_at)
        done = self._update(key, {**fields, **listing}, _EXPECTED, {":expect": expected})
        if done is None:
            return refusal(self.load(key), expect) or Conflict()
        if items.listed(done) != items.listed(listing):
            self._unlist(done, key)
        return version

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        sooner = f"{_LIVE} AND expires_at < :expires_at"
        life = items.life(expires_at)
        for _ in range(_ATTEMPTS):
            in_index = f"(attribute_not_exists(session_owner) OR {_LISTED})"
            if self._update(key, life, f"{sooner} AND {in_index}", {}, keep=True) is not None:
                return True
            item = self._calls.item(key)
            record, at = items.record_in(item, self._clock()), items.listed(item)
            if record is None or record.expires_at >= expires_at or record.version == b"":
                return record is not None
            if at is None:
                continue
            listing = self._list(at[0], key, at[1], expires_at)
            if self._update(key, {**life, **listing}, f"{sooner} AND mark = :mark", {}) is not None:
                return True
        raise StoreUnavailable("a record in DynamoDB changes all the time, and cannot be touched")

    def delete(self, key: str, /) -> bool:
        answer = self._calls.call("delete_item", Key=items.key_of(key), ReturnValues="ALL_OLD")
        item = answer.get("Attributes", {})
        if not item and was_repeated(answer):
            raise StoreUnavailable("the answer to a write in DynamoDB was lost")
        self._unlist(item, key)
        return bool(item) and items.record_in(item, self._clock()) is not None

    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        from concurrent.futures import ThreadPoolExecutor

        # There is no batch of conditional deletes.
        with ThreadPoolExecutor(min(_AT_ONCE, len(versions) or 1)) as pool:
            done = pool.map(self._discard, versions, versions.values())
            return frozenset(key for key, is_removed in zip(versions, done, strict=True) if is_removed)

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        partition = items.partition_of(owner)
        start = None if after is None else {"id": partition, "part": text(after)}
        sought = {"KeyConditionExpression": "id = :owner", "ExpressionAttributeValues": {":owner": partition}}
        found, last = self._page("query", start, Limit=limit, **sought)
        keys = [entry["part"]["S"] for entry in found]
        found = [item for at in range(0, len(keys), _BATCH) for item in self._batch(keys[at : at + _BATCH])]
        return Page(self._records(found), last["part"]["S"] if last else None)

    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        key, _, part = (after or "").partition(" ")
        start = None if after is None else {"id": text(key), "part": text(part)}
        sought = {"FilterExpression": "part = :of", "ExpressionAttributeValues": {":of": text(items.RECORD)}}
        found, last = self._page("scan", start, Limit=limit, **sought)
        return Page(self._records(found), f"{last['id']['S']} {last['part']['S']}" if last else None)

    def ping(self) -> None:
        self._calls.item("ping")

    def missing(self) -> str | None:
        found = self.ask(lambda client: describe(client, self._calls.table))
        return None if found else f"table {self._calls.table!r}"

    def prepare(self) -> None:
        self.ask(lambda client: make_table(client, self._calls.table, _PATIENCE))

    def check_health(self) -> list[HealthFinding]:
        return self.ask(lambda client: health_of(client, self._calls.table, self._clock))

    def ask(self, work: Callable[[Any], T], /) -> T:
        """Return the result of *work* with the store's client. It may use other tables."""
        return self._calls.ask(work)

    def close(self) -> None:
        self._calls.close()

    def _discard(self, key: str, version: Version) -> bool:
        answer = self._calls.write(
            "delete_item",
            Key=items.key_of(key),
            ConditionExpression=_EXPECTED,
            ExpressionAttributeValues={":expect": text(str(version)), ":now": number(self._clock())},
            ReturnValues="ALL_OLD",
        )
        if answer is not None:
            self._unlist(answer["Attributes"], key)
        return answer is not None

    def _page(self, operation: str, start: Item | None, **arguments: Any) -> tuple[list[Item], Item | None]:
        """Return the items of a page after *start*, and the key of the last one that was read."""
        if start is not None:
            arguments["ExclusiveStartKey"] = start
        answer = self._calls.call(operation, ConsistentRead=True, **arguments)
        return answer["Items"], answer.get("LastEvaluatedKey")

    def _batch(self, keys: list[str]) -> list[Item]:
        """Return the items of the records under *keys*, as far as they exist."""
        found: list[Item] = []
        left: Any = {self._calls.table: {"Keys": list(map(items.key_of, keys)), "ConsistentRead": True}} if keys else {}
        while left:
            answer = self._calls.call("batch_get_item", of_table=False, RequestItems=left)
            some = answer["Responses"].get(self._calls.table, [])
            found += some
            left = answer.get("UnprocessedKeys")
            if left and not some:
                raise StoreUnavailable("DynamoDB returns none of the records asked for: its throughput is exceeded")
        return found

    def _records(self, found: list[Item]) -> tuple[tuple[str, Record], ...]:
        now = self._clock()
        records = ((item["id"]["S"], items.record_in(item, now)) for item in found)
        return tuple((key, record) for key, record in records if record is not None)

    def _list(self, owner: str, key: str, mark: str, expires_at: int) -> Item:
        """Enter *key* in the index of *owner*, and return the attributes of the record that say so."""
        # A quarter longer than it lives, so that not every touch and save must write the index.
        until = expires_at + max(0, expires_at - self._clock()) // 4
        entry = {"id": items.partition_of(owner), "part": text(key)}
        values = {":mark": {"SS": [mark]}, ":until": items.remove_at(until)}
        shorter = f"attribute_not_exists({items.REMOVE_AT}) OR {items.REMOVE_AT} < :until"
        ways = {
            f"ADD marks :mark SET {items.REMOVE_AT} = :until": shorter,
            "ADD marks :mark": f"{items.REMOVE_AT} >= :until",
        }
        for _ in range(_ATTEMPTS):
            for change, condition in ways.items():
                done = self._calls.write(
                    "update_item",
                    Key=entry,
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                )
                if done is not None:
                    return items.listing(owner, mark, until)
        raise StoreUnavailable("an entry of an index in DynamoDB changes all the time")

    def _unlist(self, item: Item, key: str) -> None:
        """Take the mark of the record that was in *item* out of the index."""
        before = items.listed(item)
        if before is None:
            return
        owner, mark = before
        entry, values = {"id": items.partition_of(owner), "part": text(key)}, {":mark": {"SS": [mark]}}
        # An extra entry is harmless; the result of the write must be returned.
        with suppress(StoreUnavailable):
            removed = self._calls.write(
                "delete_item", Key=entry, ConditionExpression="marks = :mark", ExpressionAttributeValues=values
            )
            if removed is None:  # others have marks there too
                self._calls.write(
                    "update_item",
                    Key=entry,
                    UpdateExpression="DELETE marks :mark",
                    ConditionExpression="contains(marks, :one)",
                    ExpressionAttributeValues={**values, ":one": text(mark)},
                )

    def _update(self, key: str, fields: Item, condition: str, values: Item, *, keep: bool = False) -> Item | None:
        """Set *fields* of a record if *condition* holds, and return the old ones; None if it does not hold.

        An owner that is not among them is removed, unless *keep*, or the condition is about it.
        """
        change = "SET " + ", ".join(f"{name} = :{name}" for name in fields)
        if "session_owner" not in fields and not keep and ":owner" not in values:
            change += " REMOVE session_owner, mark, listed_until"
        names = {f":{name}": value for name, value in fields.items()}
        answer = self._calls.write(
            "update_item",
            fields,
            Key=items.key_of(key),
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeValues={**names, ":now": number(self._clock()), **values},
            ReturnValues="UPDATED_OLD",
        )
        return None if answer is None else answer.get("Attributes", {})
