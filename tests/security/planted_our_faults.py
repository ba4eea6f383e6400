"""The faults of Holdfast that the tests in test_our_faults.py catch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from explorer import planted_promises as p
from support import seams

from holdfast.records.tokens import is_user_id
from holdfast.sessions.flows.context import Context
from holdfast.sessions.server_session import ServerSession
from holdfast.sessions.state import SessionState


def a_logout_needs_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session ends by a write, and by nothing else."""
    seams.END_WITHOUT_ROOM.plant(monkeypatch, p.an_end_needs_room)


def a_login_is_dropped_with_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login whose session is over when it is saved stores nothing, and says nothing."""
    seams.ROTATE_REPLACED_MEANWHILE.plant(monkeypatch, p.what_lost_is_dropped)


def a_conflict_refuses_a_logout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy for conflicts of data refuses a logout too."""
    seams.ROTATE_RECONCILE.plant(monkeypatch, p.a_conflict_refuses_an_end)


def an_error_keeps_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that cannot be stored keeps the session alive that was to end."""
    seams.END_OF_WHAT_CANNOT_BE_STORED.plant(monkeypatch, p.an_error_keeps_the_session)


def a_late_logout_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logout under a token that was replaced is dropped."""
    seams.END_PRESENTED.plant(monkeypatch, p.a_late_logout_ends_nothing)


def an_earlier_cut_off_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that ends the user's other sessions passes the cut-off that came during its request."""
    seams.WRITE_CUT_OFF.plant(monkeypatch, p.an_earlier_cut_off_is_forgotten)


def a_session_that_is_over_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that is to be kept may be over already."""
    seams.WRITE_CUT_OFF_OF_COOKIES.plant(monkeypatch, p.an_earlier_cut_off_is_forgotten)


def a_cache_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A near cache answers the lookup of the cut-off at a login."""
    seams.FRESH_LOAD.plant(monkeypatch, p.a_cache_decides)


def a_second_login_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login under a token that was replaced is dropped like any other change."""
    seams.LOGIN_BEGINS_ANEW.plant(monkeypatch, property(p.a_login_is_dropped_with_the_rest))


def delivery_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that a renewal replaced is valid for the grace period only."""
    seams.ROTATE_PLAN.plant(monkeypatch, p.an_alias_ends_with_the_grace_period)


def a_repeat_is_not_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A save whose answer was lost is repeated over whatever another request has saved since."""
    seams.WRITE_IS_APPLIED.plant(monkeypatch, p.a_write_does_not_know_itself)


def a_login_gives_up_after_its_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """One failed lookup after the move to the new token is an error, and the browser does not get that token."""
    seams.ROTATE_FINISH_LOGIN.plant(monkeypatch, p.give_up_after_the_move)
    seams.ROTATE_POSTPONE.plant(monkeypatch, p.postpone_nothing)


def a_long_request_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that began before a renewal, and ends after the grace period, is not led to the new token."""
    seams.RECONCILE_RESOLVE.plant(monkeypatch, p.a_long_request_is_late)


def a_shown_name_says_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys that may name a user count beside Flask-Login's."""

    def owner_named(self: Context, data: Mapping[Any, Any]) -> str | None:
        ids = (data.get(key) for key in self.policy.identity_keys)
        return next((self.keys.owner_of(id_) for id_ in ids if is_user_id(id_)), None)

    seams.CONTEXT_OWNER_NAMED.plant(monkeypatch, owner_named)


def no_thread_waits_for_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that finds the lookup begun takes the session as it is then."""

    def open_once(self: ServerSession) -> SessionState:
        if not self._state.opened:
            self._look_up(self._state)
        return self._state

    seams.SESSION_OPEN.plant(monkeypatch, open_once)


def an_operator_leaves_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the user keeps what an operator has in the session."""
    seams.SESSION_FORGET_OPERATOR.plant(monkeypatch, lambda _, owner: None)


def the_pattern_skips_the_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pattern leaves out the spaces around the token by itself, and looks for its end at each of them."""
    pattern = seams.BEARER_PATTERN.sound
    seams.BEARER_PATTERN.plant(
        monkeypatch, re.compile(pattern.pattern.replace("(.*)", r"[ \t]*(.*?)[ \t]*"), pattern.flags)
    )


def an_object_is_its_user_s_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything but a collection is converted to text, and is the id of a user."""
    is_user_id = seams.IS_USER_ID.sound
    seams.IS_USER_ID.plant(monkeypatch, lambda value: is_user_id(value) or hasattr(value, "id"))


def only_a_set_value_is_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value under a key of a user's id counts where it is set, and not where it is changed in place."""
    seams.COMMIT_NAMES_ANOTHER.plant(monkeypatch, lambda context, state, stored: False)
