"""The state of one request's session: the data, the stored session it was loaded from, the changes asked for.

A front end makes a `SessionState` when a request begins. The flows (`holdfast.sessions.flows`) fill it and carry out
its changes; a view works on it through `holdfast.sessions.server_session`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from holdfast.errors import EncodeError
from holdfast.events import SaveResult
from holdfast.records import metadata
from holdfast.records.envelope import Envelope
from holdfast.records.record import Version
from holdfast.records.tokens import new_sid
from holdfast.sessions.policy import Policy

#: Flask-Login keeps the id of the user who is signed in under this key: setting it binds, removing it unbinds.
IDENTITY = "_user_id"

#: Flask-Login keeps under this key whether the user has signed in with this session, or was only remembered.
FRESH = "_fresh"

#: Flask-Login keeps under this key, within one request, what is to become of its remember-me cookie, and looks for it
#: at the end of each request. Where it is, it was set by the same request.
REMEMBER = "_remember"

#: The data of an operator who has signed in as the session's user are under this key, until the user changes.
OPERATOR = "_operator"

#: Flask keeps `session.permanent` under this key. A session with nothing else in it is empty.
PERMANENT = "_permanent"
_BOOKKEEPING_KEYS = frozenset({PERMANENT})


@dataclass(slots=True, repr=False)
class StoredSession:
    """A live session as the store holds it. *token* opens it, *key* and *version* address it.

    *sealed* is the value of its cookie, if that is not the token.
    """

    token: str
    key: str
    version: Version
    expires_at: int
    owner: str | None
    envelope: Envelope
    sealed: str = ""

    @property
    def value(self) -> str:
        """The value of the session's cookie."""
        return self.sealed or self.token


class _NothingAsked:
    """The changes that most requests do not ask for, so that they cost them nothing."""

    rotate: bool = False
    consumed: bool = False
    marked: bool = False
    flagged: bool = False
    sid: str | None = None
    data_owner: str | None = None


