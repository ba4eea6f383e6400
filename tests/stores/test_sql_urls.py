"""The URLs of the SQL store, and the engines that are made of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.stores.registry import open_store, store_for
from holdfast.stores.sql import SQLStore

KEY = "0" * 64
FAR = 4_000_000_000_000


class Refused(Exception):
    """Raised in place of a connection."""


def arguments_of(url: str, **engine_options: Any) -> dict[str, Any]:
    """Return what the driver is given to connect to *url*."""
    given: dict[str, Any] = {}

    def refuse(_dialect: object, _record: object, _arguments: object, named: dict[str, Any]) -> None:
        given.update(named)
        raise Refused

    sa.event.listen(sa.Engine, "do_connect", refuse)
    try:
        store = SQLStore.from_url(url, root=Path.cwd(), engine_options=engine_options)
        with pytest.raises(StoreUnavailable) as caught:
            store.load(KEY)
        assert isinstance(caught.value.__cause__, Refused)
    finally:
        sa.event.remove(sa.Engine, "do_connect", refuse)
    return given


def test_a_path_is_relative_to_the_root_and_nothing_is_made_before_use(tmp_path: Path) -> None:
    """Three slashes are relative and four absolute; opening makes no file, and the first use makes the folders."""
    with closing(SQLStore.from_url("sqlite+pysqlite:///deep/sql.db", root=tmp_path / "root")) as store:
        assert list(tmp_path.iterdir()) == []
        store.create(KEY, b"data", expires_at=FAR)
    with closing(SQLStore.from_url(f"sqlite+pysqlite:///{tmp_path}/root/deep/sql.db", root=Path("/nowhere"))) as store:
        assert store.load(KEY) is not None


@pytest.mark.parametrize("scheme", ["mysql+pymysql", "mariadb+pymysql"])
def test_connections_to_mysql_have_short_limits(scheme: str) -> None:
    """A driver of MySQL gets timeouts in seconds, unless the URL or the engine's options set them."""
    assert (
        arguments_of(f"{scheme}://u@h/d").items()
        >= {
            "connect_timeout": 2,
            "read_timeout": 3,
            "write_timeout": 3,
        }.items()
    )
    assert (
        arguments_of(f"{scheme}://u@h/d?read_timeout=9&charset=utf8mb4").items()
        >= {
            "connect_timeout": 2,
            "read_timeout": 9,
            "charset": "utf8mb4",
        }.items()
    )
    assert arguments_of(f"{scheme}://u@h/d", connect_args={"read_timeout": 8})["read_timeout"] == 8


