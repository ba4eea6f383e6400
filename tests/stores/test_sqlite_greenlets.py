"""The SQLite store under gevent, where one thread serves many requests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import sqlite3, sys, gevent
from holdfast.stores.sqlite import SQLiteStore

store = SQLiteStore(sys.argv[1])
store.ping()
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
save = gevent.spawn(store.create, "a" * 64, b"data", expires_at=2**40)
for _ in range(20):
    gevent.sleep(0.001)
    assert not save.dead
other.execute("COMMIT")
assert save.get() is not None
print("served")
"""


def test_a_wait_for_the_lock_lets_other_greenlets_run(tmp_path: Path) -> None:
    """While a save waits for another writer, the worker goes on with its other requests."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "s.db")], capture_output=True, text=True, timeout=55, check=False
    )
    assert done.stdout == "served\n", done.stderr
