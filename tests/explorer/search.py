"""Run several flows in every order that their store calls can take, and judge what comes of each.

A flow (`holdfast.sessions.ops`) gives up control at every store call. So one thread can run two or three of them step
by step in any order it chooses, and what runs are the real flows, not a model of them. `explore` goes through all the
orders: for each it builds a fresh world, carries out one schedule to its end, and lets the world check itself.

Neighbouring steps that do not touch the same thing (two loads, writes under different keys) lead to the same state
whichever comes first. Of all the schedules that differ only in the order of such neighbours, one is run; the others
cannot end differently. (P. Abdulla, S. Aronis, B. Jonsson, K. Sagonas: "Optimal dynamic partial order reduction",
POPL 2014; here is the variant with source sets and sleep sets.)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import TypeAlias

from explorer.schedules import Footprint, Schedule, World, footprint

#: How many simpler schedules are tried before one that fails is reported.
_MOST_TRIES = 1000

Build: TypeAlias = Callable[[], World]


@dataclass(frozen=True, slots=True)
class ExplorationStats:
    """How much was explored.

    Attributes:
        schedules: Schedules that were run to the end and checked.
        abandoned: Schedules given up on the way, because one like it had been run.
        longest: The most steps that a schedule had.
        calls: The names of the store calls in them, and ``owner`` where one of them names an owner.
    """

    schedules: int = 0
    abandoned: int = 0
    longest: int = 0
    calls: frozenset[str] = frozenset()

    def __add__(self, other: ExplorationStats) -> ExplorationStats:
        """Return both together."""
        schedules, abandoned = self.schedules + other.schedules, self.abandoned + other.abandoned
        return ExplorationStats(schedules, abandoned, max(self.longest, other.longest), self.calls | other.calls)


class Violation(AssertionError):
    """After some schedule the world was not as it must be, or a flow raised. The message shows every step.

    Attributes:
        order: The actor of each step; `replay` takes it.
    """

    def __init__(self, problem: Exception, schedule: Schedule, good: int) -> None:
        what = str(problem) if isinstance(problem, AssertionError) else f"a flow raised {problem!r}"
        super().__init__(f"{what}\n\nThe schedule, simplified ({good} others were good):\n{schedule}")
        self.order = schedule.order


def explore(build: Build, *, reduce: bool = True) -> ExplorationStats:
    """Run every schedule of the world that *build* makes, and return how many there were.

    With *reduce*, of those that differ only in the order of neighbours that commute, one is run.

    Raises:
        Violation: A check failed or a flow raised. Of the schedules that fail alike, a simple one is shown.
    """
    search = _Search(reduce=reduce)
    tally = ExplorationStats()
    while True:
        schedule = Schedule(build())
        try:
            complete = search.play(schedule)
            if complete:
                schedule.world.check(schedule)
        except Exception as error:  # noqa: BLE001  # the one boundary to a test's flows and checks
            simple, problem = _simplified(build, schedule, error)
            raise Violation(problem, simple, tally.schedules) from problem
        tally += ExplorationStats(int(complete), int(not complete), len(schedule.steps) * complete, schedule.calls)
        if not search.turn():
            return tally


def sample(build: Build, *, times: int, seed: str) -> None:
    """Run *times* schedules in random orders, the same for each *seed*: where there are too many to run all.

    Raises:
        Violation: As `explore` does.
    """
    choice = random.Random(seed)
    for number in range(times):
        order = [name for name in build().actors for _ in range(choice.randrange(1, 40))]
        choice.shuffle(order)
        schedule, problem = _attempt(build, order)
        if problem is not None:
            simple, problem = _simplified(build, schedule, problem)
            raise Violation(problem, simple, number) from problem


def replay(build: Build, order: Sequence[str]) -> Schedule:
    """Run one schedule: the steps in *order*, without those of finished actors, then the others. Checks nothing."""
    schedule = Schedule(build())
    schedule.follow(order)
    return schedule


@dataclass(slots=True)
class _Choice:
    """A point on the way.

    Attributes:
        waiting: The footprint of each unfinished actor's next step.
        asleep: The actors that need not run from here (again).
        due: The actors that must run from here at some time.
        actor: The actor that runs.
        past: The choices that the step taken here depends on, as bits.
    """

    waiting: dict[str, Footprint]
    asleep: set[str] = field(default_factory=set)
    due: set[str] = field(default_factory=set)
    actor: str = ""
    past: int = 0

    @property
    def step(self) -> Footprint:
        """The footprint of the step taken here."""
        return self.waiting[self.actor]


class _Search:
    """A depth-first walk through all schedules. Generators cannot be copied, so each starts from a fresh world."""

    def __init__(self, *, reduce: bool) -> None:
        self._reduce = reduce
        self._path: list[_Choice] = []

    def play(self, schedule: Schedule) -> bool:
        """Go the way that is chosen and on to the end; return False where all that is left was run already."""
        for choice in self._path:
            if schedule.waiting.keys() != choice.waiting.keys():
                raise AssertionError("the world is not built the same way each time: is something in it random?")
            schedule.step(choice.actor)
        while schedule.waiting:
            choice = self._arrive(schedule)
            awake = [actor for actor in choice.waiting if actor not in choice.asleep]
            if not awake:
                return False
            # Staying with one actor for as long as possible makes a schedule easy to read.
            last = self._path[-1].actor if self._path else ""
            choice.actor = last if last in awake else awake[0]
            choice.due = {choice.actor} if self._reduce else set(awake)
            self._take(choice)
            schedule.step(choice.actor)
        return True

    def turn(self) -> bool:
        """Go back to the last point where someone else has to go, and let them; return False when there is none."""
        while self._path:
            choice = self._path.pop()
            choice.asleep.add(choice.actor)
            due = choice.due - choice.asleep
            if due:
                choice.actor = min(due)
                self._take(choice)
                return True
        return False

    def _arrive(self, schedule: Schedule) -> _Choice:
        choice = _Choice({actor: footprint(operation) for actor, operation in schedule.waiting.items()})
        if self._path and self._reduce:
            last = self._path[-1]
            choice.asleep = {actor for actor in last.asleep if last.waiting[actor].commutes_with(last.step)}
        return choice

    def _take(self, choice: _Choice) -> None:
        """Add the step to the path, and see to it that each race it is part of is run the other way round, too."""
        if self._reduce:
            choice.past = next((self._until(at) for at, earlier in self._back() if earlier.actor == choice.actor), 0)
            for at, earlier in self._back():
                if not choice.past >> at & 1 and not earlier.step.commutes_with(choice.step):
                    first = self._first_movers(at, choice)
                    if first.isdisjoint(earlier.due):
                        earlier.due.add(choice.actor if choice.actor in first else min(first))
                    choice.past |= self._until(at)
        self._path.append(choice)

    def _back(self) -> Iterator[tuple[int, _Choice]]:
        return zip(range(len(self._path) - 1, -1, -1), reversed(self._path), strict=True)

    def _until(self, at: int) -> int:
        return self._path[at].past | 1 << at

    def _first_movers(self, at: int, choice: _Choice) -> set[str]:
        """Return who may go first, instead of the step taken *at* a point, on a way that still leads to *choice*."""
        between = 0
        movers = set()
        for later in range(at + 1, len(self._path)):
            step = self._path[later]
            if not step.past >> at & 1:
                if not step.past & between:
                    movers.add(step.actor)
                between |= 1 << later
        if not choice.past & between:
            movers.add(choice.actor)
        return movers


def _simplified(build: Build, schedule: Schedule, error: Exception) -> tuple[Schedule, Exception]:
    """Return a schedule that fails with as few turns as moving one turn to another of its actor's can reach."""
    tries = 0
    while tries < _MOST_TRIES:
        turns = _turns(schedule.order)
        for order in _with_one_turn_moved(turns):
            tries += 1
            attempt, failure = _attempt(build, order)
            if failure is not None and len(_turns(attempt.order)) < len(turns):
                schedule, error = attempt, failure
                break
        else:
            break
    return schedule, error


def _attempt(build: Build, order: Sequence[str]) -> tuple[Schedule, Exception | None]:
    schedule = Schedule(build())
    try:
        schedule.follow(order)
        schedule.world.check(schedule)
    except Exception as failure:  # noqa: BLE001  # any exception is reported
        return schedule, failure
    return schedule, None


def _turns(order: Sequence[str]) -> list[list[str]]:
    return [list(turn) for _, turn in groupby(order)]


def _with_one_turn_moved(turns: list[list[str]]) -> Iterator[list[str]]:
    for here, turn in enumerate(turns):
        rest = [*turns[:here], *turns[here + 1 :]]
        for there, other in enumerate(rest):
            if other[0] == turn[0]:
                yield list(chain.from_iterable([*rest[:there], turn, *rest[there:]]))
