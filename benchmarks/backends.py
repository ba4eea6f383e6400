"""The backends: how each is started, and Flask-Session's settings for it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from flask import Flask
from support.databases import start_dynalite, start_mariadb, start_mongod, start_postgres
from support.servers import start_memcached, start_redis

Settings = dict[str, Any]


class _Server(Protocol):
    url: str

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Backend:
    """One place.

    Attributes:
        name: Its name on the command line and in the table.
        url: The URL of an embedded store; ``{folder}`` is a temp folder.
        start: Starts the server, for a store on one.
        rival: Returns Flask-Session's settings for the backend at a URL; None if it does not support it.
        waits: Whether a request waits for a server or a disk, so that wall-clock time is the measure. Otherwise
            processor time is, which other load on the machine disturbs less.
        most: The maximum number of requests of each kind, if every first write slows all that follow.
    """

    name: str
    url: str = ""
    start: Callable[[], _Server] | None = None
    rival: Callable[[Flask, str], Settings] | None = None
    waits: bool = True
    most: int | None = None

    @contextmanager
    def running(self, folder: Path) -> Iterator[str]:
        """Run the backend during the block, and yield its URL.

        Raises:
            FileNotFoundError: The server is not installed.
        """
        if self.start is None:
            yield self.url.format(folder=folder)
            return
        server = self.start()
        try:
            yield server.url
        finally:
            server.stop()


@contextmanager
def temp_folder() -> Iterator[Path]:
    """Yield a folder that is removed after the block."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _redis(_app: Flask, url: str) -> Settings:
    import redis

    return {"SESSION_TYPE": "redis", "SESSION_REDIS": redis.Redis.from_url(url)}


def _memcached(_app: Flask, url: str) -> Settings:
    import pymemcache

    return {"SESSION_TYPE": "memcached", "SESSION_MEMCACHED": pymemcache.Client(url.partition("://")[2], no_delay=True)}


def _mongodb(_app: Flask, url: str) -> Settings:
    import pymongo

    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(url)
    return {"SESSION_TYPE": "mongodb", "SESSION_MONGODB": client}


def _dynamodb(_app: Flask, url: str) -> Settings:
    from support.dynamodb import resource_of

    return {"SESSION_TYPE": "dynamodb", "SESSION_DYNAMODB": resource_of(url)}


def _sql(app: Flask, url: str) -> Settings:
    from flask_sqlalchemy import SQLAlchemy

    app.config["SQLALCHEMY_DATABASE_URI"] = url
    return {
        "SESSION_TYPE": "sqlalchemy",
        "SESSION_SQLALCHEMY": SQLAlchemy(app),
        "SESSION_SQLALCHEMY_TABLE": "flask_session",
    }


def _sqlite(app: Flask, url: str) -> Settings:
    return _sql(app, url.replace("sessions.db", "flask-session.db"))


def _files(_app: Flask, url: str) -> Settings:
    from cachelib.file import FileSystemCache

    folder = url.partition("//")[2].replace("sessions", "flask-session")
    return {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": FileSystemCache(folder, threshold=100_000)}


BACKENDS = (
    Backend("memory", "memory://", waits=False),
    Backend("SQLite", "sqlite:///{folder}/sessions.db", rival=_sqlite, waits=False),
    Backend("files", "file:///{folder}/sessions", rival=_files),
    Backend("JSON", "json:///{folder}/sessions.json", most=100),
    Backend("Redis", start=start_redis, rival=_redis),
    Backend("memcached", start=start_memcached, rival=_memcached),
    Backend("MongoDB", start=start_mongod, rival=_mongodb),
    Backend("DynamoDB", start=start_dynalite, rival=_dynamodb),
    Backend("MariaDB", start=start_mariadb, rival=_sql),
    Backend("PostgreSQL", start=start_postgres, rival=_sql),
)
