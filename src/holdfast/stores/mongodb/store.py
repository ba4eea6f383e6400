"""Sessions in MongoDB: one document for each record, under its key.

Writes are acknowledged by a majority and read from the primary with read concern ``local``: a new primary has every
acknowledged write, but its majority snapshot may lag behind for a moment, and a session that was just saved would be
missing. Such a read may return a write that is undone later, when a primary that was cut off has to give way. Permanent
decisions are read with ``linearizable``, for which the primary first makes sure that a majority follows it.
"""

from __future__ import annotations

import copy
import logging
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import NoneType
from typing import Any, ClassVar, TypeVar

import pymongo
from bson.datetime_ms import DatetimeMS
from pymongo.errors import DuplicateKeyError, NotPrimaryError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from holdfast.clock import Clock, system_clock
from holdfast.errors import RecordTooLarge, StoreUnavailable, shear
from holdfast.records.record import Conflict, Gone, Page, Record, Version
from holdfast.stores.contract import HealthFinding, Report
from holdfast.stores.mongodb.client import Collection, Document, checked, collection_of, parts_of
from holdfast.stores.mongodb.health import health_of, time_of
from holdfast.stores.shared.answers import NO_KEY, batches, page_by_key, refusal, report_owned
from holdfast.stores.shared.clients import PerProcess, is_mistake, likely_fix
from holdfast.stores.shared.wire import MARGIN

T = TypeVar("T")

