"""The SQLite store in processes that fork: no connection is shared, and no fork waits for one that is not returned."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest
from support import disk

from holdfast.errors import StoreUnavailable
from holdfast.stores.sqlite import SQLiteStore

KEY = "ab" * 32
FOREVER = 2**50


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the store."""
    return tmp_path / "kept" / "sessions.db"


@pytest.fixture
def store(path: Path) -> SQLiteStore:
    """A store that has its file open, and waits for a whole test's time."""
    store = SQLiteStore(path, timeout=60)
    store.create(KEY, b"data", expires_at=FOREVER)
    return store


def forked() -> int:
    """Fork, and return the exit code of a child that exits at once."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_fork_that_python_does_not_notice(store: SQLiteStore) -> None:
    """The child, as of uWSGI, opens a connection of its own, and leaves its parent's alone."""
    inherited = set(store._connections._open)
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        loads = store.load(KEY) is not None
        os._exit(0 if loads and inherited.isdisjoint(store._connections._open) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.load(KEY) is not None


FORKED = """
import os, subprocess, sys
from holdfast.stores.sqlite import SQLiteStore

path, third = sys.argv[1:3]
key = lambda number: f"{number:064x}"
store = SQLiteStore(path)
version = store.create(key(0), b"0", expires_at=2**50)
ready, go = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    assert store.load(key(0)).data == b"0"
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    for number in range(1, 301):
        version = store.replace(key(0), b"%d" % number, expect=version, expires_at=2**50)
        assert isinstance(version, int), version
    os._exit(0)
os.read(ready[0], 1)
assert store.load(key(0)).data == b"0"
store.close()
# Whoever closes a database last removes its log: the third process must see that the child has it open.
subprocess.run([sys.executable, "-c", third, path], check=True)
os.write(go[1], b"x")
assert os.waitpid(child, 0)[1] == 0
print(SQLiteStore(path).load(key(0)).data.decode(), SQLiteStore(path).load(key(1)).data.decode())
"""

THIRD = """
import sys
from holdfast.stores.sqlite import SQLiteStore

store = SQLiteStore(sys.argv[1])
store.create(f"{1:064x}", b"third", expires_at=2**50)
store.close()
"""

FORKED_UNDER_LOAD = """
import os, sys, threading, warnings
from holdfast.stores.sqlite import SQLiteStore

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of what is tried here
store, stop, counts = SQLiteStore(sys.argv[1]), threading.Event(), {}

def save(number):
    version, counts[number] = store.create(f"{number:064x}", b"0", expires_at=2**50), 0
    while not stop.is_set():
        version = store.replace(f"{number:064x}", b"%d" % (counts[number] + 1), expect=version, expires_at=2**50)
        assert isinstance(version, int), version
        counts[number] += 1

threads = [threading.Thread(target=save, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
children = []
for number in range(100, 110):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if store.create(f"{number:064x}", b"child", expires_at=2**50) else 1)
    children.append(pid)
failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in children)
stop.set()
for thread in threads:
    thread.join()
kept = sum(store.load(f"{number:064x}") is not None for number in range(100, 110))
exact = all(store.load(f"{number:064x}").data == b"%d" % count for number, count in counts.items())
print(failed, kept, exact, all(counts.values()))
"""


def test_a_forked_child_shares_no_connection(path: Path) -> None:
    """A child's save is kept, even if its parent had the store open at the fork and closed it afterwards."""
    assert disk.run(FORKED, path, THIRD).split() == ["300", "third"]


def test_forks_while_threads_save_lose_nothing(path: Path) -> None:
    """Children forked while threads of the parent save can save themselves, and the parent's saves go on."""
    assert disk.run(FORKED_UNDER_LOAD, path).split() == ["0", "10", "True", "True"]


def test_a_fork_that_python_did_not_announce_leaves_the_inherited_alone(store: SQLiteStore) -> None:
    """A child that was not prepared for works on new connections, and does not close those of its parent."""
    inherited = set(store._connections._open)
    store._connections.restart()
    record = store.load(KEY)
    assert record is not None
    assert record.data == b"data"
    assert inherited.isdisjoint(store._connections._open)
    for connection in inherited:
        connection.execute("SELECT 1")
        connection.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # later Pythons warn where there are threads
def test_a_fork_after_an_outage_does_not_wait(store: SQLiteStore, path: Path) -> None:
    """A call that found the folder gone keeps no connection: a fork, which waits for those in use, goes on at once."""
    with disk.taken_away(path.parent), pytest.raises(StoreUnavailable):
        store.load(KEY)
    assert forked() == 0
    assert store.load(KEY) is not None


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_fork_does_not_wait_for_a_connection_that_is_lost(store: SQLiteStore) -> None:
    """One that was not returned, as where the recursion limit is reached while it is dropped, delays no fork."""
    store._connections.take()
    gc.collect()
    assert forked() == 0
    assert store.load(KEY) is not None


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_fork_that_was_interrupted_is_not_the_last(
    store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C while a fork waits for a connection in use, this store and others work, and so do later forks."""
    others = [SQLiteStore(tmp_path / f"{number}.db") for number in range(20)]  # some come later at a fork than this one
    in_use = store._connections.take()

    def interrupted(_seconds: float) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", interrupted)
        assert forked() == 0
    store._connections.give(in_use)

    def go_on() -> None:
        assert forked() == 0
        for each in (store, *others):
            each.load(KEY)
        done.set()

    done = threading.Event()
    threading.Thread(target=go_on, daemon=True).start()
    assert done.wait(10)
    assert store.load(KEY) is not None
