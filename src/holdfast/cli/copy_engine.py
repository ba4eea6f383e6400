"""Copying all records from one store to another while the source is in use.

A pass walks the source and writes to the target what is new or changed since it was last copied. Then it removes what
was copied once and is at the source no more: who logged out there must not be logged in here. Passes are repeated
until one finds nothing to do, and a last walk compares every record.

Records are copied as they are: data, expiry and owner under the same key. Nothing of them is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from holdfast.cli.copy_state import Copied, Journal
from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, HoldfastError
from holdfast.records.record import Conflict, Gone, Page, Record, Version
from holdfast.stores.contract import Iterates, Store

S = TypeVar("S")
T = TypeVar("T")

#: Records in one step. No more than SQLite's oldest limit for the marks of a statement, 999.
PAGE = 500
_ATTEMPTS = 10


class TargetChanged(HoldfastError):
    """What was copied is not at the target any more, or is another record: somebody else writes there."""

    def __init__(self, count: int) -> None:
        what = f"{count} of the records that were copied are" if count > 1 else "a record that was copied is"
        super().__init__(
            f"{what} gone from the target or changed there: does an application use the target already, or does the "
            "server drop records to save memory? To begin again, empty the target and remove the file of --state"
        )


@dataclass(slots=True)
class Tally:
    """What one pass did, in records.

    Attributes:
        number: The pass.
        seen: Those at the source.
        copied: Those that were written to the target.
        deleted: Those that were removed from the target.
        equal: In a comparison, those that were found equal.
        resumed: Whether an earlier process did the first part of the pass.
    """

    number: int
    seen: int = 0
    copied: int = 0
    deleted: int = 0
    equal: int = 0
    resumed: bool = False
    changed: int = field(default=0, repr=False)

    @property
    def is_quiet(self) -> bool:
        """Whether this was a whole pass that found nothing to do."""
        return not (self.copied or self.deleted or self.changed or self.resumed)


class _Task(NamedTuple):
    key: str
    record: Record
    known: Copied | None


class Copy:
    """A copy of all records in *source* to *target*.

    Args:
        source: A store that `Iterates`.
        target: Any store that nobody else writes to.
        journal: What was copied so far.
        workers: How many threads write.
        report: Called with the tally after each step.
        clock: The time.

    Raises:
        ConfigurationError: The source cannot be walked.
    """

    def __init__(
        self,
        source: Store,
        target: Store,
        journal: Journal,
        *,
        workers: int = 4,
        report: Callable[[Tally], object] = lambda tally: None,  # noqa: ARG005
        clock: Clock = system_clock,
    ) -> None:
        if not isinstance(source, Iterates):
            raise ConfigurationError(f"a {type(source).__name__} cannot list what it holds, so it cannot be copied")
        self._source: Store = source
        self._scan = source.scan
        self._target = target
        self._journal = journal
        self._workers = workers
        self._report = report
        self._clock = clock

    def one_pass(self) -> Tally:
        """Go through the source once, from where the last pass was interrupted, and return what was done.

        Raises:
            TargetChanged: Somebody else writes to the target.
            StoreUnavailable: A store failed. The next call goes on from here.
        """
        return self._walk(self._copy_page, self._delete)

    def compare(self) -> Tally:
        """Compare every record at the source with its copy, and the other way round, and return what was found.

        What has changed at the source meanwhile counts as changed, and is left to the next pass.

        Raises:
            TargetChanged: A copy is not as it was made.
        """
        return self._walk(self._compare_page, self._count_deleted)

    def _walk(
        self, step: Callable[[Tally, dict[str, Record], str | None], None], leave: Callable[[Tally, list[str]], None]
    ) -> Tally:
        number, reached = self._journal.begin_pass()
        tally = Tally(number, resumed=reached is not None)
        while True:
            page = self._scan(reached, limit=PAGE)
            tally.seen += len(page.items)
            parts = _parts(page)
            for index, records in enumerate(parts, 1):
                step(tally, records, (index == len(parts) and page.after) or reached)
                self._report(tally)
            reached = page.after
            if reached is None:
                break
        for keys in self._journal.unseen():
            leave(tally, keys)
            self._report(tally)
        self._journal.end_pass()
        return tally

    def _copy_page(self, tally: Tally, records: dict[str, Record], reached: str | None) -> None:
        known = self._journal.known(records)
        tasks = [
            _Task(key, record, known.get(key))
            for key, record in records.items()
            if not _is_current(record, known.get(key))
        ]
        if tasks:
            self._journal.intend(task.key for task in tasks)
        copied = dict(zip((task.key for task in tasks), self._each(self._put, tasks), strict=True))
        tally.copied += len(copied)
        self._journal.note(copied, records.keys() - copied.keys(), reached)

    def _put(self, task: _Task) -> Copied:
        record, known = task.record, task.known
        if known is None or known.there is None:
            there = self._make(task.key, record)
        else:
            there = self._renew(task.key, record, known, known.there)
        return Copied(record.version, record.expires_at, there)

    def _make(self, key: str, record: Record) -> Version:
        """Write a record of which it is not known whether the target has it."""
        for _ in range(_ATTEMPTS):
            made = self._target.create(key, record.data, expires_at=record.expires_at, owner=record.owner)
            if made is not None:
                return made
            current = self._target.load(key)
            if current is None:
                continue
            if _is_same(current, record):
                return current.version
            answer = self._replace(key, record, current.version)
            if not isinstance(answer, Conflict | Gone):
                return answer
        raise TargetChanged(1)

    def _renew(self, key: str, record: Record, known: Copied, there: Version) -> Version:
        """Write a record whose copy is known, and must be as it was made unless it has expired."""
        if record.version == known.version and record.expires_at > known.expires_at:
            if self._target.touch(key, expires_at=record.expires_at):
                return there
        else:
            answer = self._replace(key, record, there)
            if not isinstance(answer, Conflict | Gone):
                return answer
            if isinstance(answer, Conflict):
                raise TargetChanged(1)
        if known.expires_at > self._clock():
            raise TargetChanged(1)
        return self._make(key, record)

    def _replace(self, key: str, record: Record, expect: Version) -> Version | Conflict | Gone:
        return self._target.replace(key, record.data, expect=expect, expires_at=record.expires_at, owner=record.owner)

    def _delete(self, tally: Tally, keys: list[str]) -> None:
        outcomes = dict(zip(keys, self._each(self._delete_one, keys), strict=True))
        tally.deleted += sum(outcome is True for outcome in outcomes.values())
        self._journal.forget(key for key, outcome in outcomes.items() if outcome is not None)

    def _delete_one(self, key: str) -> bool | None:
        """Return whether a record was removed; None when it is at the source after all."""
        return None if self._source.load(key) else self._target.delete(key)

    def _compare_page(self, tally: Tally, records: dict[str, Record], reached: str | None) -> None:
        known = self._journal.known(records)
        current = {key: record for key, record in records.items() if _is_current(record, known.get(key))}
        tally.changed += len(records) - len(current)
        outcomes = list(self._each(self._is_equal, current.items()))
        if lost := outcomes.count(False):
            raise TargetChanged(lost)
        tally.equal += outcomes.count(True)
        tally.changed += outcomes.count(None)
        self._journal.note({}, records, reached)

    def _is_equal(self, item: tuple[str, Record]) -> bool | None:
        """Tell whether the copy is as the record; None when the record has changed meanwhile."""
        key, record = item
        copy = self._target.load(key)
        if copy is not None and _is_same(copy, record):
            return True
        now = self._source.load(key)
        return False if now is not None and _is_same(now, record) else None

    def _count_deleted(self, tally: Tally, keys: list[str]) -> None:
        live = list(self._each(self._target.load, keys))
        tally.changed += len(live) - live.count(None)

    def _each(self, work: Callable[[S], T], items: Iterable[S]) -> list[T]:
        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(work, items))


def is_empty(store: Store) -> bool:
    """Tell whether *store* holds no live record, as far as it can list them.

    Raises:
        StoreUnavailable: It failed.
    """
    after = None
    while isinstance(store, Iterates):
        page = store.scan(after, limit=PAGE)
        if page.items:
            return False
        after = page.after
        if after is None:
            break
    return True


def _parts(page: Page) -> list[dict[str, Record]]:
    # A page may be longer than asked for, and may name a key twice.
    items = list(dict(page.items).items())
    return [dict(items[start : start + PAGE]) for start in range(0, len(items), PAGE)]


def _is_current(record: Record, known: Copied | None) -> bool:
    return known is not None and (known.version, known.expires_at) == (record.version, record.expires_at)


def _is_same(one: Record, other: Record) -> bool:
    return (one.data, one.expires_at, one.owner) == (other.data, other.expires_at, other.owner)
