"""Engines for `holdfast.stores.sql`: made of URLs, or beside an application's own, on connections of their own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from holdfast.errors import ConfigurationError

#: How many seconds a connection may take, a statement, and the wait for a free connection.
_CONNECT, _STATEMENT, _QUEUE = 2, 3, 2

# What the drivers call their time limits. SQLAlchemy has no common name for them.
_READS_AND_WRITES = {"connect_timeout": _CONNECT, "read_timeout": _STATEMENT, "write_timeout": _STATEMENT}
_PATIENCE: dict[str, dict[str, Any]] = {
    "pymysql": _READS_AND_WRITES,
    "mysqldb": _READS_AND_WRITES,
    "mysqlconnector": {"connection_timeout": _CONNECT},
    "psycopg": {"connect_timeout": _CONNECT, "tcp_user_timeout": _STATEMENT * 1000},
    "psycopg2": {
        "connect_timeout": _CONNECT,
        "tcp_user_timeout": _STATEMENT * 1000,
        "options": f"-c statement_timeout={_STATEMENT * 1000}",
    },
}

# Every statement is a transaction of its own, nothing is said to the server besides, and no message or log shows a
# key or a session.
_ALONE: dict[str, Any] = {
    "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True,
    "hide_parameters": True,
    "logging_name": "holdfast",
}


def database_url(url: str | sa.URL) -> sa.URL:
    """Return *url* parsed.

    Raises:
        ConfigurationError: It is not valid, or its driver is asynchronous. No message shows a password.
    """
    try:
        parsed = sa.make_url(url)
        parsed.get_dialect()
    except sa.exc.NoSuchModuleError as error:
        raise ConfigurationError(
            f"SQLAlchemy has no driver {sa.make_url(url).drivername!r}: name one, such as mysql+pymysql or "
            "postgresql+psycopg"
        ) from error
    except (sa.exc.ArgumentError, ValueError):
        # What could not be parsed may be a password with a special character.
        raise ConfigurationError(
            "the database URL cannot be parsed: write it like mysql+pymysql://user:password@host:3306/name, "
            "with special characters percent-encoded"
        ) from None
    refuse_asynchronous_driver(parsed)
    return parsed


def refuse_asynchronous_driver(url: sa.URL) -> None:
    """Return if the driver that *url* names is one for ordinary functions.

    Raises:
        ConfigurationError: It is not.
    """
    if url.get_dialect().is_async:
        raise ConfigurationError(
            f"{url.drivername} is asynchronous: name another driver, such as mysql+pymysql or postgresql+psycopg"
        )


def engine_at(url: sa.URL, *, root: Path, options: Mapping[str, Any] | None = None) -> sa.Engine:
    """Return an engine for *url* with short time limits, not connected yet.

    Args:
        url: The database. What its query names is the driver's, and goes before the limits.
        root: The folder that the path of a SQLite file is relative to.
        options: Further arguments of `sqlalchemy.create_engine`, which go before the limits too.

    Raises:
        ConfigurationError: The driver is missing.
    """
    driver = url.get_dialect().driver
    options = {"pool_recycle": 1800, **(options or {})}
    limits = {name: value for name, value in _PATIENCE.get(driver, {}).items() if name not in url.query}
    options["connect_args"] = {**limits, **options.get("connect_args", {})}
    on_disk = file_of(url)
    if on_disk is not None:
        url = url.set(database=str(root / on_disk))
    elif url.get_backend_name() != "sqlite" and options.keys().isdisjoint({"pool", "poolclass"}):
        # Nobody holds a connection for longer than a statement takes, so a few serve many threads.
        options = {"pool_size": 10, "max_overflow": 0, "pool_timeout": _QUEUE, **options}
    try:
        engine = sa.create_engine(url, **options)
    except ImportError as error:
        raise ConfigurationError(
            f"{url.drivername} needs the module {error.name}, which is not installed: "
            "install it, or name another driver, such as mysql+pymysql or postgresql+psycopg"
        ) from error
    if on_disk is not None:
        _make_folder(engine, (root / on_disk).parent)
    elif driver == "psycopg":
        _give_up_in_time(engine)
    return engine


def engine_beside(engine: sa.Engine) -> sa.Engine:
    """Return an engine for the database of *engine*: connected in its way, but on connections of its own.

    So the application's transactions and its wait for a free connection are its own affair, and ours are ours.
    """
    ours = sa.create_engine(engine.url, pool=engine.pool.recreate(), echo=engine.echo, **_ALONE)
    if isinstance(engine.pool, sa.StaticPool | sa.pool.SingletonThreadPool) and _is_in_memory(ours):
        # Such a database is in its one connection: the application's transactions are on that, so ours is another.
        queue = {"poolclass": sa.QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": _QUEUE}
        ours = sa.create_engine("sqlite://", connect_args={"check_same_thread": False}, **queue, **_ALONE)
    logger: Any = ours.logger
    # With `echo` it stands before the logger of that name.
    getattr(logger, "logger", logger).addFilter(_shows_no_row)
    return ours


def _is_in_memory(engine: sa.Engine) -> bool:
    if engine.dialect.name != "sqlite":
        return False
    with engine.connect() as connection:
        in_memory: bool = not connection.exec_driver_sql("PRAGMA database_list").one()[2]
    engine.dispose()
    return in_memory


def _shows_no_row(record: logging.LogRecord) -> bool:
    # SQLAlchemy logs the rows it reads as DEBUG.
    return record.levelno > logging.DEBUG


def file_of(url: sa.URL) -> str | None:
    """Return the path of the SQLite file that *url* names, or None."""
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path == ":memory:" or path.startswith("file:"):
        return None
    return path


def _make_folder(engine: sa.Engine, folder: Path) -> None:
    @sa.event.listens_for(engine, "do_connect")
    def make(*_: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)


def _give_up_in_time(engine: sa.Engine) -> None:
    """Give connections by psycopg a limit on the wait for an answer, which libpq has none for."""
    import psycopg

    class Impatient(psycopg.Connection[Any]):
        def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
            limited = _limited(gen, time.monotonic() + _STATEMENT, self._give_up)
            return super().wait(limited, *arguments, **named)

        def _give_up(self) -> None:
            self.close()
            raise psycopg.OperationalError(f"the server did not answer within {_STATEMENT} seconds")

    @sa.event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        return Impatient.connect(*arguments, **named)


def _limited(steps: Any, deadline: float, give_up: Callable[[], object]) -> Generator[Any, Any, Any]:
    """Pass on the *steps* of a call of psycopg's, which is told of every tenth of a second in which nothing came."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                give_up()
            wanted = steps.send(ready)
    except StopIteration as end:
        return end.value
