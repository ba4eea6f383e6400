"""Laws 1 to 5, 7 and 10: the operations on one record."""

from __future__ import annotations

import random

import pytest

from holdfast.errors import RecordTooLarge
from holdfast.stores.contract import Conflict, Indexes, Iterates, Record, Rotates, Version
from holdfast.testing.base import ContractBase, new_key
from holdfast.testing.concurrency import is_version


class Laws(ContractBase):
    """The operations on one record."""

    def test_a_record_comes_back_as_it_was_made(self) -> None:
        """`load` returns data, version, expiry and owner of the record that `create` made, on every client."""
        expires_at = self.later(3600)
        key = new_key()
        version = self.store.create(key, b"data", expires_at=expires_at, owner="ada")
        assert version is not None
        for store in (self.store, self.client()):
            self.assert_same(self.loaded(key, store), Record(b"data", version, expires_at, "ada"))

    def test_a_replaced_record_comes_back_as_it_was_written(self) -> None:
        """`load` returns data, version, expiry and owner that `replace` wrote, on every client."""
        key, version = self.make(owner="ada")
        other = self.client()
        self.loaded(key, other)
        expires_at = self.later(120)
        newer = self.store.replace(key, b"newer", expect=version, expires_at=expires_at, owner="bob")
        assert is_version(newer)
        for store in (self.store, other):
            self.assert_same(self.loaded(key, store), Record(b"newer", newer, expires_at, "bob"))

    def test_nothing_is_under_a_key_that_was_never_made(self) -> None:
        """For an unknown key the answers are None, Gone, False and False, and no record is created."""
        (_, version), key = self.make(), new_key()
        self.assert_no_record(key, version)
        assert self.store.delete(key) is False
        assert self.store.load(key) is None

    def test_keys_that_begin_alike_are_apart(self) -> None:
        """Two keys that differ in their last digit are two records; ending one leaves the other."""
        stem = new_key()[:63]
        self.create(stem + "0", b"zero")
        self.create(stem + "1", b"one")
        assert self.loaded(stem + "0").data == b"zero"
        assert self.store.delete(stem + "0") is True
        assert self.loaded(stem + "1").data == b"one"

    def test_law_1_create_never_overwrites(self) -> None:
        """`create` on a live record returns None and does not change it."""
        key, _ = self.make(b"first", owner="ada")
        before = self.loaded(key)
        for store in (self.store, self.client()):
            assert store.create(key, b"second", expires_at=self.later(600), owner="bob") is None
        self.assert_same(self.loaded(key), before)

    def test_law_2_replace_needs_the_current_version(self) -> None:
        """`replace` with an older version is a Conflict without a change; its record, if any, is the current one."""
        key, old = self.make(b"first")
        current = self.replace(key, old, b"second", owner="ada")
        before = self.loaded(key)
        answer = self.store.replace(key, b"third", expect=old, expires_at=self.later(600), owner="bob")
        assert isinstance(answer, Conflict)
        assert answer.current is None or (answer.current.data, answer.current.version) == (b"second", current)
        self.assert_same(self.loaded(key), before)

    def test_law_2_every_write_has_a_version_of_its_own(self) -> None:
        """No two writes of a key have the same version, from any client, even with equal data."""
        key, version = self.make()
        clients = [self.store, self.client()]
        seen: list[Version] = [version]
        for turn in range(6):
            answer = clients[turn % 2].replace(key, b"data", expect=seen[-1], expires_at=self.later())
            assert is_version(answer)
            assert answer not in seen
            seen.append(answer)

    def test_law_3_the_deleted_stays_deleted(self) -> None:
        """After `delete`, `replace` is Gone and `touch` is False on every client, and no record reappears."""
        key, version = self.make(owner="ada")
        clients = [self.store, self.client()]
        self.loaded(key, clients[1])
        assert self.store.delete(key) is True
        for store in clients:
            self.assert_no_record(key, version, store)

    def test_law_3_a_version_from_before_the_delete_never_matches(self) -> None:
        """A recreated key has new versions, also on a client that was opened later."""
        key, version = self.make(b"data")
        seen = [version]
        for _ in range(3):
            assert self.store.delete(key) is True
            remade = self.client().create(key, b"data", expires_at=self.later())
            assert remade is not None
            assert remade not in seen
            for old in seen:
                answer = self.store.replace(key, b"stale", expect=old, expires_at=self.later())
                assert isinstance(answer, Conflict)
            assert self.loaded(key).data == b"data"
            seen.append(remade)

    def test_law_4_touch_only_lengthens(self) -> None:
        """After `touch`, only the expiry differs, and is no earlier; a save begun before it still succeeds."""
        key, version = self.make(b"data", owner="ada")
        longest = self.later(600)
        for expires_at in (longest, self.later(60), self.clock() - 1):
            assert self.client().touch(key, expires_at=expires_at) is True
            self.assert_same(self.loaded(key), Record(b"data", version, longest, "ada"))
        self.replace(key, version, b"saved", owner="ada")

    def test_law_4_only_the_touched_lives_longer(self) -> None:
        """A touched record outlives its first expiry, an untouched one does not, and `replace` may shorten a life."""
        touched, _ = self.make(seconds=1)
        untouched, _ = self.make(seconds=1)
        shortened, version = self.make(seconds=600)
        assert self.store.touch(touched, expires_at=self.later(60)) is True
        self.replace(shortened, version, seconds=1)
        self.wait_until(self.later(1))
        assert self.store.load(touched) is not None
        assert self.store.load(untouched) is None
        assert self.store.load(shortened) is None

    def test_law_5_an_expired_record_is_not_there(self) -> None:
        """No operation returns, revives or counts an expired record, even before a purge."""
        key, version = self.make(owner="ada", seconds=1)
        self.wait_until(self.later(1))
        if isinstance(self.store, Indexes):
            assert self.owned("ada") == set()
        if isinstance(self.store, Iterates):
            assert self.walk(limit=100) == {}
        self.assert_no_record(key, version)
        assert self.store.delete(key) is False

    def test_law_5_create_takes_the_place_of_an_expired_record(self) -> None:
        """`create` over an expired record works, and no part of the old one is left, such as its version or owner."""
        key, old = self.make(b"old", owner="ada", seconds=1)
        self.wait_until(self.later(1))
        version = self.create(key, b"new", owner="bob")
        assert version != old
        assert isinstance(self.store.replace(key, b"stale", expect=old, expires_at=self.later()), Conflict)
        record = self.loaded(key)
        assert (record.data, record.version, record.owner) == (b"new", version, "bob")
        if isinstance(self.store, Indexes):
            assert self.owned("ada") == set()
            assert self.owned("bob") == {key}

    def test_law_5_a_record_expires_at_its_millisecond(self) -> None:
        """One millisecond before `expires_at` the record exists; at `expires_at` it does not."""
        clock = self.needs_fake_clock()
        key, _ = self.make(seconds=10)
        clock.advance_ms(9_999)
        assert self.store.load(key) is not None
        assert self.store.touch(key, expires_at=clock()) is True
        clock.advance_ms(1)
        assert self.store.load(key) is None
        assert self.store.touch(key, expires_at=self.later()) is False

    def test_law_5_a_record_may_be_born_expired(self) -> None:
        """With an `expires_at` that has passed, neither `create` nor `replace` leaves a record that can be loaded."""
        for expires_at in (self.clock(), self.clock() - 1, self.clock() - 86_400_000):
            key = new_key()
            self.store.create(key, b"data", expires_at=expires_at)
            assert self.store.load(key) is None
            version = self.create(key, b"data")
            self.store.replace(key, b"data", expect=version, expires_at=expires_at)
            assert self.store.load(key) is None

    def test_law_5_a_long_life_is_kept(self) -> None:
        """A record with an expiry in 400 days or ten years exists, with that expiry."""
        for days in (29, 31, 400, 3650):
            expires_at = self.later(days * 86_400)
            key = new_key()
            self.store.create(key, b"data", expires_at=expires_at)
            self.assert_expiry(self.loaded(key), expires_at)
            assert self.store.touch(key, expires_at=expires_at + 60_000) is True
            self.assert_expiry(self.loaded(key), expires_at + 60_000)

    def test_law_7_delete_is_idempotent(self) -> None:
        """The first `delete` returns True and removes the index entry, every further one False, on every client."""
        (key, _), (kept, _) = self.make(owner="ada"), self.make(owner="ada")
        assert self.store.delete(key) is True
        assert self.store.delete(key) is False
        assert self.client().delete(key) is False
        assert self.store.load(key) is None
        if isinstance(self.store, Indexes):
            assert self.owned("ada") == {kept}

    def test_law_10_data_comes_back_as_it_went_in(self) -> None:
        """Empty data, every byte value and data of `max_bytes` are returned as bytes, from `create` and `replace`."""
        samples = [
            b"",
            bytes(range(256)),
            b"\r\nEND\r\n\0\xff",
            "Schlüssel".encode("utf-16"),
            random.Random(10).randbytes(self.max_bytes),
        ]
        for data in samples:
            key, version = self.make(data)
            assert self.loaded(key).data == data
            assert type(self.loaded(key).data) is bytes
            self.store.replace(key, data[::-1], expect=version, expires_at=self.later())
            assert self.loaded(key).data == data[::-1]

    def test_law_10_what_is_too_large_is_refused_whole(self) -> None:
        """Data over the limit raises RecordTooLarge, and neither is stored nor prevents a smaller save or an end."""
        if self.too_large is None:
            pytest.skip("the store sets no limit: too_large is None")
        data = bytes(self.too_large)
        key = new_key()
        with pytest.raises(RecordTooLarge):
            self.store.create(key, data, expires_at=self.later())
        assert self.store.load(key) is None
        version = self.create(key)
        before = self.loaded(key)
        with pytest.raises(RecordTooLarge):
            self.store.replace(key, data, expect=version, expires_at=self.later())
        if isinstance(self.store, Rotates):
            new = new_key()
            with pytest.raises(RecordTooLarge):
                self.store.move(self.rotation(key, new, version)._replace(data=data))
            assert self.store.load(new) is None
        self.assert_same(self.loaded(key), before)
        self.replace(key, version, b"smaller")
        assert self.store.delete(key) is True
