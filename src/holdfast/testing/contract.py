"""The law book as one class to inherit."""

from __future__ import annotations

from holdfast.testing.capabilities import CapabilityLaws
from holdfast.testing.index_races import IndexRaces
from holdfast.testing.laws import Laws
from holdfast.testing.outages import Outages
from holdfast.testing.processes import ProcessRaces
from holdfast.testing.races import RecordRaces
from holdfast.testing.random_calls import RandomCalls


class StoreContract(Laws, CapabilityLaws, Outages, RecordRaces, IndexRaces, ProcessRaces, RandomCalls):
    """The twelve laws of `holdfast.store` and the races at the level of a store, as pytest tests.

    Inherit it, say how the store is opened, and every test runs on it::

        class TestMyStore(StoreContract):
            shared_between_processes = True

            def open_store(self, place, clock):
                return MyStore(place / "sessions.db", clock=clock)

    The class attributes say what kind of store it is; `disturb` says how to cut it off from its records, for the
    tests of outages. A test that does not apply to a store is skipped and says why.
    """
