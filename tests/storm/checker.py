"""The rules of a storm, over its history alone: nothing here knows a store, a server or the clock of the machine.

Each rule yields what breaks it, with the requests that show it. ``test_rules.py`` plants a violation of each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from storm.history import History, Request, Window
from storm.story import Expectation, Life, Promise, Story


@dataclass(frozen=True)
class Finding:
    """A violation.

    Attributes:
        rule: The name of the rule, from `RULES`.
        text: What is wrong.
        since: The moment of what was broken, such as an acknowledged change.
        seen: The moment at which it showed.
        evidence: The requests that show it, as few as there can be.
    """

    rule: str
    text: str
    since: float
    seen: float
    evidence: tuple[Request | Window, ...]


Rule = Callable[[Story], Iterator[Finding]]

#: Every rule by its name.
RULES: dict[str, Rule] = {}


def check(history: History, promise: Promise) -> list[Finding]:
    """Return every violation in *history*, in the order of time."""
    history.sort()
    story = Story(history, promise)
    return sorted((finding for rule in RULES.values() for finding in rule(story)), key=lambda finding: finding.seen)


@dataclass(frozen=True)
class Back:
    """The end of a fault.

    Attributes:
        fault: The fault.
        seconds: How long after it requests failed.
        last: The last one that did.
        bare: What is not the product's: how long after the fault the bare driver was not served, and after that as much
            as the calls of one request took it at most.
    """

    fault: Window
    seconds: float = 0.0
    last: tuple[Request, ...] = ()
    bare: float = 0.0


#: The calls of the store that a request makes, one after the other.
CALLS = 4


def back_after(history: History) -> Iterator[Back]:
    """Yield how each fault ended.

    Only what was sent between the end of the fault and the beginning of the next one counts.
    """
    limits = [*(fault.began for fault in history.faults[1:]), float("inf")]
    for fault, limit in zip(history.faults, limits, strict=False):
        failed = [
            request
            for request in history.requests
            if fault.ended < request.sent < request.received < limit
            and request.status in {503, None}
            and not request.abandoned
        ]
        last = max(failed, key=lambda request: request.received, default=None)
        probes = [probe for probe in history.probes if fault.ended < probe.sent < limit]
        unserved = max((probe.received - fault.ended for probe in probes if not probe.served), default=0.0)
        slowest = max((probe.received - probe.sent for probe in probes if probe.served), default=0.0)
        bare = unserved + CALLS * slowest
        yield Back(fault, last.received - fault.ended, (last,), bare) if last else Back(fault, bare=bare)


def _rule(name: str) -> Callable[[Rule], Rule]:
    def keep(rule: Rule) -> Rule:
        RULES[name] = rule
        return rule

    return keep


def _changes(story: Story, life: Life, action: str) -> Iterator[Request]:
    """Yield the acknowledged changes of *life* by *action*.

    One that overlaps a rotation does not count: what runs under the old token cannot save any more (R5).
    """
    rotations = [request for request in story.by_browser[life.begun.browser] if _rotates(request)]
    for change in life.seen:
        rotated = any(rotation.sent < change.received and change.sent < rotation.over for rotation in rotations)
        if change.action == action and not change.found.read_only and not rotated:
            yield change


def _rotates(request: Request) -> bool:
    """Return whether *request* makes the old token invalid at once. Without a user there are no other sessions."""
    return request.action == "login" or (request.action == "others" and (not request.ok or bool(request.found.user)))


@_rule("change lost")
def change_lost(story: Story) -> Iterator[Finding]:
    """An item or a count was acknowledged, and a later request does not find it."""
    for life in story.lives.values():
        for change in _changes(story, life, "append"):
            for read in life.seen:
                if read.sent > change.received and change.value not in read.found.cart:
                    text = f"{change.value} was acknowledged and is not in the cart"
                    yield Finding("change lost", text, change.received, read.received, (life.begun, change, read))
                    break
        counts = list(_changes(story, life, "count"))
        for read in life.seen:
            before = [count for count in counts if count.received < read.sent]
            if read.found.n < len(before):
                text = f"{len(before)} counts were acknowledged, and the counter is {read.found.n}"
                evidence = (life.begun, before[-1], read)
                yield Finding("change lost", text, before[-1].received, read.received, evidence)
                break


@_rule("change applied twice")
def applied_twice(story: Story) -> Iterator[Finding]:
    """An item is in the cart twice, or the counter is above the number of counts that were sent."""
    for life in story.lives.values():
        tried = [request for request in story.by_browser[life.begun.browser] if request.action == "count"]
        for read in life.seen:
            twice = [item for item, times in Counter(read.found.cart).items() if times > 1]
            if twice:
                added = [request for request in life.seen if request.value == twice[0]]
                text = f"{twice[0]} is in the cart twice"
                yield Finding("change applied twice", text, read.sent, read.received, (life.begun, *added, read))
                break
            counted = [count for count in tried if count.sent < read.received and _may_be_in(count, life)]
            if read.found.n > len(counted):
                text = f"{len(counted)} counts were sent, and the counter is {read.found.n}"
                yield Finding("change applied twice", text, read.sent, read.received, (life.begun, *counted[-1:], read))
                break


def _may_be_in(count: Request, life: Life) -> bool:
    return count.found.life == life.name if count.ok else count.over > life.begun.sent


@_rule("coupon given twice")
def given_twice(story: Story) -> Iterator[Finding]:
    """Two requests were given one coupon."""
    given = defaultdict[str, list[Request]](list)
    for request in story.answered:
        if request.given is not None:
            given[request.given].append(request)
    for coupon, requests in given.items():
        if len(requests) > 1:
            text = f"{coupon} was given {len(requests)} times"
            evidence = tuple(requests[:2])
            yield Finding("coupon given twice", text, requests[0].sent, requests[1].received, evidence)


@_rule("coupon given to nobody")
def given_to_nobody(story: Story) -> Iterator[Finding]:
    """An acknowledged coupon is not in its session any more, and no request was given it, or may have been."""
    redeemed = defaultdict[str, list[Request]](list)
    for request in story.requests:
        if request.action == "redeem":
            redeemed[request.value].append(request)
    for life in story.lives.values():
        for grant in _changes(story, life, "grant"):
            taken = [request for request in redeemed[grant.value] if request.given or not request.ok]
            for read in life.seen:
                absent = read.sent > grant.received and f"coupon {grant.value}" not in read.found.coupons
                if absent and all(request.sent > read.received for request in taken):
                    text = f"{grant.value} is gone, and nobody was given it"
                    evidence = (life.begun, grant, *redeemed[grant.value][:2], read)
                    yield Finding("coupon given to nobody", text, grant.received, read.received, evidence)
                    break


@_rule("alive after its end")
def alive_after_end(story: Story) -> Iterator[Finding]:
    """A session is found after its end was acknowledged."""
    for life in story.lives.values():
        for read in life.seen:
            if life.end is not None and read.sent > life.end.received:
                text = f"{life.name} ended by {life.end.action}, and is found"
                evidence = (life.begun, life.end, read)
                yield Finding("alive after its end", text, life.end.received, read.received, evidence)
                break


@_rule("old id alive")
def old_id_alive(story: Story) -> Iterator[Finding]:
    """A token opens a session after a login or a renewal replaced it, and after the grace period of a renewal."""
    by_token = defaultdict[str, list[Request]](list)
    for request in story.answered:
        if request.token:
            by_token[request.token].append(request)
    for change in story.answered:
        if not change.token or not change.cookie or change.cookie == change.token or change.replay:
            continue
        dead_from = change.received
        if not _rotates(change):
            presented = (request.received for request in by_token[change.cookie] if request.found.life)
            dead_from = min(presented, default=float("inf")) + story.promise.grace + story.promise.slack
        for read in by_token[change.token]:
            if read.sent > dead_from and read.found.life:
                text = f"{change.action} replaced {change.token[:6]}, which opens {read.found.life}"
                yield Finding("old id alive", text, change.received, read.received, (change, read))
                break


@_rule("dead cookie after a login")
def dead_cookie(story: Story) -> Iterator[Finding]:
    """A login was received last, and the jar holds a cookie that a later answer put there, which is dead."""
    return _missing(story, "dead cookie after a login")


@_rule("empty session")
def empty_session(story: Story) -> Iterator[Finding]:
    """An acknowledged request does not find the session that its cookie stands for, though nothing ended it."""
    return _missing(story, "empty session")


@_rule("overtaken on the wire")
def overtaken(story: Story) -> Iterator[Finding]:
    """The same as a dead cookie, from an answer that the server sent before the login's. No server can prevent it."""
    return _missing(story, "overtaken on the wire")


