"""The calls on the table: one client for each process, what is attempted again, and what an answer means."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError

from holdfast.errors import ConfigurationError, RecordTooLarge, StoreUnavailable
from holdfast.stores.dynamodb import items
from holdfast.stores.dynamodb.client import THROTTLED, checked, code_of, table, unavailable
from holdfast.stores.dynamodb.items import Item
from holdfast.stores.dynamodb.table import make_table
from holdfast.stores.shared.clients import PerProcess

T = TypeVar("T")

# The seconds before each further attempt of a call that was refused for its rate, or read on a closed connection.
_PAUSES = (0.025, 0.05, 0.1)
_READS = frozenset(("batch_get_item", "get_item", "query", "scan"))


class Calls:
    """Calls on the table *name*, by a *client* or by those that the function *client* makes, one for each process.

    *timeout* is the number of seconds to wait for the table while it is being created.
    """

    def __init__(self, client: Any, name: str, timeout: float) -> None:
        self._own = PerProcess[Any](client) if callable(client) else None
        self._given = None if callable(client) else checked(client)
        self._timeout = timeout
        try:
            self.table = table(name)
        except ValueError as error:
            raise ConfigurationError(f"{name!r} is no name of a table in DynamoDB: {error}") from None

    def client(self) -> Any:
        """Return the client of this process."""
        return self._given if self._own is None else self._own.get()

    def close(self) -> None:
        """Close the client that this process made."""
        client = None if self._own is None else self._own.pop()
        if client is not None:
            client.close()

    def ask(self, work: Callable[[Any], T]) -> T:
        """Return the result of *work* with the client."""
        try:
            return work(self.client())
        except (BotoCoreError, ClientError) as error:
            raise unavailable(error) from error

    def call(self, operation: str, *, of_table: bool = True, **arguments: Any) -> dict[str, Any]:
        """Return the answer to *operation*. A missing table is made."""
        if of_table:
            arguments["TableName"] = self.table
        pauses = iter(_PAUSES)
        while True:
            try:
                return getattr(self.client(), operation)(**arguments)  # type: ignore[no-any-return]  # no annotations
            except (BotoCoreError, ClientError) as error:
                pause = next(pauses, None)
                if pause is None or not self._is_worth_another(operation, error):
                    raise unavailable(error) from error
                time.sleep(pause)

    def item(self, key: str) -> Item:
        """Return the item of the record under *key*; one that has expired if there is none."""
        answer = self.call("get_item", Key=items.key_of(key), ConsistentRead=True)
        return answer.get("Item") or items.life(0)

    def write(self, operation: str, fields: Item | None = None, **arguments: Any) -> dict[str, Any] | None:
        """Return the answer to a conditional write; None if the condition does not hold.

        *fields* are those of a record with a new version: a client that repeats calls may find its own.
        """
        try:
            return self.call(operation, **arguments)
        except StoreUnavailable as error:
            cause: Any = error.__cause__
            if code_of(cause) == "ValidationException" and "Item size" in str(cause) and fields is not None:
                size = len(fields["session_data"]["B"])
                raise RecordTooLarge(size, size - 1) from error  # the server does not report its limit
            if code_of(cause) != "ConditionalCheckFailedException":
                raise
            version = (fields or {}).get("session_version")
            if version is None or not was_repeated(cause.response):
                return None
        key = (arguments.get("Key") or arguments["Item"])["id"]["S"]
        if self.item(key).get("session_version") == version:
            return {}
        raise StoreUnavailable("the answer to a write in DynamoDB was lost, and another followed it")

    def _is_worth_another(self, operation: str, error: Exception) -> bool:
        """Return whether *operation*, which failed with *error*, changed nothing, and may succeed now."""
        if code_of(error) == "ResourceNotFoundException":
            self.ask(lambda client: make_table(client, self.table, self._timeout))
            return True
        return code_of(error) in THROTTLED or (operation in _READS and isinstance(error, ConnectionClosedError))


def was_repeated(answer: Mapping[str, Any]) -> bool:
    """Return whether the client sent the call more than once; it may have been applied before."""
    return bool(answer.get("ResponseMetadata", {}).get("RetryAttempts"))
