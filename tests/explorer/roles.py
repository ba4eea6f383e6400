"""The actors: the views of requests, and calls about sessions from outside of requests.

The properties of a role that the invariants need are in its marks: its view ``writes`` a key with the actor's name,
``appends`` it to a list, ``counts``, or ``overwrites`` a shared key; it ``binds`` the session to Alice, or ``binds
bob``, or ``unbinds`` it; it ``supersedes`` the id; it ``wipes`` the data; it ``ends`` the session; it ``ends others``
of its user, or ``ends everyone``'s; it ``revokes`` all of Alice's, including the one in the browser ``here``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from explorer.schedules import Actor
from explorer.world import ALICE, Host, Role, World, face_of
from support.opening import open_session

from holdfast.clock import DAY, MINUTE
from holdfast.sessions.flows import in_store
from holdfast.sessions.flows.commit import commit
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.listing import list_of
from holdfast.sessions.flows.pop import consume_authentication, pop_stored
from holdfast.sessions.flows.revoke import revoke, revoke_all
from holdfast.sessions.flows.walk import revoke_everyone
from holdfast.sessions.ops import Flow
from holdfast.sessions.server_session import ServerSession
from holdfast.sessions.state import SessionState


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


def _destroy_and_spoil(session: ServerSession, name: str) -> None:
    session.destroy()
    session[name] = object()


def _logout_and_spoil(session: ServerSession, name: str) -> None:
    session.pop("_user_id", None)
    session[name] = object()


def _end_others(context: Context, state: SessionState) -> Actor:
    """Do what `ServerSession.revoke_others` does, with the store calls of each step in the open."""
    if state.owner is not None:
        yield from revoke_all(context, state.owner, keep=state.handle, state=state)
        face_of(state).rotate()


def _clear_and_write(session: ServerSession, name: str) -> None:
    session.clear()
    session[name] = True


def _take_last(session: ServerSession, name: str) -> None:
    session.pop("last", None)


def _revoke(world: World, context: Context) -> Actor:
    outcome = yield from revoke(context, world.handles["here"])
    if outcome == "confirmed":
        yield from world.announce("revoke")
    return outcome


def _revoke_all(name: str, *, keep: str = "") -> Callable[[World, Context], Actor]:
    def errand(world: World, context: Context) -> Actor:
        ended = yield from revoke_all(context, ALICE, keep=world.handles.get(keep))
        yield from world.announce(name)
        return ended

    return errand


def _revoke_all_twice(world: World, context: Context) -> Actor:
    """End all of Alice's sessions, and once more on a server whose clock is behind."""
    ended = yield from revoke_all(context, ALICE)
    yield from world.announce("revoke all twice")
    yield from revoke_all(world.context(Host(ahead=-5000)), ALICE)
    return ended


def _list(world: World, context: Context) -> Actor:
    listed = yield from list_of(context, ALICE)
    return [info.handle for info in listed]


def _revoke_everyone(world: World, context: Context) -> Actor:
    # Pages of one, so that a session can move from what is still to come to what is behind.
    ended = yield from revoke_everyone(context, stride=1)
    yield from world.announce("revoke everyone")
    return ended


#: The key in the session ``here`` that is to be taken out.
KEY_TO_POP = "last"

#: Removes a value from a session at once, and returns whether this request did it.
Taker = Callable[[Any, SessionState], Flow[bool]]


def _pop(context: Any, state: SessionState) -> Flow[bool]:
    """Do what `ServerSession.pop_once` does, with the store calls of each step in the open."""
    if KEY_TO_POP not in state.data:
        return False
    won = yield from pop_stored(context, state, KEY_TO_POP)
    state.exposed = state.data.pop(KEY_TO_POP, None) is not None
    return won


def _taking(taker: Taker, *, changes: bool) -> Callable[[World, Context], Actor]:
    def errand(world: World, context: Context) -> Actor:
        state = SessionState(world.clock())
        yield from open_session(context, state, world.tokens["here"])
        session = face_of(state)
        if changes:
            session["changed"] = True
        won = yield from taker(context, state)
        outcome = yield from commit(context, state, in_store)
        return won, outcome.result

    return errand


def _renew_and_present(world: World, context: Context) -> Actor:
    """Renew the session ``here`` in one request, and come with its token in the next."""
    state = SessionState(context.clock())
    state.opened = True
    yield from open_session(context, state, world.tokens["here"])
    yield from commit(world.context(renewal=True), state, in_store)
    if state.stored is None:
        return "gone"
    token = world.tokens["here after"] = state.stored.token
    state = SessionState(context.clock())
    state.opened = True
    yield from open_session(context, state, token)
    yield from commit(context, state, in_store)
    return "presented"


def _marks(*marks: str) -> frozenset[str]:
    return frozenset(marks)


SAVE = Role("save", _save, marks=_marks("writes"))
OVERWRITE = Role("overwrite", _overwrite, marks=_marks("overwrites"))
APPEND = Role("append", _append, marks=_marks("appends"))
COUNT = Role("count", _count, marks=_marks("counts"))
READ = Role("read", _read)
REFRESH = Role("refresh", _read, refresh=True)
TOUCH = Role("touch", _read, idle=4 * DAY, navigation=False)
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
DESTROY_AND_SPOIL = Role("destroy and spoil", _destroy_and_spoil, marks=_marks("ends"))
LOGOUT_AND_SPOIL = Role("logout and spoil", _logout_and_spoil, marks=_marks("supersedes", "unbinds"))
CLEAR_AND_WRITE = Role("clear and write", _clear_and_write, marks=_marks("writes", "supersedes", "wipes"))
REVOKE = Role("revoke", errand=_revoke, marks=_marks("ends"))
REVOKE_ALL = Role("revoke all", errand=_revoke_all("revoke all"), marks=_marks("revokes"))
REVOKE_ALL_TWICE = Role("revoke all twice", errand=_revoke_all_twice, marks=_marks("revokes"))
REVOKE_FROM_THERE = Role(
    "revoke from there", errand=_revoke_all("revoke from there", keep="there"), marks=_marks("revokes")
)
REVOKE_OTHERS = Role("revoke others", errand=_revoke_all("revoke others", keep="here"))
END_OTHERS = Role("end others", _read, then=_end_others, marks=_marks("supersedes", "ends others"))
BIND_AND_END_OTHERS = Role(
    "bind and end others",
    _bind,
    then=_end_others,
    marks=_marks("writes", "supersedes", "binds", "ends others"),
    began=2000,
)
SLOW_COUNT = Role("slow count", _count, lasts=MINUTE, marks=_marks("counts"))
SLOW_APPEND = Role("slow append", _append, lasts=MINUTE, marks=_marks("appends"))
RENEW_AND_PRESENT = Role("renew and present", errand=_renew_and_present)
LIST = Role("list", errand=_list)
EVERYONE = Role("revoke everyone", errand=_revoke_everyone, marks=_marks("ends everyone"))
POP = Role("pop", errand=_taking(_pop, changes=False))
POP_AND_CHANGE = Role("pop and change", errand=_taking(_pop, changes=True))
CONSUME = Role("consume", errand=_taking(consume_authentication, changes=False))

#: The roles that are paired with each other.
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
