"""Finding a user's sessions costs what that user has, whatever else the store holds.

``HOLDFAST_TEST_OTHERS`` sets how many sessions of others there are: 20,000 unless it says more.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import seams
from support.keyspace import counted
from support.servers import start_redis

from holdfast.clock import system_clock
from holdfast.records.envelope import Envelope, encode
from holdfast.records.tokens import Keys, new_token
from holdfast.sessions.manager import Manager
from holdfast.stores.redis import RedisStore
from holdfast.stores.redis.scripts import owner_field
from holdfast.stores.shared import sqlite_pool
from holdfast.stores.sqlite import SQLiteStore

OTHERS = int(os.environ.get("HOLDFAST_TEST_OTHERS", "20000"))

MINE = 20
HOUR = 3_600_000
KEYS = Keys("session:")
ME = KEYS.owner_of("me")


def add_mine(store: Any) -> None:
    """Store the sessions of one user."""
    now = system_clock()
    for _ in range(MINE):
        data = encode(Envelope(now, now, 31 * 24 * HOUR, b"\x80"))
        assert store.create(KEYS.key_of(new_token()), data, expires_at=now + 31 * 24 * HOUR, owner=ME)


class Steps:
    """Counts what SQLite's machine does: a row that is read takes some steps, and a row that is passed over too."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        steps = self

        class Counted(sqlite_pool.Cursor):
            def __init__(self, connection: sqlite3.Connection) -> None:
                super().__init__(connection)
                connection.set_progress_handler(steps.add, 1)

        seams.POOL_CURSOR.plant(patch, Counted)

    def add(self) -> None:
        """Count one step."""
        self.count += 1

    def of(self, action: Callable[[], object]) -> int:
        """Return how many steps *action* takes."""
        before = self.count
        action()
        return self.count - before


@pytest.mark.timeout(120)
def test_sqlite_reads_only_that_user_s_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all the sessions of others there, SQLite takes as many steps as without them."""
    steps, path = Steps(monkeypatch), tmp_path / "sessions.db"
    store = SQLiteStore(path)
    manager = Manager(store)
    add_mine(store)
    assert len(manager.of("me")) == MINE
    alone = steps.of(lambda: manager.of("me"))
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO sessions"
            " (key, version, expires_at, purge_at, owner, data) SELECT randomblob(32), 1, ?, ?,"
            " randomblob(32), zeroblob(40) FROM n",
            (OTHERS, system_clock() + HOUR, system_clock() + HOUR),
        )
    connection.close()
    assert steps.of(lambda: manager.of("me")) <= alone * 1.05
    assert len(manager.of("me")) == MINE
    assert alone < MINE * 100
    store.close()


_FILL = """
for i = ARGV[1], ARGV[2] do
  local key = string.sub(redis.sha1hex(i), 1, 32)
  redis.call('SET', ARGV[3] .. key, ARGV[4], 'PX', 3600000)
  redis.call('ZADD', ARGV[3] .. 'owner:x' .. string.sub(redis.sha1hex('o' .. i), 1, 8), ARGV[5], key)
end"""


@pytest.mark.redis
@pytest.mark.timeout(120)
def test_redis_is_asked_for_that_user_s_records_alone() -> None:
    """One script reads the index once and each session once, and the index holds only the owner's keys."""
    import redis

    server = start_redis()
    client: Any = redis.Redis(host=server.address[0], port=server.address[1])
    try:
        store = RedisStore(client)
        manager = Manager(store)
        add_mine(store)
        assert len(manager.of("me")) == MINE
        with counted(client) as alone:
            assert len(manager.of("me")) == MINE
        handle = manager.of("me")[0].handle
        name, prefix = store._name(handle), store._prefix
        for begin in range(1, OTHERS + 1, 20_000):
            end = min(begin + 19_999, OTHERS)
            client.eval(_FILL, 0, begin, end, prefix, client.get(name), system_clock() + HOUR)
        assert client.dbsize() >= 2 * OTHERS
        with counted(client) as among_others:
            assert len(manager.of("me")) == MINE
        assert among_others == alone
        assert alone == {"evalsha": 1, "zrangebyscore": 1, "get": MINE}
        assert client.zcard(store._index(owner_field(ME))) == MINE
    finally:
        client.close()
        server.stop()
