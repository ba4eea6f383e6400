"""Drivers that hide an outage, and stores that do not survive one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

from contract.mutants.table import breaks
from contract.shared import UnreliableStore

from holdfast.errors import StoreUnavailable
from holdfast.records.record import Conflict, Gone, Page
from holdfast.stores.contract import ABOUT_PLACE, CAPABILITIES, OPERATIONS, Confirms, LoadsFresh, Pings
from holdfast.testing import Fault

LAW_8 = "test_law_8_an_outage_raises"


class Hides(UnreliableStore):
    """Says what *lie* says when one operation fails."""

    operation: ClassVar[str]

    def lie(self) -> Any:
        """Return what is said instead of an error."""
        return Page((), None) if self.operation == "find" else None

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        try:
            return super().around(operation, call)
        except StoreUnavailable:
            if operation != self.operation:
                raise
            return self.lie()


# Law 8 is about calls that need the records; with nothing to confirm, `confirm` needs no answer. A wrapper calls a load
# past a cache a load.
for name in sorted(set(OPERATIONS) - {CAPABILITIES[each] for each in ABOUT_PLACE - {Pings} | {Confirms, LoadsFresh}}):
    breaks(LAW_8)(
        type(
            f"HidesThat{name.title()}Failed",
            (Hides,),
            {"operation": name},
        )
    )


@breaks(LAW_8)
class TakesAnOutageForALogout(Hides):
    operation = "replace"

    def lie(self) -> Gone:
        return Gone()


@breaks("test_race_11_a_save_whose_answer_was_lost_is_no_conflict")
class RepeatsWhatFailed(UnreliableStore):
    """Repeats a failed call once, whatever became of the first."""

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        try:
            return super().around(operation, call)
        except StoreUnavailable:
            return super().around(operation, call)


@breaks("test_race_11_a_save_whose_answer_was_lost_is_applied_once")
class RepeatsAndCompares(UnreliableStore):
    """Repeats a failed call once, and finds the first one only if nothing was written since."""

    def _call(self, operation: str, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._call(operation, method, *args, **kwargs)
        except StoreUnavailable:
            if operation != "replace":
                raise
            answer = super()._call(operation, method, *args, **kwargs)
            current = answer.current if isinstance(answer, Conflict) else None
            return current.version if current is not None and current.data == args[1] else answer


class LosesAnId(UnreliableStore):
    """Removes one of the keys of a rotation that fails."""

    which: ClassVar[int]

    def _call(self, operation: str, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._call(operation, method, *args, **kwargs)
        except StoreUnavailable:
            if operation == "move":
                self.store.delete(args[0][self.which])
            raise


@breaks("test_race_14_a_login_whose_answer_was_lost_leaves_one_id")
class LosesTheNewId(LosesAnId):
    which = 1


@breaks("test_race_14_a_login_that_never_arrived_leaves_one_id")
class LosesTheOldId(LosesAnId):
    which = 0


@breaks("test_race_11_a_save_that_never_arrived_is_no_conflict")
class AssumesThatItArrived(UnreliableStore):
    """Answers a failed write as if it had been applied."""

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        try:
            return super().around(operation, call)
        except StoreUnavailable:
            return 4711


@breaks(LAW_8)
class ForgetsInAnOutage(UnreliableStore):
    """Drops what it has when the connection fails."""

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        if self.fault is Fault.DOWN:
            records: Any = self.store
            records._records.clear()
        return super().around(operation, call)


@breaks("test_race_12_silence_is_an_outage")
class WaitsForAnAnswer(UnreliableStore):
    """Gives up on silence too late."""

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        if self.fault is Fault.SILENT:
            time.sleep(0.3)
        return super().around(operation, call)


@breaks("test_race_12_silence_is_an_outage")
class TakesSilenceForNothing(Hides):
    operation = "load"