def _missing(story: Story, rule: str) -> Iterator[Finding]:
    """Yield the first request after each navigation that did not find what it was to find, if it breaks *rule*."""
    reported = set[int]()
    for expected in story.expectations():
        request, since = expected.request, expected.since
        if request.found.life in expected.lives or since.number in reported:
            continue
        reported.add(since.number)
        origin = _foreign(story, expected)
        if origin is None:
            broken = "empty session"
        else:
            early = (origin.done or 0.0) < (since.done or 0.0)
            broken = "overtaken on the wire" if early else "dead cookie after a login"
        if broken == rule:
            text = f"{' or '.join(sorted(expected.lives))} is to be found, not {request.found.life or 'nobody'}"
            evidence = (since, request) if origin is None else (since, origin, request)
            yield Finding(rule, text, since.received, request.received, evidence)


def _foreign(story: Story, expected: Expectation) -> Request | None:
    """Return the answer that put the cookie into the jar, if it came after the navigation and for another token."""
    request, since = expected.request, expected.since
    set_by = [
        other
        for other in story.by_browser[request.browser]
        if other.cookie is not None and since.received < other.received < request.sent
    ]
    last = max(set_by, key=lambda other: other.received, default=None)
    if last is None:
        return None
    return last if last.found.life not in expected.lives or last.cookie == since.token else None


