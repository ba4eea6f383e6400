"""`session.sid`: the public id of a session, from a login to its end."""

from __future__ import annotations

import functools
from collections.abc import Callable

from flask_login import LoginManager, UserMixin, login_user
from support.web import Web, rotate

from holdfast.flask import session


def sid() -> str:
    """Return the id that a view sees."""
    return session.sid


def after(action: Callable[[], object]) -> str:
    """Return the id that a view sees after *action*."""
    action()
    return sid()


def begin_again() -> None:
    """End the session, and begin another one."""
    session.clear()
    session["a"] = 1


def test_it_stays_through_every_rotation_of_a_login() -> None:
    """It is the same after a rotation, a renewal, a change of the password and a confirmed login; the handle is not."""
    web = Web(SESSION_RENEWAL_INTERVAL=60)
    web.put(cart=[1])
    visitor = web.see(sid)
    web.do(lambda: session.bind("ada"))
    known, handle = web.see(sid), web.see(lambda: session.handle)
    assert known != visitor
    for action in (
        rotate,
        lambda: str(session.revoke_others()),
        lambda: session.bind("ada"),
        lambda: web.clock.advance(61),
    ):
        web.clock.advance(1)
        web.do(action)
        web.do(lambda: session.update(seen=1))
        assert web.see(sid) == known
    assert web.see(lambda: session.handle) != handle


def test_another_login_has_another() -> None:
    """A logout, the login of another user and a cleared session begin with a new one, which the view sees at once."""
    web = Web()
    seen = set()
    for action in (
        lambda: session.bind("ada"),
        lambda: session.bind("bob"),
        begin_again,
    ):
        told = web.see(functools.partial(after, action))
        assert web.see(sid) == told
        seen.add(told)
    assert len(seen) == 3


def test_to_read_it_stores_nothing() -> None:
    """A visitor's session is not stored because its id was read."""
    web = Web()
    web.see(sid)
    assert not web.memory._records


def test_a_session_is_found_and_ended_by_it() -> None:
    """Lists have it; with the user's id it ends the session after rotations too, and no other user's."""
    web = Web()
    web.do(lambda: session.bind("ada"))
    known = web.see(sid)
    web.do(rotate)
    with web.app.app_context():
        assert [each.sid for each in web.sessions.of("ada")] == [known]
        assert web.sessions.revoke(known) == "absent"
        assert web.sessions.revoke(known, user_id="bob") == "absent"
        assert web.sessions.revoke(known, user_id="ada") == "confirmed"
    assert web.data() == {}


def test_flask_login_has_it_too() -> None:
    """A login by Flask-Login begins with a new id."""
    web = Web()
    manager = LoginManager(web.app)

    class User(UserMixin):  # type: ignore[misc]  # it has no types
        id = "ada"

    manager.user_loader(lambda _: User())
    web.put(a=1)
    before = web.see(sid)
    web.do(lambda: login_user(User()))
    after = web.see(sid)
    assert after not in {before, ""}
    assert web.see(sid) == after
