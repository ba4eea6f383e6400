"""The checker is alive: it finds each way to get sessions wrong that is planted in the real flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from explorer import planted as p
from explorer import roles as r
from explorer.scenarios import run
from explorer.search import Violation
from explorer.stores import Atomic, Scattered, Stepwise
from explorer.world import Role, untouched
from support import seams
from support.seams import Seam


@dataclass(frozen=True)
class Bug:
    """The *wrong* behaviour, the actors and the store, and the invariant that detects it.

    *wrong* takes the place of what is at *seam*; without one, it changes what the actors do on its way to the store.
    """

    wrong: Any
    roles: tuple[Role, ...]
    backend: type[Atomic]
    invariant: str
    seam: Seam | None = None

    def __str__(self) -> str:
        """Return its name in reports."""
        return "-".join([self.wrong.__name__, *(role.name.replace(" ", "-") for role in self.roles)])


def _in_steps(wrong: object, roles: tuple[Role, ...], backend: type[Atomic], invariant: str) -> Bug:
    return Bug(wrong, roles, backend, invariant, seams.ROTATE_IN_STEPS)


BUGS = (
    _in_steps(p.tombstone_before_the_new_record, (r.ROTATE, r.REVOKE_ALL), Stepwise, "r8_no_session"),
    _in_steps(p.tombstone_before_the_new_record, (r.RENEW, r.SAVE), Stepwise, "r6_late_arrivals"),
    _in_steps(p.index_after_the_tombstone, (r.ROTATE, r.REVOKE_ALL), Stepwise, "r8_no_session"),
    _in_steps(p.index_after_the_tombstone, (r.RENEW, r.REVOKE_ALL), Scattered, "r8_no_session"),
    _in_steps(p.no_undo, (r.ROTATE, r.SAVE), Stepwise, "r7_one_id_lives"),
    _in_steps(p.no_undo, (r.ROTATE, r.DESTROY), Stepwise, "every_session_has_a_browser"),
    _in_steps(p.both_ids_live, (r.ROTATE, r.READ), Stepwise, "r5_the_old_id_is_dead"),
    _in_steps(p.both_ids_live, (r.ROTATE, r.ROTATE), Stepwise, "r7_one_id_lives"),
    Bug(p.lead_on, (r.LOGIN_BOB, r.REVOKE), Atomic, "an_end_is_told_once", seams.ROTATE_PLAN),
    Bug(p.delete_only, (r.DESTROY, r.RENEW), Atomic, "r3_r4_what_is_over", seams.END_SESSION),
    Bug(p.follow_nothing, (r.DESTROY, r.RENEW), Atomic, "r3_whoever_ends", seams.FOLLOW_ON_END),
    Bug(p.follow_nothing, (r.DESTROY, r.ROTATE), Stepwise, "r15_a_logout", seams.FOLLOW_ON_END),
    Bug(p.no_cut_off, (r.LOGIN_AFRESH, r.REVOKE_ALL), Atomic, "r8_no_session", seams.WRITE_CUT_OFF),
    Bug(p.the_last_clock, (r.LOGIN_SLOWLY, r.REVOKE_ALL_TWICE), Atomic, "r8_no_session", seams.WRITE_CUT_OFF),
    Bug(p.keep_the_handle, (r.RENEW, r.REVOKE_OTHERS), Atomic, "r3_r4_what_is_over", seams.KEY_TO_KEEP),
    Bug(p.mine, (r.SAVE, r.COUNT), Atomic, "r1_r2_what_is_answered", seams.MERGE),
    Bug(p.theirs, (r.SAVE, r.COUNT), Atomic, "r1_r2_what_is_answered", seams.MERGE),
    Bug(p.apply_once, (r.COUNT, r.COUNT), Atomic, "r1_r2_what_is_answered", seams.REAPPLY),
    Bug(p.save_unconfirmed, (r.REFRESH, r.DESTROY), Atomic, "r3_r5_no_cookie", seams.SAVE),
    Bug(p.save_unconfirmed, (r.RENEW, r.READ, r.ROTATE), Atomic, "r3_r5_no_cookie", seams.SAVE),
    Bug(p.overwrite_sessions, (r.SAVE, r.COUNT), Atomic, "r1_r2_what_is_answered"),
    Bug(p.overwrite_sessions, (r.SAVE, r.DESTROY), Atomic, "r3_r4_what_is_over"),
    Bug(p.overwrite_sessions, (r.SAVE, r.ROTATE), Stepwise, "r5_the_old_id_is_dead"),
    Bug(p.overwrite_with_tombstones, (r.ROTATE, r.SAVE), Stepwise, "r1_r2_what_is_answered"),
    Bug(p.overwrite_with_tombstones, (r.ROTATE, r.ROTATE), Stepwise, "r7_one_id_lives"),
    Bug(p.reviving_touch, (r.TOUCH, r.DESTROY), Atomic, "r3_r4_what_is_over"),
    Bug(p.reviving_touch, (r.TOUCH, r.ROTATE), Atomic, "r5_the_old_id_is_dead"),
    Bug(p.save_what_is_gone, (r.SAVE, r.DESTROY), Atomic, "r3_r4_what_is_over"),
    Bug(p.save_what_is_gone, (r.SAVE, r.REVOKE_ALL), Atomic, "r8_no_session"),
    Bug(p.cut_off_not_read, (r.LOGIN_AFRESH, r.REVOKE_ALL), Atomic, "r8_no_session"),
    Bug(p.list_once, (r.ROTATE, r.REVOKE_ALL), Scattered, "r8_no_session"),
    Bug(p.list_once, (r.RENEW, r.REVOKE_FROM_THERE), Scattered, "r8_no_session"),
)


@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_what_is_wrong_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some order of the store calls breaks the invariant, which holds in every order without the bug."""
    run(bug.roles, bug.backend, "alice")
    if bug.seam is not None:
        bug.seam.plant(monkeypatch, bug.wrong)
    with pytest.raises(Violation, match=rf"(?m)^{bug.invariant}"):
        run(bug.roles, bug.backend, "alice", tamper=untouched if bug.seam else bug.wrong)
