"""What `holdfast.stores.redis` finds out about a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from holdfast.clock import Clock
from holdfast.errors import StoreUnavailable
from holdfast.records.record import Finding
from holdfast.stores.shared.health import about_clock

#: How many records of each server are looked at.
SAMPLE = 20

# What a client raises when the server does not let it ask.
_NOT_ALLOWED = {"NoPermissionError", "ResponseError"}


def about_server(ask: Callable[..., Any], clock: Clock) -> list[Finding]:
    """Return what a server says about itself. *ask* calls a method of the client."""
    memory, persistence, time = (
        _asked(ask, *question) for question in (("info", "memory"), ("info", "persistence"), ("time",))
    )
    found = [_about_eviction(memory), _about_persistence(persistence)]
    if time is not None:
        found.append(about_clock(time[0] * 1000 + time[1] // 1000, clock()))
    return found


def about_expiry(lives: Iterable[int]) -> Finding:
    """Tell whether the server will remove records by itself, given how long each still has there; -1: for ever."""
    lives = list(lives)
    kept = sum(life == -1 for life in lives)
    if kept:
        return Finding(
            "expiry",
            f"{kept} of {len(lives)} records have none",
            "delete what other programs wrote under the prefix",
            ok=False,
        )
    return Finding("expiry", f"the server removes expired records; {len(lives)} looked at", ok=True)


def worst_of(found: Iterable[Finding]) -> list[Finding]:
    """Return one finding of each name: the worst, where several servers were asked."""
    worst: dict[str, Finding] = {}
    for finding in found:
        if _badness(finding) > _badness(worst.get(finding.name)):
            worst[finding.name] = finding
    return list(worst.values())


def _badness(finding: Finding | None) -> int:
    return 0 if finding is None else {True: 1, None: 2, False: 3}[finding.ok]


def _asked(ask: Callable[..., Any], *question: str) -> Any:
    try:
        return ask(*question)
    except StoreUnavailable as error:
        if type(error.__cause__).__name__ in _NOT_ALLOWED:
            return None
        raise


def _about_eviction(memory: Any) -> Finding:
    policy, limit = (memory or {}).get("maxmemory_policy"), (memory or {}).get("maxmemory")
    if policy is None:
        return Finding("eviction", "the server does not tell its policy", "maxmemory-policy noeviction", ok=None)
    if policy == "noeviction":
        return Finding("eviction", "noeviction", ok=True)
    unlimited = "; there is no limit today" if limit == 0 else ""
    return Finding(
        "eviction",
        f"{policy}: a full server drops sessions{unlimited}",
        "" if limit == 0 else "maxmemory-policy noeviction",
        ok=limit == 0,
    )


def _about_persistence(persistence: Any) -> Finding:
    if persistence is None:
        return Finding("durability", "the server does not tell how it persists", "appendonly yes", ok=None)
    if persistence.get("aof_enabled"):
        return Finding("durability", "append-only file", ok=True)
    return Finding(
        "durability",
        "no append-only file: a restart loses sessions, or brings back what was ended since the last snapshot",
        "appendonly yes",
        ok=None,
    )
