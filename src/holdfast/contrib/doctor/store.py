"""What is asked of the store, which is looked at while it is at work."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.contrib.doctor.checks import Case, Status, Verdict, check, checks
from holdfast.errors import StoreUnavailable
from holdfast.records.record import Finding
from holdfast.stores.contract import Examines, Pings, Purges

#: What is asked of each thing that a store looks at, and by which requirements.
_ASKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "clock": ("The store's clock and this machine's agree.", ("NIST 5.2",)),
    "durability": ("What was saved lives through a restart; what was ended stays ended.", ("ASVS 5.0 7.4.1",)),
    "eviction": ("A store that is full drops no session.", ()),
    "expiry": ("The store removes what has expired.", ("OWASP expiry on both sides",)),
    "indexes": ("A user's sessions, and expired ones, are found without reading all.", ("ASVS 5.0 7.4.2",)),
    "permissions": ("Other users of the machine cannot read the sessions.", ("OWASP repository",)),
}

_START = "start the server, or correct SESSION_STORE"


@check("Store")
def answers(case: Case) -> Verdict:
    """The store answers."""
    store = case.store
    if store is None:
        return Verdict("not applicable", "sessions live in the cookie")
    if not isinstance(store, Pings):
        return Verdict("yours", f"{type(store).__name__} has no ping", "see to it that it answers")
    try:
        store.ping()
    except StoreUnavailable as error:
        return Verdict("not met", str(error), _START)
    return Verdict("met", f"{type(store).__name__} answers")


@checks("Store")
def examined(case: Case) -> Iterator[tuple[str, tuple[str, ...], str, Verdict]]:
    """Yield what the store found out about the place where it keeps records."""
    store = case.store
    if isinstance(store, Examines):
        try:
            found = list(store.examine())
        except StoreUnavailable as error:
            yield "examined", (), "The store can be looked at.", Verdict("not met", str(error), _START)
            return
        yield from map(_judged, found)
    if isinstance(store, Purges):
        asks, ids = _ASKS["expiry"]
        yield (
            "expiry",
            ids,
            asks,
            Verdict("met", "expired records go as new sessions come, and by `flask sessions purge`"),
        )


def _judged(finding: Finding) -> tuple[str, tuple[str, ...], str, Verdict]:
    name, _, which = finding.name.partition(", ")
    asks, ids = _ASKS.get(name, (name, ()))
    status: Status = "met" if finding.ok else "yours" if finding.ok is None else "not met"
    return finding.name, ids, f"{asks} ({which})" if which else asks, Verdict(status, finding.found, finding.fix)
