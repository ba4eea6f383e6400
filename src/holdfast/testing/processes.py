"""The races between processes, and the records after a process is killed. They run if processes share the records."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from holdfast.stores.contract import Indexes, Version
from holdfast.testing.base import ContractBase, new_key
from holdfast.testing.concurrency import TOMBSTONE, assert_counted, count, is_version, rotate
from holdfast.testing.workers import Job, Worker

Send = Callable[[object], None]


class ProcessRaces(ContractBase):
    """Several processes that use the records at once."""

    def test_race_2_increments_of_several_processes_are_exact(self) -> None:
        """Three processes that increment one number and a field of their own lose no change."""
        key, _ = self.make(b'{"hits": 0}')
        times = 2 * self.rounds
        with self.processes(3) as run:
            run(count_on, key=key, times=times)
        assert_counted(self.loaded(key), [times] * 3)

    def test_law_1_and_2_one_of_several_processes_wins(self) -> None:
        """Of several processes one creates each record, and one of those that expect a version replaces it."""
        keys = [new_key() for _ in range(self.rounds)]
        with self.processes(3) as run:
            made = run(create_each, keys=keys)
            assert sorted(key for wins in made for key in wins) == sorted(keys)
            versions = {key: self.loaded(key).version for key in keys}
            replaced = run(replace_each, versions=versions)
        assert sorted(key for wins in replaced for key in wins) == sorted(keys)
        for wins in replaced:
            for key, version in wins.items():
                assert self.loaded(key).version == version

    def test_law_3_no_version_comes_back_in_any_process(self) -> None:
        """Processes that delete and recreate a record, alternating and at once, never repeat a version."""
        with self.processes(3) as run:
            versions = list(itertools.chain.from_iterable(run(remake, key=new_key(), times=self.rounds)))
        assert len(versions) >= self.rounds
        assert len(set(versions)) == len(versions)

    def test_law_10_a_killed_process_tears_no_record(self) -> None:
        """After a kill during a save the record is intact, no confirmed save is lost, and others can save."""
        self.needs_processes()
        key, _ = self.make(numbered(0))
        confirmed = self.kill_during(save_on, key=key)
        saved: list[bool] = []
        while not any(saved):
            record = self.loaded(key)
            number = int(record.data[:8])
            assert record.data == numbered(number)
            assert confirmed[-1] <= number <= confirmed[-1] + 1
            assert len(saved) < 2, "nobody else can save"
            # The last message of the killed process may arrive only now; then this is a Conflict, once.
            saved.append(is_version(self.store.replace(key, b"next", expect=record.version, expires_at=self.later())))

    def test_law_12_a_killed_rotation_leaves_a_key_that_works(self) -> None:
        """After a kill during a rotation the old key has its record or the new one has, and the index has that key."""
        self.needs_processes()
        first, _ = self.make(b"first", owner="ada")
        keys = [first, *self.kill_during(rotate_on, key=first)]
        unlisted: set[str] = set()
        for _ in range(2):  # the last message of the killed process may arrive between two loads, once
            live = {key for key in keys if (record := self.store.load(key)) and record.data != TOMBSTONE}
            assert live
            assert live <= set(keys[-2:])
            unlisted = live - self.owned("ada") if isinstance(self.store, Indexes) else set()
            if not unlisted:
                break
        assert unlisted == set()

    @contextmanager
    def processes(self, count: int) -> Iterator[Callable[..., list[Any]]]:
        """Start *count* processes, or skip the test. Yield a function that runs a job in all of them."""
        self.needs_processes()
        with ExitStack() as stack:
            workers = [stack.enter_context(closing(Worker(self))) for _ in range(count)]
            for worker in workers:
                worker.receive()

            def run(job: Job, **arguments: object) -> list[Any]:
                for worker in workers:
                    worker.start(job, **arguments)
                return [worker.receive() for worker in workers]

            yield run

    def kill_during(self, job: Job, **arguments: object) -> list[Any]:
        """Kill a process that runs *job*, which never ends, and return every message that it sent.

        The kill comes at any moment between two messages.
        """
        with closing(Worker(self)) as worker:
            worker.receive()
            worker.start(job, **arguments)
            start = time.monotonic()
            messages = [worker.receive() for _ in range(self.rounds)]
            time.sleep(random.uniform(0, time.monotonic() - start) / self.rounds)
            return messages + worker.kill()


def numbered(number: int) -> bytes:
    """Return data with a checksum."""
    return b"%08d" % number * 1_000


def count_on(contract: ContractBase, _send: Send, *, key: str, times: int) -> None:
    """Count under *key* in this process."""
    count(contract.store, key, times, expires_at=contract.later())


def create_each(contract: ContractBase, _send: Send, *, keys: list[str]) -> list[str]:
    """Create a record under each of *keys*. Return the keys where this process was first."""
    return [key for key in keys if contract.store.create(key, b"made", expires_at=contract.later()) is not None]


def replace_each(contract: ContractBase, _send: Send, *, versions: dict[str, Version]) -> dict[str, Version]:
    """Replace each record. Return the keys and versions where this process was first."""
    answers = {
        key: contract.store.replace(key, b"saved", expect=version, expires_at=contract.later())
        for key, version in versions.items()
    }
    return {key: answer for key, answer in answers.items() if is_version(answer)}


def remake(contract: ContractBase, _send: Send, *, key: str, times: int) -> list[Version]:
    """Delete the record and create it again, *times* times. Return the versions that this process created."""
    versions = []
    for _ in range(times):
        contract.store.delete(key)
        version = contract.store.create(key, b"data", expires_at=contract.later())
        if version is not None:
            versions.append(version)
    return versions


def save_on(contract: ContractBase, send: Send, *, key: str) -> None:
    """Save the next number in an endless loop, and send each that is saved."""
    version = contract.loaded(key).version
    for number in itertools.count(1):
        answer = contract.store.replace(key, numbered(number), expect=version, expires_at=contract.later())
        assert is_version(answer)
        version = answer
        send(number)


def rotate_on(contract: ContractBase, send: Send, *, key: str) -> None:
    """Rotate in an endless loop, and send each new key before it is created."""
    old, version = key, contract.loaded(key).version
    while True:
        new = new_key()
        send(new)
        answer = rotate(contract.store, contract.rotation(old, new, version, "ada"))
        assert is_version(answer)
        old, version = new, answer