@dataclass(repr=False, eq=False)
class Changes(_NothingAsked):
    """The changes that the application asked for, besides those that the data shows.

    Attributes:
        rotate: Give the session a new token.
        wiped: Start from nothing; what others saved meanwhile does not count either.
        rebind: The owner is to become *owner*, which may be None.
        consumed: This request has made use of the authentication that *owner* stands for.
        marked: `modified` was set to True.
        assigned: The keys that were set or removed.
        applied: For each key that was not, the functions applied to it, with their defaults.
        meta: The metadata that was set, by name; None removes it.
        sid: The public id of a session or login that begins, once it was asked for.
        flagged: A key of a user's id was set to a value that names no user, such as True.
        data_owner: The owner value of the last user whom the request has bound the session to, by more than a name.
    """

    wiped: bool = False
    rebind: bool = False
    owner: str | None = None
    assigned: set[Any] = field(default_factory=set, init=False)
    applied: dict[Any, list[tuple[Callable[[Any], Any], Any]]] = field(default_factory=dict, init=False)
    meta: dict[str, str | None] = field(default_factory=dict, init=False)

    @property
    def new_token(self) -> bool:
        """Whether the session needs a new token."""
        return self.rotate or self.wiped or self.rebind

    @property
    def signs_in(self) -> bool:
        """Whether a user has proved who they are."""
        return self.rebind and self.owner is not None

    def reapplied(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return the values that the applied functions make of *data*."""
        values: dict[Any, Any] = {}
        for key, steps in self.applied.items():
            for fn, default in steps:
                known = values if key in values else data
                values[key] = fn(known[key] if key in known else copy.deepcopy(default))
        return values


class _AtFirst:
    """The part of a state that most requests do not set, so that it costs them nothing."""

    opened: bool = False
    background: bool = False
    opened_at: int = 0
    presented: str | None = None
    beside: tuple[str, ...] = ()
    stored: StoredSession | None = None
    read_only: bool = False
    login_begins_anew: bool = False
    redeliver: bool = False
    owed: bool = False
    refresh: bool = False
    navigation: bool = True
    can_set_cookie: bool = True
    was_permanent: bool = False
    exposed: bool = False
    pending: bool = False
    accessed: int = 0
    closed: bool = False
    settled: bool = True
    remembered: str | None = None
    new_token: str | None = None
    failure: Exception | None = None
    renewed_from: str | None = None
    renewed_to: tuple[str, str] | None = None


@dataclass(repr=False, eq=False)
class SessionState(_AtFirst):
    """The state of one request's session. Times are in milliseconds since the epoch.

    Attributes:
        started_at: When the request began.
        opened: The session was looked up. Before that, all else has no meaning.
        opened_at: When it was looked up.
        presented: The key of the token that the request came with, if it has the form of one.
        beside: The keys of the other live sessions whose cookies the request came with; if the store failed, of all.
        stored: The live session that was found or saved, or None: there is none.
        data: The data as it is now.
        changes: The changes asked for since the session was looked up or saved.
        read_only: Nothing of this request is kept, and no cookie is sent: the id was superseded, or the store is down.
        login_begins_anew: A login begins a session of its own although the request is read-only: the token it came with
            was replaced, or cannot be judged here.
        redeliver: The session was reached by an alias, so the new token is due to be sent again.
        owed: The response must carry the token, even if it is an error: the one that the browser has is replaced.
        refresh: The cookie is due to be sent again, since its signature was made with an old key.
        navigation: The request loads a page: a browser does so neither while it signs in nor in the background.
        can_set_cookie: The response can carry a cookie.
        was_permanent: The session was permanent when it was looked up.
        exposed: A part of the data that can be changed in place was given out.
        pending: The end of the request has something to do: a change, an exposed part, a token to send again.
        background: The request is not the user's doing: see `ServerSession.background`.
        accessed: How often the application got hold of the session, whether or not it looked into it.
        closed: The response was saved, so a later change is lost.
        ended_all_at: When this request ended all sessions of an owner, unless an earlier cut-off covers the request.
        settled: The store has what the request left in the data, so that a difference is a late change.
        remembered: What identifies the browser and its remember-me cookie, if that is what signs the user in.
        new_token: The token for a session that begins, if it is known already.
        failure: The exception that the lookup raised.
        renewed_from: The key that a renewal replaced, if the token that it made was presented for the first time.
        renewed_to: A token, and the one that a renewal has put in its place.
    """

    started_at: int
    data: dict[Any, Any] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes, init=False)
    ended_all_at: dict[str, int] = field(default_factory=dict, init=False)

    @property
    def owner(self) -> str | None:
        """The opaque value of the user the session is bound to or is about to be, or None."""
        if self.changes.rebind:
            return self.changes.owner
        return self.stored.owner if self.stored else None

    @property
    def handle(self) -> str | None:
        """The key of the stored session, or None."""
        return self.stored.key if self.stored else None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing worth storing: no data, and no user."""
        return self.data.keys() <= _BOOKKEEPING_KEYS and self.owner is None

    @property
    def begins_anew(self) -> bool:
        """Whether the request is a login that begins a session of its own."""
        return self.login_begins_anew and self.proves_identity

    @property
    def proves_identity(self) -> bool:
        """Whether a user has proved who they are. Being remembered is no proof, nor is an operator's earlier one."""
        changes = self.changes
        is_new = changes.signs_in and metadata.AUTHENTICATED_AT not in changes.meta
        return changes.flagged or (is_new and bool(self.data.get(FRESH, True)))

    def logs_in_again(self, stored: StoredSession) -> bool:
        """Return whether the login is one of the user of *stored*, whose sessions the request has not ended itself."""
        return stored.owner == self.changes.owner and stored.owner not in self.ended_all_at

    def begin_anew(self) -> None:
        """Make this a session of its own. Of the data, the values that the request set stay."""
        own = self.changes.assigned | self.changes.applied.keys()
        self.data = {key: value for key, value in self.data.items() if key in own}
        self.stored, self.redeliver = None, False

    def remove_secrets(self, policy: Policy, forget: Callable[[str], object] | None) -> None:
        """Remove the visitor's secrets, but for those that the request has set, and call *forget* for each."""
        for key in policy.visitor_keys:
            if key in self.data and key not in self.changes.assigned:
                del self.data[key]
                self.changes.assigned.add(key)
                if forget is not None:
                    forget(key)

    def forget_operator(self, owner: str | None) -> None:
        """Remove the data of an operator who has signed in as the session's user, unless *owner* is that user."""
        if owner != self.owner and self.meta(metadata.IMPERSONATOR) is not None:
            del self.data[OPERATOR]
            self.changes.meta[metadata.IMPERSONATOR] = None

    @property
    def maybe_changed(self) -> bool:
        """Whether the data can differ from what is stored: it was changed, or a part that can change was given out."""
        changes = self.changes
        return self.exposed or bool(changes.assigned or changes.applied or changes.meta)

    @property
    def differs(self) -> bool:
        """Whether the data differ from what is stored. They are encoded to find out, unless they cannot differ."""
        if self.stored is None:
            return bool(self.data)
        if not self.maybe_changed:
            return False
        envelope = self.stored.envelope
        try:
            return envelope.codec.dumps(self.data) != envelope.payload
        except EncodeError:  # what was loaded could be encoded
            return True

    @property
    def logs_out(self) -> bool:
        """Whether the request ends the session that it came with, and signs nobody in."""
        return self.changes_user and self.changes.owner is None

    @property
    def data_owner(self) -> str | None:
        """The owner value of the user whose data these are: who is signed in, or was before a logout that kept them."""
        if self.changes.data_owner is not None or self.changes.wiped or self.stored is None:
            return self.changes.data_owner
        return self.stored.owner or self.stored.envelope.meta.get(metadata.DATA_OWNER)

    @property
    def changes_user(self) -> bool:
        """Whether the metadata of the stored session does not count any more: its user is signed out, or it ends."""
        changes = self.changes
        return changes.wiped or (changes.rebind and changes.owner is None)

    @property
    def authenticated_at(self) -> int | None:
        """When the user proved who they are; None for nobody, or who was remembered."""
        if self.owner is None or not self.data.get(FRESH, True):
            return None
        if self.changes.rebind:
            return int(self.changes.meta.get(metadata.AUTHENTICATED_AT) or self.started_at)
        return metadata.moment(self.stored.envelope.meta, metadata.AUTHENTICATED_AT) if self.stored else None

    @property
    def sid(self) -> str:
        """The public id of the session: that of the stored one, or a new one for a session or a login that begins."""
        stored, changes = self.stored, self.changes
        if stored is not None and not changes.wiped and not (changes.rebind and changes.owner != stored.owner):
            known = stored.envelope.meta.get(metadata.SID)
            if known is not None:
                return known
        changes.sid = changes.sid or new_sid()
        return changes.sid

    def meta(self, name: str) -> str | None:
        """Return the metadata under *name*, or None."""
        if name in self.changes.meta:
            return self.changes.meta[name]
        return self.stored.envelope.meta.get(name) if self.stored and not self.changes_user else None

    def merged_metadata(
        self, stored: Mapping[str, str], *, permanent: bool, namespace_mark: str | None
    ) -> dict[str, str]:
        """Return the metadata to store over *stored*; *permanent* is what a session is that does not say."""
        changes = self.changes
        merged: dict[str, Any] = {**({} if self.changes_user else stored), **changes.meta}
        merged[metadata.SID] = self.sid
        if changes.rebind:
            at = self.authenticated_at
            merged[metadata.AUTHENTICATED_AT] = None if at is None else str(at)
            merged[metadata.UNUSED] = None if at is None or changes.consumed else "1"
            merged[metadata.LIFETIME] = changes.meta.get(metadata.LIFETIME)
            merged[metadata.DATA_OWNER] = None if changes.signs_in else self.data_owner
        if self.data.get(PERMANENT, permanent):
            merged[metadata.PERMANENT] = "1"
        else:
            merged.pop(metadata.PERMANENT, None)
        if namespace_mark is not None:
            merged[metadata.NAMESPACE] = namespace_mark
        if self.beside:
            merged[metadata.BESIDE] = " ".join(self.beside)
        if None in merged.values():
            merged = {name: value for name, value in merged.items() if value is not None}
        return merged

    @property
    def changes_lifetime(self) -> bool:
        """Whether the session gets another lifetime."""
        before = None if self.stored is None else self.stored.envelope.meta.get(metadata.LIFETIME)
        return self.changes.meta.get(metadata.LIFETIME, before) != before

    def cookie_due(self, policy: Policy, now: int, *, changed: bool) -> bool:
        """Return whether the response sends the browser's cookie again. The session is written with it.

        The write succeeds only if no login has replaced the token meanwhile, whose cookie must stay. *changed*:
        something in the session did.
        """
        stored, navigation = self.stored, self.navigation
        if stored is None or not self.can_set_cookie or (self.background and not changed):
            return False
        permanent = bool(self.data.get(PERMANENT, policy.permanent))
        if permanent != self.was_permanent or (permanent and self.changes_lifetime):
            return True
        if self.redeliver:
            return navigation or now - stored.envelope.issued_at >= policy.grace
        if self.refresh:
            return navigation or policy.touch_due(stored.envelope, stored.expires_at, now)
        refresh = permanent and (changed or policy.refresh_cookie)
        return refresh and policy.cookie_due(stored.envelope, now, navigation=navigation)

    def metadata_unchanged(self, stored: Mapping[str, str]) -> bool:
        """Return whether the metadata that was set is what is stored."""
        return all(stored.get(name) == value for name, value in self.changes.meta.items())

    def started_for(self, owner: str, offset: int) -> int:
        """Return when a login of *owner* by this request began: after it ended the other sessions of that user.

        That is by the clock that all hosts share, which is *offset* milliseconds ahead of this host's.
        """
        return max(self.started_at + offset, self.ended_all_at.get(owner, 0) + 1)

    def reset(self, *, read_only: bool = False) -> None:
        """Go on without a session."""
        self.stored: StoredSession | None = None
        self.redeliver: bool = False
        self.read_only: bool = read_only
        self.renewed_from: str | None = None
        self.data = {}

    def keep_only_a_logout(self) -> bool:
        """Drop what a failed request asked for, except that the session ends; return whether it does.

        A logout that failed halfway must not leave the session open.
        """
        if not (self.changes.rebind and (self.changes.wiped or self.changes.owner is None)):
            return False
        self.data.clear()
        self.changes = Changes(wiped=True, rebind=True)
        return True


class CookieAction(Enum):
    """The action of a response on the session cookie: send its token, delete it since the session ended, or nothing."""

    SEND = "send"
    DELETE = "delete"
    NONE = "none"


class Outcome(NamedTuple):
    """The outcome of a session at the end of its request, and the action of the response on the cookie."""

    result: SaveResult
    cookie: CookieAction


#: There was nothing to do.
NOTHING = Outcome("unchanged", CookieAction.NONE)


def signs_over(owner: str | None, before: str | None, after: str | None) -> bool:
    """Return whether data that named the user *before*, and name *after*, sign the session's *owner* in or out.

    They do not where the session is bound to somebody else than they named.
    """
    return after != before and (owner == before or (owner is None and after is not None))
