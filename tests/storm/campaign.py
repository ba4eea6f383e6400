"""One storm on one place: gunicorn's workers, browsers, faults by a seeded schedule, and a last look at everything."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import tempfile
import threading
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storm.bare import probing
from storm.browser import Browser, Recorder
from storm.checker import Finding, back_after, check
from storm.failovers import Faults
from storm.history import History, Window
from storm.places import PLACES
from storm.promises import BACK, DECLARED, USUALLY_BACK, Declared
from storm.story import Promise
from support.servers import NotYet, wait_for
from support.wsgi import served

#: Who signs in, and how many browsers each has of their own.
USERS = {"ada": 2, "bob": 2, "eve": 3}

LIMIT, GRACE = 4, 2.0

APPLICATION = "storm.application:create_app()"


@dataclass
class Storm:
    """What came of one storm.

    Attributes:
        place: The name of the place.
        sealed: Whether the sessions were sealed.
        seed: What repeats it.
        history: All that happened.
        back: The longest time until the service was back, and the bare driver's beside it, by kind of fault.
        violations: What broke a rule.
        declared: How often something happened that the engine cannot promise, and
        acknowledged: of how many acknowledged requests at such a moment.
        log: What the workers wrote.
    """

    place: str
    sealed: bool
    seed: str
    history: History
    back: dict[str, tuple[float, float]] = field(default_factory=dict)
    violations: list[Finding] = field(default_factory=list)
    declared: Counter[Declared] = field(default_factory=Counter)
    acknowledged: Counter[Declared] = field(default_factory=Counter)
    log: str = ""


def run(place: str, *, seconds: float, seed: str, sealed: bool, app: str = APPLICATION) -> Storm:
    """Let it storm on *place* for so many seconds, and check the history."""
    history = History()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storm-")))
        master = list[int]()
        there = PLACES[place](stack, folder, lambda: workers_of(master[0]), seed)
        log = stack.enter_context((folder / "log").open("w+b", buffering=0))
        server = stack.enter_context(
            served(there.url, app=app, log=log, **settings(sealed=sealed, indexed=there.indexed))
        )
        master.append(server.pid)
        recorder = Recorder()
        browsers = [
            stack.enter_context(closing(_browser(user, number, server.port, recorder, seed, indexed=there.indexed)))
            for user, count in USERS.items()
            for number in range(count)
        ]
        try:
            _wait_until_it_works(browsers[0])
        except NotYet as error:
            raise RuntimeError((folder / "log").read_text()) from error
        recorder.requests.clear()
        faults = {**there.faults, **_of_workers(server.pid)}
        with probing(there.url) as history.probes:
            history.faults = _blow(browsers, faults, seconds, seed)
        _wait_until_it_works(browsers[0])
        _look(browsers)
        history.requests = list(recorder.requests)
        log.seek(0)
        text = log.read().decode(errors="replace")
    return judge(Storm(place, sealed, seed, history, log=text))


def settings(*, sealed: bool, indexed: bool) -> dict[str, Any]:
    """Return the settings of the application. A store without an index can have no limit of sessions."""
    seal = {"SESSION_SEAL_KEYS": [urlsafe_b64encode(secrets.token_bytes(32)).decode()]} if sealed else {}
    return {
        "SESSION_PERMANENT": True,
        "SESSION_RENEWAL_INTERVAL": 2,
        "SESSION_ROTATION_GRACE": GRACE,
        "SESSION_MAX_PER_USER": LIMIT if indexed else None,
        **seal,
    }


def judge(storm: Storm) -> Storm:
    """Check the history of *storm*, and tell violations from what is declared."""
    kinds = {fault.kind for fault in storm.history.faults}
    back = {kind: BACK.get((storm.place, kind), (USUALLY_BACK, ""))[0] for kind in kinds}
    for finding in check(storm.history, Promise(limit=LIMIT, grace=GRACE, back=back)):
        declared = next((entry for entry in DECLARED if _covers(entry, finding, storm)), None)
        if declared is None:
            storm.violations.append(finding)
        else:
            storm.declared[declared] += 1
    for entry in storm.declared:
        requests = (request for request in storm.history.requests if request.ok)
        storm.acknowledged[entry] = sum(_is_at(entry, request.received, storm) for request in requests)
    for found in back_after(storm.history):
        kind = found.fault.kind
        storm.back[kind] = max(storm.back.get(kind, (0.0, 0.0)), (found.seconds, found.bare))
    return storm


def _covers(entry: Declared, finding: Finding, storm: Storm) -> bool:
    here = entry.place in {"*", storm.place} and finding.rule in entry.rules
    return here and _is_at(entry, finding.since, storm, seen=finding.seen)


def _is_at(entry: Declared, moment: float, storm: Storm, *, seen: float = float("inf")) -> bool:
    """Return whether what was acknowledged at a *moment* may be lost, or wrong, by what *entry* declares."""
    return entry.fault == "*" or any(
        fault.kind == entry.fault and fault.began - entry.before < moment < fault.ended + entry.after
        for fault in storm.history.faults
        if fault.began < seen
    )


# --- the parts of a storm --------------------------------------------------------------------------------------------


def _browser(user: str, number: int, port: int, recorder: Recorder, seed: str, *, indexed: bool) -> Browser:
    users = [user, *(other for other in USERS if other != user)]
    return Browser(f"{user}{number}", users, port, recorder, seed=f"{seed} {user} {number}", indexed=indexed)


def _wait_until_it_works(browser: Browser) -> None:
    def probe() -> None:
        for _ in range(6):
            if not browser.send("me").ok:
                raise NotYet("a request was not answered")

    wait_for(probe, seconds=120)


def _blow(browsers: Sequence[Browser], faults: Faults, seconds: float, seed: str) -> list[Window]:
    over, until, errors = threading.Event(), time.monotonic() + seconds, list[BaseException]()

    def visit(browser: Browser) -> None:
        try:
            browser.run(over.is_set)
        except BaseException as error:  # noqa: BLE001  # the storm is to end with it
            errors.append(error)

    threads = [threading.Thread(target=visit, args=(browser,), daemon=True) for browser in browsers]
    for thread in threads:
        thread.start()
    try:
        windows = list(_strike(faults, until, random.Random(f"{seed} faults")))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return windows


def _strike(faults: Faults, until: float, choose: random.Random) -> Iterator[Window]:
    """Let one fault follow another, each kind once before any comes again, with quiet between them."""
    kinds = list[str]()
    quiet = min(2.0, (until - time.monotonic()) / 5)
    time.sleep(1)
    while time.monotonic() < until - quiet - 1:
        kinds = kinds or choose.sample(sorted(faults), len(faults))
        kind, began = kinds.pop(), time.monotonic()
        with faults[kind]() as later:
            began = later if isinstance(later, float) else began
            time.sleep(choose.uniform(0.3, 2.2))
        yield Window(kind, began, time.monotonic())
        time.sleep(choose.uniform(quiet, 2.5 * quiet))  # longer than the service may take, now and then
    time.sleep(max(0.0, until - time.monotonic()))


def _look(browsers: Sequence[Browser]) -> None:
    """Read with every jar, and with the tokens that each has held, twice: the first finishes what was interrupted."""

    def look(browser: Browser) -> None:
        browser.send("me", "final")
        for token in browser.tokens[-20:]:
            browser.send("me", "final", token=token)

    for _ in range(2):
        with ThreadPoolExecutor(len(browsers)) as pool:
            list(pool.map(look, browsers))


def workers_of(master: int) -> list[int]:
    """Return the process ids of gunicorn's workers."""
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def _of_workers(master: int) -> Faults:
    @contextmanager
    def killed() -> Iterator[None]:
        os.kill(workers_of(master)[0], signal.SIGKILL)
        yield

    @contextmanager
    def paused() -> Iterator[None]:
        pid = workers_of(master)[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return {"worker killed": killed, "worker paused": paused}