def test_connections_to_postgresql_have_short_limits() -> None:
    """A driver of PostgreSQL gets timeouts in seconds, and no option that a connection pooler would refuse."""
    given = arguments_of("postgresql+psycopg://u@h/d")
    assert given.items() >= {"connect_timeout": 2, "tcp_user_timeout": 3000, "prepare_threshold": None}.items()
    assert given["keepalives_idle"] + given["keepalives_interval"] * given["keepalives_count"] <= 60
    assert "options" not in given
    assert arguments_of("postgresql+psycopg://u@h/d?connect_timeout=9")["connect_timeout"] == 9
    assert arguments_of("postgresql+psycopg://u@h/d?prepare_threshold=0")["prepare_threshold"] == 0
    assert arguments_of("postgresql+psycopg2://u@h/d?sslmode=require")["sslmode"] == "require"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql+pymysql://u:hunter2@h/d?create_table=no", "create_table='no' is not valid: it must be 0 or 1"),
        ("mysql+pymysql://u:hunter2@h/d?table=a&table=b", "the option table twice: remove one"),
        (
            "mysql+pymysql://u:hunter2@h/d?read_timeout=nan",
            "option read_timeout='nan' is not valid: it must be",
        ),
        ("mysql+pymysql://u:hunter2@h/d?max_connections=0", "option max_connections='0' is not valid: it must be"),
        ("mysql+pymysql://u:hunter2@h/d?timeout=3", "unexpected keyword argument 'timeout'"),
        ("postgresql+psycopg://u:hunter2@h/d?connect_timeout=soon", "option connect_timeout='soon' is not valid"),
        ("postgresql+psycopg://u:hunter2@h/d?prepare_threshold=off", "option prepare_threshold='off' is not valid"),
        ("postgresql+psycopg://u:hunter2@h/d?tiemout=3", 'invalid connection option "tiemout"'),
        ("postgresql+psycopg2://u:hunter2@h/d?tiemout=3", 'invalid connection option "tiemout"'),
        (
            "postgresql+psycopg://u:hunter2@h/d?sslmode=on",
            "option sslmode='on' is not valid: it must be one of disable",
        ),
        ("mysql+pymysql://u:hunter2@h/d?ssl=true", "option ssl='true' is not valid: TLS has other names: ssl_ca="),
        ("sqlite+pysqlite:///a.db?timeout=nan", "option timeout='nan' is not valid: it must be seconds"),
        ("mysql+pymysql://u:hunter2@h", r"names no database: write it after the server, as in mysql\+pymysql://"),
        ("mariadb+pymysql://u:hunter2@h/?table=t", r"names no database: .* as in mariadb\+pymysql://user@host/name$"),
        (f"postgresql+psycopg://u:hunter2@h/d?table={'t' * 55}", "must have 1 to 54 bytes: choose another"),
        ("mysql+pymysql://u:hunter2@h:x:y/d", "cannot be parsed: write it like"),
        ("mysql+pymysql://u:hunt@er2:hunter2/d", "cannot be parsed: write it like"),
        ("mysql+nothing://u:hunter2@h/d", r"SQLAlchemy has no driver 'mysql\+nothing': name one"),
        ("postgresql+asyncpg://u:hunter2@h/d", r"postgresql\+asyncpg is asynchronous: name another driver"),
        ("sqlite+pysqlite:////", "^/ is a folder: name a file in it"),
        ("mssql+pymssql://u:hunter2@h/d", r"mssql\+pymssql needs pymssql, which is not installed"),
    ],
)
def test_a_url_that_cannot_be_meant(url: str, message: str) -> None:
    """A URL or option that is not valid is an error at once, which names it and shows no password."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        open_store(url, root=Path.cwd())
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("operation", ["load", "ping"])
def test_an_error_outside_of_a_driver_s_own_is_a_permanent_fault(operation: str) -> None:
    """PyMySQL fails so for an unknown charset, and for a login that needs cryptography: waiting does not help."""
    store: Any = open_store("mysql+pymysql://u@127.0.0.1:1/d?charset=utf9", root=Path.cwd())
    with pytest.raises(StoreUnavailable, match="the driver of the database cannot connect") as caught:
        store.load("0" * 64) if operation == "load" else store.ping()
    assert caught.value.permanent
    assert caught.value.reason
    store.close()


@pytest.mark.parametrize(
    ("client", "kind"),
    [
        (7, "builtins.int"),
        (sa.Engine, "builtins.type"),
        (object(), "builtins.object"),
    ],
)
def test_what_is_no_engine_is_refused(client: Any, kind: str) -> None:
    """Anything but an engine is an error that names its class."""
    with pytest.raises(ConfigurationError, match=f"{kind} is no engine"):
        SQLStore(client)


def test_an_engine_is_a_ready_client(sqlite_url: str) -> None:
    """`store_for` makes an SQL store of an engine, which it leaves as it is."""
    engine = sa.create_engine(sqlite_url)
    store = store_for(engine)
    assert isinstance(store, SQLStore)
    with closing(store):
        assert store.create(KEY, b"data", expires_at=FAR) is not None
    assert engine.pool.status() == sa.create_engine(sqlite_url).pool.status()
    engine.dispose()
