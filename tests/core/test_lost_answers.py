"""A save whose answer is lost is applied once, or is an error: with other saves in between, and with any driver."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.errors import StoreUnavailable
from holdfast.records.encryption import Sealer
from holdfast.records.tokens import new_token
from holdfast.sessions.flows.revoke import RevokedCount
from holdfast.sessions.manager import Manager
from holdfast.sessions.policy import Policy
from holdfast.sessions.server_session import ServerSession
from holdfast.sessions.state import SessionState
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FakeClock, StoreWrapper

View = Callable[[ServerSession], object]


class LosingStore(StoreWrapper):
    """Loses the answer to the next call of *operation*, and calls *meanwhile* before anybody gets to know.

    With *repeats* its driver repeats the call, as redis-py does if it is told to.
    """

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.operation: str | None = None
        self.meanwhile: Callable[[], object] = lambda: None
        self.applies = True
        self.repeats = False

    def lose(self, operation: str, meanwhile: Callable[[], object] = lambda: None, *, applies: bool = True) -> None:
        """Lose the answer to the next call of *operation*."""
        self.operation, self.meanwhile, self.applies = operation, meanwhile, applies

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        if operation != self.operation:
            return call()
        self.operation = None
        if self.applies:
            call()
        self.meanwhile()
        if self.repeats:
            return call()
        raise StoreUnavailable("the answer is lost")


class Site:
    """Requests of one browser, on a store that loses answers."""

    def __init__(self, sealer: Sealer | None, *, repeats: bool) -> None:
        self.clock = FakeClock()
        self.store = LosingStore(MemoryStore(clock=self.clock))
        self.store.repeats = repeats
        self.manager = Manager(self.store, clock=self.clock, sealer=sealer)
        self.token = ""
        self.token = self.do(lambda session: session.update(hits=0, cart=["pen"], coupon="SPRING"))

    def do(self, view: View, *, manager: Manager | None = None) -> str:
        """Serve a request and return the token it ends with."""
        manager = manager or self.manager
        state = SessionState(self.clock())
        manager.open(state, self.token or None)
        session = ServerSession(manager, state, lambda state: None)
        view(session)
        manager.commit(state)
        assert state.stored is not None
        return state.stored.token

    def data(self) -> dict[Any, Any]:
        """Return what the session holds."""
        state = SessionState(self.clock())
        self.manager.open(state, self.token)
        return state.data


@pytest.fixture(params=["plain", "sealed"])
def sealer(request: pytest.FixtureRequest) -> Sealer | None:
    """Records as they are, and sealed."""
    return Sealer("cookie", [hashlib.sha256(b"seal").digest()]) if request.param == "sealed" else None


@pytest.fixture(params=[False, True], ids=["raises", "repeats"])
def site(request: pytest.FixtureRequest, sealer: Sealer | None) -> Site:
    """A store whose driver raises when an answer is lost, and one whose driver repeats the call."""
    return Site(sealer, repeats=request.param)


def _count_and_append(session: ServerSession) -> None:
    session.apply("hits", lambda hits: hits + 1, 0)
    session["cart"].append("ink")


def _rotate(session: ServerSession) -> None:
    session.rotate()
    _count_and_append(session)


def test_a_save_with_another_one_in_between_is_applied_once(site: Site) -> None:
    """The answer is lost, another request saves: the increment and the append are there once, and so is the other."""
    site.store.lose("replace", lambda: site.do(lambda session: session.update(other=1)))
    site.do(_count_and_append)
    assert site.data() == {"hits": 1, "cart": ["pen", "ink"], "coupon": "SPRING", "other": 1}


def test_a_save_that_did_not_arrive_is_applied_once(site: Site) -> None:
    """The request is lost, with and without another save before the repeat: the change is there once."""
    site.store.lose("replace", applies=False)
    site.do(_count_and_append)
    site.store.lose("replace", lambda: site.do(lambda session: session.update(other=1)), applies=False)
    site.do(_count_and_append)
    assert site.data() == {"hits": 2, "cart": ["pen", "ink", "ink"], "coupon": "SPRING", "other": 1}


def test_a_save_that_arrives_late_is_applied_once(site: Site) -> None:
    """A save that is lost, is looked for in vain, and arrives just before its repeat, is applied once."""
    late: list[Callable[[], Any]] = []
    site.store.repeats = False
    around = site.store.around

    def arriving(operation: str, call: Callable[[], Any]) -> Any:
        if operation == "replace" and not late:
            late.append(call)
            raise StoreUnavailable("it is on its way")
        if operation == "replace":
            late[0]()
        return call()

    site.store.around = arriving  # type: ignore[method-assign]
    site.do(_count_and_append)
    site.store.around = around  # type: ignore[method-assign]
    assert site.data()["cart"] == ["pen", "ink"]


def test_five_saves_in_between_are_followed_and_six_are_an_error(sealer: Sealer | None) -> None:
    """The record knows its last six writes. A save that may be older is an error, and not applied twice."""
    for others, known in ((5, True), (6, False)):
        site = Site(sealer, repeats=False)

        def save_often(site: Site = site, others: int = others) -> None:
            for _ in range(others):
                site.do(lambda session: session.update(other=session.get("other", 0) + 1))

        site.store.lose("replace", save_often)
        if known:
            site.do(_count_and_append)
        else:
            with pytest.raises(StoreUnavailable):
                site.do(_count_and_append)
        assert site.data()["hits"] == 1


def test_a_second_loss_is_an_error(site: Site) -> None:
    """A save is repeated once. If that fails too, the error says that nothing is known."""
    site.store.repeats = False
    site.store.lose("replace", lambda: None, applies=False)
    around = site.store.around

    def failing(operation: str, call: Callable[[], Any]) -> Any:
        if operation == "replace":
            raise StoreUnavailable("down")
        return around(operation, call)

    site.store.around = failing  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        site.do(_count_and_append)
    site.store.around = around  # type: ignore[method-assign]
    assert site.data()["hits"] == 0


def test_what_was_taken_once_is_given_to_the_request_that_took_it(site: Site) -> None:
    """The answer to `pop_once` is lost, another request saves: the value is returned, once."""
    taken: list[Any] = []
    site.store.lose("replace", lambda: site.do(lambda session: session.update(other=1)))
    site.do(lambda session: taken.append(session.pop_once("coupon", None)))
    site.do(lambda session: taken.append(session.pop_once("coupon", None)))
    assert taken == ["SPRING", None]
    assert site.data() == {"hits": 0, "cart": ["pen"], "other": 1}


def test_a_policy_against_conflicts_does_not_refuse_ones_own_write(sealer: Sealer | None) -> None:
    """With on_conflict "error" a save that is found to be applied, or is repeated, is no conflict."""
    site = Site(sealer, repeats=True)
    strict = Manager(site.store, clock=site.clock, sealer=sealer, policy=Policy(on_conflict="error"))
    for applies in (True, False):
        site.store.repeats = applies
        site.store.lose("replace", applies=applies)
        site.do(_count_and_append, manager=strict)
    assert site.data()["hits"] == 2


@pytest.mark.parametrize("rotates", [True, False], ids=["at once", "in steps"])
@pytest.mark.parametrize("applies", [True, False], ids=["applied", "not applied"])
def test_a_rotation_whose_answer_is_lost_is_carried_out_once(site: Site, *, applies: bool, rotates: bool) -> None:
    """Whichever step of a rotation is lost, one id works afterwards, the response's, and its change is there once."""
    if not rotates:
        del site.store.move  # type: ignore[attr-defined]
        site.manager = Manager(site.store, clock=site.clock, sealer=site.manager.context.sealer)
    for operation in ("move",) if rotates else ("create", "replace"):
        site.store.lose(operation, applies=applies)
        site.token = site.do(_rotate)
    times = 1 if rotates else 2
    assert site.data()["cart"] == ["pen"] + times * ["ink"]
    assert site.manager.count() == 1


