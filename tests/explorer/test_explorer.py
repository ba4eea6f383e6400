"""The explorer itself: it runs every schedule, skips none that differs, and reports the one that failed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from explorer.schedules import Actor, Footprint, Mark, Schedule
from explorer.search import Violation, explore, replay

from holdfast.errors import StoreUnavailable
from holdfast.records.record import Conflict, Gone, Record, Rotation
from holdfast.sessions.ops import Call, Flow, create, delete, find, load, move, pause, replace, touch
from holdfast.stores.memory import MemoryStore
from holdfast.testing.clock import FakeClock
from holdfast.testing.wrappers import FailingStore

Program = Sequence[Call[Any]]


def _flow(program: Program) -> Flow[list[str]]:
    """Carry out *program* and return what was answered, without what may differ between runs that are alike."""
    answers = []
    for operation in program:
        answer = yield operation
        match answer:
            case Record(data=data):
                answers.append(data.decode())
            case Conflict():
                answers.append("conflict")
            case Gone() | None | False:
                answers.append("nothing")
            case list():
                answers.append(" ".join(sorted(answer)))
            case _:
                answers.append("done")
    return answers


@dataclass
class Bench:
    """A world of programs. *seen* collects how each schedule ended."""

    programs: Sequence[Program]
    seen: set[str] = field(default_factory=set)
    fails: Callable[[Schedule], bool] = lambda schedule: False
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.store: Any = MemoryStore(clock=self.clock)
        for key in "ab":
            self.store.create(key, b"0", expires_at=self.clock() + 1000, owner="o")
        self.actors: Mapping[str, Actor] = {str(at): _flow(program) for at, program in enumerate(self.programs)}

    def check(self, schedule: Schedule) -> None:
        """Note how it ended."""
        left = sorted((key, record.data, record.owner) for key, record in self.store.scan().items)
        self.seen.add(f"{sorted(schedule.outcomes.items())} {left}")
        assert not self.fails(schedule), "it fails"


def _loads(key: str, times: int) -> Program:
    return [load(key)] * times


def _deletes(key: str, times: int) -> Program:
    return [delete(key)] * times


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (4, 4)])
def test_every_order_of_two_is_run(m: int, n: int) -> None:
    """Two actors with m and n operations make (m+n)! / m! n! schedules."""
    tally = explore(lambda: Bench([_loads("a", m), _deletes("a", n)]), reduce=False)
    assert (tally.schedules, tally.abandoned, tally.longest) == (math.comb(m + n, m), 0, m + n)


def test_every_order_of_three_is_run() -> None:
    """Three actors with two operations each make 90 schedules."""
    assert explore(lambda: Bench([_deletes("a", 2)] * 3), reduce=False).schedules == 90


def test_calls_that_commute_are_run_in_one_order() -> None:
    """Loads of one key, and deletions of different keys, need one schedule; conflicting calls need all."""
    assert explore(lambda: Bench([_loads("a", 3), _loads("a", 3)])).schedules == 1
    assert explore(lambda: Bench([_deletes("a", 2), _deletes("b", 2)])).schedules == 1
    assert explore(lambda: Bench([_deletes("a", 2), _deletes("a", 2)])).schedules == 6


def _operation(dice: random.Random, data: bytes) -> Call[Any]:
    until = FakeClock()() + 2000
    key, owner = dice.choice("ab"), dice.choice(["o", None])
    operations: list[Call[Any]] = [
        load(key),
        create(key, data, until, owner),
        replace(key, data, dice.randint(1, 4), until, owner),
        touch(key, until),
        delete(key),
        move(
            Rotation(
                key,
                dice.choice("cd"),
                data,
                b"tombstone",
                expect=dice.randint(1, 3),
                expires_at=until,
                grace_until=until,
                owner=owner,
            )
        ),
        find("o", None, 10),
    ]
    return dice.choice(operations)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_skipped_ends_like_what_is_run(seed: int) -> None:
    """On programs made at random, all schedules and the reduced ones end in exactly the same ways."""
    dice = random.Random(seed)
    sizes = dice.choice([(3, 3), (4, 3), (2, 2, 2), (1, 2, 3)])
    programs = [[_operation(dice, b"%d" % at) for _ in range(size)] for at, size in enumerate(sizes)]
    every: set[str] = set()
    reduced: set[str] = set()
    full = explore(lambda: Bench(programs, every), reduce=False)
    less = explore(lambda: Bench(programs, reduced))
    assert reduced == every
    assert less.schedules <= full.schedules


def test_a_schedule_that_fails_is_shown_in_simple_form() -> None:
    """Of the schedules that fail, one with few changes of turn is reported, and it can be replayed."""

    def deletes_between_two_loads(schedule: Schedule) -> bool:
        return "nothing" in schedule.outcomes["0"] and "0" in schedule.outcomes["0"]

    def build() -> Bench:
        return Bench([_loads("a", 5), _deletes("a", 1), _loads("a", 5)], fails=deletes_between_two_loads)

    with pytest.raises(Violation, match="it fails") as caught:
        explore(build)
    order = caught.value.order
    assert sum(before != after for before, after in pairwise(order)) == 3
    assert deletes_between_two_loads(replay(build, order))
    assert "delete a -> True" in str(caught.value)


def test_a_flow_that_raises_is_reported_with_its_schedule() -> None:
    """Not only checks fail: the exception of a flow is shown with the steps that led to it."""

    def flow() -> Flow[None]:
        if (yield from load("a")) is None:
            raise KeyError("a")

    def build() -> Bench:
        bench = Bench([_deletes("a", 1)])
        bench.actors = {**bench.actors, "reader": flow()}
        return bench

    with pytest.raises(Violation, match=r"a flow raised KeyError\('a'\)") as caught:
        explore(build)
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.order == ["0", "reader"]


def test_a_world_that_differs_from_one_run_to_the_next_is_reported() -> None:
    """Randomness would make the exploration incomplete, so it is an error."""
    dice = random.Random(1)

    def build() -> Bench:
        return Bench([_deletes("a", dice.randint(1, 9)), _deletes("a", 1)])

    with pytest.raises(Violation, match="is something in it random"):
        explore(build)


def test_flows_that_do_not_end_are_reported() -> None:
    """An endless retry is a failure, not a test that hangs."""

    def flow() -> Flow[None]:
        while True:
            yield from load("a")

    def build() -> Bench:
        bench = Bench([])
        bench.actors = {"loop": flow()}
        return bench

    with pytest.raises(Violation, match="do not end"):
        explore(build)


def test_a_pause_takes_no_step_and_a_failure_of_the_store_reaches_the_flow() -> None:
    """A flow is driven as by `drive`, but without waiting."""

    def flow() -> Flow[str]:
        yield from pause(1e9)
        try:
            yield from load("a")
        except StoreUnavailable:
            yield from pause(1e9)
            return "unavailable"
        return "loaded"

    def build() -> Bench:
        bench = Bench([])
        bench.store = FailingStore(bench.store)
        bench.store.fail("load")
        bench.actors = {"one": flow(), "two": flow()}
        return bench

    schedule = replay(build, ["two", "one"])
    assert schedule.outcomes == {"one": "loaded", "two": "unavailable"}
    assert "StoreUnavailable" in str(schedule)


def test_a_mark_is_a_moment_of_its_own() -> None:
    """Marks that touch the same thing are explored in both orders, and others are not."""

    def build(touching: Footprint) -> Callable[[], Bench]:
        def world() -> Bench:
            bench = Bench([])
            bench.actors = {name: iter_marks(name) for name in ("one", "two")}
            return bench

        def iter_marks(name: str) -> Actor:
            yield Mark(name, touching)

        return world

    assert explore(build(Footprint(writes=frozenset("x")))).schedules == 2
    assert explore(build(Footprint(adds=frozenset("x")))).schedules == 1
