"""Bugs that the tests in test_password_change.py catch."""

from __future__ import annotations

from typing import Any

import pytest
from support import seams

from holdfast.records.record import Record
from holdfast.sessions.ops import delete, find


def ends_only_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password change does not end the user's other sessions."""

    def revoke_all(context: object, owner: str, *, keep: str | None = None, state: object = None) -> Any:
        yield from ()
        return 0

    seams.REVOKE_ALL.plant(monkeypatch, revoke_all)


def ends_what_is_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sessions that the index lists at one moment are deleted, without a cut-off."""

    def revoke_all(context: object, owner: str, *, keep: str | None = None, state: object = None) -> Any:
        ended = 0
        for key, record in (yield from find(owner, None, 100)).items:
            if record.owner == owner and key != keep and (yield from delete(key)):
                ended += 1
        return ended

    seams.REVOKE_ALL.plant(monkeypatch, revoke_all)


def ignores_the_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login does not check whether the user's sessions were ended during it."""

    def ended_meanwhile(*_: object) -> Any:
        yield from ()
        return False

    seams.CUT_OFF_AFTER_LOGIN.plant(monkeypatch, ended_meanwhile)


def ends_the_kept_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session of the password change ends with the others."""
    sound = seams.REVOKE_ALL.sound
    seams.REVOKE_ALL.plant(monkeypatch, lambda context, owner, **_: sound(context, owner))


def keeps_quiet_about_reuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A superseded id is refused without a signal to the application."""
    seams.SUPERSEDED_RECEIVERS.plant(monkeypatch, lambda sender: ())


def loses_the_track(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending a session by an earlier id ends no session."""

    def follow(_context: Any, key: str, record: Record | None) -> Any:
        yield from ()
        return (key, record) if record is not None and record.owner is not None else None

    seams.FOLLOW_ON_END.plant(monkeypatch, follow)


def lets_the_old_id_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a rotation the old id leads to the new one."""
    sound = seams.ROTATE_PLAN.sound
    seams.ROTATE_PLAN.plant(monkeypatch, lambda *args, **rest: sound(*args, **{**rest, "renewal": True}))
