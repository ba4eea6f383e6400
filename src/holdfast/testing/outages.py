"""Law 8 and the races R11 and R12: a store whose server or disk fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest

from holdfast.errors import StoreUnavailable
from holdfast.stores.contract import Conflict, Gone, Record, Rotation, Version
from holdfast.testing.base import ContractBase, Fault, new_key
from holdfast.testing.concurrency import TOMBSTONE, is_version, rotate


class Outages(ContractBase):
    """A store whose server or disk fails."""

    def test_law_8_an_outage_raises(self) -> None:
        """Without any answer, every operation raises StoreUnavailable; afterwards the store works by itself.

        The outage changes nothing: the version from before it still matches.
        """
        key, version = self.make(owner="ada")
        before = self.loaded(key)
        with self.disturbed(Fault.DOWN):
            for operation, call in self.calls(key, version).items():
                with pytest.raises(StoreUnavailable):
                    assert not operation, f"{operation} answered {call()!r} during an outage"
        self.assert_same(self.recovered(key), before)
        self.replace(key, version, owner="ada")

    def test_race_11_a_save_whose_answer_was_lost_is_no_conflict(self) -> None:
        """If the connection drops after a write is applied, the answer is an error or correct for that write."""
        self.assert_honest_when(Fault.REPLY_LOST)

    def test_race_11_a_save_that_never_arrived_is_no_conflict(self) -> None:
        """If the connection drops before a write is applied, the answer is an error or correct for that write."""
        self.assert_honest_when(Fault.REQUEST_LOST)

    def test_race_11_a_save_whose_answer_was_lost_is_applied_once(self) -> None:
        """With another save before the store sees the loss, the answer is an error or the version of its own write."""
        key, version = self.make(b"made")
        self.replace(key, version, b"old")
        version = self.loaded(key).version  # the store's caches and statements are ready: the save is one call
        other, theirs = self.client(), list[Version | Conflict | Gone]()

        def save_too() -> None:
            if theirs:  # a class may disturb several links
                return
            record = self.loaded(key, other)
            data = record.data + b", theirs"
            theirs.append(other.replace(key, data, expect=record.version, expires_at=self.later()))

        self.meanwhile: Callable[[], object] | None = save_too
        try:
            with self.disturbed(Fault.REPLY_LOST), suppress(StoreUnavailable):
                answer = self.store.replace(key, b"mine", expect=version, expires_at=self.later())
                assert not isinstance(answer, Conflict | Gone), f"a save that was applied answered {answer!r}"
        finally:
            self.meanwhile = None
        if not theirs:
            pytest.skip(f"{type(self).__name__}.disturb() does not call meanwhile")
        assert not isinstance(theirs[0], Conflict | Gone)
        assert self.loaded(key).data == b"mine, theirs"

    def test_race_14_a_login_whose_answer_was_lost_leaves_one_id(self) -> None:
        """If the connection drops after a rotation, the user can sign in again at once, or go on."""
        self.assert_one_id_after(Fault.REPLY_LOST)

    def test_race_14_a_login_that_never_arrived_leaves_one_id(self) -> None:
        """If the connection drops before a rotation, the user can sign in again at once, or go on."""
        self.assert_one_id_after(Fault.REQUEST_LOST)

    def assert_one_id_after(self, fault: Fault) -> None:
        """Assert that after a rotation under *fault* the old key or the new one has the session.

        One that was not applied can be repeated at once, and the owner can begin another session.
        """
        old, version = self.make(b"old", owner="ada")
        new = new_key()
        with self.disturbed(fault), suppress(StoreUnavailable):
            rotate(self.store, self.rotation(old, new, version, "ada"))
        left = self.recovered(old)
        other = self.client()
        if left.data == TOMBSTONE:
            assert self.loaded(new, other).data == b"new"
        else:
            assert (left.data, left.version) == (b"old", version)
            other.delete(new)  # what the core does, as a store without `Rotates` may have made it
            assert is_version(rotate(other, self.rotation(old, new_key(), version, "ada")))
        assert other.create(new_key(), b"again", expires_at=self.later(), owner="ada") is not None

    def test_race_12_silence_is_an_outage(self) -> None:
        """Without an answer, load and save raise StoreUnavailable within `patience` seconds each."""
        key, version = self.make()
        with self.disturbed(Fault.SILENT):
            for operation in ("load", "replace"):
                start = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    self.calls(key, version)[operation]()
                assert time.monotonic() - start <= self.patience

    def calls(self, key: str, version: Version, made: str | None = None) -> dict[str, Callable[[], object]]:
        """Return a call of each of the store's operations, by name, on the record under *key* and on a new one."""
        made = made or new_key()
        store, soon = cast(Any, self.store), self.later(120)
        calls: dict[str, Callable[[], object]] = {
            "load": lambda: store.load(key),
            "create": lambda: store.create(made, b"made", expires_at=soon, owner="ada"),
            "replace": lambda: store.replace(key, b"saved", expect=version, expires_at=soon, owner="ada"),
            "touch": lambda: store.touch(key, expires_at=soon),
            "delete": lambda: store.delete(key),
            "load_fresh": lambda: store.load_fresh(key),
            "move": lambda: store.move(Rotation(key, made, b"moved", b"dead", version, soon, soon, "ada")),
            "discard": lambda: store.discard({key: version, made: version}),
            "find": lambda: store.find("ada"),
            "scan": lambda: store.scan(None, limit=10),
            "purge": lambda: store.purge(self.clock()),
            "now": lambda: store.now(),  # noqa: PLW0108  # it may have none
            "ping": lambda: store.ping(),  # noqa: PLW0108
        }
        return {name: call for name, call in calls.items() if hasattr(store, name)}

    def recovered(self, key: str) -> Record:
        """Return the record under *key* once the store works again, which takes at most `patience` seconds."""
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return self.loaded(key)
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def assert_honest_when(self, fault: Fault) -> None:
        """Assert that under *fault* each write raises, or returns the correct answer for the record."""
        for operation in ("create", "replace", "touch", "delete", "move", "discard"):
            key, version = self.make(b"old")
            made = new_key()
            call = self.calls(key, version, made).get(operation)
            if call is None:
                continue
            try:
                with self.disturbed(fault):
                    answer = call()
            except StoreUnavailable:
                continue
            if operation == "discard":
                assert answer == {key}, f"it returned {answer!r}, and removed {key}"
            elif operation in {"touch", "delete"}:
                assert answer is True, f"{operation} answered {answer!r} for a live record"
            else:
                record = self.loaded(key if operation == "replace" else made)
                assert answer == record.version, f"{operation} answered {answer!r} though it was applied"