@_rule("another's data")
def anothers_data(story: Story) -> Iterator[Finding]:
    """A browser finds the session, the user or the items of another."""
    for request in story.answered:
        found, life = request.found, story.lives.get(request.found.life or "")
        foreign = [item for item in found.cart if not item.startswith(f"{request.browser}:")]
        if found.life is None and not foreign:
            continue
        wrong = life is None or life.begun.browser != request.browser or life.begun.user != found.user
        if wrong or foreign:
            text = f"{request.browser} finds {found.life} of {found.user or 'a visitor'} {', '.join(foreign)}".rstrip()
            evidence = (life.begun, request) if life is not None else (request,)
            yield Finding("another's data", text, request.sent, request.received, evidence)


@_rule("server error")
def server_error(story: Story) -> Iterator[Finding]:
    """An answer is neither 200 nor 503, nor the 409 of a login."""
    for request in story.requests:
        if request.status not in {200, 503, None} and not _is_refused(request):
            text = f"{request.action} was answered {request.status}"
            yield Finding("server error", text, request.sent, request.received, (request,))


@_rule("login refused")
def login_refused(story: Story) -> Iterator[Finding]:
    """A login is answered 409, and nothing that overlaps it ends sessions of its user."""
    for request in filter(_is_refused, story.requests):
        life = story.lives.get(request.value)
        if life is None or not story.may_have_ended(life, request.received):
            yield Finding("login refused", "nothing has ended it", request.sent, request.received, (request,))


def _is_refused(request: Request) -> bool:
    return request.status == 409 and request.action == "login"


@_rule("limit exceeded")
def limit_exceeded(story: Story) -> Iterator[Finding]:
    """After the storm a user has more sessions than the limit."""
    final = defaultdict[str, dict[str, Request]](dict)
    for request in story.answered:
        if request.action == "me" and request.value == "final" and request.found.user is not None:
            final[request.found.user][request.found.life or ""] = request
    for user, lives in final.items():
        if len(lives) > story.promise.limit:
            evidence = tuple(lives.values())
            text = f"{user} has {len(lives)} sessions"
            yield Finding("limit exceeded", text, evidence[0].sent, evidence[-1].received, evidence)


@_rule("service not back")
def not_back(story: Story) -> Iterator[Finding]:
    """Requests fail for longer after a fault than was stated, and than the bare driver shows to be the server's."""
    for back in back_after(story.history):
        fault, seconds, stated = back.fault, back.seconds, story.promise.back.get(back.fault.kind)
        if stated is not None and seconds > stated + back.bare:
            text = (
                f"{seconds:.1f} s after the end of {fault.kind} a request failed; stated are {stated:.1f} s, "
                f"and {back.bare:.1f} s are the bare driver's"
            )
            yield Finding("service not back", text, fault.ended, fault.ended + seconds, (fault, *back.last))
