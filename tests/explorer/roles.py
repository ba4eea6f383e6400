"""The actors: the views of requests, and calls about sessions from outside of requests.

The properties of a role that the invariants need are in its marks: its view ``writes`` a key with the actor's name,
``appends`` it to a list, ``counts``, or ``overwrites`` a shared key; it ``binds`` the session to Alice, or ``binds
bob``, or ``unbinds`` it; it ``supersedes`` the id; it ``wipes`` the data; it ``ends`` the session; it ``revokes`` all
of Alice's, including the one in the browser ``here``.
"""

from __future__ import annotations

from collections.abc import Callable

from explorer.schedules import Actor
from explorer.world import ALICE, Role, World

from holdfast.clock import DAY
from holdfast.sessions.flows.end import revoke, revoke_all
from holdfast.sessions.flows.listing import list_of
from holdfast.sessions.mapping import ServerSession


def _save(session: ServerSession, name: str) -> None:
    session[name] = True


def _overwrite(session: ServerSession, name: str) -> None:
    session["shared"] = name


def _append(session: ServerSession, name: str) -> None:
    session.setdefault("list", []).append(name)


def _count(session: ServerSession, name: str) -> None:
    session.apply("hits", lambda hits: hits + 1, 0)


def _read(session: ServerSession, name: str) -> None:
    session.get("list")


def _rotate(session: ServerSession, name: str) -> None:
    session.rotate()
    session[name] = True


def _login(session: ServerSession, name: str) -> None:
    session["_user_id"] = "alice"
    session[name] = True


def _login_bob(session: ServerSession, name: str) -> None:
    session["_user_id"] = "bob"
    session[name] = True


def _bind(session: ServerSession, name: str) -> None:
    session.bind("alice")
    session[name] = True


def _logout(session: ServerSession, name: str) -> None:
    session.pop("_user_id", None)


def _destroy(session: ServerSession, name: str) -> None:
    session.destroy()


def _clear_and_write(session: ServerSession, name: str) -> None:
    session.clear()
    session[name] = True


def _take_last(session: ServerSession, name: str) -> None:
    session.pop("last", None)


def _revoke(world: World) -> Actor:
    outcome = yield from revoke(world.context(), world.handles["here"])
    if outcome == "confirmed":
        yield from world.announce("revoke")
    return outcome


def _revoke_all(name: str, *, keep: str = "") -> Callable[[World], Actor]:
    def errand(world: World) -> Actor:
        ended = yield from revoke_all(world.context(), ALICE, keep=world.handles.get(keep))
        yield from world.announce(name)
        return ended

    return errand


def _revoke_all_twice(world: World) -> Actor:
    """End all of Alice's sessions, and once more on a server whose clock is behind."""
    ended = yield from revoke_all(world.context(), ALICE)
    yield from world.announce("revoke all twice")
    yield from revoke_all(world.context(behind=5000), ALICE)
    return ended


def _list(world: World) -> Actor:
    listed = yield from list_of(world.context(), ALICE)
    return [info.handle for info in listed]


def _marks(*marks: str) -> frozenset[str]:
    return frozenset(marks)


SAVE = Role("save", _save, marks=_marks("writes"))
OVERWRITE = Role("overwrite", _overwrite, marks=_marks("overwrites"))
APPEND = Role("append", _append, marks=_marks("appends"))
COUNT = Role("count", _count, marks=_marks("counts"))
READ = Role("read", _read)
REFRESH = Role("refresh", _read, refresh=True)
TOUCH = Role("touch", _read, idle=4 * DAY)
TAKE_LAST = Role("take last", _take_last)
ROTATE = Role("rotate", _rotate, marks=_marks("writes", "supersedes"))
RENEW = Role("renew", _read, renewal=True)
RENEW_AND_COUNT = Role("renew and count", _count, renewal=True, marks=_marks("counts"))
LOGIN = Role("login", _login, marks=_marks("writes", "supersedes", "binds"))
LOGIN_SLOWLY = Role("login slowly", _login, marks=_marks("writes", "supersedes", "binds"), began=2000)
LOGIN_AFRESH = Role("login afresh", _login, browser=None, marks=_marks("writes", "binds"))
LOGIN_BOB = Role("login bob", _login_bob, marks=_marks("writes", "supersedes", "binds bob"))
BIND = Role("bind", _bind, marks=_marks("writes", "supersedes", "binds"))
LOGOUT = Role("logout", _logout, marks=_marks("supersedes", "unbinds"))
DESTROY = Role("destroy", _destroy, marks=_marks("ends"))
CLEAR_AND_WRITE = Role("clear and write", _clear_and_write, marks=_marks("writes", "supersedes", "wipes"))
REVOKE = Role("revoke", errand=_revoke, marks=_marks("ends"))
REVOKE_ALL = Role("revoke all", errand=_revoke_all("revoke all"), marks=_marks("revokes"))
REVOKE_ALL_TWICE = Role("revoke all twice", errand=_revoke_all_twice, marks=_marks("revokes"))
REVOKE_FROM_THERE = Role(
    "revoke from there", errand=_revoke_all("revoke from there", keep="there"), marks=_marks("revokes")
)
REVOKE_OTHERS = Role("revoke others", errand=_revoke_all("revoke others", keep="here"))
LIST = Role("list", errand=_list)

#: Everyone who is paired with everyone.
ROLES = (
    SAVE,
    OVERWRITE,
    APPEND,
    COUNT,
    READ,
    REFRESH,
    TOUCH,
    TAKE_LAST,
    ROTATE,
    RENEW,
    RENEW_AND_COUNT,
    LOGIN,
    LOGIN_AFRESH,
    LOGIN_BOB,
    BIND,
    LOGOUT,
    DESTROY,
    CLEAR_AND_WRITE,
    REVOKE,
    REVOKE_ALL,
    REVOKE_FROM_THERE,
    REVOKE_OTHERS,
    LIST,
)
