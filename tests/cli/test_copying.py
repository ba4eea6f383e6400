"""Passes of a copy, in every order of what can happen between their steps."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.copying import HOUR, content, key

from holdfast.cli.copy_engine import Copy, TargetChanged
from holdfast.cli.copy_state import Journal
from holdfast.errors import StoreUnavailable
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FailingStore, FakeClock, SlowStore


class Pair:
    """A source and a target in memory, with a clock that stands still, and the journal of a copy between them."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.source = MemoryStore(clock=self.clock)
        self.target = FailingStore(MemoryStore(clock=self.clock))
        self.state = folder / "copy.state"
        self._journal: Journal | None = None

    def copy(self, source: Any = None, target: Any = None) -> Copy:
        """Return the copy, as a process that has just started would have it. The one before it is over."""
        self.end()
        self._journal = Journal(self.state, source="source", target="target")
        return Copy(source or self.source, target or self.target, self._journal, workers=1, clock=self.clock)

    def end(self) -> None:
        """End the process that copies, so that another can go on."""
        if self._journal is not None:
            self._journal.close()

    def run(self, work: Copy) -> list[str]:
        """Repeat passes until all is equal, and return what each did in short."""
        did = []
        while True:
            tally = work.one_pass()
            did.append(f"{tally.copied} copied, {tally.deleted} deleted")
            if tally.is_quiet and work.compare().is_quiet:
                assert content(self.source) == content(self.target)
                return did

    def put(self, number: int, data: bytes = b"data", owner: str | None = None) -> None:
        """Make a record that lives for an hour."""
        assert self.source.create(key(number), data, expires_at=self.clock() + HOUR, owner=owner)

    def change(self, number: int, data: bytes, owner: str | None = None) -> None:
        """Write a record anew at the source."""
        record = self.source.load(key(number))
        assert record is not None
        self.source.replace(key(number), data, expect=record.version, expires_at=record.expires_at, owner=owner)

    def change_at_random(self, chance: random.Random) -> None:
        """Make, end, change or touch one of 40 records."""
        number = chance.randrange(40)
        record = self.source.load(key(number))
        if record is None:
            self.put(number, b"%d" % chance.randrange(99))
        elif chance.random() < 0.4:
            self.source.delete(key(number))
        elif chance.random() < 0.5:
            self.change(number, b"%d" % chance.randrange(99), owner=chance.choice([None, "ada"]))
        else:
            self.source.touch(key(number), expires_at=record.expires_at + chance.randrange(HOUR))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Return a source with three records and an empty target."""
    pair = Pair(tmp_path)
    for number in range(3):
        pair.put(number, b"%d" % number, owner="ada" if number else None)
    yield pair
    pair.end()


def test_what_changes_between_passes_is_copied_again(pair: Pair) -> None:
    """New, changed, touched, bound and deleted records are at the target as they are at the source."""
    work = pair.copy()
    assert work.one_pass().copied == 3
    pair.put(3)
    pair.change(0, b"changed", owner="ada")
    pair.source.touch(key(1), expires_at=pair.clock() + 2 * HOUR)
    pair.source.delete(key(2))
    assert pair.run(work) == ["3 copied, 1 deleted", "0 copied, 0 deleted"]
    assert set(pair.target.keys_of("ada")) == {key(0), key(1)}  # type: ignore[attr-defined]


def test_what_expires_meanwhile_and_lives_on_at_the_source_is_made_again(pair: Pair) -> None:
    """A copy that expired while its record was kept alive at the source is no sign of a stranger."""
    work = pair.copy()
    work.one_pass()
    pair.source.touch(key(1), expires_at=pair.clock() + 3 * HOUR)
    pair.clock.advance(2 * 3600)
    assert pair.run(work) == ["1 copied, 0 deleted", "0 copied, 0 deleted"]


def test_who_logs_out_during_a_pass_is_logged_out_at_the_target(pair: Pair) -> None:
    """A record that is deleted after it was read, and before its copy is made, does not stay at the target."""
    done: list[str] = []

    def log_out(operation: str, _: str) -> None:
        if operation == "create" and not done:
            done.append(operation)
            pair.source.delete(key(0))
            pair.source.delete(key(1))

    work = pair.copy(target=SlowStore(pair.target, log_out))
    assert work.one_pass().copied == 3
    assert set(content(pair.target)) == {key(0), key(1), key(2)}
    assert pair.run(work) == ["0 copied, 2 deleted", "0 copied, 0 deleted"]


def test_what_changes_after_the_last_pass_is_found_by_the_comparison(pair: Pair) -> None:
    """Every kind of change between the last pass and the comparison leads to another pass."""
    changes: list[Callable[[], object]] = [
        lambda: pair.put(3),
        lambda: pair.change(0, b"changed"),
        lambda: pair.source.touch(key(1), expires_at=pair.clock() + 2 * HOUR),
        lambda: pair.source.delete(key(2)),
    ]
    work = pair.copy()
    work.one_pass()
    for change in changes:
        assert work.one_pass().is_quiet
        change()
        compared = work.compare()
        assert (compared.changed, compared.is_quiet) == (1, False)
        work.one_pass()
    pair.run(work)


@pytest.mark.parametrize("operation", ["create", "replace", "touch", "delete"])
@pytest.mark.parametrize("before", [True, False])
def test_an_outage_at_any_step_is_made_up_for(pair: Pair, operation: str, before: bool) -> None:
    """Wherever the target fails, before or after it did what it was asked, a new process finishes the copy."""
    work = pair.copy()
    if operation != "create":
        work.one_pass()
        pair.change(0, b"changed")
        pair.source.touch(key(1), expires_at=pair.clock() + 2 * HOUR)
        pair.source.delete(key(2))
    pair.target.fail(operation, before=before)
    with pytest.raises(StoreUnavailable):
        work.one_pass()
    pair.target.heal()
    pair.run(pair.copy())


def test_a_copy_whose_process_died_before_it_was_noted_is_not_forgotten(pair: Pair) -> None:
    """What was written to the target by a process that died at once is removed when it is gone at the source."""
    work = pair.copy()
    work._journal.note = lambda *_: (_ for _ in ()).throw(StoreUnavailable("killed"))  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        work.one_pass()
    assert len(content(pair.target)) == 3
    pair.source.delete(key(1))
    assert pair.run(pair.copy())[0] == "2 copied, 1 deleted"


def test_an_interrupted_pass_goes_on_where_it_was(pair: Pair) -> None:
    """A new process does not begin the pass again, and never takes the rest of a pass for a whole one."""
    for number in range(3, 1200):
        pair.put(number)
    calls = 0

    def die_on_the_third_page(operation: str, _: str) -> None:
        nonlocal calls
        calls += operation == "scan"
        if calls == 5:  # each is told of twice, before and after
            raise StoreUnavailable("killed")

    slow: Any = SlowStore(pair.source, die_on_the_third_page)
    work = pair.copy(slow)
    with pytest.raises(StoreUnavailable):
        work.one_pass()
    again = pair.copy()
    tally = again.one_pass()
    assert (tally.seen, tally.copied, tally.resumed) == (200, 200, True)
    assert pair.run(again) == ["0 copied, 0 deleted"]


@pytest.mark.parametrize("change", ["replace", "delete"])
def test_a_target_that_somebody_else_writes_to_is_left_alone(pair: Pair, change: str) -> None:
    """Where an application has changed or ended a copied session, the copy stops rather than undo it."""
    work = pair.copy()
    assert work.one_pass().copied == 3
    copied = pair.target.load(key(0))
    assert copied is not None
    if change == "replace":
        pair.target.replace(key(0), b"newer", expect=copied.version, expires_at=copied.expires_at)
    else:
        pair.target.delete(key(0))
    assert work.one_pass().is_quiet
    with pytest.raises(TargetChanged, match="a record that was copied is gone from the target or changed there"):
        work.compare()
    pair.change(0, b"older")
    with pytest.raises(TargetChanged):
        work.one_pass()
    left = pair.target.load(key(0))
    assert left is None if change == "delete" else left is not None and left.data == b"newer"


@pytest.mark.parametrize("seed", range(4))
def test_random_changes_are_all_copied(pair: Pair, seed: int) -> None:
    """After any changes before, during and between passes, with outages, the target is equal to the source."""
    chance = random.Random(seed)
    left = iter(range(60))

    def change_something(operation: str, _: str) -> None:
        if operation in {"scan", "load"} and chance.random() < 0.5 and next(left, None) is not None:
            pair.change_at_random(chance)

    source: Any = SlowStore(pair.source, change_something)
    failures = ["create", "replace", "delete", "load"]
    for _ in range(100):
        work = pair.copy(source)
        if chance.random() < 0.5:
            pair.target.fail(chance.choice(failures), before=chance.random() < 0.5)
        try:
            while not (work.one_pass().is_quiet and work.compare().is_quiet):
                continue
        except StoreUnavailable:
            continue
        finally:
            pair.target.heal()
        assert content(pair.source) == content(pair.target)
        return
    pytest.fail("the copy does not end")
