"""The trial of a store by commands: what a user without a permission would meet at the first login."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from support.everywhere import KINDS, url_of_kind
from support.pages import text_of
from support.servers import Server
from support.sql import url_of

from holdfast.clock import system_clock
from holdfast.errors import StoreUnavailable
from holdfast.stores.contract import METHODS, Iterates, Page
from holdfast.stores.memory import MemoryStore
from holdfast.stores.probe import probe
from holdfast.stores.registry import open_store
from holdfast.testing import FailingStore

#: What a user of Redis must be allowed, as the page about Redis says.
ACL = (
    text_of("docs/reference/backends/redis.md")
    .partition("ACL SETUSER")[2]
    .partition("on >password ")[2]
    .partition("\n")[0]
)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=marks) for kind, marks in KINDS.items()])
def test_a_sound_store_passes_and_keeps_nothing(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The record of the trial is gone afterwards."""
    store: Any = open_store(url_of_kind(kind, request, tmp_path))
    with closing(store) if hasattr(store, "close") else pytest.MonkeyPatch.context():
        probe(store, system_clock)
        if isinstance(store, Iterates):
            assert store.scan().items == ()


@pytest.mark.parametrize("operation", [*METHODS[:3], "move", "find", "delete"])
def test_the_step_that_fails_is_named(operation: str) -> None:
    """The message says what cannot be done, and why."""
    store = FailingStore(MemoryStore())
    store.fail(operation, times=float("inf"))
    step = {
        "load": "read",
        "create": "created",
        "replace": "replaced",
        "move": "moved",
        "find": "found by",
        "delete": "deleted",
    }
    with pytest.raises(StoreUnavailable, match=f"a throw-away record cannot be {step[operation]}.*: a test made"):
        probe(store, system_clock)


def test_a_proxy_that_spreads_calls_is_named_as_a_reason() -> None:
    """Where a user's index is on another server than it is looked for on, the message says why that may be."""

    class Spread(MemoryStore):
        def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
            return Page((), None)

    with pytest.raises(StoreUnavailable, match="cannot be found by its owner: does a proxy spread"):
        probe(Spread(), system_clock)


@pytest.mark.redis
@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        (ACL, True),
        (f"{ACL} -get", False),
        (f"{ACL} -getrange", False),
        ("~holdfast:* +get +ping", False),
        ("~other:* +@all", False),
    ],
)
def test_the_permissions_of_a_user_of_redis(redis_server: Server, tmp_path: Path, rules: str, passes: bool) -> None:
    """A user with the ACL of the docs passes; one who may not read, run scripts or use the keys does not, for good."""
    port = redis_server.address[1]
    with redis.Redis(port=port) as admin:
        admin.execute_command("ACL", "SETUSER", "probed", "reset", "on", ">word", *rules.split())
        try:
            with closing(open_store(f"redis://probed:word@127.0.0.1:{port}", root=tmp_path)) as store:  # type: ignore[type-var]
                if passes:
                    probe(store, system_clock)
                    assert list(store.check_health())  # type: ignore[attr-defined]
                    return
                with pytest.raises(
                    StoreUnavailable, match=r"a throw-away record cannot be (created|read): Redis"
                ) as caught:
                    probe(store, system_clock)
                assert caught.value.permanent
        finally:
            admin.execute_command("ACL", "DELUSER", "probed")


@pytest.mark.postgresql
def test_a_role_that_may_only_read(postgresql_server: Server, postgresql_url: str, tmp_path: Path) -> None:
    """A SELECT-only role of PostgreSQL is found out."""
    import psycopg

    with closing(open_store(postgresql_url, root=tmp_path)) as store:  # type: ignore[type-var]
        probe(store, system_clock)
    name = postgresql_url.rpartition("/")[2]
    with psycopg.connect(host="127.0.0.1", port=postgresql_server.address[1], user="postgres", dbname=name) as admin:
        admin.autocommit = True
        admin.execute("CREATE ROLE reader LOGIN")
        try:
            admin.execute("GRANT SELECT ON holdfast_sessions TO reader")
            url = url_of(postgresql_server, database=name).replace("postgres@", "reader@")
            with closing(open_store(url, root=tmp_path)) as store:  # type: ignore[type-var]
                with pytest.raises(StoreUnavailable, match="cannot be created") as caught:
                    probe(store, system_clock)
                assert caught.value.permanent
        finally:
            admin.execute("DROP OWNED BY reader")
            admin.execute("DROP ROLE reader")
