"""Laws 6, 9, 11 and 12, and the promises of the capabilities. A test skips if the store lacks its capability."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

from holdfast.records.record import Conflict, Gone, Page, Record, Rotation
from holdfast.stores.contract import Closes, Discards, Indexes, Iterates, KeepsTime, LoadsFresh, Pings, Purges, Rotates
from holdfast.testing.base import ContractBase, new_key
from holdfast.testing.clock import FakeClock
from holdfast.testing.concurrency import is_version, rotate


class CapabilityLaws(ContractBase):
    """A store with an index, a scan, a purge or a rotation of its own."""

    def test_a_fresh_load_has_what_another_client_wrote(self) -> None:
        """`load_fresh` returns what another client stored since the last `load`, and None after a deletion there."""
        store: LoadsFresh = self.needs(LoadsFresh)
        key, version = self.make(b"old", owner="ada")
        self.loaded(key)
        other = self.client()
        other.replace(key, b"new", expect=version, expires_at=self.later(), owner="ada")
        record = store.load_fresh(key)
        assert record is not None
        assert record.data == b"new"
        self.assert_same(record, self.loaded(key, other))
        other.delete(key)
        assert store.load_fresh(key) is None

    def test_law_6_a_walk_of_the_index_has_every_record(self) -> None:
        """With any page size and client, a walk has each live record of the owner as `load` returns it, and ends.

        Touched and replaced records are among them, and no other owner's is.
        """
        self.needs(Indexes)
        made = [self.make(b"%d" % number, owner="ada") for number in range(11)]
        other, _, (newer, version), touched = self.make(owner="bob")[0], self.make(), made[0], made[1][0]
        self.replace(newer, version, b"newer", owner="ada", seconds=600)
        self.store.touch(touched, expires_at=self.later(600))
        for store, limit in itertools.product((self.store, self.client()), (1, 4, 11, 100)):
            seen = self.walk_of("ada", limit=limit, store=store)
            assert {key for key, record in seen.items() if record.owner == "ada"} == set(dict(made))
            for key, record in seen.items():
                self.assert_same(record, self.loaded(key))
        assert (self.owned("bob"), self.owned("nobody")) == ({other}, set())
        if isinstance(self.clock, FakeClock):  # past the first expiry of all
            self.clock.advance(300)
            assert self.owned("ada") == {newer, touched}

    def test_law_6_a_walk_of_the_index_includes_what_lasts(self) -> None:
        """Records made, touched, ended and rotated between two pages do not hide an owner's record that persists."""
        self.needs(Indexes)
        for number in range(4):  # a walk that loses records may be lucky once
            owner = f"ada {number}"
            self.assert_walk_is_whole(owner, partial(self.walk_of, owner, limit=2))

    def assert_walk_is_whole(self, owner: str, walk: Callable[..., dict[str, Record]]) -> None:
        """Assert that *walk* has the records of *owner* that last, whatever happens to others between two pages."""
        ended = [self.make(owner=owner)[0] for _ in range(8)]
        lasting = {self.make(owner=owner, seconds=30)[0] for _ in range(12)}

        def churn() -> None:
            if ended:
                self.store.delete(ended.pop())
                self.make(owner=owner, seconds=10)
                self.store.touch(min(lasting), expires_at=self.later(600))
                old, version = self.make(owner=owner)
                rotate(self.store, self.rotation(old, new_key(), version, owner))

        assert lasting <= walk(between=churn).keys()

    def test_law_6_a_walk_of_the_index_goes_on_after_a_deleted_record(self) -> None:
        """Deleting every record of a page, including its last, does not end the walk early."""
        store: Indexes = self.needs(Indexes)
        self.assert_deleting_ends_no_walk(lambda after: store.find("ada", after, limit=3))

    def assert_deleting_ends_no_walk(self, read: Callable[[str | None], Page]) -> None:
        """Assert that a walk by *read* is whole if every record is deleted as soon as it is met."""
        keys = {self.make(owner="ada")[0] for _ in range(12)}
        seen: set[str] = set()
        after, ended = None, False
        while not ended:
            page = read(after)
            for key, _ in page.items:
                seen.add(key)
                self.store.delete(key)
            after, ended = page.after, page.after is None
        assert seen == keys

    def test_law_6_odd_owners_do_not_mix(self) -> None:
        """Owners are compared whole and literally: wildcards, separators, case and length do not matter."""
        self.needs(Indexes)
        owners = ["ada", "Ada", "ada ", "ad", "a*", "a%", "_da", "ada:1", "ada/../bob", "ädä", "0" * 64, ""]
        keys = {owner: self.make(owner=owner)[0] for owner in owners}
        for owner, key in keys.items():
            assert self.owned(owner) == {key}
            assert self.loaded(key).owner == owner

    def test_law_7_discard_removes_the_unchanged(self) -> None:
        """`discard` removes each record that has its version, also from the index, and returns the keys of those.

        A record that has expired is none of them.
        """
        store: Discards = self.needs(Discards)
        ended = dict(self.make(owner="ada" if number else None) for number in range(5))
        (saved, stale), kept, expired = self.make(owner="ada"), self.make(owner="ada")[0], self.make(seconds=1)
        self.replace(saved, stale, b"saved", owner="ada", seconds=600)
        self.wait_until(self.later(1))
        assert store.discard(dict([*ended.items(), expired, (saved, stale), (new_key(), stale)])) == ended.keys()
        assert store.discard(ended) == set()
        assert store.discard({}) == set()
        assert self.loaded(saved, self.client()).data == b"saved"
        for key, version in ended.items():
            self.assert_no_record(key, version)
        if isinstance(self.store, Indexes):
            assert self.owned("ada") == {saved, kept}

    def test_law_9_scan_yields_every_live_record_once_through(self) -> None:
        """Whatever the page size, a scan ends and yields each live record as `load` returns it; of none, nothing."""
        assert self.walk(limit=10) == {}
        keys = {self.make(b"%d" % number, owner="ada")[0] for number in range(23)}
        for limit in (1, 7, 23, 1000):
            seen = self.walk(limit=limit)
            assert seen.keys() == keys
            for key, record in seen.items():
                self.assert_same(record, self.loaded(key))

    def test_law_9_scan_stands_inserts_and_deletes(self) -> None:
        """Records made, ended and rotated between two pages neither prolong the scan nor hide a lasting record."""
        self.needs(Iterates)
        self.assert_walk_is_whole("ada", partial(self.walk, limit=2))

    def test_law_9_scan_goes_on_after_a_deleted_record(self) -> None:
        """Deleting every record of a page, including its last, does not end the scan early."""
        store: Iterates = self.needs(Iterates)
        self.assert_deleting_ends_no_walk(lambda after: store.scan(after, limit=3))

    def test_law_11_the_index_entry_moves_with_the_owner(self) -> None:
        """After `replace` with another owner the key is in that owner's list only; with None in no list.

        A `replace` that returns Conflict or Gone does not change the index.
        """
        self.needs(Indexes)
        key, stale = self.make()
        version = stale
        for owner in ("ada", "bob", "bob", None, "ada"):
            version = self.replace(key, version, owner=owner)
            for name in ("ada", "bob"):
                assert self.owned(name) == ({key} if name == owner else set())
            assert self.loaded(key).owner == owner
        for refused in (key, new_key()):
            self.store.replace(refused, b"data", expect=stale, expires_at=self.later(), owner="bob")
        assert (self.owned("ada"), self.owned("bob")) == ({key}, set())

    def test_law_12_move_makes_the_new_and_supersedes_the_old(self) -> None:
        """`move` leaves data, expiry and owner under the new key, and an ownerless tombstone under the old one.

        The index has the new key under its owner, and the old key under none.
        """
        store: Rotates = self.needs(Rotates)
        (old, expect), kept = self.make(b"anonymous", owner="eve"), self.make(owner="eve")[0]
        new, expires_at, grace = new_key(), self.later(600), self.later(30)
        version = store.move(Rotation(old, new, b"signed in", b"dead", expect, expires_at, grace, "ada"))
        assert is_version(version)
        self.assert_same(self.loaded(new, self.client()), Record(b"signed in", version, expires_at, "ada"))
        tombstone = self.loaded(old)
        self.assert_same(tombstone, Record(b"dead", tombstone.version, grace))
        assert isinstance(self.store.replace(old, b"late", expect=expect, expires_at=self.later()), Conflict)
        if isinstance(self.store, Indexes):
            assert (self.owned("ada"), self.owned("eve")) == ({new}, {kept})
        self.replace(new, version, b"next", owner="ada")

    def test_law_12_a_refused_move_does_nothing(self) -> None:
        """On Conflict and on Gone the new key does not load, is in no index, and the old record is unchanged."""
        store: Rotates = self.needs(Rotates)
        old, stale = self.make(b"first", owner="ada")
        self.replace(old, stale, b"second", owner="ada")
        before, deleted, new = self.loaded(old), new_key(), new_key()
        rotation = Rotation(old, new, b"data", b"tombstone", stale, self.later(600), self.later(30), "bob")
        answer = store.move(rotation)
        assert isinstance(answer, Conflict)
        assert answer.current is None or answer.current.data == b"second"
        assert store.move(rotation._replace(old=deleted)) == Gone()
        assert self.store.load(new) is None
        assert self.store.load(deleted) is None
        self.assert_same(self.loaded(old), before)
        if isinstance(self.store, Indexes):
            assert (self.owned("ada"), self.owned("bob")) == ({old}, set())

    def test_purge_removes_only_the_expired_and_at_most_its_limit(self) -> None:
        """`purge` removes records that expired by *now*, at most *limit* at a time, and returns how many.

        Under their keys `create` works, with versions that none of them had.
        """
        store, clock = self.needs_to_purge()
        expired = [self.make(owner="ada", seconds=seconds) for seconds in (10, 20, 20, 20, 30)]
        living, _ = self.make(b"living", owner="ada", seconds=600)
        clock.advance(60)
        before = self.loaded(living)
        assert store.purge(clock() - 50_001) == 0
        assert store.purge(clock() - 50_000) == 1
        assert [store.purge(clock(), limit=2) for _ in range(4)] == [2, 2, 0, 0]
        self.assert_same(self.loaded(living), before)
        if isinstance(self.store, Indexes):
            assert self.owned("ada") == {living}
        assert all(self.create(key) != version for key, version in expired)
        assert store.purge(clock()) == 0

    def test_purge_reports_whose_records_it_removed(self) -> None:
        """*report* gets the key and the owner of each record with an owner that is removed, and of no other."""
        store, clock = self.needs_to_purge()
        expected = {(self.make(owner=owner, seconds=10)[0], owner) for owner in ("ada", "bob")}
        self.make(seconds=10)
        self.make(owner="ada", seconds=600)
        clock.advance(60)
        reported: list[tuple[str, str]] = []
        assert store.purge(clock(), report=lambda key, owner: reported.append((key, owner))) == 3
        assert set(reported) == expected
        assert len(reported) == 2

    def test_a_host_whose_clock_is_ahead_purges_no_live_record(self) -> None:
        """Where the server has a clock, `purge` removes nothing that has not expired by it, at any time it is given."""
        time, store, key = self.needs(KeepsTime), self.needs(Purges), new_key()
        assert self.store.create(key, b"data", expires_at=max(self.later(), time.now() + 60_000)) is not None
        assert store.purge(self.clock() + 30 * 86_400_000) == 0
        assert self.loaded(key).data == b"data"

    def test_ping_returns_while_the_store_answers(self) -> None:
        """`ping` returns None on a store that works, and leaves nothing in it."""
        store: Pings = self.needs(Pings)
        store.ping()
        assert not isinstance(store, Iterates) or store.scan().items == ()

    def test_close_can_be_called_twice_and_ends_no_record(self) -> None:
        """Closing one client, twice, does not affect the others."""
        self.needs(Closes)
        client = self.client()
        key, _ = self.make()
        assert client.load(key) is not None
        assert isinstance(client, Closes)
        client.close()
        client.close()
        assert self.loaded(key).data == b"data"
        assert self.loaded(key, self.client()).data == b"data"
