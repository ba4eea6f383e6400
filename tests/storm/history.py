"""The history of a storm: each request with what it was answered, and each fault. It holds no live object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: For how many seconds a request without an answer may go on at the server.
PENDING = 8.0


@dataclass(frozen=True)
class Found:
    """What a view found in the session before it changed anything.

    Attributes:
        life: The name of what a login or a visitor's first change began, or None: there was no session.
        user: Who is signed in.
        cart: The items, in their order.
        n: The counter.
        coupons: The coupons that were not redeemed.
        read_only: Whether the request's changes are dropped.
    """

    life: str | None = None
    user: str | None = None
    cart: tuple[str, ...] = ()
    n: int = 0
    coupons: frozenset[str] = frozenset()
    read_only: bool = False


@dataclass(frozen=True)
class Request:
    """A request and its answer. Times are seconds on one clock, that of the machine.

    Attributes:
        number: Its number in the history.
        browser: Who sent it.
        action: The path without its slash; see `storm.application`.
        value: The life, the item or the coupon that it is about.
        user: Who signs in.
        token: The cookie that it presented.
        sent: When it was sent.
        received: When its answer arrived, or when the browser gave up.
        status: The status of the answer, or None: no answer arrived.
        done: When the application was done with it, or None.
        cookie: The cookie that the answer set, empty if it deletes it, or None.
        found: What its view found.
        given: The coupon that it was given.
        replay: Whether it came with a token that the jar does not hold any more, from beside the browser.
        abandoned: Whether the browser did not wait for the answer.
    """

    number: int
    browser: str
    action: str
    sent: float
    received: float
    status: int | None = 200
    value: str = ""
    user: str | None = None
    token: str | None = None
    done: float | None = None
    cookie: str | None = None
    found: Found = field(default_factory=Found)
    given: str | None = None
    replay: bool = False
    abandoned: bool = False

    @property
    def ok(self) -> bool:
        """Whether it was acknowledged."""
        return self.status == 200

    @property
    def over(self) -> float:
        """When it can have no effect any more."""
        return self.received + PENDING if self.status is None else self.received

    def __str__(self) -> str:
        """Return it in one line."""
        subject = " ".join(filter(None, [self.action, self.user, self.value]))
        answer = "no answer" if self.status is None else str(self.status)
        found = self.found
        seen = (
            f"{found.life} {found.user or 'visitor'}, {len(found.cart)} items, n={found.n}" if found.life else "nobody"
        )
        cookie = "" if self.cookie is None else f", sets {self.cookie[:6] or 'no cookie'}"
        given = f", gives {self.given}" if self.given else ""
        return (
            f"{self.sent:9.3f} to {self.received:9.3f}  {self.browser}{' (replay)' if self.replay else ''}: {subject}"
            f" with {(self.token or '-')[:6]}: {answer}{', ' + seen if self.ok else ''}"
            f"{', read-only' if found.read_only else ''}{given}{cookie}"
        )


@dataclass(frozen=True)
class Window:
    """A fault: its kind, when it began and when it ended."""

    kind: str
    began: float
    ended: float

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.began:9.3f} to {self.ended:9.3f}  fault: {self.kind}"


@dataclass(frozen=True)
class Probe:
    """A call of the bare driver: when it began and ended, and whether it was served."""

    sent: float
    received: float
    served: bool


@dataclass
class History:
    """All requests and probes in the order in which they were sent, and all faults in the order in which they began."""

    requests: list[Request] = field(default_factory=list)
    faults: list[Window] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)

    def sort(self) -> None:
        """Put everything into its order."""
        self.requests.sort(key=lambda request: request.sent)
        self.faults.sort(key=lambda fault: fault.began)


def found_from(answer: dict[str, Any]) -> Found:
    """Return what the JSON of an answer says that its view found."""
    cart, coupons = tuple(answer["cart"]), frozenset(answer["coupons"])
    return Found(answer["life"], answer["user"], cart, answer["n"], coupons, answer["read_only"])
