"""The races over one record, between threads: each on two clients, many times, with the threads started at once."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

from holdfast.stores.contract import Conflict, Discards, Gone, Record, Rotates, Store
from holdfast.testing.base import ContractBase, new_key
from holdfast.testing.concurrency import TOMBSTONE, assert_counted, count, during, is_version, rotate, together


class RecordRaces(ContractBase):
    """Several clients that use one record at once."""

    def test_law_1_one_of_many_creates_wins(self) -> None:
        """Of four concurrent `create` calls on one key exactly one makes the record, and its data is that one's."""
        clients = self.clients(4)
        for _ in range(self.rounds):
            key, until = new_key(), self.later()
            answers = together(*(partial(s.create, key, b"%d" % n, expires_at=until) for n, s in enumerate(clients)))
            winners = [number for number, answer in enumerate(answers) if answer is not None]
            assert len(winners) == 1
            record = self.loaded(key)
            assert (record.data, record.version) == (b"%d" % winners[0], answers[winners[0]])

    def test_law_2_one_of_many_replaces_wins(self) -> None:
        """Of four concurrent `replace` calls that expect one version one wins, and the others are Conflicts."""
        clients = self.clients(4)
        for _ in range(self.rounds):
            key, version = self.make()
            limits: dict[str, Any] = {"expect": version, "expires_at": self.later()}
            answers = together(*(partial(s.replace, key, b"%d" % n, **limits) for n, s in enumerate(clients)))
            winners = [number for number, answer in enumerate(answers) if is_version(answer)]
            assert len(winners) == 1
            assert sum(isinstance(answer, Conflict) for answer in answers) == 3
            record = self.loaded(key)
            assert (record.data, record.version) == (b"%d" % winners[0], answers[winners[0]])

    def test_law_10_no_reader_sees_half_a_save(self) -> None:
        """A `load` during a `replace` returns one record or the other: data, version and owner belong together."""
        writer, reader = self.clients(2)
        size = min(20_000, self.max_bytes)
        key, version = self.make(b"0" * size, owner="0")
        written = {version: b"0"}
        seen: list[Record] = []

        def write() -> None:
            for number in range(1, self.rounds):
                digit, expect = b"%d" % (number % 10), self.loaded(key, writer).version
                answer = writer.replace(key, digit * size, expect=expect, expires_at=self.later(), owner=digit.decode())
                assert is_version(answer)
                written[answer] = digit

        during(write, lambda: seen.append(self.loaded(key, reader)))
        for record in seen:
            digit = written[record.version]
            assert (record.data, record.owner) == (digit * size, digit.decode())

    def test_law_12_no_reader_sees_half_a_move(self) -> None:
        """During a `move`, the old key has the record, or it has the tombstone and the new key the record."""
        self.needs(Rotates)
        mover, reader = self.clients(2)
        for _ in range(self.rounds):
            (old, version), new = self.make(b"old"), new_key()
            move = partial(rotate, mover, self.rotation(old, new, version))
            during(move, partial(self.assert_one_or_the_other, reader, old, new))

    def assert_one_or_the_other(self, store: Store, old: str, new: str) -> None:
        """Assert that the record is under one of two keys, with the tombstone under *old* when it is under *new*."""
        if store.load(new) is not None:
            assert self.loaded(old, store).data == TOMBSTONE
        if self.loaded(old, store).data == TOMBSTONE:
            assert self.loaded(new, store).data == b"new"

    def test_race_1_and_2_no_change_of_several_writers_is_lost(self) -> None:
        """Four threads that increment one number and a field of their own, by load and replace, lose no change."""
        key, _ = self.make(b'{"hits": 0}')
        times, expires_at = self.rounds // 2, self.later()
        together(*(partial(count, client, key, times, expires_at=expires_at) for client in self.clients(4)))
        assert_counted(self.loaded(key), [times] * 4)

    def test_race_3_a_save_racing_a_delete_revives_nothing(self) -> None:
        """In either order of `replace` and `delete`, no record is left, and its index entry is gone."""
        saver, ender = self.clients(2)
        for _ in range(self.rounds):
            key, version = self.make(owner="ada")
            save = partial(saver.replace, key, b"saved", expect=version, expires_at=self.later(), owner="ada")
            answer, ended = together(save, partial(ender.delete, key))
            assert ended is True
            assert is_version(answer) or answer == Gone()
            self.assert_no_record(key, version)

    def test_race_3_a_save_racing_a_discard_is_one_or_the_other(self) -> None:
        """Either a record is saved and `discard` leaves it, or it is removed and the save is Gone."""
        self.needs(Discards)
        saver, ender = self.clients(2)
        for _ in range(self.rounds):
            made = dict(self.make(owner="ada") for _ in range(3))
            key, version = next(iter(made.items()))
            save = partial(saver.replace, key, b"saved", expect=version, expires_at=self.later(), owner="ada")
            answer, ended = together(save, partial(ender.discard, made))
            is_saved = answer != Gone()
            assert ended == made.keys() - ({key} if is_saved else set())
            assert (self.store.load(key) is not None) == is_saved

    def test_race_4_a_touch_racing_a_delete_revives_nothing(self) -> None:
        """In either order of `touch` and `delete`, no record is left."""
        toucher, ender = self.clients(2)
        for _ in range(self.rounds):
            key, _ = self.make()
            _, ended = together(partial(toucher.touch, key, expires_at=self.later(600)), partial(ender.delete, key))
            assert ended is True
            assert self.store.load(key) is None

    def test_race_4_a_touch_racing_a_save_undoes_nothing(self) -> None:
        """A `touch` during a `replace` restores neither old data nor an old version."""
        saver, toucher = self.clients(2)
        for _ in range(self.rounds):
            key, version = self.make(b"old")
            save = partial(saver.replace, key, b"new", expect=version, expires_at=self.later())
            answer, touched = together(save, partial(toucher.touch, key, expires_at=self.later(600)))
            assert touched is True
            assert is_version(answer), "a touch made a save fail"
            assert (self.loaded(key).data, self.loaded(key).version) == (b"new", answer)

    def test_race_15_of_ends_at_once_one_ends_it(self) -> None:
        """Of two concurrent `delete` calls exactly one answers that a record existed, so its end is reported once."""
        enders = self.clients(2)
        for _ in range(self.rounds):
            key, _ = self.make(owner="ada")
            assert sorted(together(*(partial(ender.delete, key) for ender in enders))) == [False, True]
            assert self.store.load(key) is None

    def test_race_5_a_save_racing_a_rotation_wins_or_loses_whole(self) -> None:
        """Of a concurrent `replace` and rotation one wins: a late save never lands on a tombstone."""
        saver, rotator = self.clients(2)
        for _ in range(self.rounds):
            (old, version), new = self.make(b"old"), new_key()
            save = partial(saver.replace, old, b"saved", expect=version, expires_at=self.later())
            saved, moved = together(save, partial(rotate, rotator, self.rotation(old, new, version)))
            assert is_version(saved) != is_version(moved)
            assert self.loaded(old).data == (TOMBSTONE if is_version(moved) else b"saved")
            assert (self.store.load(new) is not None) == is_version(moved)

    def test_race_7_one_of_many_rotations_wins(self) -> None:
        """Of three concurrent rotations of one record exactly one wins, and only its new key loads."""
        clients = self.clients(3)
        for _ in range(self.rounds):
            old, version = self.make(owner="ada")
            steps = [self.rotation(old, new_key(), version, "ada") for _ in clients]
            answers = together(*map(partial, itertools.repeat(rotate), clients, steps))
            news = [step.new for step in steps]
            winners = [new for new, answer in zip(news, answers, strict=True) if is_version(answer)]
            assert len(winners) == 1
            assert [new for new in news if self.store.load(new)] == winners
            assert self.loaded(old).data == TOMBSTONE
