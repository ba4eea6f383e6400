"""Every test of the suite fails on a store that breaks what it is about."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, ClassVar

import pytest
from contract.mutants import capabilities, outages, processes, races, records
from contract.mutants.table import BITES
from contract.shared import LIMIT, LimitedStore, UnreliableStore, suffering

from holdfast.clock import Clock
from holdfast.testing import Fault, StoreContract, StoreWrapper

assert all([capabilities, outages, processes, races, records])  # each fills the table when it is imported


class BrokenContract(StoreContract):
    """The suite on a store of the kind given: a wrapper for each client, or one store for all of them."""

    max_bytes = LIMIT
    too_large = LIMIT + 1
    patience = 0.2
    seed = 1
    kind: ClassVar[type[Any]]

    def open_store(self, place: Path, clock: Clock) -> Any:
        """Return a client: all have the same records."""
        kind = type(self).kind
        wraps = issubclass(kind, StoreWrapper)
        records = self.__dict__.setdefault("records", LimitedStore(clock=clock) if wraps else kind(clock=clock))
        return kind(records) if wraps else records

    def disturb(self, fault: Fault, store: Any, place: Path) -> contextlib.AbstractContextManager[object]:
        """Let the driver of *store* suffer *fault*."""
        return suffering(store, fault, meanwhile=self.meanwhile)


def run(kind: type[Any], test: str, place: Path) -> None:
    """Run one test of the suite on a broken store."""
    broken = kind if issubclass(kind, StoreContract) else type("TestBroken", (BrokenContract,), {"kind": kind})
    contract = broken()
    with contract.running(place):
        getattr(contract, test)()


def run_five_times(kind: type[Any], test: str, place: Path) -> None:
    """Run one test of the suite, each time on a place of its own."""
    for attempt in range(5):
        here = place / str(attempt)
        here.mkdir()
        run(kind, test, here)


@pytest.mark.parametrize(
    ("kind", "test"), [pytest.param(*bite, id="-".join([bite[0].__name__, bite[1]])) for bite in BITES]
)
def test_a_store_that_breaks_a_law_is_caught(kind: type[Any], test: str, tmp_path: Path) -> None:
    """The test fails by an assertion: it neither passes nor skips. A race may need more than one run."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run_five_times(kind, test, tmp_path)


def test_no_test_of_the_suite_is_without_a_store_that_it_catches() -> None:
    """The table has every test of the suite, so each is known to be able to fail."""
    tests = {name for name in dir(StoreContract) if name.startswith("test_")}
    assert {test for _, test in BITES} == tests


@pytest.mark.parametrize("test", sorted({test for _, test in BITES}))
def test_a_sound_store_passes_where_the_broken_ones_fail(test: str, tmp_path: Path) -> None:
    """The base of the broken stores, run in the same way, keeps the law."""
    with contextlib.suppress(pytest.skip.Exception):
        run(UnreliableStore, test, tmp_path)


class TestLooseIndex(BrokenContract):
    """A store whose index leads to other records too passes."""

    kind = capabilities.LooseIndexStore
    disturb = StoreContract.disturb  # type: ignore[assignment]
