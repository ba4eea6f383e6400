"""URLs of servers for other users than the one that the tests are given."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import sqlalchemy as sa


def with_login(url: str, login: str) -> str:
    """Return *url* with another user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


@contextmanager
def new_sql_user(url: str, attributes: str, *, may: str) -> Iterator[str]:
    """Give the URL of a new user with *attributes*, and the password "word". In MariaDB they *may* do that alone."""
    name = f"r{secrets.token_hex(6)}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE USER {name} {attributes}")
        if url.startswith("mariadb"):
            connection.exec_driver_sql(f"GRANT {may} ON *.* TO {name}")
        yield with_login(url, f"{name}:word")
        connection.exec_driver_sql(f"DROP USER {name}")
