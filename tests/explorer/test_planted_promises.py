"""The explorer finds each fault that Holdfast had: planted back, a schedule breaks the promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from explorer import cookie_world as c
from explorer import planted_promises as p
from explorer import roles as r
from explorer import test_applied_once as applied_once
from explorer import test_ends_win as ends
from explorer import test_lost_responses as lost
from explorer.cookie_world import CookieWorld
from explorer.faults import full, unanswered, unreached
from explorer.scenarios import run
from explorer.search import Violation, explore
from explorer.stores import Atomic
from explorer.world import Host, Role, World
from support import seams
from support.seams import Seam


@dataclass(frozen=True)
class Fault:
    """What is *wrong* at *seams*, and how it is *found*: what is said of it is *shown*."""

    wrong: object
    seams: tuple[Seam, ...]
    found: Callable[[], object]
    shown: str
    also: tuple[tuple[Seam, object], ...] = ()


def _ends(*roles: Role, **options: Any) -> Callable[[], object]:
    return partial(ends.explore_ends, roles, Atomic, **options)


def _on(host: Host, role: Role) -> Role:
    return replace(role, host=host)


def _meet(judge: Callable[[World], None], *roles: Role) -> Callable[[], object]:
    return lambda: explore(lambda: World(roles, Atomic, "alice", judge))


def _in_cookies(*roles: Role) -> Callable[[], object]:
    return lambda: explore(lambda: CookieWorld(roles, Atomic, "alice", ends.judge))


def _once(role: Role, other: Role, fault: Any, **options: Any) -> Callable[[], object]:
    return partial(applied_once.explore_once, role, other, fault, **options)


_STRICT, _ONE_TRY, _NEAR = Host(on_conflict="error"), Host(attempts=1), Host(near=True)
_FULL = replace(r.DESTROY, fault=full)
_UNSEEN = replace(r.DESTROY, host=Host(on_store_error="anonymous"), fault=unreached(0, lambda: None))
_GIVES_UP = ((seams.ROTATE_POSTPONE, p.postpone_nothing),)

FAULTS = {
    "full store": Fault(p.an_end_needs_room, (seams.END_WITHOUT_ROOM,), _ends(_FULL, r.SAVE), "needs no room"),
    "conflict": Fault(
        p.a_conflict_refuses_an_end, (seams.ROTATE_RECONCILE,), _ends(_on(_STRICT, r.LOGOUT), r.SAVE), "is refused"
    ),
    "number of tries": Fault(
        p.lost_tries_refuse_an_end, (seams.ROTATE_TAKE_OVER,), _ends(_on(_ONE_TRY, r.LOGOUT), r.SAVE), "is refused"
    ),
    "what cannot be stored": Fault(
        p.an_error_keeps_the_session,
        (seams.END_OF_WHAT_CANNOT_BE_STORED,),
        _ends(r.LOGOUT_AND_SPOIL, r.SAVE),
        "lives after logout",
    ),
    "late logout": Fault(
        p.a_late_logout_ends_nothing, (seams.END_PRESENTED,), _ends(r.DESTROY, r.ROTATE), "lives after destroy"
    ),
    "logout in an outage": Fault(
        p.a_late_logout_ends_nothing, (seams.END_PRESENTED,), _ends(_UNSEEN, r.SAVE), "lives after destroy"
    ),
    "logout overtaken": Fault(
        p.what_lost_is_dropped, (seams.ROTATE_REPLACED_MEANWHILE,), _ends(r.LOGOUT, r.ROTATE), "lives after logout"
    ),
    "login as another user": Fault(
        p.what_lost_is_dropped,
        (seams.ROTATE_REPLACED_MEANWHILE,),
        partial(run, (r.LOGIN_BOB, r.REVOKE), Atomic, "alice"),
        "not signed in",
    ),
    "earlier cut-off": Fault(
        p.an_earlier_cut_off_is_forgotten,
        (seams.WRITE_CUT_OFF,),
        _ends(r.BIND_AND_END_OTHERS, r.REVOKE_ALL),
        "lives after revoke all",
    ),
    "kept though over": Fault(
        p.an_earlier_cut_off_is_forgotten,
        (seams.WRITE_CUT_OFF_OF_COOKIES,),
        _in_cookies(c.END_OTHERS, c.REVOKE_ALL),
        "lives after revoke all",
    ),
    "near cache": Fault(
        p.a_cache_decides,
        (seams.FRESH_LOAD,),
        _ends(_on(_NEAR, r.LOGIN_AFRESH), r.REVOKE_ALL, cutoff_before=True),
        "lives after revoke all",
    ),
    "second login": Fault(
        property(p.a_login_is_dropped_with_the_rest),
        (seams.LOGIN_BEGINS_ANEW,),
        lambda: run((r.LOGIN, r.LOGIN), Atomic, None),
        "not signed in",
    ),
    "next login": Fault(
        property(p.a_login_is_dropped_with_the_rest),
        (seams.LOGIN_BEGINS_ANEW,),
        _meet(lost.signs_in_again, r.BIND, r.SAVE),
        "the next login",
    ),
    "lost renewal": Fault(
        p.an_alias_ends_with_the_grace_period,
        (seams.ROTATE_PLAN,),
        _meet(lost.goes_on, r.RENEW, r.SAVE),
        "opens nothing",
    ),
    "no alias": Fault(
        p.an_alias_leads_nowhere,
        (seams.SEALED_SUCCESSOR,),
        _once(r.RENEW_AND_COUNT, r.COUNT, unanswered),
        "are answered|opens nothing",
    ),
    "lost answer": Fault(
        p.a_write_does_not_know_itself, (seams.WRITE_IS_APPLIED,), _once(r.COUNT, r.COUNT, unanswered), "hits, and"
    ),
    "failure after the move": Fault(
        p.give_up_after_the_move,
        (seams.ROTATE_FINISH_LOGIN,),
        _once(r.BIND, r.READ, unreached, judge=applied_once.some_token_works),
        "no browser can open",
        _GIVES_UP,
    ),
    "long request": Fault(
        p.a_long_request_is_late,
        (seams.RECONCILE_RESOLVE,),
        _meet(lost.keeps_changes, r.SLOW_COUNT, r.RENEW_AND_PRESENT),
        "is answered 'gone'",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_was_fixed_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the fault planted some schedule breaks the promise, and without it none does."""
    fault = FAULTS[name]
    fault.found()
    for seam, wrong in (*((seam, fault.wrong) for seam in fault.seams), *fault.also):
        seam.plant(monkeypatch, wrong)
    with pytest.raises(Violation, match=fault.shown):
        fault.found()
