"""A mapping over the state of a request, as Flask's session is one: its changes are saved when the request ends.

Who is signed in is one of them, by a call or by the keys that name the user. What is known of a session beyond its
data, and what its store decides at once, is in `holdfast.sessions.server_session`.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.errors import forget_locals
from holdfast.records import metadata
from holdfast.sessions.state import FRESH, IDENTITY, OPERATOR, PERMANENT, REMEMBER, Changes, SessionState, signs_over

if TYPE_CHECKING:
    from typing_extensions import Self

    from holdfast.sessions.requests import Requests

T = TypeVar("T")

#: A value of one of these types cannot be changed in place.
_UNCHANGEABLE = frozenset({type(None), bool, int, float, str, bytes})

#: Stands for a value that is not there.
MISSING: Any = object()

_logger = logging.getLogger("holdfast")


class _Reversible(Iterable[Any]):
    def __reversed__(self) -> Iterator[Any]:
        return iter([*self][::-1])


class _Keys(_Reversible, KeysView[str]):
    """The keys, also in reverse."""


class _Values(_Reversible, ValuesView[Any]):
    """The values, also in reverse."""


class _Items(_Reversible, ItemsView[str, Any]):
    """The keys with their values, also in reverse."""


class SessionMapping(MutableMapping[str, Any]):
    """The data of a session. They are loaded on first use, and saved when the request ends.

    Args:
        manager: The manager of the session.
        state: The state of the request, not opened yet.
        load: Loads the request's session into *state*. Called once, on first use.
        forget: Called with the key of a visitor's secret that a login removes.
    """

    def __init__(
        self,
        manager: Requests,
        state: SessionState,
        load: Callable[[SessionState], None],
        forget: Callable[[str], object] | None = None,
    ) -> None:
        self._manager = manager
        self._state = state
        self._load = load
        self._forget = forget
        self._turn = threading.RLock()
        self._is_loading = False

    def _open(self) -> SessionState:
        state = self._state
        if self._is_loading or not state.opened:
            with self._turn:  # other threads of the request wait for the first one
                if not state.opened:
                    self._look_up(state)
                elif state.failure is not None:
                    raise state.failure
        return state

    def _look_up(self, state: SessionState) -> None:
        self._is_loading = True
        state.opened = state.read_only = True  # for calls during the lookup, and after an error
        try:
            self._load(state)
        except Exception as error:
            forget_locals(error)
            state.failure = error
            raise
        except BaseException:  # such as a time limit of gevent's: the next use looks the session up again
            state.opened = False
            raise
        finally:
            self._is_loading = False

    def _change(self) -> SessionState:
        state = self._open()
        state.pending = True
        if state.closed:
            warn_of_late_change()
        return state

    # --- the mapping -------------------------------------------------------------------------------------------------

    def __getitem__(self, key: str) -> Any:
        state = self._open()
        value = state.data[key]
        if type(value) not in _UNCHANGEABLE:
            state.exposed = state.pending = True
        return value

    def __contains__(self, key: object) -> bool:
        if key == REMEMBER and not self._state.opened:
            self._state.accessed = max(0, self._state.accessed - 1)  # Flask has counted it
            return False
        return key in self._open().data

    def __iter__(self) -> Iterator[str]:
        return iter(self._open().data)

    def __reversed__(self) -> Iterator[str]:
        keys: Iterator[str] = reversed(self._open().data)
        return keys

    def __len__(self) -> int:
        return len(self._open().data)

    def keys(self) -> KeysView[str]:
        """Return a view of the keys."""
        return _Keys(self)

    def values(self) -> ValuesView[Any]:
        """Return a view of the values."""
        return _Values(self)

    def items(self) -> ItemsView[str, Any]:
        """Return a view of the keys with their values."""
        return _Items(self)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value under *key*, or *default*."""
        state = self._open()
        value = state.data.get(key, default)
        if type(value) not in _UNCHANGEABLE:
            state.exposed = state.pending = True
        return value

    def copy(self) -> dict[str, Any]:
        """Return the data as a new dict; the values are the session's."""
        state = self._open()
        state.exposed = state.pending = True
        return state.data.copy()

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return copy.deepcopy(self._open().data, memo)

    def __or__(self, other: object) -> dict[Any, Any]:
        return {**self.copy(), **other} if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: object) -> dict[Any, Any]:
        return {**other, **self.copy()} if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]  # any argument of dict.update()
        self.update(other)
        return self

    def __setitem__(self, key: str, value: Any) -> None:
        state = self._change()
        if key == FRESH and value and state.owner is not None:  # Flask-Login's confirm_login()
            self._rebind(state.owner)
        self._put(state, key, value)
        _assign(state.changes, key)

    def __delitem__(self, key: str) -> None:
        self._end_if_late(key)
        state = self._change()
        self._put(state, key, MISSING)
        _assign(state.changes, key)

    def pop(self, key: str, default: Any = MISSING) -> Any:
        """Remove *key* and return its value, or *default*; KeyError without either."""
        self._end_if_late(key)
        if key not in self._state.data and default is not MISSING:
            return default
        value = self[key]
        del self[key]
        return value

    def _end_if_late(self, key: str) -> None:
        """End the session of a late request, whose token was replaced, that removes *key*, if that is a logout.

        So do several cookies that all lead to a session, of which none is the request's.
        """
        state = self._open()
        is_late = (state.read_only and state.login_begins_anew) or (state.stored is None and state.beside)
        if is_late and key in (IDENTITY, *self._manager.context.policy.identity_keys):
            self.destroy()

    def popitem(self) -> tuple[str, Any]:
        """Remove the key that was added last, and return it with its value; KeyError if there is none."""
        key = next(reversed(self), MISSING)
        if key is MISSING:
            raise KeyError("popitem(): the session is empty")
        return key, self.pop(key)

    def _put(self, state: SessionState, key: str, value: Any) -> None:
        """Set *key*, or remove it, and sign the user in or out if that changes the user in the identity keys.

        They are ignored while Flask-Login's key names the user, and in a session that `bind` has bound to another one.
        A value that names no user, such as True, changes the token alone; its removal is a logout.
        """
        context = self._manager.context
        is_identity = key in context.policy.identity_keys
        before, value_before = (context.owner_named(state.data), state.data.get(key)) if is_identity else (None, None)
        if value is MISSING:
            del state.data[key]
        if key == IDENTITY:
            self._rebind(None if value is None or value is MISSING else context.keys.owner_of(value))
        if value is not MISSING:
            state.data[key] = value
        if not is_identity:
            return
        after, value = context.owner_named(state.data), state.data.get(key)
        if signs_over(state.owner, before, after):
            self._rebind(after, keep_data=True)
        elif state.owner is None and value != value_before:
            changes = state.changes
            changes.rotate, changes.flagged = True, bool(value)
            if value_before and not value:
                changes.rebind = True
            elif not value_before:
                state.remove_secrets(self._manager.context.policy, self._forget)

    def apply(self, key: str, fn: Callable[[Any], T], default: Any = None) -> T:
        """Set *key* to ``fn(value)``, exactly once under concurrent requests, and return the new value.

        *fn* gets the present value, or a copy of *default* if there is none, and returns the new one. If another
        request changed the session first, *fn* is called again on that request's value, so it must depend only on its
        argument. The returned value is the one that this request would save alone.
        """
        state = self._change()
        value = fn(state.data[key] if key in state.data else copy.deepcopy(default))
        self._put(state, key, value)
        if key not in state.changes.assigned:
            state.changes.applied.setdefault(key, []).append((fn, default))
        return value

    def __repr__(self) -> str:
        number = len(self._state.data)
        return f"<{type(self).__name__} {f'with {number} keys' if self._state.opened else 'not loaded'}>"

    def clear(self) -> None:
        """End the session. New values begin another one, under a new token and without a user."""
        state = self._change()
        state.data.clear()
        state.changes = Changes(wiped=True, rebind=True)

    # --- login and logout --------------------------------------------------------------------------------------------

    def destroy(self) -> None:
        """Log out: end the stored session at once for every request, and delete the browser's cookie.

        The same as `clear`, under a clearer name. Flask-Login's remember-me cookie stays: ``logout_user`` deletes it.
        """
        self.clear()

    def rotate(self) -> None:
        """Give the session a new token when the response is saved; the old one is invalid from then on."""
        self._change().changes.rotate = True

    def bind(self, user_id: object) -> None:
        """Bind the session to a user who has just authenticated, and rotate.

        *user_id* is converted to text. A session that was bound to another user starts from empty data. Flask-Login's
        ``login_user`` calls this by itself.

        Raises:
            TypeError: *user_id* cannot be the id of a user, such as None, empty text or a collection.
        """
        if user_id is None:
            raise TypeError("bind() needs a user id, not None: to end a session call destroy()")
        self._change()
        self._rebind(self._manager.keys.owner_of(user_id))

    def _rebind(self, owner: str | None, *, keep_data: bool = False) -> None:
        state = self._open()
        if OPERATOR in state.data:
            state.forget_operator(owner)
        stored = state.stored.owner if state.stored else None
        if owner is not None and (owner != stored or state.data_owner not in (None, owner)):
            begins = not keep_data and state.data_owner not in (None, owner)
            if begins:
                state.changes = Changes(wiped=True)
            elif keep_data and stored is not None:
                state.changes.meta = {metadata.LABEL: None, **state.changes.meta, metadata.IMPERSONATOR: None}
            state.remove_secrets(self._manager.context.policy, self._forget)
            if begins:
                state.data.clear()
        changes = state.changes
        if owner is not None or stored is not None or changes.rebind:
            changes.rebind = True
            changes.owner = owner
            if owner is None:
                changes.meta.clear()
            elif not keep_data:
                changes.data_owner = owner

    # --- of Flask's session ------------------------------------------------------------------------------------------

    @property
    def new(self) -> bool:
        """Whether there is no stored session yet."""
        return self._open().stored is None

    @property
    def permanent(self) -> bool:
        """Whether the cookie outlives the browser. A new session starts with the policy's value."""
        return bool(self._open().data.get(PERMANENT, self._manager.context.policy.permanent))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self[PERMANENT] = bool(value)

    @property
    def accessed(self) -> bool:
        """Whether the request used the session in any way, so that its response varies by cookie."""
        return bool(self._state.accessed) or self._state.opened

    @accessed.setter
    def accessed(self, value: bool) -> None:
        self._state.accessed = self._state.accessed + 1 if value else 0

    @property
    def modified(self) -> bool:
        """Whether the session differs from the loaded one. Setting it is not necessary: nested changes are detected."""
        state = self._state
        return state.changes.marked or bool(state.changes.meta) or (state.opened and state.differs)

    @modified.setter
    def modified(self, value: bool) -> None:
        self._state.changes.marked = value
        self._state.pending |= value


def _assign(changes: Changes, key: Any) -> None:
    changes.assigned.add(key)
    changes.applied.pop(key, None)


def warn_of_late_change() -> None:
    """Log a change after the session was saved, with its stack."""
    _logger.warning(
        "the session was changed after the response was saved: the change is lost."
        " Change the session before the response is returned or its stream begins.",
        stack_info=True,
    )
