"""Engines for `holdfast.stores.sql`: made from URLs, or like an application's own, with separate connections."""

from __future__ import annotations

import inspect
import logging
import math
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from holdfast.errors import ConfigurationError, cannot_import
from holdfast.stores.shared import clients
from holdfast.stores.shared.disk import StoreDirectory, companions_of, make_private_file, refuse_planted
from holdfast.stores.shared.options import (
    Converter,
    convert_options,
    one_of,
    readable_file,
    refuse_password_in_query,
    seconds,
    whole,
)
from holdfast.stores.shared.wire import any_text
from holdfast.stores.sql.connections import end_of

#: The seconds for a connection, for a statement, and for the wait for a free connection: shorter, so that calls that
#: wait for those on a silent server do not come next and wait for it, too.
_CONNECT, _STATEMENT, QUEUE = 2, 3, 2.5

#: The connections of a store at a URL. Each is held only for one statement, so a few serve many threads.
MAX_CONNECTIONS = 10

# The drivers' names of their timeouts. SQLAlchemy has no common name for them.
_READS_AND_WRITES = {"connect_timeout": _CONNECT, "read_timeout": _STATEMENT, "write_timeout": _STATEMENT}
_LIBPQ: dict[str, Any] = {
    "connect_timeout": _CONNECT,
    "tcp_user_timeout": _STATEMENT * 1000,
    "keepalives_idle": clients.KEEPALIVE_IDLE,
    "keepalives_interval": clients.KEEPALIVE_INTERVAL,
    "keepalives_count": clients.KEEPALIVE_COUNT,
}
_PATIENCE: dict[str, dict[str, Any]] = {
    "pymysql": _READS_AND_WRITES,
    "mysqldb": _READS_AND_WRITES,
    "mysqlconnector": {"connection_timeout": _CONNECT},
    # A pooler may run each statement on another connection, which knows no statement that was prepared on the last. Of
    # a database in SQL_ASCII psycopg returns text as bytes, unless the client has an encoding.
    "psycopg": {**_LIBPQ, "prepare_threshold": None, "client_encoding": "utf8"},
    "psycopg2": {**_LIBPQ, "options": f"-c statement_timeout={_STATEMENT * 1000}"},
}


# The numbers among the options of drivers, in the query of a URL.
_NUMBERS: dict[str, Converter] = {
    **dict.fromkeys(("connect_timeout", "connection_timeout", "read_timeout", "write_timeout"), whole(1)),
    **dict.fromkeys(("tcp_user_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count"), whole()),
    **dict.fromkeys(("keepalives", "max_allowed_packet"), whole()),
    "prepare_threshold": lambda text: None if text == "none" else whole()(text),
}


def _without_name(_: str) -> str:
    raise ValueError("TLS has other names: ssl_ca=/a/file for MySQL and MariaDB, sslmode=require for PostgreSQL")


