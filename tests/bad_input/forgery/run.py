"""Count how many forgeries are accepted: it must be none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bad_input.forgery.genuine import Kind, cookies, records

#: Each kind by a function that makes so many of it.
KINDS: list[Callable[[int], Kind]] = [
    lambda count: cookies("token", count),
    lambda count: cookies("signed token", count, SESSION_USE_SIGNER=True),
    lambda count: cookies("encrypted cookie", count, SESSION_STORE="cookie://"),
    lambda count: records("keys", count),
    lambda count: records("cookie", count),
    lambda count: records("mac", count),
]


@dataclass(frozen=True)
class Figure:
    """How many forgeries of how many genuine things of one kind were tried, and which were accepted."""

    name: str
    genuine: int
    tried: int
    accepted: list[bytes]

    @property
    def bound(self) -> float:
        """Return what share is accepted at most, at 95 % confidence: the rule of three."""
        return 3 / self.tried


def forge(kind: Kind) -> Figure:
    """Try every forgery of every genuine thing, and see that those themselves are accepted."""
    tried, accepted = 0, []
    for number, genuine in enumerate(kind.made):
        assert kind.accepts(number, genuine), f"a genuine {kind.name} is refused"
        for forgery in kind.forgeries(number):
            tried += 1
            if kind.accepts(number, forgery):
                accepted.append(forgery)
    return Figure(kind.name, len(kind.made), tried, accepted)