def test_a_new_session_whose_answer_is_lost_is_made_once(site: Site) -> None:
    """The answer to a first save is lost: the browser gets the token of the one session that is stored."""
    site.token = ""
    site.store.lose("create")
    site.token = site.do(lambda session: session.update(first=True))
    assert site.data() == {"first": True}
    assert site.manager.count() == 2


def test_an_end_whose_answer_is_lost_is_an_end(site: Site) -> None:
    """The answer to a logout is lost, or its driver repeats it: the session is over, and the request is the one."""
    site.store.lose("replace")
    state = SessionState(site.clock())
    site.manager.open(state, site.token)
    ServerSession(site.manager, state, lambda state: None).destroy()
    assert site.manager.commit(state).result == "saved"
    assert site.data() == {}


@pytest.mark.parametrize("before", [False, True])
def test_an_end_of_all_whose_answer_is_lost_spares_its_request(site: Site, before: bool) -> None:
    """The answer to the cut-off is lost: the session that asked for it is kept, and its login stands."""
    site.token = site.do(lambda session: session.bind("ada"))
    if before:  # the cut-off is not the first
        site.clock.advance_ms(1)
        site.token = site.do(lambda session: session.revoke_others())
    site.clock.advance_ms(1)

    def change_the_password(session: ServerSession) -> None:
        session.bind("ada")
        site.store.lose("replace" if before else "create")
        ended = session.revoke_others()
        assert isinstance(ended, RevokedCount)
        assert ended.outcome == "confirmed"

    site.token = site.do(change_the_password)
    assert site.store.operation is None
    assert site.data()["coupon"] == "SPRING"


def test_a_token_of_nobody_is_still_refused(site: Site) -> None:
    """A lost answer to a load is an outage, not an unknown session."""
    site.token = new_token()
    site.store.repeats = False
    site.store.lose("load")
    with pytest.raises(StoreUnavailable):
        site.data()
