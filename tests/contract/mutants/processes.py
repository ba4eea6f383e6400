"""Stores that are right within one process. Each has a test class of its own, which the other processes import."""

from __future__ import annotations

import threading
import time
from typing import Any

from contract.mutants.table import breaks
from contract.shared import SharedContract, SharedStore

from holdfast.records.record import Conflict, Gone, Rotation, Version


class LocksOnlyThreads(SharedStore):
    """Keeps threads apart, and not processes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = _ThreadsOnly(self)  # type: ignore[assignment]  # every operation is one `with self._lock`


class _ThreadsOnly:
    def __init__(self, store: SharedStore) -> None:
        self._store = store
        self._threads = threading.Lock()

    def __enter__(self) -> None:
        self._threads.acquire()
        self._store.read()

    def __exit__(self, *_: object) -> None:
        self._store.write()
        self._threads.release()


class CountsInItsProcess(SharedStore):
    """Takes its versions from a counter in the memory of the process."""

    def read(self) -> None:
        versions = self._versions
        super().read()
        self._versions = versions


class SavesInTwoSteps(SharedStore):
    """Writes the first half of the data before the rest."""

    def _put(self, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
        super()._put(key, data[: len(data) // 2], expires_at, owner)
        self.write()
        time.sleep(0.05)
        return super()._put(key, data, expires_at, owner)


class MovesInTwoSteps(SharedStore):
    """Ends the old key some time before it makes the new one."""

    def move(self, step: Rotation, /) -> Version | Conflict | Gone:
        answer = self.replace(step.old, step.tombstone, expect=step.expect, expires_at=step.grace_until)
        if isinstance(answer, Conflict | Gone):
            return answer
        time.sleep(0.05)
        version = self.create(step.new, step.data, expires_at=step.expires_at, owner=step.owner)
        assert version is not None
        return version


@breaks("test_race_2_increments_of_several_processes_are_exact", "test_law_1_and_2_one_of_several_processes_wins")
class ThreadLockContract(SharedContract):
    """The suite on a store that locks only threads."""

    kind = LocksOnlyThreads


@breaks("test_law_3_no_version_comes_back_in_any_process")
class OwnCounterContract(SharedContract):
    """The suite on a store that counts in its process."""

    kind = CountsInItsProcess


@breaks("test_law_10_a_killed_process_tears_no_record")
class TornSaveContract(SharedContract):
    """The suite on a store that saves in two steps."""

    kind = SavesInTwoSteps
    rounds = 4


@breaks("test_law_12_a_killed_rotation_leaves_a_key_that_works")
class TornMoveContract(SharedContract):
    """The suite on a store that moves in two steps."""

    kind = MovesInTwoSteps
    rounds = 4
