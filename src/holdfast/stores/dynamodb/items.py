"""The items of the table: records, and the entries of the owners' indexes.

A record is the item (key, ``record``). The index of an owner is the partition of that owner, with one item for each of
the owner's records: (owner, key). A consistent query of it returns all of them, which no secondary index can.

An entry holds a set of marks. A record with an owner holds the mark that was added before it, and *listed_until*: the
entry is not removed earlier. Each write that gives a key an owner adds a mark of its own, and the write that ends this
takes that mark away; the entry goes with the last one. So no removal undoes another's entry.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, TypeAlias

from holdfast.errors import RecordTooLarge
from holdfast.records.record import Record
from holdfast.stores.shared.wire import MARGIN, owner_bytes, owner_text

Item: TypeAlias = dict[str, dict[str, Any]]

#: The attribute that DynamoDB removes items by: seconds since the epoch.
REMOVE_AT = "remove_at"
#: The names and types of the table's keys, and its key schema.
KEYS = [{"AttributeName": name, "AttributeType": "S"} for name in ("id", "part")]
SCHEMA = [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "part", "KeyType": "RANGE"}]
#: The second part of the key of a record.
RECORD = "record"

# An item may have 400 KiB, with the names of its attributes.
_MAX_BYTES = 400 * 1024 - 1024


def text(value: str) -> dict[str, Any]:
    """Return *value* as an attribute."""
    return {"S": value}


def number(value: int) -> dict[str, Any]:
    """Return *value* as an attribute."""
    return {"N": str(value)}


def key_of(key: str) -> Item:
    """Return the key of the record under *key*."""
    return {"id": text(key), "part": text(RECORD)}


def partition_of(owner: str) -> dict[str, Any]:
    """Return the partition with the index of *owner*."""
    return text("owner:" + hashlib.sha256(owner_bytes(owner)).hexdigest())


def remove_at(expires_at: int) -> dict[str, Any]:
    """Return when DynamoDB may remove what expires at *expires_at*."""
    return number((expires_at + MARGIN) // 1000 + 1)


def fields(data: bytes, expires_at: int) -> Item:
    """Return the attributes that each write of a record sets, or raise `RecordTooLarge`."""
    if len(data) > _MAX_BYTES:
        raise RecordTooLarge(len(data), _MAX_BYTES)
    version = text(secrets.token_hex(8))
    return {"session_data": {"B": data}, "session_version": version, **life(expires_at)}


def life(expires_at: int) -> Item:
    """Return the attributes of a life until *expires_at*."""
    return {"expires_at": number(expires_at), REMOVE_AT: remove_at(expires_at)}


def listing(owner: str, mark: str, until: int) -> Item:
    """Return the attributes of a record that the index of *owner* lists, by *mark*, *until* then."""
    return {"session_owner": {"B": owner_bytes(owner)}, "mark": text(mark), "listed_until": number(until)}


def listed(item: Item) -> tuple[str, str] | None:
    """Return the owner whose index lists the record in *item*, and its mark there; None without an owner."""
    owner, mark = item.get("session_owner", {}).get("B"), item.get("mark", {}).get("S")
    return (owner_text(owner), mark) if isinstance(owner, bytes) and isinstance(mark, str) else None


def record_in(item: Mapping[str, Any], now: int) -> Record | None:
    """Return the record in *item*, or None if it has expired; an item that is none is an empty record."""
    try:
        expires_at = int(item["expires_at"]["N"])
    except (KeyError, ValueError):
        return Record(b"", b"", now + MARGIN)
    if expires_at <= now:
        return None
    data, version = item.get("session_data", {}).get("B"), item.get("session_version", {}).get("S")
    if not isinstance(data, bytes) or not isinstance(version, str):
        return Record(b"", b"", expires_at)
    owner = item.get("session_owner", {}).get("B")
    return Record(data, version, expires_at, owner_text(owner) if isinstance(owner, bytes) else None)
