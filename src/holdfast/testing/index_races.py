"""The races over the index and the purge, between threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

from holdfast.stores.contract import Conflict, Gone, Indexes, Store, Version
from holdfast.testing.base import ContractBase, new_key
from holdfast.testing.concurrency import during, is_version, rotate, together


class IndexRaces(ContractBase):
    """Concurrent creation, binding, rotation, deletion and purge of an owner's records."""

    def test_law_6_no_record_is_ever_seen_without_its_index_entry(self) -> None:
        """As soon as `load` returns an owner from a `create`, a `replace` or a rotation, the index has the record."""
        self.needs(Indexes)
        writer, until = self.clients(2)[0], self.later()
        for turn in range(self.rounds):
            made, (bound, version), (old, expect), new = new_key(), self.make(), self.make(), new_key()
            self.watch(made, f"new {turn}", partial(writer.create, made, b"", expires_at=until))
            self.watch(bound, f"bound {turn}", partial(writer.replace, bound, b"", expect=version, expires_at=until))
            step = self.rotation(old, new, expect)
            self.watch(new, f"moved {turn}", lambda owner, step=step: rotate(writer, step._replace(owner=owner)))

    def watch(self, key: str, owner: str, write: Callable[..., object]) -> None:
        """Run *write* for *owner*, and check that the index never lacks a record under *key* that has the owner."""
        reader = self.clients(2)[1]

        def read() -> None:
            record = reader.load(key)
            if record is not None and record.owner == owner:
                assert key in self.owned(owner, reader), "load returns the record and the index lacks it"

        during(partial(write, owner=owner), read)
        assert self.owned(owner) == {key}

    def test_race_8_ending_all_of_an_owner_catches_rotations(self) -> None:
        """Listing and deleting until the list is empty leaves no record of the owner, even during rotations."""
        self.needs(Indexes)
        rotator, ender = self.clients(2)
        for turn in range(self.rounds):
            owner = f"owner {turn}"
            (first, version), keys = self.make(owner=owner), [new_key() for _ in range(4)]
            together(
                partial(self.rotate_on, rotator, [first, *keys], version, owner), partial(self.end_all, ender, owner)
            )
            left = [record for key in [first, *keys] if (record := self.store.load(key)) and record.owner == owner]
            assert left == []
            assert self.owned(owner) == set()

    def rotate_on(self, store: Store, keys: list[str], version: Version, owner: str) -> None:
        """Rotate from each of *keys* to the next until the record is gone."""
        expect = version
        for old, new in itertools.pairwise(keys):
            answer = rotate(store, self.rotation(old, new, expect, owner))
            if isinstance(answer, Conflict | Gone):
                return
            expect = answer

    def end_all(self, store: Store, owner: str) -> None:
        """Delete the owner's live records until a listing has no record that is new.

        One pass is not enough: a record may have been rotated before it is deleted, and if an entry of the index leads
        to a tombstone, its successor may have been indexed since.
        """
        met: set[str] = set()
        while True:
            new = {key: record for key, record in self.walk_of(owner, store=store).items() if key not in met}
            if not new:
                return
            met.update(new)
            for key, record in new.items():
                if record.owner == owner:
                    store.delete(key)

    def test_race_9_concurrent_logins_are_all_in_the_index(self) -> None:
        """Sessions of one owner that are created, bound and ended at once leave exactly the live ones in the index."""
        self.needs(Indexes)
        clients = self.clients(5)
        for turn in range(self.rounds):
            owner, expires_at = f"owner {turn}", self.later()
            made, (bound, version), (ended, _) = [new_key(), new_key()], self.make(), self.make(owner=owner)
            stays, _ = self.make(owner=owner)
            together(
                partial(clients[0].create, made[0], b"", expires_at=expires_at, owner=owner),
                partial(clients[1].create, made[1], b"", expires_at=expires_at, owner=owner),
                partial(clients[2].replace, bound, b"", expect=version, expires_at=expires_at, owner=owner),
                partial(clients[3].delete, ended),
                partial(clients[4].touch, stays, expires_at=self.later(600)),
            )
            assert self.owned(owner) == {*made, bound, stays}

    def test_race_10_what_is_saved_during_a_purge_survives(self) -> None:
        """During a purge that is ahead of the clock, True from `touch` and a version from `replace` mean live."""
        store, _ = self.needs_to_purge()
        toucher = self.clients(2)[1]
        for _ in range(self.rounds):
            touched = [self.make(seconds=1)[0] for _ in range(4)]
            saved = [self.make(seconds=1) for _ in range(4)]
            answers, _ = together(
                partial(self.touch_and_save, toucher, touched, saved), partial(store.purge, self.later(1))
            )
            assert [self.store.load(key) is not None for key in [*touched, *dict(saved)]] == answers

    def touch_and_save(self, store: Store, touched: list[str], saved: list[tuple[str, Version]]) -> list[bool]:
        """Touch and replace the given records. Return those that are reported live."""
        expires_at = self.later(600)
        answers = [store.touch(key, expires_at=expires_at) for key in touched]
        return answers + [
            is_version(store.replace(key, b"", expect=version, expires_at=expires_at)) for key, version in saved
        ]

    def test_race_10_what_is_made_anew_during_a_purge_survives(self) -> None:
        """A record that `create` makes in place of an expired one is not purged as expired."""
        store, clock = self.needs_to_purge()
        maker = self.clients(2)[1]
        for _ in range(self.rounds):
            keys = [self.make(b"old", owner="eve", seconds=1)[0] for _ in range(4)]
            clock.advance(1)
            remake = partial(self.make_anew, maker, keys)
            together(remake, partial(store.purge, clock()))
            assert [self.loaded(key).data for key in keys] == [b"new"] * 4
            for key in keys:
                self.store.delete(key)

    def make_anew(self, store: Store, keys: list[str]) -> None:
        """Create a record under each of *keys*."""
        for key in keys:
            assert store.create(key, b"new", expires_at=self.later(), owner="ada") is not None