# A document may have 16 MiB; the rest is for the key, the owner and the names of the fields.
_MAX_BYTES = 16 * 1024 * 1024 - 1024
# The errors of a server that takes no writes, or none any more.
_NOT_PRIMARY = {10107, 13435}
# The answer of a single server, of which no majority is needed, to a linearizable read.
_NOT_A_REPLICA_SET = 123
_LINEARIZABLE = ReadConcern("linearizable")
# The seconds after a failure in which a write whose answer was lost may still be looked for.
_IN_DOUBT = 60.0
# The number of records that one step of a purge removes.
_BATCH = 500
# The number of records that are ended within the time of an operation.
_DISCARDED = 100
# Codes of answers that waiting does not cure: not authorized, a wrong user or password, and the same of Atlas; a
# mechanism of authentication that is off; a collection that takes no documents of ours: a rule refuses them, a unique
# index does, or it is a view or a time series.
_SET_UP_WRONG = frozenset({13, 18, 8000, 334, 121, 11000, 166, 72})
# The client's words for a server that it could not use contain the server's own answer.
_CODE = re.compile(r"'code': (\d+)")
# The client's words for a set of which no server is that answered.
_OTHER_SET = "No replica set members available for replica set name"
# The seconds before the creation of the indexes is tried again.
_INDEX_AGAIN = 60.0
# The time limit in seconds for creating them on request.
_INDEX_PATIENCE = 3600.0
_INDEXES: dict[str, dict[str, Any]] = {"owner": {"sparse": True}, "expires_at": {"expireAfterSeconds": MARGIN // 1000}}

_logger = logging.getLogger("holdfast")


class MongoDBStore:
    """Keeps records in a collection of a MongoDB server, a replica set or a sharded cluster.

    The indexes, by owner and by expiry, are created in the background after the first successful operation. Without
    them all methods work, but listing a user's sessions takes longer, and expired records are not removed.

    Args:
        client: A ``pymongo.MongoClient``, or the URL for the store's own client, which each process makes on first use.
        database: The name of the database. Default: that of the client's URL, or else ``holdfast``.
        collection: The name of the collection.
        timeout: The maximum seconds of an operation, with any client, before `StoreUnavailable`.
        clock: Returns the time in milliseconds since the epoch. It alone decides what has expired; the server removes
            that some minutes later.

    Raises:
        ConfigurationError: The client is not one of MongoDB, or is asynchronous, or a name is not valid.
    """

    #: A URL is pymongo's, with its query.
    url_options: ClassVar[None] = None

    def __init__(
        self,
        client: Any,
        *,
        database: str | None = None,
        collection: str = "sessions",
        timeout: float = 2.0,
        clock: Clock = system_clock,
    ) -> None:
        self._url = client if isinstance(client, str) else None
        if database is None:
            database = "holdfast" if isinstance(client, str) else checked(client).get_default_database("holdfast").name
        self._names = database, collection
        self._timeout = timeout
        self._clock = clock
        self._own = PerProcess(lambda: collection_of(pymongo.MongoClient(self._url, connect=False), *self._names))
        self._left: list[Any] = []
        self._given = None if self._url else collection_of(checked(client), *self._names)
        self._index_at = 0.0
        self._failed_at = -math.inf
        self._indexing: threading.Thread | None = None

    @classmethod
    def from_url(cls, url: str, *, clock: Clock = system_clock) -> MongoDBStore:
        """Return the store at ``mongodb://host/database.collection``. It does not connect yet.

        The URL is pymongo's; its ``timeoutMS`` is the store's *timeout*.
        """
        parts = parts_of(url)
        return cls(
            url,
            database=parts["database"] or "holdfast",
            collection=parts["collection"] or "sessions",
            timeout=parts["options"].get("timeoutms") or 2.0,
            clock=clock,
        )

    def load(self, key: str, /) -> Record | None:
        return self._if_live(self._run(lambda sessions: sessions.find_one({"_id": key})))  # which needs no plan

    def load_fresh(self, key: str, /) -> Record | None:
        in_doubt = time.monotonic() < self._failed_at + _IN_DOUBT
        return self._if_live(self._run(lambda sessions: _find_final(sessions, {"_id": key}, in_doubt=in_doubt)))

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        version = secrets.randbits(62)
        document = {"_id": key, "version": version, **_fields(data, expires_at, owner)}
        expired = {"_id": key, "expires_at": {"$lte": DatetimeMS(self._clock())}}

        def write(sessions: Collection) -> Version | None:
            with _unless_there():  # the server takes half of an upsert's time for it
                sessions.insert_one(document)
                return version
            with _unless_there():  # a live record exists
                sessions.replace_one(expired, document, upsert=True)
                return version
            return None

        return self._run(write)

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        update: Document = {"$set": _fields(data, expires_at, owner), "$inc": {"version": 1}}
        if owner is None:
            update["$unset"] = {"owner": ""}
        same = {**self._live(key), "version": expect}

        def write(sessions: Collection) -> Version | Conflict | Gone:
            written = sessions.find_one_and_update(same, update, {"version": 1})
            if written is not None:
                return int(written["version"]) + 1
            return refusal(self._if_live(sessions.find_one({"_id": key})), expect) or Conflict()

        return self._run(write)

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        update = {"$max": {"expires_at": DatetimeMS(expires_at)}}
        return self._run(lambda sessions: sessions.update_one(self._live(key), update).matched_count > 0)

    def delete(self, key: str, /) -> bool:
        now = self._clock()
        found = self._run(lambda sessions: sessions.find_one_and_delete({"_id": key}, {"expires_at": 1}))
        return found is not None and int(found["expires_at"]) > now

    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        return frozenset[str]().union(*map(self._discard, batches(versions, _DISCARDED)))

    def _discard(self, versions: Mapping[str, Version]) -> frozenset[str]:
        # The server does not return which documents it deletes: a mark of this call shows them.
        # Versions are random: none is another record's.
        mark, keys, now = secrets.randbits(62), {"$in": list(versions)}, self._clock()
        same = {"_id": keys, "version": {"$in": list(versions.values())}, "expires_at": {"$gt": DatetimeMS(now)}}
        # Expired on every host, and not so long ago that the server removes it before it is found.
        past = DatetimeMS(now - MARGIN // 2)
        end = {"$set": {"version": mark, "expires_at": past}, "$unset": {"owner": "", "data": ""}}

        def remove(sessions: Collection) -> frozenset[str]:
            if not sessions.update_many(same, end).modified_count:
                return frozenset()
            ended = {"_id": keys, "version": mark}
            removed = frozenset(str(document["_id"]) for document in sessions.find(ended, {"_id": 1}))
            sessions.delete_many(ended)
            return removed

        return self._run(remove)

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        return self._page({"owner": owner}, after, limit)

    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        return self._page({}, after, limit)

    def _page(self, wanted: Document, after: str | None, limit: int) -> Page:
        rest = {**wanted, "_id": {"$gt": after or ""}, "expires_at": {"$gt": DatetimeMS(self._clock())}}
        found = self._run(lambda sessions: list(sessions.find(rest).sort("_id").limit(limit)))
        return page_by_key(((document["_id"], _record(document)) for document in found), limit)

    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        # The server's clock too: a host's may be ahead.
        due: Document = {"expires_at": {"$lte": DatetimeMS(now)}, "$expr": {"$lte": ["$expires_at", "$$NOW"]}}

        def remove(sessions: Collection) -> tuple[dict[str, Any], int, set[str]]:
            found = {
                each["_id"]: each.get("owner") for each in sessions.find(due, {"owner": 1}).limit(min(limit, _BATCH))
            }
            among = {"_id": {"$in": list(found)}}
            deleted = sessions.delete_many({**among, **due}).deleted_count if found else 0
            # Some may have been touched meanwhile, or another purge was first.
            left = sessions.find(among, {"_id": 1}) if deleted < len(found) else ()
            return found, deleted, {document["_id"] for document in left}

        removed = 0
        while limit > 0:
            found, deleted, kept = self._run(remove)
            removed += deleted
            limit -= len(found)
            report_owned(((key, owner) for key, owner in found.items() if key not in kept), report)
            if len(found) < _BATCH:
                break
        return removed

    def now(self) -> int:
        return self._run(time_of)

    def ping(self) -> None:
        self.touch(NO_KEY, expires_at=0)  # as the next it writes nothing, and is refused where it may not
        self.delete(NO_KEY)

    def missing(self) -> str | None:
        found = self._ask(lambda sessions: sessions.database.list_collection_names(filter={"name": sessions.name}))
        return None if found else f"collection {self._names[1]!r}"

    def prepare(self) -> None:
        self.now()  # with the patience of a request
        refused = self._run(_make_indexes, seconds=_INDEX_PATIENCE)
        if refused:
            problem = f"{_in_words(refused)} on {self._names[1]!r}"
            raise StoreUnavailable(problem, permanent=True) from next(iter(refused.values()))

    def check_health(self) -> list[HealthFinding]:
        self.now()  # the first operation creates the indexes
        if self._indexing is not None:
            self._indexing.join(self._timeout)
        return self._run(lambda sessions: health_of(sessions, self._clock))

    def ask(self, work: Callable[[Collection], T], /) -> T:
        """Return the result of *work* with the collection. It may use others of the database."""
        return self._ask(work)

    def close(self) -> None:
        if self._indexing is not None:
            self._indexing.join(self._timeout)
        sessions = self._own.pop()
        with pymongo.timeout(self._timeout):
            for client in [*self._left, *([] if sessions is None else [sessions.database.client])]:
                client.close()
        self._left.clear()

    def _if_live(self, document: Document | None) -> Record | None:
        expires_at = document and document.get("expires_at")
        live = isinstance(expires_at, DatetimeMS) and int(expires_at) > self._clock()
        return _record(document) if document and live else None

    def _live(self, key: str) -> Document:
        return {"_id": key, "expires_at": {"$gt": DatetimeMS(self._clock())}}

    def _run(self, work: Callable[[Collection], T], *, seconds: float | None = None) -> T:
        """Return the result of *work* on the collection, within *seconds*. The first call creates the indexes."""
        result = self._ask(work, seconds=seconds)
        if time.monotonic() >= self._index_at and not (self._indexing and self._indexing.is_alive()):
            self._index_at = time.monotonic() + _INDEX_AGAIN
            indexing = threading.Thread(target=self._index, args=(self._collection(),), daemon=True)
            with suppress(RuntimeError):  # the system starts no more threads: later
                indexing.start()
                self._indexing = indexing
        return result

    def _ask(self, work: Callable[[Collection], T], *, seconds: float | None = None) -> T:
        try:
            with pymongo.timeout(seconds or self._timeout):
                try:
                    return work(self._collection())
                except NotPrimaryError as error:
                    details: Any = error.details  # what was refused is not applied
                    if not isinstance(details, Mapping) or details.get("code") not in _NOT_PRIMARY:
                        raise
                    self._leave_server()
                    return work(self._collection())
        except (PyMongoError, OverflowError, RuntimeError) as error:  # the last where no thread can be started
            self._failed_at = time.monotonic()
            codes = {getattr(error, "code", None), *map(int, _CODE.findall(str(error)))}
            permanent = not codes.isdisjoint(_SET_UP_WRONG) or is_mistake(error)
            fix = likely_fix(error, use="write tls=true in its URL", omit="remove tls=true from its URL")
            if _OTHER_SET in str(error):  # the client has dropped the servers that answered, for ever
                permanent, fix = True, "; the servers are not of that replica set: correct replicaSet in its URL"
            cause = copy.copy(error)  # the client keeps the error of a server that it cannot use
            shear(cause)
            raise StoreUnavailable(
                f"sessions in MongoDB cannot be used: {type(error).__name__}{fix}", permanent=permanent
            ) from cause

    def _leave_server(self) -> None:
        """Replace our own client of one server: its name may lead to another by now. pymongo knows those of a set."""
        sessions = self._own.present()
        if sessions is not None and sessions.database.client.topology_description.topology_type_name == "Single":
            self._left.append(sessions.database.client)  # other threads may use it
            self._own.pop()

    def _collection(self) -> Collection:
        return self._given if self._given is not None else self._own.get()

    def _index(self, sessions: Collection) -> None:
        try:
            refused = _make_indexes(sessions)
        except PyMongoError:  # the next operation reports an outage
            return
        if refused:
            _logger.warning("%s on %s: sessions work without it", _in_words(refused), sessions.full_name)
        else:
            self._index_at = float("inf")


@contextmanager
def _unless_there() -> Iterator[None]:
    """Suppress the error of a second document under one key. That of another unique index is not ours."""
    try:
        yield
    except DuplicateKeyError as error:
        if (error.details or {}).get("keyPattern", {"_id": 1}) != {"_id": 1}:
            raise


def _find_final(sessions: Collection, query: Document, *, in_doubt: bool) -> Document | None:
    """Return the document that *query* finds, with every write that a majority acknowledged and no other.

    With *in_doubt* the answer to a write may have been lost, and a single server does not forget what is found.
    """
    servers = sessions.database.client.topology_description.server_descriptions().values()
    if not any(server.server_type_name == "Standalone" for server in servers):
        try:
            return sessions.with_options(read_concern=_LINEARIZABLE).find_one(query)
        except OperationFailure as error:
            if error.code != _NOT_A_REPLICA_SET:  # the client's first command shows what the server is
                raise
    found = sessions.find_one(query)
    if in_doubt:
        sessions.delete_one({"_id": ""})  # a write, even of nothing, waits until those before it are in the journal
    return found


def _make_indexes(sessions: Collection) -> dict[str, OperationFailure]:
    """Create the missing indexes, each by itself, and return those that the server refused, by field."""
    refused = {}
    for name, options in _INDEXES.items():
        try:
            sessions.create_index(name, **options)
        except OperationFailure as error:
            refused[name] = error
    return refused


def _in_words(refused: Mapping[str, OperationFailure]) -> str:
    reasons = {name: (error.details or {}).get("codeName") for name, error in refused.items()}
    return " and ".join(f"the index on {name} cannot be made ({reason})" for name, reason in reasons.items())


def _fields(data: bytes, expires_at: int, owner: str | None) -> Document:
    if len(data) > _MAX_BYTES:
        raise RecordTooLarge(len(data), _MAX_BYTES)
    fields = {"data": data, "expires_at": DatetimeMS(expires_at)}
    return fields if owner is None else {**fields, "owner": owner}


def _record(document: Document) -> Record:
    # A field accepts a value of any type, and other programs may write to the collection: such a record is empty.
    data, version, owner = (document.get(name) for name in ("data", "version", "owner"))
    expires_at = int(document["expires_at"])
    if not isinstance(version, int) or isinstance(version, bool):
        return Record(b"", b"", expires_at)
    if not isinstance(data, bytes) or not isinstance(owner, str | NoneType):
        return Record(b"", b"", expires_at)
    return Record(data, int(version), expires_at, owner)