# Those that the driver converts, and refuses at the first connection: as an outage, or in words of its own.
_CHECKED: dict[str, Converter] = {
    "ssl": _without_name,
    "sslmode": one_of("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "timeout": seconds,
    **dict.fromkeys(("ssl_ca", "ssl_cert", "ssl_key", "sslcert", "sslkey", "sslcrl"), readable_file),
    "sslrootcert": lambda text: text if text == "system" else readable_file(text),
}

# Every statement is a transaction of its own, no other command is sent to the server, and no message or log shows a key
# or a session.
_ALONE: dict[str, Any] = {
    "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True,
    "hide_parameters": True,
    "logging_name": "holdfast",
}


#: Options of the drivers for MySQL that name a database, or a file that may.
_DATABASES = frozenset({"db", "database", "read_default_file", "read_default_group", "option_files"})


def database_url(url: str | sa.URL) -> sa.URL:
    """Return *url* parsed, or refuse it: no message shows a password."""
    if isinstance(url, str):
        refuse_password_in_query(url.partition("?")[2], url.partition("://")[0])
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
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        raise ConfigurationError(f"the {parsed.drivername} URL has the port {parsed.port}: write one from 1 to 65535")
    names_database = bool(parsed.database) or not _DATABASES.isdisjoint(parsed.query)
    if parsed.get_backend_name() in {"mysql", "mariadb"} and not names_database:
        raise ConfigurationError(
            f"the {parsed.drivername} URL names no database: write it after the server, as in "
            f"{parsed.drivername}://user@host/name"
        )
    return parsed


def refuse_asynchronous_driver(url: sa.URL) -> None:
    """Raise `ConfigurationError` if the driver that *url* names is asynchronous."""
    if url.get_dialect().is_async:
        raise ConfigurationError(
            f"{url.drivername} is asynchronous: name another driver, such as mysql+pymysql or postgresql+psycopg"
        )


def engine_at(
    url: sa.URL, *, root: Path, options: Mapping[str, Any] | None = None, max_connections: int = MAX_CONNECTIONS
) -> sa.Engine:
    """Return an engine for *url* with short timeouts. It does not connect yet.

    Args:
        url: The database. Options in its query go to the driver, and override the timeouts.
        root: The base of a relative path of a SQLite file.
        options: Further arguments of `sqlalchemy.create_engine`, which override the timeouts too.
        max_connections: The size of the pool, unless *options* has another pool; not for SQLite.
    """
    driver = url.get_dialect().driver
    options = {"pool_recycle": 1800, **(options or {})}
    options_in(url, _CHECKED)
    limits = {name: value for name, value in _PATIENCE.get(driver, {}).items() if name not in url.query}
    limits |= options_in(url, _NUMBERS)
    url = url.difference_update_query(list(_NUMBERS))
    options["connect_args"] = {**limits, **options.get("connect_args", {})}
    on_disk = file_of(url)
    if on_disk is not None:
        url = url.set(database=str(root / on_disk))
    elif url.get_backend_name() != "sqlite" and options.keys().isdisjoint({"pool", "poolclass"}):
        options = {"pool_size": max_connections, "max_overflow": 0, "pool_timeout": QUEUE, **options}
    engine = _create(url, options)
    if on_disk is not None:
        _make_file(engine, root / on_disk)
    elif driver == "psycopg":
        _give_up_in_time(engine)
    elif driver == "pymysql":
        _share_authorities(engine)
    elif driver == "psycopg2" and "options" in limits:
        _do_without_options(engine)
    return engine


def options_in(url: sa.URL, converters: Mapping[str, Converter]) -> dict[str, Any]:
    """Return the options in the query of *url* that are among *converters*: see `convert_options`."""
    pairs = [(name, text) for name in converters for text in url.normalized_query.get(name, ())]
    return convert_options(pairs, url.drivername, converters)


def _create(url: sa.URL, options: Mapping[str, Any]) -> sa.Engine:
    try:
        engine = sa.create_engine(url, **options)
    except ImportError as error:
        fix = ": install it, or name another driver, such as mysql+pymysql or postgresql+psycopg"
        raise cannot_import(error, url.drivername, fix) from error
    except sa.exc.ArgumentError:  # its message quotes the URL
        raise ConfigurationError(f"the {url.drivername} URL is not valid: a file has no host and no password") from None
    except ValueError as error:
        raise ConfigurationError(f"an option of the {url.drivername} URL is not valid: {error}") from None
    _refuse_unknown(engine, url)
    return engine


def _refuse_unknown(engine: sa.Engine, url: sa.URL) -> None:
    """Refuse an option in the query of *url* that the driver does not know, which the first use would report."""
    driver: Any = engine.dialect.loaded_dbapi
    arguments, named = engine.dialect.create_connect_args(url)
    try:
        known = inspect.signature(driver.connect)
    except ValueError:  # a function in C, such as that of SQLite
        return
    try:
        known.bind(*arguments, **named)
        others = {name: value for name, value in named.items() if name not in known.parameters}
        if hasattr(driver, "conninfo"):
            driver.conninfo.make_conninfo(**others)
        elif hasattr(driver, "extensions"):
            driver.extensions.make_dsn(**others)
    except (driver.Error, TypeError) as error:
        problem = str(error).strip().partition("\n")[0]
        raise ConfigurationError(f"an option of the {url.drivername} URL is not one of its driver: {problem}") from None


def engine_beside(engine: sa.Engine) -> sa.Engine:
    """Return an engine for the database of *engine*: with the same options, but separate connections.

    So the application's transactions and its pool are independent of ours.
    """
    ours = sa.create_engine(engine.url, pool=engine.pool.recreate(), echo=engine.echo, **_ALONE)
    if isinstance(engine.pool, sa.StaticPool | sa.pool.SingletonThreadPool) and _is_in_memory(ours):
        # Such a database exists in its one connection: the application's transactions are on that, so ours is another.
        queue = {"poolclass": sa.QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": QUEUE}
        ours = sa.create_engine("sqlite://", connect_args={"check_same_thread": False}, **queue, **_ALONE)
    sa.event.listen(ours, "handle_error", _drop_if_refused)
    if engine.dialect.name != "sqlite":
        _replace_idle(ours)
    else:
        sa.event.listen(ours, "connect", lambda connection, _: setattr(connection, "text_factory", any_text))
    logger: Any = ours.logger
    # With `echo` it precedes the logger of that name. The rows that are read are logged as DEBUG.
    getattr(logger, "logger", logger).addFilter(lambda record: record.levelno > logging.DEBUG)
    return ours


# The errors of a server that takes no writes, a replica or a primary that has become one, and of a node of Galera that
# takes nothing.
_READ_ONLY = {"25006", 1047, 1290, 1792, 1836}
# Rights that MySQL and MariaDB refuse: a connection keeps those that it began with, also after a GRANT.
_DENIED = {1044, 1142, 1143}


def codes_of(error: object) -> set[Any]:
    """Return the codes in a driver's *error*."""
    names = ("sqlstate", "pgcode", "errno")
    return {getattr(error, name, None) for name in names} | set(getattr(error, "args", ())[:1])


def takes_no_writes(error: object) -> bool:
    """Return whether a driver's *error* is that of a server that takes no writes, or of a file of SQLite's."""
    return bool(codes_of(error) & _READ_ONLY) or "readonly database" in str(error)


def _drop_if_refused(context: sa.engine.ExceptionContext) -> None:
    # Its name may lead to another server by now, and a file stays read-only for a connection that found it so, as
    # rights stay missing: no connection to this one is used again.
    error = context.original_exception
    if takes_no_writes(error) or codes_of(error) & _DENIED:
        context.is_disconnect = context.invalidate_pool_on_disconnect = True


def _replace_idle(engine: sa.Engine) -> None:
    """Use no connection that the server closed while it was idle, or a firewall may have."""

    def note(_connection: object, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    def check(connection: object, record: Any, _proxy: object) -> None:
        since = record.info.get("idle_since", math.inf)
        if time.monotonic() - since > clients.LONGEST_IDLE or (since < math.inf and end_of(connection)()):
            raise sa.exc.DisconnectionError("it was idle for too long, or the server closed it")

    sa.event.listen(engine, "checkin", note)
    sa.event.listen(engine, "checkout", check)


def _is_in_memory(engine: sa.Engine) -> bool:
    if engine.dialect.name != "sqlite":
        return False
    with engine.connect() as connection:
        in_memory: bool = not connection.exec_driver_sql("PRAGMA database_list").one()[2]
    engine.dispose()
    return in_memory


def file_of(url: sa.URL) -> str | None:
    """Return the path of the SQLite file that *url* names, or None."""
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path == ":memory:" or path.startswith("file:"):
        return None
    return path


def keep_private(url: sa.URL) -> None:
    """Make a missing SQLite file of *url* with mode 0600, if its folder is there; refuse what others can write to."""
    name = file_of(url)
    if name is not None:
        path = Path(name).absolute()
        refuse_planted(path.parent, is_folder=True, may_be_sticky=True)
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


def _do_without_options(engine: sa.Engine) -> None:
    """Connect without the option that limits the time of a statement to a pooler that refuses it, as PgBouncer does."""
    refused = False

    @sa.event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        nonlocal refused
        if not refused:
            try:
                return dialect.connect(*arguments, **named)
            except dialect.loaded_dbapi.OperationalError as error:
                if "unsupported startup parameter" not in str(error):
                    raise
                refused = True
        return dialect.connect(*arguments, **{name: value for name, value in named.items() if name != "options"})


def _share_authorities(engine: sa.Engine) -> None:
    """Read the certificate authorities of the system once: PyMySQL does it for each connection, without TLS too."""
    from pymysql.connections import Connection

    shared: Any = None

    class Sharing(Connection):
        def _create_ssl_ctx(self, options: Any) -> Any:
            nonlocal shared
            if not isinstance(options, dict) or any(map(options.get, ("ca", "capath", "cert"))):
                return super()._create_ssl_ctx(options)  # type: ignore[misc]  # files may be replaced
            shared = shared or super()._create_ssl_ctx(options)  # type: ignore[misc]
            return shared

    sa.event.listen(engine, "do_connect", lambda _dialect, _record, arguments, named: Sharing(*arguments, **named))


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
