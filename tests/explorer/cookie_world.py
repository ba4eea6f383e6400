"""The same environment for sessions in the cookie, with a store of revocations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from explorer.schedules import Actor
from explorer.world import ALICE, KEYS, Live, Mint, Role, World, face_of

from holdfast.records.cookie import SealedCookie
from holdfast.records.encryption import Keyring
from holdfast.sessions.flows import in_cookie
from holdfast.sessions.flows.commit import commit
from holdfast.sessions.flows.context import Context
from holdfast.sessions.flows.request_flows import RequestFlows
from holdfast.sessions.ops import drive
from holdfast.sessions.state import PERMANENT, SessionState

_KEY = bytes.fromhex("59d81c9271ee2604b73a66c1138d4fa50e9b62f7d43ac8155b81e06d2fb49973")
_COOKIE = SealedCookie(Keyring([_KEY]), names=["session"], keys=KEYS)


@dataclass(repr=False)
class CookieWorld(World):
    """Its tokens are values of the cookie, and its sessions those that such a value opens."""

    flows: ClassVar[RequestFlows] = in_cookie.InCookie(_COOKIE, revocable=True)

    def take_seats(self) -> Mapping[str, str]:
        """Sign the browsers in, and return the names of keys in reports."""
        names = Mint.reset()
        for browser, who in (("here", self.user), ("there", "alice")):
            Mint.turn = browser
            state = SessionState(self.clock(), {PERMANENT: browser, "last": 1})
            state.opened = True
            if who is not None:
                face_of(state)["_user_id"] = who
            drive(commit(self.context(), state, self.flows), self.store)
            assert state.stored is not None
            self.tokens[browser], self.handles[browser] = state.stored.value, state.stored.key
        return names

    @cached_property
    def sessions(self) -> list[Live]:
        """Every session that a value of the cookie opens. Asked for only when the race is over."""
        found = map(self.probe, self.known_tokens)
        live = {
            state.stored.key: Live(state.stored.key, state.stored.owner, state.data) for state in found if state.stored
        }
        return list(live.values())


def _revoke_all(world: World, context: Context) -> Actor:
    yield from in_cookie.revoke_all(context, ALICE)
    yield from world.announce("revoke all")
    return 0


def _revoke(world: World, context: Context) -> Actor:
    return (yield from in_cookie.revoke(context, world.handles["here"]))


def _end_others(context: Context, state: SessionState) -> Actor:
    if state.owner is not None:
        yield from in_cookie.revoke_all(context, state.owner, keep=state.handle, state=state)
        face_of(state).rotate()


REVOKE_ALL = Role("revoke all", errand=_revoke_all, marks=frozenset(("revokes",)))
REVOKE = Role("revoke", errand=_revoke, marks=frozenset(("ends",)))
END_OTHERS = Role(
    "end others",
    lambda session, name: session.get("list"),
    then=_end_others,
    marks=frozenset(("supersedes", "ends others")),
)
