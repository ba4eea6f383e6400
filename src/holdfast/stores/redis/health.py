"""The health of a Redis server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from holdfast.clock import Clock
from holdfast.errors import StoreUnavailable
from holdfast.stores.contract import HealthFinding
from holdfast.stores.shared.health import about_clock

#: The number of records of each server that are checked.
SAMPLE = 20

# Errors of a client whose user lacks permission.
_NOT_ALLOWED = {"NoPermissionError", "ResponseError"}


def about_server(ask: Callable[..., Any], clock: Clock) -> list[HealthFinding]:
    """Return the findings about a server. *ask* calls a method of the client."""
    memory, persistence, time = (
        _asked(ask, *question) for question in (("info", "memory"), ("info", "persistence"), ("time",))
    )
    found = [about_eviction(memory), _about_persistence(persistence)]
    if time is not None:
        found.append(about_clock(time[0] * 1000 + time[1] // 1000, clock()))
    return found


def about_expiry(lives: Iterable[int]) -> HealthFinding:
    """Return whether the server removes records by itself, given the time to live of some; -1: infinite."""
    lives = list(lives)
    kept = sum(life == -1 for life in lives)
    if kept:
        fix = "delete what other programs wrote under the prefix"
        return HealthFinding("expiry", f"{kept} of {len(lives)} records have none", fix, ok=False)
    return HealthFinding("expiry", f"the server removes expired records; {len(lives)} checked", ok=True)


def worst_of(found: Iterable[HealthFinding]) -> list[HealthFinding]:
    """Return one finding of each name: the worst, if several servers were checked."""
    worst: dict[str, HealthFinding] = {}
    for finding in found:
        if _badness(finding) > _badness(worst.get(finding.name)):
            worst[finding.name] = finding
    return list(worst.values())


def _badness(finding: HealthFinding | None) -> int:
    return 0 if finding is None else {True: 1, None: 2, False: 3}[finding.ok]


def _asked(ask: Callable[..., Any], *question: str) -> Any:
    try:
        return ask(*question)
    except StoreUnavailable as error:
        if type(error.__cause__).__name__ in _NOT_ALLOWED:
            return None
        raise


def about_eviction(memory: Any) -> HealthFinding:
    """Return whether a server evicts records, given what it reports of its memory, if it does."""
    policy, limit = (memory or {}).get("maxmemory_policy"), (memory or {}).get("maxmemory")
    fix = "maxmemory-policy noeviction"
    if policy is None:
        return HealthFinding("eviction", "the server does not report its policy", fix, ok=None)
    if policy == "noeviction":
        return HealthFinding("eviction", policy, ok=True)
    found = f"{policy}: a full server drops sessions, and records that end others"
    if limit == 0:
        return HealthFinding("eviction", f"{found}; there is no limit today", ok=True)
    return HealthFinding("eviction", found, fix, ok=False)


def _about_persistence(persistence: Any) -> HealthFinding:
    if persistence is None:
        return HealthFinding("durability", "the server does not report its persistence", "appendonly yes", ok=None)
    if persistence.get("aof_enabled"):
        return HealthFinding("durability", "append-only file", ok=True)
    lost = "no append-only file: a restart loses sessions, or brings back what was ended since the last snapshot"
    return HealthFinding("durability", lost, "appendonly yes", ok=None)
