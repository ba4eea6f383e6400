"""Random calls on the store under test and on the memory store, with equal answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, ClassVar

from holdfast.stores.contract import Conflict, Discards, Indexes, Iterates, Purges, Rotates, Rotation, Version
from holdfast.stores.memory import MemoryStore
from holdfast.testing.base import ContractBase, new_key
from holdfast.testing.clock import FakeClock


class RandomCalls(ContractBase):
    """A long mixed history of calls, compared with the reference."""

    #: The seed of the random calls, to repeat a failed run; None chooses a new one each time.
    seed: ClassVar[int | None] = None
    #: The number of random calls.
    random_calls: ClassVar[int] = 200

    def test_random_calls_are_answered_as_the_reference_answers_them(self) -> None:
        """On a few keys, two clients and a random history, every answer equals the memory store's."""
        seed = random.randrange(2**32) if self.seed is None else self.seed
        history = _History(self, random.Random(seed))
        for number in range(self.random_calls):
            try:
                history.step()
            except AssertionError as error:
                raise AssertionError(f"call {number} of seed {seed}, {history.call}: {error}") from error


class _History:
    """The calls so far: the state of each key, in the store and in the reference."""

    def __init__(self, contract: RandomCalls, choice: random.Random) -> None:
        self.contract = contract
        self.random = choice
        self.call = ""
        self.clients = contract.clients(2)
        self.reference = MemoryStore(clock=contract.clock)
        self.keys = [new_key() for _ in range(3)]
        key, self.unknown = contract.make()
        contract.store.delete(key)
        #: For each key, the versions it had: the store's and the reference's, in order.
        self.versions: dict[str, list[tuple[Version, Version]]] = {key: [] for key in self.keys}
        self.steps: list[Callable[[], None]] = [self.create, self.replace, self.touch, self.touch, self.delete]
        further: dict[type, Callable[[], None]] = {Rotates: self.move, Discards: self.discard, Purges: self.purge}
        self.steps += [step for capability, step in further.items() if isinstance(contract.store, capability)]
        if isinstance(contract.clock, FakeClock):
            self.steps.append(self.advance)

    def step(self) -> None:
        """Make one call, then compare the visible records."""
        call = self.random.choice(self.steps)
        self.call = call.__name__
        call()
        for key in self.keys:
            self.compare(key)
        if isinstance(self.contract.store, Indexes):
            for owner in ("ada", "bob"):
                wanted = {key for key, _ in self.reference.find(owner).items}
                found = self.contract.walk_of(owner, limit=2, store=self.client)
                assert {key for key in found if found[key].owner == owner} == wanted, f"find({owner!r}) differs"
        if isinstance(self.contract.store, Iterates):
            seen = {key for key, _ in self.reference.scan().items}
            assert self.contract.walk(limit=3).keys() == seen, "scan differs"

    def compare(self, key: str) -> None:
        """Assert that both have the same record under *key*, or none."""
        found, wanted = self.random.choice(self.clients).load(key), self.reference.load(key)
        assert (found is None) == (wanted is None), f"load returned {found}, not {wanted}"
        if found and wanted:
            assert (found.data, found.owner) == (wanted.data, wanted.owner)
            assert (found.version, wanted.version) == self.versions[key][-1], "load returned a version of another write"
            self.contract.assert_expiry(found, wanted.expires_at)

    def create(self) -> None:
        """Create a record under one of the keys."""
        self.both("create", self.random.choice(self.keys), self.data(), expires_at=self.expiry(), owner=self.owner())

    def replace(self) -> None:
        """Replace with a former version of the key, mostly the last."""
        key, data, expires_at, owner = self.random.choice(self.keys), self.data(), self.expiry(), self.owner()
        mine, theirs = self.version_of(key)
        answer = self.client.replace(key, data, expect=mine, expires_at=expires_at, owner=owner)
        self.same(key, answer, self.reference.replace(key, data, expect=theirs, expires_at=expires_at, owner=owner))

    def touch(self) -> None:
        """Touch, perhaps with an earlier expiry."""
        self.both("touch", self.random.choice(self.keys), expires_at=self.expiry())

    def delete(self) -> None:
        """Delete, perhaps a missing record."""
        self.both("delete", self.random.choice(self.keys))

    def discard(self) -> None:
        """Discard some keys, each with a former version, mostly the last."""
        keys, store = self.random.sample(self.keys, self.random.randrange(len(self.keys) + 1)), self.client
        versions = {key: self.version_of(key) for key in keys}
        answer = store.discard({key: mine for key, (mine, _) in versions.items()})
        wanted = self.reference.discard({key: theirs for key, (_, theirs) in versions.items()})
        assert answer == wanted, f"the answer was {answer!r}, not {wanted!r}"

    def move(self) -> None:
        """Move one key to a new one, which replaces the first of the keys in use."""
        store, old, new = self.client, self.random.choice(self.keys), new_key()
        mine, theirs = self.version_of(old)
        rotation = Rotation(old, new, self.data(), b"dead", mine, self.expiry(), self.expiry(), self.owner())
        self.versions[new] = []
        answer = store.move(rotation)
        self.same(new, answer, self.reference.move(rotation._replace(expect=theirs)))
        self.keys = [*self.keys[1:], new]
        tombstone, wanted = self.client.load(old), self.reference.load(old)
        if tombstone and wanted and wanted.version != theirs:
            self.versions[old].append((tombstone.version, wanted.version))

    def purge(self) -> None:
        """Purge both."""
        self.client.purge(self.contract.clock())
        self.reference.purge(self.contract.clock())

    def advance(self) -> None:
        """Advance the clock."""
        assert isinstance(self.contract.clock, FakeClock)
        self.contract.clock.advance(self.random.choice([0.001, 1, 5, 20]))

    def both(self, method: str, key: str, *arguments: object, **named: object) -> None:
        """Make one call on *key* of the store and of the reference, with the same result."""
        mine, theirs = (getattr(each, method)(key, *arguments, **named) for each in (self.client, self.reference))
        self.same(key, mine, theirs)

    @property
    def client(self) -> Any:
        """One of the clients, with every capability of the store."""
        return self.random.choice(self.clients)

    def data(self) -> bytes:
        """Return some data."""
        return self.random.randbytes(self.random.randrange(8))

    def owner(self) -> str | None:
        """Return one of two owners, or None."""
        return self.random.choice(["ada", "bob", None])

    def expiry(self) -> int:
        """Return a time before, now, or later; on a server's clock always much later."""
        seconds = [-1, 0, 5, 60, 600, 600] if isinstance(self.contract.clock, FakeClock) else [600, 3600]
        return self.contract.later(self.random.choice(seconds))

    def version_of(self, key: str) -> tuple[Version, Version]:
        """Return a present or former version of *key*, of the store and of the reference."""
        versions = self.versions[key] or [(self.unknown, 0)]
        return versions[-1] if self.random.random() < 0.8 else self.random.choice(versions)

    def same(self, key: str, answer: object, wanted: object) -> None:
        """Assert that both calls on *key* had the same result, and note the versions they returned."""
        if not isinstance(wanted, int) or isinstance(wanted, bool):
            assert type(answer) is type(wanted), f"the answer was {answer!r}, not {wanted!r}"
            assert isinstance(wanted, Conflict) or answer == wanted, f"the answer was {answer!r}, not {wanted!r}"
            return
        assert isinstance(answer, int | str | bytes), f"the answer was {answer!r}, not a version"
        assert answer not in [version for version, _ in self.versions[key]], "a version was used twice"
        self.versions[key].append((answer, wanted))
