"""What is stated for each place of the storm: when the service is back, and what its engine cannot promise."""

from __future__ import annotations

from dataclasses import dataclass

#: The seconds within which every request is answered again after a fault, where `BACK` has no row of its own. What the
#: bare driver needs at that time comes on top.
USUALLY_BACK = 3.0

#: The same for one fault of one place, with the reason.
BACK: dict[tuple[str, str], tuple[float, str]] = {}

_FOREVER = float("inf")

#: The rules that a server breaks which forgets what it acknowledged.
_LOSS = frozenset(
    {
        "change lost",
        "empty session",
        "dead cookie after a login",
        "coupon given to nobody",
        "coupon given twice",
        "alive after its end",
        "old id alive",
        "limit exceeded",
        "login refused",
    }
)


@dataclass(frozen=True)
class Declared:
    """What the engine of a place cannot promise.

    Attributes:
        place: The name of the place; ``*`` is every place.
        fault: The kind of fault at which it may happen; ``*`` is any moment.
        rules: The rules that it breaks.
        before: For how many seconds before the fault what was acknowledged may be lost.
        after: The same after the fault.
        reason: What happens.
    """

    place: str
    fault: str
    rules: frozenset[str]
    before: float
    after: float
    reason: str


def _asynchronous(place: str) -> list[Declared]:
    reason = "what only the old primary has is lost: it acknowledges before its replica has it"
    return [Declared(place, fault, _LOSS, 1.0, 4.0, reason) for fault in FAILOVERS]


#: The faults that make a replica the primary.
FAILOVERS = ("failover planned", "primary paused", "primary killed")

#: All that is declared: it is counted and printed, and is no violation.
DECLARED = [
    Declared(
        "*",
        "*",
        frozenset({"overtaken on the wire"}),
        _FOREVER,
        _FOREVER,
        "an answer that was sent before a login's arrives after it, and its cookie stays in the jar",
    ),
    *_asynchronous("sentinel"),
    *_asynchronous("cluster"),
    *(
        Declared("memcached", fault, _LOSS, _FOREVER, 0.0, "it keeps nothing on disk: every session is lost")
        for fault in ("server restarted", "server killed")
    ),
    Declared("memcached", "filled by others", _LOSS, _FOREVER, 0.0, "it evicts what was not used for longest"),
]
