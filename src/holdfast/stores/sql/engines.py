"""Engines for `holdfast.stores.sql`: made from URLs, or like an application's own, with separate connections."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from holdfast.errors import ConfigurationError, cannot_import
from holdfast.stores.shared.disk import StoreDirectory, companions_of, make_private_file, refuse_planted

#: The seconds for a connection, for a statement, and for the wait for a free connection.
_CONNECT, _STATEMENT, _QUEUE = 2, 3, 2

# The drivers' names of their timeouts. SQLAlchemy has no common name for them.
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

# Every statement is a transaction of its own, no other command is sent to the server, and no message or log shows a key
# or a session.
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
        # A part that could not be parsed may be a password with a special character.
        raise ConfigurationError(
            "the database URL cannot be parsed: write it like mysql+pymysql://user:password@host:3306/name, "
            "with special characters percent-encoded"
        ) from None
    refuse_asynchronous_driver(parsed)
    return parsed


def refuse_asynchronous_driver(url: sa.URL) -> None:
    """Return if the driver that *url* names is synchronous.

    Raises:
        ConfigurationError: It is not.
    """
    if url.get_dialect().is_async:
        raise ConfigurationError(
            f"{url.drivername} is asynchronous: name another driver, such as mysql+pymysql or postgresql+psycopg"
        )


def engine_at(url: sa.URL, *, root: Path, options: Mapping[str, Any] | None = None) -> sa.Engine:
    """Return an engine for *url* with short timeouts. It does not connect yet.

    Args:
        url: The database. Options in its query go to the driver, and override the timeouts.
        root: The base of a relative path of a SQLite file.
        options: Further arguments of `sqlalchemy.create_engine`, which override the timeouts too.

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
        # A connection is held only for one statement, so a few serve many threads.
        options = {"pool_size": 10, "max_overflow": 0, "pool_timeout": _QUEUE, **options}
    try:
        engine = sa.create_engine(url, **options)
    except ImportError as error:
        fix = ": install it, or name another driver, such as mysql+pymysql or postgresql+psycopg"
        raise cannot_import(error, url.drivername, fix) from error
    if on_disk is not None:
        _make_file(engine, root / on_disk)
    elif driver == "psycopg":
        _give_up_in_time(engine)
    return engine


def engine_beside(engine: sa.Engine) -> sa.Engine:
    """Return an engine for the database of *engine*: with the same options, but separate connections.

    So the application's transactions and its pool are independent of ours.
    """
    ours = sa.create_engine(engine.url, pool=engine.pool.recreate(), echo=engine.echo, **_ALONE)
    if isinstance(engine.pool, sa.StaticPool | sa.pool.SingletonThreadPool) and _is_in_memory(ours):
        # Such a database exists in its one connection: the application's transactions are on that, so ours is another.
        queue = {"poolclass": sa.QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": _QUEUE}
        ours = sa.create_engine("sqlite://", connect_args={"check_same_thread": False}, **queue, **_ALONE)
    logger: Any = ours.logger
    # With `echo` it precedes the logger of that name.
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


def keep_private(url: sa.URL) -> None:
    """Make the SQLite file of *url* with mode 0600 if it is missing, and its folder is there.

    Raises:
        StoreUnavailable: Other users of the machine can write to it or to its folder.
        OSError: It cannot be made.
    """
    name = file_of(url)
    if name is not None:
        path = Path(name).absolute()
        refuse_planted(path.parent, may_be_sticky=True)
        if path.parent.is_dir():
            make_private_file(path)
        for each in companions_of(path):
            refuse_planted(each)


def _make_file(engine: sa.Engine, path: Path) -> None:
    directory = StoreDirectory(path.parent, companions_of(path))

    @sa.event.listens_for(engine, "do_connect")
    def make(*_: Any) -> None:
        directory.make(missing=not path.exists())
        keep_private(engine.url)


def _give_up_in_time(engine: sa.Engine) -> None:
    """Limit the wait for an answer on psycopg's connections, since libpq has no option for it."""
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
    """Forward the *steps* of a call of psycopg's, which gets a notice of every tenth of a second without data."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                give_up()
            wanted = steps.send(ready)
    except StopIteration as end:
        return end.value
