"""The session as an application sees it: a mapping that remembers what was asked of it.

It does no I/O. A front end loads it by overriding `ServerSession.load`, and hands it to
`holdfast.sessions.flows.commit`. What was loaded, and what was asked for since, is all the state there is.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from holdfast.clock import SECOND
from holdfast.records import freshness, metadata
from holdfast.records.tokens import Keys
from holdfast.sessions.policy import SKEW
from holdfast.sessions.state import Loaded, Opened, Outcome

__all__ = ["FRESH", "IDENTITY", "PERMANENT", "Loaded", "Opened", "Outcome", "ServerSession", "Wishes"]

T = TypeVar("T")

#: Flask-Login keeps the id of the user who is signed in under this key: setting it binds, removing it unbinds.
IDENTITY = "_user_id"

#: Flask-Login keeps here whether the user has signed in with this session, or was only remembered.
FRESH = "_fresh"

#: Flask keeps `session.permanent` under this key. A session with nothing else in it is empty.
PERMANENT = "_permanent"
_HARDLY_ANY = frozenset({PERMANENT})

#: A value of one of these types is what it is: whoever was given it has not changed the session by that.
_UNCHANGEABLE = frozenset({type(None), bool, int, float, str, bytes})

_MISSING: Any = object()

_logger = logging.getLogger("holdfast")


@dataclass(slots=True)
class Wishes:
    """What the application asked for beyond changing data.

    Attributes:
        rotate: Give the session a new token.
        wiped: Start from nothing; what others saved meanwhile does not count either.
        rebind: The owner is to become *owner*, which may be None.
        spent: This request has made use of the authentication that *owner* stands for.
        assigned: The keys that were set or removed.
        applied: For each key that was not, the functions applied to it, with their defaults.
        meta: The metadata that was set, by name; None removes it.
    """

    rotate: bool = False
    wiped: bool = False
    rebind: bool = False
    owner: str | None = None
    spent: bool = False
    assigned: set[Any] = field(default_factory=set)
    applied: dict[Any, list[tuple[Callable[[Any], Any], Any]]] = field(default_factory=dict)
    meta: dict[str, str | None] = field(default_factory=dict)

    def reapplied(self, data: dict[Any, Any]) -> dict[Any, Any]:
        """Return the values that the applied functions make of *data*."""
        values: dict[Any, Any] = {}
        for key, steps in self.applied.items():
            for fn, default in steps:
                if key in values:
                    values[key] = fn(values[key])
                else:
                    values[key] = fn(data[key] if key in data else copy.deepcopy(default))
        return values


class ServerSession(MutableMapping[str, Any]):
    """A session. Nothing is loaded before it is touched.

    *started_at* is when the request began, in milliseconds since the epoch.

    Attributes:
        followed: The token that a renewal has put in the place of the one that was loaded, by that one.
        background: Set it to True where a request is not its user's doing, such as a page's poll: unless it changes the
            session, it does not count as use, so the idle timeout is not moved on, and no token is renewed.
    """

    def __init__(self, *, keys: Keys, started_at: int) -> None:
        self.keys_of_namespace = keys
        self.started_at = started_at
        self.opened: Opened | None = None
        self.wishes = Wishes()
        self.closed = False
        self.followed: dict[str, str] = {}
        self.background = False
        self._lent = False

    def load(self) -> Opened:
        """Return what the request's cookie stands for. Called once, at the first touch."""
        raise NotImplementedError

    def take(self, key: str) -> bool:
        """Remove *key* from the stored session at once: see `holdfast.sessions.flows.take`."""
        raise NotImplementedError

    def spend(self) -> bool:
        """Make use of the user's authentication: see `holdfast.sessions.flows.spend`."""
        raise NotImplementedError

    def _open(self) -> Opened:
        if self.opened is None:
            self.opened = self.load()
        return self.opened

    def _change(self) -> dict[Any, Any]:
        if self.closed:
            self.warn_of_late_change()
        return self._open().data

    def warn_of_late_change(self) -> None:
        """Report a change that came after the session was saved, with the stack that made it."""
        _logger.warning(
            "the session was changed after the response was saved: the change is lost."
            " Change the session before the response is returned or its stream begins.",
            stack_info=True,
        )

    @property
    def data(self) -> dict[Any, Any]:
        """The session's data as it is now."""
        self._lent = True
        return self._open().data

    @property
    def loaded(self) -> Loaded | None:
        """The stored session this one was loaded from, or None."""
        return self._open().loaded

    @property
    def may_differ(self) -> bool:
        """Whether the data can differ from what was loaded: it was changed, or a part that can change was given out."""
        return self._lent or bool(self.wishes.assigned or self.wishes.applied or self.wishes.meta)

    def __getitem__(self, key: str) -> Any:
        value = self._open().data[key]
        if type(value) not in _UNCHANGEABLE:
            self._lent = True
        return value

    def __contains__(self, key: object) -> bool:
        return key in self._open().data

    def __iter__(self) -> Iterator[str]:
        return iter(self._open().data)

    def __len__(self) -> int:
        return len(self._open().data)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value under *key*, or *default*."""
        value = self._open().data.get(key, default)
        if type(value) not in _UNCHANGEABLE:
            self._lent = True
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        data = self._change()
        self._assign(key)
        if key == IDENTITY:
            self._rebind(None if value is None else self.keys_of_namespace.owner_of(value))
        elif key == FRESH and value and self.owner is not None:  # Flask-Login's confirm_login()
            self._rebind(self.owner)
        data[key] = value

    def __delitem__(self, key: str) -> None:
        data = self._change()
        del data[key]
        self._assign(key)
        if key == IDENTITY:
            self._rebind(None)

    def __repr__(self) -> str:
        state = "not loaded" if self.opened is None else repr(self.opened.data)
        return f"<{type(self).__name__} {state}>"

    def _assign(self, key: Any) -> None:
        self.wishes.assigned.add(key)
        self.wishes.applied.pop(key, None)

    def clear(self) -> None:
        """End the session. What is put in afterwards begins a new one, under a new token and bound to nobody."""
        self._change().clear()
        self.wishes = Wishes(wiped=True, rebind=True)

    def destroy(self) -> None:
        """Log out: end the stored session at once for every request, and tell the browser to forget the cookie.

        The same as `clear`, by the name for the deed.
        """
        self.clear()

    def rotate(self) -> None:
        """Give the session a new token when the response is saved; the old one is worth nothing from then on."""
        self._change()
        self.wishes.rotate = True

    def bind(self, user_id: object) -> None:
        """Bind the session to a user who has just proved who they are, and rotate.

        *user_id* is taken as its text. A session that was bound to another user starts from empty data.
        Flask-Login's ``login_user`` does this by itself.

        Raises:
            TypeError: *user_id* is None.
        """
        if user_id is None:
            raise TypeError("bind() needs a user id, not None: to end a session call destroy()")
        self._change()
        self._rebind(self.keys_of_namespace.owner_of(user_id))

    def _rebind(self, owner: str | None) -> None:
        opened = self._open()
        stored = opened.loaded.owner if opened.loaded else None
        if owner is not None and stored is not None and owner != stored and not self.wishes.wiped:
            opened.data.clear()
            self.wishes = Wishes(wiped=True)
        if owner is not None or stored is not None or self.wishes.rebind:
            self.wishes.rebind = True
            self.wishes.owner = owner
            if owner is None:
                self.wishes.meta.clear()
            else:
                self.wishes.meta.update(self.describe())

    def apply(self, key: str, fn: Callable[[Any], T], default: Any = None) -> T:
        """Set *key* to ``fn(value)``, exactly once whatever other requests do, and return the new value.

        *fn* gets the present value, or a copy of *default* where there is none, and returns the new one. If another
        request changed the session first, *fn* is called again on the value that one left, so it must depend on nothing
        but its argument. The returned value is the one this request would save if it were alone.
        """
        data = self._change()
        value = fn(data[key] if key in data else copy.deepcopy(default))
        if key not in self.wishes.assigned:
            self.wishes.applied.setdefault(key, []).append((fn, default))
        data[key] = value
        return value

    @property
    def delivers(self) -> bool:
        """Whether a new token can reach the browser with the request's response. If not, the token is not renewed."""
        return True

    def describe(self) -> dict[str, str | None]:
        """Return the metadata of a login by this request; None removes what an earlier login left."""
        return {}

    def note(self, name: str, value: str | None) -> None:
        """Keep *value* under *name* as metadata, which lists of sessions show and other data do not; None removes it.

        It stays through saves, merges, rotations and renewals, and goes when the session changes its user.
        """
        self._change()
        self.wishes.meta[name] = value

    def noted(self, name: str) -> str | None:
        """Return the metadata under *name*, or None."""
        if name in self.wishes.meta:
            return self.wishes.meta[name]
        loaded = self.loaded
        return loaded.envelope.meta.get(name) if loaded and not self._changes_user else None

    @property
    def label(self) -> str | None:
        """The application's own name for the session, such as "Work laptop", or None. Set to None to remove it.

        Setting it raises TypeError for what is not text, and ValueError for more than 100 characters or for control
        characters. It is stored with the session; an empty session is not stored for its sake.
        """
        return self.noted(metadata.LABEL)

    @label.setter
    def label(self, text: str | None) -> None:
        self.note(metadata.LABEL, metadata.label_from(text))

    @property
    def _changes_user(self) -> bool:
        return self.wishes.wiped or (self.wishes.rebind and self.wishes.owner is None)

    def meta_upon(self, stored: Mapping[str, str], *, permanent: bool) -> dict[str, str]:
        """Return the metadata to store over *stored*; *permanent* is what a session is that does not say."""
        kept = {} if self._changes_user else stored
        noted = {
            **kept,
            **self.wishes.meta,
            **self._authentication(),
            metadata.PERMANENT: "1" if self._open().data.get(PERMANENT, permanent) else None,
            metadata.NAMESPACE: metadata.mark_of(self.keys_of_namespace.namespace),
        }
        return {name: value for name, value in noted.items() if value is not None}

    def _authentication(self) -> dict[str, str | None]:
        if not self.wishes.rebind:
            return {}
        return freshness.note_of(self.authenticated_at, spent=self.wishes.spent)

    def agrees_with(self, stored: Mapping[str, str]) -> bool:
        """Tell whether the metadata that was set is what is stored."""
        return all(stored.get(name) == value for name, value in self.wishes.meta.items())

    def pop_once(self, key: str, default: Any = _MISSING) -> Any:
        """Remove *key* and return its value, to exactly one of all the requests that do so, however they overlap.

        For what may be used once: a one-time code, a token in a link. It is removed from the stored session at once,
        and stays removed even if this request fails later. The other requests find it missing, and get *default*. What
        else this request changes is saved at its end, as ever.

        Raises:
            KeyError: The key is missing, and no *default* is given.
        """
        opened = self._open()
        unsaved = opened.loaded is None or self.wishes.wiped or key in self.wishes.assigned
        won = key in opened.data if unsaved else self.take(key)
        data = self._open().data  # with what others have stored meanwhile
        value = data[key] if won else default
        if key in data:
            del data[key]
            self._lent = True
            self.wishes.applied.pop(key, None)
            if key == IDENTITY:
                self._rebind(None)
        if value is _MISSING:
            raise KeyError(key)
        return value

    @property
    def authenticated_at(self) -> int | None:
        """When the user proved who they are, in milliseconds since the epoch; None for nobody, or who was remembered.

        `bind` is such a proof, and so are Flask-Login's ``login_user`` and ``confirm_login``.
        """
        opened, wishes = self._open(), self.wishes
        if self.owner is None or not opened.data.get(FRESH, True):
            return None
        if wishes.rebind:
            return self.started_at
        return freshness.authenticated_at(opened.loaded.envelope.meta) if opened.loaded else None

    def fresh_for(self, seconds: float) -> bool:
        """Tell whether the user proved who they are at most *seconds* before this request."""
        at = self.authenticated_at
        return at is not None and at - SKEW <= self.started_at <= at + seconds * SECOND

    def fresh_once(self, seconds: float) -> bool:
        """Tell whether the user proved who they are at most *seconds* ago, to one request only for each such proof.

        The one is settled in the store at once: of several at the same moment, exactly one gets True.
        """
        if not self.fresh_for(seconds):
            return False
        if not self.wishes.rebind:
            return self.spend()
        unspent, self.wishes.spent = not self.wishes.spent, True
        return unspent

    @property
    def owner(self) -> str | None:
        """The opaque value of the user the session is bound to or is about to be, or None."""
        if self.wishes.rebind:
            return self.wishes.owner
        loaded = self.loaded
        return loaded.owner if loaded else None

    @property
    def handle(self) -> str | None:
        """The session's public name, for device lists and logs, or None while nothing is stored. It opens nothing."""
        loaded = self.loaded
        return loaded.key if loaded else None

    @property
    def created_at(self) -> int | None:
        """When the session, or the login it belongs to, began: milliseconds since the epoch, None while unstored."""
        loaded = self.loaded
        return loaded.envelope.created_at if loaded else None

    @property
    def read_only(self) -> bool:
        """Whether what this request changes is dropped: its id was superseded, or the store is down."""
        return self._open().read_only

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing worth storing: no data, and no user."""
        return self._open().data.keys() <= _HARDLY_ANY and self.owner is None
