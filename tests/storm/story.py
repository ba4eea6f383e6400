"""What a history says of each life: who began it, who found it, what ended it for certain, and what may have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from storm.history import History, Request

#: The actions that begin, end or move a session. A browser sends one at a time, since each is a navigation.
NAVIGATIONS = frozenset({"begin", "login", "logout", "others", "everywhere"})


@dataclass(frozen=True)
class Promise:
    """What the application was promised.

    Attributes:
        limit: How many sessions a user may have.
        grace: For how many seconds a replaced token is recognised.
        slack: How many seconds more are allowed for the moments that a history does not show.
        back: The seconds within which the service is back, by kind of fault.
    """

    limit: int = 4
    grace: float = 2.0
    slack: float = 1.0
    back: dict[str, float] = field(default_factory=dict)


@dataclass
class Life:
    """What a login or a visitor's first change began.

    Attributes:
        begun: The request that began it.
        seen: The acknowledged requests that found it.
        end: The acknowledged request that ended it, if there is one.
    """

    begun: Request
    seen: list[Request] = field(default_factory=list)
    end: Request | None = None

    @property
    def name(self) -> str:
        """The name that the browser chose."""
        return self.begun.value


@dataclass(frozen=True)
class Expectation:
    """*request* of a jar is to find one of *lives*, if it is acknowledged; *since* is the answer that says so."""

    request: Request
    lives: frozenset[str]
    since: Request


class Story:
    """The lives of a history."""

    def __init__(self, history: History, promise: Promise) -> None:
        self.history = history
        self.promise = promise
        self.requests = history.requests
        self.answered = [request for request in self.requests if request.ok]
        self.lives = {
            request.value: Life(request)
            for request in self.requests
            if request.action == "login" or (request.action == "begin" and _began(request))
        }
        self.by_browser: dict[str, list[Request]] = defaultdict(list)
        self._users: dict[str, set[str]] = defaultdict(set)
        for request in self.requests:
            if not request.replay:
                self.by_browser[request.browser].append(request)
            if request.action == "login" and request.user is not None:
                self._users[request.browser].add(request.user)
        for request in self.answered:
            life = self.lives.get(request.found.life or "")
            if life is not None:
                life.seen.append(request)
        for life in self.lives.values():
            life.end = min(self._ends(life), key=lambda request: request.received, default=None)

    # --- ends --------------------------------------------------------------------------------------------------------

    @cached_property
    def _enders(self) -> list[Request]:
        return [request for request in self.requests if request.action in {"login", "logout", "others", "everywhere"}]

    def _ends(self, life: Life) -> Iterator[Request]:
        """Yield the acknowledged requests that ended *life* for certain."""
        known = min([life.begun, *life.seen] if life.begun.ok else life.seen, key=lambda r: r.received, default=None)
        for request in self._enders:
            found = request.found
            if not request.ok or found.read_only or request is life.begun:
                continue
            if request.action in {"logout", "login"}:
                if found.life == life.name:
                    yield request
                continue
            of_user = known is not None and known.received < request.sent and found.user == life.begun.user is not None
            if of_user and (request.action == "everywhere" or found.life != life.name):
                yield request

    def may_have_ended(self, life: Life, before: float) -> bool:
        """Return whether something beside the browser may have ended *life* before a moment."""
        return any(
            request.sent < before and request.over > life.begun.sent and self._can_end(request, life)
            for request in self._enders
            if request is not life.begun
        )

    def _can_end(self, request: Request, life: Life) -> bool:
        here = request.browser == life.begun.browser
        late = here and request.status is None and request.sent < life.begun.sent
        if request.action == "logout":
            return late
        if here and not late:
            return False
        if request.action == "login":
            return request.user == life.begun.user and self._is_crowded(request)
        users = {request.found.user} if request.ok else self._users[request.browser]
        return life.begun.user is not None and life.begun.user in users

    def _is_crowded(self, login: Request) -> bool:
        others = [
            life
            for life in self.lives.values()
            if life.begun.user == login.user
            and life.begun is not login
            and life.begun.sent < login.over
            and (life.end is None or life.end.received > login.sent)
        ]
        return len(others) >= self.promise.limit

    # --- what a jar is to find ---------------------------------------------------------------------------------------

    def expectations(self) -> Iterator[Expectation]:
        """Yield what each acknowledged request of a jar is to find, where that is certain."""
        for requests in self.by_browser.values():
            yield from self._of_browser(requests)

    def _of_browser(self, requests: list[Request]) -> Iterator[Expectation]:
        navigations = [request for request in requests if request.action in NAVIGATIONS]
        rest = iter([request for request in requests if request.action not in NAVIGATIONS])
        waiting = next(rest, None)
        lives, since = frozenset[str](), None
        for number, navigation in enumerate([*navigations, None]):
            until = navigation.sent if navigation is not None else float("inf")
            while waiting is not None and waiting.sent < until:
                certain = since is not None and since.received < waiting.sent and waiting.received < until
                if certain and since is not None:
                    yield from self._expect(waiting, lives, since)
                waiting = next(rest, None)
            if navigation is None:
                return
            previous = navigations[number - 1] if number else None
            if since is not None and previous is not None and previous.received < navigation.sent:
                yield from self._expect(navigation, lives, since)
            known = self._after(navigation, lives)
            if known is not lives:
                lives, since = known, navigation if known else None
            elif since is not None:
                since = navigation

    def _expect(self, request: Request, lives: frozenset[str], since: Request) -> Iterator[Expectation]:
        if request.ok and not any(self.may_have_ended(self.lives[name], request.received) for name in lives):
            yield Expectation(request, lives, since)

    def _after(self, navigation: Request, lives: frozenset[str]) -> frozenset[str]:
        """Return what the jar is to find after *navigation*; nothing where that is not certain."""
        unknown, action = frozenset[str](), navigation.action
        if navigation.status in {409, None}:
            return unknown
        if action == "login" and navigation.ok:
            return frozenset({navigation.value})
        if action == "login":
            # One that fails half way ends a visitor's session, and that of another user.
            same = all(self.lives[name].begun.user == navigation.user for name in lives)
            return lives | {navigation.value} if lives and same else unknown
        if action == "begin" and navigation.ok:
            return lives if navigation.found.life else frozenset({navigation.value}) if _began(navigation) else unknown
        unchanged = action == "others" or (action == "everywhere" and navigation.ok and navigation.found.user is None)
        return lives if unchanged else unknown


def _began(request: Request) -> bool:
    return request.ok and request.found.life is None and not request.found.read_only
