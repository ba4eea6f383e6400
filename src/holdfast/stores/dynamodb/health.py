"""The health of a table in DynamoDB."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

from holdfast.clock import SECOND, Clock
from holdfast.errors import StoreUnavailable
from holdfast.stores.contract import HealthFinding
from holdfast.stores.dynamodb.items import REMOVE_AT
from holdfast.stores.dynamodb.table import check_keys, describe, removes_items
from holdfast.stores.shared.health import about_clock

# A web worker waits no longer than this many seconds for one answer.
_LONGEST = 10.0


def health_of(client: Any, table: str, clock: Clock) -> list[HealthFinding]:
    """Return the findings about the removal of expired records, the client's limits, and DynamoDB's clock."""
    found = describe(client, table)
    if found is None:
        raise StoreUnavailable(f"there is no table {table!r} in DynamoDB", permanent=True)
    check_keys(found)
    return [_about_expiry(client, table), _about_limits(client.meta.config), _about_clock(client, table, clock)]


def _about_expiry(client: Any, table: str) -> HealthFinding:
    if removes_items(client, table):
        return HealthFinding("expiry", f"DynamoDB removes items by {REMOVE_AT!r}", ok=True)
    fix = "flask sessions init, as a user who may update the table's time to live"
    return HealthFinding("expiry", f"time to live is not enabled on {REMOVE_AT!r}", fix, ok=False)


def _about_limits(config: Any) -> HealthFinding:
    retries = config.retries or {}
    attempts = retries.get("total_max_attempts") or retries.get("max_attempts", 9) + 1
    longest = attempts * (config.connect_timeout + config.read_timeout)
    found = f"a call is attempted {attempts} times, for up to {longest:.0f} s"
    fix = 'Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})'
    return HealthFinding("patience", found, "" if longest <= _LONGEST else fix, ok=longest <= _LONGEST)


def _about_clock(client: Any, table: str, clock: Clock) -> HealthFinding:
    answer = client.describe_table(TableName=table)["ResponseMetadata"]["HTTPHeaders"]
    if "date" not in answer:
        return HealthFinding("clock", "the server does not send its time", ok=None)
    return about_clock(round(parsedate_to_datetime(answer["date"]).timestamp() * SECOND), clock())
