"""The contract between Holdfast and a store of records.

A store is a dumb, atomic, versioned, expiring byte cell with one optional index value. Tokens, hashing, encryption,
serializing, merging, timeouts, cookies and events belong to the core; a store never sees any of them.
`holdfast.testing.StoreContract` checks the whole contract.

**Keys** are 64 lower-case hex digits made by the core. **Times** (*expires_at*, *grace_until*, *now*) are absolute, in
milliseconds since the epoch, from the core's clock. **Data** is binary, from no bytes to the store's limit. A record is
**live** if it exists and *expires_at* is later than now. An expired record counts as missing, purged or not.

Expected outcomes are return values. An exception means that the system is broken, and it is one of two:
`StoreUnavailable` (no answer, or a fault) and `RecordTooLarge`. In an outage a store never returns None, Gone or False.

The laws:

1.  `create` never overwrites a live record.
2. Of any number of concurrent `replace` calls that expect one version, exactly one succeeds.
3.  After `delete` returned, `replace` is `Gone` and `touch` is False, for ever: only `create` and the *new* side of
    `move` make a record, and a version from before the delete never matches again.
4. `touch` changes neither data nor version, never shortens a life, never revives a record.
5.  From *expires_at* on, a record is invisible to `load`, `replace`, `touch`, `find` and `scan`.
6. A walk of ``find(o)`` ends, and returns every record that lives with owner *o* throughout. If an entry of the index
    leads to another record, such as a tombstone, that may be in a page too; the core filters.
7.  `delete` is idempotent.
8. In an outage every method raises.
9.  `scan` ends, and yields every record that lives throughout.
10. Data is returned byte for byte.
11. Changing the owner moves the index entry.
12. `move` is all or nothing: on `Gone` or `Conflict` the new key does not load, and a crash between its steps
    leaves at least one key that works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from holdfast.errors import ConfigurationError
from holdfast.records.record import Conflict, Gone, Page, Record, Rotation, Version

__all__ = [
    "CAPABILITIES", "METHODS", "OPERATIONS", "ChecksHealth", "Closes", "Confirms", "Conflict", "Discards", "Gone",
    "HealthFinding", "Indexes", "Iterates", "KeepsTime", "LoadsFresh", "Needs", "Page", "Pings", "Prepares", "Purges",
    "Record", "Rotates", "Rotation", "Store", "Version", "capabilities_of", "iterate",
]  # fmt: skip


class Store(Protocol):
    """The five methods every store has."""

    def load(self, key: str, /) -> Record | None:
        """Return the live record under *key*, or None when it is missing or expired. Never writes."""

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        """Make a record if no live one exists, and return its version, else None without a change.

        With an *owner*, the index entry is written before the record can be loaded.

        Raises:
            RecordTooLarge: The data exceeds the limit; nothing is stored.
        """

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        """Write data, expiry and owner if the live record still has the version *expect*, and return the new version.

        *expires_at* may be earlier than before. Returns `Conflict` when the record has another version and `Gone` when
        no live record exists; neither writes anything.

        Raises:
            RecordTooLarge: The data exceeds the limit; the old record is intact.
        """

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        """Extend the live record to *expires_at* if that is later, and return True; False when there is none."""

    def delete(self, key: str, /) -> bool:
        """Remove the record and its index entry. Return whether a live one existed."""


@runtime_checkable
class LoadsFresh(Protocol):
    """A store whose `load` may return what is not final: from a cache, or what a failover may undo."""

    def load_fresh(self, key: str, /) -> Record | None:
        """Return the live record under *key*, or None, with every acknowledged write and no other.

        For a permanent decision.

        Raises:
            StoreUnavailable: The store does not answer, or cannot be sure.
        """


@runtime_checkable
class Rotates(Protocol):
    """A store that rotates in one atomic step. Without it the core uses create, replace and delete."""

    def move(self, rotation: Rotation, /) -> Version | Conflict | Gone:
        """Create the new record of *rotation*, and replace the old one by the ownerless tombstone.

        Happens only if the live record under the old key still has the version *expect*; returns the version of the new
        one. Returns `Conflict` (about the old key) or `Gone` with nothing written.
        """


@runtime_checkable
class Discards(Protocol):
    """A store that removes many records in few steps. Without it the core ends each by itself."""

    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        """Remove each live record that has its version in *versions*, and its index entry; return the keys of those.

        What holds after `delete` holds for each. One that has another version stays, and its key is not returned. A
        failure may leave some removed and others not.
        """


@runtime_checkable
class Indexes(Protocol):
    """A store that finds the records of an owner."""

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        """Return about *limit* live records of *owner* after *after* (None: the start), and the next position.

        A record may be returned twice. A store that reads the index and then the records returns each record that it
        finds there, including another's: a tombstone shows the core that a session moved meanwhile, and that it must
        look again.
        """


@runtime_checkable
class Iterates(Protocol):
    """A store that can list all its records."""

    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        """Return about *limit* live records after the position *after* (None: the start), and the next position.

        A record that lives through the whole scan is yielded at least once; it may be yielded twice.

        Raises:
            ValueError: No page ends at *after*, as far as the store can tell.
        """


#: Gets the key and the owner of a record that was removed.
Report: TypeAlias = Callable[[str, str], object]


@runtime_checkable
class Purges(Protocol):
    """A store that does not remove expired records by itself."""

    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        """Remove records with ``expires_at <= now``, and return how many.

        *report* gets the key and the owner of each one that had an owner, outside of locks and transactions.

        On a store that `KeepsTime`, they have expired by that clock too, so that a host whose clock is ahead removes
        no live record. At most about *limit* records that may be due are looked at, removed or not. A record that is
        touched meanwhile survives. Does not block other calls for longer than one batch.
        """


@runtime_checkable
class KeepsTime(Protocol):
    """A store whose server has a clock, which all hosts share."""

    def now(self) -> int:
        """Return the server's time in milliseconds since the epoch.

        Raises:
            StoreUnavailable: It does not answer.
        """


@runtime_checkable
class Pings(Protocol):
    """A store with a health check."""

    def ping(self) -> None:
        """Return if the store answers, and would take a write where that shows without one. Nothing is written.

        Raises:
            StoreUnavailable: It does not, or would not.
        """


@runtime_checkable
class Needs(Protocol):
    """A store that needs a file, a folder, a table or a collection, which its first use creates."""

    def missing(self) -> str | None:
        """Return the missing one, such as ``"file /srv/sessions.db"``, or None. Creates nothing.

        Raises:
            StoreUnavailable: The store does not answer.
        """


@runtime_checkable
class Prepares(Protocol):
    """A store that can create a table or indexes before its first use."""

    def prepare(self) -> None:
        """Create the missing parts, whether or not the first use would. Existing parts do not change. Idempotent.

        Raises:
            StoreUnavailable: The store does not answer, or refuses permission.
            ConfigurationError: Another object has the name.
        """


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """One fact that a store found about its database, server or folder.

    Attributes:
        name: The subject, in a word or two, such as ``"eviction"``.
        found: The result, in a sentence.
        fix: The change to make. Default: empty, none.
        ok: Whether it is as it should be; None if unknown, or if a person must decide.
    """

    name: str
    found: str
    fix: str = ""
    ok: bool | None = field(kw_only=True)


@runtime_checkable
class ChecksHealth(Protocol):
    """A store that can check the settings of its server or folder."""

    def check_health(self) -> Sequence[HealthFinding]:
        """Return one finding for each thing checked. Writes only what other calls write too.

        Raises:
            StoreUnavailable: The store does not answer.
        """


@runtime_checkable
class Confirms(Protocol):
    """A store that may lose acknowledged writes, and can report their replication. Other stores count as confirmed."""

    def confirm(self, key: str, /) -> bool:
        """Return whether every write to *key* so far is replicated as configured.

        False means that this is unknown: a deleted record may come back when a server is lost.

        Raises:
            StoreUnavailable: The store did not answer, so this is unknown too.
        """


@runtime_checkable
class Closes(Protocol):
    """A store that holds connections or files."""

    def close(self) -> None:
        """Release the resources that the store itself opened, not those it was given. Idempotent."""


#: The capabilities that a store may have, each with its one method. Every other list of them is derived from this one.
CAPABILITIES: Mapping[type, str] = {
    LoadsFresh: "load_fresh",
    Rotates: "move",
    Discards: "discard",
    Indexes: "find",
    Iterates: "scan",
    Purges: "purge",
    KeepsTime: "now",
    Pings: "ping",
    Needs: "missing",
    Prepares: "prepare",
    ChecksHealth: "check_health",
    Confirms: "confirm",
    Closes: "close",
}

#: The capabilities that requests do not use: they concern the server or folder of the records.
ABOUT_PLACE = frozenset((Pings, Needs, Prepares, ChecksHealth, Closes))

#: The methods of every store.
METHODS = ("load", "create", "replace", "touch", "delete")

#: The methods of a store that has every capability.
OPERATIONS = (*METHODS, *CAPABILITIES.values())


def capabilities_of(store: object) -> frozenset[type]:
    """Return the capabilities that *store* has."""
    return frozenset(each for each, method in CAPABILITIES.items() if callable(getattr(store, method, None)))


def iterate(store: Store, *, limit: int = 500) -> Iterator[Page]:
    """Yield page after page of all live records in *store*, about *limit* each.

    Raises:
        ConfigurationError: The store cannot list its records.
    """
    if not isinstance(store, Iterates):
        raise ConfigurationError(f"{type(store).__name__} cannot list what it holds: use a store that can")
    page = store.scan(None, limit=limit)
    yield page
    while page.after is not None:
        page = store.scan(page.after, limit=limit)
        yield page
