"""Requirements for the store, checked on the running store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from holdfast.contrib.doctor.checks import Case, Row, Status, Verdict, check
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.records.tokens import DEFAULT_NAMESPACE
from holdfast.stores.contract import ChecksHealth, HealthFinding, Pings, Purges
from holdfast.stores.probe import probe

AREA = "Store"

#: The text and the ids of the requirement for each finding of a store.
_ASKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "clock": ("The store's clock and this machine's agree.", ("NIST 5.2",)),
    "durability": ("Saved sessions survive a restart; ended sessions stay ended.", ("ASVS 5.0 7.4.1",)),
    "eviction": ("A full store evicts no session.", ()),
    "expiry": ("The store removes expired records.", ("OWASP expiry on both sides",)),
    "indexes": ("A user's sessions, and expired ones, are found by an index.", ("ASVS 5.0 7.4.2",)),
    "patience": ("A request waits for seconds at most, not for minutes.", ()),
    "permissions": ("Other users of the machine cannot read the sessions.", ("OWASP repository",)),
}

_TAKEN_OVER = "Sessions from before are taken over only while there are any."
_OFF = "SESSION_IMPORT = False after PERMANENT_SESSION_LIFETIME"

_START, _CORRECT = "start the server, or correct SESSION_STORE", "correct SESSION_STORE, or what it names"


@check()
def _answers(case: Case) -> Verdict:
    """The store answers, and takes what requests write."""
    if case.ends is None:
        return Verdict("not applicable", "sessions live in the cookie")
    store = case.ends.store
    if not isinstance(store, Pings):
        return Verdict("manual", f"{type(store).__name__} has no ping", "check that it answers")
    try:
        store.ping()
        probe(store, case.ends.clock)
    except StoreUnavailable as error:
        return _failed(error)
    return Verdict("met", f"{type(store).__name__} answers, and a throw-away record came and went")


@check("ASVS 5.0 9.2.3", nist=None)
def _namespace(case: Case) -> Verdict:
    """Applications that share a server have different namespaces."""
    prefix = case.config["SESSION_KEY_PREFIX"]
    found = f"SESSION_KEY_PREFIX is {prefix!r}"
    if prefix != DEFAULT_NAMESPACE:
        return Verdict("met", found)
    return Verdict(
        "manual",
        f"{found}, the default: with another application on this store, its users are this one's",
        f"SESSION_KEY_PREFIX = {f'{case.app.name}:'!r}",
    )


def findings(case: Case) -> Iterator[Row]:
    """Yield a row for each finding of the store."""
    store = None if case.ends is None else case.ends.store
    if isinstance(store, ChecksHealth):
        try:
            found = list(store.check_health())
        except StoreUnavailable as error:
            yield Row(AREA, "examined", (), "The store can be checked.", *_failed(error))
            return
        yield from (_judged(_of_revocations(finding) if case.store is None else finding) for finding in found)
    if isinstance(store, Purges):
        asks, ids = _ASKS["expiry"]
        how = "expired records are removed when new sessions are created, and by `flask sessions purge`"
        yield Row(AREA, "expiry", ids, asks, "met", how, "")


def left_before(case: Case) -> Iterator[Row]:
    """Yield the row about the place where the sessions were before, if there is one."""
    manager = case.manager
    if manager is None or (place := manager.context.old_place) is None:
        return
    try:
        ids = place.ids()
        left = any(manager.take_over(old_id, dry_run=True) == "left" for old_id in ids)
        none_left = "none is left" if ids else place.none_there
        verdict = Verdict("met", "some are left") if left else Verdict("manual", none_left, _OFF)
    except ConfigurationError as error:
        verdict = Verdict("manual", str(error), _OFF)
    except StoreUnavailable as error:
        verdict = Verdict("manual", str(error))
    yield Row(AREA, "imported", (), _TAKEN_OVER, *verdict)


def _failed(error: StoreUnavailable) -> Verdict:
    return Verdict("not met", error.explained, _CORRECT if error.permanent else _START)


def _of_revocations(finding: HealthFinding) -> HealthFinding:
    """Return *finding* for a store of revocations: a session whose revocation is evicted works again."""
    may_evict = finding.name == "eviction" and finding.ok is None
    return replace(finding, ok=False) if may_evict else finding


def _judged(finding: HealthFinding) -> Row:
    name, _, which = finding.name.partition(", ")
    asks, ids = _ASKS.get(name, (name, ()))
    status: Status = "met" if finding.ok else "manual" if finding.ok is None else "not met"
    return Row(AREA, finding.name, ids, f"{asks} ({which})" if which else asks, status, finding.found, finding.fix)


CHECKS = (_answers, _namespace)
