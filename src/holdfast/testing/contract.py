"""The contract as one class to inherit."""

from __future__ import annotations

from holdfast.testing.capabilities import CapabilityLaws
from holdfast.testing.index_races import IndexRaces
from holdfast.testing.laws import Laws
from holdfast.testing.outages import Outages
from holdfast.testing.processes import ProcessRaces
from holdfast.testing.races import RecordRaces
from holdfast.testing.random_calls import RandomCalls


class StoreContract(Laws, CapabilityLaws, Outages, RecordRaces, IndexRaces, ProcessRaces, RandomCalls):
    """The twelve laws of `holdfast.stores.contract` and the races at the level of a store, as pytest tests.

    Inherit it, implement `open_store`, and every test runs on it::

        class TestMyStore(StoreContract):
            shared_between_processes = True

            def open_store(self, place, clock):
                return MyStore(place / "sessions.db", clock=clock)

    The class attributes describe the store. A test that does not apply is skipped, with the reason.

    A store on a server reads the address from a file in *place*, because other processes open it as well. Its outages
    are tested through a `Link`::

        class TestMyServerStore(StoreContract):
            shared_between_processes = True

            @pytest.fixture(autouse=True)
            def link(self, tmp_path, my_server):
                with closing(Link(my_server.address)) as self._link:
                    (tmp_path / "port").write_text(str(self._link.port))
                    yield self._link

            def open_store(self, place, clock):
                port = int((place / "port").read_text())
                return MyServerStore("127.0.0.1", port, prefix=str(place), clock=clock)

            def disturb(self, fault, store, place):
                return self._link.disturb(fault)
    """
